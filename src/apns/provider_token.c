/* SPDX-License-Identifier: MIT */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/apns/provider_token.h>
#include <pbxpush/apns/signing_key.h>

#define BEARER       "bearer "
#define BEARER_LEN   (sizeof(BEARER) - 1)
#define US_PER_S     1000000
#define ID_SIZE      24 /* Apple's have 10 characters; they go into JSON and a file name */
#define FUTURE_MAX_S 5  /* an `iat` ahead of our clock by more says that one of the two is wrong */

struct provider_token {
	char team_id[ID_SIZE], key_id[ID_SIZE], fingerprint[17];
	EVP_PKEY *key;
	char *bearer; /* BEARER and the JWT */
	unsigned generation;
	int64_t signed_us;      /* monotonic time of `iat` */
	int64_t refresh_us;     /* monotonic time of the next signature */
	int64_t clock_offset_s; /* wall minus monotonic when it was signed */
	bool forced;            /* signed in place of a young one */
};

static bool id_is_valid(const char *id)
{
	size_t len = strlen(id);

	return len > 0 && len < ID_SIZE &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == len;
}

enum err provider_token_new(const char *team_id, const char *key_id, const char *key_file,
	struct provider_token **out, char *why, size_t why_size)
{
	struct provider_token *token = calloc(1, sizeof(*token));
	enum err err = ERR_NOMEM;

	if (!token)
		goto out;
	err = ERR_INVAL;
	if (!id_is_valid(team_id) || !id_is_valid(key_id)) {
		snprintf(why, why_size, "team id and key id are 10 letters and digits each");
		goto out;
	}
	memcpy(token->team_id, team_id, strlen(team_id) + 1);
	memcpy(token->key_id, key_id, strlen(key_id) + 1);
	err = signing_key_load(key_file, &token->key, why, why_size);
	if (err)
		goto out;
	err = signing_key_fingerprint(token->key, token->fingerprint);
	if (err)
		snprintf(why, why_size, "key file %s: cannot compute its fingerprint", key_file);
out:
	if (err)
		provider_token_free(token);
	else
		*out = token;
	return err;
}

void provider_token_free(struct provider_token *token)
{
	if (!token)
		return;
	EVP_PKEY_free(token->key);
	free(token->bearer);
	free(token);
}

const char *provider_token_bearer(const struct provider_token *token)
{
	return token->bearer;
}

const char *provider_token_jwt(const struct provider_token *token)
{
	return token->bearer ? token->bearer + BEARER_LEN : NULL;
}

unsigned provider_token_generation(const struct provider_token *token)
{
	return token->generation;
}

int64_t provider_token_age_s(const struct provider_token *token, int64_t mono_us)
{
	return token->bearer ? (mono_us - token->signed_us) / US_PER_S : -1;
}

const char *provider_token_fingerprint(const struct provider_token *token)
{
	return token->fingerprint;
}

const char *provider_token_team(const struct provider_token *token)
{
	return token->team_id;
}

const char *provider_token_key(const struct provider_token *token)
{
	return token->key_id;
}

void provider_token_file_name(const struct provider_token *token, char out[96])
{
	snprintf(out, 96, "provider-token-%s-%s-%s", token->team_id, token->key_id,
		token->fingerprint);
}

/* `BEARER header.claims`: everything that is signed. `iat` is a number of seconds (RFC 7519 2). */
static void signing_input(const struct provider_token *token, int64_t iat_s, struct buf *out)
{
	char json[96];

	int len = snprintf(json, sizeof(json), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", token->key_id);
	base64url_add(out, json, (size_t)len);
	buf_add_char(out, '.');
	len = snprintf(json, sizeof(json), "{\"iss\":\"%s\",\"iat\":%lld}", token->team_id,
		(long long)iat_s);
	base64url_add(out, json, (size_t)len);
}

/* Makes jwt the token. signed_us: monotonic time that belongs to its `iat`. */
static enum err provider_token_set(struct provider_token *token, const char *jwt, int64_t signed_us,
	const struct provider_now *now)
{
	size_t len = strlen(jwt);
	char *bearer = malloc(BEARER_LEN + len + 1);

	if (!bearer)
		return ERR_NOMEM;
	memcpy(bearer, BEARER, BEARER_LEN);
	memcpy(bearer + BEARER_LEN, jwt, len + 1);
	free(token->bearer);
	token->bearer = bearer;
	token->generation++;
	token->signed_us = signed_us;
	token->refresh_us =
		signed_us + US_PER_S * (PROVIDER_TOKEN_REFRESH_AGE_S +
					       (int64_t)(now->random % PROVIDER_TOKEN_JITTER_S));
	token->clock_offset_s = now->wall_s - now->mono_us / US_PER_S;
	token->forced = false;
	return ERR_OK;
}

static bool provider_token_sign(struct provider_token *token, const struct provider_now *now)
{
	struct buf jwt = {0};
	enum err err;

	signing_input(token, now->wall_s, &jwt);
	err = signing_key_sign(token->key, &jwt);
	if (!err)
		err = provider_token_set(token, buf_str(&jwt), now->mono_us, now);
	buf_free(&jwt);
	return !err;
}

bool provider_token_clock_jumped(const struct provider_token *token, const struct provider_now *now)
{
	int64_t step_s = now->wall_s - now->mono_us / US_PER_S - token->clock_offset_s;

	return step_s > PROVIDER_TOKEN_JUMP_S || step_s < -PROVIDER_TOKEN_JUMP_S;
}

bool provider_token_refresh(struct provider_token *token, const struct provider_now *now)
{
	int64_t age_s = provider_token_age_s(token, now->mono_us);

	if (!token->bearer || now->mono_us >= token->refresh_us ||
		(age_s >= PROVIDER_TOKEN_MIN_AGE_S && provider_token_clock_jumped(token, now)))
		return provider_token_sign(token, now);
	return false;
}

bool provider_token_expired(
	struct provider_token *token, unsigned generation, const struct provider_now *now)
{
	if (generation != token->generation)
		return true;
	bool young = provider_token_age_s(token, now->mono_us) < PROVIDER_TOKEN_MIN_AGE_S;
	if (young && token->forced && !provider_token_clock_jumped(token, now))
		return false;
	if (!provider_token_sign(token, now))
		return false;
	token->forced = young;
	return true;
}

/* The `iat` of a JWT of ours; -1 where it is not one. */
static int64_t jwt_iat(const char *jwt)
{
	char claims[128];
	long long iat_s;
	const char *first = strchr(jwt, '.');
	const char *second = first ? strchr(first + 1, '.') : NULL;
	int len = second ? base64url_decode(first + 1, (size_t)(second - first - 1),
				   (unsigned char *)claims, sizeof(claims) - 1)
			 : -1;

	if (len < 0)
		return -1;
	claims[len] = '\0';
	const char *at = strstr(claims, "\"iat\":");
	return at && sscanf(at, "\"iat\":%18lld}", &iat_s) == 1 ? iat_s : -1;
}

enum err provider_token_restore(
	struct provider_token *token, const char *jwt, const struct provider_now *now)
{
	struct buf expected = {0};
	int64_t iat_s = jwt_iat(jwt);
	int64_t age_s = now->wall_s - iat_s;
	enum err err = ERR_INVAL;

	/* Across a restart only the wall clock knows the age; a token from the future is not
	 * trusted. */
	if (iat_s < 0 || age_s >= PROVIDER_TOKEN_REFRESH_AGE_S || age_s < -FUTURE_MAX_S)
		goto out;
	signing_input(token, iat_s, &expected);
	if (expected.failed || strncmp(jwt, expected.data, expected.len) != 0 ||
		jwt[expected.len] != '.' || !signing_key_verify(token->key, jwt))
		goto out;
	err = provider_token_set(
		token, jwt, now->mono_us - (age_s > 0 ? age_s : 0) * US_PER_S, now);
out:
	buf_free(&expected);
	return err;
}
