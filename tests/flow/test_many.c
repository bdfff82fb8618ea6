/* SPDX-License-Identifier: MIT */
/* What one client can make the flow do by saying the same thing very often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

#define TOKEN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void say(struct world *world, const char *line)
{
	world_send(world, 1, ROLE_ADMIN, line, strlen(line));
}

/* Counts the replies that are there, all of which have this in them. */
static size_t replies_with(struct world *world, const char *part)
{
	size_t count = 0;
	char *reply;

	while ((reply = world_reply(world, 1))) {
		if (!strstr(reply, part))
			fail_msg("no %s in %s", part, reply);
		count++;
		free(reply);
	}
	return count;
}

static void repeats_of_a_call_that_wait(void **state)
{
	struct world *world = world_new();

	(void)state;
	say(world, "{\"event\":\"register\",\"user\":\"1001\",\"device\":\"one\","
		   "\"token\":\"" TOKEN "\",\"sip\":false,\"app\":\"" WORLD_APP "\"}");
	free(world_await_reply(world, 1));
	for (int i = 0; i < 1000; i++)
		say(world, "{\"event\":\"call\",\"call\":\"c\",\"to\":\"1001\","
			   "\"wait\":\"register\"}");
	/* so many wait; the others were told how it stands */
	assert_int_equal(replies_with(world, "\"verdict\":\"push\""), 1000 - 64);
	say(world, "{\"event\":\"end\",\"call\":\"c\"}");
	assert_int_equal(replies_with(world, "\"event\":"), 64 + 1);
	world_free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeats_of_a_call_that_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
