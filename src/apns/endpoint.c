/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <pbxpush/apns/endpoint.h>

#define CREDENTIALS_MAX 256

static bool port_is_valid(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 5 || text[digits])
		return false;
	int port = atoi(text);
	return port > 0 && port < 65536;
}

static bool host_is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* Letters, digits, dots, dashes; nothing that could end a header line. */
static bool host_is_valid(const char *host)
{
	size_t len = strlen(host);

	return len > 0 && strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789.-_") == len;
}

bool endpoint_parse(const char *text, const char *default_port, struct endpoint *out)
{
	struct endpoint endpoint = {0};
	const char *host = text, *end, *port;

	if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (!end)
			return false;
		port = end + 1;
	} else {
		end = text + strcspn(text, ":");
		port = end;
	}
	if ((size_t)(end - host) >= sizeof(endpoint.host))
		return false;
	memcpy(endpoint.host, host, (size_t)(end - host));
	endpoint.is_address = host_is_address(endpoint.host);
	if (*text == '[' ? !endpoint.is_address : !host_is_valid(endpoint.host))
		return false;
	if (*port && *port++ != ':')
		return false;
	if (!*port)
		port = default_port;
	if (!port_is_valid(port))
		return false;
	memcpy(endpoint.port, port, strlen(port) + 1);
	*out = endpoint;
	return true;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return strcasecmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

void endpoint_authority(const struct endpoint *endpoint, bool always_port, char out[300])
{
	bool v6 = strchr(endpoint->host, ':');
	bool port = always_port || strcmp(endpoint->port, "443") != 0;

	snprintf(out, 300, "%s%s%s%s%s", v6 ? "[" : "", endpoint->host, v6 ? "]" : "",
		port ? ":" : "", port ? endpoint->port : "");
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool percent_decode(const char *text, size_t len, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%') {
			if (len - i < 3)
				return false;
			int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (n + 1 >= size || c == '\0')
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return true;
}

bool proxy_parse(const char *url, struct proxy *out)
{
	static const char SCHEME[] = "http://";
	struct proxy proxy = {0};
	char host[300], credentials[CREDENTIALS_MAX];

	if (!*url) {
		*out = proxy;
		return true;
	}
	if (strncasecmp(url, SCHEME, sizeof(SCHEME) - 1) != 0)
		return false;
	url += sizeof(SCHEME) - 1;
	size_t len = strcspn(url, "/");
	if (url[len] && url[len + 1])
		return false;
	const char *at = memrchr(url, '@', len);
	if (at) {
		if (!percent_decode(url, (size_t)(at - url), credentials, sizeof(credentials)))
			return false;
		int n = snprintf(proxy.authorization, sizeof(proxy.authorization), "Basic ");
		EVP_EncodeBlock((unsigned char *)proxy.authorization + n,
			(const unsigned char *)credentials, (int)strlen(credentials));
		OPENSSL_cleanse(credentials, sizeof(credentials));
		len -= (size_t)(at + 1 - url);
		url = at + 1;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, url, len);
	host[len] = '\0';
	if (!endpoint_parse(host, "3128", &proxy.at))
		return false;
	*out = proxy;
	return true;
}
