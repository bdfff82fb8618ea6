/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include <pbxpush/core/utf8.h>
#include <pbxpush/ctl/print.h>

#define COLUMNS_MAX 24
#define NESTING_MAX 4
/* Unix times in ms are above this since 2001; no duration we show is. */
#define UNIX_MS_MIN 1000000000000

void print_coloured(struct buf *out, bool colour, const char *sgr, const char *word)
{
	if (colour)
		buf_printf(out, "\033[%sm%s\033[0m", sgr, word);
	else
		buf_add_str(out, word);
}

static bool has_suffix(const char *key, const char *suffix)
{
	size_t len = strlen(key), suffix_len = strlen(suffix);

	return len >= suffix_len && !strcmp(key + len - suffix_len, suffix);
}

static void print_time(struct buf *out, int64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	char text[32];
	struct tm tm;

	if (localtime_r(&seconds, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		buf_printf(out, "%s.%03d", text, (int)(unix_ms % 1000));
	else
		buf_add_int(out, unix_ms);
}

static void print_seconds(struct buf *out, int64_t s)
{
	if (s < 60)
		buf_printf(out, "%" PRId64 " s", s);
	else if (s < 3600)
		buf_printf(out, "%" PRId64 " min %02" PRId64 " s", s / 60, s % 60);
	else if (s < 86400)
		buf_printf(out, "%" PRId64 " h %02" PRId64 " min", s / 3600, s / 60 % 60);
	else
		buf_printf(out, "%" PRId64 " d %02" PRId64 " h", s / 86400, s / 3600 % 24);
}

/* Moments and answers of which the daemon says 0 when there was none. */
static bool is_absent(const char *key, int64_t value)
{
	return !value && (has_suffix(key, "until_ms") || has_suffix(key, "ended_ms") ||
				 !strcmp(key, "status"));
}

/* What an integer means is in its key's unit. */
static void print_integer(struct buf *out, const char *key, int64_t value)
{
	bool is_ms = has_suffix(key, "_ms") || !strcmp(key, "ms");

	if (is_absent(key, value))
		buf_add_char(out, '-');
	else if (is_ms && value >= UNIX_MS_MIN)
		print_time(out, value);
	else if (is_ms)
		buf_printf(out, "%" PRId64 " ms", value);
	else if (has_suffix(key, "_s") && value >= 0)
		print_seconds(out, value);
	else
		buf_add_int(out, value);
}

void print_value(struct buf *out, const char *key, const json_t *value)
{
	char *text;

	/* jansson's json_is_*() test for NULL: that does not mean there could be one here */
	/* cppcheck-suppress [nullPointerRedundantCheck, ctunullpointer] */
	switch (json_typeof(value)) {
	case JSON_STRING:
		if (json_string_length(value))
			utf8_sanitize(json_string_value(value), out);
		else
			buf_add_char(out, '-');
		break;
	case JSON_INTEGER:
		print_integer(out, key, json_integer_value(value));
		break;
	case JSON_REAL:
		buf_printf(out, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
		buf_add_str(out, "yes");
		break;
	case JSON_FALSE:
		buf_add_str(out, "no");
		break;
	case JSON_NULL:
		buf_add_char(out, '-');
		break;
	case JSON_OBJECT:
	case JSON_ARRAY:
		text = json_dumps(value, JSON_COMPACT);
		if (text)
			utf8_sanitize(text, out);
		free(text);
		break;
	}
}

void print_label(struct buf *out, const char *key)
{
	size_t len = strlen(key);

	if (has_suffix(key, "_ms"))
		len -= 3;
	else if (has_suffix(key, "_s"))
		len -= 2;
	for (size_t i = 0; i < len; i++) {
		/* keys are ours, but a body that is not from pbxpushd may hold any */
		char c = key[i];

		buf_add_char(out, c == '_' ? ' ' : (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
	}
}

/* Characters, not bytes: what a terminal shows side by side. */
static size_t width_of(const struct buf *text)
{
	size_t width = 0;

	for (size_t i = 0; i < text->len; i++)
		width += (text->data[i] & 0xc0) != 0x80;
	return width;
}

static void pad(struct buf *out, size_t from, size_t to)
{
	for (; from < to; from++)
		buf_add_char(out, ' ');
}

/* ---- tables ---- */

struct column {
	const char *key;
	size_t width;
	bool used; /* some row has a value */
};

struct table {
	struct column columns[COLUMNS_MAX]; /* a row with more keeps them for --json */
	size_t count;
};

static struct column *column_of(struct table *table, const char *key)
{
	for (size_t i = 0; i < table->count; i++) {
		if (!strcmp(table->columns[i].key, key))
			return &table->columns[i];
	}
	if (table->count == COLUMNS_MAX)
		return NULL;
	table->columns[table->count] = (struct column){.key = key};
	return &table->columns[table->count++];
}

static bool is_nothing(const json_t *value)
{
	return !value || json_is_null(value) ||
	       (json_is_string(value) && !json_string_length(value)) ||
	       (json_is_array(value) && !json_array_size(value));
}

static void measure(struct table *table, const json_t *row)
{
	struct buf cell = {0};
	const char *key;
	json_t *value;

	/* jansson's iterators want a pointer to non-const and change nothing */
	json_object_foreach((json_t *)row, key, value)
	{
		struct column *column = column_of(table, key);
		size_t width;

		if (!column)
			continue;
		buf_reset(&cell);
		print_value(&cell, key, value);
		width = width_of(&cell);
		if (width > column->width)
			column->width = width;
		if (!is_nothing(value))
			column->used = true;
	}
	buf_free(&cell);
}

static void end_line(struct buf *out)
{
	while (!out->failed && out->len && out->data[out->len - 1] == ' ')
		out->len--;
	buf_add_char(out, '\n');
}

static void print_header(struct buf *out, struct table *table)
{
	struct buf cell = {0};

	for (size_t i = 0; i < table->count; i++) {
		struct column *column = &table->columns[i];

		if (!column->used)
			continue;
		buf_reset(&cell);
		print_label(&cell, column->key);
		if (column->width < cell.len)
			column->width = cell.len;
		buf_add(out, buf_str(&cell), cell.len);
		pad(out, cell.len, column->width + 2);
	}
	end_line(out);
	buf_free(&cell);
}

static void print_row(struct buf *out, const struct table *table, const json_t *row)
{
	struct buf cell = {0};

	for (size_t i = 0; i < table->count; i++) {
		const struct column *column = &table->columns[i];
		const json_t *value = json_object_get(row, column->key);

		if (!column->used)
			continue;
		buf_reset(&cell);
		if (value)
			print_value(&cell, column->key, value);
		else
			buf_add_char(&cell, '-');
		buf_add(out, buf_str(&cell), cell.len);
		pad(out, width_of(&cell), column->width + 2);
	}
	end_line(out);
	buf_free(&cell);
}

void print_table(struct buf *out, const json_t *rows)
{
	struct table table = {0};
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) measure(&table, row);
	print_header(out, &table);
	json_array_foreach(rows, i, row) print_row(out, &table, row);
}

/* ---- objects ---- */

static bool is_table(const json_t *value)
{
	return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

/* Calls for each scalar (or list) below an object, with its dotted key. */
static void each_line(const json_t *object, const char *prefix, int depth,
	void (*fn)(void *arg, const char *key, const json_t *value), void *arg)
{
	struct buf full = {0};
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		buf_reset(&full);
		buf_printf(&full, "%s%s%s", prefix, *prefix ? " " : "", key);
		if (json_is_object(value) && depth < NESTING_MAX)
			each_line(value, buf_str(&full), depth + 1, fn, arg);
		else
			fn(arg, buf_str(&full), value);
	}
	buf_free(&full);
}

struct lines {
	struct buf *out;
	struct buf scratch;
	size_t key_width;
};

static void measure_line(void *arg, const char *key, const json_t *value)
{
	struct lines *lines = arg;

	if (is_table(value))
		return;
	buf_reset(&lines->scratch);
	print_label(&lines->scratch, key);
	if (lines->scratch.len > lines->key_width)
		lines->key_width = lines->scratch.len;
}

static void print_list(struct buf *out, const char *key, const json_t *list)
{
	size_t i;
	json_t *value;

	if (!json_array_size(list))
		buf_add_char(out, '-');
	json_array_foreach(list, i, value)
	{
		if (i)
			buf_add_str(out, ", ");
		print_value(out, key, value);
	}
}

static void print_line(void *arg, const char *key, const json_t *value)
{
	struct lines *lines = arg;

	if (is_table(value))
		return;
	buf_reset(&lines->scratch);
	print_label(&lines->scratch, key);
	buf_add(lines->out, buf_str(&lines->scratch), lines->scratch.len);
	pad(lines->out, lines->scratch.len, lines->key_width + 2);
	if (json_is_array(value))
		print_list(lines->out, key, value);
	else
		print_value(lines->out, key, value);
	end_line(lines->out);
}

static void print_table_of(void *arg, const char *key, const json_t *value)
{
	struct lines *lines = arg;

	if (!is_table(value))
		return;
	if (lines->out->len)
		buf_add_char(lines->out, '\n');
	print_label(lines->out, key);
	buf_add_str(lines->out, ":\n");
	print_table(lines->out, value);
}

void print_members(struct buf *out, const json_t *object)
{
	struct lines lines = {.out = out};

	each_line(object, "", 0, measure_line, &lines);
	each_line(object, "", 0, print_line, &lines);
	each_line(object, "", 0, print_table_of, &lines); /* tables last: they are wide */
	buf_free(&lines.scratch);
}
