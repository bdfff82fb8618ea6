/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/outcome.h>
#include <pbxpush/core/payload.h>

#include <jansson.h>

#include "failing_memory.h"

/* Whichever allocation is the last, the text says that it failed, and nothing leaks. */
static void payload_says_that_memory_is_short(void **state)
{
	static char name[9000];
	const struct payload_call call = {
		.uuid = "0e9b6a1c-6f0e-5d3a-9f59-2f3f5f0f6a11",
		.call_id = "abc",
		.caller_name = name,
		.callee = "1001",
		.fallback_name = "Unknown",
	};
	int failures = 0;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	for (int nth = 0; nth < 100; nth++) {
		struct buf out = {0};
		bool truncated;

		left = nth;
		payload_write_voip(&call, &out, &truncated);
		left = -1;
		failures += out.failed;
		if (!out.failed) {
			assert_true(truncated);
			assert_true(out.len > 5000);
			buf_free(&out);
			break;
		}
		buf_free(&out);
	}
	assert_in_range(failures, 2, 98);
}

/* The reason is lost, what the status says is not. */
static void outcome_falls_back_to_the_status(void **state)
{
	static const char body[] = "{\"reason\":\"Unregistered\",\"timestamp\":1763790000123}";
	int failures = 0;

	(void)state;
	json_set_alloc_funcs(__wrap_malloc, free);
	for (int nth = 0; nth < 100; nth++) {
		struct outcome outcome;
		bool alarm;

		left = nth;
		outcome_goaway_reason(body, sizeof(body) - 1, &alarm);
		left = nth;
		outcome = push_outcome_classify(410, body, sizeof(body) - 1);
		left = -1;
		assert_int_equal(outcome.class, PUSH_REJECTED_TOKEN);
		if (outcome.timestamp_ms == 1763790000123)
			break;
		assert_string_equal(outcome.reason, "other");
		failures++;
	}
	assert_in_range(failures, 1, 98);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payload_says_that_memory_is_short),
		cmocka_unit_test(outcome_falls_back_to_the_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
