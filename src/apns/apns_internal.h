/* SPDX-License-Identifier: MIT */
#ifndef APNS_APNS_INTERNAL_H
#define APNS_APNS_INTERNAL_H

#include <event2/event.h>

#include <pbxpush/apns/apns.h>

#include "connection.h"
#include "delivery.h"
#include "route.h"
#include "token_store.h"

/* Lists of what the configuration makes; short, walked from the front. */
struct apns_key {
	struct apns_key *next;
	struct provider_token *token;
	unsigned uses; /* routes */
};

struct apns_route {
	struct apns_route *next;
	struct route *route;
	struct apns_key *key;
	bool leaving; /* no app uses it any more: freed when its connections are gone */
};

/* Shared by apns.c (the port, the loop), tokens.c, plan.c and setup.c (the configuration). */
struct apns {
	struct event_base *base;
	struct apns_observer observer;
	struct transport transport;
	struct ledger ledger;
	struct app *apps;
	struct apns_key *keys;
	struct apns_route *routes;
	SSL_CTX *tls;
	char *ca_file;
	struct token_store *store;
	struct event *pump, *deadlines, *minute;
	int64_t deadline_us; /* what the timer is set for, 0: not set */
	bool closing;
};

/* ---- apns.c ---- */

/* Sets the timer for the first deadline. Moved forward only; one that fires too soon looks
 * again. */
void apns_arm_deadlines(struct apns *apns);

/* ---- tokens.c ---- */

struct provider_now apns_now(void);

/* Signs new provider tokens where it is time, and keeps them. */
void apns_refresh_tokens(struct apns *apns);

/* APNs calls the token of this generation expired, or else invalid. As provider_token_expired();
 * keeps what was signed. self: the struct apns. */
bool apns_token_refused(
	void *self, struct provider_token *token, unsigned generation, bool expired);

/* ---- setup.c ---- */

/* Frees routes, and then keys, that nobody uses any more. */
void apns_sweep(struct apns *apns);

/* Frees everything the configuration made. No delivery is left. */
void apns_clear(struct apns *apns);

#endif
