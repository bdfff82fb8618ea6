/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/json_reader.h>

#include <stdint.h>
#include <string.h>

#include <pbxpush/base/scan.h>

#define JSON_MAX_DEPTH 512 /* of brackets; the stack is ours, the line is not */

void json_reader_init(struct json_reader *reader, char *text, size_t len)
{
	*reader = (struct json_reader){.at = text, .begin = text, .end = text + len};
}

static bool fault(struct json_reader *reader, const char *what)
{
	if (!reader->fault)
		reader->fault = what;
	return false;
}

/* The next byte that is no blank, '\0' at the end (and for a NUL, which begins no token). */
static char peek(struct json_reader *reader)
{
	while (reader->at < reader->end) {
		char c = *reader->at;

		if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
			return c;
		reader->at++;
	}
	return '\0';
}

/* Passes over the byte if it comes next. */
static bool take(struct json_reader *reader, char c)
{
	if (peek(reader) != c || reader->at == reader->end)
		return false;
	reader->at++;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of the four digits of \uXXXX at text; -1 where there are none before end. */
static int hex4(const char *text, const char *end)
{
	int value = 0;

	if (end - text < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(text[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* Passes over the escape that begins at `at`. */
static bool read_escape(struct json_reader *reader)
{
	const char *next = reader->at + 1;

	if (next == reader->end)
		return fault(reader, "unfinished string");
	if (*next == 'u' && hex4(next + 1, reader->end) >= 0)
		reader->at += 6;
	else if (*next && strchr("\"\\/bfnrt", *next))
		reader->at += 2;
	else
		return fault(reader, "invalid escape");
	return true;
}

static bool read_string(struct json_reader *reader, struct json_value *out)
{
	char *at = reader->at + 1;

	out->kind = KIND_STRING;
	for (;;) {
		at += scan_json_plain(at, (size_t)(reader->end - at));
		reader->at = at;
		if (at == reader->end)
			return fault(reader, "unfinished string");
		if (*at == '"')
			break;
		if (*at != '\\')
			return fault(reader, "control character in a string");
		out->escaped = true;
		if (!read_escape(reader))
			return false;
		at = reader->at;
	}
	reader->at++;
	return true;
}

static size_t read_digits(struct json_reader *reader)
{
	char *begin = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return (size_t)(reader->at - begin);
}

static bool at_byte(const struct json_reader *reader, char c)
{
	return reader->at < reader->end && *reader->at == c;
}

static bool read_number(struct json_reader *reader)
{
	reader->at += *reader->at == '-';
	if (at_byte(reader, '0'))
		reader->at++; /* no digit may follow: the caller finds it where a comma belongs */
	else if (!read_digits(reader))
		return fault(reader, "invalid number");
	if (at_byte(reader, '.')) {
		reader->at++;
		if (!read_digits(reader))
			return fault(reader, "invalid number");
	}
	if (at_byte(reader, 'e') || at_byte(reader, 'E')) {
		reader->at++;
		if (at_byte(reader, '+') || at_byte(reader, '-'))
			reader->at++;
		if (!read_digits(reader))
			return fault(reader, "invalid number");
	}
	return true;
}

static bool read_word(struct json_reader *reader, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0)
		return fault(reader, "invalid token");
	reader->at += len;
	return true;
}

/* Passes over the comma before a member or item, or over the bracket behind the last: false. */
static bool next(struct json_reader *reader, char bracket)
{
	bool first = reader->first;

	reader->first = false;
	if (reader->fault || take(reader, bracket))
		return false;
	if (first || take(reader, ','))
		return true;
	return fault(reader, bracket == '}' ? "',' or '}' is missing" : "',' or ']' is missing");
}

static bool read_value(struct json_reader *reader, struct json_value *out, int depth);

/* Passes over what stands in brackets. */
static bool read_inside(struct json_reader *reader, enum json_kind kind, int depth)
{
	struct json_value value;

	if (depth == JSON_MAX_DEPTH)
		return fault(reader, "too deeply nested");
	if (!json_reader_enter(reader, kind))
		return false;
	if (kind == KIND_ARRAY) {
		while (next(reader, ']')) {
			if (!read_value(reader, &value, depth + 1))
				return false;
		}
	} else {
		while (json_reader_member(reader, &value)) {
			if (!read_value(reader, &value, depth + 1))
				return false;
		}
	}
	return !reader->fault;
}

static bool read_value(struct json_reader *reader, struct json_value *out, int depth)
{
	char c = peek(reader);
	bool good;

	*out = (struct json_value){.text = reader->at};
	switch (c) {
	case '"':
		good = read_string(reader, out);
		break;
	case '{':
	case '[':
		out->kind = c == '{' ? KIND_OBJECT : KIND_ARRAY;
		good = read_inside(reader, out->kind, depth);
		break;
	case 't':
		out->kind = KIND_TRUE;
		good = read_word(reader, "true");
		break;
	case 'f':
		out->kind = KIND_FALSE;
		good = read_word(reader, "false");
		break;
	case 'n':
		out->kind = KIND_NULL;
		good = read_word(reader, "null");
		break;
	default:
		if (c != '-' && (c < '0' || c > '9'))
			return fault(reader, reader->at == reader->end ? "unfinished line"
								       : "a value is missing");
		out->kind = KIND_NUMBER;
		good = read_number(reader);
	}
	out->len = (size_t)(reader->at - out->text);
	return good;
}

bool json_reader_value(struct json_reader *reader, struct json_value *out)
{
	return read_value(reader, out, 0);
}

bool json_reader_enter(struct json_reader *reader, enum json_kind kind)
{
	if (reader->fault || !take(reader, kind == KIND_OBJECT ? '{' : '['))
		return false;
	reader->first = true;
	return true;
}

bool json_reader_member(struct json_reader *reader, struct json_value *name)
{
	if (!next(reader, '}'))
		return false;
	if (peek(reader) != '"')
		return fault(reader, "a name in quotes is missing");
	*name = (struct json_value){.text = reader->at};
	if (!read_string(reader, name))
		return false;
	name->len = (size_t)(reader->at - name->text);
	return take(reader, ':') || fault(reader, "':' is missing");
}

bool json_reader_item(struct json_reader *reader, struct json_value *item)
{
	return next(reader, ']') && json_reader_value(reader, item);
}

bool json_reader_at_end(struct json_reader *reader)
{
	peek(reader);
	if (reader->fault)
		return false;
	return reader->at == reader->end || fault(reader, "the line goes on behind its end");
}

/* Writes a character as UTF-8. */
static char *put_character(char *out, unsigned value)
{
	if (value < 0x80) {
		*out++ = (char)value;
		return out;
	}
	if (value < 0x800) {
		*out++ = (char)(0xc0 | value >> 6);
	} else {
		if (value < 0x10000) {
			*out++ = (char)(0xe0 | value >> 12);
		} else {
			*out++ = (char)(0xf0 | value >> 18);
			*out++ = (char)(0x80 | (value >> 12 & 0x3f));
		}
		*out++ = (char)(0x80 | (value >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (value & 0x3f));
	return out;
}

/* Decodes the escape at *in, which is a whole one, and passes over it. */
static char *put_escape(char *out, const char **in, const char *end)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *letter, *text = *in;
	unsigned value;

	if (text[1] != 'u') {
		letter = strchr(from, text[1]);
		*out = letter ? to[letter - from] : text[1];
		*in += 2;
		return out + 1;
	}
	value = (unsigned)hex4(text + 2, end);
	*in += 6;
	/* surrogates come in pairs: utf8_json_repair() saw to that (RFC 8259 7) */
	if (value >= 0xd800 && value <= 0xdbff && end - *in >= 6) {
		value = 0x10000 + ((value - 0xd800) << 10) +
			((unsigned)hex4(*in + 2, end) - 0xdc00);
		*in += 6;
	}
	return put_character(out, value);
}

char *json_value_string(struct json_value *value, size_t *len)
{
	char *begin = value->text + 1, *out = begin;
	const char *in = begin, *end = value->text + value->len - 1;

	if (!value->escaped)
		out = value->text + value->len - 1;
	else
		while (in < end) {
			if (*in == '\\')
				out = put_escape(out, &in, end);
			else
				*out++ = *in++;
		}
	*out = '\0';
	if (len)
		*len = (size_t)(out - begin);
	return begin;
}

char *json_value_compact(struct json_value *value)
{
	const char *in = value->text, *end = in + value->len;
	char *out = value->text;
	bool in_string = false;

	for (; in < end; in++) {
		if (*in == '"')
			in_string = !in_string;
		if (in_string && *in == '\\')
			*out++ = *in++;
		else if (!in_string && strchr(" \t\r\n", *in))
			continue;
		*out++ = *in;
	}
	*out = '\0'; /* the byte behind a value was a blank, a comma or a bracket, read already */
	return value->text;
}
