/* SPDX-License-Identifier: MIT */
/* One push to one device: handed to the transport, and what its end means for the directory. */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/log.h>

#include "flow_internal.h"

/* Lives until the transport's `done`, or until it is surely withdrawn; may outlive its owner. */
struct push {
	struct flow *flow;
	struct push_owner *owner; /* NULL once the owner is gone */
	struct target *target;    /* valid while owner is */
	uint64_t ticket;
	int64_t read_us;
	size_t payload_len;
	enum push_type type;
	enum push_environment environment;
	bool learn;
	char *user, *device; /* owned, once the owner is gone, else NULL */
	/* copies: a 410 must reach the directory whatever became of the owner */
	const char *app;
	char token[];
};

void target_clear(struct target *target)
{
	free(target->name);
	free(target->new_contact);
}

static void push_free(struct push *push)
{
	push->flow->in_flight--;
	free(push->user);
	free(push->device);
	free(push);
}

static struct push *push_new(struct flow *flow, struct push_owner *owner, struct target *target)
{
	size_t token_size = strlen(target->token) + 1;
	struct push *push = malloc(sizeof(*push) + token_size + strlen(target->app) + 1);

	if (!push)
		return NULL;
	*push = (struct push){.flow = flow,
		.owner = owner,
		.target = target,
		.read_us = owner->read_us,
		.type = target->push,
		.environment = target->environment,
		.learn = target->learn};
	memcpy(push->token, target->token, token_size);
	push->app = strcpy(push->token + token_size, target->app);
	flow->in_flight++;
	return push;
}

void push_orphan(struct push *push)
{
	push->user = strdup(push->owner->user);
	push->device = strdup(push->target->name);
	push->owner = NULL;
	push->target = NULL;
}

static void push_done(void *arg, const struct push_result *result);

static uint64_t push_send(struct push *push)
{
	struct flow *flow = push->flow;
	struct target *target = push->target;
	struct push_request request = {.type = target->push,
		.environment = target->environment,
		.app = target->app,
		.token = target->token,
		.read_us = push->read_us};
	int64_t deadline_us;
	uint8_t random[16];

	deadline_us = push->owner->describe(flow, push->owner, target, target->shrunk, &request);
	if (!request.payload)
		return 0;
	push->payload_len = request.payload_len;
	flow->ports.random(random, sizeof(random));
	uuid_random(random, request.apns_id);
	memcpy(target->apns_id, request.apns_id, sizeof(target->apns_id));
	return flow->ports.transport->send(
		flow->ports.transport->self, &request, deadline_us, push_done, push);
}

bool push_start(struct flow *flow, struct push_owner *owner, struct target *target)
{
	struct push *push = push_new(flow, owner, target);

	target->send_at_us = 0;
	if (push)
		push->ticket = push_send(push);
	if (push && push->ticket) {
		target->in_flight = push;
		flow->pushes++;
		return true;
	}
	if (push)
		push_free(push);
	target->result = DEVICE_FAILED;
	strcpy(target->reason, "timeout"); /* it would have waited until too late */
	target->ended_us = flow->now_us;
	log_warning("push", "token=%.*s app=%s not taken: queue full", PUSH_TOKEN_SHOWN,
		target->token, target->app);
	return false;
}

enum cancel_result push_cancel(
	struct flow *flow, struct target *target, enum device_result result, enum skip_reason skip)
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
	target->ended_us = flow->now_us;
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

	if (result->class != PUSH_ACCEPTED)
		log_notice("push",
			"token=%.*s app=%s environment=%s status=%d reason=%s attempts=%d",
			PUSH_TOKEN_SHOWN, push->token, push->app,
			push_environment_name(push->environment), result->status,
			result->reason[0] ? result->reason : "-", result->attempts);
	if (!push->owner || !push->owner->call_id)
		return;
	const struct timeline_field fields[] = {
		timeline_text("device", push->target->name),
		timeline_word("environment", push_environment_name(push->environment)),
		timeline_number("status", result->status),
		timeline_text("reason", result->reason),
	};
	flow_story(flow, push->owner->call_id, NULL, "push-answer", fields, LENGTH(fields));
}

/* Two refusals have a second chance, each once: a token of `environment = auto` may belong to the
 * other environment (FAULTS 25), and a payload that was too large may be smaller (FAULTS 27). */
static bool send_again(struct push *push, const struct push_result *result)
{
	struct target *target = push->target;

	if (!push->owner || !push->owner->wants(push->owner, target))
		return false;
	if (result->class == PUSH_REJECTED_TOKEN && target->may_probe &&
		!strcmp(result->reason, "BadDeviceToken")) {
		target->may_probe = false;
		target->environment =
			target->environment == PUSH_PRODUCTION ? PUSH_SANDBOX : PUSH_PRODUCTION;
	} else if (result->class == PUSH_REJECTED_SIZE && !target->shrunk &&
		   push->payload_len > PUSH_SHRUNK_MAX_BYTES) {
		target->shrunk = true;
	} else {
		return false;
	}
	target->attempts += result->attempts;
	push_start(push->flow, push->owner, target);
	return true;
}

/* The directory has taken it in: who else wants to know? */
static void tell_dead(const struct push *push, const struct push_result *result, size_t changed)
{
	struct hook_event event = {
		.user = push->owner ? push->owner->user : push->user,
		.device = push->target ? push->target->name : push->device,
		.app = push->app,
		.token = push->token,
		.push = push->type,
		.environment = push->environment,
		.status = result->status,
		.reason = result->reason,
		.died_ms = result->timestamp_ms,
	};

	flow_tell_dead_token(push->flow, &event, changed);
}

/* True where the token is dead now: it was not registered again after the time that a 410 names
 * (FAULTS 24). */
static bool keep_token_state(struct push *push, const struct push_result *result)
{
	struct directory *directory = push->flow->ports.directory;
	int64_t died_ms = result->timestamp_ms ? result->timestamp_ms : push->flow->now_ms;
	struct device device;

	if (result->class == PUSH_ACCEPTED && push->learn)
		directory_learn_environment(directory, push->token,
			push->environment == PUSH_SANDBOX ? ENVIRONMENT_SANDBOX
							  : ENVIRONMENT_PRODUCTION);
	if (result->class != PUSH_REJECTED_TOKEN)
		return false;
	if (result->status == 410)
		tell_dead(push, result,
			directory_mark_dead(directory, push->token, TOKEN_UNREGISTERED, died_ms));
	else if (!push->learn || strcmp(result->reason, "BadDeviceToken") != 0 ||
		 (push->target && !push->target->may_probe))
		tell_dead(push, result, directory_mark_dead(directory, push->token, TOKEN_DEAD, 0));
	/* else the call ended before the other environment could be asked: the next one will */
	if (!push->owner ||
		!directory_find_token(directory, push->owner->user, push->token, &device))
		return true;
	return (push->type == PUSH_VOIP ? device.token_state : device.alert_token_state) !=
	       TOKEN_OK;
}

static void end_target(struct target *target, const struct push_result *result, bool dead)
{
	bool repeated = target->accepted_us != 0; /* an alert again: the first one counts */

	target->attempts += result->attempts;
	if (repeated)
		return;
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
	struct push_owner *owner = push->owner;
	struct target *target = push->target;

	flow_look_at_clock(flow);
	count_push(push, result);
	tell_push(push, result);
	if (target)
		target->in_flight = NULL;
	if (!send_again(push, result)) {
		bool dead = keep_token_state(push, result);

		if (target)
			end_target(target, result, dead);
	}
	push_free(push);
	if (owner)
		owner->ended(flow, owner, target);
}
