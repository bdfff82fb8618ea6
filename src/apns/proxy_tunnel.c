/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <pbxpush/apns/proxy_tunnel.h>

size_t tunnel_request(
	const struct proxy *proxy, const struct endpoint *target, char out[TUNNEL_REQUEST_MAX])
{
	char authority[300];
	bool login = proxy->authorization[0];

	endpoint_authority(target, true, authority);
	int len = snprintf(out, TUNNEL_REQUEST_MAX, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n",
		authority, authority, login ? "Proxy-Authorization: " : "", proxy->authorization,
		login ? "\r\n" : "");
	return (size_t)len;
}

static enum tunnel_state refuse(char *why, size_t why_size, const char *text)
{
	snprintf(why, why_size, "proxy %s", text);
	return TUNNEL_REFUSED;
}

enum tunnel_state tunnel_answer(
	const char *data, size_t len, bool *alarm, char *why, size_t why_size)
{
	const char *end = memmem(data, len, "\r\n\r\n", 4);

	*alarm = false;
	if (len && memcmp(data, "HTTP/1.", len < 7 ? len : 7) != 0)
		return refuse(why, why_size, "does not speak HTTP");
	if (!end)
		return len < TUNNEL_ANSWER_MAX ? TUNNEL_MORE
					       : refuse(why, why_size, "sends an endless answer");
	/* HTTP/1.x SP 3DIGIT: the shortest head that can end here has room for it. */
	if (end - data < 12 || data[8] != ' ' || strspn(data + 9, "0123456789") < 3)
		return refuse(why, why_size, "sends a malformed answer");
	if (data[9] != '2') {
		*alarm = memcmp(data + 9, "407", 3) == 0;
		snprintf(why, why_size, "proxy answers %.3s%s", data + 9,
			*alarm ? ": it wants a user name and password, or others" : "");
		return TUNNEL_REFUSED;
	}
	if (end + 4 != data + len)
		return refuse(why, why_size, "speaks before the TLS client");
	return TUNNEL_OPEN;
}
