/* SPDX-License-Identifier: MIT */
/* Heads of requests line by line, sizes of chunks, and answers. What a whole server makes of bytes
 * is in tests/system/test_http_events.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/pbx/http_message.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define P            "POST /v1/events HTTP/1.1\n"

/* Feeds text, whose lines end with a line feed; says what came of it. */
static enum http_line feed(const char *text, struct http_head *head)
{
	enum http_line what = HTTP_LINE_MORE;

	*head = (struct http_head){0};
	while (what == HTTP_LINE_MORE && *text) {
		size_t len = strcspn(text, "\n");

		what = http_head_line(head, text, len);
		text += len + 1;
	}
	return what;
}

/* "METHOD PATH minor LENGTH[ chunked][ continue][ persists][ CREDENTIALS]", a status, or "more". */
static const struct {
	const char *text, *head;
} heads[] = {
	{"", "more"},
	{"\n\n", "more"},
	{P, "more"},
	{P "\n", "POST /v1/events 1 -1 persists"},
	{"\n" P "\n", "POST /v1/events 1 -1 persists"},
	{"GET / HTTP/1.0\n\n", "GET / 0 -1"},
	{"GET / HTTP/1.9\n\n", "GET / 9 -1 persists"},
	{"GET /a/b?c=d HTTP/1.1\n\n", "GET /a/b 1 -1 persists"},
	{"GET ? HTTP/1.1\n\n", "GET  1 -1 persists"},
	{"GET http://h:1/a?b HTTP/1.1\n\n", "GET /a 1 -1 persists"},
	{"GET HTTP://h/a/b HTTP/1.1\n\n", "GET /a/b 1 -1 persists"},
	{"GET http://h HTTP/1.1\n\n", "GET  1 -1 persists"},
	{"GET http:// HTTP/1.1\n\n", "GET  1 -1 persists"},
	{"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\n\n", "ABCDEFGHIJKLMNO / 1 -1 persists"},
	{P "Content-Length: 12\n\n", "POST /v1/events 1 12 persists"},
	{P "content-length:012\t\n\n", "POST /v1/events 1 12 persists"},
	{P "Content-Length: 7\nContent-Length: 7\n\n", "POST /v1/events 1 7 persists"},
	{P "Content-Length: 9223372036854775808\n\n",
		"POST /v1/events 1 9223372036854775807 persists"},
	{P "Transfer-Encoding: CHUNKED\n\n", "POST /v1/events 1 -1 chunked persists"},
	{P "Connection: close\n\n", "POST /v1/events 1 -1"},
	{P "Connection: keep-alive\n\n", "POST /v1/events 1 -1 persists"},
	{P "Connection: a, Close ,b\n\n", "POST /v1/events 1 -1"},
	{P "Connection: closed\n\n", "POST /v1/events 1 -1 persists"},
	{P "Connection: keep-alive\nConnection: close\n\n", "POST /v1/events 1 -1"},
	{"GET / HTTP/1.0\nConnection: keep-alive\n\n", "GET / 0 -1 persists"},
	{P "Expect: 100-Continue\n\n", "POST /v1/events 1 -1 continue persists"},
	{"GET / HTTP/1.0\nExpect: 100-continue\n\n", "GET / 0 -1"},
	{P "Authorization: Bearer  x y\n\n", "POST /v1/events 1 -1 persists Bearer  x y"},
	{P "Authorization: a\nAuthorization: a\n\n", "POST /v1/events 1 -1 persists a"},
	{P "X-Other:\nY: \n\n", "POST /v1/events 1 -1 persists"},
	{"hello\n", "400"},
	{" " P, "400"},
	{"POST\n", "400"},
	{"POST \n", "400"},
	{"POST  HTTP/1.1\n", "400"},
	{"POST /\n", "400"},
	{"POST / \n", "400"},
	{"POST / HTTP\n", "400"},
	{"POST / HTTPS/1.1\n", "400"},
	{"POST /\x01 HTTP/1.1\n", "400"},
	{"PO(ST / HTTP/1.1\n", "400"},
	{"POST / HTTP/1.\n", "505"},
	{"POST / HTTP/1.10\n", "505"},
	{"POST / HTTP/1.x\n", "505"},
	{"POST / HTTP/2.0\n", "505"},
	{"POST / HTTP/1.1 \n", "505"},
	{"POST / http/1.1\n", "400"},
	{P "nonsense\n", "400"},
	{P ": x\n", "400"},
	{P "A : x\n", "400"},
	{P " A: x\n", "400"},
	{P "\tx\n", "400"},
	{P "A\x01: x\n", "400"},
	{P "A: x\x7f\n", "400"},
	{P "A: x\r\n", "400"},
	{P "Content-Length: \n", "400"},
	{P "Content-Length: 1a\n", "400"},
	{P "Content-Length: -1\n", "400"},
	{P "Content-Length: 0x10\n", "400"},
	{P "Content-Length: 1\nContent-Length: 2\n", "400"},
	{P "Content-Length: 1\nTransfer-Encoding: chunked\n\n", "400"},
	{"POST / HTTP/1.0\nTransfer-Encoding: chunked\n\n", "400"},
	{P "Authorization: a\nAuthorization: b\n", "400"},
	{P "Transfer-Encoding: gzip\n", "501"},
	{P "Transfer-Encoding: gzip, chunked\n", "501"},
	{P "Expect: more\n", "417"},
};

static void describe(enum http_line what, const struct http_head *head, char *out, size_t size)
{
	if (what == HTTP_LINE_MORE)
		snprintf(out, size, "more");
	else if (what == HTTP_LINE_REFUSED)
		snprintf(out, size, "%d", (int)head->fault);
	else
		snprintf(out, size, "%s %s %d %lld%s%s%s%s%s", head->method, head->path,
			head->minor, head->has_length ? (long long)head->length : -1,
			head->chunked ? " chunked" : "", head->expects_continue ? " continue" : "",
			http_head_persists(head) ? " persists" : "", head->authorized ? " " : "",
			head->credentials);
}

static void test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(heads); i++) {
		struct http_head head;
		char found[512];
		enum http_line what = feed(heads[i].text, &head);

		describe(what, &head, found, sizeof(found));
		if (strcmp(found, heads[i].head) != 0)
			fail_msg("%s-> %s", heads[i].text, found);
		if (what == HTTP_LINE_REFUSED && !head.why[0])
			fail_msg("%s: without a reason", heads[i].text);
	}
}

static void test_nul_bytes(void **state)
{
	struct http_head head = {0};

	(void)state;
	assert_int_equal(http_head_line(&head, "POST /v1\0 HTTP/1.1", 18), HTTP_LINE_REFUSED);
	head = (struct http_head){0};
	assert_int_equal(http_head_line(&head, "POST /v1 HTTP/1.1", 17), HTTP_LINE_MORE);
	assert_int_equal(http_head_line(&head, "A\0: b", 5), HTTP_LINE_REFUSED);
	assert_int_equal(http_head_line(&head, "A: b\0c", 6), HTTP_LINE_REFUSED);
	assert_int_equal(http_head_line(&head, "\0", 1), HTTP_LINE_REFUSED);
}

static void test_bounds(void **state)
{
	char line[9000] = "Authorization: ";
	struct http_head head;
	size_t bytes;

	(void)state;
	memset(line + 15, 'x', sizeof(line) - 15);
	/* a value that cannot be a token is not kept, rather than cut */
	for (size_t len = 318; len <= 321; len++) {
		feed("POST / HTTP/1.1\n", &head);
		assert_int_equal(http_head_line(&head, line, 15 + len), HTTP_LINE_MORE);
		assert_true(head.authorized);
		assert_int_equal(strlen(head.credentials), len < 320 ? len : 0);
	}
	/* the head as a whole: 8 KiB with its line ends, and not one more */
	feed("POST / HTTP/1.1\n", &head);
	bytes = head.bytes;
	assert_int_equal(bytes, 17);
	assert_int_equal(
		http_head_line(&head, line, HTTP_HEAD_MAX_BYTES - bytes - 4), HTTP_LINE_MORE);
	assert_int_equal(http_head_line(&head, "", 0), HTTP_LINE_LAST);
	feed("POST / HTTP/1.1\n", &head);
	http_head_line(&head, line, HTTP_HEAD_MAX_BYTES - bytes - 3);
	assert_int_equal(http_head_line(&head, "", 0), HTTP_LINE_REFUSED);
	assert_int_equal(head.fault, HTTP_STATUS_HEAD_TOO_LARGE);
}

static void test_chunk_sizes(void **state)
{
	static const struct {
		const char *line;
		int64_t size;
	} rows[] = {
		{"0", 0},
		{"000", 0},
		{"a", 10},
		{"A", 10},
		{"fF", 255},
		{"10", 16},
		{"10;name=value", 16},
		{"10 ;name", 16},
		{"10\t", 16},
		{"ffffffffffff", 0xffffffffffff},
		{"", -1},
		{" 1", -1},
		{"-1", -1},
		{"+1", -1},
		{"0x1", -1},
		{"g", -1},
		{"1g", -1},
		{";", -1},
		{"0000000000001", -1},
		{"ffffffffffffffffffffffff", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t size = http_chunk_size(rows[i].line, strlen(rows[i].line));

		if (size != rows[i].size)
			fail_msg("%s: %lld", rows[i].line, (long long)size);
	}
	assert_int_equal(http_chunk_size("1\0", 2), -1);
}

static void test_answers(void **state)
{
	static const char date[] = "Date: Sat, 22 Nov 2025 05:33:20 GMT\r\n";
	struct http_head head;
	struct http_answer answer;
	struct buf text = {0}, expected = {0};

	(void)state;
	http_answer_refusal(&answer, HTTP_STATUS_UNAUTHORIZED, "a \"token\"");
	answer.fields = "A: b\r\n";
	feed(P "\n", &head);
	http_answer_write(&answer, &head, false, 1763789600, &text);
	buf_printf(&expected,
		"HTTP/1.1 401 Unauthorized\r\n%sContent-Type: application/json\r\n"
		"Content-Length: 74\r\nA: b\r\n\r\n"
		"{\"ok\":false,\"error\":\"not-permitted\",\"field\":null,"
		"\"message\":\"a \\\"token\\\"\"}\n",
		date);
	assert_string_equal(buf_str(&text), buf_str(&expected));
	buf_reset(&text);
	http_answer_write(&answer, &head, true, 1763789600, &text);
	assert_non_null(strstr(text.data, "\r\nConnection: close\r\n"));
	feed("HEAD / HTTP/1.0\nConnection: keep-alive\n\n", &head);
	buf_reset(&text);
	http_answer_write(&answer, &head, false, 1763789600, &text);
	assert_non_null(strstr(text.data, "\r\nConnection: keep-alive\r\n"));
	assert_string_equal(text.data + text.len - 4, "\r\n\r\n");
	/* a body that failed for want of memory is not sent in part */
	answer.body.failed = true;
	buf_reset(&text);
	http_answer_write(&answer, &head, false, 1763789600, &text);
	assert_true(text.failed);
	buf_free(&answer.body);
	buf_free(&text);
	buf_free(&expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_chunk_sizes),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
