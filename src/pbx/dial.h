/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_DIAL_H
#define PBXPUSH_PBX_DIAL_H

#include <pbxpush/base/err.h>

struct event_base;

/*
 * Opens a TCP connection to a PBX: its name is looked up on a thread of its own (getaddrinfo(3), so
 * that hosts and nsswitch hold), then its addresses are tried one after the other, a few seconds
 * each.
 */
struct dial;

/*
 * Once, from the event loop, never from inside dial_new(). Free the dial there, or later.
 * fd: the receiver's, non-blocking, close-on-exec, TCP_NODELAY; -1 on failure, and why says what
 * the last address had to say, borrowed for the call.
 */
typedef void dial_done_fn(void *arg, int fd, const char *why);

/* address: host:port or [v6]:port (OPTION_HOST); copied. ERR_INVAL where it is neither. */
enum err dial_new(struct event_base *base, const char *address, dial_done_fn *done, void *arg,
	struct dial **out);

/* Gives up whatever is under way. Accepts NULL. */
void dial_free(struct dial *dial);

#endif
