/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_HOOK_CURL_LOOP_H
#define PBXPUSH_HOOK_CURL_LOOP_H

#include <pbxpush/base/err.h>

#include "curl_library.h"

struct event_base;

/* libcurl's multi interface on our event loop: it says which sockets and what time it waits for. */
struct curl_loop;

/* A transfer has ended and left the loop; arg is its CURLOPT_PRIVATE. Others may be added in
 * here. */
typedef void curl_loop_done_fn(void *arg, CURLcode code);

enum err curl_loop_new(struct event_base *base, long max_connections, curl_loop_done_fn *done,
	struct curl_loop **out);

enum err curl_loop_add(struct curl_loop *loop, CURL *easy);

/* Before its end: `done` is not called for it. */
void curl_loop_remove(struct curl_loop *loop, CURL *easy);

/* Closes the idle connections. No transfer may be left in it. Accepts NULL. */
void curl_loop_free(struct curl_loop *loop);

#endif
