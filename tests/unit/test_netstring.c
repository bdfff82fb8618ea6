/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/pbx/netstring.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define INPUT(string) string, sizeof(string) - 1
#define MAX_BYTES     12

static const struct {
	const char *name, *input;
	size_t len;
	const char *texts;
} rows[] = {
	{"nothing", INPUT(""), ""},
	{"one", INPUT("5:hello,"), "hello|"},
	{"several", INPUT("5:hello,1:x,12:twelve bytes,"), "hello|x|twelve bytes|"},
	{"empty ones are passed over", INPUT("0:,2:ab,0:,0:,1:c,0:,"), "ab|c|"},
	{"what it holds is its own affair", INPUT("11:3:abc,\n1:d,,2:,:,"), "3:abc,\n1:d,|,:|"},
	{"any byte", INPUT("3:a\xff\n,1:,,"), "a\xff\n|,|"},
	{"without its end", INPUT("2:ab,5:hell"), "ab|"},
	{"without its comma", INPUT("2:ab,5:hello"), "ab|"},
	{"within its length", INPUT("2:ab,12"), "ab|"},
	{"too long by a byte", INPUT("13:thirteen byte,2:ok,"), "TOO LONG|ok|"},
	{"too long, its end to come", INPUT("13:thirteen byt"), "TOO LONG|"},
	{"too long, nothing yet", INPUT("13:"), "TOO LONG|"},
	{"as long as can be said", INPUT("999999999:x"), "TOO LONG|"},
	{"twice too long", INPUT("13:thirteen byte,14:fourteen bytes,0:,2:ok,"),
		"TOO LONG|TOO LONG|ok|"},
	{"too long and no comma", INPUT("13:thirteen bytes,2:ok,"), "TOO LONG|BROKEN|"},
	{"longer than can be said", INPUT("2:ab,1000000000:x"), "ab|BROKEN|"},
	{"no end of digits", INPUT("11111111111111111111111111"), "BROKEN|"},
	{"a leading zero", INPUT("05:hello,"), "BROKEN|"},
	{"two zeros", INPUT("00:,"), "BROKEN|"},
	{"no length", INPUT(":hello,"), "BROKEN|"},
	{"a sign", INPUT("+5:hello,"), "BROKEN|"},
	{"a negative one", INPUT("-1:,"), "BROKEN|"},
	{"white space before the length", INPUT(" 5:hello,"), "BROKEN|"},
	{"white space behind the length", INPUT("5 :hello,"), "BROKEN|"},
	{"white space between two", INPUT("2:ab,\n2:cd,"), "ab|BROKEN|"},
	{"hexadecimal", INPUT("a:helloworld,"), "BROKEN|"},
	{"another end", INPUT("5:hello;2:ab,"), "BROKEN|"},
	{"an empty one with another end", INPUT("0:5:hello,"), "BROKEN|"},
	{"longer than it says", INPUT("2:ab,5:helloo,2:ab,"), "ab|BROKEN|"},
	{"bare JSON, as evapi writes it with netstring_format 0", INPUT("{\"event\":\"ping\"}"),
		"BROKEN|"},
	{"somebody else", INPUT("HTTP/1.1 400 Bad Request\r\n\r\n"), "BROKEN|"},
};

/* Everything that is whole. */
static void take(struct netstring_reader *reader, struct buf *out)
{
	enum netstring_kind kind;
	const char *text;
	size_t len;

	while ((kind = netstring_reader_next(reader, MAX_BYTES, &text, &len)) != NETSTRING_NONE) {
		switch (kind) {
		case NETSTRING_NONE:
			break;
		case NETSTRING_TEXT:
			buf_add(out, text, len);
			buf_add_char(out, '|');
			break;
		case NETSTRING_TOO_LONG:
			buf_add_str(out, "TOO LONG|");
			break;
		case NETSTRING_BROKEN:
			buf_add_str(out, "BROKEN|");
			return;
		}
	}
}

static void feed(struct netstring_reader *reader, const char *input, size_t len, struct buf *out)
{
	size_t room;
	char *space = netstring_reader_space(reader, &room);

	assert_non_null(space);
	assert_true(len <= room);
	if (len)
		memcpy(space, input, len);
	netstring_reader_fill(reader, len);
	take(reader, out);
}

/* piece: bytes at a time, after a first piece of another length. */
static void check(size_t row, size_t first, size_t piece)
{
	struct netstring_reader reader = {0};
	const char *input = rows[row].input;
	struct buf out = {0};

	for (size_t at = 0, n = first; at < rows[row].len && !reader.broken; at += n, n = piece) {
		if (n > rows[row].len - at)
			n = rows[row].len - at;
		feed(&reader, input + at, n, &out);
	}
	if (strcmp(buf_str(&out), rows[row].texts) != 0)
		fail_msg("%s, %zu bytes, then %zu at a time: %s instead of %s", rows[row].name,
			first, piece, buf_str(&out), rows[row].texts);
	if (reader.broken) { /* for good */
		buf_reset(&out);
		feed(&reader, "2:ab,", 5, &out);
		assert_string_equal(buf_str(&out), "BROKEN|");
	}
	netstring_reader_free(&reader);
	buf_free(&out);
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t row = 0; row < COUNT(rows); row++) {
		for (size_t first = 0; first <= rows[row].len; first++) {
			check(row, first, rows[row].len + 1);
			check(row, first, 1);
			check(row, first, 3);
		}
	}
}

/* Adds a netstring of len bytes that all are c. */
static void add(struct buf *stream, char c, size_t len)
{
	buf_printf(stream, "%zu:", len);
	for (size_t i = 0; i < len; i++)
		buf_add_char(stream, c);
	buf_add_char(stream, ',');
}

/* Memory grows with what is read, not with what is announced, and goes when it is not needed. */
static void test_memory(void **state)
{
	enum { MAX = 100000 };
	struct netstring_reader reader = {0};
	struct buf stream = {0};
	size_t room, len, texts = 0, too_long = 0;
	const char *text;
	enum netstring_kind kind = NETSTRING_NONE;

	(void)state;
	add(&stream, 'a', MAX);
	add(&stream, 'b', MAX + 1);
	add(&stream, 'c', MAX - 1);
	for (size_t at = 0; at < stream.len;) {
		char *space = netstring_reader_space(&reader, &room);
		assert_non_null(space);
		assert_true(room > 0 && reader.cap <= 2 * MAX + 8192);
		if (at < 4096)
			assert_true(reader.cap <= 16384);
		size_t n = room < stream.len - at ? room : stream.len - at;
		memcpy(space, stream.data + at, n);
		at += n;
		netstring_reader_fill(&reader, n);
		while ((kind = netstring_reader_next(&reader, MAX, &text, &len)) !=
			NETSTRING_NONE) {
			assert_int_not_equal(kind, NETSTRING_BROKEN);
			too_long += kind == NETSTRING_TOO_LONG;
			if (kind != NETSTRING_TEXT)
				continue;
			assert_int_equal(len, texts ? MAX - 1 : MAX);
			for (size_t i = 0; i < len; i++)
				assert_int_equal(text[i], texts ? 'c' : 'a');
			texts++;
		}
	}
	assert_int_equal(texts, 2);
	assert_int_equal(too_long, 1);
	assert_true(reader.cap <= 16384);
	netstring_reader_free(&reader);
	assert_null(reader.data);
	buf_free(&stream);
}

/* A reload may make the bound smaller while one is half read. */
static void test_bound_that_changes(void **state)
{
	struct netstring_reader reader = {0};
	struct buf out = {0};
	const char *text;
	size_t len;

	(void)state;
	feed(&reader, "5:hel", 5, &out);
	assert_int_equal(netstring_reader_next(&reader, 4, &text, &len), NETSTRING_TOO_LONG);
	feed(&reader, "lo,2:ab,", 8, &out);
	assert_string_equal(buf_str(&out), "ab|");
	netstring_reader_free(&reader);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_bound_that_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
