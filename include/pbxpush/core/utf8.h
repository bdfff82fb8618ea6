/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_UTF8_H
#define PBXPUSH_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/buf.h>

/*
 * A PBX sends what a caller's phone put into a name, so a line of JSON may hold bytes that no
 * strict parser takes. They must not cost the call: inside strings, each of these becomes U+FFFD:
 * bytes that are not UTF-8 (RFC 3629; overlong forms and surrogates included), unpaired
 * \uD800–\uDFFF escapes, \u0000, and raw control characters. Everything else stays as it is.
 */

/* True when the line needs no repair (the common case, checked in one pass). */
bool utf8_json_is_clean(const char *line, size_t len);

/* Appends the repaired line to out. */
void utf8_json_repair(const char *line, size_t len, struct buf *out);

/* Appends text without control characters (U+0000–001F, U+007F–009F) and without the
 * bidirectional overrides U+202A–202E and U+2066–2069, which could fake a call screen; nothing else
 * is taken. text is valid UTF-8, as the JSON parser left it. */
void utf8_sanitize(const char *text, struct buf *out);

/* The longest prefix of text that has at most max bytes and ends at a character boundary. */
size_t utf8_cut(const char *text, size_t len, size_t max);

#endif
