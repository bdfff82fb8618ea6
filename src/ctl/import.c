/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <pbxpush/core/event.h>
#include <pbxpush/core/schedule.h>
#include <pbxpush/core/utf8.h>
#include <pbxpush/ctl/arguments.h>

#include "event_exchange.h"
#include "export.h"
#include "import.h"
#include "import_send.h"

/* A million users with their lists are some 500 MB; it is all in memory, twice. */
#define FILE_MAX_BYTES ((size_t)1 << 30)
/* [events] max-line as it comes: the answer to a longer line would not say which line it was. */
#define LINE_MAX_BYTES 65536
/* The first events of a large directory may meet a disk that is busy. */
#define SILENCE_MS     35000

/* ERR_IO with errno, ERR_LIMIT, ERR_NOMEM. */
static enum err read_all(int fd, struct buf *in)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk)))) {
		if (n < 0 && errno != EINTR)
			return ERR_IO;
		if (n > 0)
			buf_add(in, chunk, (size_t)n);
		if (in->failed)
			return ERR_NOMEM;
		if (in->len > FILE_MAX_BYTES)
			return ERR_LIMIT;
	}
	return ERR_OK;
}

/* path NULL or "-": stdin. */
static enum err read_file(const char *path, struct buf *in, char *why, size_t why_size)
{
	bool from_stdin = !path || !strcmp(path, "-");
	int fd = from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	enum err err = fd < 0 ? ERR_IO : read_all(fd, in);

	if (err)
		snprintf(why, why_size, "%s: %s", from_stdin ? "stdin" : path,
			err == ERR_IO      ? strerror(errno)
			: err == ERR_LIMIT ? "longer than 1 GiB: import it in pieces"
					   : err_string(err));
	if (fd >= 0 && !from_stdin)
		close(fd);
	return err;
}

/* ---- checking ---- */

/* What an export never writes. A daemon would take some of it, for something else. */
static enum err check_register(const struct call_event *event, struct event_error *error)
{
	if (event->sip) {
		event_error_set(error, EVENT_BAD_FIELD, "sip",
			"'sip' must be false: an import is no REGISTER of a phone");
		return ERR_INVAL;
	}
	if (!event->token && !event->alert_token) {
		event_error_set(error, EVENT_MISSING_FIELD, "token",
			"a 'register' without a token restores nothing");
		return ERR_INVAL;
	}
	return ERR_OK;
}

static enum err check_schedule(const struct call_event *event, struct event_error *error)
{
	struct schedule schedule;

	return schedule_parse(event->timezone, event->windows, &schedule, error);
}

static enum err check_event(const struct call_event *event, struct event_error *error)
{
	const struct event_spec *spec = event_spec(event->type);

	if (!spec->exported) {
		event_error_set(error, EVENT_UNKNOWN, "event",
			"'%s' is nothing that an export writes", spec->name);
		return ERR_INVAL;
	}
	if (event->type == EVENT_REGISTER)
		return check_register(event, error);
	if (event->type == EVENT_DND_SCHEDULE)
		return check_schedule(event, error);
	return ERR_OK;
}

/* Appends the line, which is a good one, with its number for an id. */
static enum err add_line(struct batch *batch, const char *line, size_t len, int64_t number,
	struct event_error *error)
{
	struct buf clean = {0};
	json_t *root = NULL;
	char *text = NULL;
	enum err err = ERR_NOMEM;

	utf8_json_repair(line, len, &clean);
	if (!clean.failed)
		root = json_loadb(clean.data, clean.len, 0, NULL);
	if (!clean.failed && !root) /* a member we do not know has a great number */
		root = json_loadb(clean.data, clean.len, JSON_DECODE_INT_AS_REAL, NULL);
	if (root && !json_object_set_new(root, "id", json_integer(number)))
		text = json_dumps(root, JSON_COMPACT);
	if (!text)
		goto out;
	if (strlen(text) > LINE_MAX_BYTES) {
		event_error_set(
			error, EVENT_TOO_LONG, NULL, "a line has at most %d bytes", LINE_MAX_BYTES);
		err = ERR_INVAL;
		goto out;
	}
	buf_add_str(&batch->lines, text);
	buf_add_char(&batch->lines, '\n');
	if (batch->lines.failed)
		goto out;
	batch->count++;
	err = ERR_OK;
out:
	buf_free(&clean);
	json_decref(root);
	free(text);
	return err;
}

/* ERR_INVAL: the line is faulty, and was told of. */
static enum err take_line(struct batch *batch, const char *line, size_t len, int64_t number)
{
	struct call_event event;
	struct event_error error;
	char what[512];
	enum err err = call_event_parse(line, len, &event, &error);

	if (err == ERR_NOMEM)
		return err;
	if (!err)
		err = check_event(&event, &error);
	if (!err)
		err = add_line(batch, line, len, number, &error);
	call_event_free(&event);
	if (err == ERR_INVAL) {
		snprintf(what, sizeof(what), "%s: %s", event_error_name(error.code), error.message);
		batch_complain(number, what);
	}
	return err;
}

/* Makes a batch of the lines that are good. *faulty: how many are not. */
static enum err take_lines(const struct buf *in, struct batch *batch, size_t *faulty)
{
	int64_t number = 0;

	for (size_t begin = 0, len; begin < in->len; begin += len + 1) {
		const char *line = in->data + begin, *lf = memchr(line, '\n', in->len - begin);
		size_t text_len;
		enum err err;

		len = lf ? (size_t)(lf - line) : in->len - begin;
		text_len = len && line[len - 1] == '\r' ? len - 1 : len;
		number++;
		if (!text_len)
			continue;
		err = take_line(batch, line, text_len, number);
		if (err && err != ERR_INVAL)
			return err;
		*faulty += err == ERR_INVAL;
	}
	return ERR_OK;
}

/* ---- sending ---- */

/* A client that is no admin could register devices, and no more: half an import. So the first
 * question is one for admins only. */
static enum exit_code ask_whether_admin(const struct arguments *arguments, struct client *client,
	int64_t silence_ms, char *why, size_t why_size)
{
	enum exit_code code = EXIT_GO_ON;
	json_t *page = NULL;
	enum err err = export_ask_page(client, silence_ms, NULL, &page);

	if (err) {
		client_explain(arguments->events_path, err, why, why_size);
		code = EXIT_UNAVAILABLE;
	} else if (!json_is_true(json_object_get(page, "ok"))) {
		event_refusal(page, why, why_size);
		code = EXIT_REFUSED;
	}
	json_decref(page);
	return code;
}

static enum exit_code send_batch(
	const struct arguments *arguments, struct batch *batch, char *why, size_t why_size)
{
	int64_t silence_ms = arguments->timeout_ms ? arguments->timeout_ms : SILENCE_MS;
	struct client client = {.fd = -1};
	enum exit_code code = EXIT_UNAVAILABLE;
	enum err err = client_connect(arguments->events_path, silence_ms, &client);

	if (!err) {
		code = ask_whether_admin(arguments, &client, silence_ms, why, why_size);
		if (code != EXIT_GO_ON)
			goto out;
		err = batch_send(batch, &client, silence_ms);
	}
	if (err) {
		client_explain(arguments->events_path, err, why, why_size);
		code = EXIT_UNAVAILABLE;
	}
out:
	client_close(&client);
	return code;
}

enum exit_code import_run(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	bool line_by_line = arguments->flag;
	struct batch batch = {0};
	struct buf in = {0};
	enum exit_code code = EXIT_USAGE;
	size_t faulty = 0;

	if (read_file(arguments->argument, &in, why, why_size))
		goto out;
	if (take_lines(&in, &batch, &faulty)) {
		snprintf(why, why_size, "%s", err_string(ERR_NOMEM));
		code = EXIT_UNAVAILABLE;
		goto out;
	}
	buf_free(&in);
	code = faulty && !line_by_line ? EXIT_REFUSED
				       : send_batch(arguments, &batch, why, why_size);
	buf_printf(out, "%zu of %zu events imported\n", batch.answered - batch.refused,
		batch.count + faulty);
	if (code == EXIT_GO_ON && faulty + batch.refused)
		code = EXIT_REFUSED;
	if (code == EXIT_REFUSED && !why[0])
		snprintf(why, why_size, "%zu faulty, %zu refused%s", faulty, batch.refused,
			line_by_line || !faulty ? "" : ": nothing was sent");
out:
	buf_free(&batch.lines);
	buf_free(&in);
	return code;
}
