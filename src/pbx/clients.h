/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_CLIENTS_H
#define PBXPUSH_PBX_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/ports.h>

struct event_base;

/*
 * The connected clients of the event socket: their lines go to the sink, the replies come back to
 * them, also from inside the sink.
 *
 * What one client can make us hold is bounded: its unread replies (then its lines wait), its
 * unanswered lines, one line's memory. What it can make us do before others have their turn is
 * bounded too.
 */
struct clients;

enum err clients_new(struct event_base *base, const struct event_sink *sink, size_t max_line,
	struct clients **out);

/* Takes a connected, non-blocking descriptor; it stays the caller's on failure. */
enum err clients_add(struct clients *clients, int fd, uid_t uid, enum client_role role);

void clients_set_max_line(struct clients *clients, size_t max_line);

/* Asks `judge` about every client again: a new role, or false to read no more from it. */
void clients_judge(struct clients *clients,
	bool (*judge)(const void *arg, uid_t uid, enum client_role *role), const void *arg);

/* Takes no more lines; each client is closed when it has what is owed to it. */
void clients_stop(struct clients *clients);

bool clients_are_drained(const struct clients *clients);

size_t clients_count(const struct clients *clients);

/* Closes them all. Accepts NULL. */
void clients_free(struct clients *clients);

#endif
