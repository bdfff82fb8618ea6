/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>
#include <pbxpush/base/map.h>
#include <pbxpush/pbx/line_reader.h>

#include "clients.h"

#define CLIENT_MAX_UNREAD_BYTES ((size_t)256 * 1024) /* CONTRACT 2: above it its lines wait */
#define CLIENT_KEEP_BYTES       ((size_t)64 * 1024)  /* of an empty output, for the next replies */
#define CLIENT_MAX_OWED         65536
#define CLIENT_LINES_A_TURN     256

struct client {
	struct map_node node;
	TAILQ_ENTRY(client) link, due_link;
	struct clients *clients;
	uint64_t id;
	int fd;
	uid_t uid;
	enum client_role role;

	struct event io;
	short watched; /* what io waits for; 0: it is not added */

	struct line_reader in;
	int64_t read_us; /* when the bytes in `in` were read */
	struct buf out;  /* out.data[sent..len) has not left yet */
	size_t sent;
	size_t owed; /* lines handed to the sink that wait for their reply */

	bool more;    /* `in` may hold whole lines */
	bool ended;   /* nothing more comes from it */
	bool deaf;    /* it has gone: replies are dropped, but what it had sent still counts */
	bool blocked; /* the kernel takes no more for now */
	bool due;     /* stands in clients->due */
};

TAILQ_HEAD(client_list, client);

struct clients {
	struct event_base *base;
	const struct event_sink *sink;
	struct reply_port port;
	size_t max_line;
	bool stopping;
	uint64_t last_id;
	struct map by_id;
	struct client_list all;
	struct client_list due; /* have something to do in the next turn of the loop */
	struct event turn;
};

static size_t client_unread_bytes(const struct client *client)
{
	return client->out.len - client->sent;
}

static bool client_may_go_on(const struct client *client)
{
	return !client->clients->stopping && client->owed < CLIENT_MAX_OWED &&
	       client_unread_bytes(client) <= CLIENT_MAX_UNREAD_BYTES;
}

static void client_free(struct client *client)
{
	struct clients *clients = client->clients;

	log_debug("events", "client %llu (uid %u) has left", (unsigned long long)client->id,
		(unsigned)client->uid);
	event_del(&client->io);
	close(client->fd);
	map_remove(&clients->by_id, &client->node);
	TAILQ_REMOVE(&clients->all, client, link);
	if (client->due)
		TAILQ_REMOVE(&clients->due, client, due_link);
	line_reader_free(&client->in);
	buf_free(&client->out);
	free(client);
}

/* Puts the client down for the next turn, in which it writes and goes on with its lines. A timer of
 * zero, as an event made active here would run before others' descriptors are looked at. */
static void client_set_due(struct client *client, bool due)
{
	struct clients *clients = client->clients;

	if (due == client->due)
		return;
	client->due = due;
	if (!due) {
		TAILQ_REMOVE(&clients->due, client, due_link);
		return;
	}
	if (TAILQ_EMPTY(&clients->due))
		event_add(&clients->turn, &(struct timeval){0});
	TAILQ_INSERT_TAIL(&clients->due, client, due_link);
}

static void client_forget_replies(struct client *client)
{
	client->deaf = true;
	client->blocked = false;
	buf_free(&client->out);
	client->sent = 0;
}

/* Gives the client up: memory is short, and a reply that is missing must not look like one to
 * come. */
static void client_drop(struct client *client)
{
	log_warning("events", "client %llu (uid %u) is dropped: out of memory",
		(unsigned long long)client->id, (unsigned)client->uid);
	client_forget_replies(client);
	client->ended = true;
	client->more = false;
}

static void client_io(evutil_socket_t fd, short what, void *arg);

static void client_watch(struct client *client, short what)
{
	if (what == client->watched)
		return;
	event_del(&client->io);
	client->watched = what;
	if (!what)
		return;
	event_assign(&client->io, client->clients->base, client->fd, (short)(what | EV_PERSIST),
		client_io, client);
	event_add(&client->io, NULL);
}

/*
 * Decides what the client waits for, after anything that may have changed it. Frees the client when
 * all is done. After a half-close poll(2) would call a level-triggered reader for ever;
 * edge-triggered it calls once more, when the other half closes too.
 */
static void client_settle(struct client *client)
{
	bool last_line = client->clients->stopping || (client->ended && !client->more);
	bool nothing_owed = client->deaf || (!client->owed && !client_unread_bytes(client));
	bool go_on = client_may_go_on(client);
	short what = 0;

	if (last_line && nothing_owed) {
		client_free(client);
		return;
	}
	if (client->blocked)
		what |= EV_WRITE;
	if (go_on && !client->ended)
		what |= EV_READ;
	if (!what && client->ended)
		what = EV_READ | EV_ET;
	client_watch(client, what);
	client_set_due(client,
		(go_on && client->more) || (!client->blocked && client_unread_bytes(client)));
}

/* Hands on the lines in memory, as many as may be in one turn. */
static void client_take_lines(struct client *client)
{
	const struct event_sink *sink = client->clients->sink;
	struct reply_to to = {.port = &client->clients->port, .client = client->id};
	const char *line;
	size_t len;

	client->more = true;
	for (int i = 0; i < CLIENT_LINES_A_TURN && client->more && client_may_go_on(client); i++) {
		switch (line_reader_next(&client->in, client->clients->max_line, &line, &len)) {
		case LINE_NONE:
			client->more = false;
			break;
		case LINE_TEXT:
			client->owed++;
			sink->line(sink->self, to, client->role, line, len, client->read_us);
			break;
		case LINE_TOO_LONG:
			client->owed++;
			sink->too_long(sink->self, to);
			break;
		}
	}
}

static void client_read(struct client *client)
{
	size_t room;
	char *space = line_reader_space(&client->in, &room);

	if (!space) {
		client_drop(client);
		return;
	}
	ssize_t len = recv(client->fd, space, room, MSG_DONTWAIT);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0) {
		line_reader_fill(&client->in, (size_t)len);
	} else {
		if (len < 0) /* it closed with replies unread: nobody is there any more */
			client_forget_replies(client);
		line_reader_end(&client->in);
		client->ended = true;
	}
	client->read_us = clock_mono_us();
	client_take_lines(client);
}

static void client_write(struct client *client)
{
	size_t unread = client_unread_bytes(client);

	if (!unread || client->blocked)
		return;
	ssize_t len = send(
		client->fd, client->out.data + client->sent, unread, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (len < 0) {
		if (errno == EAGAIN)
			client->blocked = true;
		else if (errno != EINTR)
			client_forget_replies(client);
		return;
	}
	client->blocked = (size_t)len < unread;
	client->sent += (size_t)len;
	if (client->sent == client->out.len) {
		if (client->out.cap > CLIENT_KEEP_BYTES)
			buf_free(&client->out);
		else
			buf_reset(&client->out);
		client->sent = 0;
	} else if (client->sent > client->out.len / 2) {
		client->out.len -= client->sent;
		memmove(client->out.data, client->out.data + client->sent, client->out.len);
		client->sent = 0;
	}
}

static void client_io(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	if (what & EV_WRITE)
		client->blocked = false;
	if (what & EV_READ && client->ended) {
		struct pollfd poll_fd = {.fd = fd};
		if (poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & (POLLHUP | POLLERR))
			client_forget_replies(client);
	} else if (what & EV_READ && !client->more) {
		client_read(client);
	}
	client_settle(client);
}

/* Replies of one turn of the loop leave in one write. */
static void clients_turn(evutil_socket_t fd, short what, void *arg)
{
	struct clients *clients = arg;
	struct client_list due = TAILQ_HEAD_INITIALIZER(due);
	struct client *client;

	(void)fd;
	(void)what;
	TAILQ_CONCAT(&due, &clients->due, due_link);
	while ((client = TAILQ_FIRST(&due))) {
		TAILQ_REMOVE(&due, client, due_link);
		client->due = false;
		if (client->more)
			client_take_lines(client);
		client_write(client);
		client_settle(client);
	}
}

static bool client_has_id(const struct map_node *node, const void *key, size_t len)
{
	(void)len;
	return !memcmp(&map_entry(node, const struct client, node)->id, key, sizeof(uint64_t));
}

static void clients_reply(
	void *self, struct reply_to to, enum event_error_code code, const char *text, size_t len)
{
	struct clients *clients = self;
	struct map_node *node =
		map_find(&clients->by_id, &to.client, sizeof(to.client), client_has_id);

	(void)code; /* the text says it */
	if (!node)
		return;
	struct client *client = map_entry(node, struct client, node);
	if (!client->owed)
		return; /* a second reply to a line would be taken for that of another */
	client->owed--;
	if (!client->deaf) {
		buf_add(&client->out, text, len);
		buf_add_char(&client->out, '\n');
		if (client->out.failed)
			client_drop(client);
	}
	client_set_due(client, true);
}

enum err clients_new(struct event_base *base, const struct event_sink *sink, size_t max_line,
	struct clients **out)
{
	struct clients *clients = calloc(1, sizeof(*clients));

	if (!clients || map_init(&clients->by_id)) {
		free(clients);
		return ERR_NOMEM;
	}
	clients->base = base;
	clients->sink = sink;
	clients->port = (struct reply_port){.self = clients, .reply = clients_reply};
	clients->max_line = max_line;
	TAILQ_INIT(&clients->all);
	TAILQ_INIT(&clients->due);
	evtimer_assign(&clients->turn, base, clients_turn, clients);
	*out = clients;
	return ERR_OK;
}

enum err clients_add(struct clients *clients, int fd, uid_t uid, enum client_role role)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return ERR_NOMEM;
	client->clients = clients;
	client->id = ++clients->last_id;
	client->fd = fd;
	client->uid = uid;
	client->role = role;
	event_assign(&client->io, clients->base, fd, EV_READ, client_io, client);
	map_add(&clients->by_id, &client->node, map_hash(&client->id, sizeof(client->id)));
	TAILQ_INSERT_TAIL(&clients->all, client, link);
	client_settle(client);
	return ERR_OK;
}

void clients_set_max_line(struct clients *clients, size_t max_line)
{
	clients->max_line = max_line;
}

void clients_judge(struct clients *clients,
	bool (*judge)(const void *arg, uid_t uid, enum client_role *role), const void *arg)
{
	struct client *client;

	TAILQ_FOREACH (client, &clients->all, link) {
		if (judge(arg, client->uid, &client->role))
			continue;
		client->ended = true;
		client->more = false;
		client_set_due(client, true);
	}
}

void clients_stop(struct clients *clients)
{
	struct client *client;

	clients->stopping = true;
	TAILQ_FOREACH (client, &clients->all, link)
		client_set_due(client, true);
}

bool clients_are_drained(const struct clients *clients)
{
	const struct client *client;

	TAILQ_FOREACH (client, &clients->all, link)
		if (!client->deaf && (client->owed || client_unread_bytes(client)))
			return false;
	return true;
}

size_t clients_count(const struct clients *clients)
{
	return clients->by_id.count;
}

void clients_free(struct clients *clients)
{
	struct client *client;

	if (!clients)
		return;
	while ((client = TAILQ_FIRST(&clients->all)))
		client_free(client);
	event_del(&clients->turn);
	map_free(&clients->by_id);
	free(clients);
}
