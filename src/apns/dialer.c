/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dialer.h"
#include <pbxpush/apns/proxy_tunnel.h>

#define FAMILY_MAX    16 /* addresses of a family */
#define ADDRESSES_MAX (2 * FAMILY_MAX)
#define STAGGER_MS    250 /* RFC 8305 5 */

struct attempt {
	struct dialer *dialer;
	struct sockaddr_storage address;
	socklen_t address_len;
	unsigned penalty;
	int fd;
	struct event *event;
};

struct dialer {
	struct dial_options options;
	struct resolver_query query;
	struct attempt attempts[ADDRESSES_MAX];
	size_t count, started, failed;
	int64_t stagger_ms;
	struct event *timer;
	char why[160]; /* the last attempt's failure */
	/* through a proxy, after the race: */
	int fd;
	struct event *event;
	size_t sent, got;
	char request[TUNNEL_REQUEST_MAX];
	char answer[TUNNEL_ANSWER_MAX];
	const struct attempt *winner;
};

static void dialer_start_next(struct dialer *dialer);

static void attempt_stop(struct attempt *attempt)
{
	if (attempt->event)
		event_free(attempt->event);
	if (attempt->fd >= 0)
		close(attempt->fd);
	attempt->event = NULL;
	attempt->fd = -1;
}

static void dialer_stop(struct dialer *dialer)
{
	for (size_t i = 0; i < dialer->count; i++)
		attempt_stop(&dialer->attempts[i]);
	if (dialer->timer)
		event_del(dialer->timer);
}

/* The last thing an event of the dialer does: it may be gone afterwards. */
static void dialer_fail(struct dialer *dialer, enum dial_fault fault, bool alarm, const char *why)
{
	struct dial_result result = {.fd = -1, .fault = fault, .alarm = alarm};

	dialer_stop(dialer);
	snprintf(result.why, sizeof(result.why), "%s", why);
	dialer->options.done(dialer->options.arg, &result);
}

static void dialer_succeed(struct dialer *dialer)
{
	struct dial_result result = {.fd = dialer->fd, .peer = dialer->winner->address};

	if (dialer->event)
		event_free(dialer->event);
	dialer->event = NULL;
	dialer->fd = -1; /* the receiver's from here on */
	dialer->options.done(dialer->options.arg, &result);
}

/* ---- the proxy ---- */

static void on_tunnel(evutil_socket_t fd, short what, void *arg)
{
	struct dialer *dialer = arg;
	size_t len = strlen(dialer->request);
	char why[160];
	bool alarm;

	if (what & EV_WRITE && dialer->sent < len) {
		ssize_t n =
			send(fd, dialer->request + dialer->sent, len - dialer->sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			dialer_fail(dialer, DIAL_PROXY, false, strerror(errno));
			return;
		}
		if (n > 0)
			dialer->sent += (size_t)n;
	}
	if (what & EV_READ) {
		ssize_t n = recv(
			fd, dialer->answer + dialer->got, sizeof(dialer->answer) - dialer->got, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			dialer_fail(dialer, DIAL_PROXY, false,
				n ? strerror(errno) : "proxy closes the connection");
			return;
		}
		if (n > 0)
			dialer->got += (size_t)n;
		switch (tunnel_answer(dialer->answer, dialer->got, &alarm, why, sizeof(why))) {
		case TUNNEL_MORE:
			break;
		case TUNNEL_OPEN:
			dialer_succeed(dialer);
			return;
		case TUNNEL_REFUSED:
			dialer_fail(dialer, DIAL_PROXY, alarm, why);
			return;
		}
	}
	/* Level-triggered and one-shot: wait for the answer, and for room while the request is
	 * unsent. */
	event_free(dialer->event);
	dialer->event = event_new(dialer->options.base, fd,
		EV_READ | (dialer->sent < len ? EV_WRITE : 0), on_tunnel, dialer);
	if (!dialer->event || event_add(dialer->event, NULL))
		dialer_fail(dialer, DIAL_PROXY, false, "out of memory");
}

static void dialer_won(struct dialer *dialer, struct attempt *attempt)
{
	const struct dial_options *options = &dialer->options;

	dialer->winner = attempt;
	dialer->fd = attempt->fd;
	attempt->fd = -1;
	dialer_stop(dialer);
	if (!options->proxy) {
		dialer_succeed(dialer);
		return;
	}
	tunnel_request(options->proxy, options->target, dialer->request);
	dialer->event = event_new(options->base, dialer->fd, EV_WRITE | EV_READ, on_tunnel, dialer);
	if (!dialer->event || event_add(dialer->event, NULL))
		dialer_fail(dialer, DIAL_PROXY, false, "out of memory");
}

/* ---- the race of the addresses ---- */

static enum dial_fault dialer_connect_fault(const struct dialer *dialer)
{
	return dialer->options.proxy ? DIAL_PROXY : DIAL_CONNECTION;
}

static void attempt_failed(struct attempt *attempt, int fault)
{
	struct dialer *dialer = attempt->dialer;
	char peer[64];

	address_format((struct sockaddr *)&attempt->address, peer);
	snprintf(dialer->why, sizeof(dialer->why), "%s: %s", peer, strerror(fault));
	attempt_stop(attempt);
	dialer->failed++;
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *attempt = arg;
	struct dialer *dialer = attempt->dialer;
	int fault = 0;
	socklen_t len = sizeof(fault);

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &len) < 0)
		fault = errno;
	if (!fault) {
		dialer_won(dialer, attempt);
		return;
	}
	attempt_failed(attempt, fault);
	dialer_start_next(dialer);
}

static bool attempt_start(struct attempt *attempt)
{
	const struct sockaddr *address = (struct sockaddr *)&attempt->address;
	int fault = 0;

	attempt->fd =
		socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (attempt->fd < 0 ||
		(connect(attempt->fd, address, attempt->address_len) < 0 && errno != EINPROGRESS)) {
		fault = errno;
	} else {
		/* Connected at once or later: both make it writable. */
		attempt->event = event_new(attempt->dialer->options.base, attempt->fd, EV_WRITE,
			on_connected, attempt);
		if (!attempt->event || event_add(attempt->event, NULL))
			fault = ENOMEM;
	}
	if (fault)
		attempt_failed(attempt, fault);
	return !fault;
}

static void dialer_start_next(struct dialer *dialer)
{
	while (dialer->started < dialer->count) {
		const struct timeval pause = {
			.tv_sec = dialer->stagger_ms / 1000,
			.tv_usec = dialer->stagger_ms % 1000 * 1000,
		};
		if (!attempt_start(&dialer->attempts[dialer->started++]))
			continue;
		if (dialer->started < dialer->count)
			event_add(dialer->timer, &pause);
		return;
	}
	if (dialer->failed == dialer->count)
		dialer_fail(dialer, dialer_connect_fault(dialer), false, dialer->why);
}

static void on_stagger(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	dialer_start_next(arg);
}

/* Stable, so that among equals getaddrinfo's order (RFC 6724) stands. Families take turns. */
static void dialer_sort(struct dialer *dialer)
{
	struct attempt *list = dialer->attempts;

	for (size_t i = 1; i < dialer->count; i++) {
		struct attempt moved = list[i];
		size_t at = i;
		for (; at > 0 && list[at - 1].penalty > moved.penalty; at--)
			list[at] = list[at - 1];
		list[at] = moved;
	}
	for (size_t i = 1; i + 1 < dialer->count; i++) {
		size_t other = i;
		while (other < dialer->count && list[other].penalty == list[i].penalty &&
			list[other].address.ss_family == list[i - 1].address.ss_family)
			other++;
		if (other == dialer->count || list[other].penalty != list[i].penalty)
			continue;
		struct attempt moved = list[other];
		memmove(&list[i + 1], &list[i], (other - i) * sizeof(*list));
		list[i] = moved;
	}
}

static void on_resolved(void *arg, const struct addrinfo *list, const char *why)
{
	struct dialer *dialer = arg;
	const struct dial_options *options = &dialer->options;
	size_t of_family[2] = {0};

	for (; list; list = list->ai_next) {
		struct attempt *attempt = &dialer->attempts[dialer->count];
		size_t *family = &of_family[list->ai_family == AF_INET6];
		if ((list->ai_family != AF_INET && list->ai_family != AF_INET6) ||
			list->ai_addrlen > sizeof(attempt->address) || *family == FAMILY_MAX)
			continue;
		++*family;
		*attempt = (struct attempt){.dialer = dialer, .fd = -1};
		memcpy(&attempt->address, list->ai_addr, list->ai_addrlen);
		attempt->address_len = list->ai_addrlen;
		attempt->penalty = options->penalty(options->arg, list->ai_addr);
		dialer->count++;
	}
	if (!dialer->count) {
		dialer_fail(dialer, options->proxy ? DIAL_PROXY : DIAL_DNS, false,
			why ? why : "no address");
		return;
	}
	dialer_sort(dialer);
	/* The last address still needs its share of the time. */
	dialer->stagger_ms = options->timeout_ms / (int64_t)(dialer->count + 1);
	if (dialer->stagger_ms > STAGGER_MS)
		dialer->stagger_ms = STAGGER_MS;
	dialer_start_next(dialer);
}

enum err dialer_new(const struct dial_options *options, struct dialer **out)
{
	enum err err = ERR_NOMEM;
	struct dialer *dialer = calloc(1, sizeof(*dialer));

	if (!dialer)
		goto out;
	dialer->options = *options;
	dialer->fd = -1;
	dialer->query.done = on_resolved;
	dialer->query.arg = dialer;
	dialer->timer = evtimer_new(options->base, on_stagger, dialer);
	if (!dialer->timer)
		goto out;
	err = resolver_ask(options->resolver, &dialer->query);
out:
	if (err)
		dialer_free(dialer);
	else
		*out = dialer;
	return err;
}

void dialer_free(struct dialer *dialer)
{
	if (!dialer)
		return;
	resolver_cancel(dialer->options.resolver, &dialer->query);
	dialer_stop(dialer);
	if (dialer->timer)
		event_free(dialer->timer);
	if (dialer->event)
		event_free(dialer->event);
	if (dialer->fd >= 0)
		close(dialer->fd);
	free(dialer);
}

enum dial_fault dialer_waits_for(const struct dialer *dialer)
{
	if (dialer->options.proxy)
		return DIAL_PROXY;
	return dialer->query.pending ? DIAL_DNS : DIAL_CONNECTION;
}

const struct sockaddr *dialer_peer(const struct dialer *dialer)
{
	if (dialer->winner)
		return (const struct sockaddr *)&dialer->winner->address;
	return dialer->started ? (const struct sockaddr *)&dialer->attempts[0].address : NULL;
}
