/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CTL_HTTP_H
#define PBXPUSH_CTL_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

/* The longest answer we read: 100,000 calls fit. */
#define HTTP_ANSWER_MAX_BYTES ((size_t)64 << 20)

struct http_answer {
	int status;
	const char *body; /* inside the data it was parsed from, NUL-terminated if that is */
	size_t body_len;
};

/* A whole HTTP/1.x answer whose end is the end of the connection. ERR_PROTOCOL where it is none,
 * is cut short of its Content-Length, or is chunked (which nobody may send to a 1.0 client, RFC
 * 9112 6.1). */
enum err http_parse_answer(const char *data, size_t len, struct http_answer *out);

/* Appends text with everything but RFC 3986's unreserved characters percent-encoded. */
void http_encode_segment(const char *text, struct buf *out);

/*
 * Gets target (`/status`) from the unix socket at path. data receives the raw answer, in which *out
 * points. ERR_IO with errno (ETIMEDOUT: nothing in timeout_ms), ERR_PROTOCOL, ERR_LIMIT, ERR_NOMEM.
 */
enum err http_get(const char *path, const char *target, int64_t timeout_ms, struct buf *data,
	struct http_answer *out);

#endif
