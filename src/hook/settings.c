/* SPDX-License-Identifier: MIT */
#include <pbxpush/hook/settings.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "curl_library.h"

/* libcurl has written an IPv4 address as four numbers by now, whatever it was in the file. */
static bool is_loopback(const char *host)
{
	return !strcasecmp(host, "localhost") || !strcmp(host, "[::1]") ||
	       (!strncmp(host, "127.", 4) && host[strspn(host, "0123456789.")] == '\0');
}

/* The URL is read by the library that will use it: two readers would disagree one day. */
enum err hook_check_url(const char *url, char *why, size_t why_size)
{
	CURLU *parsed = NULL;
	char *scheme = NULL, *host = NULL, *user = NULL, *password = NULL;
	enum err err;
	CURLUcode code;

	if (!url[0])
		return ERR_OK;
	err = curl_library_load(why, why_size);
	if (err)
		return err;
	err = ERR_INVAL;
	parsed = curl_url();
	if (!parsed) {
		snprintf(why, why_size, "out of memory");
		err = ERR_NOMEM;
		goto out;
	}
	code = curl_url_set(parsed, CURLUPART_URL, url, 0);
	curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(parsed, CURLUPART_HOST, &host, 0);
	curl_url_get(parsed, CURLUPART_USER, &user, 0);
	curl_url_get(parsed, CURLUPART_PASSWORD, &password, 0);
	if (code || !scheme) {
		snprintf(why, why_size, "must be a URL: %s", curl_url_strerror(code));
		goto out;
	}
	if (user || password) {
		snprintf(why, why_size, "must be without user and password: use token-file");
		goto out;
	}
	/* file:// has no host */
	if (strcmp(scheme, "https") != 0 &&
		(strcmp(scheme, "http") != 0 || !host || !is_loopback(host))) {
		snprintf(why, why_size,
			"must be https://..., or http:// with a loopback address (127.0.0.1, "
			"[::1], localhost)");
		goto out;
	}
	err = ERR_OK;
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_free(password);
	curl_url_cleanup(parsed);
	return err;
}

enum err hook_cut_token(char *text, size_t len)
{
	size_t end = strcspn(text, "\r\n");

	for (size_t i = 0; i < end; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return ERR_INVAL;
	}
	if (!end || end + strspn(text + end, "\r\n") != len)
		return ERR_INVAL;
	text[end] = '\0';
	return ERR_OK;
}
