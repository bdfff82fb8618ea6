/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/err.h>

/* Each has a phrase of its own, and what is no error has one too. */
static void test_phrases(void **state)
{
	(void)state;
	for (int i = ERR_OK; i <= ERR_BUSY; i++) {
		const char *phrase = err_string((enum err)i);
		assert_true(strlen(phrase) > 0);
		assert_string_not_equal(phrase, "unknown error");
		for (int j = ERR_OK; j < i; j++)
			assert_string_not_equal(phrase, err_string((enum err)j));
	}
	assert_string_equal(err_string((enum err)(ERR_BUSY + 1)), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phrases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
