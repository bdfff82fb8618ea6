/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/scan.h>

#define BUF_FIRST 256

bool buf_grow(struct buf *buf, size_t extra)
{
	if (buf->failed)
		return false;
	if (buf->cap - buf->len > extra)
		return true;
	if (extra > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4) {
		buf->failed = true;
		return false;
	}
	size_t cap = buf->cap ? buf->cap : BUF_FIRST;
	while (cap - buf->len <= extra)
		cap *= 2;
	char *data = realloc(buf->data, cap);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

void buf_add_int(struct buf *buf, long long value)
{
	char digits[24];
	size_t at = sizeof(digits);
	/* Negated as unsigned: LLONG_MIN has no positive counterpart. */
	unsigned long long rest =
		value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;

	for (; rest >= 100; rest /= 100) { /* a division for two digits */
		digits[--at] = (char)('0' + rest % 100 % 10);
		digits[--at] = (char)('0' + rest % 100 / 10);
	}
	if (rest >= 10)
		digits[--at] = (char)('0' + rest % 10);
	digits[--at] = (char)('0' + (rest >= 10 ? rest / 10 : rest));
	if (value < 0)
		digits[--at] = '-';
	buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args, again;
	int len;

	if (!buf_grow(buf, 0))
		return;
	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(buf->data + buf->len, buf->cap - buf->len, fmt, args);
	if (len < 0) {
		buf->data[buf->len] = '\0';
		buf->failed = true;
	} else if ((size_t)len < buf->cap - buf->len) {
		buf->len += (size_t)len;
	} else if (buf_grow(buf, (size_t)len)) {
		vsnprintf(buf->data + buf->len, buf->cap - buf->len, fmt, again);
		buf->len += (size_t)len;
	} else {
		buf->data[buf->len] = '\0';
	}
	va_end(again);
	va_end(args);
}

static void buf_add_escape(struct buf *buf, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	switch (c) {
	case '"':
	case '\\':
		text[1] = (char)c;
		break;
	case '\b':
		text[1] = 'b';
		break;
	case '\f':
		text[1] = 'f';
		break;
	case '\n':
		text[1] = 'n';
		break;
	case '\r':
		text[1] = 'r';
		break;
	case '\t':
		text[1] = 't';
		break;
	default:
		buf_add(buf, text, 6);
		return;
	}
	buf_add(buf, text, 2);
}

void buf_add_json_len(struct buf *buf, const char *text, size_t len)
{
	size_t plain = scan_json_plain(text, len);

	if (!buf_grow(buf, plain + 2))
		return;
	buf->data[buf->len] = '"';
	memcpy(buf->data + buf->len + 1, text, plain);
	buf->len += plain + 1;
	while (plain < len) {
		text += plain;
		len -= plain + 1;
		buf_add_escape(buf, (unsigned char)*text++);
		plain = scan_json_plain(text, len);
		buf_add(buf, text, plain);
	}
	buf_add_char(buf, '"');
}

void buf_add_json(struct buf *buf, const char *str)
{
	if (str)
		buf_add_json_len(buf, str, strlen(str));
	else
		buf_add_str(buf, "null");
}

const char *buf_str(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_take(struct buf *buf)
{
	char *data = NULL;

	buf_add(buf, "", 0); /* an empty text is a text too */
	if (!buf->failed) {
		data = buf->data;
		buf->data = NULL;
	}
	buf_free(buf);
	return data;
}
