/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/ctl/http.h>

static const struct {
	const char *data;
	enum err err;
	int status;
	const char *body;
} answers[] = {
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ERR_OK, 200, "{}"},
	{"HTTP/1.0 503 Service Unavailable\r\ncontent-length:3\r\n\r\nno\n", ERR_OK, 503, "no\n"},
	{"HTTP/1.1 200 OK\nX: y\n\nto the end", ERR_OK, 200, "to the end"},
	{"HTTP/1.1 404 \r\n\r\n", ERR_OK, 404, ""},
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}trailing", ERR_OK, 200, "{}"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ERR_OK, 200, ""},
	{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", ERR_PROTOCOL, 0, NULL},
	{"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n{}", ERR_PROTOCOL, 0, NULL},
	{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", ERR_PROTOCOL, 0, NULL},
	{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}", ERR_PROTOCOL, 0,
		NULL},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", ERR_PROTOCOL,
		0, NULL},
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", ERR_PROTOCOL, 0, NULL},
	{"HTTP/1.1 2x0 OK\r\n\r\n", ERR_PROTOCOL, 0, NULL},
	{"HTTP/2 200\r\n\r\n", ERR_PROTOCOL, 0, NULL},
	{"{\"ok\":true}\n", ERR_PROTOCOL, 0, NULL},
	{"\r\n\r\n", ERR_PROTOCOL, 0, NULL},
	{"", ERR_PROTOCOL, 0, NULL},
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct http_answer answer = {0};
		size_t len = strlen(answers[i].data);

		if (http_parse_answer(answers[i].data, len, &answer) != answers[i].err)
			fail_msg("row %zu: %s", i, answers[i].data);
		if (answers[i].err)
			continue;
		assert_int_equal(answer.status, answers[i].status);
		assert_int_equal(answer.body_len, strlen(answers[i].body));
		assert_memory_equal(answer.body, answers[i].body, answer.body_len);
	}
}

static void test_encode(void **state)
{
	static const char *const rows[][2] = {
		{"a84b4c76e66710@pc33.example.com", "a84b4c76e66710%40pc33.example.com"},
		{"", ""},
		{"AZaz09-._~", "AZaz09-._~"},
		{"a/b?c#d%e f", "a%2Fb%3Fc%23d%25e%20f"},
		{"\xc3\xa9\r\n", "%C3%A9%0D%0A"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = {0};

		http_encode_segment(rows[i][0], &out);
		assert_string_equal(buf_str(&out), rows[i][1]);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
