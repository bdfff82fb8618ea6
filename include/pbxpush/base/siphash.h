/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_SIPHASH_H
#define PBXPUSH_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-1-3 (Aumasson, Bernstein): a keyed hash whose collisions a stranger cannot plan. */
uint64_t siphash13(const uint64_t key[2], const void *data, size_t len);

#endif
