/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_CLOCK_H
#define PBXPUSH_BASE_CLOCK_H

#include <stdint.h>

/* Durations are measured on the monotonic clock; the wall clock is for `iat`, the PBX and
 * people. */
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void);

/* Both, for whoever looks all the time: a wall clock that is set is noticed within a
 * millisecond. */
void clock_look(int64_t *mono_us, int64_t *wall_ms);

#endif
