/* SPDX-License-Identifier: MIT */
/* The token file of [events] http: its lines, and who gets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/core/access_token.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define T16          "0123456789abcdef"
#define T256         T16 T16 T16 T16 T16 T16 T16 T16 T16 T16 T16 T16 T16 T16 T16 T16
#define ROLE         "behind the token stands its role, calls or admin|"
#define VISIBLE      "a token consists of visible ASCII characters|"

static void note(void *arg, int line, const char *what)
{
	buf_printf(arg, "%d: %s|", line, what);
}

static const struct {
	const char *name, *text, *faults;
} files[] = {
	{"nothing", "", "0: holds no token: nobody could get in|"},
	{"comments only", "# a\n;b\n\n \t\r\n", "0: holds no token: nobody could get in|"},
	{"one", "secret", ""},
	{"one line", "secret\n", ""},
	{"roles", "one\ntwo calls\nthree admin\n", ""},
	{"blanks", " \tone \t \n two\t \tadmin\t\r\n", ""},
	{"any visible character", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ admin\n", ""},
	{"as long as may be", T256 " admin", ""},
	{"too long", "ok\n" T256 "x admin", "2: the token is longer than 256 characters|"},
	{"unknown role", "secret root\n", "1: " ROLE},
	{"role in capitals", "secret Admin\n", "1: " ROLE},
	{"half a role", "secret admi\n", "1: " ROLE},
	{"two roles", "secret calls admin\n", "1: " ROLE},
	{"comment behind it", "secret calls # mine\n", "1: " ROLE},
	{"control character", "sec\x01ret\n", "1: " VISIBLE},
	{"not ASCII",
		"s\xc3\xa4"
		"cret\n",
		"1: " VISIBLE},
	{"CR inside", "sec\rret\n", "1: " VISIBLE},
	{"the same twice", "one\n\ntwo\none admin\n", "4: the same token as in line 1|"},
	{"one in front of another", "one\nonetwo\non\n", ""},
	{"all faults are told", "a b\nc\n\xff\nc\n",
		"1: " ROLE "3: " VISIBLE "4: the same token as in line 2|"},
};

static void test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		struct access_tokens *tokens = NULL;
		struct buf faults = {0};
		enum err err = access_tokens_parse(
			files[i].text, strlen(files[i].text), note, &faults, &tokens);

		if (strcmp(buf_str(&faults), files[i].faults) != 0)
			fail_msg("%s: %s", files[i].name, buf_str(&faults));
		if (err != (files[i].faults[0] ? ERR_INVAL : ERR_OK) || !tokens != !!err)
			fail_msg("%s: returned %d", files[i].name, err);
		access_tokens_free(tokens);
		buf_free(&faults);
	}
}

static struct access_tokens *parse(const char *text, size_t len)
{
	struct access_tokens *tokens = NULL;
	struct buf faults = {0};

	if (access_tokens_parse(text, len, note, &faults, &tokens))
		fail_msg("%s", buf_str(&faults));
	buf_free(&faults);
	return tokens;
}

static void test_nul_in_a_token(void **state)
{
	struct access_tokens *tokens = NULL;
	struct buf faults = {0};

	(void)state;
	assert_int_equal(access_tokens_parse("ab\0c\n", 5, note, &faults, &tokens), ERR_INVAL);
	assert_string_equal(buf_str(&faults), "1: " VISIBLE);
	buf_free(&faults);
}

static void test_who_gets_in(void **state)
{
	static const char text[] = "alpha calls\nbeta admin\nalphabet\n" T256 " admin\n";
	static const struct {
		const char *given;
		int role; /* -1: nobody */
	} rows[] = {
		{"alpha", ROLE_CALLS},
		{"beta", ROLE_ADMIN},
		{"alphabet", ROLE_CALLS},
		{T256, ROLE_ADMIN},
		{"", -1},
		{"a", -1},
		{"alph", -1},
		{"alphab", -1},
		{"Alpha", -1},
		{"alpha ", -1},
		{" alpha", -1},
		{"alpha calls", -1},
		{"calls", -1},
		{"betb", -1},
		{"ceta", -1},
		{T256 "0", -1},
		{T256 T256, -1},
	};
	struct access_tokens *parsed = parse(text, strlen(text));
	struct access_tokens *tokens = access_tokens_copy(parsed);

	(void)state;
	access_tokens_free(parsed);
	assert_non_null(tokens);
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum client_role role = ROLE_CALLS;
		bool found =
			access_tokens_check(tokens, rows[i].given, strlen(rows[i].given), &role);

		if (found != (rows[i].role >= 0) || (found && (int)role != rows[i].role))
			fail_msg("\"%s\": %d, role %d", rows[i].given, found, (int)role);
	}
	/* the padding of a token is none of it */
	enum client_role role;
	assert_false(access_tokens_check(tokens, "alpha\0", 6, &role) && role == ROLE_ADMIN);
	access_tokens_free(tokens);
}

static void test_as_many_as_may_be(void **state)
{
	struct access_tokens *tokens = NULL;
	struct buf text = {0}, faults = {0};
	enum client_role role = ROLE_CALLS;

	(void)state;
	for (int i = 1; i <= ACCESS_TOKENS_MAX; i++)
		buf_printf(&text, "token-%d admin\n", i);
	tokens = parse(text.data, text.len);
	assert_true(access_tokens_check(tokens, "token-64", 8, &role));
	assert_int_equal(role, ROLE_ADMIN);
	access_tokens_free(tokens);
	buf_add_str(&text, "another");
	assert_int_equal(
		access_tokens_parse(text.data, text.len, note, &faults, &tokens), ERR_INVAL);
	assert_string_equal(buf_str(&faults), "65: one token too many: there may be 64|");
	buf_free(&text);
	buf_free(&faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_nul_in_a_token),
		cmocka_unit_test(test_who_gets_in),
		cmocka_unit_test(test_as_many_as_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
