/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>
#include <pbxpush/core/outcome.h>

#include "dialer.h"
#include "route_internal.h"

#define BACKOFF_BASE_MS    250
#define BACKOFF_WAITING_MS 5000     /* the longest pause while pushes wait */
#define BACKOFF_IDLE_MS    60000    /* and while none does */
#define GROW_AFTER_US      50000    /* waiting for room this long justifies another connection */
#define PROVEN_US          10000000 /* ready for so long, a connection was no failure */

unsigned pool_count(const struct route *route, enum connection_state state)
{
	unsigned n = 0;

	for (size_t i = 0; i < route->connection_count; i++)
		n += connection_state(route->connections[i]) == state;
	return n;
}

bool pool_has_other(const struct route *route, const struct connection *connection,
	const struct delivery *delivery)
{
	for (size_t i = 0; i < route->connection_count; i++)
		if (route->connections[i] != connection &&
			connection_has_room(route->connections[i], delivery->payload_len))
			return true;
	return false;
}

struct connection *pool_pick(const struct route *route, const struct delivery *delivery)
{
	struct connection *best = NULL;
	bool best_avoided = false;

	for (size_t i = 0; i < route->connection_count; i++) {
		struct connection *connection = route->connections[i];
		bool avoided = connection_serial(connection) == delivery->avoid;
		if (!connection_has_room(connection, delivery->payload_len))
			continue;
		if (best && avoided > best_avoided)
			continue;
		if (best && avoided == best_avoided &&
			connection_streams(connection) >= connection_streams(best))
			continue;
		best = connection;
		best_avoided = avoided;
	}
	return best;
}

/* ---- failures ---- */

static int64_t backoff_us(const struct route *route)
{
	int64_t cap_ms = route->waiting ? BACKOFF_WAITING_MS : BACKOFF_IDLE_MS;

	return 1000 *
	       retry_backoff_ms(route->failures - 1, BACKOFF_BASE_MS, cap_ms, route_random());
}

/* Where the address stands among the bad ones: from 1 on, a greater rank for a newer failure; 0: it
 * is none of them. */
static size_t bad_rank(const struct route *route, const struct sockaddr *address)
{
	size_t rank = route->bad_count;

	while (rank && !address_equal((const struct sockaddr *)&route->bad[rank - 1], address))
		rank--;
	return rank;
}

static void bad_remove(struct route *route, size_t rank)
{
	if (rank)
		memmove(&route->bad[rank - 1], &route->bad[rank],
			(route->bad_count-- - rank) * sizeof(route->bad[0]));
}

static void bad_add(struct route *route, const struct sockaddr *address)
{
	bad_remove(route, bad_rank(route, address));
	if (route->bad_count == BAD_ADDRESSES)
		bad_remove(route, 1);
	memcpy(&route->bad[route->bad_count++], address,
		address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					       : sizeof(struct sockaddr_in));
}

static void pool_failed(struct route *route, const struct connection *connection, int64_t now_us)
{
	const struct sockaddr *peer = connection_peer(connection);

	if (route->failures < 30)
		route->failures++;
	route->retry_us = now_us + backoff_us(route);
	route->fault_reason = connection_fault_reason(connection_fault(connection));
	snprintf(route->last_error, sizeof(route->last_error), "%s", connection_why(connection));
	if (peer)
		bad_add(route, peer);
	route->failed_serial = connection_serial(connection);
}

void pool_is_good(struct route *route, const struct connection *connection)
{
	/* That an older one still works says nothing about opening another: counted as success,
	 * each of its pushes would be followed by an attempt to connect. */
	if (connection_serial(connection) < route->failed_serial)
		return;
	route->failures = 0;
	route->retry_us = 0;
	route->last_error[0] = '\0';
	if (!route->alarm_lane)
		route_clear_alarm(route);
}

static void pool_is_ready(struct route *route, const struct connection *connection, int64_t now_us)
{
	const struct sockaddr *peer = connection_peer(connection);

	if (!route->lost) { /* else only an answer shows that pushes work */
		route->last_good_us = now_us;
		route->needed_since_us = 0;
	}
	if (route->alarm_is_connect)
		route_clear_alarm(route);
	if (peer)
		bad_remove(route, bad_rank(route, peer));
	route_wake_awaiting(route); /* on_settled() pumps */
}

static void pool_alarm(
	struct route *route, const struct connection *connection, enum connection_state before)
{
	if (strcmp(route->alarm, connection_why(connection)) == 0)
		return;
	snprintf(route->alarm, sizeof(route->alarm), "%s", connection_why(connection));
	route->alarm_lane = NULL;
	route->alarm_is_connect = before == CONNECTION_CONNECTING;
	log_error("apns", "route=%s alarm=\"%s\"", route->name, route->alarm);
}

/* What became of a connection in state `from`, and what that means for the next one. */
static void pool_blame(
	struct route *route, struct connection *connection, enum connection_state from)
{
	int64_t now_us = clock_mono_us();
	bool alarm = connection_alarm(connection);
	/* One that drains has been counted as a failure, if it was one. */
	bool proven =
		connection_record(connection)->good || from == CONNECTION_DRAINING ||
		(from == CONNECTION_READY && now_us - connection_ready_us(connection) > PROVEN_US);

	if (alarm)
		pool_alarm(route, connection, from);
	if (!proven || alarm)
		pool_failed(route, connection, now_us);
	else
		snprintf(route->last_error, sizeof(route->last_error), "%s",
			connection_why(connection));
}

static void on_goaway(void *arg, struct connection *connection)
{
	struct route *route = arg;
	const struct apns_observer *observer = route->owner.observer;

	if (observer->goaway)
		observer->goaway(observer->arg, connection_goaway_reason(connection));
	pool_blame(route, connection, connection_state(connection));
}

static void on_changed(void *arg, struct connection *connection, enum connection_state before)
{
	struct route *route = arg;
	enum connection_fault fault = connection_fault(connection);
	int64_t now_us = clock_mono_us();

	switch (connection_state(connection)) {
	case CONNECTION_CONNECTING:
		return;
	case CONNECTION_READY:
		pool_is_ready(route, connection, now_us);
		return;
	case CONNECTION_DRAINING:
	case CONNECTION_DEAD:
		break;
	}
	/* The dead are freed, and replaced, from the loop. */
	event_active(route->soon, EV_TIMEOUT, 0);
	if (before == CONNECTION_DRAINING)
		return; /* counted when it began to drain */
	if (fault == FAULT_NONE || fault == FAULT_GOAWAY)
		return; /* nobody's, or told by on_goaway() */
	pool_blame(route, connection, before);
}

/* ---- opening ---- */

/* Prefers addresses that no other connection uses, and of those that failed the one that failed
 * longest ago: each has its turn. */
static unsigned on_penalty(void *arg, const struct sockaddr *address)
{
	const struct route *route = arg;
	unsigned penalty = 0;

	for (size_t i = 0; i < route->connection_count; i++) {
		const struct connection *connection = route->connections[i];
		const struct sockaddr *peer = connection_peer(connection);
		if (peer && connection_state(connection) != CONNECTION_DEAD &&
			address_equal(peer, address))
			penalty++;
	}
	return penalty + (unsigned)bad_rank(route, address) * CONNECTIONS_MAX;
}

static void on_ended(void *arg, struct connection *connection, struct stream *stream)
{
	answer_take(arg, connection, map_entry(stream, struct delivery, stream));
}

static void on_settled(void *arg, struct connection *connection)
{
	/* What it lost goes out again from the loop, after the other connections have been heard:
	 * often they all end at the same moment. */
	if (connection_state(connection) != CONNECTION_DEAD)
		route_pump(arg);
}

/* What serves: connecting ones, and ready ones that are not silent. */
static unsigned pool_live(const struct route *route)
{
	unsigned n = pool_count(route, CONNECTION_CONNECTING);

	for (size_t i = 0; i < route->connection_count; i++)
		n += connection_state(route->connections[i]) == CONNECTION_READY &&
		     !connection_is_silent(route->connections[i]);
	return n;
}

static bool on_surplus(void *arg, struct connection *connection)
{
	const struct route *route = arg;

	(void)connection;
	return pool_count(route, CONNECTION_READY) > route->options.connections;
}

static bool pool_open(struct route *route)
{
	const struct route_options *options = &route->options;
	const struct connection_options wish = {
		.base = route->base,
		.route_name = route->name,
		.serial = ++route->last_serial,
		.tls = options->tls,
		.tls_memory = &route->tls_memory,
		.resolver = route->resolver,
		.endpoint = options->endpoint,
		.proxy = options->proxy,
		.connect_timeout_ms = options->connect_timeout_ms,
		.response_timeout_ms = options->response_timeout_ms,
		.ping_interval_ms = options->ping_interval_ms,
		.ping_timeout_ms = options->ping_timeout_ms,
	};
	const struct connection_owner owner = {
		.arg = route,
		.penalty = on_penalty,
		.changed = on_changed,
		.goaway = on_goaway,
		.ended = on_ended,
		.settled = on_settled,
		.surplus = on_surplus,
	};
	enum err err = connection_new(&wish, &owner, &route->connections[route->connection_count]);

	if (err)
		log_error("apns", "route=%s cannot open a connection: %s", route->name,
			err_string(err));
	else
		route->connection_count++;
	return !err;
}

/* Pushes wait although connections are ready: one more, each time they have waited long enough. */
static bool pool_grows(struct route *route, int64_t now_us)
{
	if (!route->waiting || !pool_count(route, CONNECTION_READY)) {
		route->grow_us = 0;
		return false;
	}
	if (!route->grow_us)
		route->grow_us = now_us + GROW_AFTER_US;
	if (now_us < route->grow_us || pool_count(route, CONNECTION_CONNECTING))
		return false;
	route->grow_us = now_us + GROW_AFTER_US;
	return true;
}

/* A push must not go back to where it had a 5xx. */
static bool pool_needs_other(struct route *route)
{
	bool wanted = route->other_wanted && !pool_count(route, CONNECTION_CONNECTING);

	route->other_wanted = false;
	return wanted;
}

/* A silent connection counts no more: most likely it is dead, and pushes wait for another. */
static bool pool_is_full(const struct route *route)
{
	return route->connection_count == CONNECTIONS_MAX ||
	       pool_live(route) >= route->options.max_connections;
}

/* After a failure: one attempt at a time, and not before the pause is over. */
static bool pool_may_open(struct route *route, int64_t now_us)
{
	if (pool_is_full(route))
		return false;
	return !route->failures ||
	       (!pool_count(route, CONNECTION_CONNECTING) && now_us >= route->retry_us);
}

void pool_fill(struct route *route, int64_t now_us)
{
	if (route->ending || !route->wanted)
		return;
	if (route->waiting && !pool_count(route, CONNECTION_READY)) {
		if (!route->needed_since_us)
			route->needed_since_us = now_us;
		/* A pause that began when nobody waited is too long now. */
		if (route->retry_us > now_us + BACKOFF_WAITING_MS * 1000)
			route->retry_us = now_us + backoff_us(route);
	}
	bool other = pool_needs_other(route);
	bool grow = pool_grows(route, now_us) || other;
	while (pool_live(route) < route->options.connections || grow) {
		if (!pool_may_open(route, now_us))
			break;
		if (!pool_open(route)) { /* memory or descriptors: try again in a while */
			route->failures++;
			route->retry_us = now_us + backoff_us(route);
			break;
		}
		grow = false;
	}
}

int64_t pool_due_us(const struct route *route)
{
	int64_t due_us = INT64_MAX;

	if (route->ending || !route->wanted || pool_is_full(route) ||
		pool_count(route, CONNECTION_CONNECTING))
		return due_us;
	if (route->failures && pool_live(route) < route->options.connections)
		due_us = route->retry_us;
	if (route->grow_us && route->grow_us < due_us)
		due_us = route->grow_us;
	return due_us;
}

void pool_reap(struct route *route)
{
	size_t kept = 0;

	for (size_t i = 0; i < route->connection_count; i++) {
		if (connection_state(route->connections[i]) == CONNECTION_DEAD)
			connection_free(route->connections[i]);
		else
			route->connections[kept++] = route->connections[i];
	}
	route->connection_count = kept;
}
