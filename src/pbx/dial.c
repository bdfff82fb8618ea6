/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <pbxpush/base/worker.h>

#include "dial.h"

#define DIAL_ADDRESS_SECONDS 3

/* What the thread works on: its own copy, so that the dial may go away meanwhile. */
struct lookup {
	struct dial *dial; /* touched on the loop's thread only */
	char *host, *port; /* host ends where port begins */
	struct addrinfo *list;
	int fault, saved_errno;
};

struct dial {
	struct event_base *base;
	dial_done_fn *done;
	void *arg;
	struct worker *worker; /* NULL: the lookup has come to its end */
	struct event found;    /* the worker has something to collect */
	struct lookup *lookup; /* ours once the worker is done with it */
	const struct addrinfo *next;
	struct event io; /* of the address that is being tried */
	int fd;
	char why[160];
};

static void lookup_free(void *arg)
{
	struct lookup *lookup = arg;

	if (!lookup)
		return;
	if (lookup->list)
		freeaddrinfo(lookup->list);
	free(lookup->host);
	free(lookup);
}

/* host:port or [v6]:port */
static enum err lookup_new(const char *address, struct lookup **out)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	enum err err = ERR_NOMEM;
	char *colon;

	if (!lookup || !(lookup->host = strdup(address)))
		goto out;
	err = ERR_INVAL;
	colon = strrchr(lookup->host, ':');
	if (!colon || colon == lookup->host)
		goto out;
	*colon = '\0';
	lookup->port = colon + 1;
	if (lookup->host[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		memmove(lookup->host, lookup->host + 1, strlen(lookup->host));
	}
	*out = lookup;
	return ERR_OK;
out:
	lookup_free(lookup);
	return err;
}

static void lookup_run(void *arg)
{
	struct lookup *lookup = arg;
	/* No AI_ADDRCONFIG: a host with loopback only must still reach loopback. */
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};

	lookup->fault = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->list);
	lookup->saved_errno = errno;
}

static void dial_try_next(struct dial *dial);

static void dial_drop_address(struct dial *dial)
{
	if (dial->fd < 0)
		return;
	event_del(&dial->io);
	close(dial->fd);
	dial->fd = -1;
}

/* The last thing an event of the dial does: it may be gone afterwards. */
static void dial_end(struct dial *dial, int fd)
{
	dial->done(dial->arg, fd, dial->why);
}

static void dial_succeed(struct dial *dial)
{
	const int on = 1;
	int fd = dial->fd;

	event_del(&dial->io);
	dial->fd = -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	dial_end(dial, fd);
}

/* A port of this machine where nobody listens may be given to our own end of the connection, which
 * then is connected to itself (TCP's simultaneous open), and keeps the port from its owner. */
static bool dial_met_itself(int fd)
{
	struct sockaddr_storage ours = {0}, theirs = {0};
	socklen_t ours_len = sizeof(ours), theirs_len = sizeof(theirs);

	return !getsockname(fd, (struct sockaddr *)&ours, &ours_len) &&
	       !getpeername(fd, (struct sockaddr *)&theirs, &theirs_len) &&
	       ours_len == theirs_len && !memcmp(&ours, &theirs, ours_len);
}

static void dial_io(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;
	int fault = ETIMEDOUT;
	socklen_t len = sizeof(fault);

	if (what & EV_WRITE && getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &len))
		fault = errno;
	if (!fault && dial_met_itself(fd))
		fault = ECONNREFUSED;
	if (!fault) {
		dial_succeed(dial);
		return;
	}
	snprintf(dial->why, sizeof(dial->why), "%s", strerror(fault));
	dial_drop_address(dial);
	dial_try_next(dial);
}

static enum err dial_try(struct dial *dial, const struct addrinfo *address)
{
	const struct timeval patience = {.tv_sec = DIAL_ADDRESS_SECONDS};

	dial->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (dial->fd < 0)
		return ERR_IO;
	event_assign(&dial->io, dial->base, dial->fd, EV_WRITE, dial_io, dial);
	if ((connect(dial->fd, address->ai_addr, address->ai_addrlen) && errno != EINPROGRESS) ||
		event_add(&dial->io, &patience)) {
		snprintf(dial->why, sizeof(dial->why), "%s", strerror(errno));
		dial_drop_address(dial);
		return ERR_IO;
	}
	return ERR_OK; /* connected at once or later: both make it writable */
}

static void dial_try_next(struct dial *dial)
{
	while (dial->next) {
		const struct addrinfo *address = dial->next;

		dial->next = address->ai_next;
		if (!dial_try(dial, address))
			return;
	}
	dial_end(dial, -1);
}

static void lookup_done(void *arg)
{
	struct lookup *lookup = arg;
	struct dial *dial = lookup->dial;

	dial->lookup = lookup;
	dial->next = lookup->fault ? NULL : lookup->list;
	if (lookup->fault)
		snprintf(dial->why, sizeof(dial->why), "%s",
			lookup->fault == EAI_SYSTEM ? strerror(lookup->saved_errno)
						    : gai_strerror(lookup->fault));
}

static void dial_found(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;

	(void)fd;
	(void)what;
	worker_collect(dial->worker);
	if (!dial->lookup)
		return;
	event_del(&dial->found);
	worker_free(dial->worker);
	dial->worker = NULL;
	dial_try_next(dial);
}

enum err dial_new(struct event_base *base, const char *address, dial_done_fn *done, void *arg,
	struct dial **out)
{
	struct dial *dial = calloc(1, sizeof(*dial));
	struct lookup *lookup = NULL;
	enum err err = ERR_NOMEM;

	if (!dial)
		return err;
	dial->base = base;
	dial->done = done;
	dial->arg = arg;
	dial->fd = -1;
	err = lookup_new(address, &lookup);
	if (err)
		goto out;
	lookup->dial = dial;
	err = worker_new(&dial->worker, "pbx-dns");
	if (err)
		goto out;
	event_assign(&dial->found, base, worker_fd(dial->worker), EV_READ | EV_PERSIST, dial_found,
		dial);
	event_add(&dial->found, NULL);
	err = worker_submit(dial->worker, lookup_run, lookup_done, lookup);
	if (err)
		goto out;
	*out = dial;
	return ERR_OK;
out:
	lookup_free(lookup);
	dial_free(dial);
	return err;
}

void dial_free(struct dial *dial)
{
	if (!dial)
		return;
	if (dial->worker) {
		event_del(&dial->found);
		worker_abandon(dial->worker, lookup_free);
	}
	dial_drop_address(dial);
	lookup_free(dial->lookup);
	free(dial);
}
