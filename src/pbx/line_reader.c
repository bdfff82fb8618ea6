/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <pbxpush/pbx/line_reader.h>

#define LINE_READER_FIRST_BYTES ((size_t)16 * 1024)
#define LINE_READER_ROOM_BYTES  ((size_t)4 * 1024) /* less is not worth a system call */

char *line_reader_space(struct line_reader *reader, size_t *room)
{
	if (reader->start) {
		/* At most the beginning of one line, as nothing is read while whole ones wait. */
		memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
		reader->end -= reader->start;
		reader->scanned -= reader->start;
		reader->start = 0;
	}
	if (reader->cap - reader->end < LINE_READER_ROOM_BYTES) {
		size_t cap = reader->cap ? reader->cap * 2 : LINE_READER_FIRST_BYTES;
		char *data = realloc(reader->data, cap);
		if (!data)
			return NULL;
		reader->data = data;
		reader->cap = cap;
	}
	*room = reader->cap - reader->end;
	return reader->data + reader->end;
}

void line_reader_fill(struct line_reader *reader, size_t len)
{
	reader->end += len;
}

void line_reader_end(struct line_reader *reader)
{
	reader->ended = true;
}

/* Everything has been read: one long line must not keep its memory for as long as the client
 * stays. */
static void line_reader_empty(struct line_reader *reader)
{
	reader->start = reader->end = reader->scanned = 0;
	if (reader->cap > LINE_READER_FIRST_BYTES) {
		free(reader->data);
		reader->data = NULL;
		reader->cap = 0;
	}
}

/* Takes data[start..end) as a line; LINE_NONE means that it is empty. */
static enum line_kind line_reader_take(
	struct line_reader *reader, size_t end, size_t max_line, const char **line, size_t *len)
{
	size_t start = reader->start;

	if (end > start && reader->data[end - 1] == '\r')
		end--;
	if (end == start)
		return LINE_NONE;
	if (end - start > max_line)
		return LINE_TOO_LONG;
	*line = reader->data + start;
	*len = end - start;
	return LINE_TEXT;
}

/* No line feed is left in memory: what there is may be too long already, or the last line. */
static enum line_kind line_reader_rest(
	struct line_reader *reader, size_t max_line, const char **line, size_t *len)
{
	enum line_kind kind = LINE_NONE;

	/* One byte more than a line can have may be the CR of its end. */
	if (!reader->skipping && reader->end - reader->start > max_line + 1) {
		reader->skipping = true;
		kind = LINE_TOO_LONG;
	} else if (!reader->skipping && reader->ended) {
		kind = line_reader_take(reader, reader->end, max_line, line, len);
		reader->start = reader->scanned = reader->end;
		if (kind == LINE_TEXT)
			return kind; /* it lies in the memory that would be given back */
	}
	if (reader->skipping || reader->start == reader->end)
		line_reader_empty(reader);
	return kind;
}

enum line_kind line_reader_next(
	struct line_reader *reader, size_t max_line, const char **line, size_t *len)
{
	while (reader->scanned < reader->end) {
		char *from = reader->data + reader->scanned;
		char *feed = memchr(from, '\n', reader->end - reader->scanned);
		if (!feed) {
			reader->scanned = reader->end;
			break;
		}
		size_t end = (size_t)(feed - reader->data);
		enum line_kind kind = LINE_NONE;
		if (!reader->skipping)
			kind = line_reader_take(reader, end, max_line, line, len);
		reader->skipping = false;
		reader->start = reader->scanned = end + 1;
		if (kind != LINE_NONE)
			return kind;
	}
	return line_reader_rest(reader, max_line, line, len);
}

void line_reader_free(struct line_reader *reader)
{
	free(reader->data);
	*reader = (struct line_reader){0};
}
