/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CTL_EVENT_COMMAND_H
#define PBXPUSH_CTL_EVENT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>
#include <pbxpush/core/event.h>

/*
 * Each event of core/event.h is a subcommand and each of its fields an option: the name with `_`
 * and `.` turned into dashes (`from.number` is --from-number). Nothing here knows a single event
 * by heart but where the contract makes an exception. Ranges are the daemon's to judge, which may
 * be newer.
 */

/* Room for an option's name without its dashes, with its NUL. */
#define EVENT_OPTION_SIZE 32

/* The most values of a repeated option: CONTRACT 2.1 allows 32 contacts. */
#define EVENT_COMMAND_LIST_MAX 32

/* An event as the command line gave it. Values are borrowed from argv. */
struct event_command {
	enum event_type type;
	const char *values[FIELD_COUNT];          /* NULL: absent */
	const char *list[EVENT_COMMAND_LIST_MAX]; /* of the one field that is an array of strings */
	size_t list_count;
};

/* The field's option, e.g. "from-number". */
void event_option_name(enum event_field field, char out[EVENT_OPTION_SIZE]);

/* True when the event has an option for the field: not for a parent of dotted fields. */
bool event_takes_option(enum event_type type, enum event_field field);

/* True when the option cannot be left out: a caller (unknown) and windows (none) can. */
bool event_requires_option(enum event_type type, enum event_field field);

/* The field that an option (without its dashes) means in this event; FIELD_COUNT where none. */
enum event_field event_option_field(enum event_type type, const char *option);

/* The field that a lone argument means: `show 1001`, `end CALL`. FIELD_COUNT where it could be
 * two. */
enum event_field event_argument_field(enum event_type type);

/* Takes a value. On ERR_INVAL why says what is wrong with it (given twice, no integer, no JSON). */
enum err event_command_set(struct event_command *command, enum event_field field, const char *value,
	char *why, size_t why_size);

/* ERR_INVAL with why where a field is missing without which the event makes no sense. */
enum err event_command_check(const struct event_command *command, char *why, size_t why_size);

/*
 * Appends the event as one JSON line with its LF. Bytes that are not UTF-8 become U+FFFD, as they
 * would in the daemon. ERR_NOMEM is the only failure.
 */
enum err event_command_write(const struct event_command *command, struct buf *out);

/* How long the reply may take, in ms: for `call` its own wait and some, else ten seconds. */
int64_t event_command_timeout_ms(const struct event_command *command);

#endif
