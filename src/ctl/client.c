/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pbxpush/base/clock.h>

#include "client.h"

enum err client_connect(const char *path, int64_t timeout_ms, struct client *out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, saved;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return ERR_IO;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_IO;
	/* A unix socket connects at once or never: EAGAIN is the full backlog of a daemon that
	 * hangs, in which unix_socket_connect() would wait without end. */
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		saved = errno;
		close(fd);
		errno = saved;
		return ERR_IO;
	}
	out->fd = fd;
	out->deadline_us = clock_mono_us() + timeout_ms * 1000;
	return ERR_OK;
}

static enum err wait_for(const struct client *client, short events)
{
	struct pollfd pollfd = {.fd = client->fd, .events = events};

	for (;;) {
		int64_t left_us = client->deadline_us - clock_mono_us();
		int ready;

		if (left_us <= 0) {
			errno = ETIMEDOUT;
			return ERR_IO;
		}
		ready = poll(&pollfd, 1, (int)(left_us / 1000) + 1);
		if (ready > 0)
			return ERR_OK;
		if (ready < 0 && errno != EINTR)
			return ERR_IO;
	}
}

enum err client_write(struct client *client, const char *data, size_t len)
{
	while (len) {
		enum err err = wait_for(client, POLLOUT);
		ssize_t n;

		if (err)
			return err;
		n = send(client->fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return ERR_IO;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return ERR_OK;
}

enum err client_read(struct client *client, struct buf *in, bool *end)
{
	char chunk[16384];
	ssize_t n;

	do {
		enum err err = wait_for(client, POLLIN);

		if (err)
			return err;
		n = recv(client->fd, chunk, sizeof(chunk), 0);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	if (n < 0)
		return ERR_IO;
	*end = n == 0;
	buf_add(in, chunk, (size_t)n);
	return in->failed ? ERR_NOMEM : ERR_OK;
}

static const char *errno_hint(int number)
{
	switch (number) {
	case ENOENT:
	case ECONNREFUSED:
		return " (is pbxpushd running?)";
	case EACCES:
		return " (is this user in the socket's group?)";
	case EAGAIN:
		return " (pbxpushd hangs: it does not take connections)";
	default:
		return "";
	}
}

void client_explain(const char *path, enum err err, char *why, size_t why_size)
{
	int number = errno;

	if (err == ERR_IO && number == ETIMEDOUT)
		snprintf(why, why_size, "%s: no answer in time", path);
	else if (err == ERR_IO)
		snprintf(why, why_size, "%s: %s%s", path, strerror(number), errno_hint(number));
	else if (err == ERR_CLOSED)
		snprintf(why, why_size, "%s: closed before the answer came", path);
	else if (err == ERR_PROTOCOL)
		snprintf(why, why_size, "%s: what answers there is not pbxpushd", path);
	else
		snprintf(why, why_size, "%s: %s", path, err_string(err));
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}
