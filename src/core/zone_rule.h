/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_ZONE_RULE_H
#define PBXPUSH_CORE_ZONE_RULE_H

#include <stdint.h>

#include <pbxpush/base/err.h>

/* The rule of a POSIX TZ string, which continues a TZif file beyond its last transition. */

enum zone_day_kind {
	ZONE_DAY_JULIAN,     /* Jn: 1 to 365, the 29th of February is never counted */
	ZONE_DAY_OF_YEAR,    /* n: 0 to 365, it is counted */
	ZONE_DAY_OF_WEEK_IN, /* Mm.w.d: weekday d of the week w of month m, 5: the last one */
};

struct zone_change {
	enum zone_day_kind kind;
	int day, week, month;
	/* of that day by the clock that is left behind; -167 h to 167 h (RFC 8536 3.3.1) */
	int32_t time_s;
};

struct zone_rule {
	int32_t standard_s, daylight_s; /* offsets; the same where there is no daylight time */
	struct zone_change start, end;  /* of daylight time */
};

/* text is what stands between the new-lines of the footer. ERR_INVAL for what is no TZ string, and
 * for daylight time without rules. */
enum err zone_rule_parse(const char *text, struct zone_rule *out);

/* As zone_offset_s(). */
int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t time_s, int64_t *until_s);

#endif
