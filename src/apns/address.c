/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "dialer.h"

static const struct sockaddr_in *as_v4(const struct sockaddr *address)
{
	return (const struct sockaddr_in *)(const void *)address;
}

static const struct sockaddr_in6 *as_v6(const struct sockaddr *address)
{
	return (const struct sockaddr_in6 *)(const void *)address;
}

bool address_equal(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return as_v4(a)->sin_addr.s_addr == as_v4(b)->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	       memcmp(&as_v6(a)->sin6_addr, &as_v6(b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

void address_format(const struct sockaddr *address, char out[64])
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &as_v4(address)->sin_addr, text, sizeof(text));
		snprintf(out, 64, "%s:%u", text, ntohs(as_v4(address)->sin_port));
	} else if (address->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &as_v6(address)->sin6_addr, text, sizeof(text));
		snprintf(out, 64, "[%s]:%u", text, ntohs(as_v6(address)->sin6_port));
	} else {
		snprintf(out, 64, "?");
	}
}
