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

/*
 * Begins an entry of a call (made known by its first entry) and returns the text to which the
 * caller appends further JSON members, each begun with a comma: `,"device":"iphone"`.
 * timeline_end() closes it.
 * what: a word like "event" "decision" "push" "answer" "register" "end". uuid may be NULL once it
 * is known, several uuids may belong to a call. Never NULL; when memory is short the entry is lost.
 */
struct buf *timeline_begin(struct timeline *timeline, const char *call_id, const char *uuid,
	int64_t wall_ms, const char *what);
void timeline_end(struct timeline *timeline);

/* Writes `{"call":…,"uuids":[…],"timeline":[{"at_ms":…,"ms":…,"what":…,…},…]}`; `ms` counts from
 * the first entry. id: Call-ID or uuid. False where it is unknown. */
bool timeline_write(struct timeline *timeline, const char *id, int64_t now_ms, struct buf *out);

#endif
