/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pbxpush/hook/retry.h>

static void answers(void **state)
{
	static const struct {
		int status;
		enum hook_answer answer;
	} rows[] = {
		{0, HOOK_AGAIN},
		{103, HOOK_AGAIN},
		{200, HOOK_TAKEN},
		{204, HOOK_TAKEN},
		{299, HOOK_TAKEN},
		{301, HOOK_REFUSED},
		{307, HOOK_REFUSED},
		{400, HOOK_REFUSED},
		{401, HOOK_REFUSED},
		{403, HOOK_REFUSED},
		{404, HOOK_REFUSED},
		{408, HOOK_AGAIN},
		{410, HOOK_REFUSED},
		{422, HOOK_REFUSED},
		{429, HOOK_AGAIN},
		{499, HOOK_REFUSED},
		{500, HOOK_AGAIN},
		{503, HOOK_AGAIN},
		{599, HOOK_AGAIN},
		{999, HOOK_AGAIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (hook_judge(rows[i].status) != rows[i].answer)
			fail_msg("status %d", rows[i].status);
	}
}

/* The longest and the shortest delay of each try. */
static void delays(void **state)
{
	static const struct {
		int tries;
		int64_t retry_after_s, longest_ms, shortest_ms;
	} rows[] = {
		{1, 0, 1000, 500},
		{2, 0, 2000, 1000},
		{3, 0, 4000, 2000},
		{8, 0, 128000, 64000},
		{9, 0, 256000, 128000},
		{10, 0, 300000, 150000},
		{11, 0, 300000, 150000},
		{INT32_MAX, 0, 300000, 150000},
		/* the receiver asked */
		{1, 7, 7000, 7000},
		{4, 3, 8000, 4000},
		{4, 5, 8000, 5000},
		{1, 300, 300000, 300000},
		{1, 301, 300000, 300000},
		{1, INT64_MAX, 300000, 300000},
		/* a date that has passed */
		{1, -86400, 1000, 500},
		{1, INT64_MIN, 1000, 500},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int tries = rows[i].tries;
		int64_t asked_s = rows[i].retry_after_s;

		if (hook_backoff_ms(tries, asked_s, 0) != rows[i].longest_ms)
			fail_msg("row %zu: the longest is %lld", i,
				(long long)hook_backoff_ms(tries, asked_s, 0));
		if (hook_backoff_ms(tries, asked_s, UINT32_MAX) != rows[i].shortest_ms)
			fail_msg("row %zu: the shortest is %lld", i,
				(long long)hook_backoff_ms(tries, asked_s, UINT32_MAX));
	}
}

static void spread(void **state)
{
	int64_t last_ms = hook_backoff_ms(5, 0, 0);

	(void)state;
	for (uint32_t step = 1; step < 16; step++) {
		int64_t delay_ms = hook_backoff_ms(5, 0, step << 28);

		assert_true(delay_ms < last_ms);
		last_ms = delay_ms;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(delays),
		cmocka_unit_test(spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
