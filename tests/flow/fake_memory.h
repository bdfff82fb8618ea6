/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_FAKE_MEMORY_H
#define TESTS_FLOW_FAKE_MEMORY_H

#include <stdbool.h>

/*
 * Memory that runs short. Every allocation of the flow's thread is counted while it is armed, and
 * the chosen one fails; the fakes and the test itself allocate while it is not. The linker puts
 * this between the program and libc (--wrap); jansson is given it by fake_memory_start().
 */
void fake_memory_start(void);

/* The nth allocation from now on fails (0: none), and with `all` every later one. */
void fake_memory_fail(int nth, bool all);

/* True when the allocation that was to fail has come. */
bool fake_memory_failed(void);

/* Whether allocations are counted. Returns what held before. */
bool fake_memory_arm(bool armed);

#endif
