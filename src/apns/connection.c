/* SPDX-License-Identifier: MIT */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>
#include <pbxpush/core/outcome.h>

#include "connection_internal.h"

static const char *state_name(enum connection_state state)
{
	switch (state) {
	case CONNECTION_CONNECTING:
		return "connecting";
	case CONNECTION_READY:
		return "ready";
	case CONNECTION_DRAINING:
		return "draining";
	case CONNECTION_DEAD:
		return "dead";
	}
	return "?";
}

const char *connection_fault_reason(enum connection_fault fault)
{
	switch (fault) {
	case FAULT_DNS:
		return "dns";
	case FAULT_TLS:
		return "tls";
	case FAULT_PROXY:
		return "proxy";
	case FAULT_NONE:
	case FAULT_CONNECTION:
	case FAULT_GOAWAY:
	case FAULT_PROTOCOL:
	case FAULT_SILENT:
	case FAULT_ANSWERS:
		break;
	}
	return "connection";
}

void connection_set_state(struct connection *connection, enum connection_state state)
{
	enum connection_state before = connection->state;
	char peer[64] = "-";

	if (state == before)
		return;
	connection->state = state;
	if (connection_peer(connection))
		address_format(connection_peer(connection), peer);
	void (*log)(const char *, const char *, ...) =
		connection->fault == FAULT_NONE ? log_info : log_notice;
	log("apns", "connection=%s#%llu peer=%s state=\"%s -> %s\" streams=%u%s%s%s",
		connection->options.route_name, (unsigned long long)connection->options.serial,
		peer, state_name(before), state_name(state), connection_streams(connection),
		*connection->why ? " why=\"" : "", connection->why, *connection->why ? "\"" : "");
	connection->owner.changed(connection->owner.arg, connection, before);
}

/* ---- birth and death ---- */

static void on_dialed(void *arg, const struct dial_result *result)
{
	static const enum connection_fault FAULTS[] = {
		[DIAL_DNS] = FAULT_DNS,
		[DIAL_CONNECTION] = FAULT_CONNECTION,
		[DIAL_PROXY] = FAULT_PROXY,
	};
	struct connection *connection = arg;

	if (result->fd >= 0) {
		connection->peer = result->peer;
		connection_start_tls(connection, result->fd);
		dialer_free(connection->dialer);
		connection->dialer = NULL;
	} else {
		connection->alarm = result->alarm;
		connection_break(connection, FAULTS[result->fault], result->why);
	}
	connection_settle(connection);
}

static unsigned on_penalty(void *arg, const struct sockaddr *address)
{
	const struct connection *connection = arg;

	return connection->owner.penalty(connection->owner.arg, address);
}

static enum err connection_dial(struct connection *connection)
{
	const struct connection_options *options = &connection->options;
	const struct dial_options dial = {
		.base = options->base,
		.resolver = options->resolver,
		.proxy = *options->proxy.at.host ? &options->proxy : NULL,
		.target = &options->endpoint,
		.timeout_ms = options->connect_timeout_ms,
		.penalty = on_penalty,
		.done = on_dialed,
		.arg = connection,
	};

	return dialer_new(&dial, &connection->dialer);
}

enum err connection_new(const struct connection_options *options,
	const struct connection_owner *owner, struct connection **out)
{
	enum err err = ERR_NOMEM;
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return err;
	connection->options = *options;
	connection->owner = *owner;
	connection->fd = -1;
	connection->goaway_reason = "none";
	connection->started_us = clock_mono_us();
	SSL_CTX_up_ref(options->tls);
	connection->timer = evtimer_new(options->base, connection_on_timer, connection);
	connection->soon = event_new(options->base, -1, 0, connection_on_timer, connection);
	if (connection->timer && connection->soon)
		err = connection_dial(connection);
	if (err) {
		connection_free(connection);
		return err;
	}
	connection_arm(connection, connection->started_us);
	*out = connection;
	return ERR_OK;
}

void connection_free(struct connection *connection)
{
	if (!connection)
		return;
	connection_close_socket(connection);
	dialer_free(connection->dialer);
	session_free(connection->session);
	if (connection->timer)
		event_free(connection->timer);
	if (connection->soon)
		event_free(connection->soon);
	SSL_CTX_free(connection->options.tls);
	free(connection);
}

static void connection_blame(
	struct connection *connection, enum connection_fault fault, const char *why)
{
	if (connection->fault != FAULT_NONE)
		return; /* the first cause counts */
	connection->fault = fault;
	snprintf(connection->why, sizeof(connection->why), "%s", why);
}

/* GOAWAY's data names the real reason (`BadCertificateEnvironment`, ...), its code rarely does. A
 * later one says more than a warning, or than our own cause to drain: the last counts. */
static void connection_note_goaways(struct connection *connection)
{
	const struct session_goaway *goaway;

	while (connection->session && (goaway = session_next_goaway(connection->session))) {
		const char *reason =
			outcome_goaway_reason(goaway->data, goaway->len, &connection->alarm);
		connection->goaway_reason = *reason ? reason : "none";
		connection->fault = FAULT_GOAWAY;
		snprintf(connection->why, sizeof(connection->why), "GOAWAY error=%u reason=%s",
			goaway->error, connection->goaway_reason);
		log_notice("apns", "connection=%s#%llu goaway=\"%s\"",
			connection->options.route_name,
			(unsigned long long)connection->options.serial, connection->why);
		connection->owner.goaway(connection->owner.arg, connection);
	}
}

void connection_break(struct connection *connection, enum connection_fault fault, const char *why)
{
	connection_note_goaways(
		connection); /* often followed by the end of the connection at once */
	connection_blame(connection, fault, why);
	connection->broken = true;
}

static void connection_tell_ended(struct connection *connection)
{
	struct stream *stream;

	while (connection->session && (stream = session_next_ended(connection->session)))
		connection_tell(connection, stream);
}

void connection_kill(struct connection *connection, enum connection_fault fault, const char *why)
{
	if (connection->state == CONNECTION_DEAD)
		return;
	connection_blame(connection, fault, why);
	connection_close_socket(connection);
	event_del(connection->timer);
	if (connection->session)
		session_abandon(connection->session);
	/* Dead before its streams are told, so that none of them comes back here. */
	connection_set_state(connection, CONNECTION_DEAD);
	connection_tell_ended(connection);
	dialer_free(connection->dialer);
	connection->dialer = NULL;
}

void connection_retire(struct connection *connection, enum connection_fault fault, const char *why)
{
	if (connection->state == CONNECTION_CONNECTING) {
		connection_kill(connection, fault, why);
	} else if (connection->state == CONNECTION_READY) {
		connection_blame(connection, fault, why);
		connection_set_state(connection, CONNECTION_DRAINING);
		/* It may have nothing to finish: looked at from the loop. */
		event_active(connection->soon, EV_TIMEOUT, 0);
	}
}

/* ---- requests ---- */

bool connection_has_room(const struct connection *connection, size_t payload_len)
{
	return connection->state == CONNECTION_READY && !connection->blocked &&
	       !connection->broken && !connection->ping_suspicious &&
	       session_has_room(connection->session, payload_len);
}

enum err connection_submit(struct connection *connection, struct stream *stream,
	const struct session_request *request, int64_t now_us)
{
	if (connection->state != CONNECTION_READY)
		return ERR_CLOSED;
	return session_submit(connection->session, stream, request, now_us);
}

void connection_cancel(struct connection *connection, struct stream *stream)
{
	session_cancel(connection->session, stream);
}

void connection_tell(struct connection *connection, struct stream *stream)
{
	connection->owner.ended(connection->owner.arg, connection, stream);
}

bool connection_withdraw(struct connection *connection, struct stream *stream)
{
	if (!session_is_unsent(stream))
		return false;
	session_cancel(connection->session, stream);
	return true;
}

/* ---- what an event brought ---- */

void connection_settle(struct connection *connection)
{
	int64_t now_us = clock_mono_us();

	if (connection->session && connection->state != CONNECTION_DEAD) {
		if (session_ping_answered(connection->session))
			connection->ping_sent_us = 0;
		/* GOAWAY first: what it refused must find this connection closed for requests. */
		connection_note_goaways(connection);
		if (session_peer_is_leaving(connection->session))
			connection_retire(connection, FAULT_GOAWAY, "GOAWAY");
		if (session_ids_are_short(connection->session))
			connection_retire(connection, FAULT_NONE, "stream ids are running out");
		connection_tell_ended(connection);
	}
	if (connection->broken) {
		connection_kill(connection, FAULT_CONNECTION, "");
	} else if (connection->state == CONNECTION_DRAINING &&
		   session_open_streams(connection->session) == 0) {
		connection->closing = true;
		session_close(connection->session);
		connection_flush(connection);
		connection_kill(connection, FAULT_NONE, "");
	}
	if (connection->state != CONNECTION_DEAD)
		connection_arm(connection, now_us);
	connection->owner.settled(connection->owner.arg, connection);
}

/* ---- what others may know ---- */

enum connection_state connection_state(const struct connection *connection)
{
	return connection->state;
}

enum connection_fault connection_fault(const struct connection *connection)
{
	return connection->fault;
}

const char *connection_why(const struct connection *connection)
{
	return connection->why;
}

bool connection_alarm(const struct connection *connection)
{
	return connection->alarm;
}

const char *connection_goaway_reason(const struct connection *connection)
{
	return connection->goaway_reason;
}

uint64_t connection_serial(const struct connection *connection)
{
	return connection->options.serial;
}

unsigned connection_streams(const struct connection *connection)
{
	return connection->session ? session_open_streams(connection->session) : 0;
}

unsigned connection_stream_limit(const struct connection *connection)
{
	return connection->state == CONNECTION_READY ? session_stream_limit(connection->session)
						     : 0;
}

int64_t connection_ready_us(const struct connection *connection)
{
	return connection->ready_us;
}

int64_t connection_date_s(const struct connection *connection)
{
	return connection->session ? session_date_s(connection->session) : -1;
}

const struct sockaddr *connection_peer(const struct connection *connection)
{
	if (connection->peer.ss_family != AF_UNSPEC)
		return (const struct sockaddr *)&connection->peer;
	return connection->dialer ? dialer_peer(connection->dialer) : NULL;
}

bool connection_is_silent(const struct connection *connection)
{
	return connection->ping_suspicious;
}

struct connection_record *connection_record(struct connection *connection)
{
	return &connection->record;
}
