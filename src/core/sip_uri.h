/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_SRC_CORE_SIP_URI_H
#define PBXPUSH_SRC_CORE_SIP_URI_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What makes an address in a SIP URI, a tel URI, a name-addr (`"Alice" <sip:alice@example.com>`) or
 * a bare name. Scheme, password, port, URI parameters and headers are left out. Points into the
 * text.
 */
struct sip_uri {
	bool is_tel;
	const char *user; /* before the first `@`, with the parameters of a telephone-subscriber */
	size_t user_len;
	const char *host; /* an IPv6 address keeps its brackets */
	size_t host_len;
};

/* Takes anything: what is no URI is all user. */
void sip_uri_split(const char *text, struct sip_uri *out);

/* The character of the user part at *at, which moves on. Phones escape the signs of the dial pad
 * (%2B, %23, %2A) though they need not, and RFC 3261 19.1.4 calls both forms equal. */
char sip_uri_user_char(const struct sip_uri *uri, size_t *at);

#endif
