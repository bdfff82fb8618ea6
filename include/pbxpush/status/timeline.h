/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_STATUS_TIMELINE_H
#define PBXPUSH_STATUS_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

/*
 * What happened in each of the last calls, for `/calls/ID`: the last max_calls of them, no
 * older than max_age_ms since their last entry, each with a bounded story (entries beyond 8 KiB are
 * counted as `"dropped":N`, not kept) and up to 16 uuids. Callers keep numbers masked and names and
 * data out. Times are wall time in Unix ms.
 */
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

/* Any text, which is copied. */
static inline struct timeline_field timeline_text(const char *name, const char *text)
{
	return (struct timeline_field){.name = name, .text = text, .kind = TIMELINE_TEXT};
}

static inline struct timeline_field timeline_number(const char *name, int64_t number)
{
	return (struct timeline_field){.name = name, .number = number, .kind = TIMELINE_NUMBER};
}

/*
 * Adds an entry to the story of a call (made known by its first entry): one write, for every call
 * has several and few are ever read. what: a word like "event" "decision" "push" "answer"
 * "register" "end", kept as a pointer too. uuid (as uuid_normalize() writes it) may be NULL once it is
 * known, several uuids may belong to a call. When memory is short the entry is lost.
 */
void timeline_add(struct timeline *timeline, const char *call_id, const char *uuid, int64_t wall_ms,
	const char *what, const struct timeline_field *fields, size_t count);

/* Writes `{"call":…,"uuids":[…],"timeline":[{"at_ms":…,"ms":…,"what":…,…},…]}`; `ms` counts from
 * the first entry. id: Call-ID or uuid. False where it is unknown. */
bool timeline_write(struct timeline *timeline, const char *id, int64_t now_ms, struct buf *out);

#endif
