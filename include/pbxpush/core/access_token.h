/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_ACCESS_TOKEN_H
#define PBXPUSH_CORE_ACCESS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/ports.h>

/*
 * The bearer tokens of `[events] http-token-file` (RFC 6750), with the role that each gives. A line
 * is `TOKEN [calls|admin]`; empty lines and what begins with `#` or `;` are passed over.
 */
#define ACCESS_TOKEN_MAX_BYTES 256
#define ACCESS_TOKENS_MAX      64 /* each request is compared with all of them */
#define ACCESS_FILE_MAX_BYTES  65536

struct access_tokens;

/* Says what is wrong with a line, without quoting it: it may hold a token. */
typedef void access_fault_fn(void *arg, int line, const char *what);

/*
 * Reads the text of the file. On ERR_INVAL `fault` was called for each bad line (line 0: the file
 * holds no token at all) and nothing was written.
 */
enum err access_tokens_parse(const char *text, size_t len, access_fault_fn *fault, void *arg,
	struct access_tokens **out);

/* NULL where memory is short. */
struct access_tokens *access_tokens_copy(const struct access_tokens *tokens);

/*
 * True where `given` is one of the tokens; *role is then its role. It takes the same time whichever
 * it is and however much of one was guessed.
 */
bool access_tokens_check(
	const struct access_tokens *tokens, const char *given, size_t len, enum client_role *role);

/* Wipes them. Accepts NULL. */
void access_tokens_free(struct access_tokens *tokens);

#endif
