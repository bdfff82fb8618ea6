/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_APNS_PEER_H
#define TESTS_UNIT_APNS_PEER_H

#include <event2/event.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A push service that does what a test tells it, over real TLS on a free port of loopback and in
 * the test's own event loop. Each request is shown to `script`, which answers, or does something
 * else.
 */
#define PEER_CONNECTIONS_MAX 256

struct peer_connection;

struct peer_request {
	struct peer_connection *connection;
	int32_t id;
	char path[600], authorization[512], apns_id[64], topic[128], body[6000];
	size_t body_len;
	struct peer_request *next;
};

struct peer_connection {
	struct peer *peer;
	int number; /* from 1 */
	int fd;
	SSL *ssl;
	nghttp2_session *h2;
	struct event *event;
	bool shaken, closed;
	struct peer_request *requests; /* open ones, answered or not */
	unsigned open, open_max;
	int served; /* requests seen */
};

struct peer {
	struct event_base *base;
	SSL_CTX *tls;
	struct event *listener;
	int fd;
	int port;
	uint32_t limit; /* MAX_CONCURRENT_STREAMS of new connections */
	const char *alpn;
	bool keep_window;         /* never open the connection's window again */
	const char *proxy_answer; /* act as a proxy first: CONNECT is answered with this */
	char proxy_saw[2048];
	void (*script)(struct peer *peer, struct peer_request *request);
	struct peer_connection *connections[PEER_CONNECTIONS_MAX];
	int count, requests, resumed, resets, pings;
	uint32_t reset_code;
	char last_authorization[512];
};

static inline void peer_close(struct peer_connection *connection)
{
	struct peer_request *request;

	if (connection->closed)
		return;
	connection->closed = true;
	event_free(connection->event);
	while ((request = connection->requests)) {
		connection->requests = request->next;
		free(request);
	}
	nghttp2_session_del(connection->h2);
	SSL_free(connection->ssl);
	close(connection->fd);
}

static inline void peer_flush(struct peer_connection *connection)
{
	const uint8_t *data;
	ssize_t len;

	if (connection->closed || !connection->shaken)
		return;
	while ((len = nghttp2_session_mem_send(connection->h2, &data)) > 0)
		if (SSL_write(connection->ssl, data, (int)len) <= 0)
			break;
	if (!nghttp2_session_want_read(connection->h2) &&
		!nghttp2_session_want_write(connection->h2))
		peer_close(connection);
}

static inline ssize_t peer_read_body(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t length,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	const char *body = source->ptr;
	size_t len = strlen(body);

	(void)h2, (void)id, (void)arg;
	if (len > length)
		len = length;
	memcpy(buf, body, len);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

static inline nghttp2_nv peer_nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
		strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* True when bytes lie in its socket that it did not read. */
static inline bool peer_has_unread(const struct peer_connection *connection)
{
	char byte;

	return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* body: a string that lives on, or "". Sent by the event that follows. */
static inline void peer_answer(struct peer_request *request, const char *status, const char *body)
{
	if (!request) /* the test counted wrong */
		abort();
	const nghttp2_nv nv[] = {
		peer_nv(":status", status),
		peer_nv("apns-id", request->apns_id),
	};
	const nghttp2_data_provider provider = {
		.source.ptr = (void *)(uintptr_t)body,
		.read_callback = peer_read_body,
	};

	nghttp2_submit_response(
		request->connection->h2, request->id, nv, 2, *body ? &provider : NULL);
}

static inline void peer_refuse(struct peer_request *request, uint32_t code)
{
	nghttp2_submit_rst_stream(request->connection->h2, NGHTTP2_FLAG_NONE, request->id, code);
}

static inline void peer_set_limit(struct peer_connection *connection, uint32_t limit)
{
	const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limit};

	nghttp2_submit_settings(connection->h2, NGHTTP2_FLAG_NONE, &entry, 1);
}

static inline struct peer_request *peer_request_of(struct peer_connection *connection, int32_t id)
{
	struct peer_request *request = connection->requests;

	while (request && request->id != id)
		request = request->next;
	return request;
}

static inline int peer_on_begin(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct peer_connection *connection = arg;
	struct peer_request *request = calloc(1, sizeof(*request));

	(void)h2;
	if (!request)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	request->connection = connection;
	request->id = frame->hd.stream_id;
	request->next = connection->requests;
	connection->requests = request;
	if (++connection->open > connection->open_max)
		connection->open_max = connection->open;
	return 0;
}

static inline int peer_on_header(nghttp2_session *h2, const nghttp2_frame *frame,
	const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
	void *arg)
{
	struct peer_request *request = peer_request_of(arg, frame->hd.stream_id);
	const struct {
		const char *name;
		char *to;
		size_t size;
	} kept[] = {
		{":path", request->path, sizeof(request->path)},
		{"authorization", request->authorization, sizeof(request->authorization)},
		{"apns-id", request->apns_id, sizeof(request->apns_id)},
		{"apns-topic", request->topic, sizeof(request->topic)},
	};

	(void)h2, (void)flags;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strlen(kept[i].name) == name_len && memcmp(kept[i].name, name, name_len) == 0)
			snprintf(kept[i].to, kept[i].size, "%.*s", (int)value_len,
				(const char *)value);
	return 0;
}

static inline int peer_on_data(
	nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
	struct peer_request *request = peer_request_of(arg, id);

	(void)h2, (void)flags;
	if (request && request->body_len + len < sizeof(request->body)) {
		memcpy(request->body + request->body_len, data, len);
		request->body_len += len;
	}
	return 0;
}

static inline int peer_on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct peer_connection *connection = arg;
	struct peer *peer = connection->peer;

	(void)h2;
	if (frame->hd.type == NGHTTP2_RST_STREAM) {
		peer->resets++;
		peer->reset_code = frame->rst_stream.error_code;
	}
	if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
		peer->pings++;
	if (frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		struct peer_request *request = peer_request_of(connection, frame->hd.stream_id);
		if (!request)
			return 0;
		peer->requests++;
		connection->served++;
		snprintf(peer->last_authorization, sizeof(peer->last_authorization), "%s",
			request->authorization);
		peer->script(peer, request);
	}
	return 0;
}

static inline int peer_on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *arg)
{
	struct peer_connection *connection = arg;

	(void)h2, (void)code;
	for (struct peer_request **at = &connection->requests, *request; (request = *at);) {
		if (request->id != id) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		free(request);
		connection->open--;
	}
	return 0;
}

static inline void peer_start_h2(struct peer_connection *connection)
{
	nghttp2_session_callbacks *callbacks;

	connection->shaken = true;
	connection->peer->resumed += SSL_session_reused(connection->ssl);
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, peer_on_begin);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, peer_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, peer_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, peer_on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, peer_on_close);
	nghttp2_option *option;
	nghttp2_option_new(&option);
	nghttp2_option_set_no_auto_window_update(option, connection->peer->keep_window);
	nghttp2_session_server_new2(&connection->h2, callbacks, connection, option);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	peer_set_limit(connection, connection->peer->limit);
}

static inline void peer_play_proxy(struct peer_connection *connection)
{
	struct peer *peer = connection->peer;
	ssize_t n = recv(connection->fd, peer->proxy_saw, sizeof(peer->proxy_saw) - 1, 0);

	if (n <= 0) {
		peer_close(connection);
		return;
	}
	peer->proxy_saw[n] = '\0';
	send(connection->fd, peer->proxy_answer, strlen(peer->proxy_answer), MSG_NOSIGNAL);
}

static inline void peer_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct peer_connection *connection = arg;
	struct peer *peer = connection->peer;
	uint8_t in[16384];
	int n;

	(void)fd, (void)what;
	if (peer->proxy_answer && !peer->proxy_saw[0]) {
		peer_play_proxy(connection);
		return;
	}
	if (!connection->shaken) {
		n = SSL_accept(connection->ssl);
		if (n != 1) {
			if (SSL_get_error(connection->ssl, n) != SSL_ERROR_WANT_READ)
				peer_close(connection);
			return;
		}
		peer_start_h2(connection);
	}
	while (!connection->closed && (n = SSL_read(connection->ssl, in, sizeof(in))) > 0)
		if (nghttp2_session_mem_recv(connection->h2, in, (size_t)n) < 0)
			break;
	if (!connection->closed &&
		(n > 0 || SSL_get_error(connection->ssl, n) != SSL_ERROR_WANT_READ))
		peer_close(connection);
	peer_flush(connection);
}

static inline void peer_on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct peer *peer = arg;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct peer_connection *connection = calloc(1, sizeof(*connection));

	(void)what;
	if (fd < 0 || !connection || peer->count == PEER_CONNECTIONS_MAX)
		abort();
	connection->peer = peer;
	connection->fd = fd;
	connection->ssl = SSL_new(peer->tls);
	SSL_set_fd(connection->ssl, fd);
	connection->event =
		event_new(peer->base, fd, EV_READ | EV_PERSIST, peer_on_event, connection);
	event_add(connection->event, NULL);
	peer->connections[peer->count++] = connection;
	connection->number = peer->count;
}

static inline int peer_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	const struct peer *peer = arg;

	(void)ssl, (void)in, (void)in_len;
	if (!*peer->alpn)
		return SSL_TLSEXT_ERR_NOACK;
	*out = (const unsigned char *)peer->alpn;
	*out_len = (unsigned char)strlen(peer->alpn);
	return SSL_TLSEXT_ERR_OK;
}

/* A certificate of its own for `names` (as in subjectAltName), valid from now for `days`. The
 * caller frees both. */
static inline X509 *peer_certificate(const char *names, long days, EVP_PKEY **key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

	*key = EVP_EC_gen("P-256");
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400 - 3600);
	X509_set_pubkey(cert, *key);
	X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)"peer", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	X509_sign(cert, *key, EVP_sha256());
	return cert;
}

static inline void peer_listen(struct peer *peer)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)peer->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(address);
	const int on = 1;

	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(peer->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(peer->fd, 64) < 0 ||
		getsockname(peer->fd, (struct sockaddr *)&address, &len) < 0)
		abort();
	peer->port = ntohs(address.sin_port);
	peer->listener =
		event_new(peer->base, peer->fd, EV_READ | EV_PERSIST, peer_on_accept, peer);
	event_add(peer->listener, NULL);
}

/* Connections are refused from here on, until peer_listen(). */
static inline void peer_deafen(struct peer *peer)
{
	if (!peer->listener)
		return;
	event_free(peer->listener);
	peer->listener = NULL;
	close(peer->fd);
}

static inline void peer_use_certificate(struct peer *peer, X509 *cert, EVP_PKEY *key)
{
	SSL_CTX_use_certificate(peer->tls, cert);
	SSL_CTX_use_PrivateKey(peer->tls, key);
}

static inline void peer_start(struct peer *peer, struct event_base *base)
{
	*peer = (struct peer){.base = base, .limit = 1000, .alpn = "h2", .fd = -1};
	peer->tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_session_id_context(peer->tls, (const unsigned char *)"peer", 4);
	SSL_CTX_set_alpn_select_cb(peer->tls, peer_on_alpn, peer);
	peer_listen(peer);
}

static inline void peer_stop(struct peer *peer)
{
	peer_deafen(peer);
	for (int i = 0; i < peer->count; i++) {
		peer_close(peer->connections[i]);
		free(peer->connections[i]);
	}
	SSL_CTX_free(peer->tls);
}

#endif
