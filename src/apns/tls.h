/* SPDX-License-Identifier: MIT */
#ifndef APNS_TLS_H
#define APNS_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>

#include <pbxpush/base/err.h>

#include <pbxpush/apns/endpoint.h>

/* The last session a server gave us, for resumption: a handshake less to compute (RFC 8446 2.2). */
struct tls_memory {
	SSL_SESSION *session;
};

/* TLS 1.2 or later, certificates verified against ca_file ("" = the system's store), ALPN h2.
 * ERR_CRYPTO with a sentence in why. */
enum err tls_context_new(const char *ca_file, SSL_CTX **out, char *why, size_t why_size);

/* A client on fd that will accept only a certificate for endpoint. memory outlives it. */
enum err tls_client_new(SSL_CTX *context, int fd, const struct endpoint *endpoint,
	struct tls_memory *memory, SSL **out);

void tls_memory_clear(struct tls_memory *memory);

/* True when the handshake agreed on h2. There is no fall-back. */
bool tls_speaks_h2(const SSL *ssl);

/* Why the handshake failed, in words. ssl_error: of SSL_get_error(). True when it is a fault that
 * an administrator must mend (certificate, protocol), false when the network may be to blame. */
bool tls_fault(const SSL *ssl, int ssl_error, char *why, size_t why_size);

#endif
