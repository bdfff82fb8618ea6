/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_EVAPI_H
#define PBXPUSH_PBX_EVAPI_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/ports.h>

struct event_base;

/*
 * A client of Kamailio's evapi module: connects to it, and again when the connection is lost, takes
 * each netstring as an event, and answers each with one netstring. `id` comes back, by which
 * Kamailio finds the transaction that it has suspended.
 *
 * It always reads, whatever becomes of the replies: Kamailio writes with a blocking socket, and a
 * gateway that does not read stops its SIP workers. So what is bounded (4 MiB of unread replies,
 * 65,536 unanswered events) costs the connection, which is then opened anew; replies to one that
 * has gone are dropped.
 */
struct evapi;

struct evapi_options {
	const char *address; /* host:port or [v6]:port; "": off */
	enum client_role role;
	size_t max_line; /* of an event, in bytes */
};

/* Options are copied; the sink is borrowed for the life of the client. Connects from the loop. */
enum err evapi_new(struct event_base *base, const struct evapi_options *options,
	const struct event_sink *sink, struct evapi **out);

/* After a reload. A connection to the same address stays; one to another is closed. On failure
 * nothing changed. */
enum err evapi_reconfigure(struct evapi *evapi, const struct evapi_options *options);

/* Drain: the connection is closed as soon as nothing is owed; what comes until then still goes to
 * the sink, which is expected to refuse it. */
void evapi_stop(struct evapi *evapi);

/* After evapi_stop(): true when every event taken has its reply and Kamailio knows that we left. */
bool evapi_is_drained(const struct evapi *evapi);

struct evapi_stats {
	const char *address; /* "": off. Borrowed until the next reload */
	bool connected;
	size_t owed;            /* events that wait for their reply */
	const char *last_error; /* "" after a connection was made. Borrowed until the next turn */
};

void evapi_stats(const struct evapi *evapi, struct evapi_stats *out);

/* Accepts NULL. */
void evapi_free(struct evapi *evapi);

#endif
