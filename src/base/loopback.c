/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pbxpush/base/loopback.h>

#define LOOPBACK_BACKLOG 128

static bool loopback_host(const char *host, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	*out = (struct sockaddr_storage){0};
	if (!strcmp(host, "[::1]")) {
		v6->sin6_family = AF_INET6;
		v6->sin6_addr = in6addr_loopback;
		v6->sin6_port = htons(port);
		return true;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	return inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &v4->sin_addr) ==
		       1 &&
	       ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

enum err loopback_parse(const char *text, struct sockaddr_storage *out, socklen_t *out_len)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_storage address;
	char host[32], *end;
	unsigned long port;

	if (!colon || (size_t)(colon - text) >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
		return ERR_INVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end || !port || port > UINT16_MAX)
		return ERR_INVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (!loopback_host(host, (uint16_t)port, &address))
		return ERR_INVAL;
	*out = address;
	*out_len = address.ss_family == AF_INET ? sizeof(struct sockaddr_in)
						: sizeof(struct sockaddr_in6);
	return ERR_OK;
}

enum err loopback_listen(const char *text, int *out_fd, char *why, size_t why_size)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd, yes = 1;

	if (loopback_parse(text, &address, &len)) {
		snprintf(why, why_size, "%s: not a loopback address", text);
		return ERR_INVAL;
	}
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* SO_REUSEADDR: what the last daemon left in TIME_WAIT does not hold up the next one. It
	 * never shares an address with one that still listens. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
		bind(fd, (const struct sockaddr *)&address, len) || listen(fd, LOOPBACK_BACKLOG)) {
		snprintf(why, why_size, "%s: %s", text, strerror(errno));
		if (fd >= 0)
			close(fd);
		return ERR_IO;
	}
	*out_fd = fd;
	return ERR_OK;
}
