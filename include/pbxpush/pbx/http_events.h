/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_HTTP_EVENTS_H
#define PBXPUSH_PBX_HTTP_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/ports.h>

struct access_tokens;
struct event_base;

/*
 * The events of CONTRACT 2 over HTTP on a loopback address: `POST /v1/events` with one event, a
 * JSON array, or NDJSON, of whatever Content-Type, under a bearer token (CONTRACT 6). Each event
 * goes to the event sink like a line of the event socket; the answer comes when all have their
 * replies, so a request stays open as long as `wait` wants.
 *
 * The status is that of the one event; of several, what they have in common, else 207. Who closes
 * the connection while it waits, or half of it, is gone: what it had sent still counts.
 *
 * Bounds: a body of 1 MiB, or of max_line where that is more; 1,000 events a request; max_clients
 * connections, where one that idles makes room for a new one.
 */
struct http_events;

struct http_events_options {
	const char *address;                /* as loopback_parse() takes it; "": nowhere */
	const struct access_tokens *tokens; /* NULL: nobody gets in */
	size_t max_clients, max_line;
};

/* Options are copied; the sink is borrowed for the life of this. why: what is wrong with the
 * address, on failure. */
enum err http_events_new(struct event_base *base, const struct http_events_options *options,
	const struct event_sink *sink, struct http_events **out, char *why, size_t why_size);

/* After a reload; a changed address is bound before the old one is given up. The next request needs
 * a token of the new ones; those that wait go on. On failure nothing changed. */
enum err http_events_reconfigure(struct http_events *events,
	const struct http_events_options *options, char *why, size_t why_size);

/* Drain: no new connections, no new requests; those that wait get their answers. */
void http_events_stop(struct http_events *events);

/* True when every request taken has its answer and every answer has left. */
bool http_events_is_drained(const struct http_events *events);

size_t http_events_clients(const struct http_events *events);

/* Closes everything. Accepts NULL. */
void http_events_free(struct http_events *events);

#endif
