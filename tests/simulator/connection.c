/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/util.h>
#include <openssl/err.h>

/* The session is asked for more only below this, so a client that does not read costs no memory. */
#define OUT_FULL_BYTES 65536
#define READ_BYTES     16384 /* a TLS record */
#define READS_A_TURN   16    /* then the other connections have their turn */
#define LINGER_S       2

const char *sim_conn_state_name(enum sim_conn_state state)
{
	static const char *const names[] = {
		[SIM_HANDSHAKE] = "handshake",
		[SIM_OPEN] = "open",
		[SIM_CLOSING] = "closing",
		[SIM_LINGERING] = "lingering",
	};

	return names[state];
}

/* Every change of state. The log has the new one as event, the old one as detail. */
static void conn_enter(struct sim_conn *conn, enum sim_conn_state state)
{
	sim_journal_event(
		conn->sim, conn, sim_conn_state_name(state), sim_conn_state_name(conn->state), -1);
	conn->state = state;
}

static void conn_end(struct sim_conn *conn)
{
	if (conn->pumping)
		conn->dead = true;
	else
		sim_conn_free(conn);
}

void sim_conn_free(struct sim_conn *conn)
{
	if (!conn)
		return;
	sim_journal_event(conn->sim, conn, "close", NULL, -1);
	LIST_REMOVE(conn, next);
	/* nghttp2_session_del() tells nothing about the streams it drops. */
	while (!LIST_EMPTY(&conn->requests))
		sim_request_release(LIST_FIRST(&conn->requests));
	nghttp2_session_del(conn->http2);
	SSL_free(conn->ssl);
	event_del(&conn->read_event);
	event_del(&conn->write_event);
	event_del(&conn->linger_timer);
	close(conn->fd);
	free(conn->authorization);
	buf_free(&conn->out);
	free(conn);
}

void sim_conn_reset(struct sim_conn *conn)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	/* A zero linger time makes close() send RST and drop what is queued. */
	setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	conn_end(conn);
}

void sim_conn_close(struct sim_conn *conn)
{
	struct timeval wait = {.tv_sec = LINGER_S, .tv_usec = 0};

	if (conn->state == SIM_HANDSHAKE) {
		conn_end(conn);
		return;
	}
	if (conn->state != SIM_OPEN)
		return;
	conn_enter(conn, SIM_CLOSING);
	evtimer_add(&conn->linger_timer, &wait);
	if (!conn->pumping)
		sim_conn_pump(conn);
}

static void conn_lingered(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	sim_conn_free(arg);
}

/* Reads and forgets: bytes left unread at close() would become an RST that may overtake our last
 * frames in the client's kernel. */
static void conn_drain(struct sim_conn *conn)
{
	char waste[READ_BYTES];
	ssize_t n;

	while ((n = read(conn->fd, waste, sizeof(waste))) > 0)
		;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		conn_end(conn);
}

static void conn_handshake(struct sim_conn *conn)
{
	const unsigned char *alpn;
	unsigned alpn_len;
	int ret;

	ERR_clear_error();
	ret = SSL_accept(conn->ssl);
	if (ret <= 0) {
		int error = SSL_get_error(conn->ssl, ret);
		const char *why;

		if (error == SSL_ERROR_WANT_READ)
			return;
		if (error == SSL_ERROR_WANT_WRITE) {
			event_add(&conn->write_event, NULL);
			return;
		}
		why = ERR_reason_error_string(ERR_peek_error());
		sim_journal_event(conn->sim, conn, "tls-failed", why ? why : "closed", -1);
		conn_end(conn);
		return;
	}
	conn->resumed = SSL_session_reused(conn->ssl);
	conn->sim->stats.resumed += conn->resumed;
	conn_enter(conn, SIM_OPEN);
	SSL_get0_alpn_selected(conn->ssl, &alpn, &alpn_len);
	if (alpn_len != 2 || memcmp(alpn, "h2", 2) != 0) {
		sim_journal_event(conn->sim, conn, "alpn", "no h2", -1);
		sim_conn_close(conn);
		return;
	}
	if (sim_session_new(conn))
		conn_end(conn);
}

/* False when there is no more to read now. */
static bool conn_read(struct sim_conn *conn)
{
	uint8_t data[READ_BYTES];
	ssize_t taken;
	int n;

	ERR_clear_error();
	n = SSL_read(conn->ssl, data, sizeof(data));
	if (n <= 0) {
		int error = SSL_get_error(conn->ssl, n);

		if (error == SSL_ERROR_ZERO_RETURN)
			sim_conn_close(conn);
		else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			conn_end(conn);
		return false;
	}
	taken = nghttp2_session_mem_recv(conn->http2, data, (size_t)n);
	conn->failed = taken < 0;
	if (conn->failed && !conn->doom) {
		sim_journal_event(
			conn->sim, conn, "protocol-error", nghttp2_strerror((int)taken), -1);
		sim_violation(conn, "protocol", -1);
		sim_conn_close(conn);
	}
	return true;
}

/* Takes from the session what it has to say. False when the session has failed. */
static bool conn_fill(struct sim_conn *conn)
{
	while (conn->http2 && !conn->failed && !conn->fault.shy && conn->out.len < OUT_FULL_BYTES) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(conn->http2, &data);

		if (n < 0)
			return false;
		if (n == 0)
			break;
		buf_add(&conn->out, data, (size_t)n);
	}
	return !conn->out.failed;
}

/* True when everything is out. */
static bool conn_flush(struct sim_conn *conn)
{
	for (;;) {
		size_t left;
		int n;

		if (!conn_fill(conn)) {
			conn_end(conn);
			return false;
		}
		left = conn->out.len - conn->out_sent;
		if (left == 0)
			break;
		ERR_clear_error();
		n = SSL_write(conn->ssl, conn->out.data + conn->out_sent,
			left > READ_BYTES ? READ_BYTES : (int)left);
		if (n <= 0) {
			int error = SSL_get_error(conn->ssl, n);

			if (error == SSL_ERROR_WANT_WRITE)
				event_add(&conn->write_event, NULL);
			else if (error != SSL_ERROR_WANT_READ)
				conn_end(conn);
			return false;
		}
		conn->out_sent += (size_t)n;
		if (conn->out_sent == conn->out.len) {
			buf_reset(&conn->out);
			conn->out_sent = 0;
		}
	}
	return true;
}

static bool conn_is_done(const struct sim_conn *conn)
{
	if (conn->state != SIM_OPEN || conn->goaway_keep)
		return false;
	return sim_session_is_drained(conn) || (!nghttp2_session_want_read(conn->http2) &&
						       !nghttp2_session_want_write(conn->http2));
}

void sim_conn_write_raw(struct sim_conn *conn, const void *data, size_t len)
{
	buf_add(&conn->out, data, len);
}

void sim_conn_pump(struct sim_conn *conn)
{
	bool was_pumping = conn->pumping;

	sim_journal_flush(conn->sim);
	conn->dirty = false;
	conn->pumping = true;
	if (!conn->dead && !conn->fault.paused && conn->state != SIM_HANDSHAKE) {
		if (conn->doom && conn->state == SIM_OPEN) {
			sim_session_goaway(conn, -1, NGHTTP2_ENHANCE_YOUR_CALM, conn->doom);
			sim_conn_close(conn);
		}
		if (conn->state != SIM_LINGERING && conn_flush(conn)) {
			if (conn_is_done(conn))
				sim_conn_close(conn);
			if (conn->state == SIM_CLOSING && !conn->dead) {
				SSL_shutdown(conn->ssl);
				shutdown(conn->fd, SHUT_WR);
				conn_enter(conn, SIM_LINGERING);
			}
		}
	}
	conn->pumping = was_pumping;
	if (conn->dead && !conn->pumping)
		sim_conn_free(conn);
}

static void conn_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct sim_conn *conn = arg;
	int reads = 0;

	(void)fd, (void)what;
	if (conn->fault.paused)
		return;
	conn->pumping = true;
	if (conn->state == SIM_HANDSHAKE) {
		conn_handshake(conn);
		/* SETTINGS first (RFC 9113 3.4): a GOAWAY is written past the session. */
		if (conn->state == SIM_OPEN && !conn->dead)
			conn_flush(conn);
	}
	while (conn->state == SIM_OPEN && conn->http2 && !conn->dead && !conn->doom &&
		!conn->fault.paused && reads < READS_A_TURN && conn_read(conn))
		reads++;
	if (conn->state == SIM_LINGERING)
		conn_drain(conn);
	/* OpenSSL may hold bytes that the kernel will not report again. */
	if (reads == READS_A_TURN)
		event_active(&conn->read_event, EV_READ, 0);
	conn->pumping = false;
	sim_conn_pump(conn);
}

static void conn_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct sim_conn *conn = arg;

	if (conn->state == SIM_HANDSHAKE)
		conn_on_read(fd, what, conn);
	else
		sim_conn_pump(conn);
}

void sim_conn_pause(struct sim_conn *conn, bool paused)
{
	if (conn->fault.paused == paused)
		return;
	conn->fault.paused = paused;
	if (paused) {
		event_del(&conn->read_event);
		event_del(&conn->write_event);
		return;
	}
	event_add(&conn->read_event, NULL);
	event_active(&conn->read_event, EV_READ, 0);
}

void sim_conn_accept(struct sim *sim, int fd, const char *peer)
{
	struct sim_conn *conn = calloc(1, sizeof(*conn));
	int on = 1;

	if (!conn) {
		close(fd);
		return;
	}
	conn->sim = sim;
	conn->number = ++sim->last_connection;
	sim->stats.connections++;
	conn->fd = fd;
	conn->fault = sim->tuning.fault;
	conn->goaway_last = INT32_MAX;
	conn->full_limit = sim->tuning.streams;
	LIST_INIT(&conn->requests);
	LIST_INSERT_HEAD(&sim->conns, conn, next);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	evutil_make_socket_nonblocking(fd);
	conn->ssl = SSL_new(sim->tls);
	event_assign(&conn->read_event, sim->base, fd, EV_READ | EV_PERSIST, conn_on_read, conn);
	event_assign(&conn->write_event, sim->base, fd, EV_WRITE, conn_on_write, conn);
	evtimer_assign(&conn->linger_timer, sim->base, conn_lingered, conn);
	sim_journal_event(sim, conn, "accept", peer, -1);
	if (!conn->ssl || !SSL_set_fd(conn->ssl, fd)) {
		sim_conn_free(conn);
		return;
	}
	if (!conn->fault.paused)
		event_add(&conn->read_event, NULL);
}
