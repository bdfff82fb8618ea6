/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_NETSTRING_H
#define PBXPUSH_PBX_NETSTRING_H

#include <stdbool.h>
#include <stddef.h>

/* Digits of the longest length that is believed; what has more is not a netstring. */
#define NETSTRING_DIGITS_MAX 9

/*
 * Cuts a stream of bytes into netstrings (`5:hello,`, https://cr.yp.to/proto/netstrings.txt),
 * without I/O. Bytes are written straight into its memory and texts are read from there. `{0}` is
 * an empty one. It holds at most one unfinished netstring and what was read behind it: at worst
 * about twice max_bytes and 8 KiB.
 */
struct netstring_reader {
	char *data;
	size_t cap, start, end; /* data[start..end) is unread */
	size_t skip_bytes;      /* of one that was too long, its comma included, still to come */
	bool broken;
};

enum netstring_kind {
	NETSTRING_NONE,     /* no whole one: read more */
	NETSTRING_TEXT,     /* *text and *len, valid until the next netstring_reader_space() */
	NETSTRING_TOO_LONG, /* said once, as soon as the length is known; its bytes are skipped */
	NETSTRING_BROKEN,   /* this is no netstring, and nothing after it can be trusted either */
};

/* Where to read to, and how much fits (at least a byte). NULL when memory is short. Call it only
 * after netstring_reader_next() said NETSTRING_NONE, or what is still in memory makes it grow. */
char *netstring_reader_space(struct netstring_reader *reader, size_t *room);

/* len bytes were put where netstring_reader_space() pointed. */
void netstring_reader_fill(struct netstring_reader *reader, size_t len);

/* The next netstring without its frame. Empty ones are passed over. max_bytes: its bound. */
enum netstring_kind netstring_reader_next(
	struct netstring_reader *reader, size_t max_bytes, const char **text, size_t *len);

/* Frees its memory; it is an empty one again. */
void netstring_reader_free(struct netstring_reader *reader);

#endif
