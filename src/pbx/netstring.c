/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <pbxpush/pbx/netstring.h>

#define NETSTRING_FIRST_BYTES ((size_t)16 * 1024)
#define NETSTRING_ROOM_BYTES  ((size_t)4 * 1024) /* less is not worth a system call */

char *netstring_reader_space(struct netstring_reader *reader, size_t *room)
{
	if (reader->start) {
		/* At most the beginning of one, as nothing is read while whole ones wait. */
		memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
		reader->end -= reader->start;
		reader->start = 0;
	}
	if (reader->cap - reader->end < NETSTRING_ROOM_BYTES) {
		size_t cap = reader->cap ? reader->cap * 2 : NETSTRING_FIRST_BYTES;
		char *data = realloc(reader->data, cap);
		if (!data)
			return NULL;
		reader->data = data;
		reader->cap = cap;
	}
	*room = reader->cap - reader->end;
	return reader->data + reader->end;
}

void netstring_reader_fill(struct netstring_reader *reader, size_t len)
{
	reader->end += len;
}

/* Everything has been read: one long text must not keep its memory for as long as the peer
 * stays. */
static void netstring_reader_empty(struct netstring_reader *reader)
{
	reader->start = reader->end = 0;
	if (reader->cap > NETSTRING_FIRST_BYTES) {
		free(reader->data);
		reader->data = NULL;
		reader->cap = 0;
	}
}

static enum netstring_kind netstring_reader_break(struct netstring_reader *reader)
{
	reader->broken = true;
	return NETSTRING_BROKEN;
}

/* Passes over what is left of one that was too long. False where its comma is something else. */
static bool netstring_reader_skip(struct netstring_reader *reader)
{
	size_t unread = reader->end - reader->start;
	size_t len = unread < reader->skip_bytes ? unread : reader->skip_bytes;

	reader->start += len;
	reader->skip_bytes -= len;
	return !len || reader->skip_bytes || reader->data[reader->start - 1] == ',';
}

/* The length before the colon. NETSTRING_NONE: its end is still to come. */
static enum netstring_kind netstring_parse_length(
	const char *data, size_t unread, size_t *digits, size_t *value)
{
	size_t i = 0, sum = 0;

	for (; i < unread && data[i] >= '0' && data[i] <= '9'; i++) {
		if (i == NETSTRING_DIGITS_MAX || (i == 1 && data[0] == '0'))
			return NETSTRING_BROKEN;
		sum = sum * 10 + (size_t)(data[i] - '0');
	}
	if (i == unread)
		return NETSTRING_NONE;
	if (!i || data[i] != ':')
		return NETSTRING_BROKEN;
	*digits = i;
	*value = sum;
	return NETSTRING_TEXT;
}

enum netstring_kind netstring_reader_next(
	struct netstring_reader *reader, size_t max_bytes, const char **text, size_t *len)
{
	while (!reader->broken && netstring_reader_skip(reader)) {
		size_t unread = reader->end - reader->start, digits, value;

		if (!unread) {
			netstring_reader_empty(reader);
			return NETSTRING_NONE;
		}
		const char *data = reader->data + reader->start;
		enum netstring_kind kind = netstring_parse_length(data, unread, &digits, &value);
		if (kind == NETSTRING_NONE)
			return kind;
		if (kind == NETSTRING_BROKEN)
			break;
		if (value > max_bytes) {
			reader->start += digits + 1;
			reader->skip_bytes = value + 1;
			return NETSTRING_TOO_LONG;
		}
		if (unread < digits + 1 + value + 1)
			return NETSTRING_NONE;
		if (data[digits + 1 + value] != ',')
			break;
		reader->start += digits + 1 + value + 1;
		if (value) {
			*text = data + digits + 1;
			*len = value;
			return NETSTRING_TEXT;
		}
	}
	return netstring_reader_break(reader);
}

void netstring_reader_free(struct netstring_reader *reader)
{
	free(reader->data);
	*reader = (struct netstring_reader){0};
}
