/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_REFUSALS_H
#define PBXPUSH_PBX_REFUSALS_H

#include <pbxpush/base/err.h>

struct event_base;

/*
 * Connections that are turned away with one line. A socket closed with unread input resets the
 * peer, which then may lose the very line that says why; so ours stays half-open for a moment (a
 * few, for a second) and what the peer still writes is thrown away.
 */
struct refusals;

enum err refusals_new(struct event_base *base, struct refusals **out);

/* Takes the descriptor. code: as in CONTRACT 2, message: plain text; both go into JSON as they
 * are. */
void refusals_add(struct refusals *refusals, int fd, const char *code, const char *message);

/* Closes them all. Accepts NULL. */
void refusals_free(struct refusals *refusals);

#endif
