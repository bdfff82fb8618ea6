/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_SCAN_H
#define PBXPUSH_BASE_SCAN_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Looks at text eight bytes at a time, for what nearly never comes. The tests for a byte in a word
 * are the well-known ones by borrow (subtract from each byte, see which went below zero): they set
 * the highest bit of the first byte in memory that is wanted, and perhaps of later ones.
 */
#define SCAN_ONES (UINT64_MAX / 255)
#define SCAN_HIGH (SCAN_ONES * 0x80)

static inline uint64_t scan_word(const char *text)
{
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return le64toh(word);
}

/* Not 0 when a byte is below n; n up to 0x80. */
static inline uint64_t scan_has_below(uint64_t word, unsigned n)
{
	return (word - SCAN_ONES * n) & ~word & SCAN_HIGH;
}

/* Not 0 when a byte is c. */
static inline uint64_t scan_has(uint64_t word, unsigned char c)
{
	return scan_has_below(word ^ SCAN_ONES * c, 1);
}

static inline bool scan_is_ascii(uint64_t word)
{
	return !(word & SCAN_HIGH);
}

/* How many of the eight bytes from text on may stand in a JSON string as they are. */
static inline size_t scan_json_word(const char *text)
{
	uint64_t word = scan_word(text);
	uint64_t odd = scan_has_below(word, 0x20) | scan_has(word, '"') | scan_has(word, '\\');

	return odd ? (size_t)__builtin_ctzll(odd) / 8 : 8;
}

/* The same of len bytes. */
static inline size_t scan_json_plain(const char *text, size_t len)
{
	size_t at = 0;

	for (; len - at >= 8; at += 8) {
		size_t plain = scan_json_word(text + at);

		if (plain < 8)
			return at + plain;
	}
	if (at && at < len) /* the last eight: those seen before are plain */
		return len - 8 + scan_json_word(text + len - 8);
	while (at < len && (unsigned char)text[at] >= 0x20 && text[at] != '"' && text[at] != '\\')
		at++;
	return at;
}

#endif
