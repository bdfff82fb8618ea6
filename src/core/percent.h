/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_SRC_CORE_PERCENT_H
#define PBXPUSH_SRC_CORE_PERCENT_H

#include <stddef.h>

#include <pbxpush/base/err.h>

/*
 * Writes text with its %HH escapes (RFC 3986 2.1) resolved, and a NUL. ERR_INVAL for a broken
 * escape, for one that hides anything but printable ASCII, and for what does not fit into out_size
 * bytes; out is undefined then.
 */
enum err percent_decode(const char *text, size_t len, char *out, size_t out_size);

/* The value of a hex digit of either case, -1 for any other character. */
int percent_hex_value(char c);

#endif
