/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <pbxpush/base/log.h>
#include <pbxpush/base/unix_socket.h>
#include <pbxpush/pbx/event_socket.h>

#include "clients.h"
#include "refusals.h"

#define EVENT_SOCKET_ACCEPTS_A_TURN 16
#define EVENT_SOCKET_BACKOFF_US     100000 /* without a free descriptor accept(2) fails at once */

struct listener {
	struct event readable;
	int fd;
};

struct event_socket {
	struct event_base *base;
	struct event_socket_options options; /* our copy */
	struct listener *listener;           /* NULL: stopped */
	struct event backoff;
	struct clients *clients;
	struct refusals *refusals;
	bool full, starved; /* said so in the log already */
};

static void options_free(struct event_socket_options *options)
{
	free((void *)options->path);
	free((void *)options->allow);
	free((void *)options->admin);
	*options = (struct event_socket_options){0};
}

static enum err uids_copy(const uid_t *uids, size_t count, const uid_t **out)
{
	uid_t *copy = NULL;

	if (count) {
		copy = calloc(count, sizeof(*copy));
		if (!copy)
			return ERR_NOMEM;
		memcpy(copy, uids, count * sizeof(*copy));
	}
	*out = copy;
	return ERR_OK;
}

static enum err options_copy(
	const struct event_socket_options *options, struct event_socket_options *out)
{
	struct event_socket_options copy = *options;

	copy.allow = copy.admin = NULL;
	copy.path = strdup(options->path);
	if (!copy.path || uids_copy(options->allow, options->allow_count, &copy.allow) ||
		uids_copy(options->admin, options->admin_count, &copy.admin)) {
		options_free(&copy);
		return ERR_NOMEM;
	}
	*out = copy;
	return ERR_OK;
}

static bool uids_include(const uid_t *uids, size_t count, uid_t uid)
{
	for (size_t i = 0; i < count; i++)
		if (uids[i] == uid)
			return true;
	return !count;
}

/* Whether the user may be here, and as what. */
static bool event_socket_judge(const void *arg, uid_t uid, enum client_role *role)
{
	const struct event_socket_options *options = arg;
	bool is_admin = uids_include(options->admin, options->admin_count, uid);

	*role = is_admin ? ROLE_ADMIN : ROLE_CALLS;
	return uids_include(options->allow, options->allow_count, uid);
}

/* Takes the descriptor. */
static void event_socket_admit(struct event_socket *socket, int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	enum client_role role;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) ||
		!event_socket_judge(&socket->options, peer.uid, &role)) {
		log_info("events", "uid %u (pid %d) is not in allow-users", (unsigned)peer.uid,
			(int)peer.pid);
		refusals_add(socket->refusals, fd, "not-permitted",
			"this user may not send events (allow-users)");
		return;
	}
	if (clients_count(socket->clients) >= socket->options.max_clients) {
		if (!socket->full)
			log_warning("events", "%zu clients are connected, more are turned away",
				clients_count(socket->clients));
		socket->full = true;
		refusals_add(socket->refusals, fd, "overloaded",
			"too many clients are connected (max-clients)");
		return;
	}
	socket->full = false;
	if (clients_add(socket->clients, fd, peer.uid, role))
		refusals_add(socket->refusals, fd, "overloaded", "out of memory");
}

static void event_socket_accept(evutil_socket_t fd, short what, void *arg)
{
	struct event_socket *socket = arg;

	(void)what;
	for (int i = 0; i < EVENT_SOCKET_ACCEPTS_A_TURN; i++) {
		int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (peer >= 0) {
			socket->starved = false;
			event_socket_admit(socket, peer);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (!socket->starved)
			log_warning("events", "accept: %s", strerror(errno));
		socket->starved = true;
		event_del(&socket->listener->readable);
		event_add(&socket->backoff, &(struct timeval){.tv_usec = EVENT_SOCKET_BACKOFF_US});
		return;
	}
}

static void event_socket_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct event_socket *socket = arg;

	(void)fd;
	(void)what;
	event_add(&socket->listener->readable, NULL);
}

static void listener_free(struct listener *listener, const char *path)
{
	if (!listener)
		return;
	event_del(&listener->readable);
	unix_socket_close(listener->fd, path);
	free(listener);
}

/* Listens where the options say. */
static enum err listener_new(struct event_socket *socket,
	const struct event_socket_options *options, struct listener **out, char *why,
	size_t why_size)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	enum err err = ERR_NOMEM;

	snprintf(why, why_size, "%s", err_string(err));
	if (!listener)
		return err;
	err = unix_socket_listen(
		options->path, options->mode, options->gid, &listener->fd, why, why_size);
	if (err) {
		free(listener);
		return err;
	}
	event_assign(&listener->readable, socket->base, listener->fd, EV_READ | EV_PERSIST,
		event_socket_accept, socket);
	if (event_add(&listener->readable, NULL)) {
		snprintf(why, why_size, "%s: %s", options->path, strerror(errno));
		listener_free(listener, options->path);
		return ERR_IO;
	}
	*out = listener;
	return ERR_OK;
}

static void event_socket_deafen(struct event_socket *socket)
{
	event_del(&socket->backoff);
	listener_free(socket->listener, socket->options.path);
	socket->listener = NULL;
}

enum err event_socket_new(struct event_base *base, const struct event_socket_options *options,
	const struct event_sink *sink, struct event_socket **out, char *why, size_t why_size)
{
	struct event_socket *socket = calloc(1, sizeof(*socket));
	enum err err = ERR_NOMEM;

	snprintf(why, why_size, "%s", err_string(err));
	if (!socket)
		return err;
	socket->base = base;
	evtimer_assign(&socket->backoff, base, event_socket_accept_again, socket);
	err = options_copy(options, &socket->options);
	if (!err)
		err = clients_new(base, sink, options->max_line, &socket->clients);
	if (!err)
		err = refusals_new(base, &socket->refusals);
	if (!err)
		err = listener_new(socket, options, &socket->listener, why, why_size);
	if (err)
		goto out;
	*out = socket;
	socket = NULL;
out:
	event_socket_free(socket);
	return err;
}

enum err event_socket_reconfigure(struct event_socket *socket,
	const struct event_socket_options *options, char *why, size_t why_size)
{
	struct event_socket_options copy;
	struct listener *listener;
	enum err err = options_copy(options, &copy);

	if (err) {
		snprintf(why, why_size, "%s", err_string(err));
		return err;
	}
	if (!socket->listener) {
		snprintf(why, why_size, "shutting down");
		err = ERR_CLOSED;
	} else if (!strcmp(socket->options.path, copy.path)) {
		err = unix_socket_permit(copy.path, socket->options.mode, socket->options.gid,
			copy.mode, copy.gid, why, why_size);
	} else {
		err = listener_new(socket, &copy, &listener, why, why_size);
		if (!err) {
			event_socket_deafen(socket);
			socket->listener = listener;
		}
	}
	if (err) {
		options_free(&copy);
		return err;
	}
	options_free(&socket->options);
	socket->options = copy;
	clients_set_max_line(socket->clients, copy.max_line);
	clients_judge(socket->clients, event_socket_judge, &socket->options);
	return ERR_OK;
}

void event_socket_stop(struct event_socket *socket)
{
	event_socket_deafen(socket);
	clients_stop(socket->clients);
}

bool event_socket_is_drained(const struct event_socket *socket)
{
	return clients_are_drained(socket->clients);
}

size_t event_socket_clients(const struct event_socket *socket)
{
	return clients_count(socket->clients);
}

void event_socket_free(struct event_socket *socket)
{
	if (!socket)
		return;
	event_socket_deafen(socket);
	clients_free(socket->clients);
	refusals_free(socket->refusals);
	options_free(&socket->options);
	free(socket);
}
