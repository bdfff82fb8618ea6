/* SPDX-License-Identifier: MIT */
#include "flow_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/log.h>

typedef void handler_fn(struct flow *flow, struct request *request);

static handler_fn *const handlers[EVENT_COUNT] = {
	[EVENT_CALL] = handle_call,
	[EVENT_ANSWER] = handle_answer,
	[EVENT_END] = handle_end,
	[EVENT_RINGING] = handle_ringing,
	[EVENT_CALL_STATE] = handle_call_state,
	[EVENT_REGISTER] = handle_register,
	[EVENT_UNREGISTER] = handle_unregister,
	[EVENT_FORGET] = handle_forget,
	[EVENT_DND] = handle_dnd,
	[EVENT_BLOCK] = handle_list,
	[EVENT_UNBLOCK] = handle_list,
	[EVENT_ALLOW] = handle_list,
	[EVENT_UNALLOW] = handle_list,
	[EVENT_DND_SCHEDULE] = handle_schedule,
	[EVENT_CALL_WAITING] = handle_call_waiting,
	[EVENT_MUTE] = handle_mute,
	[EVENT_UNMUTE] = handle_mute,
	[EVENT_SHOW] = handle_show,
	[EVENT_EXPORT] = handle_export,
	[EVENT_MISSED_CALL] = handle_news,
	[EVENT_VOICEMAIL] = handle_news,
	[EVENT_MESSAGE] = handle_news,
	[EVENT_REFRESH] = handle_news,
	[EVENT_PING] = handle_ping,
};

/* A reply that waits until the change it reports is on disk. */
struct storing {
	struct flow *flow;
	struct reply_to to;
	enum event_type type;
	char *id, *text;
	size_t text_len;
};

void flow_look_at_clock(struct flow *flow)
{
	flow->ports.look_at_clock(&flow->now_us, &flow->now_ms);
}

static void count_event(struct flow *flow, const char *event, const char *outcome)
{
	metrics_add(flow->ports.metrics, METRIC_EVENTS, 1, (const char *const[]){event, outcome});
}

static void reply(struct reply_to to, enum event_error_code code, const struct buf *text)
{
	static const char no_memory[] = "{\"ok\":false,\"error\":\"overloaded\",\"field\":null,"
					"\"message\":\"out of memory\"}";

	if (text->failed) /* every line gets its reply, even now */
		to.port->reply(
			to.port->self, to, EVENT_OVERLOADED, no_memory, sizeof(no_memory) - 1);
	else
		to.port->reply(to.port->self, to, code, text->data, text->len);
}

void flow_reply(struct reply_to to, const struct buf *text)
{
	reply(to, EVENT_OK, text);
}

static void reply_error(struct flow *flow, struct request *request, const struct event_error *error)
{
	request->outcome = event_error_name(error->code);
	buf_reset(&flow->out);
	reply_write_error(request->id, error, &flow->out);
	reply(request->to, error->code, &flow->out);
}

void flow_reply_error(struct flow *flow, struct request *request, enum event_error_code code,
	const char *field, const char *fmt, ...)
{
	struct event_error error;
	char message[sizeof(error.message)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	event_error_set(&error, code, field, "%s", message);
	reply_error(flow, request, &error);
}

struct buf *flow_reply_begin(struct flow *flow, const struct request *request)
{
	buf_reset(&flow->out);
	reply_begin(request->id, event_spec(request->event.type)->name, &flow->out);
	return &flow->out;
}

void flow_reply_end(struct flow *flow, const struct request *request)
{
	buf_add_char(&flow->out, '}');
	flow_reply(request->to, &flow->out);
}

struct storing *flow_store_begin(struct flow *flow, struct request *request)
{
	struct storing *storing = calloc(1, sizeof(*storing));

	if (storing && request->id)
		storing->id = strdup(request->id);
	if (!storing || (request->id && !storing->id)) {
		free(storing);
		flow_reply_error(flow, request, EVENT_OVERLOADED, NULL, "out of memory");
		return NULL;
	}
	storing->flow = flow;
	storing->to = request->to;
	storing->type = request->event.type;
	request->outcome = NULL; /* counted when it is known */
	flow->storing++;
	return storing;
}

static void storing_free(struct storing *storing)
{
	storing->flow->storing--;
	free(storing->id);
	free(storing->text);
	free(storing);
}

void flow_store_reply(struct storing *storing)
{
	struct flow *flow = storing->flow;

	buf_add_char(&flow->out, '}');
	storing->text_len = flow->out.len;
	storing->text = buf_take(&flow->out);
}

static void answer_storage_failed(struct storing *storing)
{
	struct event_error error;
	struct flow *flow = storing->flow;

	event_error_set(&error, EVENT_STORAGE_FAILED, NULL,
		"the change holds while the daemon runs, but it is not on disk yet");
	buf_reset(&flow->out);
	reply_write_error(storing->id, &error, &flow->out);
	reply(storing->to, error.code, &flow->out);
}

void flow_stored(void *arg, enum err err)
{
	struct storing *storing = arg;
	struct flow *flow = storing->flow;
	struct buf text = {
		.data = storing->text, .len = storing->text_len, .failed = !storing->text};

	count_event(flow, event_spec(storing->type)->name,
		err ? event_error_name(EVENT_STORAGE_FAILED) : "ok");
	if (err)
		answer_storage_failed(storing);
	else
		flow_reply(storing->to, &text);
	storing_free(storing);
}

void flow_store_failed(struct storing *storing, struct request *request, enum err err)
{
	flow_reply_error(storing->flow, request, EVENT_STORAGE_FAILED, NULL,
		"nothing was changed: %s", err_string(err));
	storing_free(storing);
}

bool flow_user(struct flow *flow, struct request *request, const char *text, char out[AOR_SIZE])
{
	const char *field = request->event.user ? "user" : "to";

	if (!strcmp(text, "*")) { /* everybody, whatever the default domain */
		strcpy(out, text);
		return true;
	}
	if (!aor_normalize(text, flow->config->default_domain, out))
		return true;
	flow_reply_error(
		flow, request, EVENT_BAD_FIELD, field, "'%s' is too long with its domain", field);
	return false;
}

const char *flow_shown(const struct flow *flow, const char *text)
{
	static char slots[4][NUMBER_SIZE * 2];
	static unsigned slot;

	return number_for_log((enum number_privacy)flow->config->log_numbers, text,
		slots[slot++ % 4], sizeof(slots[0]));
}

const char *flow_word(const char *text)
{
	static char slots[4][256];
	static unsigned slot;
	char *out = slots[slot++ % 4];
	size_t len = 0;

	for (; *text && len < sizeof(slots[0]) - 1; text++)
		out[len++] =
			*text > ' ' && *text != '"' && *text != '=' && *text < 0x7f ? *text : '_';
	out[len] = '\0';
	return out;
}

void flow_story(struct flow *flow, const char *call_id, const char *uuid, const char *what,
	const struct timeline_field *fields, size_t count)
{
	timeline_add(flow->ports.timeline, call_id, uuid, flow->now_ms, what, fields, count);
}

static void handle_event(struct flow *flow, struct request *request, enum client_role role)
{
	const struct event_spec *spec = event_spec(request->event.type);

	if (spec->admin && role != ROLE_ADMIN) {
		flow_reply_error(flow, request, EVENT_NOT_PERMITTED, NULL,
			"'%s' is for admin-users", spec->name);
	} else if (flow->stopping && request->event.type != EVENT_CALL) {
		flow_reply_error(
			flow, request, EVENT_OVERLOADED, NULL, "the daemon is shutting down");
	} else {
		handlers[request->event.type](flow, request);
		flow_wake(flow);
	}
	if (request->outcome)
		count_event(flow, spec->name, request->outcome);
}

static void on_line(void *self, struct reply_to to, enum client_role role, const char *line,
	size_t len, int64_t read_us)
{
	struct flow *flow = self;
	struct request request = {.to = to, .read_us = read_us, .outcome = "ok"};
	struct event_error error;
	enum err err;

	flow_look_at_clock(flow);
	flow->events++;
	err = call_event_parse(line, len, &request.event, &error);
	if (err == ERR_NOMEM)
		event_error_set(&error, EVENT_OVERLOADED, NULL, "out of memory");
	else
		request.line = event_line_hold(request.event.line);
	request.id = request.event.id;
	if (err) {
		reply_error(flow, &request, &error);
		count_event(flow, "other", request.outcome);
	} else {
		handle_event(flow, &request, role);
	}
	call_event_free(&request.event);
	event_line_release(request.line);
}

static void on_too_long(void *self, struct reply_to to)
{
	struct flow *flow = self;
	struct request request = {.to = to};

	flow->events++;
	flow_reply_error(flow, &request, EVENT_TOO_LONG, NULL, "a line has at most %lld bytes",
		(long long)flow->config->max_line);
	count_event(flow, "other", request.outcome);
}

void handle_ping(struct flow *flow, struct request *request)
{
	buf_reset(&flow->out);
	reply_begin(request->id, "pong", &flow->out);
	flow_reply_end(flow, request);
}

void flow_set_config(struct flow *flow, const struct config *config)
{
	flow->config = config;
	flow->numbers = (struct number_rules){.country_code = config->country_code,
		.international_prefix = config->international_prefix,
		.national_prefix = config->national_prefix,
		.extension_digits = (int)config->extension_digits};
}

enum err flow_new(const struct config *config, const struct flow_ports *ports, struct flow **out)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return ERR_NOMEM;
	flow->ports = *ports;
	LIST_INIT(&flow->news);
	TAILQ_INIT(&flow->silences);
	flow->sink = (struct event_sink){.self = flow, .line = on_line, .too_long = on_too_long};
	flow_set_config(flow, config);
	if (calls_init(&flow->calls, (size_t)config->max_calls)) {
		flow_free(flow);
		return ERR_NOMEM;
	}
	*out = flow;
	return ERR_OK;
}

const struct event_sink *flow_sink(struct flow *flow)
{
	return &flow->sink;
}

void flow_wake(struct flow *flow)
{
	const struct heap_node *callee = heap_first(&flow->calls.due);
	const struct heap_node *bare = heap_first(&flow->calls.bare);
	const struct heap_node *first =
		callee && (!bare || callee->due < bare->due) ? callee : bare;

	if (!first || first->due == flow->woken_for_us)
		return;
	flow->woken_for_us = first->due;
	flow->ports.wake(flow->ports.wake_self, first->due);
}

void flow_run_due(struct flow *flow)
{
	struct heap_node *node;

	flow_look_at_clock(flow);
	flow->woken_for_us =
		0; /* the timer has fired: it must be set again even for the same time */
	while ((node = heap_first(&flow->calls.due)) && node->due <= flow->now_us)
		callee_run_due(flow, map_entry(node, struct callee, due));
	while ((node = heap_first(&flow->calls.bare)) && node->due <= flow->now_us)
		calls_remove_bare(&flow->calls, map_entry(node, struct call, due));
	flow_wake(flow);
}

void flow_tick(struct flow *flow)
{
	flow_look_at_clock(flow);
	news_tick(flow);
}

void flow_stop(struct flow *flow)
{
	flow->stopping = true;
}

bool flow_is_busy(const struct flow *flow)
{
	return flow->in_flight || flow->storing;
}

void flow_release_all(struct flow *flow)
{
	struct callee *callee;

	flow_look_at_clock(flow);
	TAILQ_FOREACH (callee, &flow->calls.live, of_age)
		callee_release_all(flow, callee, false);
	news_release_all(flow);
}

void flow_stats(const struct flow *flow, struct flow_stats *out)
{
	*out = (struct flow_stats){
		.ringing = flow->calls.live_count - flow->calls.answered_count,
		.answered = flow->calls.answered_count,
		.ended = flow->calls.ended_count,
		.waiting = flow->waiting,
		.events = flow->events,
		.pushes = flow->pushes,
	};
}

static void write_callee(const struct flow *flow, const struct callee *callee, struct buf *out)
{
	buf_add_str(out, "{\"call\":");
	buf_add_json(out, callee->call->id);
	reply_add_string(out, "uuid", callee->uuid);
	reply_add_string(out, "to", flow_shown(flow, callee->user));
	reply_add_int(out, "attempt", callee->attempt);
	reply_add_string(out, "state", call_state_name(callee->state));
	reply_add_string(out, "verdict", verdict_name(callee->decided));
	reply_add_string(out, "rule", rule_name(callee->rule));
	reply_add_int(out, "started_ms", callee->started_ms);
	reply_add_int(out, "expires_ms", callee->deadline_ms);
	reply_add_int(out, "ended_ms", callee->ended_ms);
	reply_add_int(out, "devices", (int64_t)callee->target_count);
	buf_add_char(out, '}');
}

void flow_write_calls(const struct flow *flow, size_t max, struct buf *out)
{
	const struct callee *callee;
	const char *comma = "";

	buf_printf(out, "{\"live\":%zu,\"ended\":%zu,\"calls\":[", flow->calls.live_count,
		flow->calls.ended_count);
	TAILQ_FOREACH_REVERSE(callee, &flow->calls.live, callee_list, of_age)
	{
		if (!max--)
			goto full;
		buf_add_str(out, comma);
		write_callee(flow, callee, out);
		comma = ",";
	}
	TAILQ_FOREACH_REVERSE(callee, &flow->calls.ended, callee_list, of_age)
	{
		if (!max--)
			goto full;
		buf_add_str(out, comma);
		write_callee(flow, callee, out);
		comma = ",";
	}
full:
	buf_add_str(out, "]}");
}

void flow_free(struct flow *flow)
{
	struct callee *callee;

	if (!flow)
		return;
	while ((callee = TAILQ_FIRST(&flow->calls.live)) ||
		(callee = TAILQ_FIRST(&flow->calls.ended))) {
		callee_release_all(flow, callee, false);
		callee_forget(flow, callee);
	}
	news_free_all(flow);
	own_news_free(flow);
	calls_free(&flow->calls);
	buf_free(&flow->out);
	buf_free(&flow->payload);
	buf_free(&flow->line);
	free(flow);
}
