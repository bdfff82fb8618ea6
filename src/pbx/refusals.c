/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "refusals.h"

#define REFUSALS_MAX      32 /* beyond it they are closed at once */
#define REFUSAL_READS_MAX 64
#define REFUSAL_SECONDS   1

struct refusal {
	LIST_ENTRY(refusal) link;
	struct refusals *refusals;
	struct event io;
	int fd, reads;
};

struct refusals {
	struct event_base *base;
	LIST_HEAD(, refusal) all;
	int count;
};

static void refusal_free(struct refusal *refusal)
{
	LIST_REMOVE(refusal, link);
	refusal->refusals->count--;
	event_del(&refusal->io);
	close(refusal->fd);
	free(refusal);
}

static void refusal_io(evutil_socket_t fd, short what, void *arg)
{
	struct refusal *refusal = arg;
	char discarded[4096];

	if (what & EV_READ) {
		ssize_t len = recv(fd, discarded, sizeof(discarded), MSG_DONTWAIT);
		bool again = len > 0 || (len < 0 && (errno == EAGAIN || errno == EINTR));
		if (again && ++refusal->reads < REFUSAL_READS_MAX)
			return;
	}
	refusal_free(refusal);
}

enum err refusals_new(struct event_base *base, struct refusals **out)
{
	struct refusals *refusals = calloc(1, sizeof(*refusals));

	if (!refusals)
		return ERR_NOMEM;
	refusals->base = base;
	LIST_INIT(&refusals->all);
	*out = refusals;
	return ERR_OK;
}

void refusals_add(struct refusals *refusals, int fd, const char *code, const char *message)
{
	char line[256];
	struct refusal *refusal = NULL;
	int len = snprintf(line, sizeof(line),
		"{\"ok\":false,\"error\":\"%s\",\"field\":null,\"message\":\"%s\"}\n", code,
		message);

	/* It fits into the empty buffer of a new connection; a peer that has left wants no line. */
	if (len > 0 && (size_t)len < sizeof(line))
		(void)!send(fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	if (refusals->count < REFUSALS_MAX)
		refusal = calloc(1, sizeof(*refusal));
	if (!refusal) {
		close(fd);
		return;
	}
	refusal->refusals = refusals;
	refusal->fd = fd;
	event_assign(&refusal->io, refusals->base, fd, EV_READ | EV_PERSIST, refusal_io, refusal);
	event_add(&refusal->io, &(struct timeval){.tv_sec = REFUSAL_SECONDS});
	LIST_INSERT_HEAD(&refusals->all, refusal, link);
	refusals->count++;
}

void refusals_free(struct refusals *refusals)
{
	struct refusal *refusal;

	if (!refusals)
		return;
	while ((refusal = LIST_FIRST(&refusals->all)))
		refusal_free(refusal);
	free(refusals);
}
