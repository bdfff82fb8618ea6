/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/utf8.h>
#include <pbxpush/ctl/arguments.h>
#include <pbxpush/ctl/print.h>

#include "event_exchange.h"

/* A reply is as long as a user's devices and lists make it; this is far beyond. */
#define REPLY_MAX_BYTES ((size_t)16 << 20)

/* Reads until text holds a line, and cuts it there. */
static enum err read_line(struct client *client, struct buf *text)
{
	const char *lf = NULL;
	bool end = false;
	enum err err = ERR_OK;

	while (!err && !lf && !end) {
		size_t before = text->len;

		err = client_read(client, text, &end);
		if (text->len > before)
			lf = memchr(text->data + before, '\n', text->len - before);
		if (!err && !lf && text->len > REPLY_MAX_BYTES)
			err = ERR_LIMIT;
	}
	if (!err && !lf)
		err = ERR_CLOSED;
	if (!err) {
		text->len = (size_t)(lf - text->data);
		text->data[text->len] = '\0';
	}
	return err;
}

static json_t *parse_reply(const struct buf *text)
{
	json_t *reply = json_loadb(text->data, text->len, 0, NULL);

	if (json_is_boolean(json_object_get(reply, "ok")))
		return reply;
	json_decref(reply);
	return NULL;
}

enum err event_ask(struct client *client, const struct buf *line, struct buf *text, json_t **out)
{
	enum err err;

	/* A daemon that is full says so and closes without reading: then the write fails and the
	 * answer is there all the same. Without an answer the read fails, too. */
	client_write(client, line->data, line->len);
	err = read_line(client, text);
	if (err)
		return err;
	*out = parse_reply(text);
	return *out ? ERR_OK : ERR_PROTOCOL;
}

void event_refusal(const json_t *reply, char *why, size_t why_size)
{
	const char *error = json_string_value(json_object_get(reply, "error"));
	const char *field = json_string_value(json_object_get(reply, "field"));
	const char *message = json_string_value(json_object_get(reply, "message"));

	snprintf(why, why_size, "%s%s%s%s%s", error ? error : "refused", field ? ": " : "",
		field ? field : "", message ? ": " : "", message ? message : "");
}

enum exit_code event_exchange(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	const struct event_command *event = &arguments->event;
	int64_t timeout_ms = arguments->timeout_ms;
	struct client client = {.fd = -1};
	struct buf line = {0}, text = {0};
	enum exit_code code = EXIT_UNAVAILABLE;
	json_t *reply = NULL;
	enum err err;

	if (!timeout_ms)
		timeout_ms = event_command_timeout_ms(event);
	err = event_command_write(event, &line);
	if (!err)
		err = client_connect(arguments->events_path, timeout_ms, &client);
	if (!err)
		err = event_ask(&client, &line, &text, &reply);
	if (err) {
		client_explain(arguments->events_path, err, why, why_size);
		goto out;
	}
	code = print_reply_exit_code(reply);
	if (code == EXIT_REFUSED)
		event_refusal(reply, why, why_size);
	if (arguments->json) {
		buf_add(out, text.data, text.len);
		buf_add_char(out, '\n');
	} else if (code != EXIT_REFUSED) {
		print_reply(out, event->type, reply, arguments->colour);
	}
out:
	json_decref(reply);
	client_close(&client);
	buf_free(&line);
	buf_free(&text);
	return code;
}
