/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_JSON_READER_H
#define PBXPUSH_CORE_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads JSON (RFC 8259) where it stands, strictly and without building a tree: the way of an event
 * from its line to its reply costs about 10 us, and a tree of it alone took 4 more. Whatever else
 * is JSON here goes through jansson.
 *
 * The text is valid UTF-8 (utf8_json_repair()) and lives in memory that may be changed: a string is
 * decoded in place, which never makes it longer, and a NUL is set behind a value once it is wanted.
 */
enum json_kind {
	KIND_NONE, /* no value */
	KIND_NULL,
	KIND_FALSE,
	KIND_TRUE,
	KIND_NUMBER,
	KIND_STRING,
	KIND_ARRAY,
	KIND_OBJECT,
};

/* A value as it stands in the text, quotes and brackets included. */
struct json_value {
	enum json_kind kind;
	bool escaped; /* a string with escapes */
	char *text;
	size_t len;
};

struct json_reader {
	char *at;
	const char *begin, *end;
	const char *fault; /* NULL, or what is wrong at `at` */
	bool first;        /* no member or item of what was entered last has been read */
};

/* text[0..len) is borrowed for as long as the values are in use. */
void json_reader_init(struct json_reader *reader, char *text, size_t len);

/* Reads the next value whole. False: a fault. */
bool json_reader_value(struct json_reader *reader, struct json_value *out);

/* Steps into the object or array that comes next. False: something else comes, or a fault. */
bool json_reader_enter(struct json_reader *reader, enum json_kind kind);

/* The name of the next member, whose value is to be read (or entered and read to its end) before
 * the next call. False: the object has ended, or a fault. */
bool json_reader_member(struct json_reader *reader, struct json_value *name);

/* The next item of an array, read whole. False: the array has ended, or a fault. */
bool json_reader_item(struct json_reader *reader, struct json_value *item);

/* True when nothing but blanks is left; else, and after any other fault, false. */
bool json_reader_at_end(struct json_reader *reader);

/* What the functions below return is a part of the text. Call them once a value, after everything
 * behind the value was read. */

/* Decodes a string; *len (may be NULL) is that of the result. */
char *json_value_string(struct json_value *value, size_t *len);

/* The value as it stood, without the blanks between its tokens. */
char *json_value_compact(struct json_value *value);

#endif
