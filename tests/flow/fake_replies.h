/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_FAKE_REPLIES_H
#define TESTS_FLOW_FAKE_REPLIES_H

#include <pbxpush/core/ports.h>

/* A reply port that keeps every line for the test, in the order written. */
struct fake_replies;

struct fake_replies *fake_replies_new(void);
void fake_replies_free(struct fake_replies *replies);

const struct reply_port *fake_replies_port(struct fake_replies *replies);

/* Takes the oldest line of a client (0: of any), or NULL. The caller frees it. */
char *fake_replies_take(struct fake_replies *replies, uint64_t client);

#endif
