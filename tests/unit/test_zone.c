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

#include <pbxpush/core/zone.h>

static size_t load(const char *name, uint8_t *data, size_t size)
{
	char path[128];
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	file = fopen(path, "rb");
	if (!file)
		fail_msg("%s: the tests need the Debian package tzdata", path);
	len = fread(data, 1, size, file);
	fclose(file);
	return len;
}

static struct zone *zone_of(const char *name)
{
	static uint8_t data[ZONE_FILE_MAX_BYTES];
	struct zone *zone = NULL;
	enum err err = zone_parse(data, load(name, data, sizeof(data)), &zone);

	if (err)
		fail_msg("%s: %s", name, err_string(err));
	return zone;
}

/* Changes that were looked up by hand: seconds of Unix time and the offsets before and after. */
static void known_changes(void **state)
{
	static const struct {
		const char *zone;
		int64_t at_s;
		int32_t before_s, after_s;
	} rows[] = {
		{"Europe/Berlin", 1743296400, 3600, 7200},         /* 2025-03-30 01:00 UTC */
		{"Europe/Berlin", 1761440400, 7200, 3600},         /* 2025-10-26 01:00 UTC */
		{"Europe/Berlin", 4078429200, 3600, 7200},         /* 2099-03-29, by the footer */
		{"Europe/Berlin", 4096573200, 7200, 3600},         /* 2099-10-25 */
		{"Europe/Berlin", 323830800, 3600, 7200},          /* 1980-04-06 */
		{"America/New_York", 1741503600, -18000, -14400},  /* 2025-03-09 07:00 UTC */
		{"America/New_York", 1762063200, -14400, -18000},  /* 2025-11-02 06:00 UTC */
		{"Australia/Lord_Howe", 1743865200, 39600, 37800}, /* 2025-04-05 15:00 UTC */
		{"Australia/Lord_Howe", 1759591800, 37800, 39600}, /* 2025-10-04 15:30 UTC */
		{"Asia/Kathmandu", 504901800, 19800, 20700},       /* 1985-12-31 18:30 UTC */
		{"America/Sao_Paulo", 1541300400, -10800, -7200},  /* 2018-11-04: no midnight */
		{"America/Sao_Paulo", 1550368800, -7200, -10800},  /* 2019-02-17, the last one */
		{"Pacific/Apia", 1325239200, -36000, 50400},       /* 2011-12-30 did not happen */
		{"Europe/Dublin", 1743296400, 0, 3600},            /* summer is the standard time */
		{"Europe/Dublin", 1761440400, 3600, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone *zone = zone_of(rows[i].zone);
		int64_t until_s = 0;

		if (zone_offset_s(zone, rows[i].at_s - 1, &until_s) != rows[i].before_s ||
			until_s != rows[i].at_s ||
			zone_offset_s(zone, rows[i].at_s, &until_s) != rows[i].after_s ||
			until_s <= rows[i].at_s)
			fail_msg("%s at %lld: %d, then %d until %lld", rows[i].zone,
				(long long)rows[i].at_s,
				zone_offset_s(zone, rows[i].at_s - 1, NULL),
				zone_offset_s(zone, rows[i].at_s, NULL), (long long)until_s);
		zone_free(zone);
	}
}

/* The C library reads the same files: it must agree, here and across every change that we
 * report. */
static void agrees_with_the_c_library(void **state)
{
	static const char *const names[] = {"Europe/Berlin", "America/New_York",
		"Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia",
		"Africa/Casablanca", "Africa/El_Aaiun", "Europe/Dublin", "UTC", "Asia/Jerusalem",
		"America/Nuuk", "Asia/Gaza", "Africa/Cairo", "Pacific/Chatham", "America/St_Johns",
		"Antarctica/Troll", "America/Santiago", "Asia/Tehran", "Asia/Kolkata", "Etc/GMT+12",
		"America/Argentina/Buenos_Aires", "Pacific/Kiritimati", "Europe/London"};
	const int64_t end_s = INT64_C(4133980800); /* 2101 */

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct zone *zone = zone_of(names[i]);

		setenv("TZ", names[i], 1);
		tzset();
		/* A step that is no multiple of anything meets every hour of day and year. */
		for (int64_t at_s = -1; at_s < end_s; at_s += 500009) {
			int64_t until_s;
			int32_t offset_s = zone_offset_s(zone, at_s, &until_s);
			time_t probes[] = {(time_t)at_s, (time_t)until_s - 1, (time_t)until_s};

			assert_true(until_s > at_s);
			for (size_t p = 0; p < 3; p++) {
				struct tm tm;
				if (p && until_s > end_s)
					break;
				localtime_r(&probes[p], &tm);
				if (p == 2)
					offset_s = zone_offset_s(zone, until_s, NULL);
				if (tm.tm_gmtoff != offset_s)
					fail_msg("%s at %lld: %d, not %ld", names[i],
						(long long)probes[p], offset_s, tm.tm_gmtoff);
			}
		}
		zone_free(zone);
	}
	unsetenv("TZ");
	tzset();
}

struct file {
	uint8_t data[512];
	size_t len;
};

static void put(struct file *file, const void *data, size_t len)
{
	assert_true(file->len + len <= sizeof(file->data));
	memcpy(file->data + file->len, data, len);
	file->len += len;
}

static void put_int(struct file *file, int64_t value, int bytes)
{
	for (int shift = bytes * 8 - 8; shift >= 0; shift -= 8) {
		uint8_t byte = (uint8_t)((uint64_t)value >> shift);
		put(file, &byte, 1);
	}
}

struct shape {
	char version;
	uint32_t ut, std, leap, times, types, chars; /* as the header says */
	int64_t at_s[3];
	uint8_t index[3];
	int64_t offset_s[2];
};

static void put_block(struct file *file, const struct shape *shape, int time_bytes)
{
	const uint32_t counts[] = {
		shape->ut, shape->std, shape->leap, shape->times, shape->types, shape->chars};

	put(file, "TZif", 4);
	put(file, &shape->version, 1);
	put(file, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
	for (size_t i = 0; i < 6; i++)
		put_int(file, counts[i], 4);
	for (size_t i = 0; i < shape->times && i < 3; i++)
		put_int(file, shape->at_s[i], time_bytes);
	for (size_t i = 0; i < shape->times && i < 3; i++)
		put_int(file, shape->index[i], 1);
	for (size_t i = 0; i < shape->types && i < 2; i++) {
		put_int(file, shape->offset_s[i], 4);
		put(file, "\0\0", 2);
	}
	put(file, "ABC\0DEF\0", shape->chars < 8 ? shape->chars : 8);
}

static const struct shape good = {
	.version = '2',
	.times = 3,
	.types = 2,
	.chars = 8,
	.at_s = {-1000, 1000, 2000},
	.index = {1, 0, 1},
	.offset_s = {3600, -7200},
};

static struct file file_of(const struct shape *shape, const char *footer)
{
	struct file file = {.len = 0};

	if (shape->version) {
		struct shape old = {.version = shape->version, .types = 1, .chars = 4};
		put_block(&file, &old, 4);
	}
	put_block(&file, shape, shape->version ? 8 : 4);
	if (shape->version)
		put(&file, footer, strlen(footer));
	return file;
}

/* Parsed from an exact copy on the heap, so that the sanitizer sees a read beyond it. */
static enum err parse(const struct file *file, size_t len, struct zone **out)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum err err;

	assert_non_null(copy);
	memcpy(copy, file->data, len);
	err = zone_parse(copy, len, out);
	free(copy);
	return err;
}

static void both_forms_are_read(void **state)
{
	static const struct {
		int64_t at_s;
		int32_t offset_s;
		int64_t until_s;
	} rows[] = {{INT64_MIN, 3600, -1000}, {-1001, 3600, -1000}, {-1000, -7200, 1000},
		{1000, 3600, 2000}, {2000, -7200, INT64_MAX}, {INT64_MAX - 1, -7200, INT64_MAX}};
	struct shape shape = good;

	(void)state;
	for (int version = 0; version < 2; version++) {
		struct zone *zone = NULL;
		struct file file;
		int64_t until_s;

		shape.version = version ? '3' : '\0';
		file = file_of(&shape, "\n\n");
		assert_int_equal(parse(&file, file.len, &zone), ERR_OK);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			assert_int_equal(
				zone_offset_s(zone, rows[i].at_s, &until_s), rows[i].offset_s);
			assert_true(until_s == rows[i].until_s);
		}
		zone_free(zone);
	}
}

static void what_is_broken_is_refused(void **state)
{
	static const struct {
		const char *what, *footer;
		struct shape shape;
		enum err expected;
	} rows[] = {
		{"good", "\n\n", {'2', 0, 0, 0, 1, 1, 4, {5}, {0}, {0}}, ERR_OK},
		{"no transition", "\nUTC0\n", {'2', 0, 0, 0, 0, 1, 4, {0}, {0}, {0}}, ERR_OK},
		{"no type", "\n\n", {'2', 0, 0, 0, 0, 0, 4, {0}, {0}, {0}}, ERR_INVAL},
		{"type out of range", "\n\n", {'2', 0, 0, 0, 1, 1, 4, {5}, {1}, {0}}, ERR_INVAL},
		{"times that go back", "\n\n", {'2', 0, 0, 0, 2, 1, 4, {5, 4}, {0}, {0}},
			ERR_INVAL},
		{"times that stand", "\n\n", {'2', 0, 0, 0, 2, 1, 4, {5, 5}, {0}, {0}}, ERR_INVAL},
		{"offset of a day", "\n\n", {'2', 0, 0, 0, 0, 1, 4, {0}, {0}, {93600}}, ERR_INVAL},
		{"offset of -25 h", "\n\n", {'2', 0, 0, 0, 0, 1, 4, {0}, {0}, {-90000}}, ERR_INVAL},
		{"leap seconds", "\n\n", {'2', 0, 0, 1, 0, 1, 4, {0}, {0}, {0}}, ERR_INVAL},
		{"4 billion times", "\n\n", {'2', 0, 0, 0, UINT32_MAX, 1, 4, {0}, {0}, {0}},
			ERR_INVAL},
		{"4 billion types", "\n\n", {'2', 0, 0, 0, 0, UINT32_MAX, 4, {0}, {0}, {0}},
			ERR_INVAL},
		{"too many flags", "\n\n", {'2', 99, 99, 0, 0, 1, 4, {0}, {0}, {0}}, ERR_INVAL},
		{"version 1.5", "\n\n", {'1', 0, 0, 0, 0, 1, 4, {0}, {0}, {0}}, ERR_INVAL},
		{"no footer", "", {'2', 0, 0, 0, 0, 1, 4, {0}, {0}, {0}}, ERR_INVAL},
		{"half a footer", "\nUTC0", {'2', 0, 0, 0, 0, 1, 4, {0}, {0}, {0}}, ERR_INVAL},
		{"footer without a name", "\n1\n", {'2', 0, 0, 0, 0, 1, 4, {0}, {0}, {0}},
			ERR_INVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct file file = file_of(&rows[i].shape, rows[i].footer);
		struct zone *zone = NULL;

		if (parse(&file, file.len, &zone) != rows[i].expected)
			fail_msg("%s", rows[i].what);
		assert_true(!zone == (rows[i].expected != ERR_OK));
		zone_free(zone);
	}
}

/* Cut anywhere it is refused; with any byte changed it is read or refused, and never over-read. */
static void no_byte_is_trusted(void **state)
{
	struct file file = file_of(&good, "\nCET-1CEST,M3.5.0,M10.5.0/3\n");
	struct zone *zone = NULL;

	(void)state;
	for (size_t len = 0; len < file.len; len++)
		assert_int_equal(parse(&file, len, &zone), ERR_INVAL);
	for (size_t i = 0; i < file.len; i++) {
		uint8_t saved = file.data[i];
		for (unsigned value = 0; value < 256; value++) {
			file.data[i] = (uint8_t)value;
			if (!parse(&file, file.len, &zone)) {
				zone_offset_s(zone, 1700000000, NULL);
				zone_free(zone);
				zone = NULL;
			}
		}
		file.data[i] = saved;
	}
	assert_int_equal(zone_parse(file.data, ZONE_FILE_MAX_BYTES + 1, &zone), ERR_LIMIT);
	assert_null(zone);
	zone_free(NULL);
}

static void footers(void **state)
{
	static const struct {
		const char *footer;
		int64_t at_s;
		int32_t expected_s;
	} rows[] = {
		/* 2025-01-01 00:00 UTC is 1735689600, 2024-02-29 is day 59 of its year */
		{"EST5", 1735689600, -18000},
		{"<+0545>-5:45", 1735689600, 20700},
		{"<-00>+1:02:03", 1735689600, -3723},
		{"AAA0BBB,0/0,J365/25", 1735689600, 3600},            /* all year */
		{"XXX3EDT4,0/0,J365/23", 1735689600, -14400},         /* the same in RFC 8536 */
		{"XXX3EDT4,0/0,J365/23", 1735689600 + 10800, -14400}, /* where it "changes" */
		{"AAA0BBB-2,J60,J61", 1709251199, 0},                 /* J60 is 2024-03-01, 02:00 */
		{"AAA0BBB-2,J60,J61", 1709258400, 7200},
		{"AAA0BBB-2,59/0,60/0", 1709164800, 7200}, /* 59 is 2024-02-29 */
		{"AAA0BBB-2,59/0,60/0", 1709164799, 0},
		{"AAA0BBB,M3.4.4/50,M10.5.0", 1743213599, 0}, /* Thursday 2025-03-27 and 50 h */
		{"AAA0BBB,M3.4.4/50,M10.5.0", 1743213600, 3600},
		{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1743296400 - 1, -7200}, /* Saturday 23:00 */
		{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1743296400, -3600},
		{"AAA0BBB,0/-100,0/-50", 1735689600 - 360000, 3600}, /* both in the year before */
		{"AAA0BBB,0/-100,0/-50", 1735689600 - 183600, 0},
		{"AAA0BBB,J365/100,J365/150", 1735603200 + 360000, 3600}, /* in the year after */
		{"AAA0BBB,J365/100,J365/150", 1735603200 + 540000, 0},
	};
	static const char *const bad[] = {"E5", "EST", "EST25", "EST5:60", "EST5:00:60", "EST5x",
		"EST5EDT", "EST5EDT,M3.2.0", "EST5EDT,M13.2.0,M11.1.0", "EST5EDT,M3.6.0,M11.1.0",
		"EST5EDT,M3.2.7,M11.1.0", "EST5EDT,M3.2.0/168,M11.1.0", "EST5EDT,J0,J1",
		"EST5EDT,J366,J1", "EST5EDT,366,1", "EST5EDT,M3.2.0,M11.1.0,",
		"EST5EDT,M3..0,M11.1.0", "<+1", "<+1>1", "<EST5", "EST5EDT,99999999999999999999,1",
		"EST--5", " EST5"};
	struct shape shape = {.version = '3', .types = 1, .chars = 4};
	char footer[64];
	struct zone *zone;
	struct file file;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(footer, sizeof(footer), "\n%s\n", rows[i].footer);
		file = file_of(&shape, footer);
		if (parse(&file, file.len, &zone))
			fail_msg("%s is refused", rows[i].footer);
		if (zone_offset_s(zone, rows[i].at_s, NULL) != rows[i].expected_s)
			fail_msg("%s: %d in row %zu", rows[i].footer,
				zone_offset_s(zone, rows[i].at_s, NULL), i);
		zone_free(zone);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(footer, sizeof(footer), "\n%s\n", bad[i]);
		file = file_of(&shape, footer);
		if (parse(&file, file.len, &zone) != ERR_INVAL)
			fail_msg("%s is taken", bad[i]);
	}
}

static void names(void **state)
{
	static const struct {
		const char *name;
		bool expected;
	} rows[] = {
		{"Europe/Berlin", true},
		{"America/Argentina/ComodRivadavia", true},
		{"America/Port-au-Prince", true},
		{"Etc/GMT+12", true},
		{"EST5EDT", true},
		{"UTC", true},
		{"", false},
		{"/etc/passwd", false},
		{"/", false},
		{"..", false},
		{"../../etc/passwd", false},
		{"Europe/../Berlin", false},
		{".hidden", false},
		{"Europe/.hidden", false},
		{"Europe//Berlin", false},
		{"Europe/", false},
		{"zone.tab", false},
		{"Europe/Berlin\n", false},
		{"Europe Berlin", false},
		{"Europe\\Berlin", false},
		{"Europe/K\xc3\xb6ln", false},
		{"a23456789012345678901234567890123456789012345678901234567890123", true},
		{"a234567890123456789012345678901234567890123456789012345678901234", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (zone_name_is_valid(rows[i].name) != rows[i].expected)
			fail_msg("'%s'", rows[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_changes),
		cmocka_unit_test(agrees_with_the_c_library),
		cmocka_unit_test(both_forms_are_read),
		cmocka_unit_test(what_is_broken_is_refused),
		cmocka_unit_test(no_byte_is_trusted),
		cmocka_unit_test(footers),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
