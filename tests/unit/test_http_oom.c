/* SPDX-License-Identifier: MIT */
/* Tokens, bodies and answers over HTTP when memory is short: each says so, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/access_token.h>
#include <pbxpush/pbx/event_batch.h>
#include <pbxpush/pbx/http_message.h>

#include "failing_memory.h"

static void no_fault(void *arg, int line, const char *what)
{
	(void)arg;
	fail_msg("line %d: %s", line, what);
}

static void tokens(void **state)
{
	static const char text[] = "one calls\ntwo admin\n";
	struct access_tokens *parsed = NULL, *copy = NULL;
	int failures = 0;

	(void)state;
	for (enum err err = ERR_NOMEM; err; failures++) {
		left = failures;
		err = access_tokens_parse(text, strlen(text), no_fault, NULL, &parsed);
		left = -1;
		assert_true(err == ERR_NOMEM || !err);
		assert_true(!parsed == !!err);
	}
	assert_in_range(failures, 3, 10);
	left = 0;
	copy = access_tokens_copy(parsed);
	left = -1;
	assert_null(copy);
	access_tokens_free(parsed);
}

static void bodies(void **state)
{
	static const char *const texts[] = {"[1,2,3,4,5]", "{}\n{}\n{}\n{}", "{}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct event_batch batch = {0};
		int failures = 0;
		const char *why;

		for (enum err err = ERR_NOMEM; err; failures++) {
			left = failures;
			err = event_batch_split(texts[i], strlen(texts[i]), 10, &batch, &why);
			left = -1;
			assert_true(err == ERR_NOMEM || !err);
			assert_true(!batch.events == !!err);
		}
		assert_in_range(failures, 2, 10);
		event_batch_free(&batch);
	}
}

static void answers(void **state)
{
	const struct http_head head = {.started = true, .minor = 1};
	int failures = 0;

	(void)state;
	for (bool failed = true; failed; failures++) {
		struct http_answer answer;
		struct buf text = {0};

		left = failures;
		http_answer_refusal(&answer, HTTP_STATUS_NOT_FOUND, "nothing is there");
		http_answer_write(&answer, &head, true, 0, &text);
		left = -1;
		failed = text.failed;
		assert_true(failed || strstr(text.data, "nothing is there"));
		buf_free(&answer.body);
		buf_free(&text);
	}
	assert_in_range(failures, 3, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens),
		cmocka_unit_test(bodies),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
