/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include "sip_uri.h"

/* The first of any of these characters, or end. */
static const char *sip_uri_find(const char *at, const char *end, const char *any)
{
	while (at < end && !strchr(any, *at))
		at++;
	return at;
}

static bool sip_uri_is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Narrows the text to what a name-addr has between its brackets (RFC 3261 20.10), else to
 * itself. */
static void sip_uri_unwrap(const char **start, const char **end)
{
	const char *at = *start;

	if (*at == '"') { /* a display name may hold brackets */
		for (at++; at < *end && *at != '"'; at++)
			if (*at == '\\' && at + 1 < *end)
				at++;
	}
	at = sip_uri_find(at, *end, "<");
	if (at < *end) {
		*start = at + 1;
		*end = sip_uri_find(*start, *end, ">");
	}
	while (*start < *end && sip_uri_is_space(**start))
		++*start;
	while (*end > *start && sip_uri_is_space((*end)[-1]))
		--*end;
}

static bool sip_uri_skip(const char **at, const char *end, const char *scheme)
{
	size_t len = strlen(scheme);

	if ((size_t)(end - *at) < len || strncasecmp(*at, scheme, len))
		return false;
	*at += len;
	return true;
}

/* The usual case by far, 1001 or +4930123456: neither brackets, nor scheme, host or parameters. */
static bool sip_uri_is_plain(const char *text, size_t *len)
{
	const char *at = text;

	while ((*at >= '0' && *at <= '9') || ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') ||
		*at == '+')
		at++;
	*len = (size_t)(at - text);
	return !*at;
}

void sip_uri_split(const char *text, struct sip_uri *out)
{
	size_t plain_len;

	if (sip_uri_is_plain(text, &plain_len)) {
		*out = (struct sip_uri){
			.user = text, .user_len = plain_len, .host = text + plain_len};
		return;
	}

	const char *at = text + strspn(text, " \t"), *end = text + strlen(text), *host, *stop;

	sip_uri_unwrap(&at, &end);
	bool is_tel = sip_uri_skip(&at, end, "tel:");
	if (!is_tel && !sip_uri_skip(&at, end, "sip:"))
		sip_uri_skip(&at, end, "sips:");

	host = sip_uri_find(at, end, "@");
	/* `;` and `?` are part of a user that a host follows (RFC 3261 25.1, user-unreserved). */
	stop = sip_uri_find(at, host, host < end ? ":" : ":;?");
	*out = (struct sip_uri){.is_tel = is_tel, .user = at, .user_len = (size_t)(stop - at)};
	if (host == end) {
		out->host = end;
		return;
	}
	host++;
	stop = sip_uri_find(host, end, ";?");
	const char *closing = *host == '[' ? sip_uri_find(host, stop, "]") : host;
	stop = sip_uri_find(closing, stop, ":");
	out->host = host;
	out->host_len = (size_t)(stop - host);
}

char sip_uri_user_char(const struct sip_uri *uri, size_t *at)
{
	static const char *const escapes[] = {"%2B", "%23", "%2A"};
	const char *text = uri->user + *at;

	for (size_t i = 0; *text == '%' && i < 3 && uri->user_len - *at >= 3; i++) {
		if (!strncasecmp(text, escapes[i], 3)) {
			*at += 3;
			return "+#*"[i];
		}
	}
	++*at;
	return *text;
}
