/* SPDX-License-Identifier: MIT */
/* The `call` event: known already? may it ring? which phones? push. */
#include "flow_internal.h"

#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/policy.h>

#include "caller.h"

/* What the event says, made absolute. */
struct call_times {
	int64_t started_ms, deadline_ms, deadline_us;
};

static struct call_times times_of(const struct flow *flow, const struct request *request)
{
	const struct call_event *event = &request->event;
	int64_t now_ms = flow->now_ms;
	int64_t ring_ms =
		event_has(event, FIELD_RING_MS) ? event->ring_ms : flow->config->ring_timeout_ms;
	struct call_times times = {.started_ms = now_ms};

	/* A call cannot begin later than its event: a PBX whose clock runs ahead must not make
	 * it live longer. */
	if (event_has(event, FIELD_STARTED_MS) && event->started_ms < now_ms)
		times.started_ms = event->started_ms;
	times.deadline_ms = times.started_ms + ring_ms;
	times.deadline_us = flow->now_us + (times.deadline_ms - now_ms) * 1000;
	return times;
}

static bool is_busy(const struct flow *flow, const char *user)
{
	const struct callee *callee = NULL;

	while ((callee = calls_of_user(&flow->calls, user, callee))) {
		if (callee->busy)
			return true;
	}
	return false;
}

/* True when do-not-disturb silenced a call of this number to this user a moment ago
 * (repeat-caller). */
static bool is_repeated(const struct flow *flow, const char *user, const char *number)
{
	int64_t since_us = flow->now_us - flow->config->repeat_caller_ms * 1000;
	const struct callee *callee = NULL;

	if (!flow->config->repeat_caller_ms)
		return false;
	while ((callee = calls_of_user(&flow->calls, user, callee))) {
		if (callee->silenced && !strcmp(callee->silenced, number) &&
			callee->read_us >= since_us)
			return true;
	}
	return false;
}

/* An end that overtook this call: of the whole call, or of this user. */
static enum call_state ended_before(const struct call *call, const char *user, int64_t attempt)
{
	const struct callee *callee = call ? call_find_callee(call, user, (int)attempt) : NULL;

	if (callee && !callee->attempt)
		return callee->state;
	return call && call->over && attempt <= call->over_attempt ? call->over_state
								   : CALL_RINGING;
}

/* What is decided about a call, and what else came to light on the way. */
struct decided {
	struct policy_decision policy;
	bool dnd_counts;          /* also that of one device */
	char number[NUMBER_SIZE]; /* the caller as lists see him, "" where unknown */
};

static struct decided decide(struct flow *flow, const struct call_event *event, const char *user,
	const struct call *call, int64_t deadline_ms)
{
	struct directory *directory = flow->ports.directory;
	struct decided decided = {0};
	char *number = decided.number;
	bool has_number = caller_key(event, &flow->numbers, number);
	int waiting = directory_call_waiting(directory, user);
	struct policy_call input = {.dnd = event->pbx_dnd,
		.blocked = event->pbx_blocked,
		.bypass = event->bypass,
		.anonymous = has_number && !strcmp(number, "anonymous"),
		.deadline_ms = deadline_ms};
	struct policy_subscriber subscriber = {
		.call_waiting = waiting < 0 ? flow->config->call_waiting : waiting,
		.dnd_schedule = flow_schedule_holds(flow, user, NULL),
		.ended = ended_before(call, user, event->attempt),
	};

	/* looked up where it decides only: a hunt group's number has many calls */
	subscriber.busy = !subscriber.call_waiting && is_busy(flow, user);
	subscriber.dnd = directory_dnd(directory, user, &subscriber.dnd_until_ms);
	if (has_number) {
		const char *blocked = directory_list_match(directory, user, LIST_BLOCK, number);

		subscriber.allowed_by = directory_list_match(directory, user, LIST_ALLOW, number);
		subscriber.blocked_by = input.anonymous ? NULL : blocked;
		subscriber.blocks_anonymous = input.anonymous && blocked;
		subscriber.repeated = !input.anonymous && is_repeated(flow, user, number);
	}
	decided.dnd_counts = !subscriber.allowed_by && !subscriber.repeated && !event->bypass;
	decided.policy = policy_decide(&input, &subscriber, flow->now_ms);
	return decided;
}

/* Makes room in the table, by forgetting the oldest ended call; false when all live. */
static bool make_room(struct flow *flow)
{
	struct calls *calls = &flow->calls;
	size_t count = calls->live_count + calls->ended_count;
	struct heap_node *bare = heap_first(&calls->bare);

	if (count + calls->bare.count < (size_t)flow->config->max_calls)
		return true;
	if (bare) {
		calls_remove_bare(calls, map_entry(bare, struct call, due));
		return true;
	}
	if (TAILQ_EMPTY(&calls->ended))
		return false;
	callee_forget(flow, TAILQ_FIRST(&calls->ended));
	return true;
}

static void tell_event(
	struct flow *flow, const struct call_event *event, const char *user, const char *uuid)
{
	const struct timeline_field fields[] = {
		timeline_word("event", "call"),
		timeline_text("to", flow_shown(flow, user)),
		timeline_text(
			"from", event->from_number ? flow_shown(flow, event->from_number) : NULL),
		timeline_number("attempt", event->attempt),
		timeline_word("wait", wait_mode_name(event->wait)),
	};

	flow_story(flow, event->call, uuid, "event", fields, LENGTH(fields));
}

static void tell_decision(
	struct flow *flow, const struct call_event *event, const struct policy_decision *decision)
{
	const struct timeline_field fields[] = {
		timeline_word("verdict", verdict_name(decision->verdict)),
		timeline_word("rule", rule_name(decision->rule)),
		timeline_text(
			"matched", decision->matched ? flow_shown(flow, decision->matched) : NULL),
	};

	flow_story(flow, event->call, NULL, "decision", fields, LENGTH(fields));
}

static void tell_target(struct flow *flow, const struct callee *callee, const struct target *target)
{
	bool skipped = target->result == DEVICE_SKIPPED;
	const struct timeline_field fields[] = {
		timeline_text("device", target->name),
		skipped ? timeline_word("reason", skip_reason_name(target->skip))
			: timeline_word("type", push_type_name(target->push)),
	};

	flow_story(flow, callee->call->id, NULL, skipped ? "skip" : "push", fields, LENGTH(fields));
}

/* Answers a call that gets no place in the table: ended before it came, or no room. */
static void answer_unplaced(struct flow *flow, struct request *request, const char *user,
	const char *uuid, enum verdict verdict, enum rule rule)
{
	struct reply_call reply = {
		.call = request->event.call, .uuid = uuid, .verdict = verdict, .rule = rule};

	buf_reset(&flow->out);
	reply_write_call(request->id, &reply, &flow->out);
	flow_reply(request->to, &flow->out);
	call_tell_verdict(flow, user, request->event.attempt, request->read_us, &reply);
}

static void start_pushes(struct flow *flow, struct callee *callee)
{
	for (size_t i = 0; i < callee->target_count; i++) {
		struct target *target = &callee->targets[i];

		if (target->result == DEVICE_PENDING && !target->send_at_us)
			callee_push(flow, callee, target);
		tell_target(flow, callee, target);
	}
}

/* call: NULL where the event's is not in the table. */
static struct callee *place(struct flow *flow, struct request *request, struct call *call,
	const char *user, const char *uuid, const struct call_times *times)
{
	size_t known = flow->calls.by_id.count;
	struct callee *callee;

	if (!make_room(flow))
		return NULL;
	if (call && flow->calls.by_id.count != known) /* it may have made room itself */
		call = calls_find(&flow->calls, request->event.call);
	if (!call)
		call = calls_add(&flow->calls, request->event.call);
	if (!call)
		return NULL;
	callee = calls_add_callee(
		&flow->calls, call, user, uuid, (int)request->event.attempt, times->deadline_us);
	if (!callee) {
		if (TAILQ_EMPTY(&call->callees))
			calls_remove_bare(&flow->calls, call);
		return NULL;
	}
	callee->read_us = request->read_us;
	callee->started_ms = times->started_ms;
	callee->deadline_ms = times->deadline_ms;
	callee->deadline_us = times->deadline_us;
	callee_own_pushes(callee);
	return callee;
}

/* True when do-not-disturb, of the user or of every device that could ring, keeps the call silent. */
static bool is_silenced(const struct callee *callee)
{
	bool dnd = callee->rule == RULE_DND || callee->rule == RULE_DND_SCHEDULE;

	for (size_t i = 0; i < callee->target_count; i++) {
		if (callee->targets[i].result == DEVICE_PENDING)
			return false;
		dnd |= callee->targets[i].skip == SKIP_DND;
	}
	return dnd;
}

/* So that the same call without its `started_ms` does not pass for a new one. */
static void remember_stale(struct flow *flow, struct request *request, const char *user,
	const char *uuid, const struct call_times *times)
{
	struct callee *callee = place(flow, request, NULL, user, uuid, times);

	if (!callee)
		return;
	callee->decided = VERDICT_ENDED;
	callee->rule = RULE_STALE;
	callee_set_state(flow, callee, CALL_TIMEOUT, NULL);
	callee_settle(flow, callee);
}

static void handle_new_call(
	struct flow *flow, struct request *request, struct call *call, const char *user)
{
	const struct call_event *event = &request->event;
	struct call_times times = times_of(flow, request);
	const struct policy_decision *decision;
	struct decided decided;
	struct callee *callee;
	char uuid[UUID_SIZE];

	if (!event->uuid || !uuid_normalize(event->uuid, uuid))
		uuid_of_call(event->call, (int)event->attempt, flow->ports.sha1, uuid);
	tell_event(flow, event, user, uuid);
	decided = decide(flow, event, user, call, times.deadline_ms);
	decision = &decided.policy;
	tell_decision(flow, event, decision);
	if (decision->verdict == VERDICT_ENDED) {
		if (decision->rule == RULE_STALE && !call)
			remember_stale(flow, request, user, uuid, &times);
		answer_unplaced(flow, request, user, uuid, decision->verdict, decision->rule);
		return;
	}
	callee = flow->stopping ? NULL : place(flow, request, call, user, uuid, &times);
	if (!callee) {
		answer_unplaced(flow, request, user, uuid, VERDICT_UNREACHABLE, RULE_OVERLOADED);
		return;
	}
	callee->decided = decision->verdict;
	callee->rule = decision->rule;
	if (decision->ring) /* what was borrowed from it lives on there */
		callee->event = call_event_keep(&request->event);
	if (decision->ring && targets_make(flow, callee, decided.dnd_counts)) {
		callee->decided = VERDICT_UNREACHABLE;
		callee->rule = RULE_OVERLOADED;
	}
	if (is_silenced(callee)) {
		callee->silenced = strdup(decided.number);
		news_count_silenced(flow, callee, callee->event ? callee->event : event);
		flow_tell_missed_call(flow, callee, callee->event ? callee->event : event);
	}
	if (callee_add_waiter(flow, callee, request, event, false)) {
		callee->decided = VERDICT_UNREACHABLE;
		callee->rule = RULE_OVERLOADED;
		answer_unplaced(flow, request, user, uuid, VERDICT_UNREACHABLE, RULE_OVERLOADED);
	}
	if (callee->decided == VERDICT_PUSH)
		start_pushes(flow, callee);
	callee_settle(flow, callee);
	callee_tidy(flow, callee);
}

void handle_call(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct call *call = calls_find(&flow->calls, event->call);
	struct callee *callee;
	char user[AOR_SIZE];

	if (!flow_user(flow, request, event->to, user))
		return;
	callee = call ? call_find_callee(call, user, (int)event->attempt) : NULL;
	if (!callee || !callee->attempt) {
		handle_new_call(flow, request, call, user);
		return;
	}
	if (callee_add_waiter(flow, callee, request, event, true)) {
		answer_unplaced(
			flow, request, user, callee->uuid, VERDICT_UNREACHABLE, RULE_OVERLOADED);
		return;
	}
	callee_settle(flow, callee);
}
