/* SPDX-License-Identifier: MIT */
/* `answer`, `end`, `ringing`, `call-state`: what happens to a call after it was announced. */
#include "flow_internal.h"

#include <stdlib.h>
#include <string.h>

struct ended {
	bool known;
	size_t withdrawn;
};

static void reply_ended(struct flow *flow, struct request *request, const struct ended *ended)
{
	struct buf *out = flow_reply_begin(flow, request);

	reply_add_string(out, "call", request->event.call);
	reply_add_bool(out, "known", ended->known);
	reply_add_int(out, "withdrawn", (int64_t)ended->withdrawn);
	flow_reply_end(flow, request);
}

static void tell(struct flow *flow, const struct call_event *event, const char *user)
{
	const struct timeline_field fields[] = {
		timeline_text("to", user ? flow_shown(flow, user) : NULL),
		timeline_text("device", event->device),
		timeline_word("reason", call_state_name(event->reason)),
	};

	flow_story(flow, event->call, NULL, event_spec(event->type)->name, fields,
		event->type == EVENT_END ? LENGTH(fields) : LENGTH(fields) - 1);
}

/* The first end counts; after an answer there is one more to come. */
static enum call_state state_after(enum call_state old, const struct call_event *event)
{
	enum call_state state = event->type == EVENT_ANSWER ? CALL_ANSWERED : event->reason;

	if (old == CALL_ANSWERED && event->type == EVENT_END)
		return event_has(event, FIELD_REASON) ? state : CALL_COMPLETED;
	return old == CALL_RINGING ? state : old;
}

/* The state of a call after an event for every user. */
static void set_over(struct call *call, const struct call_event *event, int64_t attempt)
{
	call->over_state = state_after(call->over ? call->over_state : CALL_RINGING, event);
	call->over = true;
	if (attempt > call->over_attempt)
		call->over_attempt = attempt;
}

/* True when only one user of the call still rings. */
static bool has_one_user(const struct call *call)
{
	const struct callee *callee, *first = NULL;

	TAILQ_FOREACH (callee, &call->callees, of_call) {
		if (callee->state != CALL_RINGING)
			continue;
		if (first && strcmp(first->user, callee->user) != 0)
			return false;
		first = callee;
	}
	return first != NULL;
}

/* A call that nobody announced yet: its `call` may come late, and must not ring. */
static void remember_unknown(struct flow *flow, const struct call_event *event, const char *user)
{
	struct calls *calls = &flow->calls;
	int64_t forget_us = flow->now_us + FLOW_UNKNOWN_END_US;
	struct call *call;
	struct callee *callee;
	char uuid[UUID_SIZE];

	if (calls->live_count + calls->ended_count + calls->bare.count >=
		(size_t)flow->config->max_calls)
		return; /* full of calls that matter more */
	call = calls_find(calls, event->call);
	if (!call)
		call = calls_add(calls, event->call);
	if (!call)
		return;
	if (user) {
		enum call_state state = state_after(CALL_RINGING, event);

		uuid_of_call(event->call, 1, flow->ports.sha1, uuid);
		callee = calls_add_callee(calls, call, user, uuid, 0, forget_us);
		if (callee) {
			callee->decided = VERDICT_ENDED;
			callee_set_state(flow, callee, state, NULL);
			callee->busy = state == CALL_ANSWERED;
			if (state != CALL_ANSWERED)
				callee->forget_us = forget_us;
			callee_settle(flow, callee);
			return;
		}
	} else if (!heap_set(&calls->bare, &call->due, forget_us)) {
		set_over(call, event, INT64_MAX);
		return;
	}
	if (TAILQ_EMPTY(&call->callees))
		calls_remove_bare(calls, call);
}

/* Last user first: of those who share a phone the first one's push wakes it, and with that
 * withdrawn, the push of one who still rings would go out. Returns false where the call has no
 * such user. */
static bool end_callees(struct flow *flow, struct call *call, const char *user,
	const struct call_event *event, struct ended *ended)
{
	bool only = user || has_one_user(call), found = false;
	struct callee *callee;
	int64_t attempt = 0;

	TAILQ_FOREACH_REVERSE(callee, &call->callees, callee_list, of_call)
	{
		bool rang = callee->state == CALL_RINGING;

		if (user && strcmp(callee->user, user) != 0)
			continue;
		if (callee->attempt > attempt)
			attempt = callee->attempt;
		found = true;
		ended->known |= callee->attempt > 0; /* else it is an end that overtook its call */
		ended->withdrawn += callee_set_state(
			flow, callee, state_after(callee->state, event), event->device);
		if (rang && callee->state == CALL_ANSWERED)
			callee->busy = only;
		callee_settle(flow, callee);
	}
	if (!user && found)
		set_over(call, event, attempt);
	return found;
}

/* `end` with a device: this phone is out, the others ring on. */
static void decline_device(
	struct flow *flow, struct callee *callee, const char *device, struct ended *ended)
{
	struct target *target = callee_find_target(callee, device, NULL);

	ended->known |= callee->attempt > 0;
	if (!target || target->out || callee->state != CALL_RINGING)
		return;
	target->out = true;
	if (target->result == DEVICE_PENDING)
		ended->withdrawn +=
			callee_withdraw(flow, callee, target, DEVICE_SKIPPED, SKIP_DECLINED);
	target->result = DEVICE_SKIPPED;
	target->skip = SKIP_DECLINED;
	for (size_t i = 0; i < callee->target_count; i++) {
		if (target_is_live(callee, &callee->targets[i])) {
			callee_settle(flow, callee);
			return;
		}
	}
	if (!callee->present) /* the last phone: nobody is left to ring */
		callee_set_state(flow, callee, CALL_DECLINED, device);
	callee_settle(flow, callee);
}

static void device_rings(
	struct flow *flow, struct callee *callee, const char *device, struct ended *ended)
{
	struct target *target = NULL;

	if (device)
		target = callee_find_target(callee, device, NULL);
	else if (callee->target_count == 1)
		target = &callee->targets[0];
	ended->known |= callee->attempt > 0;
	if (!target || callee->state != CALL_RINGING)
		return;
	target->rings = true;
	if (target->result == DEVICE_ACCEPTED)
		target->send_at_us = 0; /* an alert that rings need not be repeated */
	if (target->result != DEVICE_PENDING)
		return;
	ended->withdrawn += callee_withdraw(flow, callee, target, DEVICE_SKIPPED, SKIP_RINGING);
	call_settle(flow, callee->call);
}

static bool event_user(
	struct flow *flow, struct request *request, char out[AOR_SIZE], const char **user)
{
	*user = NULL;
	if (!request->event.to)
		return true;
	*user = out;
	return flow_user(flow, request, request->event.to, out);
}

/* Last user first, as above. */
static void each_callee(struct flow *flow, const struct call_event *event, const char *user,
	void (*fn)(struct flow *, struct callee *, const char *, struct ended *),
	struct ended *ended)
{
	struct call *call = calls_find(&flow->calls, event->call);
	struct callee *callee;

	if (!call)
		return;
	TAILQ_FOREACH_REVERSE(callee, &call->callees, callee_list, of_call)
	{
		if (!user || !strcmp(callee->user, user))
			fn(flow, callee, event->device, ended);
	}
}

static void handle_over(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct call *call = calls_find(&flow->calls, event->call);
	struct ended ended = {0};
	char text[AOR_SIZE];
	const char *user;

	if (!event_user(flow, request, text, &user))
		return;
	tell(flow, event, user);
	if (!call || !end_callees(flow, call, user, event, &ended))
		remember_unknown(flow, event, user);
	reply_ended(flow, request, &ended);
}

void handle_answer(struct flow *flow, struct request *request)
{
	handle_over(flow, request);
}

void handle_end(struct flow *flow, struct request *request)
{
	struct ended ended = {0};
	char text[AOR_SIZE];
	const char *user;

	if (!request->event.device) {
		handle_over(flow, request);
		return;
	}
	if (!event_user(flow, request, text, &user))
		return;
	tell(flow, &request->event, user);
	each_callee(flow, &request->event, user, decline_device, &ended);
	reply_ended(flow, request, &ended);
}

void handle_ringing(struct flow *flow, struct request *request)
{
	struct ended ended = {0};
	char text[AOR_SIZE];
	const char *user;

	if (!event_user(flow, request, text, &user))
		return;
	tell(flow, &request->event, user);
	each_callee(flow, &request->event, user, device_rings, &ended);
	reply_ended(flow, request, &ended);
}

/* Of several users or attempts the one that tells most: answered, then ringing, then the latest. */
static const struct callee *most_telling(const struct callee *a, const struct callee *b)
{
	if (!a || !b)
		return a ? a : b;
	if ((a->state == CALL_ANSWERED) != (b->state == CALL_ANSWERED))
		return a->state == CALL_ANSWERED ? a : b;
	if ((a->state == CALL_RINGING) != (b->state == CALL_RINGING))
		return a->state == CALL_RINGING ? a : b;
	return b->attempt >= a->attempt ? b : a;
}

static const struct callee *find_by_call(const struct call *call, const char *user)
{
	const struct callee *callee, *best = NULL;

	if (!call)
		return NULL;
	TAILQ_FOREACH (callee, &call->callees, of_call) {
		if (!user || !strcmp(callee->user, user))
			best = most_telling(best, callee);
	}
	return best;
}

static const struct callee *find_by_uuid(struct flow *flow, const char *text, const char *user)
{
	const struct callee *callee = NULL, *best = NULL;
	char uuid[UUID_SIZE];

	if (!uuid_normalize(text, uuid))
		return NULL;
	while ((callee = calls_of_uuid(&flow->calls, uuid, callee))) {
		if (!user || !strcmp(callee->user, user))
			best = most_telling(best, callee);
	}
	return best;
}

void handle_call_state(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct call *call = event->call ? calls_find(&flow->calls, event->call) : NULL;
	enum call_state state = call && call->over ? call->over_state : CALL_UNKNOWN;
	const struct callee *callee;
	char text[AOR_SIZE];
	const char *user;
	struct buf *out;

	if (!event_user(flow, request, text, &user))
		return;
	callee = event->call ? find_by_call(call, user) : find_by_uuid(flow, event->uuid, user);
	if (callee)
		state = callee->state;
	out = flow_reply_begin(flow, request);
	reply_add_string(out, "call", callee ? callee->call->id : event->call);
	reply_add_string(out, "uuid", callee ? callee->uuid : event->uuid);
	reply_add_string(out, "state", call_state_name(state));
	if (callee && callee->attempt)
		reply_add_int(out, "expires_ms", callee->deadline_ms);
	else
		buf_add_str(out, ",\"expires_ms\":null");
	reply_add_string(out, "device", callee ? callee->answered_by : NULL);
	flow_reply_end(flow, request);
}
