/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_LOOPBACK_H
#define PBXPUSH_BASE_LOOPBACK_H

#include <stddef.h>
#include <sys/socket.h>

#include <pbxpush/base/err.h>

/*
 * TCP listeners for programs on this machine and for nobody else: an address that another machine
 * could reach is not even understood.
 */

/*
 * `127.0.0.1:8599` (all of 127.0.0.0/8), `[::1]:8599`, or `localhost:8599`, which is 127.0.0.1: no
 * resolver is asked. ERR_INVAL for anything else.
 */
enum err loopback_parse(const char *text, struct sockaddr_storage *out, socklen_t *out_len);

/*
 * Listens there. On success *out_fd is non-blocking and close-on-exec, owned by the caller.
 * why: receives `ADDRESS: reason` for the log on failure, of why_size bytes.
 */
enum err loopback_listen(const char *text, int *out_fd, char *why, size_t why_size);

#endif
