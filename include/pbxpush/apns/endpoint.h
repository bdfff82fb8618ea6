/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_APNS_ENDPOINT_H
#define PBXPUSH_APNS_ENDPOINT_H

#include <stdbool.h>

/* Where to connect to: the host without brackets, the port in decimal. */
struct endpoint {
	char host[256];
	char port[6];
	bool is_address; /* an IP address: no SNI, verified as an address */
};

/* An HTTP proxy. `authorization` is the value of Proxy-Authorization, "" where it wants none. */
struct proxy {
	struct endpoint at; /* host "" : no proxy */
	char authorization[704];
};

/* host, host:port, [v6] or [v6]:port. False for anything else. */
bool endpoint_parse(const char *text, const char *default_port, struct endpoint *out);

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* As it stands in :authority and CONNECT: with brackets, and with the port unless it is 443. */
void endpoint_authority(const struct endpoint *endpoint, bool always_port, char out[300]);

/* http://[user:password@]host[:port][/], percent-encoded credentials (RFC 3986); "" is no proxy. */
bool proxy_parse(const char *url, struct proxy *out);

#endif
