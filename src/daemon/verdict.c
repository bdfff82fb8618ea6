/* SPDX-License-Identifier: MIT */
/* How a call stands, as its reply says it (CONTRACT 2.1). Reads the callee, changes nothing of it. */
#include "flow_internal.h"

#include <string.h>

bool target_is_live(const struct callee *callee, const struct target *target)
{
	const struct callee *sibling;

	if (target->out)
		return false;
	if (!target->shared)
		return target->result == DEVICE_PENDING || target->result == DEVICE_ACCEPTED;
	/* same-phone: as live as the push that another user of this call sent to it */
	TAILQ_FOREACH (sibling, &callee->call->callees, of_call) {
		if (sibling->attempt != callee->attempt)
			continue;
		for (size_t i = 0; i < sibling->target_count; i++) {
			const struct target *other = &sibling->targets[i];

			if (!other->shared && !strcmp(other->token, target->token) &&
				(other->result == DEVICE_PENDING ||
					other->result == DEVICE_ACCEPTED))
				return true;
		}
	}
	return false;
}

static bool is_reported(const struct target *target, const char *device)
{
	return !device || !strcmp(target->name, device);
}

static void report_device(
	const struct callee *callee, const struct target *target, struct reply_device *out)
{
	*out = (struct reply_device){
		.name = target->name,
		.app = target->app,
		.push = target->push,
		.result = target->result,
		.reason = target->result == DEVICE_SKIPPED ? skip_reason_name(target->skip)
							   : target->reason,
		.status = target->status,
		.apns_id = target->apns_id,
		.attempts = target->attempts,
		.ms = target->ended_us ? (target->ended_us - callee->read_us) / 1000 : 0,
	};
}

/* What the devices of a report amount to. */
struct tally {
	size_t count, live, accepted, failed, dead, dnd, ringing, declined;
	const struct target *registered, *rings;
};

static void add_to_tally(
	const struct callee *callee, const struct target *target, struct tally *sum)
{
	sum->count++;
	sum->live += target_is_live(callee, target);
	sum->accepted += target->result == DEVICE_ACCEPTED || target->shared;
	sum->declined += target->out;
	if (target->registered && !target->out && !sum->registered)
		sum->registered = target;
	if (target->result == DEVICE_FAILED)
		sum->failed++;
	if (target->result == DEVICE_REJECTED) {
		if (target->dead)
			sum->dead++;
		else
			sum->failed++;
	}
	if (target->result != DEVICE_SKIPPED)
		return;
	sum->dead += target->skip == SKIP_DEAD_TOKEN;
	sum->dnd += target->skip == SKIP_DND;
	if (target->skip == SKIP_RINGING)
		sum->rings = target;
}

static void stands(struct reply_call *out, enum verdict verdict, enum rule rule)
{
	out->verdict = verdict;
	out->rule = rule;
}

static void stands_registered(
	struct reply_call *out, const char *device, const char *contact, int64_t wake_ms)
{
	stands(out, VERDICT_REGISTERED, RULE_NONE);
	out->registered_device = device;
	out->registered_contact = contact;
	out->wake_ms = wake_ms;
}

/* Nothing is being woken: why? */
static void stands_unreachable(const struct callee *callee, const struct tally *sum,
	bool all_devices, struct reply_call *out)
{
	if (sum->rings)
		stands_registered(out, sum->rings->name, sum->rings->contact, -1);
	else if (callee->present &&
		 all_devices) /* a desk phone: nothing to wake, but it is there */
		stands_registered(out, NULL, callee->contact, -1);
	else if (sum->failed)
		stands(out, VERDICT_UNREACHABLE,
			callee->overloaded ? RULE_OVERLOADED : RULE_PUSH_FAILED);
	else if (sum->dnd)
		stands(out, VERDICT_REJECT, RULE_DND);
	else if (sum->declined)
		stands(out, VERDICT_ENDED, RULE_DECLINED);
	else if (sum->dead)
		stands(out, VERDICT_UNREACHABLE, RULE_DEAD_TOKEN);
	else
		stands(out, VERDICT_UNREACHABLE, RULE_NO_DEVICE);
}

void callee_stands(struct flow *flow, struct callee *callee, const char *device,
	enum wait_mode wait, bool time_up, struct reply_call *out)
{
	bool deadline = flow->ports.mono_us() >= callee->deadline_us;
	struct tally sum = {0};

	*out = (struct reply_call){.call = callee->call->id,
		.uuid = callee->uuid,
		.truncated = callee->truncated,
		.devices = flow->report};
	for (size_t i = 0; i < callee->target_count; i++) {
		if (!is_reported(&callee->targets[i], device))
			continue;
		add_to_tally(callee, &callee->targets[i], &sum);
		report_device(callee, &callee->targets[i], &flow->report[out->device_count++]);
	}
	if (callee->state != CALL_RINGING)
		stands(out, VERDICT_ENDED, call_state_rule(callee->state));
	else if (callee->decided != VERDICT_PUSH)
		stands(out, callee->decided, callee->rule);
	else if (sum.registered)
		stands_registered(out, sum.registered->name, sum.registered->contact,
			sum.registered->wake_ms);
	else if (callee->woken && !device)
		stands_registered(out, NULL, callee->contact, callee->wake_ms);
	else if (!sum.live)
		stands_unreachable(callee, &sum, !device, out);
	else if (time_up && (wait == WAIT_REGISTER || deadline))
		stands(out, VERDICT_UNREACHABLE,
			sum.accepted || !deadline ? RULE_NO_REGISTER : RULE_PUSH_FAILED);
	else
		stands(out, VERDICT_PUSH, RULE_NONE);
}

bool callee_pushes_are_told(
	const struct callee *callee, const char *device, int64_t now_us, int64_t *due_us)
{
	int64_t accepted_us = 0;
	bool pending = false;

	for (size_t i = 0; i < callee->target_count; i++) {
		const struct target *target = &callee->targets[i];

		if (!is_reported(target, device))
			continue;
		pending |= target->result == DEVICE_PENDING;
		if (target->accepted_us && (!accepted_us || target->accepted_us < accepted_us))
			accepted_us = target->accepted_us;
	}
	*due_us = pending && accepted_us ? accepted_us + FLOW_ACCEPTED_GRACE_US : 0;
	return !pending || (*due_us && now_us >= *due_us);
}
