/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_AOR_H
#define PBXPUSH_CORE_AOR_H

#include <stddef.h>

#include <pbxpush/base/err.h>

/* Longest AOR we keep, with its NUL. SIP sets no limit; nobody has a longer one. */
#define AOR_SIZE 256

/*
 * An address of record as the key of a user: `sip:`, `sips:` and `tel:`, angle brackets, URI
 * parameters and headers, password, port and the separators of a tel: number are stripped, the
 * domain is lower-cased (RFC 3261 19.1.4: the user part compares with case), and a bare name
 * becomes name@default_domain where that is not empty. Normalizing twice changes nothing.
 *
 * Writes to out (AOR_SIZE bytes) on success only. ERR_INVAL for an empty user, white space or
 * control characters, brackets or quotes, a second `@`, or a longer AOR.
 */
enum err aor_normalize(const char *text, const char *default_domain, char out[AOR_SIZE]);

/* The domain of a normalized AOR, "" where it has none. Points into aor. */
const char *aor_domain(const char *aor);

#endif
