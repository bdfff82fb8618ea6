/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_FAKE_HOOK_H
#define TESTS_FLOW_FAKE_HOOK_H

#include <pbxpush/core/ports.h>

/* A web application that takes everything: keeps the bodies, in the order in which they came. */
struct fake_hook;

struct fake_hook *fake_hook_new(void);
void fake_hook_free(struct fake_hook *hook);

struct hook_port fake_hook_port(struct fake_hook *hook);

/* The oldest body that was not taken yet, or NULL. The caller frees it. */
char *fake_hook_take(struct fake_hook *hook);

#endif
