/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_APNS_PROXY_TUNNEL_H
#define PBXPUSH_APNS_PROXY_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/apns/endpoint.h>

#define TUNNEL_REQUEST_MAX 1600
#define TUNNEL_ANSWER_MAX  8192

/* Writes the CONNECT request (RFC 9110 9.3.6); its length. */
size_t tunnel_request(
	const struct proxy *proxy, const struct endpoint *target, char out[TUNNEL_REQUEST_MAX]);

enum tunnel_state { TUNNEL_MORE, TUNNEL_OPEN, TUNNEL_REFUSED };

/*
 * Reads the proxy's answer so far. TUNNEL_REFUSED comes with a sentence in why, and alarm set where
 * the configuration is to blame (407). Bytes after the head are a refusal too: in TLS we speak
 * first.
 */
enum tunnel_state tunnel_answer(
	const char *data, size_t len, bool *alarm, char *why, size_t why_size);

#endif
