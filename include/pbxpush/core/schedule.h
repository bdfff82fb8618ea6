/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_SCHEDULE_H
#define PBXPUSH_CORE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>
#include <pbxpush/core/event.h>
#include <pbxpush/core/zone.h>

#define SCHEDULE_MAX_WINDOWS 64

/*
 * From `from` on each of its days until the next time that the clock shows `to`: on the same day,
 * or on the next one where `to` is not later. Hence from == to is 24 hours, and a window across
 * midnight belongs to the day on which it begins.
 */
struct schedule_window {
	uint8_t days;              /* bit 0: Monday … bit 6: Sunday; never 0 */
	uint16_t from_min, to_min; /* minutes of the day, 0 to 1439 */
};

/* A weekly do-not-disturb schedule (CONTRACT 2.3 dnd-schedule). A plain value: copied at will. */
struct schedule {
	char timezone
		[ZONE_NAME_SIZE]; /* IANA name; whether there is such a zone was not looked at */
	size_t count;             /* 0: there is no schedule */
	struct schedule_window windows[SCHEDULE_MAX_WINDOWS];
};

/*
 * Takes the fields `timezone` (NULL where absent) and `windows` (JSON) of the event, e.g.
 * [{"days":["mon","fri"],"from":"22:00","to":"07:00"}]; to "24:00" is the midnight at the end of
 * the day. An empty array gives count 0, whatever the time zone. ERR_INVAL with `error` filled, and
 * *out untouched, for anything else: field names the part (`windows.from`), the message the window
 * and what is wrong with it.
 */
enum err schedule_parse(const char *zone_name, const char *windows, struct schedule *out,
	struct event_error *error);

/* Appends {"timezone":…,"windows":[…]}, always in the same words: what the directory stores and
 * `show` says. Check out->failed. */
void schedule_write(const struct schedule *schedule, struct buf *out);

/* Reads what schedule_write() wrote. ERR_INVAL for anything else, *out is untouched then. */
enum err schedule_read(const char *text, struct schedule *out);

/*
 * True while the wall clock of the zone is inside a window. The clock alone decides: what lies in
 * the hour that happens twice holds twice, what lies in the hour that is skipped does not hold that
 * day.
 * now_ms: Unix ms. *until_ms, where asked for, becomes the moment at which the answer changes,
 * later than now_ms; INT64_MAX where it does not within five weeks (always, or never).
 */
bool schedule_holds(const struct schedule *schedule, const struct zone *zone, int64_t now_ms,
	int64_t *until_ms);

#endif
