/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/news.h>
#include <pbxpush/core/schedule.h>
#include <pbxpush/core/template.h>
#include <pbxpush/core/zone.h>

#include "failing_memory.h"

static char name[9000];

static const struct payload_call call = {
	.uuid = "0e9b6a1c-6f0e-5d3a-9f59-2f3f5f0f6a11",
	.call_id = "abc",
	.caller_name = name,
	.callee = "1001",
	.data = "{\"room\":7}",
	.fallback_name = "Unknown",
};

/* Each returns what it says of an allocation that failed, and leaves nothing behind. */

static enum err compile_and_write(void)
{
	static const char text[] = "{\"n\":\"by ${caller.name}\",\"d\":\"${data}\"}";
	struct template *template = NULL;
	struct buf error = {0}, out = {0};
	enum err err = template_compile(text, sizeof(text) - 1, TEMPLATE_VOIP, &template, &error);
	bool truncated;

	if (!err) {
		template_write_call(template, &call, &out, &truncated);
		err = out.failed ? ERR_NOMEM : ERR_OK;
	}
	template_free(template);
	buf_free(&error);
	buf_free(&out);
	return err;
}

static enum err write_news(void)
{
	struct news news = NEWS_INIT;
	struct buf out = {0};
	bool truncated, failed;

	news.type = NEWS_MESSAGE;
	news.to = news.conversation = "1001";
	news.from_name = news.text = name;
	news_write(&news, NULL, &out, &truncated);
	failed = out.failed;
	buf_free(&out);
	return failed ? ERR_NOMEM : ERR_OK;
}

static enum err read_schedule(void)
{
	struct schedule schedule;

	return schedule_read("{\"timezone\":\"UTC\",\"windows\":[{\"days\":[\"mon\"],"
			     "\"from\":\"22:00\",\"to\":\"07:00\"}]}",
		&schedule);
}

static enum err parse_zone(void)
{
	static const char data[] = "TZif\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				   "\0\0\0\0\0\0\0\1\0\0\0\4\0\0\0\0\0\0UTC";
	struct zone *zone = NULL;
	enum err err = zone_parse(data, sizeof(data), &zone);

	zone_free(zone);
	return err;
}

static void shortage_of_memory_is_told(void **state)
{
	static const struct {
		enum err (*run)(void);
		int failures; /* at least */
	} rows[] = {{compile_and_write, 10}, {write_news, 3}, {read_schedule, 3}, {parse_zone, 1}};

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	json_set_alloc_funcs(__wrap_malloc, free);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int nth = 0;
		enum err err;

		for (;; nth++) {
			left = nth;
			err = rows[i].run();
			left = -1;
			if (!err)
				break;
			/* some allocations of jansson's fail as bad JSON */
			assert_true(err == ERR_NOMEM || err == ERR_INVAL);
			assert_true(nth < 1000);
		}
		assert_true(nth >= rows[i].failures);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shortage_of_memory_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
