/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_CALL_H
#define PBXPUSH_CORE_CALL_H

/* The words of CONTRACT 2.1. Each enum has a name function that returns the contract's spelling
 * (static string). */

enum verdict {
	VERDICT_PUSH,
	VERDICT_REGISTERED,
	VERDICT_REJECT,
	VERDICT_UNREACHABLE,
	VERDICT_ENDED
};

enum rule {
	RULE_NONE, /* null in replies */
	/* reject */
	RULE_BLOCKED,
	RULE_ANONYMOUS,
	RULE_DND,
	RULE_DND_SCHEDULE,
	RULE_BUSY,
	RULE_PBX_DND,
	RULE_PBX_BLOCKED,
	/* unreachable */
	RULE_NO_DEVICE,
	RULE_DEAD_TOKEN,
	RULE_PUSH_FAILED,
	RULE_NO_REGISTER,
	RULE_OVERLOADED,
	/* ended */
	RULE_STALE,
	RULE_ANSWERED,
	RULE_CANCELLED,
	RULE_DECLINED,
	RULE_TIMEOUT,
	RULE_COMPLETED,
	/* of what is not a call */
	RULE_MUTED,
};

enum call_state {
	CALL_RINGING,
	CALL_ANSWERED,
	CALL_CANCELLED,
	CALL_DECLINED,
	CALL_TIMEOUT,
	CALL_COMPLETED,
	CALL_UNKNOWN,
};

enum wait_mode { WAIT_VERDICT, WAIT_PUSH, WAIT_REGISTER };

/* What became of one device in one call. */
enum device_result {
	DEVICE_PENDING,
	DEVICE_ACCEPTED,
	DEVICE_REJECTED,
	DEVICE_FAILED,
	DEVICE_WITHDRAWN,
	DEVICE_SKIPPED,
};

enum skip_reason {
	SKIP_NONE,
	SKIP_DEAD_TOKEN,
	SKIP_DND,
	SKIP_RINGING,
	SKIP_DECLINED,
	SKIP_NO_TOKEN,
	SKIP_UNKNOWN_APP,
	SKIP_SAME_PHONE,
};

const char *verdict_name(enum verdict verdict);
const char *rule_name(enum rule rule); /* NULL for RULE_NONE */
const char *call_state_name(enum call_state state);
const char *wait_mode_name(enum wait_mode wait);
const char *device_result_name(enum device_result result);
const char *skip_reason_name(enum skip_reason reason); /* "" for SKIP_NONE */

/* The rule under which a call in this final state is `ended`. */
enum rule call_state_rule(enum call_state state);

#endif
