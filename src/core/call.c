/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include <pbxpush/core/call.h>

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_PUSH] = "push",
		[VERDICT_REGISTERED] = "registered",
		[VERDICT_REJECT] = "reject",
		[VERDICT_UNREACHABLE] = "unreachable",
		[VERDICT_ENDED] = "ended",
	};

	return names[verdict];
}

const char *rule_name(enum rule rule)
{
	static const char *const names[] = {
		[RULE_NONE] = NULL,
		[RULE_BLOCKED] = "blocked",
		[RULE_ANONYMOUS] = "anonymous",
		[RULE_DND] = "dnd",
		[RULE_DND_SCHEDULE] = "dnd-schedule",
		[RULE_BUSY] = "busy",
		[RULE_PBX_DND] = "pbx-dnd",
		[RULE_PBX_BLOCKED] = "pbx-blocked",
		[RULE_NO_DEVICE] = "no-device",
		[RULE_DEAD_TOKEN] = "dead-token",
		[RULE_PUSH_FAILED] = "push-failed",
		[RULE_NO_REGISTER] = "no-register",
		[RULE_OVERLOADED] = "overloaded",
		[RULE_STALE] = "stale",
		[RULE_ANSWERED] = "answered",
		[RULE_CANCELLED] = "cancelled",
		[RULE_DECLINED] = "declined",
		[RULE_TIMEOUT] = "timeout",
		[RULE_COMPLETED] = "completed",
		[RULE_MUTED] = "muted",
	};

	return names[rule];
}

const char *call_state_name(enum call_state state)
{
	static const char *const names[] = {
		[CALL_RINGING] = "ringing",
		[CALL_ANSWERED] = "answered",
		[CALL_CANCELLED] = "cancelled",
		[CALL_DECLINED] = "declined",
		[CALL_TIMEOUT] = "timeout",
		[CALL_COMPLETED] = "completed",
		[CALL_UNKNOWN] = "unknown",
	};

	return names[state];
}

const char *wait_mode_name(enum wait_mode wait)
{
	static const char *const names[] = {
		[WAIT_VERDICT] = "verdict",
		[WAIT_PUSH] = "push",
		[WAIT_REGISTER] = "register",
	};

	return names[wait];
}

const char *device_result_name(enum device_result result)
{
	static const char *const names[] = {
		[DEVICE_PENDING] = "pending",
		[DEVICE_ACCEPTED] = "accepted",
		[DEVICE_REJECTED] = "rejected",
		[DEVICE_FAILED] = "failed",
		[DEVICE_WITHDRAWN] = "withdrawn",
		[DEVICE_SKIPPED] = "skipped",
	};

	return names[result];
}

const char *skip_reason_name(enum skip_reason reason)
{
	static const char *const names[] = {
		[SKIP_NONE] = "",
		[SKIP_DEAD_TOKEN] = "dead-token",
		[SKIP_DND] = "dnd",
		[SKIP_RINGING] = "ringing",
		[SKIP_DECLINED] = "declined",
		[SKIP_NO_TOKEN] = "no-token",
		[SKIP_UNKNOWN_APP] = "unknown-app",
		[SKIP_SAME_PHONE] = "same-phone",
	};

	return names[reason];
}

enum rule call_state_rule(enum call_state state)
{
	static const enum rule rules[] = {
		[CALL_RINGING] = RULE_NONE,
		[CALL_ANSWERED] = RULE_ANSWERED,
		[CALL_CANCELLED] = RULE_CANCELLED,
		[CALL_DECLINED] = RULE_DECLINED,
		[CALL_TIMEOUT] = RULE_TIMEOUT,
		[CALL_COMPLETED] = RULE_COMPLETED,
		[CALL_UNKNOWN] = RULE_NONE,
	};

	return rules[state];
}
