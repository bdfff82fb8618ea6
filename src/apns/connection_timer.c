/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <pbxpush/base/clock.h>

#include "connection_internal.h"

#define MS(ms) ((int64_t)(ms)*1000)

static int64_t later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- when ---- */

/* When an idle connection gets its PING: counted from the last traffic of either side. */
static int64_t idle_ping_us(const struct connection *connection)
{
	return later_of(connection->last_read_us, connection->last_write_us) +
	       MS(connection->options.ping_interval_ms);
}

/* When silence becomes suspicious; only while pushes are unanswered. */
static int64_t silence_us(const struct connection *connection, int64_t oldest_us)
{
	return later_of(connection->last_read_us, oldest_us) + MS(SILENCE_MS);
}

static void sooner(int64_t *due_us, int64_t at_us)
{
	if (at_us < *due_us)
		*due_us = at_us;
}

static int64_t next_due_us(const struct connection *connection)
{
	const struct connection_options *options = &connection->options;
	int64_t due_us = INT64_MAX;

	if (connection->state == CONNECTION_CONNECTING)
		return connection->started_us + MS(options->connect_timeout_ms);
	int64_t oldest_us = session_oldest_us(connection->session);
	if (connection->ping_sent_us)
		sooner(&due_us, connection->ping_sent_us + MS(options->ping_timeout_ms));
	if (oldest_us && !connection->ping_suspicious)
		sooner(&due_us, silence_us(connection, oldest_us));
	if (!oldest_us && !connection->ping_sent_us)
		sooner(&due_us, idle_ping_us(connection));
	if (oldest_us)
		sooner(&due_us, oldest_us + MS(options->response_timeout_ms));
	if (connection->window_short_us && connection->state == CONNECTION_READY)
		sooner(&due_us, connection->window_short_us + MS(WINDOW_SHORT_MS));
	return due_us;
}

/* Short at each look it is with a busy peer, too, which opens it again and again. */
static void watch_window(struct connection *connection, int64_t now_us)
{
	uint64_t updates = session_window_updates(connection->session);

	if (!session_window_is_short(connection->session))
		connection->window_short_us = 0;
	else if (!connection->window_short_us || updates != connection->window_updates)
		connection->window_short_us = now_us;
	connection->window_updates = updates;
}

/* Moved forward only: a timer that fires too soon looks again, which is cheaper than moving it with
 * every push. */
void connection_arm(struct connection *connection, int64_t now_us)
{
	if (connection->state == CONNECTION_READY)
		watch_window(connection, now_us);
	int64_t due_us = next_due_us(connection);
	if (connection->timer_due_us && connection->timer_due_us <= due_us)
		return;
	int64_t wait_us = later_of(due_us - now_us, 0);
	const struct timeval wait = {
		.tv_sec = (time_t)(wait_us / 1000000),
		.tv_usec = (suseconds_t)(wait_us % 1000000),
	};
	connection->timer_due_us = due_us;
	event_add(connection->timer, &wait);
}

void connection_set_timeouts(struct connection *connection, int64_t response_ms,
	int64_t ping_interval_ms, int64_t ping_ms)
{
	if (connection->state == CONNECTION_DEAD)
		return;
	connection->options.response_timeout_ms = response_ms;
	connection->options.ping_interval_ms = ping_interval_ms;
	connection->options.ping_timeout_ms = ping_ms;
	connection_tune(connection);
	connection_arm(connection, clock_mono_us());
}

/* ---- what ---- */

static void connect_timed_out(struct connection *connection)
{
	enum connection_fault fault = FAULT_CONNECTION;
	const char *what = "TLS handshake";

	if (connection->dialer) {
		switch (dialer_waits_for(connection->dialer)) {
		case DIAL_DNS:
			fault = FAULT_DNS;
			what = "name server";
			break;
		case DIAL_CONNECTION:
			what = "TCP connection";
			break;
		case DIAL_PROXY:
			fault = FAULT_PROXY;
			what = "proxy";
			break;
		}
	}
	char why[64];
	snprintf(why, sizeof(why), "connect-timeout: no %s in time", what);
	connection_kill(connection, fault, why);
}

static void ping(struct connection *connection, int64_t now_us)
{
	if (!session_ping(connection->session))
		connection->ping_sent_us = now_us;
}

static void check_ping(struct connection *connection, int64_t now_us)
{
	if (now_us < connection->ping_sent_us + MS(connection->options.ping_timeout_ms))
		return;
	/* Whoever sends other things is alive, only slow with the ACK. */
	if (connection->last_read_us > connection->ping_sent_us)
		connection->ping_sent_us = now_us;
	else
		connection_kill(connection, FAULT_SILENT, "no answer to PING");
}

/* A PING that is out already, because the connection was idle, asks as well as another would. */
static void check_silence(struct connection *connection, int64_t now_us)
{
	int64_t oldest_us = session_oldest_us(connection->session);

	if (!oldest_us || connection->ping_suspicious || now_us < silence_us(connection, oldest_us))
		return;
	if (!connection->ping_sent_us)
		ping(connection, now_us);
	connection->ping_suspicious = connection->ping_sent_us != 0;
	session_shed(connection->session);
}

static void check_idleness(struct connection *connection, int64_t now_us)
{
	if (connection->ping_sent_us || session_oldest_us(connection->session) ||
		now_us < idle_ping_us(connection))
		return;
	if (connection->state == CONNECTION_READY &&
		connection->owner.surplus(connection->owner.arg, connection))
		connection_retire(connection, FAULT_NONE, "idle and more than needed");
	else
		ping(connection, now_us);
}

static void check_liveness(struct connection *connection, int64_t now_us)
{
	if (connection->ping_sent_us)
		check_ping(connection, now_us);
	if (connection->state == CONNECTION_DEAD)
		return;
	check_silence(connection, now_us);
	check_idleness(connection, now_us);
}

void connection_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;
	int64_t now_us = clock_mono_us();

	(void)fd, (void)what;
	connection->timer_due_us = 0;
	if (connection->state == CONNECTION_CONNECTING) {
		if (now_us >= next_due_us(connection))
			connect_timed_out(connection);
	} else if (connection->state != CONNECTION_DEAD) {
		session_expire(
			connection->session, now_us - MS(connection->options.response_timeout_ms));
		if (connection->state == CONNECTION_READY && connection->window_short_us &&
			now_us >= connection->window_short_us + MS(WINDOW_SHORT_MS)) {
			connection_retire(connection, FAULT_SILENT, "the peer's window stays shut");
			session_shed(connection->session);
		}
		check_liveness(connection, now_us);
	}
	connection_settle(connection);
	connection_flush(connection);
}
