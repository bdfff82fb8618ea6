/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/ctl/arguments.h>

#include "client.h"
#include "relay.h"

/* A call may wait for a phone as long as it rings. */
#define SILENCE_MS 35000

#define CHUNK           65536
#define REPLY_MAX_BYTES ((size_t)16 << 20)

struct relay {
	struct client client;
	char chunk[CHUNK]; /* of stdin; [at, len) is not written yet */
	size_t at, len;
	bool line_open;     /* the last byte of stdin was not an LF */
	bool line_has_text; /* of the open line: an empty one gets no reply */
	bool stdin_end, stdin_failed, half_closed, closed;
	bool broken;   /* the daemon left before it had everything */
	struct buf in; /* of the replies, from the beginning of one */
	unsigned long sent, answered, refused;
};

static bool is_owed(const struct relay *relay)
{
	return relay->at < relay->len || relay->answered < relay->sent;
}

/* Counts what will be answered, one reply for every line that is not empty. */
static void count_lines(struct relay *relay)
{
	for (size_t i = 0; i < relay->len; i++) {
		char c = relay->chunk[i];

		relay->line_open = c != '\n';
		if (c == '\n')
			relay->sent += relay->line_has_text;
		relay->line_has_text = c != '\n' && (relay->line_has_text || c != '\r');
	}
}

static enum err read_stdin(struct relay *relay)
{
	ssize_t n = read(STDIN_FILENO, relay->chunk, sizeof(relay->chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return ERR_OK;
	if (n < 0) {
		relay->stdin_failed = true;
		return ERR_IO;
	}
	relay->at = 0;
	relay->len = (size_t)n;
	relay->stdin_end = n == 0;
	/* `printf '{…}' | pbxpushctl send` forgets the line's end */
	if (relay->stdin_end && relay->line_open)
		relay->chunk[relay->len++] = '\n';
	count_lines(relay);
	return ERR_OK;
}

static enum err write_socket(struct relay *relay)
{
	ssize_t n = send(
		relay->client.fd, relay->chunk + relay->at, relay->len - relay->at, MSG_NOSIGNAL);

	if (n >= 0) {
		relay->at += (size_t)n;
	} else if (errno == EPIPE) {
		/* what it answered before it left can still be read */
		relay->broken = true;
		relay->stdin_end = true;
		relay->at = relay->len;
	} else if (errno != EINTR && errno != EAGAIN) {
		return ERR_IO;
	}
	return ERR_OK;
}

static void take_reply(struct relay *relay, const char *line, size_t len)
{
	json_t *reply = json_loadb(line, len, 0, NULL);

	fwrite(line, 1, len, stdout);
	putchar('\n');
	relay->answered++;
	if (!json_is_true(json_object_get(reply, "ok")))
		relay->refused++;
	json_decref(reply);
}

/* Takes what is there; `closed` when there will be no more. */
static enum err read_replies(struct relay *relay)
{
	char chunk[CHUNK];
	ssize_t n = recv(relay->client.fd, chunk, sizeof(chunk), 0);
	size_t begin = 0;
	const char *lf;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return ERR_OK;
	if (n <= 0) {
		relay->closed = true;
		return ERR_OK;
	}
	buf_add(&relay->in, chunk, (size_t)n);
	if (relay->in.failed)
		return ERR_NOMEM;
	while (begin < relay->in.len &&
		(lf = memchr(relay->in.data + begin, '\n', relay->in.len - begin))) {
		size_t len = (size_t)(lf - relay->in.data) - begin;

		take_reply(relay, relay->in.data + begin, len);
		begin += len + 1;
	}
	fflush(stdout);
	memmove(relay->in.data, relay->in.data + begin, relay->in.len - begin);
	relay->in.len -= begin;
	return relay->in.len > REPLY_MAX_BYTES ? ERR_LIMIT : ERR_OK;
}

/* One turn: waits for either side, moves what can be moved. */
static enum err turn(struct relay *relay, int64_t silence_ms)
{
	bool writing = relay->at < relay->len, reading = !writing && !relay->stdin_end;
	struct pollfd fds[2] = {
		{.fd = relay->client.fd, .events = (short)(writing ? POLLIN | POLLOUT : POLLIN)},
		/* poll() ignores -1: stdin waits until its last piece is written */
		{.fd = reading ? STDIN_FILENO : -1, .events = POLLIN},
	};
	int ready = poll(fds, 2, is_owed(relay) ? (int)silence_ms : -1);
	enum err err = ERR_OK;

	if (ready < 0)
		return errno == EINTR ? ERR_OK : ERR_IO;
	if (!ready) {
		errno = ETIMEDOUT;
		return ERR_IO;
	}
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		err = read_replies(relay);
	if (!err && !relay->closed && fds[0].revents & POLLOUT)
		err = write_socket(relay);
	if (!err && fds[1].revents)
		err = read_stdin(relay);
	if (!err && relay->stdin_end && relay->at == relay->len && !relay->half_closed) {
		shutdown(relay->client.fd, SHUT_WR);
		relay->half_closed = true;
	}
	return err;
}

enum exit_code relay_send(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	int64_t silence_ms = arguments->timeout_ms ? arguments->timeout_ms : SILENCE_MS;
	struct relay relay = {.client.fd = -1};
	enum exit_code code = EXIT_GO_ON;
	enum err err;

	(void)out;
	err = client_connect(arguments->events_path, silence_ms, &relay.client);
	while (!err && !relay.closed && (!relay.half_closed || is_owed(&relay)))
		err = turn(&relay, silence_ms);
	if (!err && (relay.broken || !relay.half_closed || is_owed(&relay)))
		err = ERR_CLOSED;
	if (err) {
		client_explain(
			relay.stdin_failed ? "stdin" : arguments->events_path, err, why, why_size);
		code = EXIT_UNAVAILABLE;
	} else if (relay.refused) {
		snprintf(why, why_size, "%lu of %lu events refused", relay.refused, relay.answered);
		code = EXIT_REFUSED;
	}
	client_close(&relay.client);
	buf_free(&relay.in);
	return code;
}
