/* SPDX-License-Identifier: MIT */
#ifndef APNS_TOKEN_STORE_H
#define APNS_TOKEN_STORE_H

#include <pbxpush/base/err.h>

#include <pbxpush/apns/provider_token.h>

struct event_base;

/*
 * Keeps signed provider tokens across restarts, so that APNs never sees one that is younger than 20
 * minutes replaced. Files of mode 0600, written whole or not at all, off the loop.
 */
struct token_store;

/* dir: "" keeps nothing. */
enum err token_store_new(struct event_base *base, const char *dir, struct token_store **out);

/* Waits for what is being written. Accepts NULL. */
void token_store_free(struct token_store *store);

/* Takes over the kept token, where there is one young enough. At start only: it reads a file. */
void token_store_load(const struct token_store *store, struct provider_token *token,
	const struct provider_now *now);

/* Writes the token, later. */
void token_store_save(struct token_store *store, const struct provider_token *token);

#endif
