/* SPDX-License-Identifier: MIT */
#include "simulator.h"

#include <string.h>
#include <strings.h>

#include <jansson.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#define PART_MAX      512 /* decoded bytes of a JWT's header or claims */
#define RAW_SIGNATURE 64  /* RFC 7518 3.4: R and S, 32 bytes each, not DER */
#define HALF          (RAW_SIGNATURE / 2)

/* *len: the size of out, then what was written. False for anything but unpadded base64url. */
static bool base64url_decode(const char *text, size_t text_len, uint8_t *out, size_t *len)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < text_len; i++) {
		const char *at = memchr(alphabet, text[i], sizeof(alphabet) - 1);

		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have >= 8) {
			if (n == *len)
				return false;
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
			bits &= (1u << have) - 1;
		}
	}
	*len = n;
	return text_len % 4 != 1 && bits == 0;
}

static json_t *part_decode(const char *text, size_t len)
{
	uint8_t part[PART_MAX];
	size_t part_len = sizeof(part);
	json_t *json;

	if (!base64url_decode(text, len, part, &part_len))
		return NULL;
	json = json_loadb((const char *)part, part_len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

static bool signature_good(
	EVP_PKEY *key, const char *text, size_t text_len, const uint8_t raw[RAW_SIGNATURE])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw, HALF, NULL), *s = BN_bin2bn(raw + HALF, HALF, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	bool good = false;
	int der_len;

	if (!sig || !r || !s || !ctx || !ECDSA_SIG_set0(sig, r, s))
		goto out;
	r = s = NULL; /* sig's now */
	der_len = i2d_ECDSA_SIG(sig, &der);
	if (der_len > 0 && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1)
		good = EVP_DigestVerify(ctx, der, (size_t)der_len, (const unsigned char *)text,
			       text_len) == 1;
out:
	OPENSSL_free(der);
	EVP_MD_CTX_free(ctx);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return good;
}

static struct sim_app *app_of(const struct sim *sim, const struct sim_jwt *jwt)
{
	struct sim_app *app;

	STAILQ_FOREACH (app, &sim->apps, next) {
		if (strcmp(app->kid, jwt->kid) == 0 && strcmp(app->team, jwt->iss) == 0)
			return app;
	}
	return NULL;
}

/* Fills kid, iss and iat. Returns what is wrong, or NULL. */
static const char *claims_read(json_t *header, json_t *claims, struct sim_jwt *out)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const char *kid = json_string_value(json_object_get(header, "kid"));
	const char *iss = json_string_value(json_object_get(claims, "iss"));
	const json_t *iat = json_object_get(claims, "iat");

	if (kid)
		snprintf(out->kid, sizeof(out->kid), "%s", kid);
	if (iss)
		snprintf(out->iss, sizeof(out->iss), "%s", iss);
	if (json_is_integer(iat))
		out->iat_s = json_integer_value(iat);
	if (!header || !claims)
		return "JWT is not base64url of JSON";
	if (!alg || strcmp(alg, "ES256") != 0)
		return "JWT alg is not ES256";
	if (!kid || strlen(kid) != 10)
		return "JWT kid is not 10 characters";
	if (!iss)
		return "JWT has no iss";
	if (!json_is_integer(iat))
		return "JWT iat is no integer";
	if (out->iat_s < 0 || out->iat_s > INT32_MAX * 2LL)
		return "JWT iat is not in seconds";
	return NULL;
}

static const char *jwt_verify(const struct sim *sim, const char *authorization, struct sim_jwt *out)
{
	static const char scheme[] = "bearer ";
	const char *jwt, *dot, *dot2, *problem;
	uint8_t signature[PART_MAX];
	size_t signature_len = sizeof(signature);
	json_t *header, *claims;

	if (strncasecmp(authorization, scheme, strlen(scheme)) != 0)
		return "authorization is not bearer";
	jwt = authorization + strlen(scheme);
	dot = strchr(jwt, '.');
	dot2 = dot ? strchr(dot + 1, '.') : NULL;
	if (!dot2)
		return "JWT has not three parts";
	header = part_decode(jwt, (size_t)(dot - jwt));
	claims = part_decode(dot + 1, (size_t)(dot2 - dot - 1));
	problem = claims_read(header, claims, out);
	json_decref(header);
	json_decref(claims);
	if (problem)
		return problem;
	out->app = app_of(sim, out);
	if (!out->app)
		return "no such key of this team";
	if (!base64url_decode(dot2 + 1, strlen(dot2 + 1), signature, &signature_len))
		return "JWT signature is not base64url";
	if (signature_len != RAW_SIGNATURE)
		return signature[0] == 0x30 ? "JWT signature is DER, not R and S"
					    : "JWT signature is not 64 bytes";
	if (!signature_good(out->app->key, jwt, (size_t)(dot2 - jwt), signature))
		return "JWT signature does not verify";
	return NULL;
}

void sim_jwt_verify(const struct sim *sim, const char *authorization, struct sim_jwt *out)
{
	*out = (struct sim_jwt){0};
	out->problem = jwt_verify(sim, authorization, out);
}
