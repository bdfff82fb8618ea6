/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>
#include <pbxpush/base/map.h>
#include <pbxpush/core/access_token.h>
#include <pbxpush/pbx/event_batch.h>
#include <pbxpush/pbx/http_events.h>

#include "http_server.h"

#define EVENTS_PATH     "/v1/events"
#define EVENTS_MAX      1000
#define INDEX_BITS      10 /* of reply_to.client: which event of its request */
#define BODY_MAX_BYTES  ((size_t)1 << 20)
#define COMPLAIN_AGE_US 60000000

_Static_assert(EVENTS_MAX <= 1 << INDEX_BITS, "each event of a request has a number");

struct http_events {
	struct http_server *server;
	const struct event_sink *sink;
	struct reply_port port;
	struct access_tokens *tokens; /* our copy, NULL: nobody gets in */
	size_t max_line;
	uint64_t last_id;
	struct map requests; /* that wait, by their id */
	int64_t complained_us;
};

/* A request whose events were handed to the sink. */
struct request {
	struct map_node node;
	uint64_t id;
	struct http_connection *connection;
	enum batch_kind kind;
	bool handing;      /* its events are still being handed over */
	bool same, failed; /* the events so far share one status; memory was short */
	enum http_status status;
	size_t count, missing;
	struct batch_reply replies[];
};

/* ---- replies ---- */

static enum http_status status_of(enum event_error_code code)
{
	switch (code) {
	case EVENT_OK:
		return HTTP_STATUS_OK;
	case EVENT_BAD_JSON:
	case EVENT_UNKNOWN:
	case EVENT_MISSING_FIELD:
	case EVENT_BAD_FIELD:
		return HTTP_STATUS_BAD_REQUEST;
	case EVENT_NOT_PERMITTED:
		return HTTP_STATUS_FORBIDDEN;
	case EVENT_TOO_LONG:
		return HTTP_STATUS_TOO_LARGE;
	case EVENT_OVERLOADED:
	case EVENT_STORAGE_FAILED:
		return HTTP_STATUS_UNAVAILABLE;
	}
	return HTTP_STATUS_UNAVAILABLE;
}

static void request_free(struct http_events *events, struct request *request)
{
	map_remove(&events->requests, &request->node);
	for (size_t i = 0; i < request->count; i++)
		free(request->replies[i].text);
	free(request);
}

/* Every event has its reply: so has the request. */
static void request_finish(struct http_events *events, struct request *request)
{
	struct http_answer answer = {.status = request->same ? request->status : HTTP_STATUS_MULTI,
		.type = request->kind == BATCH_LINES ? "application/x-ndjson" : "application/json"};

	event_batch_join(request->kind, request->replies, request->count, &answer.body);
	if (request->failed || answer.body.failed) {
		buf_free(&answer.body);
		http_answer_refusal(&answer, HTTP_STATUS_UNAVAILABLE, "out of memory");
	}
	http_connection_answer(request->connection, &answer);
	request_free(events, request);
}

static bool request_has_id(const struct map_node *node, const void *key, size_t len)
{
	(void)len;
	return !memcmp(&map_entry(node, const struct request, node)->id, key, sizeof(uint64_t));
}

static void on_reply(
	void *self, struct reply_to to, enum event_error_code code, const char *text, size_t len)
{
	struct http_events *events = self;
	uint64_t id = to.client >> INDEX_BITS, index = to.client & ((1U << INDEX_BITS) - 1);
	struct map_node *node = map_find(&events->requests, &id, sizeof(id), request_has_id);
	struct request *request = node ? map_entry(node, struct request, node) : NULL;
	struct batch_reply *reply;

	if (!request || index >= request->count || request->replies[index].done)
		return; /* the client left; or a second reply, which would be taken for another's */
	reply = &request->replies[index];
	reply->done = true;
	reply->text = malloc(len + 1);
	if (reply->text)
		memcpy(reply->text, text, len);
	else
		request->failed = true;
	reply->len = reply->text ? len : 0;
	if (request->missing == request->count)
		request->status = status_of(code);
	request->same &= request->status == status_of(code);
	request->missing--;
	if (!request->missing && !request->handing)
		request_finish(events, request);
}

/* ---- requests ---- */

static void refuse(struct http_connection *connection, enum http_status status, const char *why)
{
	struct http_answer answer;

	http_answer_refusal(&answer, status, why);
	http_connection_answer(connection, &answer);
}

static struct request *request_new(struct http_events *events, struct http_connection *connection,
	const struct event_batch *batch)
{
	struct request *request =
		calloc(1, sizeof(*request) + batch->count * sizeof(request->replies[0]));

	if (!request)
		return NULL;
	request->id = ++events->last_id;
	request->connection = connection;
	request->kind = batch->kind;
	request->status = HTTP_STATUS_OK; /* of an empty array */
	request->same = true;
	request->count = request->missing = batch->count;
	map_add(&events->requests, &request->node, map_hash(&request->id, sizeof(request->id)));
	return request;
}

static void hand_over(struct http_events *events, struct request *request, enum client_role role,
	const struct event_batch *batch)
{
	const struct event_sink *sink = events->sink;
	int64_t read_us = clock_mono_us();

	request->handing = true;
	for (size_t i = 0; i < batch->count; i++) {
		struct reply_to to = {&events->port, request->id << INDEX_BITS | i};

		if (batch->events[i].len > events->max_line)
			sink->too_long(sink->self, to);
		else
			sink->line(sink->self, to, role, batch->events[i].text,
				batch->events[i].len, read_us);
	}
	request->handing = false;
}

static void *serve(
	void *self, struct http_connection *connection, unsigned tag, const struct buf *body)
{
	struct http_events *events = self;
	struct event_batch batch = {0};
	struct request *request = NULL;
	const char *why;
	char text[64];
	enum err err = event_batch_split(buf_str(body), body->len, EVENTS_MAX, &batch, &why);

	if (!err)
		request = request_new(events, connection, &batch);
	if (err == ERR_INVAL) {
		refuse(connection, HTTP_STATUS_BAD_REQUEST, why);
	} else if (err == ERR_LIMIT) {
		snprintf(text, sizeof(text), "a request has at most %d events", EVENTS_MAX);
		refuse(connection, HTTP_STATUS_TOO_LARGE, text);
	} else if (!request) {
		refuse(connection, HTTP_STATUS_UNAVAILABLE, "out of memory");
	} else {
		hand_over(events, request, (enum client_role)tag, &batch);
		if (!request->missing) {
			request_finish(events, request);
			request = NULL;
		}
	}
	event_batch_free(&batch);
	return request;
}

static void gone(void *self, void *exchange)
{
	request_free(self, exchange);
}

/* `Authorization: Bearer TOKEN` (RFC 6750 2.1). */
static bool may_enter(const struct http_events *events, const struct http_head *head, unsigned *tag)
{
	static const char scheme[] = "Bearer ";
	const char *token = head->credentials + strlen(scheme);
	enum client_role role;

	if (!events->tokens || strncasecmp(head->credentials, scheme, strlen(scheme)) != 0)
		return false;
	token += strspn(token, " ");
	if (!access_tokens_check(events->tokens, token, strlen(token), &role))
		return false;
	*tag = role;
	return true;
}

/* One who guesses must not fill the log. */
static void complain(struct http_events *events)
{
	int64_t now_us = clock_mono_us();

	if (events->complained_us && now_us - events->complained_us < COMPLAIN_AGE_US)
		return;
	events->complained_us = now_us;
	log_warning("http", "a request without a valid token was refused");
}

static bool admit(
	void *self, const struct http_head *head, unsigned *tag, struct http_answer *refusal)
{
	struct http_events *events = self;

	if (strcmp(head->path, EVENTS_PATH) != 0) {
		http_answer_refusal(refusal, HTTP_STATUS_NOT_FOUND, "there is only " EVENTS_PATH);
	} else if (strcmp(head->method, "POST") != 0) {
		http_answer_refusal(refusal, HTTP_STATUS_BAD_METHOD, "events are POSTed");
		refusal->fields = "Allow: POST\r\n";
	} else if (!may_enter(events, head, tag)) {
		complain(events);
		http_answer_refusal(refusal, HTTP_STATUS_UNAUTHORIZED,
			"this needs 'Authorization: Bearer TOKEN' with a token of http-token-file");
		refusal->fields = head->authorized
					  ? "WWW-Authenticate: Bearer realm=\"pbxpush\", "
					    "error=\"invalid_token\"\r\n"
					  : "WWW-Authenticate: Bearer realm=\"pbxpush\"\r\n";
	} else {
		return true;
	}
	return false;
}

/* ---- life ---- */

static struct http_limits limits_of(const struct http_events_options *options)
{
	return (struct http_limits){.max_connections = options->max_clients,
		.max_body =
			options->max_line > BODY_MAX_BYTES ? options->max_line : BODY_MAX_BYTES};
}

enum err http_events_reconfigure(struct http_events *events,
	const struct http_events_options *options, char *why, size_t why_size)
{
	struct access_tokens *tokens = NULL;
	struct http_limits limits = limits_of(options);
	enum err err;

	if (options->tokens) {
		tokens = access_tokens_copy(options->tokens);
		if (!tokens) {
			snprintf(why, why_size, "%s", err_string(ERR_NOMEM));
			return ERR_NOMEM;
		}
	}
	err = http_server_listen(events->server, options->address, why, why_size);
	if (err) {
		access_tokens_free(tokens);
		return err;
	}
	access_tokens_free(events->tokens);
	events->tokens = tokens;
	events->max_line = options->max_line;
	http_server_set_limits(events->server, &limits);
	return ERR_OK;
}

enum err http_events_new(struct event_base *base, const struct http_events_options *options,
	const struct event_sink *sink, struct http_events **out, char *why, size_t why_size)
{
	struct http_events *events = calloc(1, sizeof(*events));
	struct http_service service = {events, admit, serve, gone};
	struct http_limits limits = limits_of(options);
	enum err err = ERR_NOMEM;

	snprintf(why, why_size, "%s", err_string(err));
	if (!events || map_init(&events->requests))
		goto out;
	events->sink = sink;
	events->port = (struct reply_port){.self = events, .reply = on_reply};
	err = http_server_new(base, &service, &limits, &events->server);
	if (!err)
		err = http_events_reconfigure(events, options, why, why_size);
	if (err)
		goto out;
	*out = events;
	events = NULL;
out:
	http_events_free(events);
	return err;
}

void http_events_stop(struct http_events *events)
{
	http_server_stop(events->server);
}

bool http_events_is_drained(const struct http_events *events)
{
	return http_server_is_drained(events->server);
}

size_t http_events_clients(const struct http_events *events)
{
	return http_server_connections(events->server);
}

void http_events_free(struct http_events *events)
{
	if (!events)
		return;
	http_server_free(events->server);
	map_free(&events->requests);
	access_tokens_free(events->tokens);
	free(events);
}
