/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include <pbxpush/base/log.h>
#include <pbxpush/base/loopback.h>
#include <pbxpush/base/unix_socket.h>
#include <pbxpush/status/status.h>

#define STATUS_CONNECTIONS_MAX  64
#define STATUS_TIMEOUT_S        10
#define STATUS_HEADER_BYTES_MAX 8192
#define STATUS_BODY_BYTES_MAX   4096 /* nobody needs one, but a client may send it */
#define STATUS_PAUSE_US         100000

struct status_server {
	LIST_ENTRY(status_server) link;
	struct event_base *base;
	struct status_provider provider;
	struct evhttp *http;
	char *path;    /* or address */
	bool loopback; /* from the first to the last listener */
	mode_t mode;
	gid_t gid;
	struct evhttp_bound_socket *bound; /* NULL: does not listen (yet) */
	struct event resume;               /* listens again after a pause */
	size_t connections;                /* at least as many as are open */
	bool starved;                      /* said so in the log already */
};

/* evconnlistener calls its error callback with evhttp's argument, so ours is looked up here. */
static LIST_HEAD(, status_server) status_servers = LIST_HEAD_INITIALIZER(status_servers);

/* ---- what there is to see ---- */

#define TYPE_JSON    "application/json"
#define TYPE_TEXT    "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"

struct status_route {
	const char *path; /* what ends in a slash takes a percent-encoded rest */
	const char *type, *help;
	bool open; /* shown to everybody on this machine, over TCP */
	/* Writes the body, returns the HTTP status. rest: decoded, "" where the path takes none. */
	int (*show)(const struct status_provider *provider, const char *rest, struct buf *out);
};

static int show_status(const struct status_provider *provider, const char *rest, struct buf *out)
{
	(void)rest;
	provider->status(provider->self, out);
	return HTTP_OK;
}

static int show_metrics(const struct status_provider *provider, const char *rest, struct buf *out)
{
	(void)rest;
	provider->metrics(provider->self, out);
	return HTTP_OK;
}

static int show_health(const struct status_provider *provider, const char *rest, struct buf *out)
{
	(void)rest;
	return provider->health(provider->self, out) ? HTTP_OK : HTTP_SERVUNAVAIL;
}

static int show_calls(const struct status_provider *provider, const char *rest, struct buf *out)
{
	(void)rest;
	provider->calls(provider->self, out);
	return HTTP_OK;
}

static int show_call(const struct status_provider *provider, const char *rest, struct buf *out)
{
	return provider->call(provider->self, rest, out) ? HTTP_OK : HTTP_NOTFOUND;
}

static const struct status_route status_routes[] = {
	{"/status", TYPE_JSON, "version, uptime, counts, routes to the push service", false,
		show_status},
	{"/metrics", TYPE_METRICS, "the same for Prometheus, with histograms", true, show_metrics},
	{"/health", TYPE_JSON, "200, or 503 with the reason", true, show_health},
	{"/calls", TYPE_JSON, "live and recent calls", false, show_calls},
	{"/calls/", TYPE_JSON, "ID: what happened in one call (Call-ID or uuid, percent-encoded)",
		false, show_call},
};

#define STATUS_ROUTE_COUNT (sizeof(status_routes) / sizeof(status_routes[0]))

static bool status_route_is_shown(
	const struct status_server *server, const struct status_route *route)
{
	return route->open || !server->loopback;
}

/* The route of an undecoded path; *rest is what follows it. NULL where there is none. */
static const struct status_route *status_route_find(const char *path, const char **rest)
{
	for (size_t i = 0; i < STATUS_ROUTE_COUNT; i++) {
		size_t len = strlen(status_routes[i].path);
		bool takes_rest = status_routes[i].path[len - 1] == '/';
		if (strncmp(path, status_routes[i].path, len) != 0 || takes_rest != !!path[len])
			continue;
		*rest = path + len;
		return &status_routes[i];
	}
	return NULL;
}

/* ---- answering ---- */

static void body_free(const void *data, size_t len, void *arg)
{
	(void)data;
	(void)len;
	free(arg);
}

/* Takes what body holds. For HEAD evhttp 2.1 would send the body and leave out its length. */
static void status_reply(
	struct evhttp_request *request, int status, const char *type, struct buf *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *out = evbuffer_new();
	size_t len = body->len;
	char *text = buf_take(body), length[24];

	if (!out || !text || evbuffer_add_reference(out, text, len, body_free, text)) {
		free(text);
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
	} else {
		snprintf(length, sizeof(length), "%zu", len);
		evhttp_add_header(headers, "Content-Length", length);
		evhttp_add_header(headers, "Content-Type", type);
		evhttp_add_header(headers, "Cache-Control", "no-store");
		if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
			evbuffer_drain(out, len);
		evhttp_send_reply(request, status, NULL, out);
	}
	if (out)
		evbuffer_free(out);
}

static void status_refuse(struct evhttp_request *request, int status, const char *text)
{
	struct buf body = {0};

	buf_add_str(&body, text);
	status_reply(request, status, TYPE_TEXT, &body);
}

/* Who asks for nothing in particular is told what there is. */
static void status_refuse_path(
	const struct status_server *server, struct evhttp_request *request, const char *path)
{
	struct buf body = {0};

	buf_add_str(&body, "not found\n");
	for (size_t i = 0; i < STATUS_ROUTE_COUNT && path && !strcmp(path, "/"); i++) {
		const struct status_route *route = &status_routes[i];

		if (status_route_is_shown(server, route))
			buf_printf(&body, "%-10s %s\n", route->path, route->help);
	}
	status_reply(request, HTTP_NOTFOUND, TYPE_TEXT, &body);
}

static void status_request(struct evhttp_request *request, void *arg)
{
	const struct status_server *server = arg;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL, *rest = "";
	const struct status_route *route = path ? status_route_find(path, &rest) : NULL;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	struct buf body = {0};
	size_t len = 0;

	if (!route || !status_route_is_shown(server, route)) {
		status_refuse_path(server, request, path);
		return;
	}
	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		status_refuse(request, HTTP_BADMETHOD, "only GET and HEAD\n");
		return;
	}
	/* No plus for a blank: that is the custom of forms, and a Call-ID may have a plus. */
	char *decoded = evhttp_uridecode(rest, 0, &len);
	int status = HTTP_NOTFOUND;
	if (decoded && strlen(decoded) == len)
		status = route->show(&server->provider, decoded, &body);
	free(decoded);
	if (status == HTTP_NOTFOUND) {
		buf_free(&body);
		status_refuse(request, status, "not found\n");
	} else {
		status_reply(request, status, route->type, &body);
	}
}

/* ---- connections ---- */

struct status_count {
	struct sockaddr_storage address; /* of the listener, which all its connections have too */
	socklen_t len;
	int listener;
	size_t open;
};

static int status_count_event(const struct event_base *base, const struct event *event, void *arg)
{
	struct status_count *count = arg;
	int fd = event_get_fd(event);
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	(void)base;
	if (event_get_events(event) & EV_READ && fd >= 0 && fd != count->listener &&
		!getsockname(fd, (struct sockaddr *)&address, &len) && len == count->len &&
		!memcmp(&address, &count->address, len))
		count->open++;
	return 0;
}

/*
 * evhttp of libevent 2.1 has no bound on its connections and tells nobody when one closes. So we
 * count those that open, and when the count reaches the bound, we look which descriptors in the
 * loop belong to the socket. At the bound we stop accepting: who comes waits in the kernel's queue
 * until one of the others has finished or timed out.
 */
static size_t status_open_connections(const struct status_server *server)
{
	struct status_count count = {.len = sizeof(count.address),
		.listener = evhttp_bound_socket_get_fd(server->bound)};

	if (getsockname(count.listener, (struct sockaddr *)&count.address, &count.len))
		return server->connections;
	event_base_foreach_event(server->base, status_count_event, &count);
	return count.open;
}

static void status_pause(struct status_server *server)
{
	evconnlistener_disable(evhttp_bound_socket_get_listener(server->bound));
	event_add(&server->resume, &(struct timeval){.tv_usec = STATUS_PAUSE_US});
}

static void status_resume(evutil_socket_t fd, short what, void *arg)
{
	struct status_server *server = arg;

	(void)fd;
	(void)what;
	server->connections = status_open_connections(server);
	if (server->connections < STATUS_CONNECTIONS_MAX)
		evconnlistener_enable(evhttp_bound_socket_get_listener(server->bound));
	else
		status_pause(server);
}

static struct bufferevent *status_connection(struct event_base *base, void *arg)
{
	struct status_server *server = arg;

	server->starved = false;
	if (++server->connections >= STATUS_CONNECTIONS_MAX)
		server->connections = status_open_connections(server) + 1; /* and this one */
	if (server->connections >= STATUS_CONNECTIONS_MAX)
		status_pause(server);
	return bufferevent_socket_new(base, -1, 0);
}

/* Without a free descriptor accept(2) fails at once, and evconnlistener would try for ever. */
static void status_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct status_server *server;
	int error = errno;

	(void)arg;
	LIST_FOREACH (server, &status_servers, link) {
		if (!server->bound || evhttp_bound_socket_get_listener(server->bound) != listener)
			continue;
		if (!server->starved)
			log_warning("status", "accept: %s", strerror(error));
		server->starved = true;
		status_pause(server);
	}
}

static void status_close_listener(bool loopback, int fd, const char *path)
{
	if (!loopback)
		unix_socket_close(fd, path);
	else if (fd >= 0)
		close(fd);
}

static void status_close(struct status_server *server)
{
	if (!server->bound)
		return;
	int fd = evhttp_bound_socket_get_fd(server->bound);
	event_del(&server->resume);
	evhttp_del_accept_socket(server->http, server->bound);
	status_close_listener(server->loopback, fd, server->path);
	server->bound = NULL;
}

/* Listens where the options say, and only then gives up where it did before. */
static enum err status_listen(struct status_server *server, const struct status_options *options,
	char *why, size_t why_size)
{
	char *path = strdup(options->path);
	struct evconnlistener *listener = NULL;
	struct evhttp_bound_socket *bound = NULL;
	int fd = -1;
	enum err err = ERR_NOMEM;

	snprintf(why, why_size, "%s", err_string(err));
	if (!path)
		goto out;
	if (options->loopback)
		err = loopback_listen(path, &fd, why, why_size);
	else
		err = unix_socket_listen(path, options->mode, options->gid, &fd, why, why_size);
	if (err)
		goto out;
	/* It listens already: backlog 0 says so. The descriptor stays ours. */
	err = ERR_NOMEM;
	listener = evconnlistener_new(server->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (listener)
		bound = evhttp_bind_listener(server->http, listener);
	if (!bound)
		goto out;
	evconnlistener_set_error_cb(listener, status_accept_failed);
	status_close(server);
	server->bound = bound;
	free(server->path);
	server->path = path;
	server->mode = options->mode;
	server->gid = options->gid;
	server->connections = 0;
	return ERR_OK;
out:
	if (listener)
		evconnlistener_free(listener);
	status_close_listener(options->loopback, fd, path);
	free(path);
	return err;
}

enum err status_server_new(struct event_base *base, const struct status_options *options,
	const struct status_provider *provider, struct status_server **out, char *why,
	size_t why_size)
{
	struct status_server *server = calloc(1, sizeof(*server));
	enum err err = ERR_NOMEM;

	snprintf(why, why_size, "%s", err_string(err));
	if (!server)
		return err;
	LIST_INSERT_HEAD(&status_servers, server, link);
	server->base = base;
	server->provider = *provider;
	server->loopback = options->loopback;
	evtimer_assign(&server->resume, base, status_resume, server);
	server->http = evhttp_new(base);
	if (!server->http)
		goto out;
	evhttp_set_gencb(server->http, status_request, server);
	evhttp_set_bevcb(server->http, status_connection, server);
	evhttp_set_timeout(server->http, STATUS_TIMEOUT_S);
	evhttp_set_max_headers_size(server->http, STATUS_HEADER_BYTES_MAX);
	evhttp_set_max_body_size(server->http, STATUS_BODY_BYTES_MAX);
	/* All it knows, so that the 405 is ours: evhttp would say 501. */
	evhttp_set_allowed_methods(
		server->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
				      EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
				      EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	err = status_listen(server, options, why, why_size);
	if (err)
		goto out;
	*out = server;
	server = NULL;
out:
	status_server_free(server);
	return err;
}

enum err status_server_reconfigure(struct status_server *server,
	const struct status_options *options, char *why, size_t why_size)
{
	if (strcmp(options->path, server->path) != 0)
		return status_listen(server, options, why, why_size);
	if (server->loopback)
		return ERR_OK;
	enum err err = unix_socket_permit(server->path, server->mode, server->gid, options->mode,
		options->gid, why, why_size);
	if (err)
		return err;
	server->mode = options->mode;
	server->gid = options->gid;
	return ERR_OK;
}

void status_server_free(struct status_server *server)
{
	if (!server)
		return;
	status_close(server);
	if (server->http)
		evhttp_free(server->http);
	LIST_REMOVE(server, link);
	free(server->path);
	free(server);
}
