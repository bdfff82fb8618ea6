/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <pbxpush/base/clock.h>

#include "connection_internal.h"

#define READ_BYTES 16384
#define READS_MAX  256 /* an event; then others have their turn */

void connection_tune(const struct connection *connection)
{
	const struct connection_options *options = &connection->options;
	const int on = 1;
	/* The kernel gives up on unacknowledged bytes when we would, not after 15 minutes. */
	const unsigned user_timeout_ms =
		(unsigned)(options->response_timeout_ms + options->ping_timeout_ms);

	if (connection->fd < 0)
		return;
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(connection->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms,
		sizeof(user_timeout_ms));
}

void connection_close_socket(struct connection *connection)
{
	if (connection->readable)
		event_free(connection->readable);
	if (connection->writable)
		event_free(connection->writable);
	connection->readable = connection->writable = NULL;
	if (connection->ssl) {
		/* After a fatal error OpenSSL forbids it. */
		if (connection->shaken && !connection->broken)
			SSL_shutdown(connection->ssl);
		SSL_free(connection->ssl);
		connection->ssl = NULL;
		ERR_clear_error();
	}
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

/* A handshake, read or write failed for good; connection_settle() ends it. */
static void connection_tls_broken(struct connection *connection, int rv)
{
	char why[160];
	int error = SSL_get_error(connection->ssl, rv);
	bool fault = tls_fault(connection->ssl, error, why, sizeof(why)) &&
		     connection->state == CONNECTION_CONNECTING;

	if (fault)
		connection->alarm = true;
	connection_break(connection, fault ? FAULT_TLS : FAULT_CONNECTION, why);
}

/* ---- handshake ---- */

static void connection_shaken(struct connection *connection)
{
	char authority[300];

	if (!tls_speaks_h2(connection->ssl)) {
		connection->alarm = true;
		connection_break(connection, FAULT_TLS, "the server does not speak h2 (ALPN)");
		return;
	}
	endpoint_authority(&connection->options.endpoint, false, authority);
	if (session_new(authority, &connection->session)) {
		connection_break(connection, FAULT_CONNECTION, "out of memory");
		return;
	}
	connection->shaken = true;
	connection->ready_us = connection->last_read_us = clock_mono_us();
	connection_set_state(connection, CONNECTION_READY);
}

static void connection_shake(struct connection *connection)
{
	ERR_clear_error();
	int rv = SSL_do_handshake(connection->ssl);
	if (rv == 1) {
		connection_shaken(connection);
		return;
	}
	switch (SSL_get_error(connection->ssl, rv)) {
	case SSL_ERROR_WANT_READ:
		break;
	case SSL_ERROR_WANT_WRITE:
		event_add(connection->writable, NULL);
		break;
	default:
		connection_tls_broken(connection, rv);
	}
}

/* ---- bytes ---- */

/* Fills the buffer with whole and part frames, so that many requests share a record. */
static bool connection_fill(struct connection *connection, int64_t now_us)
{
	size_t len = 0;
	enum err err = session_produce(connection->session, connection->out + connection->out_len,
		OUT_BYTES - connection->out_len, &len, now_us);

	connection->out_len += len;
	if (err)
		connection_break(connection, FAULT_PROTOCOL, err_string(err));
	return !err && connection->out_len > 0;
}

static void connection_write(struct connection *connection)
{
	int64_t now_us = clock_mono_us();

	while (!connection->blocked && !connection->broken && connection_fill(connection, now_us)) {
		ERR_clear_error();
		int rv = SSL_write(connection->ssl, connection->out, (int)connection->out_len);
		if (rv > 0) {
			session_sent(connection->session, (size_t)rv);
			connection->out_len = 0; /* no partial writes: all of it, or nothing */
			connection->last_write_us = now_us;
			continue;
		}
		switch (SSL_get_error(connection->ssl, rv)) {
		case SSL_ERROR_WANT_WRITE:
			connection->blocked = true;
			event_add(connection->writable, NULL);
			break;
		case SSL_ERROR_WANT_READ: /* a key update; tried again after the next read */
			return;
		default:
			connection_tls_broken(connection, rv);
			return;
		}
	}
}

static void connection_read(struct connection *connection)
{
	uint8_t in[READ_BYTES];

	for (int i = 0; i < READS_MAX; i++) {
		ERR_clear_error();
		int rv = SSL_read(connection->ssl, in, sizeof(in));
		if (rv <= 0) {
			int error = SSL_get_error(connection->ssl, rv);
			if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
				connection_tls_broken(connection, rv);
			return;
		}
		connection->last_read_us = clock_mono_us();
		connection->ping_suspicious = false;
		enum err err = session_receive(connection->session, in, (size_t)rv);
		if (err) {
			connection_break(connection, FAULT_PROTOCOL, "the peer breaks HTTP/2");
			return;
		}
	}
	/* OpenSSL may hold more than the descriptor tells. */
	event_active(connection->readable, EV_READ, 0);
}

void connection_flush(struct connection *connection)
{
	if (connection->state != CONNECTION_READY && connection->state != CONNECTION_DRAINING)
		return;
	connection_write(connection);
	/* nghttp2 has told a peer that breaks the protocol so, and wants no more. */
	if (!connection->closing && session_is_over(connection->session))
		connection_break(connection, FAULT_PROTOCOL, "the peer breaks HTTP/2");
	if (connection->broken) /* told from the loop, never from in here */
		event_active(connection->soon, EV_TIMEOUT, 0);
	else /* the first push after a silence is due sooner than the idle PING */
		connection_arm(connection, clock_mono_us());
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;

	(void)fd, (void)what;
	if (connection->state == CONNECTION_CONNECTING)
		connection_shake(connection);
	if (connection->shaken && !connection->broken)
		connection_read(connection);
	connection_settle(connection);
	connection_flush(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;

	(void)fd, (void)what;
	connection->blocked = false;
	if (connection->state == CONNECTION_CONNECTING)
		connection_shake(connection);
	connection_settle(connection);
	connection_flush(connection);
}

void connection_start_tls(struct connection *connection, int fd)
{
	const struct connection_options *options = &connection->options;

	connection->fd = fd;
	connection_tune(connection);
	connection->readable =
		event_new(options->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
	connection->writable = event_new(options->base, fd, EV_WRITE, on_writable, connection);
	if (!connection->readable || !connection->writable ||
		event_add(connection->readable, NULL) ||
		tls_client_new(options->tls, fd, &options->endpoint, options->tls_memory,
			&connection->ssl)) {
		connection_break(connection, FAULT_CONNECTION, "out of memory");
		return;
	}
	connection_shake(connection);
}
