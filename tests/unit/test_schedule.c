/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/schedule.h>

#define WINDOW(days, from, to) "{\"days\":" days ",\"from\":\"" from "\",\"to\":\"" to "\"}"
#define ALL                    "[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\"]"

static enum err parse(
	const char *name, const char *text, struct schedule *out, struct event_error *error)
{
	return schedule_parse(name, text, out, error);
}

static struct schedule schedule_of(const char *name, const char *windows)
{
	struct schedule schedule;
	struct event_error error;

	if (parse(name, windows, &schedule, &error))
		fail_msg("%s: %s", windows, error.message);
	return schedule;
}

static struct zone *zone_of(const char *name)
{
	static char data[ZONE_FILE_MAX_BYTES];
	struct zone *zone = NULL;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	file = fopen(path, "rb");
	if (!file || zone_parse(data, fread(data, 1, sizeof(data), file), &zone))
		fail_msg("%s: the tests need the Debian package tzdata", path);
	fclose(file);
	return zone;
}

/* "2025-03-30 01:59:59" UTC in Unix ms */
static int64_t utc(const char *text)
{
	struct tm tm = {0};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return (int64_t)timegm(&tm) * 1000;
}

/* Each row: at this UTC time the schedule holds or not, and until when. */
static void by_the_wall_clock(void **state)
{
	static const struct {
		const char *what, *zone, *windows, *now;
		bool holds;
		const char *until;
	} rows[] = {
		/* 2025-01-06 is a Monday */
		{"before", "UTC", "[" WINDOW("[\"mon\"]", "09:00", "17:00") "]",
			"2025-01-06 08:59:59", false, "2025-01-06 09:00:00"},
		{"the first second", "UTC", "[" WINDOW("[\"mon\"]", "09:00", "17:00") "]",
			"2025-01-06 09:00:00", true, "2025-01-06 17:00:00"},
		{"the last second", "UTC", "[" WINDOW("[\"mon\"]", "09:00", "17:00") "]",
			"2025-01-06 16:59:59", true, "2025-01-06 17:00:00"},
		{"after: next week", "UTC", "[" WINDOW("[\"mon\"]", "09:00", "17:00") "]",
			"2025-01-06 17:00:00", false, "2025-01-13 09:00:00"},
		{"another day", "UTC", "[" WINDOW("[\"mon\",\"wed\"]", "09:00", "17:00") "]",
			"2025-01-07 12:00:00", false, "2025-01-08 09:00:00"},
		{"across midnight", "UTC", "[" WINDOW("[\"mon\"]", "22:00", "07:00") "]",
			"2025-01-06 23:00:00", true, "2025-01-07 07:00:00"},
		{"the morning belongs to the day before", "UTC",
			"[" WINDOW("[\"mon\"]", "22:00", "07:00") "]", "2025-01-07 06:59:59", true,
			"2025-01-07 07:00:00"},
		{"and not to the day itself", "UTC", "[" WINDOW("[\"mon\"]", "22:00", "07:00") "]",
			"2025-01-06 06:00:00", false, "2025-01-06 22:00:00"},
		{"across the end of the week", "UTC", "[" WINDOW("[\"sun\"]", "22:00", "07:00") "]",
			"2025-01-06 03:00:00", true, "2025-01-06 07:00:00"},
		{"across the end of the year", "UTC", "[" WINDOW("[\"tue\"]", "22:00", "07:00") "]",
			"2025-01-01 00:00:00", true, "2025-01-01 07:00:00"},
		{"the whole day", "UTC", "[" WINDOW("[\"sat\"]", "00:00", "00:00") "]",
			"2025-01-11 00:00:00", true, "2025-01-12 00:00:00"},
		{"the whole day, said otherwise", "UTC",
			"[" WINDOW("[\"sat\"]", "00:00", "24:00") "]", "2025-01-11 23:59:59", true,
			"2025-01-12 00:00:00"},
		{"not the day after", "UTC", "[" WINDOW("[\"sat\"]", "00:00", "00:00") "]",
			"2025-01-12 00:00:00", false, "2025-01-18 00:00:00"},
		{"24 hours from eight", "UTC", "[" WINDOW("[\"sat\"]", "08:00", "08:00") "]",
			"2025-01-12 07:59:59", true, "2025-01-12 08:00:00"},
		{"until midnight", "UTC", "[" WINDOW("[\"sat\"]", "20:00", "24:00") "]",
			"2025-01-11 21:00:00", true, "2025-01-12 00:00:00"},
		{"windows that overlap are one", "UTC",
			"[" WINDOW("[\"mon\"]", "22:00", "02:00") "," WINDOW(
				"[\"tue\"]", "01:00", "03:00") "]",
			"2025-01-06 22:30:00", true, "2025-01-07 03:00:00"},
		{"windows that touch are one", "UTC",
			"[" WINDOW("[\"mon\"]", "22:00", "00:00") "," WINDOW(
				"[\"tue\"]", "00:00", "03:00") "]",
			"2025-01-06 22:30:00", true, "2025-01-07 03:00:00"},
		{"days that touch are one", "UTC",
			"[" WINDOW("[\"sat\",\"sun\"]", "00:00", "24:00") "]",
			"2025-01-11 10:00:00", true, "2025-01-13 00:00:00"},
		{"always", "UTC", "[" WINDOW(ALL, "08:00", "08:00") "]", "2025-01-11 10:00:00",
			true, NULL},
		{"never", "UTC", "[]", "2025-01-11 10:00:00", false, NULL},
		{"before 1970", "UTC", "[" WINDOW("[\"wed\"]", "23:00", "24:00") "]",
			"1969-12-31 23:59:59", true, "1970-01-01 00:00:00"},

		/* the hour that does not exist: 2025-03-30, 02:00 CET is 03:00 CEST, 01:00 UTC */
		{"Berlin, spring: shorter by an hour", "Europe/Berlin",
			"[" WINDOW("[\"sat\"]", "22:00", "07:00") "]", "2025-03-29 21:00:00", true,
			"2025-03-30 05:00:00"},
		{"Berlin, spring: begins in it, so at its end", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "02:30", "04:00") "]", "2025-03-30 00:59:59", false,
			"2025-03-30 01:00:00"},
		{"Berlin, spring: ends in it, so at its start", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "01:00", "02:30") "]", "2025-03-30 00:30:00", true,
			"2025-03-30 01:00:00"},
		{"Berlin, spring: wholly in it, so not this week", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "02:15", "02:45") "]", "2025-03-30 00:00:00", false,
			"2025-04-06 00:15:00"},
		{"Berlin, spring: up to it and on from it", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "01:00", "02:00") "," WINDOW(
				"[\"sun\"]", "03:00", "04:00") "]",
			"2025-03-30 00:30:00", true, "2025-03-30 02:00:00"},
		{"Berlin, the day before", "Europe/Berlin",
			"[" WINDOW("[\"sat\"]", "09:00", "17:00") "]", "2025-03-29 08:00:00", true,
			"2025-03-29 16:00:00"},
		{"Berlin, the day after", "Europe/Berlin",
			"[" WINDOW("[\"mon\"]", "09:00", "17:00") "]", "2025-03-31 07:00:00", true,
			"2025-03-31 15:00:00"},

		/* the hour that happens twice: 2025-10-26, 03:00 CEST is 02:00 CET, 01:00 UTC */
		{"Berlin, autumn: longer by an hour", "Europe/Berlin",
			"[" WINDOW("[\"sat\"]", "22:00", "07:00") "]", "2025-10-25 20:00:00", true,
			"2025-10-26 06:00:00"},
		{"Berlin, autumn: holds the first time", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "02:15", "02:45") "]", "2025-10-26 00:15:00", true,
			"2025-10-26 00:45:00"},
		{"Berlin, autumn: not between the two", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "02:15", "02:45") "]", "2025-10-26 00:45:00", false,
			"2025-10-26 01:15:00"},
		{"Berlin, autumn: holds the second time", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "02:15", "02:45") "]", "2025-10-26 01:15:00", true,
			"2025-10-26 01:45:00"},
		{"Berlin, autumn: begins in it", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "02:30", "04:00") "]", "2025-10-26 00:30:00", true,
			"2025-10-26 01:00:00"},
		{"Berlin, autumn: begins in it again", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "02:30", "04:00") "]", "2025-10-26 01:00:00", false,
			"2025-10-26 01:30:00"},
		{"Berlin, autumn: ends in it, twice", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "01:00", "02:30") "]", "2025-10-26 00:30:00", false,
			"2025-10-26 01:00:00"},
		{"Berlin, autumn: until three", "Europe/Berlin",
			"[" WINDOW("[\"sun\"]", "01:00", "03:00") "]", "2025-10-26 00:30:00", true,
			"2025-10-26 02:00:00"},

		{"New York, spring", "America/New_York",
			"[" WINDOW("[\"sun\"]", "02:30", "04:00") "]", "2025-03-09 06:59:59", false,
			"2025-03-09 07:00:00"},
		{"New York, autumn", "America/New_York",
			"[" WINDOW("[\"sat\"]", "22:00", "07:00") "]", "2025-11-02 02:00:00", true,
			"2025-11-02 12:00:00"},
		{"Lord Howe: half an hour twice", "Australia/Lord_Howe",
			"[" WINDOW("[\"sun\"]", "01:40", "01:50") "]", "2025-04-05 14:50:00", false,
			"2025-04-05 15:10:00"},
		{"Lord Howe: half an hour is skipped", "Australia/Lord_Howe",
			"[" WINDOW("[\"sun\"]", "02:10", "03:00") "]", "2025-10-04 15:29:59", false,
			"2025-10-04 15:30:00"},
		{"Sao Paulo: a day without midnight", "America/Sao_Paulo",
			"[" WINDOW("[\"sun\"]", "00:00", "00:00") "]", "2018-11-04 02:59:59", false,
			"2018-11-04 03:00:00"},
		{"Sao Paulo: it is shorter", "America/Sao_Paulo",
			"[" WINDOW("[\"sun\"]", "00:00", "00:00") "]", "2018-11-04 03:00:00", true,
			"2018-11-05 02:00:00"},
		{"Apia: a Friday that did not happen", "Pacific/Apia",
			"[" WINDOW("[\"fri\"]", "00:00", "00:00") "]", "2011-12-30 09:00:00", false,
			"2012-01-05 10:00:00"},
		{"Kathmandu: quarters of an hour", "Asia/Kathmandu",
			"[" WINDOW("[\"mon\"]", "00:00", "06:00") "]", "2025-01-05 18:15:00", true,
			"2025-01-06 00:15:00"},
		{"Dublin: the winter is the exception", "Europe/Dublin",
			"[" WINDOW("[\"sun\"]", "01:15", "01:45") "]", "2025-03-30 00:30:00", false,
			"2025-04-06 00:15:00"},
		{"Casablanca", "Africa/Casablanca", "[" WINDOW("[\"mon\"]", "09:00", "10:00") "]",
			"2024-06-03 08:00:00", true, "2024-06-03 09:00:00"},
		{"far beyond the table of the zone", "Europe/Berlin",
			"[" WINDOW("[\"sat\"]", "22:00", "07:00") "]", "2099-03-28 21:00:00", true,
			"2099-03-29 05:00:00"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct schedule schedule = schedule_of(rows[i].zone, rows[i].windows);
		struct zone *zone = zone_of(rows[i].zone);
		int64_t until_ms = 0, expected_ms = rows[i].until ? utc(rows[i].until) : INT64_MAX;
		bool holds = schedule_holds(&schedule, zone, utc(rows[i].now), &until_ms);

		if (holds != rows[i].holds || until_ms != expected_ms)
			fail_msg("%s: %s until %lld, not %s until %lld", rows[i].what,
				holds ? "holds" : "holds not", (long long)(until_ms / 1000),
				rows[i].holds ? "holds" : "holds not",
				(long long)(expected_ms / 1000));
		assert_int_equal(schedule_holds(&schedule, zone, utc(rows[i].now) + 999, NULL),
			rows[i].holds);
		zone_free(zone);
	}
}

/* What is said of the end of a window is what a minute-by-minute look finds, through two years. */
static void the_end_is_where_the_answer_changes(void **state)
{
	static const char *const zones[] = {"Europe/Berlin", "Australia/Lord_Howe"};

	(void)state;
	for (size_t z = 0; z < 2; z++) {
		struct schedule schedule =
			schedule_of(zones[z], "[" WINDOW("[\"sun\"]", "01:10", "02:20") "," WINDOW(
						      "[\"sat\",\"wed\"]", "22:45", "03:05") "]");
		struct zone *zone = zone_of(zones[z]);
		int64_t now_ms = utc("2024-01-01 00:00:00"), end_ms = now_ms + 63072000000,
			until_ms;
		bool holds = schedule_holds(&schedule, zone, now_ms, &until_ms);

		for (; now_ms < end_ms; now_ms += 60000) {
			bool changed = schedule_holds(&schedule, zone, now_ms, NULL) != holds;
			assert_int_equal(changed, now_ms == until_ms);
			if (changed)
				holds = schedule_holds(&schedule, zone, now_ms, &until_ms);
		}
		zone_free(zone);
	}
}

static void bad_parts_are_named(void **state)
{
	static const struct {
		const char *timezone, *windows;
		enum event_error_code code;
		const char *field, *says;
	} rows[] = {
		{"", "[7]", EVENT_BAD_FIELD, "timezone", "Europe/Berlin"},
		{"../../etc/passwd", "[7]", EVENT_BAD_FIELD, "timezone", "Europe/Berlin"},
		{"UTC", "{}", EVENT_BAD_FIELD, "windows", "at most 64"},
		{"UTC", "\"mon\"", EVENT_BAD_FIELD, "windows", "at most 64"},
		{"UTC", "[7]", EVENT_BAD_FIELD, "windows", "window 1 must be an object"},
		{"UTC", "[{\"from\":\"01:00\",\"to\":\"02:00\"}]", EVENT_MISSING_FIELD,
			"windows.days", "window 1 has no 'days'"},
		{"UTC", "[{\"days\":null,\"from\":\"01:00\",\"to\":\"02:00\"}]",
			EVENT_MISSING_FIELD, "windows.days", "window 1 has no 'days'"},
		{"UTC", "[" WINDOW("[]", "01:00", "02:00") "]", EVENT_BAD_FIELD, "windows.days",
			"at least one day"},
		{"UTC", "[" WINDOW("\"mon\"", "01:00", "02:00") "]", EVENT_BAD_FIELD,
			"windows.days", "an array"},
		{"UTC", "[" WINDOW("[\"monday\"]", "01:00", "02:00") "]", EVENT_BAD_FIELD,
			"windows.days", "not monday"},
		{"UTC", "[" WINDOW("[\"Mon\"]", "01:00", "02:00") "]", EVENT_BAD_FIELD,
			"windows.days", "not Mon"},
		{"UTC", "[" WINDOW("[1]", "01:00", "02:00") "]", EVENT_BAD_FIELD, "windows.days",
			"one of mon tue"},
		{"UTC",
			"[" WINDOW("[\"mon\"]", "01:00", "02:00") "," WINDOW(
				"[\"mon\"]", "24:01", "02:00") "]",
			EVENT_BAD_FIELD, "windows.from", "of window 2 must be a time"},
		{"UTC", "[" WINDOW("[\"mon\"]", "24:00", "02:00") "]", EVENT_BAD_FIELD,
			"windows.from", "23:59"},
		{"UTC", "[" WINDOW("[\"mon\"]", "7:00", "02:00") "]", EVENT_BAD_FIELD,
			"windows.from", "not 7:00"},
		{"UTC", "[" WINDOW("[\"mon\"]", "07:60", "02:00") "]", EVENT_BAD_FIELD,
			"windows.from", "not 07:60"},
		{"UTC", "[" WINDOW("[\"mon\"]", "07:00", "") "]", EVENT_BAD_FIELD, "windows.to",
			"\"24:00\", not "},
		{"UTC", "[" WINDOW("[\"mon\"]", "07:00", "-1:00") "]", EVENT_BAD_FIELD,
			"windows.to", "not -1:00"},
		{"UTC", "[" WINDOW("[\"mon\"]", "07:00", "07:00:00") "]", EVENT_BAD_FIELD,
			"windows.to", "not 07:00:00"},
		{"UTC", "[{\"days\":[\"mon\"],\"from\":7,\"to\":\"02:00\"}]", EVENT_BAD_FIELD,
			"windows.from", "must be a time"},
		{"UTC", "[{\"days\":[\"mon\"],\"from\":\"07:00\"}]", EVENT_MISSING_FIELD,
			"windows.to", "window 1 has no 'to'"},
		{"UTC",
			"[" WINDOW("[\"aaaaaaaaaabbbbbbbbbbccccccccccd\xc3\xa4\xc3\xa4\"]", "07:00",
				"08:00") "]",
			EVENT_BAD_FIELD, "windows.days", "not aaaaaaaaaabbbbbbbbbbccccccccccd"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct schedule schedule = {.count = 77};
		struct event_error error = {0};
		json_t *message;

		if (parse(rows[i].timezone, rows[i].windows, &schedule, &error) != ERR_INVAL)
			fail_msg("%s is taken", rows[i].windows);
		if (error.code != rows[i].code || strcmp(error.field, rows[i].field) != 0 ||
			!strstr(error.message, rows[i].says))
			fail_msg("%s: %s: %s", rows[i].windows, error.field, error.message);
		assert_int_equal(schedule.count, 77);
		message = json_string(error.message); /* NULL where it is not UTF-8 */
		assert_non_null(message);
		json_decref(message);
	}
}

static void at_most_64_windows(void **state)
{
	struct schedule schedule;
	struct event_error error;
	struct buf text = {0};

	(void)state;
	for (int count = 64; count <= 65; count++) {
		buf_reset(&text);
		for (int i = 0; i < count; i++)
			buf_printf(&text, "%s" WINDOW("[\"mon\"]", "%02d:00", "12:30"),
				i ? "," : "[", i % 24);
		buf_add_char(&text, ']');
		assert_int_equal(parse("UTC", buf_str(&text), &schedule, &error),
			count == 64 ? ERR_OK : ERR_INVAL);
		assert_int_equal(schedule.count, 64);
	}
	buf_free(&text);
}

static void it_is_stored_in_the_same_words(void **state)
{
	static const struct {
		const char *windows, *expected;
	} rows[] = {
		{"[" WINDOW("[\"sun\",\"mon\",\"sun\"]", "22:00", "07:05") "]",
			"{\"timezone\":\"Europe/Berlin\",\"windows\":[{\"days\":[\"mon\",\"sun\"],"
			"\"from\":\"22:00\",\"to\":\"07:05\"}]}"},
		{"[" WINDOW("[\"sat\"]", "00:00", "24:00") "," WINDOW(
			 "[\"tue\"]", "00:00", "01:00") "]",
			"{\"timezone\":\"Europe/Berlin\",\"windows\":["
			"{\"days\":[\"sat\"],\"from\":\"00:00\",\"to\":\"00:00\"},"
			"{\"days\":[\"tue\"],\"from\":\"00:00\",\"to\":\"01:00\"}]}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct schedule schedule = schedule_of("Europe/Berlin", rows[i].windows), again;
		struct buf text = {0}, text_again = {0};

		schedule_write(&schedule, &text);
		assert_string_equal(buf_str(&text), rows[i].expected);
		assert_int_equal(schedule_read(buf_str(&text), &again), ERR_OK);
		schedule_write(&again, &text_again);
		assert_string_equal(buf_str(&text), buf_str(&text_again));
		buf_free(&text);
		buf_free(&text_again);
	}
}

static void what_was_not_written_by_us_is_refused(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "{}", "null", "{\"timezone\":\"UTC\"}",
		"{\"timezone\":7,\"windows\":[]}", "{\"timezone\":\"..\",\"windows\":[]}",
		"{\"timezone\":\"UTC\",\"windows\":[{}]}"};
	struct schedule schedule = {.count = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(schedule_read(texts[i], &schedule), ERR_INVAL);
	assert_int_equal(schedule.count, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_the_wall_clock),
		cmocka_unit_test(the_end_is_where_the_answer_changes),
		cmocka_unit_test(bad_parts_are_named),
		cmocka_unit_test(at_most_64_windows),
		cmocka_unit_test(it_is_stored_in_the_same_words),
		cmocka_unit_test(what_was_not_written_by_us_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
