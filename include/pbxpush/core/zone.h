/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_ZONE_H
#define PBXPUSH_CORE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>

/* Longest name of a time zone we take, with its NUL. The longest of IANA has 32 characters. */
#define ZONE_NAME_SIZE      64
/* Longest TZif file we take; the longest of IANA has 4 KB. */
#define ZONE_FILE_MAX_BYTES 65536

/* A time zone of IANA, read from its TZif file, since TZ and tzset() are global to the process. It
 * never changes after zone_parse(), so any thread may ask it. */
struct zone;

/*
 * Reads TZif data (RFC 8536, any version), which is only looked at. ERR_INVAL for anything broken,
 * and for zones that count leap seconds (`right/…`), which Unix time does not. ERR_LIMIT for more
 * than ZONE_FILE_MAX_BYTES. Freed by zone_free().
 */
enum err zone_parse(const void *data, size_t len, struct zone **out);

void zone_free(struct zone *zone);

/*
 * How many seconds local time is ahead of UTC at time_s (Unix seconds); within 26 hours. *until_s,
 * where asked for, becomes the end of the time through which this holds: later than time_s,
 * INT64_MAX where nothing is known to change.
 */
int32_t zone_offset_s(const struct zone *zone, int64_t time_s, int64_t *until_s);

/* True for what may be looked up in the zone folder: words of A-Z a-z 0-9 _ + - joined by single
 * slashes. There is no dot in any name, so none can leave the folder. */
bool zone_name_is_valid(const char *name);

#endif
