/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_HOOK_REQUEST_H
#define PBXPUSH_HOOK_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>

#include "curl_library.h"

/* One POST. */

struct hook_options;

/* What every request says: the options, copied. */
struct destination;

enum err destination_new(const struct hook_options *options, struct destination **out);
/* Accepts NULL. */
void destination_free(struct destination *destination);

struct request {
	CURL *easy;
	struct curl_slist *headers;
	size_t received; /* bytes of the answer, which nobody reads */
	char why[CURL_ERROR_SIZE];
};

/* destination and body are borrowed until request_free(); id is copied. arg: CURLOPT_PRIVATE. */
enum err request_new(const struct destination *destination, const char *id, const char *body,
	size_t len, void *arg, struct request **out);

/* The HTTP status, 0 where there was no answer. */
int request_status(const struct request *request);

/* Seconds that the answer asked to wait for, 0 where it did not. */
int64_t request_retry_after_s(const struct request *request);

/* Out of the loop by now. Accepts NULL. */
void request_free(struct request *request);

#endif
