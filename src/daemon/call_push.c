/* SPDX-License-Identifier: MIT */
/* One push: built, handed to the transport, and what its end means for the call and the directory. */
#include "flow_internal.h"

#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/log.h>
#include <pbxpush/core/payload.h>

/* Lives until the transport's `done`, or until it is surely withdrawn; may outlive its callee. */
struct push {
	struct flow *flow;
	struct callee *callee; /* NULL once the callee is forgotten */
	struct target *target; /* valid while callee is */
	uint64_t ticket;
	int64_t read_us;
	enum push_type type;
	enum push_environment environment;
	bool learn;
	char *app, *token; /* owned: a 410 must reach the directory whatever became of the call */
};

static void push_free(struct push *push)
{
	push->flow->in_flight--;
	free(push->app);
	free(push->token);
	free(push);
}

static struct push *push_new(struct flow *flow, struct callee *callee, struct target *target)
{
	struct push *push = calloc(1, sizeof(*push));

	if (!push)
		return NULL;
	flow->in_flight++;
	push->flow = flow;
	push->callee = callee;
	push->target = target;
	push->read_us = callee->read_us;
	push->type = target->push;
	push->environment = target->environment;
	push->learn = target->learn;
	push->app = strdup(target->app);
	push->token = strdup(target->token);
	if (push->app && push->token)
		return push;
	push_free(push);
	return NULL;
}

void push_orphan(struct push *push)
{
	push->callee = NULL;
	push->target = NULL;
}

static const char *caller_number(
	const struct flow *flow, const struct call_event *event, char out[NUMBER_SIZE])
{
	const char *given = event->from_number ? event->from_number : event->from_uri;
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

static void write_payload(struct flow *flow, struct callee *callee, const struct target *target)
{
	const struct call_event *event = &callee->event;
	bool withheld = event->from_number && number_is_withheld(event->from_number);
	char number[NUMBER_SIZE];
	char *data = event->data ? json_dumps(event->data, JSON_COMPACT) : NULL;
	struct payload_call call = {
		.uuid = callee->uuid,
		.call_id = event->leg ? event->leg : event->call,
		.caller_name = event->from_name,
		.caller_number = caller_number(flow, event, number),
		.callee = event->to,
		.video = event->video,
		.started_ms = callee->started_ms,
		.expires_ms = callee->deadline_ms,
		.data = data,
		.fallback_name =
			withheld ? flow->config->anonymous_caller : flow->config->unknown_caller,
	};
	bool truncated = false;

	buf_reset(&flow->payload);
	if (target->push == PUSH_VOIP)
		payload_write_voip(&call, &flow->payload, &truncated);
	else
		payload_write_call_alert(&call, &flow->payload, &truncated);
	callee->truncated |= truncated;
	free(data);
}

static void push_done(void *arg, const struct push_result *result);

/* The latest moment at which a push is still of use: the phone needs time to register, and the PBX
 * wants to hear `push-failed` while the caller still rings. */
static int64_t push_deadline_us(const struct callee *callee)
{
	int64_t ring_us = (callee->deadline_ms - callee->started_ms) * 1000;

	return callee->deadline_us - (ring_us / 10 < 1000000 ? ring_us / 10 : 1000000);
}

static void new_apns_id(struct flow *flow, char out[UUID_SIZE])
{
	uint8_t random[16];

	flow->ports.random(random, sizeof(random));
	uuid_random(random, out);
}

static uint64_t send(
	struct flow *flow, struct callee *callee, const struct target *target, struct push *push)
{
	struct push_request request = {
		.type = target->push,
		.environment = target->environment,
		.priority = 10,
		/* A voip push is now or never: a phone switched on later must not ring. */
		.expiration_s = target->push == PUSH_VOIP ? 0 : (callee->deadline_ms + 999) / 1000,
		.collapse_id = target->push == PUSH_VOIP ? NULL : callee->uuid,
		.app = target->app,
		.token = target->token,
		.payload = flow->payload.data,
		.payload_len = flow->payload.len,
		.read_us = callee->read_us,
	};

	if (flow->payload.failed)
		return 0;
	memcpy(request.apns_id, target->apns_id, sizeof(request.apns_id));
	return flow->ports.transport->send(
		flow->ports.transport->self, &request, push_deadline_us(callee), push_done, push);
}

void push_start(struct flow *flow, struct callee *callee, struct target *target)
{
	struct push *push = push_new(flow, callee, target);
	uint64_t ticket = 0;

	target->send_at_us = 0;
	if (push) {
		new_apns_id(flow, target->apns_id);
		write_payload(flow, callee, target);
		ticket = send(flow, callee, target, push);
	}
	if (!ticket) {
		if (push)
			push_free(push);
		callee->overloaded = true;
		target->result = DEVICE_FAILED;
		strcpy(target->reason, "timeout"); /* it would have waited until too late */
		target->ended_us = flow->ports.mono_us();
		log_warning("call", "call=%s to=%s push not taken: queue full",
			flow_word(callee->call->id), flow_shown(flow, callee->user));
		return;
	}
	push->ticket = ticket;
	target->in_flight = push;
	flow->pushes++;
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
			push_start(flow, sibling, target);
			callee_settle(flow, sibling);
			return;
		}
	}
}

enum cancel_result push_cancel(struct flow *flow, struct callee *callee, struct target *target,
	enum device_result result, enum skip_reason skip)
{
	enum cancel_result cancelled = CANCEL_WITHDRAWN;

	if (target->in_flight) {
		cancelled = flow->ports.transport->cancel(
			flow->ports.transport->self, target->in_flight->ticket);
		if (cancelled != CANCEL_WITHDRAWN)
			return cancelled;
		push_free(target->in_flight);
		target->in_flight = NULL;
	}
	target->send_at_us = 0;
	target->apns_id[0] = '\0';
	target->result = result;
	target->skip = skip;
	target->ended_us = flow->ports.mono_us();
	if (skip != SKIP_RINGING) /* a phone that rings is awake for all its users */
		start_shared(flow, callee, target->token);
	return cancelled;
}

static void count_push(const struct push *push, const struct push_result *result)
{
	const struct flow *flow = push->flow;
	const char *outcome = result->class == PUSH_ACCEPTED ? "accepted"
			      : result->status               ? "rejected"
							     : "failed";

	metrics_add(flow->ports.metrics, METRIC_PUSHES, 1,
		(const char *const[]){push->app, push_environment_name(push->environment),
			push_type_name(push->type), outcome, result->reason});
	if (result->written_us)
		metrics_observe_us(flow->ports.metrics, METRIC_SEND_SECONDS,
			result->written_us - push->read_us);
	if (result->status)
		metrics_observe_us(
			flow->ports.metrics, METRIC_PUSH_SECONDS, result->done_us - push->read_us);
}

static void tell_push(const struct push *push, const struct push_result *result)
{
	struct flow *flow = push->flow;
	const struct callee *callee = push->callee;
	struct buf *story;

	if (result->class != PUSH_ACCEPTED)
		log_notice("push",
			"token=%.8s app=%s environment=%s status=%d reason=%s attempts=%d",
			push->token, push->app, push_environment_name(push->environment),
			result->status, result->reason[0] ? result->reason : "-", result->attempts);
	if (!callee)
		return;
	story = flow_story(flow, callee->call->id, callee->uuid, "push-answer");
	reply_add_string(story, "device", push->target->name);
	reply_add_string(story, "environment", push_environment_name(push->environment));
	reply_add_int(story, "status", result->status);
	reply_add_string(story, "reason", result->reason);
	timeline_end(flow->ports.timeline);
}

/* A token of `environment = auto` may belong to the other one: ask there, once (FAULTS 25). */
static bool probe_other(struct flow *flow, struct push *push, const struct push_result *result)
{
	struct target *target = push->target;
	struct callee *callee = push->callee;

	if (!callee || !target->may_probe || callee->state != CALL_RINGING || target->out ||
		result->class != PUSH_REJECTED_TOKEN ||
		strcmp(result->reason, "BadDeviceToken") != 0)
		return false;
	target->may_probe = false;
	target->attempts += result->attempts;
	target->environment =
		target->environment == PUSH_PRODUCTION ? PUSH_SANDBOX : PUSH_PRODUCTION;
	push_start(flow, callee, target);
	return true;
}

/* True where the token is dead now: it was not registered again after the time that a 410 names (FAULTS 24). */
static bool keep_token_state(struct push *push, const struct push_result *result)
{
	struct directory *directory = push->flow->ports.directory;
	int64_t died_ms = result->timestamp_ms ? result->timestamp_ms : push->flow->ports.wall_ms();
	struct device device;

	if (result->class == PUSH_ACCEPTED && push->learn)
		directory_learn_environment(directory, push->token,
			push->environment == PUSH_SANDBOX ? ENVIRONMENT_SANDBOX
							  : ENVIRONMENT_PRODUCTION);
	if (result->class != PUSH_REJECTED_TOKEN)
		return false;
	if (result->status == 410)
		directory_mark_dead(directory, push->token, TOKEN_UNREGISTERED, died_ms);
	else if (!push->learn || strcmp(result->reason, "BadDeviceToken") != 0 ||
		 (push->target && !push->target->may_probe))
		directory_mark_dead(directory, push->token, TOKEN_DEAD, 0);
	/* else the call ended before the other environment could be asked: the next one will */
	if (!push->callee ||
		!directory_find_token(directory, push->callee->user, push->token, &device))
		return true;
	return (push->type == PUSH_VOIP ? device.token_state : device.alert_token_state) !=
	       TOKEN_OK;
}

static void end_target(struct target *target, const struct push_result *result, bool dead)
{
	target->in_flight = NULL;
	target->attempts += result->attempts;
	target->status = result->status;
	target->ended_us = result->done_us;
	target->dead = dead;
	if (result->class == PUSH_ACCEPTED)
		target->accepted_us = result->done_us;
	memcpy(target->apns_id, result->apns_id, sizeof(target->apns_id));
	memcpy(target->reason, result->reason, sizeof(target->reason));
	if (target->out) /* declined meanwhile: stays skipped */
		return;
	target->result = result->class == PUSH_ACCEPTED ? DEVICE_ACCEPTED
			 : result->status               ? DEVICE_REJECTED
							: DEVICE_FAILED;
}

static void push_done(void *arg, const struct push_result *result)
{
	struct push *push = arg;
	struct flow *flow = push->flow;
	struct callee *callee = push->callee;

	count_push(push, result);
	tell_push(push, result);
	if (callee)
		push->target->in_flight = NULL;
	if (!probe_other(flow, push, result)) {
		bool dead = keep_token_state(push, result);

		if (callee)
			end_target(push->target, result, dead);
	}
	push_free(push);
	if (!callee)
		return;
	if (callee->state != CALL_RINGING && !callee_has_pushes(callee))
		call_event_free(&callee->event);
	call_settle(flow, callee->call);
}
