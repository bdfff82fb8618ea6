/* SPDX-License-Identifier: MIT */
#ifndef APNS_DIALER_H
#define APNS_DIALER_H

#include <stdint.h>
#include <sys/socket.h>

#include <pbxpush/base/err.h>

#include "resolver.h"
#include <pbxpush/apns/endpoint.h>

struct event_base;

/*
 * Brings a connected TCP socket: resolves, tries every address of both families, each a moment
 * after the one before (after RFC 8305) and the better ones first, and goes through the HTTP proxy
 * where there is one. No time limit of its own: its owner frees it when it took too long.
 */
struct dialer;

/* What kept it from succeeding; the `reason` of a push that waited in vain. */
enum dial_fault { DIAL_DNS, DIAL_CONNECTION, DIAL_PROXY };

struct dial_result {
	int fd; /* -1 on failure; else the receiver's, non-blocking, close-on-exec */
	struct sockaddr_storage peer;
	enum dial_fault fault;
	bool alarm; /* of the configuration: the proxy wants a password */
	char why[160];
};

struct dial_options {
	struct event_base *base;
	struct resolver *resolver; /* of the proxy where there is one, else of the target */
	const struct proxy *proxy; /* or NULL */
	const struct endpoint *target;
	int64_t timeout_ms; /* for the pace at which addresses are tried */
	/* How bad an address is: 0 best. Asked before the first try. */
	unsigned (*penalty)(void *arg, const struct sockaddr *address);
	/* Once, from the event loop. Frees the dialer there, or later. */
	void (*done)(void *arg, const struct dial_result *result);
	void *arg;
};

/* Options' strings and pointers are borrowed as long as the dialer lives. */
enum err dialer_new(const struct dial_options *options, struct dialer **out);

/* Gives up whatever is under way. Accepts NULL. */
void dialer_free(struct dialer *dialer);

/* What a dialer that takes too long is waiting for. */
enum dial_fault dialer_waits_for(const struct dialer *dialer);

/* The address tried first or won; NULL before. */
const struct sockaddr *dialer_peer(const struct dialer *dialer);

/* Same family and address; the port does not count. */
bool address_equal(const struct sockaddr *a, const struct sockaddr *b);

/* "192.0.2.1:443", "[2001:db8::1]:443". */
void address_format(const struct sockaddr *address, char out[64]);

#endif
