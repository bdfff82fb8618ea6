/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/utf8.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FFFD         "\xef\xbf\xbd"
#define TEXT(text)   text, sizeof(text) - 1

static const struct {
	const char *name, *line;
	size_t len;
	const char *repaired; /* NULL: the line is clean */
} lines[] = {
	{"empty", TEXT(""), NULL},
	{"ASCII", TEXT("{\"event\":\"ping\", \"id\": 1}"), NULL},
	{"every length of character",
		TEXT("\"\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), NULL},
	{"edges of the surrogates", TEXT("\"\xed\x9f\xbf\xee\x80\x80\""), NULL},
	{"escapes", TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uFFFF\""), NULL},
	{"escaped backslash before u0000", TEXT("\"\\\\u0000\""), NULL},
	{"pair of surrogates", TEXT("\"\\uD83D\\uDCDE\\ud83d\\udcde\""), NULL},
	{"white space outside strings", TEXT("{\t\"a\"\r:\n1}"), NULL},
	{"faults outside strings are the parser's", TEXT("{\xff\x01\\u0000}"), NULL},
	{"faults between strings", TEXT("\"a\"\xff\"\xff\""), "\"a\"\xff\"" FFFD "\""},

	{"Latin-1", TEXT("\"J\xf6rg M\xfcller\""), "\"J" FFFD "rg M" FFFD "ller\""},
	{"lonely continuation", TEXT("\"a\x80z\""), "\"a" FFFD "z\""},
	{"overlong in two bytes", TEXT("\"\xc0\x80\xc1\xbf\""), "\"" FFFD FFFD FFFD FFFD "\""},
	{"overlong in three", TEXT("\"\xe0\x9f\xbf\""), "\"" FFFD FFFD FFFD "\""},
	{"overlong in four", TEXT("\"\xf0\x8f\xbf\xbf\""), "\"" FFFD FFFD FFFD FFFD "\""},
	{"surrogate", TEXT("\"\xed\xa0\x80\""), "\"" FFFD FFFD FFFD "\""},
	{"beyond U+10FFFF", TEXT("\"\xf4\x90\x80\x80\xf5z\""), "\"" FFFD FFFD FFFD FFFD FFFD "z\""},
	{"cut character costs one", TEXT("\"\xf0\x9f\x93\""), "\"" FFFD "\""},
	{"cut character, then ASCII", TEXT("\"\xe2\x82z\""), "\"" FFFD "z\""},
	{"cut character, then another", TEXT("\"\xe2\x82\xc3\xa9\""), "\"" FFFD "\xc3\xa9\""},
	{"line ends in a character", TEXT("\"\xf0\x9f"), "\"" FFFD},
	{"raw control characters", TEXT("\"a\nb\tc\x00z\""), "\"a" FFFD "b" FFFD "c" FFFD "z\""},
	{"DEL is none of them", TEXT("\"\x7f\""), NULL},

	{"\\u0000", TEXT("\"a\\u0000z\""), "\"a" FFFD "z\""},
	{"high surrogate alone", TEXT("\"\\uD83Dz\""), "\"" FFFD "z\""},
	{"low surrogate alone", TEXT("\"\\uDCDE\""), "\"" FFFD "\""},
	{"pair in the wrong order", TEXT("\"\\uDCDE\\uD83D\""), "\"" FFFD FFFD "\""},
	{"high, then pair", TEXT("\"\\ud83d\\ud83d\\udcde\""), "\"" FFFD "\\ud83d\\udcde\""},
	{"high, then another escape", TEXT("\"\\ud83d\\n\""), "\"" FFFD "\\n\""},
	{"high, then the line ends", TEXT("\"\\ud83d\\udc"), "\"" FFFD "\\udc"},
	{"in a key", TEXT("{\"k\\u0000\xff\":1}"), "{\"k" FFFD FFFD "\":1}"},

	{"broken escape stays", TEXT("\"\\u12g4\\x\""), NULL},
	{"line ends in an escape", TEXT("\"\\"), NULL},
	{"line ends in \\u", TEXT("\"\\u00"), NULL},
	{"bad byte after a backslash", TEXT("\"\\\xff\""), "\"\\" FFFD "\""},
	{"escaped quote does not end the string", TEXT("\"\\\"\xff\""), "\"\\\"" FFFD "\""},
};

static void test_repair(void **state)
{
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		const char *expected = lines[i].repaired ? lines[i].repaired : lines[i].line;
		size_t expected_len = lines[i].repaired ? strlen(expected) : lines[i].len;

		if (utf8_json_is_clean(lines[i].line, lines[i].len) != !lines[i].repaired)
			fail_msg("%s: clean is wrong", lines[i].name);
		buf_reset(&out);
		utf8_json_repair(lines[i].line, lines[i].len, &out);
		if (out.len != expected_len || memcmp(buf_str(&out), expected, expected_len))
			fail_msg("%s: %s", lines[i].name, buf_str(&out));
		if (!utf8_json_is_clean(out.data, out.len))
			fail_msg("%s: not clean after the repair", lines[i].name);
	}
	buf_free(&out);
}

/* Whatever one or two bytes stand in a string, a strict parser takes the repaired line. */
static void test_every_two_bytes(void **state)
{
	struct buf out = {0};
	char line[] = {'"', 0, 0, '"'};

	(void)state;
	for (unsigned i = 0; i < 0x10000; i++) {
		line[1] = (char)(i >> 8);
		line[2] = (char)i;
		if (memchr(line + 1, '"', 2) || memchr(line + 1, '\\', 2))
			continue;
		buf_reset(&out);
		utf8_json_repair(line, sizeof(line), &out);
		json_t *json = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
		if (!json)
			fail_msg("bytes %04x", i);
		bool clean = json_string_length(json) == 2 && !memcmp(out.data, line, 4);
		if (utf8_json_is_clean(line, sizeof(line)) != clean)
			fail_msg("bytes %04x: clean is wrong", i);
		json_decref(json);
	}
	buf_free(&out);
}

static void test_sanitize(void **state)
{
	static const struct {
		const char *name, *text, *clean;
	} rows[] = {
		{"empty", "", ""},
		{"plain", "Alice", "Alice"},
		{"spaces stay", "  Alice  B. ", "  Alice  B. "},
		{"C0 and DEL",
			"\x01"
			"A\nl\x1f"
			"i\x7f"
			"ce\t",
			"Alice"},
		{"C1", "A\xc2\x80\xc2\x9f\xc2\xa0z", "A\xc2\xa0z"},
		{"overrides",
			"a\xe2\x80\xa9"
			"b\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad\xe2\x80\xae"
			"c\xe2\x80\xaf",
			"a\xe2\x80\xa9"
			"bc\xe2\x80\xaf"},
		{"isolates",
			"a\xe2\x81\xa5"
			"b\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9"
			"c\xe2\x81\xaa",
			"a\xe2\x81\xa5"
			"bc\xe2\x81\xaa"},
		{"marks and emoji stay",
			"\xe2\x80\x8f\xd7\xa9 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
			"\xe2\x80\x8f\xd7\xa9 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb"},
		{"nothing is left", "\xe2\x80\xae\x07", ""},
		{"cut character at the end", "a\xe2\x80", "a\xe2\x80"},
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&out);
		utf8_sanitize(rows[i].text, &out);
		if (strcmp(buf_str(&out), rows[i].clean))
			fail_msg("%s: %s", rows[i].name, buf_str(&out));
	}
	buf_free(&out);
}

static void test_cut(void **state)
{
	static const struct {
		const char *text;
		size_t max, cut;
	} rows[] = {
		{"", 0, 0},
		{"abc", 5, 3},
		{"abc", 3, 3},
		{"abc", 2, 2},
		{"abc", 0, 0},
		{"a\xc3\xa9z", 2, 1},
		{"a\xc3\xa9z", 3, 3},
		{"\xf0\x9f\x93\x9e", 3, 0},
		{"\xf0\x9f\x93\x9e\xf0\x9f\x93\x9e", 7, 4},
		{"\x80\x80\x80", 2, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(
			utf8_cut(rows[i].text, strlen(rows[i].text), rows[i].max), rows[i].cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repair),
		cmocka_unit_test(test_every_two_bytes),
		cmocka_unit_test(test_sanitize),
		cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
