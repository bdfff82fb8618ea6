/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_HTTP_CONNECTION_H
#define PBXPUSH_PBX_HTTP_CONNECTION_H

#include <sys/queue.h>

#include <event2/event_struct.h>

#include "http_server.h"

/* Shared by http_server.c (all connections) and http_connection.c (one of them). */

struct bufferevent;

enum http_state {
	HTTP_STATE_IDLE,   /* nothing of a request has come */
	HTTP_STATE_HEAD,   /* part of its head */
	HTTP_STATE_BODY,   /* its body is being read */
	HTTP_STATE_SERVE,  /* the service has it */
	HTTP_STATE_ANSWER, /* the answer is on its way */
	HTTP_STATE_LINGER, /* closed for writing: what still comes is thrown away */
};

/* How far a chunked body is. */
enum http_chunk { HTTP_CHUNK_SIZE, HTTP_CHUNK_DATA, HTTP_CHUNK_END, HTTP_CHUNK_TRAILER };

struct http_connection {
	TAILQ_ENTRY(http_connection) link, idle_link;
	struct http_server *server;
	struct bufferevent *io;
	struct event timer; /* when it fires, the time for this state is up */

	enum http_state state;
	struct http_head head;
	struct buf body;
	size_t left; /* of the body, or of the chunk */
	enum http_chunk chunk;
	size_t trailer_bytes;
	unsigned tag;
	void *exchange; /* the service's, in HTTP_STATE_SERVE */
	bool last;      /* closes behind the answer */
	bool ended;     /* the client sends no more */
};

TAILQ_HEAD(http_connections, http_connection);

struct http_server {
	struct event_base *base;
	struct http_service service;
	struct http_limits limits;
	struct evconnlistener *listener; /* NULL: does not listen */
	char *address;                   /* of the listener */
	struct event resume;             /* listens again after a pause */
	struct http_connections all;
	struct http_connections idle; /* the longest idle first */
	size_t count;
	bool stopping;
	bool full, starved; /* said so in the log already */
};

/* Takes the descriptor, whatever happens. refusal: what to say to one connection too many, or
 * NULL. */
void http_connection_new(struct http_server *server, int fd, const char *refusal);

/* Ends it as it stands. */
void http_connection_free(struct http_connection *connection);

/* Takes no further request: closes it, or lets it have its answer first. */
void http_connection_stop(struct http_connection *connection);

#endif
