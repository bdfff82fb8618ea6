/* SPDX-License-Identifier: MIT */
/* One user being called: its state, the clients that wait for it, its moments. */
#include "flow_internal.h"

#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/log.h>

/* So many wait for one call (it and its repeats); who comes then is told at once how it stands. All
 * of them are looked at whenever something happens to the call. */
#define WAITERS_MAX 64

/* A phone in alert mode was told of a call that is over: it stops repeating, and gets the
 * closing alert. */
static void close_alert(struct flow *flow, struct callee *callee, struct target *target)
{
	target->send_at_us = 0;
	if (!target->in_flight) /* else when the repetition in flight has ended */
		news_close_call(flow, callee, target);
}

static size_t withdraw_pushes(struct flow *flow, struct callee *callee)
{
	size_t withdrawn = 0;

	for (size_t i = 0; i < callee->target_count; i++) {
		struct target *target = &callee->targets[i];

		if (target->result == DEVICE_ACCEPTED && target->push == PUSH_ALERT)
			close_alert(flow, callee, target);
		if (target->result == DEVICE_PENDING)
			withdrawn +=
				callee_withdraw(flow, callee, target, DEVICE_WITHDRAWN, SKIP_NONE);
	}
	return withdrawn;
}

/* How long an ended callee is known: a silenced caller must be recognised when he tries again. */
static int64_t remember_ms(const struct flow *flow, const struct callee *callee)
{
	const struct config *config = flow->config;

	return callee->silenced && config->repeat_caller_ms > config->remember_ms
		       ? config->repeat_caller_ms
		       : config->remember_ms;
}

void callee_tidy(struct flow *flow, struct callee *callee)
{
	bool news = flow->config->alert_missed_call || flow_hook_wanted(flow);

	for (size_t i = 0; i < callee->target_count; i++)
		news |= callee->targets[i].push == PUSH_ALERT;
	if (!callee_has_pushes(callee) && (callee->state != CALL_RINGING || !news))
		callee_free_event(callee);
}

size_t callee_set_state(
	struct flow *flow, struct callee *callee, enum call_state state, const char *device)
{
	enum call_state old = callee->state;
	bool ended = state != CALL_RINGING && state != CALL_ANSWERED;
	size_t withdrawn;

	if (state == old)
		return 0;
	log_debug("call", "call=%s to=%s attempt=%d %s -> %s", flow_word(callee->call->id),
		flow_shown(flow, callee->user), callee->attempt, call_state_name(old),
		call_state_name(state));
	callee->state = state;
	calls_note_state(&flow->calls, callee, old);
	if (device && !callee->answered_by)
		callee->answered_by = strdup(device);
	if (ended) {
		callee->busy = false;
		callee->ended_ms = flow->now_ms;
	}
	callee->forget_us = flow->now_us + 1000 * (ended ? remember_ms(flow, callee)
							 : flow->config->max_duration_ms);
	withdrawn = old == CALL_RINGING ? withdraw_pushes(flow, callee) : 0;
	if (old == CALL_RINGING && (state == CALL_CANCELLED || state == CALL_TIMEOUT))
		news_of_missed_call(flow, callee);
	if (old == CALL_RINGING)
		flow_tell_missed_call(flow, callee, callee->event);
	callee_tidy(flow, callee);
	return withdrawn;
}

enum err callee_add_waiter(struct flow *flow, struct callee *callee, struct request *request,
	const struct call_event *event, bool duplicate)
{
	struct waiter *waiter = &callee->first_waiter;
	int64_t deadline_us = callee->deadline_us;

	if (waiter->line && !(waiter = malloc(sizeof(*waiter))))
		return ERR_NOMEM;
	*waiter = (struct waiter){.to = request->to,
		.id = request->id,
		.device = event->device,
		.line = event_line_hold(request->line),
		.wait = callee->waiter_count < WAITERS_MAX ? event->wait : WAIT_VERDICT,
		.duplicate = duplicate,
		.until_us = deadline_us};
	if (event_has(event, FIELD_WAIT_MS) &&
		event->wait_ms < (deadline_us - request->read_us) / 1000)
		waiter->until_us = request->read_us + event->wait_ms * 1000;
	STAILQ_INSERT_TAIL(&callee->waiters, waiter, entry);
	callee->waiter_count++;
	flow->waiting++;
	return ERR_OK;
}

static void add_word(struct buf *line, const char *name, const char *value)
{
	buf_add_str(line, name);
	buf_add_str(line, value);
}

static void add_number(struct buf *line, const char *name, int64_t value)
{
	buf_add_str(line, name);
	buf_add_int(line, value);
}

/* The outcome line: fixed fields in a fixed order, one for each answered `call` event. */
static void log_outcome(struct flow *flow, const char *user, int64_t attempt, int64_t read_us,
	const struct reply_call *reply)
{
	struct buf *line = &flow->line;
	int64_t accepted = 0;

	if (!log_enabled(LOG_LEVEL_INFO))
		return;
	for (size_t i = 0; i < reply->device_count; i++)
		accepted += reply->devices[i].result == DEVICE_ACCEPTED;
	buf_reset(line);
	add_word(line, "call=", flow_word(reply->call));
	add_word(line, " to=", flow_shown(flow, user));
	add_number(line, " attempt=", attempt);
	add_word(line, " uuid=", reply->uuid);
	add_word(line, " verdict=", verdict_name(reply->verdict));
	add_word(line, " rule=", reply->rule ? rule_name(reply->rule) : "-");
	add_number(line, " devices=", (int64_t)reply->device_count);
	add_number(line, " accepted=", accepted);
	add_number(line, " ms=", (flow->now_us - read_us) / 1000);
	if (!line->failed)
		log_text(LOG_LEVEL_INFO, "call", line->data, line->len);
}

void call_tell_verdict(struct flow *flow, const char *user, int64_t attempt, int64_t read_us,
	const struct reply_call *reply)
{
	const char *verdict = verdict_name(reply->verdict), *rule = rule_name(reply->rule);
	const struct timeline_field fields[] = {
		timeline_word("verdict", verdict),
		timeline_word("rule", rule),
	};

	flow_story(flow, reply->call, NULL, "reply", fields, LENGTH(fields));
	metrics_add(flow->ports.metrics, METRIC_VERDICTS, 1, (const char *const[]){verdict, rule});
	log_outcome(flow, user, attempt, read_us, reply);
}

static void answer_waiter(
	struct flow *flow, struct callee *callee, struct waiter *waiter, struct reply_call *reply)
{
	reply->duplicate = waiter->duplicate;
	buf_reset(&flow->out);
	reply_write_call(waiter->id, reply, &flow->out);
	flow_reply(waiter->to, &flow->out);
	if (!waiter->duplicate)
		call_tell_verdict(flow, callee->user, callee->attempt, callee->read_us, reply);
	callee->waiter_count--;
	flow->waiting--;
	event_line_release(waiter->line);
	waiter->line = NULL;
	if (waiter != &callee->first_waiter)
		free(waiter);
}

static bool waiter_is_ready(struct flow *flow, struct callee *callee, const struct waiter *waiter,
	int64_t now_us, int64_t *due_us, struct reply_call *reply)
{
	int64_t told_us = 0;

	callee_stands(
		flow, callee, waiter->device, waiter->wait, now_us >= waiter->until_us, reply);
	if (reply->verdict != VERDICT_PUSH || waiter->wait == WAIT_VERDICT ||
		now_us >= waiter->until_us)
		return true;
	if (waiter->wait == WAIT_PUSH &&
		callee_pushes_are_told(callee, waiter->device, now_us, &told_us))
		return true;
	if (waiter->until_us < *due_us)
		*due_us = waiter->until_us;
	if (told_us && told_us < *due_us)
		*due_us = told_us;
	return false;
}

void callee_settle(struct flow *flow, struct callee *callee)
{
	int64_t now_us = flow->now_us;
	int64_t due_us = callee->state == CALL_RINGING ? callee->deadline_us : callee->forget_us;
	struct waiter *waiter, *next;
	struct reply_call reply;

	for (waiter = STAILQ_FIRST(&callee->waiters); waiter; waiter = next) {
		next = STAILQ_NEXT(waiter, entry);
		if (!waiter_is_ready(flow, callee, waiter, now_us, &due_us, &reply))
			continue;
		STAILQ_REMOVE(&callee->waiters, waiter, waiter, entry);
		answer_waiter(flow, callee, waiter, &reply);
	}
	for (size_t i = 0; i < callee->target_count; i++) {
		const struct target *target = &callee->targets[i];

		if (target->send_at_us && target->send_at_us < due_us)
			due_us = target->send_at_us;
	}
	heap_set(&flow->calls.due, &callee->due, due_us); /* it has its place: that cannot fail */
	flow_wake(flow);
}

void call_settle(struct flow *flow, struct call *call)
{
	struct callee *callee;

	TAILQ_FOREACH (callee, &call->callees, of_call)
		callee_settle(flow, callee);
}

void callee_release_all(struct flow *flow, struct callee *callee, bool time_up)
{
	struct waiter *waiter;
	struct reply_call reply;

	while ((waiter = STAILQ_FIRST(&callee->waiters))) {
		STAILQ_REMOVE_HEAD(&callee->waiters, entry);
		callee_stands(flow, callee, waiter->device, waiter->wait, time_up, &reply);
		answer_waiter(flow, callee, waiter, &reply);
	}
}

void callee_forget(struct flow *flow, struct callee *callee)
{
	for (size_t i = 0; i < callee->target_count; i++) {
		if (callee->targets[i].in_flight)
			push_orphan(callee->targets[i].in_flight);
	}
	calls_remove_callee(&flow->calls, callee);
}

/* A VoIP push that no REGISTER followed, in a call that lived to its deadline: the app showed no
 * call, for which iOS punishes it in the end (ghost-limit). */
static void note_ghosts(struct flow *flow, const struct callee *callee)
{
	for (size_t i = 0; i < callee->target_count; i++) {
		const struct target *target = &callee->targets[i];

		if (target->push == PUSH_VOIP && target->result == DEVICE_ACCEPTED &&
			!target->registered)
			directory_note_wake(
				flow->ports.directory, callee->user, target->name, false);
	}
}

/* Nobody ended it and nobody answered: the deadline did. */
static void run_deadline(struct flow *flow, struct callee *callee)
{
	note_ghosts(flow, callee);
	flow_tell_no_register(flow, callee);
	flow_story(flow, callee->call->id, NULL, "deadline", NULL, 0);
	callee_release_all(flow, callee, true);
	callee_set_state(flow, callee, CALL_TIMEOUT, NULL);
	callee_settle(flow, callee);
}

void callee_run_due(struct flow *flow, struct callee *callee)
{
	int64_t now_us = flow->now_us;

	if (callee->state == CALL_RINGING && now_us >= callee->deadline_us) {
		run_deadline(flow, callee);
		return;
	}
	if (callee->state == CALL_ANSWERED && now_us >= callee->forget_us) {
		callee_set_state(flow, callee, CALL_COMPLETED, NULL);
		callee_settle(flow, callee);
		return;
	}
	if (callee->state != CALL_RINGING && now_us >= callee->forget_us) {
		callee_forget(flow, callee);
		return;
	}
	for (size_t i = 0; i < callee->target_count; i++) {
		if (callee->targets[i].send_at_us && now_us >= callee->targets[i].send_at_us)
			callee_push(flow, callee, &callee->targets[i]);
	}
	callee_settle(flow, callee);
}
