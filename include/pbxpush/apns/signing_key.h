/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_APNS_SIGNING_KEY_H
#define PBXPUSH_APNS_SIGNING_KEY_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

/* The .p8 file: PKCS#8 PEM with an EC key on P-256. ERR_IO or ERR_CRYPTO with a sentence in why. */
enum err signing_key_load(const char *path, EVP_PKEY **out, char *why, size_t why_size);

/* First 16 hex digits of SHA-256 over SubjectPublicKeyInfo. */
enum err signing_key_fingerprint(EVP_PKEY *key, char out[17]);

/* Adds `.` and the ES256 signature of everything in text: R and S of 32 bytes each, base64url
 * without padding (RFC 7518 3.4); not the DER that OpenSSL makes and Apple's sample shows. */
enum err signing_key_sign(EVP_PKEY *key, struct buf *text);

/* True when text is `signed.signature` of this key. */
bool signing_key_verify(EVP_PKEY *key, const char *text);

/* base64url without padding (RFC 4648 5). */
void base64url_add(struct buf *out, const void *data, size_t len);

/* Decodes len characters into out; the number of bytes, or -1. */
int base64url_decode(const char *text, size_t len, unsigned char *out, size_t size);

#endif
