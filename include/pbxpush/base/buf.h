/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_BUF_H
#define PBXPUSH_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * A text that grows. An allocation that fails sets `failed` and makes every later addition do
 * nothing, so that a writer checks once, at its end. `data` is always NUL-terminated after the
 * first addition and may hold NUL bytes before that. `{0}` is an empty one.
 */
struct buf {
	char *data;
	size_t len, cap;
	bool failed;
};

void buf_free(struct buf *buf);

/* Empties the text and keeps the memory; clears `failed`. */
void buf_reset(struct buf *buf);

/* Makes room for extra bytes and the NUL; false (and `failed`) where there is none. */
bool buf_grow(struct buf *buf, size_t extra);

/* Inline, because every reply and payload is made of dozens of short pieces. */
static inline void buf_add(struct buf *buf, const void *data, size_t len)
{
	if ((buf->failed || buf->cap - buf->len <= len) && !buf_grow(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

static inline void buf_add_str(struct buf *buf, const char *str)
{
	buf_add(buf, str, strlen(str));
}

static inline void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_add_int(struct buf *buf, long long value);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds UTF-8 as a JSON string with its quotes (RFC 8259); NULL becomes `null`. */
void buf_add_json(struct buf *buf, const char *str);
/* The same of a text of len bytes. */
void buf_add_json_len(struct buf *buf, const char *text, size_t len);

/* The text ("" where empty). Borrowed until the next change of buf. */
const char *buf_str(const struct buf *buf);

/* Hands the text to the caller, who frees it; NULL when the text failed. buf is empty
 * afterwards. */
char *buf_take(struct buf *buf);

#endif
