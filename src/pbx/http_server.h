/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_HTTP_SERVER_H
#define PBXPUSH_PBX_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/err.h>
#include <pbxpush/pbx/http_message.h>

struct event_base;

/*
 * An HTTP/1.1 server on a loopback address for one service: connections, their limits and times.
 *
 * It is not libevent's evhttp, which serves the status socket: evhttp 2.1 takes a whole body before
 * anybody can look at the Authorization field, refuses in HTML where the contract wants JSON, times
 * each read but not the request (a byte a second lasts for hours), and neither counts connections
 * nor says when a client that waits has left.
 *
 * Bounds: max_connections (then the one that has idled longest makes room, else the newcomer gets a
 * 503), 8 KiB of head, max_body, 10 s for a request and for its answer to leave. What is being
 * served may last; its client ends it by closing, or half-closing, the connection.
 */
struct http_server;
struct http_connection;

struct http_service {
	void *self;

	/*
	 * The head of a request has come. True: its body is read next, and *tag comes back with it.
	 * False: *refusal is the answer, and the connection closes behind it.
	 */
	bool (*admit)(void *self, const struct http_head *head, unsigned *tag,
		struct http_answer *refusal);

	/*
	 * A whole request, body borrowed for the call. Answers with http_connection_answer() inside
	 * the call and returns NULL, or later: then what it returns comes back in gone().
	 */
	void *(*serve)(void *self, struct http_connection *connection, unsigned tag,
		const struct buf *body);

	/* The client left before the answer. The connection is no more. */
	void (*gone)(void *self, void *exchange);
};

struct http_limits {
	size_t max_connections, max_body;
};

/* The service is copied. Does not listen yet. */
enum err http_server_new(struct event_base *base, const struct http_service *service,
	const struct http_limits *limits, struct http_server **out);

/* Listens there, and only then gives up where it did before; "" listens nowhere. Who is connected
 * stays. On failure nothing changed and why says what is wrong. */
enum err http_server_listen(
	struct http_server *server, const char *address, char *why, size_t why_size);

void http_server_set_limits(struct http_server *server, const struct http_limits *limits);

/* Takes what answer->body holds. */
void http_connection_answer(struct http_connection *connection, struct http_answer *answer);

/* Drain: no new connection, no new request; each one that is being served gets its answer. */
void http_server_stop(struct http_server *server);

/* True when every request has its answer and every answer has left. */
bool http_server_is_drained(const struct http_server *server);

size_t http_server_connections(const struct http_server *server);

/* Closes everything; gone() is called for what is being served. Accepts NULL. */
void http_server_free(struct http_server *server);

#endif
