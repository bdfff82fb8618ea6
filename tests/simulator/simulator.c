/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pbxpush/base/clock.h>

#define BACKLOG           1024
#define READ_BUFFER_BYTES 65536
#define SMALL_SEGMENT     1460 /* bytes, as on Ethernet */

int64_t sim_wall_ms(const struct sim_conn *conn)
{
	return clock_wall_ms() + conn->fault.clock_skew_s * 1000;
}

/* Chooses tuning.alpn where the client offers it, else there is an alert (RFC 7301 3.2). */
static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	const struct sim *sim = arg;
	size_t len = strlen(sim->tuning.alpn);

	(void)ssl;
	if (len == 0)
		return SSL_TLSEXT_ERR_NOACK;
	for (unsigned i = 0; i + 1 + in[i] <= in_len; i += 1u + in[i]) {
		if (in[i] == len && memcmp(in + i + 1, sim->tuning.alpn, len) == 0) {
			*out = in + i + 1;
			*out_len = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
		if (i + 1 + in[i] == in_len)
			break;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

enum err sim_load_certificate(struct sim *sim, const char *cert, const char *key)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

	if (!tls || !SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) ||
		SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
		SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(tls) != 1) {
		SSL_CTX_free(tls);
		return ERR_CRYPTO;
	}
	SSL_CTX_set_alpn_select_cb(tls, alpn_select, sim);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* One read(2) for many records: half the cost of a small request is the system call. */
	SSL_CTX_set_read_ahead(tls, 1);
	SSL_CTX_set_default_read_buffer_len(tls, READ_BUFFER_BYTES);
	SSL_CTX_free(sim->tls);
	sim->tls = tls;
	return ERR_OK;
}

static void app_free(struct sim_app *app)
{
	if (!app)
		return;
	EVP_PKEY_free(app->key);
	free(app->team);
	free(app->kid);
	free(app->bundles);
	free(app->jwt);
	free(app->previous_jwt);
	free(app);
}

static EVP_PKEY *key_load(const char *path)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = NULL;

	if (file) {
		key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
		fclose(file);
	}
	ERR_clear_error();
	return key;
}

/* The next part of spec up to `end`; *spec moves behind it. */
static char *part_take(const char **spec, char end)
{
	size_t len = end ? strcspn(*spec, (char[]){end, '\0'}) : strlen(*spec);
	char *part = strndup(*spec, len);

	*spec += len;
	*spec += **spec != '\0';
	return part;
}

enum err sim_add_app(struct sim *sim, const char *spec, char *why, size_t why_size)
{
	struct sim_app *app = calloc(1, sizeof(*app));
	const char *left = spec;
	char *path = NULL;
	enum err err = ERR_INVAL;

	if (!app) {
		snprintf(why, why_size, "%s", err_string(ERR_NOMEM));
		return ERR_NOMEM;
	}
	app->team = part_take(&left, ':');
	app->kid = part_take(&left, ':');
	path = part_take(&left, ':');
	app->bundles = part_take(&left, '\0');
	if (!app->team || !app->kid || !path || !app->bundles || !*app->team || !*app->kid ||
		!*app->bundles) {
		snprintf(why, why_size, "not TEAM:KEYID:PUBLIC_KEY_FILE:BUNDLE[,BUNDLE]: %s", spec);
		goto out;
	}
	app->key = key_load(path);
	if (!app->key) {
		snprintf(why, why_size, "no public key in PEM: %s", path);
		err = ERR_CRYPTO;
		goto out;
	}
	app->generation = ++sim->generation;
	STAILQ_INSERT_TAIL(&sim->apps, app, next);
	app = NULL;
	err = ERR_OK;
out:
	free(path);
	app_free(app);
	return err;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
	int peer_len, void *arg)
{
	char host[64] = "", port[16] = "", name[96];

	(void)listener;
	getnameinfo(peer, (socklen_t)peer_len, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(name, sizeof(name), strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	sim_conn_accept(arg, fd, name);
}

/* ADDR:PORT or [V6ADDR]:PORT; port 0 is any free one. */
static enum err address_parse(const char *text, struct sockaddr_storage *out, int *out_len)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	const char *port = strrchr(text, ':');
	bool v6 = text[0] == '[' && port && port[-1] == ']';
	char host[64];

	if (!port)
		return ERR_INVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(port - text) - 2 * v6, text + v6);
	if (getaddrinfo(host, port + 1, &hints, &found))
		return ERR_INVAL;
	memcpy(out, found->ai_addr, found->ai_addrlen);
	*out_len = (int)found->ai_addrlen;
	freeaddrinfo(found);
	return ERR_OK;
}

/*
 * The accepted sockets inherit the buffer, which must stand before listen(2) as it bounds the window
 * (tcp(7)). The segments make the client's send buffer small too: the kernel gives it room for ten at
 * least, and those of the loopback have 64 KB.
 */
static void buffer_tune(int fd, int64_t bytes)
{
	int size = (int)bytes, segment = SMALL_SEGMENT;

	if (!size)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
}

/* Bound, not yet listening; -1 on failure. */
static int socket_bind(const struct sim *sim, const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	evutil_make_listen_socket_reuseable(fd);
	buffer_tune(fd, sim->receive_buffer_bytes);
	if (bind(fd, sa, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

enum err sim_listen(struct sim *sim)
{
	struct sockaddr_storage address;
	struct sockaddr *sa = (struct sockaddr *)&address;
	socklen_t bound_len = sizeof(address);
	char host[64], port[16];
	int len, fd;

	if (sim->listener)
		return ERR_OK;
	if (address_parse(sim->address, &address, &len))
		return ERR_INVAL;
	fd = socket_bind(sim, sa, (socklen_t)len);
	if (fd < 0)
		return ERR_IO;
	sim->listener = evconnlistener_new(sim->base, on_accept, sim,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (!sim->listener) {
		close(fd);
		return ERR_IO;
	}
	if (getsockname(evconnlistener_get_fd(sim->listener), sa, &bound_len) ||
		getnameinfo(sa, bound_len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return ERR_IO;
	snprintf(sim->address, sizeof(sim->address),
		sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return ERR_OK;
}

void sim_listen_stop(struct sim *sim)
{
	if (sim->listener)
		evconnlistener_free(sim->listener);
	sim->listener = NULL;
}

void sim_free(struct sim *sim)
{
	struct sim_request *request;
	struct sim_app *app;

	sim_listen_stop(sim);
	sim_control_close(sim->control);
	while (!LIST_EMPTY(&sim->conns))
		sim_conn_free(LIST_FIRST(&sim->conns));
	while ((request = LIST_FIRST(&sim->spare))) {
		LIST_REMOVE(request, next);
		buf_free(&request->text);
		buf_free(&request->body);
		free(request);
	}
	heap_free(&sim->delayed);
	sim_rules_clear(sim);
	while ((app = STAILQ_FIRST(&sim->apps))) {
		STAILQ_REMOVE_HEAD(&sim->apps, next);
		app_free(app);
	}
	SSL_CTX_free(sim->tls);
	sim_journal_close(sim->journal);
	if (!sim->base)
		return;
	event_del(&sim->delay_timer);
	event_base_free(sim->base);
}
