/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_FAKE_CLOCK_H
#define TESTS_FLOW_FAKE_CLOCK_H

#include <stdint.h>

#include <pbxpush/daemon/flow.h>

/* Both clocks of the flow, and its timer. One world at a time: the ports of time take no argument.
 * */

#define FAKE_WALL_START_MS INT64_C(1763790000000)

void fake_clock_reset(void);

int64_t fake_clock_mono_us(void);
int64_t fake_clock_wall_ms(void);
void fake_clock_look(int64_t *mono_us, int64_t *wall_ms);
void fake_clock_wake(void *self, int64_t due_us);

/* Lets time pass, and stops at each moment for which the flow asked. */
void fake_clock_pass(struct flow *flow, int64_t us);

#endif
