/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/pbx/event_batch.h>

#define BATCH_BROKEN "the body begins like an array and is none"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blanks(const char *text, size_t at, size_t end)
{
	while (at < end && is_blank(text[at]))
		at++;
	return at;
}

/* Behind the JSON value that begins at `start`; `start` itself where there is none, or one without
 * its end. */
static size_t value_end(const char *text, size_t start, size_t end)
{
	bool quoted = false;
	size_t depth = 0;

	for (size_t at = start; at < end; at++) {
		char c = text[at];

		if (quoted && c == '\\') {
			at++;
		} else if (c == '"') {
			quoted = !quoted;
			if (!quoted && !depth)
				return at + 1;
		} else if (quoted) {
			continue;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (!depth)
				return at;
			if (!--depth)
				return at + 1;
		} else if (!depth && (c == ',' || is_blank(c))) {
			return at;
		}
	}
	return quoted || depth ? start : end;
}

static enum err add(struct event_batch *batch, const char *text, size_t len, size_t max)
{
	struct batch_event *events = batch->events;

	if (batch->count == max)
		return ERR_LIMIT;
	if (!(batch->count & (batch->count - 1))) { /* full at each power of two */
		size_t room = batch->count ? 2 * batch->count : 1;

		events = realloc(events, room * sizeof(*events));
		if (!events)
			return ERR_NOMEM;
		batch->events = events;
	}
	events[batch->count++] = (struct batch_event){text, len};
	return ERR_OK;
}

/* text[at..end) begins with the bracket and ends with the last byte that is not blank. */
static enum err split_array(
	const char *text, size_t at, size_t end, size_t max, struct event_batch *batch)
{
	enum err err = ERR_OK;

	batch->kind = BATCH_ARRAY;
	at = skip_blanks(text, at + 1, end);
	if (at + 1 == end && text[at] == ']')
		return ERR_OK;
	for (;;) {
		size_t behind = value_end(text, at, end);

		if (behind == at) /* nothing between two commas, or no end */
			return ERR_INVAL;
		err = add(batch, text + at, behind - at, max);
		at = skip_blanks(text, behind, end);
		if (err || at == end)
			return err ? err : ERR_INVAL;
		if (text[at] == ']')
			return at + 1 == end ? ERR_OK : ERR_INVAL;
		if (text[at] != ',')
			return ERR_INVAL;
		at = skip_blanks(text, at + 1, end);
	}
}

static enum err split_lines(
	const char *text, size_t at, size_t end, size_t max, struct event_batch *batch)
{
	enum err err = ERR_OK;

	batch->kind = BATCH_LINES;
	while (!err && at < end) {
		const char *feed = memchr(text + at, '\n', end - at);
		size_t next = feed ? (size_t)(feed - text) : end, behind = next;

		while (is_blank(text[behind - 1])) /* the line itself is not blank: it stops */
			behind--;
		err = add(batch, text + at, behind - at, max);
		at = skip_blanks(text, next, end);
	}
	return err;
}

enum err event_batch_split(
	const char *body, size_t len, size_t max, struct event_batch *out, const char **why)
{
	struct event_batch batch = {.kind = BATCH_SINGLE};
	size_t at = skip_blanks(body, 0, len), end = len;
	enum err err = ERR_INVAL;

	while (end > at && is_blank(body[end - 1]))
		end--;
	*why = "the body is empty";
	if (at == end)
		return err;
	*why = BATCH_BROKEN;
	if (body[at] == '[')
		err = split_array(body, at, end, max, &batch);
	else if (!memchr(body + at, '\n', end - at) ||
		 (body[at] == '{' && value_end(body, at, end) == end))
		err = add(&batch, body + at, end - at, max);
	else
		err = split_lines(body, at, end, max, &batch);
	if (err)
		event_batch_free(&batch);
	else
		*out = batch;
	return err;
}

void event_batch_free(struct event_batch *batch)
{
	free(batch->events);
	*batch = (struct event_batch){0};
}

void event_batch_join(
	enum batch_kind kind, const struct batch_reply *replies, size_t count, struct buf *out)
{
	if (kind == BATCH_ARRAY)
		buf_add_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i && kind == BATCH_ARRAY)
			buf_add_char(out, ',');
		buf_add(out, replies[i].text, replies[i].len);
		if (kind == BATCH_LINES)
			buf_add_char(out, '\n');
	}
	buf_add_str(out, kind == BATCH_ARRAY ? "]\n" : kind == BATCH_SINGLE ? "\n" : "");
}
