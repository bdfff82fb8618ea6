/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/pbx/netstring.h>

/* Build with -fsanitize=fuzzer,address,undefined. However a stream is cut into pieces, the same
 * netstrings come out as from the whole of it, each with its length and its comma around it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* What the reader says now, as text. False when that was its last word. */
static bool take(struct netstring_reader *reader, size_t max_bytes, struct buf *said)
{
	enum netstring_kind kind;
	const char *text;
	size_t len;

	while ((kind = netstring_reader_next(reader, max_bytes, &text, &len)) != NETSTRING_NONE) {
		switch (kind) {
		case NETSTRING_NONE:
		case NETSTRING_TOO_LONG:
			buf_add_str(said, "too long;");
			break;
		case NETSTRING_TEXT:
			check(len && len <= max_bytes && text[-1] == ':' && text[len] == ',');
			buf_printf(said, "%zu:", len);
			buf_add(said, text, len);
			break;
		case NETSTRING_BROKEN:
			buf_add_str(said, "broken;");
			return false;
		}
	}
	check(reader->cap <= 16384 || reader->cap <= 2 * max_bytes + 8192);
	return true;
}

static void read_in_pieces(
	const char *text, size_t len, size_t max_bytes, size_t piece, struct buf *said)
{
	struct netstring_reader reader = {0};
	size_t room;

	for (size_t at = 0, n; at < len; at += n) {
		char *space = netstring_reader_space(&reader, &room);
		check(space && room);
		n = len - at < piece ? len - at : piece;
		n = n < room ? n : room;
		memcpy(space, text + at, n);
		netstring_reader_fill(&reader, n);
		if (!take(&reader, max_bytes, said))
			break;
	}
	netstring_reader_free(&reader);
}

/* The first byte is the longest text, the second the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = {0}, pieces = {0};

	if (size < 2)
		return 0;
	read_in_pieces((const char *)data + 2, size - 2, data[0], SIZE_MAX, &whole);
	read_in_pieces(
		(const char *)data + 2, size - 2, data[0], 1 + (size_t)data[1] * data[1], &pieces);
	check(whole.len == pieces.len && !memcmp(buf_str(&whole), buf_str(&pieces), whole.len));
	buf_free(&whole);
	buf_free(&pieces);
	return 0;
}
