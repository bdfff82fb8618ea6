/* SPDX-License-Identifier: MIT */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

/*
 * A connection to one of the daemon's sockets with one deadline for everything: a daemon that
 * hangs must not hang a dialplan. Every function: ERR_IO with errno, which is ETIMEDOUT past the
 * deadline.
 */
struct client {
	int fd; /* non-blocking */
	int64_t deadline_us;
};

enum err client_connect(const char *path, int64_t timeout_ms, struct client *out);

/* Writes everything. */
enum err client_write(struct client *client, const char *data, size_t len);

/* Appends what comes next, at least a byte; *end instead when the daemon has closed. */
enum err client_read(struct client *client, struct buf *in, bool *end);

/* A line for a person about an error of these functions or of ERR_CLOSED, ERR_PROTOCOL, ERR_LIMIT.
 * errno must still be that of the error. */
void client_explain(const char *path, enum err err, char *why, size_t why_size);

void client_close(struct client *client);

#endif
