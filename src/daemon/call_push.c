/* SPDX-License-Identifier: MIT */
/* The pushes of a call: their payload and headers, and what their end means for the callee. */
#include "flow_internal.h"

#include <string.h>

#include <pbxpush/core/template.h>

static struct callee *callee_of(struct push_owner *owner)
{
	return map_entry(owner, struct callee, owner);
}

void call_body_fill(struct flow *flow, const struct call_event *event,
	const struct call_facts *facts, const struct target *target, struct call_body *out)
{
	out->app = config_find_app(flow->config, target->app);
	caller_fill(event, flow->config, &flow->numbers, out->app, &out->caller);
	out->call = (struct payload_call){
		.uuid = facts->uuid,
		.call_id = event->leg ? event->leg : event->call,
		.caller_name = out->caller.name,
		.caller_number = out->caller.number,
		.caller_uri = out->caller.uri,
		.callee = event->to,
		.video = event->video,
		.started_ms = facts->started_ms,
		.expires_ms = facts->expires_ms,
		.data = event->data,
		.fallback_name = out->caller.fallback,
		.app = target->app,
		.device = target->name,
	};
}

static void write_payload(
	struct flow *flow, struct callee *callee, const struct target *target, bool shrink)
{
	struct call_body body;
	const struct template *template;
	bool truncated = false;

	call_body_fill(flow, callee->event,
		&(struct call_facts){callee->uuid, callee->started_ms, callee->deadline_ms}, target,
		&body);
	body.call.max_bytes = shrink ? PUSH_SHRUNK_MAX_BYTES : 0;
	template = !body.app                   ? NULL
		   : target->push == PUSH_VOIP ? body.app->payload
					       : body.app->alert;
	buf_reset(&flow->payload);
	if (template)
		template_write_call(template, &body.call, &flow->payload, &truncated);
	else if (target->push == PUSH_VOIP)
		payload_write_voip(&body.call, &flow->payload, &truncated);
	else
		payload_write_call_alert(&body.call, &flow->payload, &truncated);
	callee->truncated |= truncated;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The latest moment at which a push is still of use: the phone needs time to register, and the PBX
 * wants to hear `push-failed` while the caller still rings. A push that goes out late has half of
 * what is left. */
static int64_t push_deadline_us(const struct callee *callee, int64_t now_us)
{
	int64_t ring_us = (callee->deadline_ms - callee->started_ms) * 1000;
	int64_t left_us = callee->deadline_us - now_us;

	return callee->deadline_us - smaller(smaller(ring_us / 10, 1000000), left_us / 2);
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
		request->expiration_s = callee->deadline_ms / 1000;
		request->collapse_id = callee->uuid;
	} /* a VoIP push is now or never: a phone switched on later must not ring */
	return push_deadline_us(callee, flow->now_us);
}

static bool wants(const struct push_owner *owner, const struct target *target)
{
	const struct callee *callee = map_entry(owner, const struct callee, owner);

	return callee->state == CALL_RINGING && !target->out;
}

/* An alert rings once: it is repeated while the call lives, and closed where it came too late to
 * be withdrawn. */
static void alert_accepted(struct flow *flow, struct callee *callee, struct target *target)
{
	if (callee->state != CALL_RINGING)
		news_close_call(flow, callee, target);
	else if (flow->config->alert_repeat_ms && !target->rings && !target->registered)
		target->send_at_us = flow->now_us + flow->config->alert_repeat_ms * 1000;
}

static void ended(struct flow *flow, struct push_owner *owner, struct target *target)
{
	struct callee *callee = callee_of(owner);

	if (target->push == PUSH_ALERT && target->result == DEVICE_ACCEPTED)
		alert_accepted(flow, callee, target);
	callee_tidy(flow, callee);
	call_settle(flow, callee->call);
}

void callee_own_pushes(struct callee *callee)
{
	callee->owner = (struct push_owner){.call_id = callee->call->id,
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
	int64_t now_us = flow->now_us;
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
