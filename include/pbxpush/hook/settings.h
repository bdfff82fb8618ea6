/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_HOOK_SETTINGS_H
#define PBXPUSH_HOOK_SETTINGS_H

#include <stddef.h>

#include <pbxpush/base/err.h>

/* What [hook] may say. */

/* A file with a token is shorter. */
#define HOOK_TOKEN_MAX_BYTES 4096

/* An absolute https URL, or http to a loopback address; without user and password. The empty one
 * is none, and good. why ("must be …") does not quote it: there may be a secret in it. */
enum err hook_check_url(const char *url, char *why, size_t why_size);

/* The only line of a token file, cut out in place: visible ASCII, so that it cannot grow into
 * further headers. ERR_INVAL for anything else. */
enum err hook_cut_token(char *text, size_t len);

#endif
