/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/buf.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_json_strings(void **state)
{
	static const struct {
		const char *name, *text, *json;
	} rows[] = {
		{"null", NULL, "null"},
		{"empty", "", "\"\""},
		{"plain", "Alice", "\"Alice\""},
		{"quote", "a\"b", "\"a\\\"b\""},
		{"backslash at the end", "a\\", "\"a\\\\\""},
		{"short escapes", "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
		{"other control characters", "\x01\x1f", "\"\\u0001\\u001f\""},
		{"DEL and slash stay", "\x7f/", "\"\x7f/\""},
		{"UTF-8 stays", "J\xc3\xb6rg \xf0\x9f\x93\x9e", "\"J\xc3\xb6rg \xf0\x9f\x93\x9e\""},
		{"nothing but escapes", "\"\"", "\"\\\"\\\"\""},
	};
	struct buf buf = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&buf);
		buf_add_json(&buf, rows[i].text);
		if (strcmp(buf_str(&buf), rows[i].json))
			fail_msg("%s: %s", rows[i].name, buf_str(&buf));
	}
	buf_free(&buf);
}

/* Wherever in a word of eight bytes a special one stands. */
static void test_json_at_every_place(void **state)
{
	struct buf buf = {0}, wanted = {0};
	char text[32];

	(void)state;
	for (size_t len = 1; len < 30; len++) {
		for (size_t at = 0; at < len; at++) {
			for (int c = 1; c < 256; c++) {
				memset(text, c & 1 ? '~' : '#', len);
				text[at] = (char)c;
				text[len] = '\0';
				buf_reset(&wanted);
				buf_add_char(&wanted, '"');
				buf_add(&wanted, text, at);
				if (c == '"' || c == '\\')
					buf_printf(&wanted, "\\%c", c);
				else if (strchr("\b\f\n\r\t", c))
					buf_printf(&wanted, "\\%c", "btn.fr"[c - '\b']);
				else if (c < 0x20)
					buf_printf(&wanted, "\\u%04x", c);
				else
					buf_add_char(&wanted, (char)c);
				buf_add(&wanted, text + at + 1, len - at - 1);
				buf_add_char(&wanted, '"');
				buf_reset(&buf);
				buf_add_json(&buf, text);
				assert_string_equal(buf.data, wanted.data);
			}
		}
	}
	buf_free(&wanted);
	buf_free(&buf);
}

static void test_integers(void **state)
{
	static const struct {
		long long value;
		const char *text;
	} rows[] = {
		{0, "0"},
		{7, "7"},
		{10, "10"},
		{99, "99"},
		{100, "100"},
		{-1000, "-1000"},
		{10007, "10007"},
		{-1, "-1"},
		{1763790000123, "1763790000123"},
		{LLONG_MAX, "9223372036854775807"},
		{LLONG_MIN, "-9223372036854775808"},
	};
	struct buf buf = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&buf);
		buf_add_int(&buf, rows[i].value);
		assert_string_equal(buf_str(&buf), rows[i].text);
	}
	buf_free(&buf);
}

/* Every length around the sizes at which the memory grows, added in each way. */
static void test_growth(void **state)
{
	char text[1100];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t len = 0; len < sizeof(text); len++) {
		struct buf added = {0}, printed = {0}, single = {0};
		buf_add(&added, text, len);
		buf_printf(&printed, "%.*s", (int)len, text);
		for (size_t i = 0; i < len; i++)
			buf_add_char(&single, 'x');
		assert_int_equal(added.len, len);
		assert_int_equal(printed.len, len);
		assert_int_equal(single.len, len);
		assert_memory_equal(buf_str(&printed), text, len);
		assert_string_equal(buf_str(&added), buf_str(&printed));
		assert_string_equal(buf_str(&added), buf_str(&single));
		buf_free(&added);
		buf_free(&printed);
		buf_free(&single);
	}
}

static void test_nul_inside(void **state)
{
	struct buf buf = {0};

	(void)state;
	buf_add(&buf, "a\0b", 3);
	buf_add_str(&buf, "c");
	assert_int_equal(buf.len, 4);
	assert_memory_equal(buf.data, "a\0bc", 5);
	buf_free(&buf);
}

static void test_take(void **state)
{
	struct buf buf = {0};
	char *text;

	(void)state;
	text = buf_take(&buf);
	assert_string_equal(text, "");
	free(text);

	buf_add_str(&buf, "one");
	text = buf_take(&buf);
	assert_string_equal(text, "one");
	free(text);
	assert_string_equal(buf_str(&buf), "");
	assert_int_equal(buf.len, 0);

	buf_add_str(&buf, "two");
	assert_string_equal(buf_str(&buf), "two");
	buf_free(&buf);
}

static void test_impossible_size(void **state)
{
	volatile size_t impossible = SIZE_MAX; /* hidden from the compiler, who would object */
	struct buf buf = {0};

	(void)state;
	buf_add_str(&buf, "kept");
	buf_add(&buf, "x", impossible);
	assert_true(buf.failed);
	buf_add_str(&buf, "late");
	assert_string_equal(buf_str(&buf), "kept");
	assert_null(buf_take(&buf));
	assert_false(buf.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_strings),
		cmocka_unit_test(test_json_at_every_place),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_nul_inside),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_impossible_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
