/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <pbxpush/core/aor.h>

#include "sip_uri.h"

/* Appends a character. False for what no AOR may hold unescaped, and where the room ends. */
static bool aor_put(char *out, size_t *len, char c)
{
	unsigned char byte = (unsigned char)c;

	if (byte <= 0x20 || byte == 0x7f || c == '<' || c == '>' || c == '"' ||
		*len + 1 >= AOR_SIZE)
		return false;
	out[(*len)++] = c;
	return true;
}

static bool aor_put_user(char *out, size_t *len, const struct sip_uri *uri)
{
	for (size_t at = 0; at < uri->user_len;) {
		char c = sip_uri_user_char(uri, &at);
		/* RFC 3966 3: visual separators of a tel URI carry no meaning. */
		if (uri->is_tel && strchr("-.()", c))
			continue;
		/* Half an escape could become a whole one where a separator went. */
		if ((uri->is_tel && c == '%') || !aor_put(out, len, c))
			return false;
	}
	return *len > 0;
}

static bool aor_put_domain(char *out, size_t *len, const char *domain, size_t domain_len)
{
	if (!domain_len)
		return true;
	if (!aor_put(out, len, '@'))
		return false;
	for (size_t i = 0; i < domain_len; i++) {
		char c = domain[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '@' || !aor_put(out, len, c))
			return false;
	}
	return true;
}

enum err aor_normalize(const char *text, const char *default_domain, char out[AOR_SIZE])
{
	char aor[AOR_SIZE];
	struct sip_uri uri;
	size_t len = 0;

	sip_uri_split(text, &uri);
	if (!uri.host_len) {
		uri.host = default_domain;
		uri.host_len = strlen(default_domain);
	}
	if (!aor_put_user(aor, &len, &uri) || !aor_put_domain(aor, &len, uri.host, uri.host_len))
		return ERR_INVAL;
	memcpy(out, aor, len);
	out[len] = '\0';
	return ERR_OK;
}

const char *aor_domain(const char *aor)
{
	const char *at = strchr(aor, '@');

	return at ? at + 1 : "";
}
