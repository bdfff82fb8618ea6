/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/ctl/arguments.h>

#include "event_exchange.h"
#include "export.h"
#include "progress.h"

static bool is_page(const json_t *reply)
{
	const json_t *cursor = json_object_get(reply, "cursor");

	return !json_is_true(json_object_get(reply, "ok")) ||
	       (json_is_array(json_object_get(reply, "items")) &&
		       (json_is_null(cursor) || json_is_string(cursor)));
}

enum err export_ask_page(
	struct client *client, int64_t timeout_ms, const char *cursor, json_t **out)
{
	struct buf line = {0}, text = {0};
	json_t *reply = NULL;
	enum err err = ERR_NOMEM;

	client->deadline_us = clock_mono_us() + timeout_ms * 1000;
	buf_add_str(&line, "{\"event\":\"export\",\"cursor\":");
	buf_add_json(&line, cursor);
	buf_add_str(&line, "}\n");
	if (!line.failed)
		err = event_ask(client, &line, &text, &reply);
	if (!err && !is_page(reply))
		err = ERR_PROTOCOL;
	if (err)
		json_decref(reply);
	else
		*out = reply;
	buf_free(&line);
	buf_free(&text);
	return err;
}

/* ERR_IO with errno where stdout does not take them. */
static enum err write_items(const json_t *items)
{
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		char *text = json_dumps(item, JSON_COMPACT);
		bool written;

		if (!text)
			return ERR_NOMEM;
		written = puts(text) != EOF;
		free(text);
		if (!written)
			return ERR_IO;
	}
	return fflush(stdout) ? ERR_IO : ERR_OK;
}

struct exporter {
	struct client client;
	struct progress progress;
	const char *troubled; /* what an error is about, for people */
	json_t *page;
	size_t done;
};

static enum err turn_page(struct exporter *exporter, int64_t timeout_ms)
{
	const char *cursor = json_string_value(json_object_get(exporter->page, "cursor"));
	json_t *page = NULL;
	enum err err = export_ask_page(&exporter->client, timeout_ms, cursor, &page);

	if (err)
		return err;
	json_decref(exporter->page);
	exporter->page = page;
	if (!json_is_true(json_object_get(page, "ok")))
		return ERR_OK;
	exporter->done += json_array_size(json_object_get(page, "items"));
	err = write_items(json_object_get(page, "items"));
	if (err)
		exporter->troubled = "stdout";
	else
		progress_show(&exporter->progress, exporter->done);
	return err;
}

enum exit_code export_run(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	int64_t timeout_ms = arguments->timeout_ms ? arguments->timeout_ms : EXPORT_PAGE_MS;
	struct exporter exporter = {.client.fd = -1, .troubled = arguments->events_path};
	enum exit_code code = EXIT_GO_ON;
	enum err err;

	(void)out;
	progress_begin(&exporter.progress, "exported", 0, isatty(STDOUT_FILENO));
	err = client_connect(arguments->events_path, timeout_ms, &exporter.client);
	do {
		if (!err)
			err = turn_page(&exporter, timeout_ms);
	} while (!err && json_is_string(json_object_get(exporter.page, "cursor")));
	if (err)
		client_explain(exporter.troubled, err, why, why_size);
	progress_clear(&exporter.progress);
	if (err) {
		code = EXIT_UNAVAILABLE;
	} else if (!json_is_true(json_object_get(exporter.page, "ok"))) {
		event_refusal(exporter.page, why, why_size);
		code = EXIT_REFUSED;
	}
	json_decref(exporter.page);
	client_close(&exporter.client);
	return code;
}
