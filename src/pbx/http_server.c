/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <pbxpush/base/log.h>
#include <pbxpush/base/loopback.h>

#include "http_connection.h"

#define HTTP_REFUSED_MAX 32 /* connections that are being told so; beyond it they are closed */
#define HTTP_PAUSE_US    100000

/* The connection that has been idle longest. One whose request waits in the kernel only looks idle:
 * in a crowd many of them connect and ask before the first is read. */
static struct http_connection *server_find_idle(const struct http_server *server)
{
	struct http_connection *connection;

	TAILQ_FOREACH (connection, &server->idle, idle_link) {
		char byte;
		int fd = bufferevent_getfd(connection->io);
		if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			return connection;
	}
	return NULL;
}

static void server_accept(struct evconnlistener *listener, evutil_socket_t fd,
	struct sockaddr *peer, int peer_len, void *arg)
{
	struct http_server *server = arg;
	size_t max = server->limits.max_connections;
	struct http_connection *idle;
	const char *refusal = NULL;

	(void)listener, (void)peer, (void)peer_len;
	server->starved = false;
	if (server->count >= max && (idle = server_find_idle(server)))
		http_connection_free(idle);
	if (server->count >= max) {
		if (!server->full)
			log_warning("http", "%zu clients are connected, more are turned away",
				server->count);
		refusal = "too many clients are connected (max-clients)";
	}
	server->full = refusal;
	if (server->count >= max + HTTP_REFUSED_MAX)
		close(fd);
	else
		http_connection_new(server, fd, refusal);
}

static void server_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *server = arg;

	(void)fd, (void)what;
	evconnlistener_enable(server->listener);
}

/* Without a free descriptor accept(2) fails at once, and evconnlistener would try for ever. */
static void server_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct http_server *server = arg;

	if (!server->starved)
		log_warning("http", "accept: %s", strerror(errno));
	server->starved = true;
	evconnlistener_disable(listener);
	event_add(&server->resume, &(struct timeval){.tv_usec = HTTP_PAUSE_US});
}

static void server_deafen(struct http_server *server)
{
	event_del(&server->resume);
	if (server->listener)
		evconnlistener_free(server->listener);
	server->listener = NULL;
	free(server->address);
	server->address = NULL;
}

enum err http_server_listen(
	struct http_server *server, const char *address, char *why, size_t why_size)
{
	struct evconnlistener *listener = NULL;
	char *copy = NULL;
	int fd = -1;
	enum err err = ERR_OK;

	if (server->address && !strcmp(server->address, address))
		return ERR_OK;
	if (!address[0])
		goto out;
	err = loopback_listen(address, &fd, why, why_size);
	if (err)
		return err;
	copy = strdup(address);
	/* It listens already: backlog 0 says so. */
	if (copy)
		listener = evconnlistener_new(server->base, server_accept, server,
			LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listener) {
		snprintf(why, why_size, "%s: %s", address, err_string(ERR_NOMEM));
		free(copy);
		close(fd);
		return ERR_NOMEM;
	}
	evconnlistener_set_error_cb(listener, server_accept_failed);
	log_info("http", "listening on %s", address);
out:
	server_deafen(server);
	server->listener = listener;
	server->address = copy;
	return ERR_OK;
}

enum err http_server_new(struct event_base *base, const struct http_service *service,
	const struct http_limits *limits, struct http_server **out)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (!server)
		return ERR_NOMEM;
	server->base = base;
	server->service = *service;
	server->limits = *limits;
	TAILQ_INIT(&server->all);
	TAILQ_INIT(&server->idle);
	evtimer_assign(&server->resume, base, server_resume, server);
	*out = server;
	return ERR_OK;
}

void http_server_set_limits(struct http_server *server, const struct http_limits *limits)
{
	server->limits = *limits;
}

void http_server_stop(struct http_server *server)
{
	struct http_connection *connection, *next;

	server_deafen(server);
	server->stopping = true;
	for (connection = TAILQ_FIRST(&server->all); connection; connection = next) {
		next = TAILQ_NEXT(connection, link);
		http_connection_stop(connection);
	}
}

bool http_server_is_drained(const struct http_server *server)
{
	const struct http_connection *connection;

	TAILQ_FOREACH (connection, &server->all, link)
		if (connection->state == HTTP_STATE_SERVE || connection->state == HTTP_STATE_ANSWER)
			return false;
	return true;
}

size_t http_server_connections(const struct http_server *server)
{
	return server->count;
}

void http_server_free(struct http_server *server)
{
	struct http_connection *connection;

	if (!server)
		return;
	server_deafen(server);
	while ((connection = TAILQ_FIRST(&server->all)))
		http_connection_free(connection);
	free(server);
}
