/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_LINE_READER_H
#define PBXPUSH_PBX_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Cuts a stream of bytes into lines (LF or CRLF), without I/O. Bytes are written straight into its
 * memory and lines are read from there, so a line costs neither an allocation nor a copy. `{0}` is
 * an empty one. It holds at most one unfinished line and what was read behind it: at worst about
 * twice max_line and 8 KiB.
 */
struct line_reader {
	char *data;
	size_t cap, start, end; /* data[start..end) is unread */
	size_t scanned;         /* no line feed in data[start..scanned) */
	bool skipping;          /* within the rest of a line that was too long */
	bool ended;
};

enum line_kind {
	LINE_NONE,     /* no whole line: read more */
	LINE_TEXT,     /* *line and *len, valid until the next line_reader_space() */
	LINE_TOO_LONG, /* said once; the rest of that line is skipped */
};

/* Where to read to, and how much fits (at least a byte). NULL when memory is short. Call it only
 * after line_reader_next() said LINE_NONE, or the lines still in memory make it grow. */
char *line_reader_space(struct line_reader *reader, size_t *room);

/* len bytes were put where line_reader_space() pointed. */
void line_reader_fill(struct line_reader *reader, size_t len);

/* The stream has ended: what is left is a line too. */
void line_reader_end(struct line_reader *reader);

/* The next line without its end. Empty lines are passed over. max_line: its bound in bytes. */
enum line_kind line_reader_next(
	struct line_reader *reader, size_t max_line, const char **line, size_t *len);

void line_reader_free(struct line_reader *reader);

#endif
