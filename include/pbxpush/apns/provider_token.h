/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_APNS_PROVIDER_TOKEN_H
#define PBXPUSH_APNS_PROVIDER_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>

/*
 * The provider token of one key: the JWT (RFC 7519, ES256 of RFC 7518 3.4) that stands in
 * `authorization`. Apple wants one a key, 20 to 60 minutes old, for every connection; so there is
 * one of these for the whole daemon. Its age is measured on the monotonic clock, `iat` is wall
 * time. No clock in here: time and randomness come in as arguments.
 */
struct provider_token;

#define PROVIDER_TOKEN_MIN_AGE_S     1200 /* Apple: no more than once in 20 minutes */
#define PROVIDER_TOKEN_REFRESH_AGE_S 2400 /* ours, plus up to 10 minutes of chance */
#define PROVIDER_TOKEN_JITTER_S      600
#define PROVIDER_TOKEN_JUMP_S        60 /* a step of the wall clock that makes `iat` wrong */
#define PROVIDER_TOKEN_FILE_MAX      1024

struct provider_now {
	int64_t mono_us;
	int64_t wall_s;
	uint32_t random;
};

/* Reads the key. ERR_IO or ERR_CRYPTO with a sentence in why. Nothing is signed yet. */
enum err provider_token_new(const char *team_id, const char *key_id, const char *key_file,
	struct provider_token **out, char *why, size_t why_size);
void provider_token_free(struct provider_token *token);

/* "bearer JWT", or NULL before the first signature. Borrowed until the next one. */
const char *provider_token_bearer(const struct provider_token *token);

/* Counts the signatures: a push remembers which one it went with. 0: none yet. */
unsigned provider_token_generation(const struct provider_token *token);

/* Seconds since `iat` by the monotonic clock; -1: none yet. */
int64_t provider_token_age_s(const struct provider_token *token, int64_t mono_us);

/* SHA-256 of the public key, first 16 hex digits. */
const char *provider_token_fingerprint(const struct provider_token *token);
const char *provider_token_team(const struct provider_token *token);
const char *provider_token_key(const struct provider_token *token);

/* Signs if it is time: none yet, old enough, or the clock jumped and 20 minutes are over. True
 * when there is a new token. */
bool provider_token_refresh(struct provider_token *token, const struct provider_now *now);

/* True when the wall clock was set since the token was signed: its `iat` may be nonsense. */
bool provider_token_clock_jumped(
	const struct provider_token *token, const struct provider_now *now);

/* APNs answered ExpiredProviderToken to a push sent with `generation`. True when a newer token is
 * there to try again with: signed since, or now. A young one is replaced once, and not again before
 * it is 20 minutes old or the clock jumps. */
bool provider_token_expired(
	struct provider_token *token, unsigned generation, const struct provider_now *now);

/* The JWT alone, to keep across restarts; NULL before the first. Borrowed until the next one. */
const char *provider_token_jwt(const struct provider_token *token);

/* Takes over a kept JWT where it is ours (team, key id and signature agree) and young enough.
 * ERR_INVAL otherwise, and nothing changed. */
enum err provider_token_restore(
	struct provider_token *token, const char *jwt, const struct provider_now *now);

/* Name of the file it is kept in: by team, key id and fingerprint. */
void provider_token_file_name(const struct provider_token *token, char out[96]);

#endif
