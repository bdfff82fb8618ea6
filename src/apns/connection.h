/* SPDX-License-Identifier: MIT */
#ifndef APNS_CONNECTION_H
#define APNS_CONNECTION_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <pbxpush/base/err.h>

#include "resolver.h"
#include "tls.h"
#include <pbxpush/apns/endpoint.h>
#include <pbxpush/apns/session.h>

struct event_base;

/*
 * One connection to APNs: dials, shakes hands, pumps bytes between socket and session, keeps time.
 * connecting -> ready -> draining -> dead; connecting and ready may die directly. A draining one
 * finishes the streams it has and takes no more.
 */
struct connection;

enum connection_state {
	CONNECTION_CONNECTING,
	CONNECTION_READY,
	CONNECTION_DRAINING,
	CONNECTION_DEAD,
};

/* Why a connection left `connecting` or `ready`. */
enum connection_fault {
	FAULT_NONE, /* we wanted it */
	FAULT_DNS,
	FAULT_CONNECTION,
	FAULT_TLS,
	FAULT_PROXY,
	FAULT_GOAWAY,
	FAULT_PROTOCOL,
	FAULT_SILENT,  /* no answer to a PING, or none to push after push */
	FAULT_ANSWERS, /* answers that say: use another one */
};

/* dns, tls, proxy or connection: the `reason` of a push that this keeps from being sent. */
const char *connection_fault_reason(enum connection_fault fault);

struct connection_options {
	struct event_base *base;
	const char *route_name; /* for the log */
	uint64_t serial;        /* for the log, and to tell connections apart after their death */
	SSL_CTX *tls;           /* referenced */
	struct tls_memory *tls_memory;
	struct resolver *resolver;
	struct endpoint endpoint;
	struct proxy proxy;
	int64_t connect_timeout_ms, response_timeout_ms, ping_interval_ms, ping_timeout_ms;
};

/* None of these is called from inside connection_submit(), _cancel() or _flush(); the owner may
 * do everything in them but free the connection. */
struct connection_owner {
	void *arg;
	unsigned (*penalty)(void *arg, const struct sockaddr *address);
	/* The state changed, to that of connection_state(). Streams that were open are told
	 * first. */
	void (*changed)(void *arg, struct connection *connection, enum connection_state before);
	/* GOAWAY told something new: connection_why(), _alarm() and _goaway_reason() are of it. Before
	 * the state changes, or on a draining connection. */
	void (*goaway)(void *arg, struct connection *connection);
	/* A stream ended: its `end` is set. It is the owner's again. */
	void (*ended)(void *arg, struct connection *connection, struct stream *stream);
	/* An event of this connection has been worked off: there may be room for more. */
	void (*settled)(void *arg, struct connection *connection);
	/* Idle for ping-interval: true to let it go in place of a PING. */
	bool (*surplus)(void *arg, struct connection *connection);
};

/* Starts dialling. */
enum err connection_new(const struct connection_options *options,
	const struct connection_owner *owner, struct connection **out);

/* Closes without a word to the owner; its streams must have ended (connection_kill). NULL is
 * fine. */
void connection_free(struct connection *connection);

/* Other timeouts from now on, for what is out already, too. */
void connection_set_timeouts(struct connection *connection, int64_t response_ms,
	int64_t ping_interval_ms, int64_t ping_ms);

/* ready -> draining: no more requests, close when the last stream has ended. A connecting one
 * dies. */
void connection_retire(struct connection *connection, enum connection_fault fault, const char *why);

/* -> dead at once. Open streams end. */
void connection_kill(struct connection *connection, enum connection_fault fault, const char *why);

/* True when a push may be submitted: ready, not silent, socket writable, room in the session. */
bool connection_has_room(const struct connection *connection, size_t payload_len);

/* Hands in a request; nothing is written before connection_flush(). */
enum err connection_submit(struct connection *connection, struct stream *stream,
	const struct session_request *request, int64_t now_us);

/* RST_STREAM(CANCEL). The stream is the owner's again, with its `end` set; `ended` is not
 * called. */
void connection_cancel(struct connection *connection, struct stream *stream);

/* Calls `ended` for a stream that was cancelled, where its owner finds that it was answered. */
void connection_tell(struct connection *connection, struct stream *stream);

/* connection_cancel(), if the request has surely not been sent to its end; false
 * otherwise. */
bool connection_withdraw(struct connection *connection, struct stream *stream);

/* Writes what was submitted, many requests to one TLS record. Failure shows up later as an
 * event. */
void connection_flush(struct connection *connection);

enum connection_state connection_state(const struct connection *connection);
enum connection_fault connection_fault(const struct connection *connection);
const char *connection_why(const struct connection *connection); /* "" or a sentence */
bool connection_alarm(const struct connection *connection);      /* an administrator must mend it */
const char *connection_goaway_reason(const struct connection *connection);
uint64_t connection_serial(const struct connection *connection);
unsigned connection_streams(const struct connection *connection);
unsigned connection_stream_limit(const struct connection *connection);
int64_t connection_ready_us(const struct connection *connection); /* 0: never was */
int64_t connection_date_s(const struct connection *connection);   /* of the last answer; -1 */

/* The address it is connected to, or tries first; NULL before it is known. */
const struct sockaddr *connection_peer(const struct connection *connection);

/* True when a PING is out and pushes wait in silence: others go elsewhere until the peer speaks. */
bool connection_is_silent(const struct connection *connection);

/* What the owner counts on it. */
struct connection_record {
	unsigned good;       /* accepted pushes */
	unsigned bad_in_row; /* 5xx and timeouts since the last answer that was neither */
	bool answered;       /* at least once, with anything */
};
struct connection_record *connection_record(struct connection *connection);

#endif
