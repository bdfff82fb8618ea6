/* SPDX-License-Identifier: MIT */
#ifndef SIMULATOR_CONNECTION_H
#define SIMULATOR_CONNECTION_H

#include "simulator.h"

enum sim_conn_state {
	SIM_HANDSHAKE,
	SIM_OPEN,
	SIM_CLOSING,   /* what was answered goes out, nothing more is read as HTTP/2 */
	SIM_LINGERING, /* FIN is out; the rest is thrown away: no RST overtakes our GOAWAY */
};

struct sim_conn {
	LIST_ENTRY(sim_conn) next;
	struct sim *sim;
	int64_t number; /* from 1, in the order of accept */
	int fd;
	SSL *ssl;
	nghttp2_session *http2;
	struct event read_event, write_event, linger_timer;
	enum sim_conn_state state;
	struct sim_fault fault;
	struct sim_requests requests;

	uint32_t open;       /* streams */
	uint32_t limit;      /* MAX_CONCURRENT_STREAMS last sent */
	uint32_t full_limit; /* that which the first good request brings */
	bool resumed;        /* the TLS session of an earlier connection */
	bool raised;         /* the first good request has come */
	int32_t last_stream; /* highest id the client used */
	size_t withheld;     /* bytes of the window not given back */
	bool failed;         /* the session has; it must not be asked any more */
	bool pumping;        /* the caller will pump, and free where dead */
	bool dirty;          /* to be pumped when the timer's round is over */
	bool dead;

	int32_t goaway_last; /* streams above are not answered; INT32_MAX before GOAWAY */
	bool goaway_seen;    /* the client has answered the PING behind our GOAWAY */
	bool goaway_keep;    /* do not close when the last stream is done */
	const char *doom; /* the client broke a rule: GOAWAY(ENHANCE_YOUR_CALM) with this reason */

	int64_t requests_seen, last_ping_us;
	unsigned generation;       /* of the apps at the first push, 0 before */
	const struct sim_app *app; /* of the first push */
	char *authorization;       /* last one verified, with its verdict */
	struct sim_jwt jwt;

	struct buf out; /* not yet written to TLS, from out_sent on */
	size_t out_sent;
};

/* connection.c: a socket, TLS, and bytes to and from the session */

/* Of the log and the figures. */
const char *sim_conn_state_name(enum sim_conn_state state);

/* Takes fd over. */
void sim_conn_accept(struct sim *sim, int fd, const char *peer);

/* Moves what can be moved; call after anything that gave the session something to send. */
void sim_conn_pump(struct sim_conn *conn);

/* Sends what is written, then FIN. */
void sim_conn_close(struct sim_conn *conn);

/* TCP RST at once. conn is freed at the end of the running callback at the latest. */
void sim_conn_reset(struct sim_conn *conn);

void sim_conn_free(struct sim_conn *conn);

void sim_conn_pause(struct sim_conn *conn, bool paused);

/* Queues bytes past the session: they go out behind what it has written so far. */
void sim_conn_write_raw(struct sim_conn *conn, const void *data, size_t len);

/* session.c: HTTP/2 */

enum err sim_session_new(struct sim_conn *conn);

/* Changes MAX_CONCURRENT_STREAMS now. */
void sim_session_set_limit(struct sim_conn *conn, uint32_t limit);

/* Changes INITIAL_WINDOW_SIZE now, of open streams too, and widens the connection's where it is more
 * than 65,535. */
void sim_session_set_window(struct sim_conn *conn, uint32_t window);

/* Sends GOAWAY. last_stream -1: the last one seen; INT32_MAX: a warning (RFC 9113 6.8). reason: for
 * the debug data, NULL: none. */
void sim_session_goaway(
	struct sim_conn *conn, int32_t last_stream, uint32_t code, const char *reason);

/* True when a GOAWAY was sent and every stream that it covers is done. */
bool sim_session_is_drained(const struct sim_conn *conn);

/* Gives the window back that was withheld. */
void sim_session_open_window(struct sim_conn *conn);

/* Gives a request back, whose stream is gone. */
void sim_request_release(struct sim_request *request);

/* A rule of the protocol was broken: counted and logged. */
void sim_violation(struct sim_conn *conn, const char *what, int64_t stream);

#endif
