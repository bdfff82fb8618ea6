/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <pbxpush/base/scan.h>
#include <pbxpush/core/utf8.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * The length of the character that begins at text, whose first byte is not ASCII. Where it is
 * broken, *bad is set and the length is that of its longest well-begun part (Unicode 3.9, table
 * 3-7), so that one lost byte costs one U+FFFD and not the characters after it.
 */
static size_t utf8_step(const unsigned char *text, size_t len, bool *bad)
{
	unsigned char lead = text[0], low = 0x80, high = 0xbf;
	size_t need, have;

	if (lead >= 0xc2 && lead <= 0xdf) {
		need = 2;
	} else if (lead >= 0xe0 && lead <= 0xef) {
		need = 3;
		low = lead == 0xe0 ? 0xa0 : 0x80;  /* overlong below */
		high = lead == 0xed ? 0x9f : 0xbf; /* surrogates above */
	} else if (lead >= 0xf0 && lead <= 0xf4) {
		need = 4;
		low = lead == 0xf0 ? 0x90 : 0x80;  /* overlong below */
		high = lead == 0xf4 ? 0x8f : 0xbf; /* beyond U+10FFFF above */
	} else {
		*bad = true;
		return 1;
	}
	for (have = 1; have < need; have++) {
		if (have == len || text[have] < low || text[have] > high) {
			*bad = true;
			break;
		}
		low = 0x80;
		high = 0xbf;
	}
	return have;
}

/* The value of the escape \uXXXX at text, or -1 where there is none. */
static int utf8_escape_value(const unsigned char *text, size_t len)
{
	int value = 0;

	if (len < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		unsigned char c = text[i], lower = c | 0x20;
		if (c >= '0' && c <= '9')
			value = value << 4 | (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			value = value << 4 | (lower - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* The same for an escape, whose pair of surrogates is one character. */
static size_t utf8_step_escape(const unsigned char *text, size_t len, bool *bad)
{
	int value = utf8_escape_value(text, len);

	if (value < 0) /* another escape, or a fault that the parser will name */
		return len > 1 && text[1] >= 0x20 && text[1] < 0x80 ? 2 : 1;
	if (value >= 0xd800 && value <= 0xdbff) {
		int low = utf8_escape_value(text + 6, len - 6);
		if (low >= 0xdc00 && low <= 0xdfff)
			return 12;
	}
	*bad = !value || (value >= 0xd800 && value <= 0xdfff);
	return 6;
}

/* The same for any character of a JSON text; follows where strings begin and end. */
static size_t utf8_step_json(const unsigned char *text, size_t len, bool *in_string, bool *bad)
{
	unsigned char c = text[0];

	*bad = false;
	if (c == '"')
		*in_string = !*in_string;
	else if (!*in_string)
		return 1;
	else if (c < 0x20)
		*bad = true;
	else if (c == '\\')
		return utf8_step_escape(text, len, bad);
	else if (c >= 0x80)
		return utf8_step(text, len, bad);
	return 1;
}

bool utf8_json_is_clean(const char *line, size_t len)
{
	const unsigned char *text = (const unsigned char *)line;
	bool in_string = false, bad = false;
	size_t plain = 0;

	/* Nearly every line is printable ASCII without escapes, which nothing can be wrong with. */
	for (; len - plain >= 8; plain += 8) {
		uint64_t word = scan_word(line + plain);

		if (scan_has_below(word, 0x20) || scan_has(word, '\\') || !scan_is_ascii(word))
			break;
	}
	while (plain < len && text[plain] >= 0x20 && text[plain] < 0x80 && text[plain] != '\\')
		plain++;
	if (plain == len)
		return true;
	for (size_t at = 0; at < len && !bad;)
		at += utf8_step_json(text + at, len - at, &in_string, &bad);
	return !bad;
}

void utf8_json_repair(const char *line, size_t len, struct buf *out)
{
	const unsigned char *text = (const unsigned char *)line;
	bool in_string = false, bad;
	size_t span = 0;

	for (size_t at = 0, step; at < len; at += step) {
		step = utf8_step_json(text + at, len - at, &in_string, &bad);
		if (!bad)
			continue;
		buf_add(out, line + span, at - span);
		buf_add_str(out, UTF8_REPLACEMENT);
		span = at + step;
	}
	buf_add(out, line + span, len - span);
}

/* The length of what must not reach a screen, 0 where text begins with something else. */
static size_t utf8_unwanted(const char *text)
{
	const unsigned char *c = (const unsigned char *)text; /* each test ends at the NUL */

	if (c[0] < 0x20 || c[0] == 0x7f)
		return 1;
	if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
		return 2;
	if (c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae)
		return 3;
	if (c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)
		return 3;
	return 0;
}

void utf8_sanitize(const char *text, struct buf *out)
{
	const char *span = text;

	while (*text) {
		size_t unwanted = utf8_unwanted(text);
		if (unwanted) {
			buf_add(out, span, (size_t)(text - span));
			span = text + unwanted;
		}
		text += unwanted ? unwanted : 1;
	}
	buf_add(out, span, (size_t)(text - span));
}

size_t utf8_cut(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}
