/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls.h"

/* Read-ahead: one read(2) may bring several records of many small answers. */
#define READ_BUFFER_BYTES 65536

/* TLS 1.3 tickets come after the handshake; the newest is the one to use. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_memory *memory = SSL_get_app_data(ssl);

	/* A copy: OpenSSL spoils its own when the connection ends without a word, which says
	 * nothing against the session. */
	SSL_SESSION_free(memory->session);
	memory->session = SSL_SESSION_dup(session);
	return 0; /* the reference stays OpenSSL's */
}

static const char *last_error(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	return text ? text : "unknown error";
}

enum err tls_context_new(const char *ca_file, SSL_CTX **out, char *why, size_t why_size)
{
	static const unsigned char ALPN_H2[] = {2, 'h', '2'};
	enum err err = ERR_NOMEM;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx)
		goto out;
	err = ERR_CRYPTO;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER_BYTES);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
	if (SSL_CTX_set_alpn_protos(ctx, ALPN_H2, sizeof(ALPN_H2)) != 0) /* 0 is success here */
		goto out;
	if (*ca_file ? !SSL_CTX_load_verify_locations(ctx, ca_file, NULL)
		     : !SSL_CTX_set_default_verify_paths(ctx)) {
		snprintf(why, why_size, "ca-file %s: %s", ca_file, last_error());
		goto out;
	}
	err = ERR_OK;
out:
	ERR_clear_error();
	if (err)
		SSL_CTX_free(ctx);
	else
		*out = ctx;
	return err;
}

/* Names get SNI and are matched as names, addresses as addresses (RFC 6066 3: no SNI for those). */
static bool expect_peer(SSL *ssl, const struct endpoint *endpoint)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (endpoint->is_address)
		return X509_VERIFY_PARAM_set1_ip_asc(param, endpoint->host) == 1;
	return X509_VERIFY_PARAM_set1_host(param, endpoint->host, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, endpoint->host) == 1;
}

enum err tls_client_new(SSL_CTX *context, int fd, const struct endpoint *endpoint,
	struct tls_memory *memory, SSL **out)
{
	SSL *ssl = SSL_new(context);

	if (!ssl || !SSL_set_fd(ssl, fd) || !expect_peer(ssl, endpoint)) {
		SSL_free(ssl);
		ERR_clear_error();
		return ERR_NOMEM;
	}
	SSL_set_app_data(ssl, memory);
	if (memory->session)
		SSL_set_session(ssl, memory->session);
	SSL_set_connect_state(ssl);
	*out = ssl;
	return ERR_OK;
}

void tls_memory_clear(struct tls_memory *memory)
{
	SSL_SESSION_free(memory->session);
	memory->session = NULL;
}

bool tls_speaks_h2(const SSL *ssl)
{
	const unsigned char *protocol;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &protocol, &len);
	return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

bool tls_fault(const SSL *ssl, int ssl_error, char *why, size_t why_size)
{
	int saved_errno = errno;
	long verified = SSL_get_verify_result(ssl);
	unsigned long code = ERR_peek_error();
	bool fault = false;

	if (verified != X509_V_OK) {
		snprintf(why, why_size, "certificate refused: %s",
			X509_verify_cert_error_string(verified));
		fault = true;
	} else if (ssl_error == SSL_ERROR_SSL && code &&
		   ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		const char *text = ERR_reason_error_string(code);
		snprintf(why, why_size, "TLS: %s", text ? text : "protocol error");
		fault = true;
	} else if (ssl_error == SSL_ERROR_SYSCALL && saved_errno) {
		snprintf(why, why_size, "%s", strerror(saved_errno));
	} else {
		snprintf(why, why_size, "closed by the peer");
	}
	ERR_clear_error();
	return fault;
}
