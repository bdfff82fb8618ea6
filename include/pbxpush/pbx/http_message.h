/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_HTTP_MESSAGE_H
#define PBXPUSH_PBX_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>

/*
 * HTTP/1.1 messages (RFC 9112) without I/O: the head of a request, line by line, and the text of an
 * answer. Only what this server needs is kept.
 */
#define HTTP_HEAD_MAX_BYTES 8192 /* request line and fields, with their line ends */

enum http_status {
	HTTP_STATUS_OK = 200,
	HTTP_STATUS_MULTI = 207,
	HTTP_STATUS_BAD_REQUEST = 400,
	HTTP_STATUS_UNAUTHORIZED = 401,
	HTTP_STATUS_FORBIDDEN = 403,
	HTTP_STATUS_NOT_FOUND = 404,
	HTTP_STATUS_BAD_METHOD = 405,
	HTTP_STATUS_TIMEOUT = 408,
	HTTP_STATUS_LENGTH_REQUIRED = 411,
	HTTP_STATUS_TOO_LARGE = 413,
	HTTP_STATUS_EXPECTATION = 417,
	HTTP_STATUS_HEAD_TOO_LARGE = 431,
	HTTP_STATUS_NOT_IMPLEMENTED = 501,
	HTTP_STATUS_UNAVAILABLE = 503,
	HTTP_STATUS_BAD_VERSION = 505,
};

/* `{0}` is one of which nothing was read. */
struct http_head {
	bool started;    /* the request line was read */
	char method[16]; /* cut: no method of ours is as long */
	char path[64];   /* without query; cut, too */
	int minor;       /* of HTTP/1.x */
	bool has_length, chunked, expects_continue;
	bool close, keep_alive; /* Connection */
	bool authorized;        /* there is an Authorization field */
	char credentials[320];  /* its value; "" where it is longer */
	int64_t length;         /* Content-Length */
	size_t bytes;           /* of all lines so far */
	enum http_status fault; /* and why, where a line was refused */
	const char *why;
};

enum http_line {
	HTTP_LINE_MORE,    /* the next one, please */
	HTTP_LINE_LAST,    /* the head is whole */
	HTTP_LINE_REFUSED, /* head->fault, head->why */
};

/* Takes a line without its end, which counts two bytes. */
enum http_line http_head_line(struct http_head *head, const char *line, size_t len);

/* Whether the client may send another request on this connection (RFC 9112 9.3). */
bool http_head_persists(const struct http_head *head);

/* The bytes of a chunk, from the line in front of it without its end; extensions are ignored. -1
 * where it is no such line. */
int64_t http_chunk_size(const char *line, size_t len);

struct http_answer {
	enum http_status status;
	const char *type;   /* Content-Type */
	const char *fields; /* more header lines, each with CRLF, or NULL */
	struct buf body;
};

/* An answer that refuses, with a body in the shape of CONTRACT 2. buf_free(&out->body). */
void http_answer_refusal(struct http_answer *out, enum http_status status, const char *why);

/* Writes head and body. head: the request's; one that says HEAD gets no body. last: the connection
 * closes behind it. */
void http_answer_write(const struct http_answer *answer, const struct http_head *head, bool last,
	int64_t now_s, struct buf *out);

#endif
