/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <jansson.h>

#include "event_exchange.h"
#include "import_send.h"
#include "progress.h"

/* Events in flight. The daemon commits what has come together to the disk at once, so a wide
 * window is what makes an import quick. */
#define WINDOW          1000
#define REPLY_MAX_BYTES ((size_t)1 << 20)

struct sender {
	struct batch *batch;
	struct client *client;
	struct progress progress;
	size_t at, end; /* of the lines: written, and may be written */
	size_t sent;    /* lines up to end */
	struct buf in;  /* of the replies, from the beginning of one */
};

void batch_complain(int64_t line, const char *what)
{
	if (line > 0)
		fprintf(stderr, "line %" PRId64 ": ", line);
	else
		fputs("a line: ", stderr);
	/* it may quote what is in the file, which must not write on the terminal */
	for (; *what; what++)
		fputc((unsigned char)*what < ' ' || *what == 0x7f ? '?' : *what, stderr);
	fputc('\n', stderr);
}

static void open_window(struct sender *sender)
{
	const struct buf *lines = &sender->batch->lines;

	while (sender->sent < sender->batch->count &&
		sender->sent - sender->batch->answered < WINDOW) {
		const char *lf = memchr(lines->data + sender->end, '\n', lines->len - sender->end);

		sender->end = (size_t)(lf - lines->data) + 1;
		sender->sent++;
	}
}

static enum err write_lines(struct sender *sender)
{
	ssize_t n = send(sender->client->fd, sender->batch->lines.data + sender->at,
		sender->end - sender->at, MSG_NOSIGNAL);

	if (n >= 0)
		sender->at += (size_t)n;
	else if (errno == EPIPE)
		return ERR_CLOSED;
	else if (errno != EINTR && errno != EAGAIN)
		return ERR_IO;
	return ERR_OK;
}

/* A `register` whose token was not stored is `ok` for a PBX, but restores nothing. */
static bool is_refusal(const json_t *reply)
{
	return !json_is_true(json_object_get(reply, "ok")) ||
	       json_is_false(json_object_get(reply, "stored"));
}

static void tell_refusal(struct sender *sender, const json_t *reply)
{
	const char *reason = json_string_value(json_object_get(reply, "reason"));
	char what[512];

	if (json_is_true(json_object_get(reply, "ok")))
		snprintf(what, sizeof(what), "not stored: %s", reason ? reason : "no reason");
	else
		event_refusal(reply, what, sizeof(what));
	progress_clear(&sender->progress);
	batch_complain(json_integer_value(json_object_get(reply, "id")), what);
}

static enum err take_reply(struct sender *sender, const char *line, size_t len)
{
	json_t *reply = json_loadb(line, len, 0, NULL);
	enum err err = ERR_OK;

	if (!json_is_boolean(json_object_get(reply, "ok")) ||
		sender->batch->answered == sender->sent) {
		err = ERR_PROTOCOL;
		goto out;
	}
	sender->batch->answered++;
	if (is_refusal(reply)) {
		sender->batch->refused++;
		tell_refusal(sender, reply);
	}
out:
	json_decref(reply);
	return err;
}

static enum err read_replies(struct sender *sender)
{
	char chunk[65536];
	ssize_t n = recv(sender->client->fd, chunk, sizeof(chunk), 0);
	struct buf *in = &sender->in;
	size_t begin = 0;
	const char *lf;
	enum err err = ERR_OK;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return ERR_OK;
	if (n == 0 || (n < 0 && errno == ECONNRESET)) /* reset: it left with lines unread */
		return ERR_CLOSED;
	if (n < 0)
		return ERR_IO;
	buf_add(in, chunk, (size_t)n);
	if (in->failed)
		return ERR_NOMEM;
	while (!err && begin < in->len && (lf = memchr(in->data + begin, '\n', in->len - begin))) {
		size_t len = (size_t)(lf - in->data) - begin;

		err = take_reply(sender, in->data + begin, len);
		begin += len + 1;
	}
	memmove(in->data, in->data + begin, in->len - begin);
	in->len -= begin;
	return !err && in->len > REPLY_MAX_BYTES ? ERR_LIMIT : err;
}

/* Waits for the daemon, moves what can be moved: neither side may wait for the other to read. */
static enum err turn(struct sender *sender, int64_t silence_ms)
{
	bool writing = sender->at < sender->end;
	struct pollfd pollfd = {
		.fd = sender->client->fd, .events = (short)(writing ? POLLIN | POLLOUT : POLLIN)};
	int ready = poll(&pollfd, 1, (int)silence_ms);
	enum err err = ERR_OK;

	if (ready < 0)
		return errno == EINTR ? ERR_OK : ERR_IO;
	if (!ready) {
		errno = ETIMEDOUT;
		return ERR_IO;
	}
	if (pollfd.revents & (POLLIN | POLLHUP | POLLERR))
		err = read_replies(sender);
	if (!err && pollfd.revents & POLLOUT)
		err = write_lines(sender);
	return err;
}

enum err batch_send(struct batch *batch, struct client *client, int64_t silence_ms)
{
	struct sender sender = {.batch = batch, .client = client};
	enum err err = ERR_OK;

	progress_begin(&sender.progress, "imported", batch->count, false);
	while (!err && batch->answered < batch->count) {
		open_window(&sender);
		err = turn(&sender, silence_ms);
		progress_show(&sender.progress, batch->answered);
	}
	progress_clear(&sender.progress);
	buf_free(&sender.in);
	return err;
}
