/* SPDX-License-Identifier: MIT */
#ifndef APNS_PLAN_H
#define APNS_PLAN_H

#include "apns_internal.h"

/*
 * A configuration is built completely beside the running one; only when nothing can fail any more
 * does it take its place.
 */
struct plan {
	struct route_options options[2]; /* by environment */
	SSL_CTX *tls;
	char *ca_file;
	const struct apns_app *wanted;
	size_t count;
	struct app **apps;      /* [count]: those there are, or new ones */
	struct apns_key **uses; /* [count]: the key of each */
	struct apns_key *keys;  /* new ones */
	struct apns_route *routes;
};

/* ERR_* with a sentence in why where there is one; plan_clear() follows in any case. */
enum err plan_make(struct plan *plan, struct apns *apns, const struct apns_options *options,
	char *why, size_t why_size);

/* Frees what the plan made and nobody took. */
void plan_clear(struct plan *plan, const struct apns *apns);

/* The route in the list that carries this key's pushes to where the options lead, or NULL. */
struct apns_route *plan_route_find(struct apns_route *list, const struct apns_key *key,
	enum push_environment environment, const struct route_options *options);

/* True when the running configuration has this very app already. */
bool plan_app_is_live(const struct apns *apns, const struct app *app);

void plan_key_free(struct apns_key *key);

#endif
