/* SPDX-License-Identifier: MIT */
#include "fake_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_memory.h"

#define BODIES_MAX 64

struct fake_hook {
	char *bodies[BODIES_MAX];
	size_t count, taken;
};

static void keep_event(void *self, const struct hook_event *event)
{
	struct fake_hook *hook = self;
	struct buf body = {0};
	bool armed = fake_memory_arm(false);

	assert_in_range(hook->count, 0, BODIES_MAX - 1);
	hook_event_write(event, "id", &body);
	hook->bodies[hook->count] = buf_take(&body);
	assert_non_null(hook->bodies[hook->count]);
	hook->count++;
	fake_memory_arm(armed);
}

struct fake_hook *fake_hook_new(void)
{
	struct fake_hook *hook = calloc(1, sizeof(*hook));

	assert_non_null(hook);
	return hook;
}

void fake_hook_free(struct fake_hook *hook)
{
	while (hook->taken < hook->count)
		free(hook->bodies[hook->taken++]);
	free(hook);
}

struct hook_port fake_hook_port(struct fake_hook *hook)
{
	return (struct hook_port){.self = hook, .tell = keep_event};
}

char *fake_hook_take(struct fake_hook *hook)
{
	return hook->taken < hook->count ? hook->bodies[hook->taken++] : NULL;
}
