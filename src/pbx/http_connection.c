/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <pbxpush/base/clock.h>

#include "http_connection.h"

#define HTTP_IDLE_S      10
#define HTTP_REQUEST_S   10 /* from its first byte to its last */
#define HTTP_ANSWER_S    10 /* for the client to take it */
#define HTTP_LINGER_S    2
#define HTTP_READ_BYTES  16384 /* taken from the socket before they are looked at */
#define HTTP_CHUNK_BYTES 256   /* the line with a chunk's size */

/* Seconds that a state may last; 0: as long as it wants, -1: no longer than the one before. */
static int state_seconds(enum http_state state)
{
	switch (state) {
	case HTTP_STATE_IDLE:
		return HTTP_IDLE_S;
	case HTTP_STATE_HEAD:
		return HTTP_REQUEST_S;
	case HTTP_STATE_BODY:
		return -1;
	case HTTP_STATE_SERVE:
		return 0;
	case HTTP_STATE_ANSWER:
		return HTTP_ANSWER_S;
	case HTTP_STATE_LINGER:
		return HTTP_LINGER_S;
	}
	return 0;
}

/* The one place where a connection changes its state. */
static void connection_enter(struct http_connection *connection, enum http_state state)
{
	struct http_server *server = connection->server;
	int seconds = state_seconds(state);

	if (connection->state == HTTP_STATE_IDLE)
		TAILQ_REMOVE(&server->idle, connection, idle_link);
	connection->state = state;
	if (state == HTTP_STATE_IDLE)
		TAILQ_INSERT_TAIL(&server->idle, connection, idle_link);
	if (seconds >= 0)
		event_del(&connection->timer);
	if (seconds > 0)
		event_add(&connection->timer, &(struct timeval){.tv_sec = seconds});
}

void http_connection_free(struct http_connection *connection)
{
	struct http_server *server = connection->server;

	if (connection->state == HTTP_STATE_SERVE && connection->exchange)
		server->service.gone(server->service.self, connection->exchange);
	if (connection->state == HTTP_STATE_IDLE)
		TAILQ_REMOVE(&server->idle, connection, idle_link);
	TAILQ_REMOVE(&server->all, connection, link);
	server->count--;
	event_del(&connection->timer);
	bufferevent_free(connection->io);
	buf_free(&connection->body);
	free(connection);
}

/* ---- answering ---- */

void http_connection_answer(struct http_connection *connection, struct http_answer *answer)
{
	struct buf text = {0};

	connection->exchange = NULL;
	connection->last |= connection->server->stopping || !http_head_persists(&connection->head);
	http_answer_write(
		answer, &connection->head, connection->last, clock_wall_ms() / 1000, &text);
	buf_free(&answer->body);
	buf_free(&connection->body);
	connection_enter(connection, HTTP_STATE_ANSWER);
	/* Without memory for an answer the connection ends, but not under its user's hands. */
	if (text.failed || bufferevent_write(connection->io, text.data, text.len))
		event_add(&connection->timer, &(struct timeval){0});
	buf_free(&text);
}

static void connection_refuse(
	struct http_connection *connection, enum http_status status, const char *why)
{
	struct http_answer answer;

	http_answer_refusal(&answer, status, why);
	connection->last = true;
	http_connection_answer(connection, &answer);
}

/* The answer has left. A socket closed with unread input resets the peer, which then may lose the
 * answer; so ours stays half-open until the client has closed, too, and what still comes from it is
 * thrown away. */
static void connection_answered(struct http_connection *connection)
{
	if (!connection->last) {
		connection_enter(connection, HTTP_STATE_IDLE);
		return;
	}
	shutdown(bufferevent_getfd(connection->io), SHUT_WR);
	connection_enter(connection, HTTP_STATE_LINGER);
}

/* ---- reading; each of these returns whether there may be more to do with what was read ---- */

static bool connection_serve(struct http_connection *connection)
{
	const struct http_service *service = &connection->server->service;
	void *exchange;

	connection_enter(connection, HTTP_STATE_SERVE);
	exchange = service->serve(service->self, connection, connection->tag, &connection->body);
	if (connection->state == HTTP_STATE_SERVE)
		connection->exchange = exchange;
	buf_free(&connection->body); /* one who waits for minutes needs it no more */
	return false;
}

/* The head is whole: is the request one of ours, and may its body come? */
static bool connection_admit(struct http_connection *connection)
{
	const struct http_service *service = &connection->server->service;
	const struct http_head *head = &connection->head;
	size_t max_body = connection->server->limits.max_body;
	struct http_answer refusal;

	if (!service->admit(service->self, head, &connection->tag, &refusal)) {
		connection->last = true;
		http_connection_answer(connection, &refusal);
		return false;
	}
	if (!head->chunked && !head->has_length) {
		connection_refuse(connection, HTTP_STATUS_LENGTH_REQUIRED,
			"the request needs a body with Content-Length");
		return false;
	}
	if (head->has_length && (uint64_t)head->length > max_body) {
		connection_refuse(connection, HTTP_STATUS_TOO_LARGE, "the body is too large");
		return false;
	}
	connection_enter(connection, HTTP_STATE_BODY);
	connection->left = head->has_length ? (size_t)head->length : 0;
	connection->chunk = HTTP_CHUNK_SIZE;
	connection->trailer_bytes = 0;
	if (head->expects_continue && !evbuffer_get_length(bufferevent_get_input(connection->io)))
		bufferevent_write(connection->io, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	return true;
}

static bool connection_read_head(struct http_connection *connection)
{
	struct evbuffer *in = bufferevent_get_input(connection->io);
	enum http_line what = HTTP_LINE_REFUSED;
	size_t len;
	char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_CRLF);

	if (!line && evbuffer_get_length(in) <= HTTP_HEAD_MAX_BYTES)
		return false;
	if (line) {
		what = http_head_line(&connection->head, line, len);
	} else {
		connection->head.fault = HTTP_STATUS_HEAD_TOO_LARGE;
		connection->head.why = "a line of the header has too many bytes";
	}
	free(line);
	switch (what) {
	case HTTP_LINE_MORE:
		return true;
	case HTTP_LINE_LAST:
		return connection_admit(connection);
	case HTTP_LINE_REFUSED:
		connection_refuse(connection, connection->head.fault, connection->head.why);
		return false;
	}
	return false;
}

/* Moves what has come of `left` into the body; false where memory is short. */
static bool connection_take(struct http_connection *connection)
{
	struct evbuffer *in = bufferevent_get_input(connection->io);
	size_t len = evbuffer_get_length(in);

	if (len > connection->left)
		len = connection->left;
	if (!buf_grow(&connection->body, len))
		return false;
	len = (size_t)evbuffer_remove(in, connection->body.data + connection->body.len, len);
	connection->body.len += len;
	connection->left -= len;
	return true;
}

/* The line in front of a chunk, behind it, or of the trailer. */
static bool connection_read_chunk_line(struct http_connection *connection)
{
	struct evbuffer *in = bufferevent_get_input(connection->io);
	size_t max_body = connection->server->limits.max_body, len;
	char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_CRLF);
	int64_t size = line ? http_chunk_size(line, len) : -1;
	bool bad = line ? len > HTTP_CHUNK_BYTES : evbuffer_get_length(in) > HTTP_CHUNK_BYTES;

	free(line);
	if (!line && !bad)
		return false;
	switch (connection->chunk) {
	case HTTP_CHUNK_SIZE:
		if (size > 0 && (uint64_t)size + connection->body.len > max_body) {
			connection_refuse(
				connection, HTTP_STATUS_TOO_LARGE, "the body is too large");
			return false;
		}
		bad |= size < 0;
		connection->chunk = size ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER;
		connection->left = bad ? 0 : (size_t)size;
		break;
	case HTTP_CHUNK_END:
		bad |= len > 0;
		connection->chunk = HTTP_CHUNK_SIZE;
		break;
	case HTTP_CHUNK_TRAILER:
		if (!bad && !len)
			return connection_serve(connection);
		connection->trailer_bytes += len;
		bad |= connection->trailer_bytes > HTTP_HEAD_MAX_BYTES;
		break;
	case HTTP_CHUNK_DATA:
		break;
	}
	if (bad)
		connection_refuse(connection, HTTP_STATUS_BAD_REQUEST, "not a chunked body");
	return !bad;
}

static bool connection_read_body(struct http_connection *connection)
{
	bool chunked = connection->head.chunked;

	if (chunked && connection->chunk != HTTP_CHUNK_DATA)
		return connection_read_chunk_line(connection);
	if (!connection_take(connection)) {
		connection_refuse(connection, HTTP_STATUS_UNAVAILABLE, "out of memory");
		return false;
	}
	if (connection->left)
		return false;
	if (!chunked)
		return connection_serve(connection);
	connection->chunk = HTTP_CHUNK_END;
	return true;
}

static bool connection_begin(struct http_connection *connection)
{
	if (!evbuffer_get_length(bufferevent_get_input(connection->io)))
		return false;
	connection->head = (struct http_head){0};
	connection_enter(connection, HTTP_STATE_HEAD);
	return true;
}

/* Goes as far as what was read allows. Nothing here frees the connection. */
static void connection_go_on(struct http_connection *connection)
{
	struct evbuffer *in = bufferevent_get_input(connection->io);

	for (bool more = true; more;) {
		more = false;
		switch (connection->state) {
		case HTTP_STATE_IDLE:
			more = connection_begin(connection);
			break;
		case HTTP_STATE_HEAD:
			more = connection_read_head(connection);
			break;
		case HTTP_STATE_BODY:
			more = connection_read_body(connection);
			break;
		case HTTP_STATE_LINGER:
			evbuffer_drain(in, evbuffer_get_length(in));
			break;
		case HTTP_STATE_SERVE:
		case HTTP_STATE_ANSWER:
			break; /* the next request of an impatient client waits */
		}
	}
}

/* The client sends no more: without an answer to wait for, and one on its way, that is the end. */
static void connection_check_end(struct http_connection *connection)
{
	if (connection->ended && connection->state != HTTP_STATE_ANSWER)
		http_connection_free(connection);
}

/* ---- what the loop says ---- */

static void on_readable(struct bufferevent *io, void *arg)
{
	(void)io;
	connection_go_on(arg);
}

static void on_written(struct bufferevent *io, void *arg)
{
	struct http_connection *connection = arg;

	(void)io;
	if (connection->state != HTTP_STATE_ANSWER) /* that was the 100 */
		return;
	connection_answered(connection);
	connection_go_on(connection);
	connection_check_end(connection);
}

static void on_event(struct bufferevent *io, short what, void *arg)
{
	struct http_connection *connection = arg;

	(void)io;
	if (what & BEV_EVENT_ERROR) {
		http_connection_free(connection);
		return;
	}
	connection->ended = true;
	connection_check_end(connection);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct http_connection *connection = arg;

	(void)fd, (void)what;
	if (connection->state == HTTP_STATE_HEAD || connection->state == HTTP_STATE_BODY)
		connection_refuse(connection, HTTP_STATUS_TIMEOUT, "the request took too long");
	else
		http_connection_free(connection);
}

void http_connection_new(struct http_server *server, int fd, const char *refusal)
{
	struct http_connection *connection = calloc(1, sizeof(*connection));
	struct bufferevent *io =
		connection ? bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;

	if (!io) {
		free(connection);
		close(fd);
		return;
	}
	/* An answer is one write, and must not wait for the ACK of the one before. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	connection->server = server;
	connection->io = io;
	evtimer_assign(&connection->timer, server->base, on_timeout, connection);
	bufferevent_setcb(io, on_readable, on_written, on_event, connection);
	bufferevent_setwatermark(io, EV_READ, 0, HTTP_READ_BYTES);
	bufferevent_enable(io, EV_READ);
	TAILQ_INSERT_TAIL(&server->all, connection, link);
	TAILQ_INSERT_TAIL(&server->idle, connection, idle_link); /* calloc() made it idle */
	server->count++;
	connection_enter(connection, HTTP_STATE_IDLE); /* for its timer */
	if (refusal)
		connection_refuse(connection, HTTP_STATUS_UNAVAILABLE, refusal);
}

void http_connection_stop(struct http_connection *connection)
{
	connection->last = true;
	if (connection->state != HTTP_STATE_SERVE && connection->state != HTTP_STATE_ANSWER)
		http_connection_free(connection);
}
