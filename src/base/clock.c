/* SPDX-License-Identifier: MIT */
#include <time.h>

#include <pbxpush/base/clock.h>

int64_t clock_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t clock_wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
	return clock_wall_us() / 1000;
}

void clock_look(int64_t *mono_us, int64_t *wall_ms)
{
	static _Thread_local int64_t looked_us, wall_us; /* at the last look at the wall */
	int64_t now_us = clock_mono_us();

	if (!looked_us || now_us - looked_us >= 1000) {
		looked_us = now_us;
		wall_us = clock_wall_us();
	}
	*mono_us = now_us;
	*wall_ms = (wall_us + (now_us - looked_us)) / 1000;
}
