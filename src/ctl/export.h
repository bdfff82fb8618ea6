/* SPDX-License-Identifier: MIT */
#ifndef CTL_EXPORT_H
#define CTL_EXPORT_H

#include <jansson.h>

#include <pbxpush/ctl/commands.h>

#include "client.h"

/* How long a page of an export may take. */
#define EXPORT_PAGE_MS 10000

/* `export`: every page, each item a line of stdout. */
command_fn export_run;

/* Asks for the page at cursor (NULL: the first) with a deadline of its own. *out: the reply, freed
 * by the caller. Errors as those of event_ask(), and ERR_PROTOCOL for an `ok` that is no page. */
enum err export_ask_page(
	struct client *client, int64_t timeout_ms, const char *cursor, json_t **out);

#endif
