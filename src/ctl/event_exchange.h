/* SPDX-License-Identifier: MIT */
#ifndef CTL_EVENT_EXCHANGE_H
#define CTL_EVENT_EXCHANGE_H

#include <jansson.h>

#include <pbxpush/ctl/commands.h>

#include "client.h"

/*
 * One question at a time: writes a line (with its LF), waits for the reply. text receives the reply
 * as it came, without its LF; *out is an object with a boolean `ok`, freed by the caller. Errors as
 * those of client.h, and ERR_CLOSED, ERR_LIMIT, ERR_PROTOCOL.
 */
enum err event_ask(struct client *client, const struct buf *line, struct buf *text, json_t **out);

/* What a reply that is not `ok` says: `bad-field: from.number: 'from.number' must be a string`. */
void event_refusal(const json_t *reply, char *why, size_t why_size);

/* Sends arguments->event, prints the reply. */
command_fn event_exchange;

#endif
