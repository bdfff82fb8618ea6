/* SPDX-License-Identifier: MIT */
#ifndef APNS_RESOLVER_H
#define APNS_RESOLVER_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <pbxpush/base/err.h>

#include <pbxpush/apns/endpoint.h>

struct event_base;

/*
 * Addresses of one host, asked anew each time with getaddrinfo(3), so that hosts and nsswitch hold,
 * on a thread of its own, so that a name server that is down stops nobody else. Whoever asks while
 * a question is out shares its answer.
 */
struct resolver;

/* list: all addresses, borrowed for the call; NULL with a sentence in why. */
typedef void resolver_fn(void *arg, const struct addrinfo *list, const char *why);

struct resolver_query {
	TAILQ_ENTRY(resolver_query) link;
	resolver_fn *done;
	void *arg;
	unsigned serial; /* of the question that answers it */
	bool pending;
};

enum err resolver_new(
	struct event_base *base, const struct endpoint *endpoint, struct resolver **out);

/* Does not wait for a question that is out: its thread ends by itself. Accepts NULL. */
void resolver_free(struct resolver *resolver);

/* query->done runs later on the loop's thread, unless resolver_cancel comes first. */
enum err resolver_ask(struct resolver *resolver, struct resolver_query *query);
void resolver_cancel(struct resolver *resolver, struct resolver_query *query);

#endif
