/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <pbxpush/base/unix_socket.h>

#define LINE_MAX_BYTES  65536
#define REPLY_MAX_BYTES 1048576 /* unread; then the client is dropped */
#define WHY_SIZE        256

/* A client of the control socket. */
struct client {
	LIST_ENTRY(client) next;
	struct sim *sim;
	struct bufferevent *io;
};

struct sim_control {
	struct evconnlistener *listener;
	int fd;
	char *path;
	LIST_HEAD(, client) clients;
};

static void client_free(struct client *client)
{
	LIST_REMOVE(client, next);
	bufferevent_free(client->io);
	free(client);
}

static void on_client_read(struct bufferevent *io, void *arg)
{
	struct client *client = arg;
	struct evbuffer *in = bufferevent_get_input(io), *out = bufferevent_get_output(io);
	size_t len;
	char *line;

	while ((line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF))) {
		char *answer = sim_command(client->sim, line, len);

		if (answer)
			evbuffer_add_printf(out, "%s\n", answer);
		free(answer);
		free(line);
	}
	if (evbuffer_get_length(in) > LINE_MAX_BYTES || evbuffer_get_length(out) > REPLY_MAX_BYTES)
		client_free(client);
}

static void on_client_event(struct bufferevent *io, short what, void *arg)
{
	(void)io;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		client_free(arg);
}

static void on_client(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
	int peer_len, void *arg)
{
	struct sim *sim = arg;
	struct client *client = calloc(1, sizeof(*client));

	(void)listener, (void)peer, (void)peer_len;
	if (client)
		client->io = bufferevent_socket_new(sim->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client || !client->io) {
		free(client);
		close(fd);
		return;
	}
	client->sim = sim;
	LIST_INSERT_HEAD(&sim->control->clients, client, next);
	bufferevent_setcb(client->io, on_client_read, NULL, on_client_event, client);
	bufferevent_enable(client->io, EV_READ | EV_WRITE);
}

enum err sim_control_open(struct sim *sim, const char *path)
{
	struct sim_control *control = calloc(1, sizeof(*control));
	char why[WHY_SIZE];
	enum err err = ERR_NOMEM;

	if (!control)
		return ERR_NOMEM;
	LIST_INIT(&control->clients);
	control->fd = -1;
	control->path = strdup(path);
	if (!control->path)
		goto out;
	err = unix_socket_listen(path, 0600, (gid_t)-1, &control->fd, why, sizeof(why));
	if (err)
		goto out;
	err = ERR_IO;
	control->listener = evconnlistener_new(
		sim->base, on_client, sim, LEV_OPT_CLOSE_ON_EXEC, 0, control->fd);
	if (!control->listener)
		goto out;
	sim->control = control;
	control = NULL;
	err = ERR_OK;
out:
	sim_control_close(control);
	return err;
}

void sim_control_close(struct sim_control *control)
{
	if (!control)
		return;
	while (!LIST_EMPTY(&control->clients))
		client_free(LIST_FIRST(&control->clients));
	if (control->listener)
		evconnlistener_free(control->listener);
	if (control->path)
		unix_socket_close(control->fd, control->path);
	free(control->path);
	free(control);
}
