/* SPDX-License-Identifier: MIT */
#include "fake_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A flow that asks for the same moment again and again would spin a processor. */
#define RUNS_AT_ONE_MOMENT_MAX 100

static int64_t mono_us, wall_us, due_us;

void fake_clock_reset(void)
{
	mono_us = 1000000000;
	wall_us = FAKE_WALL_START_MS * 1000;
	due_us = 0;
}

int64_t fake_clock_mono_us(void)
{
	return mono_us;
}

int64_t fake_clock_wall_ms(void)
{
	return wall_us / 1000;
}

void fake_clock_look(int64_t *mono, int64_t *wall_ms)
{
	*mono = mono_us;
	*wall_ms = wall_us / 1000;
}

void fake_clock_wake(void *self, int64_t due)
{
	(void)self;
	due_us = due;
}

static void move_to(int64_t us)
{
	if (us <= mono_us)
		return;
	wall_us += us - mono_us;
	mono_us = us;
}

void fake_clock_pass(struct flow *flow, int64_t us)
{
	int64_t end_us = mono_us + us;
	int runs = 0;

	while (due_us && due_us <= end_us) {
		runs = due_us > mono_us ? 0 : runs + 1;
		if (runs > RUNS_AT_ONE_MOMENT_MAX)
			fail_msg("the flow asks for the same moment for ever");
		move_to(due_us);
		due_us = 0;
		flow_run_due(flow);
	}
	move_to(end_us);
}
