/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CTL_PRINT_H
#define PBXPUSH_CTL_PRINT_H

#include <stdbool.h>

#include <jansson.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/core/event.h>
#include <pbxpush/ctl/exit_code.h>

/*
 * JSON for people. What the daemon shows grows with its versions, so all members are shown, known
 * or not; keys say the unit (`_ms`, `_s`, Unix ms above 10^12). Strings come from strangers:
 * control and bidirectional characters are left out, so that a Call-ID cannot write on the
 * operator's terminal.
 */

/* One scalar as a person writes it: "12.5 s", "yes", "-" for null. Nested values as JSON. */
void print_value(struct buf *out, const char *key, const json_t *value);

/* `token_age_s` as `token age`: the value says the unit. */
void print_label(struct buf *out, const char *key);

/* The members of an object as aligned lines; objects within are flattened, arrays of objects are
 * tables. */
void print_members(struct buf *out, const json_t *object);

/* An array of objects, a line each, under the union of their keys. Columns without any value are
 * left out. */
void print_table(struct buf *out, const json_t *rows);

/* The reply to an event, in a sentence and the details. */
void print_reply(struct buf *out, enum event_type type, const json_t *reply, bool colour);

/* What the reply means for the caller of the program. */
enum exit_code print_reply_exit_code(const json_t *reply);

/* `/calls/ID` as the story of the call. */
void print_timeline(struct buf *out, const json_t *story, bool colour);

/* word in colour (an SGR number like "32") if colour. */
void print_coloured(struct buf *out, bool colour, const char *sgr, const char *word);

#endif
