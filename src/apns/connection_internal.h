/* SPDX-License-Identifier: MIT */
#ifndef APNS_CONNECTION_INTERNAL_H
#define APNS_CONNECTION_INTERNAL_H

#include <event2/event.h>

#include "connection.h"
#include "dialer.h"

#define OUT_BYTES       16384 /* one TLS record of the largest size */
#define SILENCE_MS      2000  /* without a byte while pushes wait: PING sooner than ping-interval */
#define WINDOW_SHORT_MS 2000  /* a window that stays shut so long does not open again */

/* Shared by connection.c (states, the owner's calls), connection_io.c (socket, TLS) and
 * connection_timer.c (what happens when nothing happens). */
struct connection {
	struct connection_options options;
	struct connection_owner owner;
	struct connection_record record;
	enum connection_state state;
	enum connection_fault fault;
	bool closing; /* our own GOAWAY is out */
	bool broken;  /* connection_settle() is to kill it */
	bool alarm;
	char why[160];
	const char *goaway_reason;
	struct dialer *dialer;
	int fd;
	struct sockaddr_storage peer;
	SSL *ssl;
	bool shaken; /* the TLS handshake is done */
	struct session *session;
	struct event *readable, *writable;
	struct event *timer, *soon; /* soon: activated; setting the timer anew would undo that */
	int64_t timer_due_us;       /* 0: not armed */
	int64_t started_us, ready_us, last_read_us, last_write_us;
	int64_t ping_sent_us;    /* 0: none is out */
	bool ping_suspicious;    /* pushes wait, and it is silent */
	int64_t window_short_us; /* since when, without a WINDOW_UPDATE; 0: it is not */
	uint64_t window_updates; /* seen by then */
	bool blocked;            /* the socket takes no more */
	size_t out_len;
	uint8_t out[OUT_BYTES];
};

/* The one place where the state changes. */
void connection_set_state(struct connection *connection, enum connection_state state);

/* It is over: noted with its cause, done by connection_settle(). */
void connection_break(struct connection *connection, enum connection_fault fault, const char *why);

/* The TCP connection stands: starts TLS. */
void connection_start_tls(struct connection *connection, int fd);

/* Sets the socket's options, if there is one. */
void connection_tune(const struct connection *connection);

/* Closes socket and TLS. */
void connection_close_socket(struct connection *connection);

/* Works off what an event brought: ended streams, GOAWAY, the end of a drain. Last in each
 * event. */
void connection_settle(struct connection *connection);

/* Sets the timer for the next thing that time will bring. */
void connection_arm(struct connection *connection, int64_t now_us);
void connection_on_timer(evutil_socket_t fd, short what, void *arg);

#endif
