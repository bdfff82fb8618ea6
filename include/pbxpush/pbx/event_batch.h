/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_EVENT_BATCH_H
#define PBXPUSH_PBX_EVENT_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

/*
 * The events of one request body, without I/O. It is cut by brackets and quotes only: whether a
 * piece is an event is for the one to say who parses it, and a bad one spoils no other.
 */
enum batch_kind {
	BATCH_SINGLE, /* one object, on however many lines */
	BATCH_ARRAY,
	BATCH_LINES, /* NDJSON: two or more lines that are not one object */
};

struct batch_event {
	const char *text; /* inside the body; without blanks around it */
	size_t len;
};

struct event_batch {
	enum batch_kind kind;
	struct batch_event *events;
	size_t count; /* at least 1, but for an empty array */
};

/* What came back for an event. */
struct batch_reply {
	bool done;
	char *text; /* one JSON object, NULL where memory was short */
	size_t len;
};

/*
 * Borrows the body. ERR_INVAL: it is empty or an array that is none, and *why is a phrase that says
 * so. ERR_LIMIT: more than max events. ERR_NOMEM.
 */
enum err event_batch_split(
	const char *body, size_t len, size_t max, struct event_batch *out, const char **why);

void event_batch_free(struct event_batch *batch);

/* Writes the replies in the form in which the events came, in their order. */
void event_batch_join(
	enum batch_kind kind, const struct batch_reply *replies, size_t count, struct buf *out);

#endif
