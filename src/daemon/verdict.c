/* SPDX-License-Identifier: MIT */
/* How a call stands, as its reply says it (CONTRACT 2.1). Reads the callee, changes nothing of
 * it. */
#include "flow_internal.h"

#include <string.h>

bool target_is_waking(const struct target *target)
{
	return target->result == DEVICE_PENDING || target->in_flight || target->accepted_us ||
	       target->skip == SKIP_RINGING;
}

const struct target *callee_find_carrier(const struct callee *callee, const char *token)
{
	const struct callee *sibling;
	const struct target *carrier = NULL;

	TAILQ_FOREACH (sibling, &callee->call->callees, of_call) {
		if (sibling->attempt != callee->attempt)
			continue;
		for (size_t i = 0; i < sibling->target_count; i++) {
			const struct target *target = &sibling->targets[i];

			if (target->shared || strcmp(target->token, token) != 0)
				continue;
			if (target_is_waking(target))
				return target;
			carrier = target;
		}
	}
	return carrier;
}

/* The target whose push wakes this phone: with same-phone another user's, else its own. */
static const struct target *carrier_of(const struct callee *callee, const struct target *target)
{
	const struct target *carrier =
		target->shared ? callee_find_carrier(callee, target->token) : NULL;

	return carrier ? carrier : target;
}

/* What became of a push, also where the phone it went to has declined since. */
static enum device_result result_of(const struct target *carrier)
{
	if (carrier->in_flight)
		return DEVICE_PENDING;
	return carrier->accepted_us ? DEVICE_ACCEPTED : carrier->result;
}

bool target_is_live(const struct callee *callee, const struct target *target)
{
	enum device_result result = result_of(carrier_of(callee, target));

	return !target->out && (result == DEVICE_PENDING || result == DEVICE_ACCEPTED);
}

static bool is_reported(const struct target *target, const char *device)
{
	return !device || !strcmp(target->name, device);
}

void target_report(const struct target *target, int64_t read_us, struct reply_device *out)
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
		.ms = target->ended_us ? (target->ended_us - read_us) / 1000 : 0,
	};
}

/* What the devices of a report amount to. */
struct tally {
	size_t live, accepted, failed, dead, dnd, declined;
	const struct target *registered, *rings;
};

static void add_to_tally(
	const struct callee *callee, const struct target *target, struct tally *sum)
{
	const struct target *carrier = carrier_of(callee, target);
	enum device_result result = result_of(carrier);

	if (target->out) {
		sum->declined++;
		return;
	}
	if (target->registered && !sum->registered)
		sum->registered = target;
	sum->live += result == DEVICE_PENDING || result == DEVICE_ACCEPTED;
	sum->accepted += result == DEVICE_ACCEPTED;
	/* withdrawn: its user's time was up, and ours as well */
	sum->failed += result == DEVICE_FAILED || result == DEVICE_WITHDRAWN ||
		       (result == DEVICE_REJECTED && !carrier->dead);
	sum->dead += carrier->dead || carrier->skip == SKIP_DEAD_TOKEN;
	sum->dnd += carrier->skip == SKIP_DND;
	if (carrier->skip == SKIP_RINGING)
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
	bool deadline = flow->now_us >= callee->deadline_us;
	struct tally sum = {0};

	*out = (struct reply_call){.call = callee->call->id,
		.uuid = callee->uuid,
		.truncated = callee->truncated,
		.devices = flow->report};
	for (size_t i = 0; i < callee->target_count; i++) {
		if (!is_reported(&callee->targets[i], device))
			continue;
		add_to_tally(callee, &callee->targets[i], &sum);
		target_report(
			&callee->targets[i], callee->read_us, &flow->report[out->device_count++]);
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
		const struct target *target = &callee->targets[i], *carrier;

		if (!is_reported(target, device) || target->out)
			continue;
		carrier = carrier_of(callee, target);
		pending |= result_of(carrier) == DEVICE_PENDING;
		if (carrier->accepted_us && (!accepted_us || carrier->accepted_us < accepted_us))
			accepted_us = carrier->accepted_us;
	}
	*due_us = pending && accepted_us ? accepted_us + FLOW_ACCEPTED_GRACE_US : 0;
	return !pending || (*due_us && now_us >= *due_us);
}
