/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/clock.h>
#include <pbxpush/pbx/evapi_frame.h>
#include <pbxpush/pbx/netstring.h>

#include "evapi_link.h"

#define LINK_MAX_UNREAD_BYTES ((size_t)4 * 1024 * 1024)
#define LINK_KEEP_BYTES       ((size_t)64 * 1024) /* of an empty output, for the next replies */
#define LINK_MAX_OWED         65536
#define LINK_EVENTS_A_TURN    256
#define LINK_PIECE_BYTES      ((size_t)32 * 1024) /* one segment on loopback */

struct evapi_link {
	struct event_base *base;
	struct evapi_link_options options;
	int fd;
	struct event io, turn;
	short watched; /* what io waits for */

	struct netstring_reader in;
	int64_t read_us; /* when the bytes in `in` were read */
	struct buf out;  /* out.data[sent..len) has not left yet */
	size_t sent;
	size_t piece_bytes; /* of what is sent as one, still to leave */
	size_t owed;        /* events handed to the sink that wait for their reply */

	bool more;    /* `in` may hold whole netstrings */
	bool blocked; /* the kernel takes no more for now */
	bool retired;
	bool closing; /* our half is closed, Kamailio's is about to be */
	bool closed;  /* by Kamailio */
	bool proven;
	char fault[120]; /* why it ends, "" while it lives */
};

static size_t link_unread_bytes(const struct evapi_link *link)
{
	return link->out.len - link->sent;
}

static void link_fail(struct evapi_link *link, const char *why)
{
	if (!link->fault[0])
		snprintf(link->fault, sizeof(link->fault), "%s", why);
}

static void link_io(evutil_socket_t fd, short what, void *arg);

static void link_watch(struct evapi_link *link, short what)
{
	if (what == link->watched)
		return;
	event_del(&link->io);
	link->watched = what;
	event_assign(&link->io, link->base, link->fd, (short)(what | EV_PERSIST), link_io, link);
	event_add(&link->io, NULL);
}

/* Puts the link down for the next turn of the loop, in which it writes and goes on with its
 * events. A timer of zero, as an event made active here would run before others' descriptors are
 * looked at. */
static void link_set_due(struct evapi_link *link)
{
	if (!evtimer_pending(&link->turn, NULL))
		event_add(&link->turn, &(struct timeval){0});
}

/* Decides how it goes on, after anything that may have changed it. It may be gone afterwards. */
static void link_settle(struct evapi_link *link)
{
	bool nothing_owed = !link->owed && !link_unread_bytes(link);

	if (link->closed || link->fault[0]) {
		bool wished = link->closing || (link->retired && nothing_owed);
		link->options.ended(link->options.arg, wished ? NULL : link->fault);
		return;
	}
	if (link->retired && nothing_owed && !link->closing) {
		/* Closing at once would reset the connection where Kamailio has just written, and
		 * the last replies might be lost with it. Kamailio answers with its own end. */
		link->closing = true;
		shutdown(link->fd, SHUT_WR);
	}
	link_watch(link, link->blocked ? EV_READ | EV_WRITE : EV_READ);
	if (link->more || (!link->blocked && link_unread_bytes(link)))
		link_set_due(link);
}

/* One netstring, or its absence. */
static void link_take(
	struct evapi_link *link, enum netstring_kind kind, const char *text, size_t len)
{
	const struct event_sink *sink = link->options.sink;

	link->proven |= kind == NETSTRING_TEXT;
	if (link->closing)
		return; /* there is no way back for a reply */
	link->owed++;
	if (kind == NETSTRING_TEXT)
		sink->line(
			sink->self, link->options.to, link->options.role, text, len, link->read_us);
	else
		sink->too_long(sink->self, link->options.to);
}

/* Hands on the events in memory, as many as may be in one turn. */
static void link_take_events(struct evapi_link *link)
{
	const char *text;
	size_t len;

	link->more = true;
	for (int i = 0; i < LINK_EVENTS_A_TURN && link->more && !link->fault[0]; i++) {
		enum netstring_kind kind =
			netstring_reader_next(&link->in, link->options.max_line, &text, &len);
		switch (kind) {
		case NETSTRING_NONE:
			link->more = false;
			break;
		case NETSTRING_TEXT:
		case NETSTRING_TOO_LONG:
			link_take(link, kind, text, len);
			break;
		case NETSTRING_BROKEN:
			link_fail(link, "this is no netstring (is it Kamailio's evapi, and its "
					"netstring_format 1?)");
			break;
		}
		if (link->owed > LINK_MAX_OWED)
			link_fail(link, "too many events wait for their reply");
	}
}

static void link_read(struct evapi_link *link)
{
	size_t room;
	char *space = netstring_reader_space(&link->in, &room);

	if (!space) {
		link_fail(link, "out of memory");
		return;
	}
	ssize_t len = recv(link->fd, space, room, MSG_DONTWAIT);
	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR)
			link_fail(link, strerror(errno));
		return;
	}
	if (!len) { /* Kamailio never closes one half only: it reads no more replies */
		link->closed = true;
		link_fail(link, "closed by Kamailio");
		return;
	}
	/* Kamailio leaves Nagle's algorithm on: what it says next waits for this acknowledgement,
	 * 40 ms where no reply is due at once. The kernel forgets the option, so each time. */
	setsockopt(link->fd, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int));
	netstring_reader_fill(&link->in, (size_t)len);
	link->read_us = clock_mono_us();
	link_take_events(link);
}

/* Gives back or moves what has left. */
static void link_tidy(struct evapi_link *link)
{
	if (link->sent == link->out.len) {
		if (link->out.cap > LINK_KEEP_BYTES)
			buf_free(&link->out);
		else
			buf_reset(&link->out);
		link->sent = 0;
	} else if (link->sent > link->out.len / 2) {
		link->out.len -= link->sent;
		memmove(link->out.data, link->out.data + link->sent, link->out.len);
		link->sent = 0;
	}
}

/* Sends everything, in pieces of whole replies (evapi_frame.h says why). MSG_EOR keeps the kernel from
 * joining them and cutting anew. */
static void link_write(struct evapi_link *link)
{
	while (link_unread_bytes(link) && !link->blocked && !link->fault[0]) {
		const char *data = link->out.data + link->sent;
		if (!link->piece_bytes)
			link->piece_bytes = evapi_frames_within(
				data, link_unread_bytes(link), LINK_PIECE_BYTES);
		ssize_t len = send(
			link->fd, data, link->piece_bytes, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR);
		if (len >= 0) {
			link->sent += (size_t)len;
			link->piece_bytes -= (size_t)len;
			link->blocked = link->piece_bytes;
		} else if (errno == EAGAIN) {
			link->blocked = true;
		} else if (errno != EINTR) {
			link_fail(link, strerror(errno));
		}
	}
	link_tidy(link);
}

static void link_io(evutil_socket_t fd, short what, void *arg)
{
	struct evapi_link *link = arg;

	(void)fd;
	if (what & EV_WRITE)
		link->blocked = false;
	if (what & EV_READ && !link->more)
		link_read(link);
	link_settle(link);
}

/* Replies of one turn of the loop leave in one write. */
static void link_turn(evutil_socket_t fd, short what, void *arg)
{
	struct evapi_link *link = arg;

	(void)fd;
	(void)what;
	if (link->more)
		link_take_events(link);
	link_write(link);
	link_settle(link);
}

void evapi_link_reply(struct evapi_link *link, const char *text, size_t len)
{
	if (!link->owed)
		return; /* a second reply to an event */
	link->owed--;
	evapi_frame_add(&link->out, text, len);
	if (link->out.failed)
		link_fail(link, "out of memory");
	else if (link_unread_bytes(link) > LINK_MAX_UNREAD_BYTES)
		link_fail(link, "Kamailio does not read its replies");
	link_set_due(link);
}

enum err evapi_link_new(struct event_base *base, int fd, const struct evapi_link_options *options,
	struct evapi_link **out)
{
	struct evapi_link *link = calloc(1, sizeof(*link));

	if (!link)
		return ERR_NOMEM;
	link->base = base;
	link->options = *options;
	link->fd = fd;
	event_assign(&link->io, base, fd, EV_READ, link_io, link);
	evtimer_assign(&link->turn, base, link_turn, link);
	link_watch(link, EV_READ);
	*out = link;
	return ERR_OK;
}

void evapi_link_configure(struct evapi_link *link, enum client_role role, size_t max_line)
{
	link->options.role = role;
	link->options.max_line = max_line;
}

void evapi_link_retire(struct evapi_link *link)
{
	link->retired = true;
	link_set_due(link);
}

size_t evapi_link_owed(const struct evapi_link *link)
{
	return link->owed;
}

bool evapi_link_is_proven(const struct evapi_link *link)
{
	return link->proven;
}

bool evapi_link_is_broken(const struct evapi_link *link)
{
	return link->in.broken;
}

void evapi_link_free(struct evapi_link *link)
{
	if (!link)
		return;
	event_del(&link->io);
	event_del(&link->turn);
	close(link->fd);
	netstring_reader_free(&link->in);
	buf_free(&link->out);
	free(link);
}
