/* SPDX-License-Identifier: MIT */
#ifndef CTL_RELAY_H
#define CTL_RELAY_H

#include <pbxpush/ctl/commands.h>

/*
 * `send`: lines from stdin to the event socket, replies to stdout as they come; half-closes at the
 * end of stdin and waits until every line has its reply.
 */
command_fn relay_send;

#endif
