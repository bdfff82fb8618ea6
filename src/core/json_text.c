/* SPDX-License-Identifier: MIT */
#include "json_text.h"

#include <stdbool.h>
#include <string.h>

struct reader {
	const char *text;
	size_t len, at;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next byte that is no blank, '\0' at the end. */
static char peek(struct reader *reader)
{
	while (reader->at < reader->len && is_blank(reader->text[reader->at]))
		reader->at++;
	return reader->at < reader->len ? reader->text[reader->at] : '\0';
}

/* Passes over the string that begins here, quotes included. */
static void skip_string(struct reader *reader)
{
	for (reader->at++; reader->at < reader->len && reader->text[reader->at] != '"';)
		reader->at += reader->text[reader->at] == '\\' ? 2 : 1;
	reader->at++;
	if (reader->at > reader->len)
		reader->at = reader->len;
}

/* Passes over a value, up to the comma or bracket behind it, and appends it where out is given. */
static void read_value(struct reader *reader, struct buf *out)
{
	size_t depth = 0, start;
	char c;

	while ((c = peek(reader)) && (depth || !strchr(",]}", c))) {
		start = reader->at;
		if (c == '"')
			skip_string(reader);
		else
			reader->at++;
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		if (out)
			buf_add(out, reader->text + start, reader->at - start);
	}
}

void json_text_member(const char *text, size_t len, const char *name, struct buf *out)
{
	struct reader reader = {.text = text, .len = len};
	size_t begin = out->len;

	if (peek(&reader) != '{')
		return;
	reader.at++;
	while (peek(&reader) == '"') {
		size_t key = reader.at + 1, key_len;
		bool found;

		skip_string(&reader);
		key_len = reader.at - key - 1;
		found = key_len == strlen(name) && !memcmp(text + key, name, key_len);
		if (peek(&reader) != ':')
			return;
		reader.at++;
		if (found)
			out->len = begin;
		read_value(&reader, found ? out : NULL);
		if (peek(&reader) == ',')
			reader.at++;
	}
}
