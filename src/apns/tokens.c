/* SPDX-License-Identifier: MIT */
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <pbxpush/apns/signing_key.h>
#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>

#include "apns_internal.h"

struct provider_now apns_now(void)
{
	struct provider_now now = {
		.mono_us = clock_mono_us(),
		.wall_s = clock_wall_ms() / 1000,
	};

	RAND_bytes((unsigned char *)&now.random, sizeof(now.random));
	return now;
}

static void token_log(const struct provider_token *token, const char *why)
{
	log_info("apns", "key=%s/%s provider token signed: %s", provider_token_team(token),
		provider_token_key(token), why);
}

void apns_refresh_tokens(struct apns *apns)
{
	const struct provider_now now = apns_now();

	for (struct apns_key *key = apns->keys; key; key = key->next) {
		if (provider_token_refresh(key->token, &now)) {
			token_log(key->token, "it was time");
			token_store_save(apns->store, key->token);
		}
	}
}

bool apns_token_refused(void *arg, struct provider_token *token, unsigned generation, bool expired)
{
	struct apns *apns = arg;
	const struct provider_now now = apns_now();
	unsigned before = provider_token_generation(token);
	/* An `iat` in the future makes a token invalid; the key itself may be, and no new token
	 * helps. */
	bool again =
		(expired || generation != before || provider_token_clock_jumped(token, &now)) &&
		provider_token_expired(token, generation, &now);

	if (provider_token_generation(token) != before) {
		token_log(token, "APNs refuses the last one");
		token_store_save(apns->store, token);
	}
	return again;
}

enum err apns_check_key(const char *path, char *why, size_t why_size)
{
	EVP_PKEY *key = NULL;
	enum err err = signing_key_load(path, &key, why, why_size);

	EVP_PKEY_free(key);
	return err;
}
