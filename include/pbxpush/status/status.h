/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_STATUS_STATUS_H
#define PBXPUSH_STATUS_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

struct event_base;

/*
 * The status socket: HTTP/1.1 over a unix socket, read-only (CONTRACT 5), or a part of it over TCP
 * for a Prometheus that cannot open the socket. It knows routes, methods and limits; what they show
 * comes from the provider. Anything else is 404, other methods than GET
 * and HEAD are 405 (501 where HTTP has no such method, as RFC 9110 15.6.2 says).
 *
 * At most 64 connections are served at once, others wait in the kernel's queue; 10 s without a byte
 * end a connection. libevent writes with writev(2): the process must ignore SIGPIPE.
 */
struct status_server;

/* Each writes a whole body. Copied by the server; self is borrowed for its life. */
struct status_provider {
	void *self;
	void (*status)(void *self, struct buf *out);  /* JSON */
	void (*metrics)(void *self, struct buf *out); /* Prometheus text */
	bool (*health)(void *self, struct buf *out);  /* JSON; false = 503 */
	void (*calls)(void *self, struct buf *out);   /* JSON */
	bool (*call)(
		void *self, const char *id, struct buf *out); /* id percent-decoded; false = 404 */
};

struct status_options {
	const char *path; /* of a unix socket; or, where loopback: an address */
	bool loopback;    /* TCP, as loopback_parse() takes it: /metrics and /health only */
	mode_t mode;
	gid_t gid; /* (gid_t)-1: leave it */
};

/* Options are copied. why: a sentence about what is wrong with the path, on failure. */
enum err status_server_new(struct event_base *base, const struct status_options *options,
	const struct status_provider *provider, struct status_server **out, char *why,
	size_t why_size);

/* After a reload; a changed path is bound before the old one is given up. On failure nothing
 * changed. */
enum err status_server_reconfigure(struct status_server *server,
	const struct status_options *options, char *why, size_t why_size);

/* Closes every connection, removes the path. Accepts NULL. */
void status_server_free(struct status_server *server);

#endif
