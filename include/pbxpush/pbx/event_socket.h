/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_EVENT_SOCKET_H
#define PBXPUSH_PBX_EVENT_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/ports.h>

struct event_base;

/*
 * The unix stream socket on which a PBX writes lines and reads replies (CONTRACT 2). It knows
 * lines, clients and their limits, not what an event is: each line goes to the event sink, each
 * reply comes back through its reply port; one to a client that has left is dropped. A client that does not read is not read from; one that
 * half-closes still gets its outstanding replies. What one that left had sent still counts, though
 * nobody gets the replies.
 *
 * Bounds: a client's lines wait above 256 KiB of unread replies or 65,536 unanswered lines; it has
 * 256 lines a turn of the loop. Functions here may be called from inside the sink, except _free().
 */
struct event_socket;

struct event_socket_options {
	const char *path;
	mode_t mode;
	gid_t gid;                  /* (gid_t)-1: leave it */
	const uid_t *allow, *admin; /* checked against SO_PEERCRED; count 0 = everybody */
	size_t allow_count, admin_count;
	size_t max_clients, max_line; /* max_line in bytes without the line end */
};

/* Options are copied; the sink is borrowed for the life of the socket. why: what is wrong with
 * the path. */
enum err event_socket_new(struct event_base *base, const struct event_socket_options *options,
	const struct event_sink *sink, struct event_socket **out, char *why, size_t why_size);

/* After a reload; a changed path is bound before the old one is given up. Who is connected has its
 * new role, or, when no longer allowed, gets what it is owed and is closed. On failure nothing
 * changed. */
enum err event_socket_reconfigure(struct event_socket *socket,
	const struct event_socket_options *options, char *why, size_t why_size);

/* Drain: no new clients (the path goes), no new lines; each client gets what it is owed and is
 * closed. */
void event_socket_stop(struct event_socket *socket);

/* True when every line taken has its reply and every reply has left. */
bool event_socket_is_drained(const struct event_socket *socket);

size_t event_socket_clients(const struct event_socket *socket);

/* Closes everything, removes the path. Accepts NULL. */
void event_socket_free(struct event_socket *socket);

#endif
