/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_STATUS_TIMELINE_H
#define PBXPUSH_STATUS_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

/*
 * What happened in each call, for `/calls/ID`: of at least the last max_calls of them, as long as
 * the last thing happened no more than max_age_ms ago, in 64 MiB at most. Things are written down
 * one behind the other as they happen, in few instructions, for every call has several; who asks
 * for a call, which is rare, has all of them looked through. Callers keep numbers masked and names
 * and data out. Times are wall time in Unix ms.
 */
#define TIMELINE_FIELDS_MAX 8
#define TIMELINE_UUIDS_MAX  16

struct timeline;

/* ERR_INVAL when max_calls is 0. */
enum err timeline_new(size_t max_calls, int64_t max_age_ms, struct timeline **out);
/* Accepts NULL. */
void timeline_free(struct timeline *timeline);

/* A member of an entry; made by the functions below. */
struct timeline_field {
	const char *name, *text;
	int64_t number;
	enum { TIMELINE_WORD, TIMELINE_TEXT, TIMELINE_NUMBER } kind;
};

/* Names and words are kept as pointers: string literals, or names from a table. NULL and "" are
 * written as null. */
static inline struct timeline_field timeline_word(const char *name, const char *word)
{
	return (struct timeline_field){.name = name, .text = word, .kind = TIMELINE_WORD};
}

/* Any text, which is copied, of 512 bytes at most. */
static inline struct timeline_field timeline_text(const char *name, const char *text)
{
	return (struct timeline_field){.name = name, .text = text, .kind = TIMELINE_TEXT};
}

static inline struct timeline_field timeline_number(const char *name, int64_t number)
{
	return (struct timeline_field){.name = name, .number = number, .kind = TIMELINE_NUMBER};
}

/*
 * Adds an entry to the story of a call. what: a word like "event" "decision" "push" "answer"
 * "register" "end", kept as a pointer too. uuid: with an entry that begins a call (or an attempt),
 * as uuid_normalize() writes it, else NULL. Up to 8 fields. When memory is short the entry is lost.
 */
void timeline_add(struct timeline *timeline, const char *call_id, const char *uuid, int64_t wall_ms,
	const char *what, const struct timeline_field *fields, size_t count);

/* Writes `{"call":…,"uuids":[…],"timeline":[{"at_ms":…,"ms":…,"what":…,…},…]}`, uuids the newest
 * first; `ms` counts from the first entry. Of more than 500 entries the first are left out, and
 * counted as `"dropped":N`. id: Call-ID or uuid. False where it is unknown. */
bool timeline_write(struct timeline *timeline, const char *id, int64_t now_ms, struct buf *out);

#endif
