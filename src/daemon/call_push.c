/* SPDX-License-Identifier: MIT */
/* The pushes of a call: their payload and headers, and what their end means for the callee. */
#include "flow_internal.h"

#include <string.h>

#include <pbxpush/core/payload.h>

static struct callee *callee_of(struct push_owner *owner)
{
	return map_entry(owner, struct callee, owner);
}

const char *caller_given(const struct call_event *event)
{
	bool has_uri = event->from_uri && event->from_uri[0];

	return event->from_number ? event->from_number : has_uri ? event->from_uri : NULL;
}

static const char *caller_number(
	const struct flow *flow, const struct call_event *event, char out[NUMBER_SIZE])
{
	const char *given = caller_given(event);
	bool is_uri;

	if (!given || number_is_withheld(given))
		return NULL;
	number_normalize(&flow->numbers, given, out);
	is_uri = strchr(given, ':') != NULL;
	if (out[0] == '+' || (is_uri && event->from_number))
		return out;
	if (event->from_number)
		return given;
	/* only a URI: its user part is a number where it looks like one */
	return out[0] && out[strspn(out, "+*#0123456789")] == '\0' ? out : NULL;
}

static void write_payload(
	struct flow *flow, struct callee *callee, const struct target *target, bool shrink)
{
	const struct call_event *event = &callee->event;
	const char *given = caller_given(event);
	bool withheld = given && number_is_withheld(given);
	bool voip = target->push == PUSH_VOIP;
	char number[NUMBER_SIZE];
	struct payload_call call = {
		.uuid = callee->uuid,
		.call_id = event->leg ? event->leg : event->call,
		.caller_name = event->from_name,
		.caller_number = caller_number(flow, event, number),
		.callee = event->to,
		.video = event->video,
		.started_ms = callee->started_ms,
		.expires_ms = callee->deadline_ms,
		.data = event->data_text,
		.fallback_name =
			withheld ? flow->config->anonymous_caller : flow->config->unknown_caller,
		.max_bytes = shrink ? PUSH_SHRUNK_MAX_BYTES : 0,
	};
	bool truncated = false;

	buf_reset(&flow->payload);
	if (voip)
		payload_write_voip(&call, &flow->payload, &truncated);
	else
		payload_write_call_alert(&call, &flow->payload, &truncated);
	callee->truncated |= truncated;
}

/* The latest moment at which a push is still of use: the phone needs time to register, and the PBX
 * wants to hear `push-failed` while the caller still rings. */
static int64_t push_deadline_us(const struct callee *callee)
{
	int64_t ring_us = (callee->deadline_ms - callee->started_ms) * 1000;

	return callee->deadline_us - (ring_us / 10 < 1000000 ? ring_us / 10 : 1000000);
}

static int64_t describe(struct flow *flow, struct push_owner *owner, const struct target *target,
	bool shrink, struct push_request *request)
{
	struct callee *callee = callee_of(owner);

	write_payload(flow, callee, target, shrink);
	request->payload = flow->payload.failed ? NULL : flow->payload.data;
	request->payload_len = flow->payload.len;
	request->priority = 10;
	if (target->push != PUSH_VOIP) {
		request->expiration_s = (callee->deadline_ms + 999) / 1000;
		request->collapse_id = callee->uuid;
	} /* a VoIP push is now or never: a phone switched on later must not ring */
	return push_deadline_us(callee);
}

static bool wants(const struct push_owner *owner, const struct target *target)
{
	const struct callee *callee = map_entry(owner, const struct callee, owner);

	return callee->state == CALL_RINGING && !target->out;
}

static void ended(struct flow *flow, struct push_owner *owner, struct target *target)
{
	struct callee *callee = callee_of(owner);

	(void)target;
	if (callee->state != CALL_RINGING && !callee_has_pushes(callee))
		call_event_free(&callee->event);
	call_settle(flow, callee->call);
}

void callee_own_pushes(struct callee *callee)
{
	callee->owner = (struct push_owner){.call_id = callee->call->id,
		.uuid = callee->uuid,
		.user = callee->user,
		.read_us = callee->read_us,
		.describe = describe,
		.wants = wants,
		.ended = ended};
}

void callee_push(struct flow *flow, struct callee *callee, struct target *target)
{
	if (!push_start(flow, &callee->owner, target))
		callee->overloaded = true;
}

/* Another user of this call shares the phone: with the first push withdrawn, its own goes out. */
static void start_shared(struct flow *flow, struct callee *callee, const char *token)
{
	int64_t now_us = flow->ports.mono_us();
	struct callee *sibling;

	TAILQ_FOREACH (sibling, &callee->call->callees, of_call) {
		if (sibling == callee || sibling->state != CALL_RINGING ||
			sibling->attempt != callee->attempt || sibling->deadline_us <= now_us)
			continue;
		for (size_t i = 0; i < sibling->target_count; i++) {
			struct target *target = &sibling->targets[i];

			if (!target->shared || target->out || strcmp(target->token, token) != 0)
				continue;
			target->shared = false;
			target->skip = SKIP_NONE;
			target->result = DEVICE_PENDING;
			callee_push(flow, sibling, target);
			callee_settle(flow, sibling);
			return;
		}
	}
}

bool callee_withdraw(struct flow *flow, struct callee *callee, struct target *target,
	enum device_result result, enum skip_reason skip)
{
	if (push_cancel(flow, target, result, skip) != CANCEL_WITHDRAWN)
		return false;
	if (skip != SKIP_RINGING) /* a phone that rings is awake for all its users */
		start_shared(flow, callee, target->token);
	return true;
}
