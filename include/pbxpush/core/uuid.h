/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_UUID_H
#define PBXPUSH_CORE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_SIZE 37

/* Bytes of a Call-ID, as the event protocol bounds it; what is longer is cut. */
#define UUID_CALL_ID_MAX 255

/* SHA-1 comes in from outside: core links no cryptography. */
typedef void uuid_sha1_fn(const void *data, size_t len, uint8_t digest[20]);

/*
 * The identity of a call for CallKit: version 5 (RFC 9562 5.5) in the URL namespace
 * 6ba7b811-9dad-11d1-80b4-00c04fd430c8 over `sip-call-id:` + Call-ID, and `#` + attempt above 1.
 * Deterministic, so the PBX and the app can compute it too. Lower case.
 */
void uuid_of_call(const char *call_id, int attempt, uuid_sha1_fn *sha1, char out[UUID_SIZE]);

/* A version 4 UUID of 16 random bytes. Lower case. */
void uuid_random(const uint8_t random[16], char out[UUID_SIZE]);

/* Accepts 8-4-4-4-12 hex digits of any case and writes them in lower case; false for anything
 * else. */
bool uuid_normalize(const char *text, char out[UUID_SIZE]);

#endif
