/* SPDX-License-Identifier: MIT */
#include "zone_rule.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define DAY_S 86400

/* ---- the text ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Each of these moves *at behind what it took, and fails without a promise as to where *at is. */

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	++*at;
	return true;
}

static bool take_int(const char **at, int min, int max, int *out)
{
	int value = 0;

	if (!is_digit(**at))
		return false;
	while (is_digit(**at)) {
		value = value * 10 + (*(*at)++ - '0');
		if (value > max)
			return false;
	}
	*out = value;
	return value >= min;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(const char **at, int max_hours, int32_t *out)
{
	bool negative = take_char(at, '-');
	int hours, minutes = 0, seconds = 0;

	if (!negative)
		take_char(at, '+');
	if (!take_int(at, 0, max_hours, &hours))
		return false;
	if (take_char(at, ':')) {
		if (!take_int(at, 0, 59, &minutes))
			return false;
		if (take_char(at, ':') && !take_int(at, 0, 59, &seconds))
			return false;
	}
	*out = hours * 3600 + minutes * 60 + seconds;
	if (negative)
		*out = -*out;
	return true;
}

/* Letters, or anything printable that fits between < and >; at least three. */
static bool take_name(const char **at)
{
	bool quoted = take_char(at, '<');
	size_t len = 0;

	while (is_letter(**at) || (quoted && (is_digit(**at) || **at == '+' || **at == '-'))) {
		++*at;
		len++;
	}
	return len >= 3 && (!quoted || take_char(at, '>'));
}

/* POSIX counts west of Greenwich, we count east of it. */
static bool take_offset(const char **at, int32_t *out)
{
	if (!take_time(at, 24, out))
		return false;
	*out = -*out;
	return true;
}

static bool take_change(const char **at, struct zone_change *out)
{
	*out = (struct zone_change){.kind = ZONE_DAY_OF_YEAR, .time_s = 2 * 3600};
	if (!take_char(at, ','))
		return false;
	if (take_char(at, 'M')) {
		out->kind = ZONE_DAY_OF_WEEK_IN;
		if (!take_int(at, 1, 12, &out->month) || !take_char(at, '.') ||
			!take_int(at, 1, 5, &out->week) || !take_char(at, '.') ||
			!take_int(at, 0, 6, &out->day))
			return false;
	} else if (take_char(at, 'J')) {
		out->kind = ZONE_DAY_JULIAN;
		if (!take_int(at, 1, 365, &out->day))
			return false;
	} else if (!take_int(at, 0, 365, &out->day)) {
		return false;
	}
	return !take_char(at, '/') || take_time(at, 167, &out->time_s);
}

enum err zone_rule_parse(const char *text, struct zone_rule *out)
{
	struct zone_rule rule = {0};

	if (!take_name(&text) || !take_offset(&text, &rule.standard_s))
		return ERR_INVAL;
	rule.daylight_s = rule.standard_s;
	if (*text) {
		if (!take_name(&text))
			return ERR_INVAL;
		rule.daylight_s += 3600;
		if (*text != ',' && !take_offset(&text, &rule.daylight_s))
			return ERR_INVAL;
		if (!take_change(&text, &rule.start) || !take_change(&text, &rule.end) || *text)
			return ERR_INVAL;
	}
	*out = rule;
	return ERR_OK;
}

/* ---- the calendar, proleptic Gregorian; days count from 1970-01-01 ---- */

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* The day of the first of January. */
static int64_t year_start(int64_t year)
{
	int64_t before = year - 1;

	return before * 365 + floor_div(before, 4) - floor_div(before, 100) +
	       floor_div(before, 400) - 719162;
}

static int64_t year_of(int64_t day)
{
	/* 146097 days are 400 years; the guess may be off by one. */
	int64_t year = 1970 + floor_div(day * 400, 146097);

	while (year_start(year) > day)
		year--;
	while (year_start(year + 1) <= day)
		year++;
	return year;
}

static int month_length(int64_t year, int month)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return lengths[month - 1] + (month == 2 && is_leap(year));
}

static int64_t day_of_week_in(const struct zone_change *change, int64_t year)
{
	int64_t first = year_start(year), weekday, day;

	for (int month = 1; month < change->month; month++)
		first += month_length(year, month);
	weekday = (first + 4) - 7 * floor_div(first + 4, 7); /* 1970-01-01 was a Thursday */
	day = (change->day - weekday + 7) % 7 + (change->week - 1) * 7;
	if (day >= month_length(year, change->month)) /* there is no fifth one: the last */
		day -= 7;
	return first + day;
}

/* When the change happens in this year, by the clock whose offset is left behind. */
static int64_t change_time_s(const struct zone_change *change, int64_t year, int32_t offset_s)
{
	int64_t day = 0;

	switch (change->kind) {
	case ZONE_DAY_JULIAN:
		day = year_start(year) + change->day - 1 + (is_leap(year) && change->day >= 60);
		break;
	case ZONE_DAY_OF_YEAR:
		day = year_start(year) + change->day;
		break;
	case ZONE_DAY_OF_WEEK_IN:
		day = day_of_week_in(change, year);
		break;
	}
	return day * DAY_S + change->time_s - offset_s;
}

/*
 * The last change before and the first one after decide. Its time of -167 to 167 hours may move a
 * change into a neighbouring year, so two years are looked at on either side. Where daylight time
 * ends and begins at the same moment it lasts all year (RFC 8536 3.3.1): the start wins.
 */
int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t time_s, int64_t *until_s)
{
	int64_t year = year_of(floor_div(time_s, DAY_S));
	int64_t last_s = INT64_MIN, next_s = INT64_MAX;
	int32_t offset_s = rule->standard_s;

	if (rule->standard_s == rule->daylight_s) {
		*until_s = INT64_MAX;
		return offset_s;
	}
	for (int i = 0; i < 10; i++) {
		bool start = i % 2;
		const struct zone_change *change = start ? &rule->start : &rule->end;
		int64_t at_s = change_time_s(
			change, year - 2 + i / 2, start ? rule->standard_s : rule->daylight_s);

		if (at_s > time_s && at_s < next_s)
			next_s = at_s;
		if (at_s <= time_s && (at_s > last_s || (at_s == last_s && start))) {
			last_s = at_s;
			offset_s = start ? rule->daylight_s : rule->standard_s;
		}
	}
	*until_s = next_s;
	return offset_s;
}
