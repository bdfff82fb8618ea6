/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>
#include <pbxpush/pbx/evapi.h>

#include "dial.h"
#include "evapi_link.h"

#define EVAPI_BACKOFF_MIN_MS 100
#define EVAPI_BACKOFF_MAX_MS 5000
/* A connection that lasted this long was a good one: the next is tried at once. */
#define EVAPI_GOOD_US        INT64_C(5000000)
/* A peer that has vanished is found out within about half a minute. */
#define EVAPI_IDLE_SECONDS   20
#define EVAPI_PROBE_SECONDS  5
#define EVAPI_PROBES         3
#define EVAPI_UNACKED_MS     20000

enum evapi_state {
	EVAPI_OFF,        /* no address, or stopped */
	EVAPI_WAITING,    /* for the next try */
	EVAPI_CONNECTING, /* dial is under way */
	EVAPI_CONNECTED,  /* there is a link */
};

struct evapi {
	struct event_base *base;
	const struct event_sink *sink;
	struct reply_port port;
	char *address;
	enum client_role role;
	size_t max_line;
	bool stopping;

	enum evapi_state state;
	struct event retry;
	struct dial *dial;
	struct evapi_link *link;
	uint64_t link_id; /* of the last one: a reply to another is late */
	int64_t connected_us, backoff_ms;
	char last_error[160]; /* why the last try or connection came to nothing */
	bool distrusted;      /* somebody who speaks no netstrings has answered at the address */
};

static void set_option(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof(value));
}

static bool peer_is_loopback(int fd)
{
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	const struct sockaddr_in *v4 = (const void *)&peer;
	const struct sockaddr_in6 *v6 = (const void *)&peer;

	if (getpeername(fd, (struct sockaddr *)&peer, &len))
		return true; /* it has gone already */
	if (peer.ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
		       v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
}

/* The one place where the state changes. What is said again and again is said once. */
static void evapi_enter(struct evapi *evapi, enum evapi_state state, const char *why)
{
	static const char *const names[] = {"off", "waiting", "connecting", "connected"};
	const char *before = names[evapi->state];
	bool known = !strcmp(why, evapi->last_error);

	evapi->state = state;
	switch (state) {
	case EVAPI_OFF:
		log_notice("evapi", "%s: %s -> off", evapi->address, before);
		break;
	case EVAPI_WAITING:
		snprintf(evapi->last_error, sizeof(evapi->last_error), "%s", why);
		if (known)
			log_debug("evapi", "%s: %s -> waiting: %s", evapi->address, before, why);
		else
			log_warning("evapi", "%s: %s -> waiting: %s", evapi->address, before, why);
		break;
	case EVAPI_CONNECTING:
		log_debug("evapi", "%s: %s -> connecting", evapi->address, before);
		break;
	case EVAPI_CONNECTED:
		if (evapi->distrusted) {
			log_debug("evapi", "%s: %s -> connected", evapi->address, before);
			break;
		}
		evapi->last_error[0] = '\0';
		log_notice("evapi", "%s: %s -> connected", evapi->address, before);
		break;
	}
}

/* Some time later, which grows with each try in vain. The jitter keeps several gateways that lost
 * one Kamailio from coming back in step. */
static void evapi_wait(struct evapi *evapi, const char *why)
{
	uint32_t half_ms = (uint32_t)evapi->backoff_ms / 2;
	int64_t delay_ms = half_ms + arc4random_uniform(half_ms + 1);

	evapi_enter(evapi, EVAPI_WAITING, why);
	event_add(&evapi->retry, &(struct timeval){.tv_sec = delay_ms / 1000,
					 .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000)});
	evapi->backoff_ms *= 2;
	if (evapi->backoff_ms > EVAPI_BACKOFF_MAX_MS)
		evapi->backoff_ms = EVAPI_BACKOFF_MAX_MS;
}

static void evapi_link_ended(void *arg, const char *why)
{
	struct evapi *evapi = arg;
	bool proven = evapi_link_is_proven(evapi->link);
	char text[160];

	if (evapi_link_is_broken(evapi->link))
		evapi->distrusted = true;
	else if (proven)
		evapi->distrusted = false;
	if (proven || clock_mono_us() - evapi->connected_us >= EVAPI_GOOD_US)
		evapi->backoff_ms = EVAPI_BACKOFF_MIN_MS;
	snprintf(text, sizeof(text), "%s", why ? why : ""); /* it goes with the link */
	evapi_link_free(evapi->link);
	evapi->link = NULL;
	if (evapi->stopping)
		evapi_enter(evapi, EVAPI_OFF, text);
	else
		evapi_wait(evapi, text);
}

static void evapi_dialed(void *arg, int fd, const char *why)
{
	struct evapi *evapi = arg;
	struct evapi_link_options options = {.sink = evapi->sink,
		.to = {.port = &evapi->port, .client = ++evapi->link_id},
		.role = evapi->role,
		.max_line = evapi->max_line,
		.ended = evapi_link_ended,
		.arg = evapi};

	if (fd < 0) {
		char text[160];
		snprintf(text, sizeof(text), "%s", why); /* it goes with the dial */
		dial_free(evapi->dial);
		evapi->dial = NULL;
		evapi_wait(evapi, text);
		return;
	}
	dial_free(evapi->dial);
	evapi->dial = NULL;
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, EVAPI_IDLE_SECONDS);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, EVAPI_PROBE_SECONDS);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, EVAPI_PROBES);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, EVAPI_UNACKED_MS);
	if (evapi_link_new(evapi->base, fd, &options, &evapi->link)) {
		close(fd);
		evapi_wait(evapi, "out of memory");
		return;
	}
	evapi->connected_us = clock_mono_us();
	if (!peer_is_loopback(fd) && !evapi->distrusted)
		log_warning("evapi", "%s is another machine: calls travel in plain text",
			evapi->address);
	evapi_enter(evapi, EVAPI_CONNECTED, "");
}

static void evapi_connect(evutil_socket_t fd, short what, void *arg)
{
	struct evapi *evapi = arg;
	enum err err;

	(void)fd;
	(void)what;
	err = dial_new(evapi->base, evapi->address, evapi_dialed, evapi, &evapi->dial);
	if (err)
		evapi_wait(evapi, err_string(err));
	else
		evapi_enter(evapi, EVAPI_CONNECTING, "");
}

/* Whatever is under way, a connection too, is given up. */
static void evapi_disconnect(struct evapi *evapi)
{
	event_del(&evapi->retry);
	dial_free(evapi->dial);
	evapi->dial = NULL;
	evapi_link_free(evapi->link);
	evapi->link = NULL;
	if (evapi->state != EVAPI_OFF)
		evapi_enter(evapi, EVAPI_OFF, "");
}

static void evapi_reply(
	void *self, struct reply_to to, enum event_error_code code, const char *text, size_t len)
{
	struct evapi *evapi = self;

	(void)code; /* the text says it */
	if (evapi->link && to.client == evapi->link_id)
		evapi_link_reply(evapi->link, text, len);
}

enum err evapi_new(struct event_base *base, const struct evapi_options *options,
	const struct event_sink *sink, struct evapi **out)
{
	struct evapi *evapi = calloc(1, sizeof(*evapi));

	if (!evapi || !(evapi->address = strdup(""))) {
		free(evapi);
		return ERR_NOMEM;
	}
	evapi->base = base;
	evapi->sink = sink;
	evapi->port = (struct reply_port){.self = evapi, .reply = evapi_reply};
	evtimer_assign(&evapi->retry, base, evapi_connect, evapi);
	if (evapi_reconfigure(evapi, options)) {
		evapi_free(evapi);
		return ERR_NOMEM;
	}
	*out = evapi;
	return ERR_OK;
}

enum err evapi_reconfigure(struct evapi *evapi, const struct evapi_options *options)
{
	char *address = strdup(options->address);

	if (!address)
		return ERR_NOMEM;
	evapi->role = options->role;
	evapi->max_line = options->max_line;
	if (evapi->link)
		evapi_link_configure(evapi->link, options->role, options->max_line);
	if (!strcmp(address, evapi->address)) {
		free(address);
		return ERR_OK;
	}
	evapi_disconnect(evapi);
	free(evapi->address);
	evapi->address = address;
	evapi->backoff_ms = EVAPI_BACKOFF_MIN_MS;
	evapi->last_error[0] = '\0';
	evapi->distrusted = false;
	if (address[0] && !evapi->stopping)
		event_add(&evapi->retry, &(struct timeval){0});
	return ERR_OK;
}

void evapi_stop(struct evapi *evapi)
{
	evapi->stopping = true;
	if (evapi->link)
		evapi_link_retire(evapi->link);
	else
		evapi_disconnect(evapi);
}

bool evapi_is_drained(const struct evapi *evapi)
{
	return !evapi->link;
}

void evapi_stats(const struct evapi *evapi, struct evapi_stats *out)
{
	*out = (struct evapi_stats){.address = evapi->address,
		.connected = evapi->state == EVAPI_CONNECTED,
		.owed = evapi->link ? evapi_link_owed(evapi->link) : 0,
		.last_error = evapi->last_error};
}

void evapi_free(struct evapi *evapi)
{
	if (!evapi)
		return;
	evapi->stopping = true;
	evapi_disconnect(evapi);
	free(evapi->address);
	free(evapi);
}
