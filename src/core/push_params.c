/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <strings.h>

#include <pbxpush/core/contact.h>

#include "percent.h"

#define TOKEN_MIN_DIGITS 32
#define TOKEN_MAX_DIGITS (PUSH_TOKEN_SIZE - 1)

/* Which tokens a device has: a set, since Linphone names both in one parameter. */
enum service { SERVICE_NONE = 0, SERVICE_VOIP = 1, SERVICE_REMOTE = 2, SERVICE_BOTH = 3 };

static enum service service_of(const char *name, size_t len)
{
	static const struct {
		const char *name;
		enum service service;
	} services[] = {
		{"voip", SERVICE_VOIP},
		{"remote", SERVICE_REMOTE},
		{"remote&voip", SERVICE_BOTH},
		{"voip&remote", SERVICE_BOTH},
	};

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strlen(services[i].name) == len && memcmp(services[i].name, name, len) == 0)
			return services[i].service;
	return SERVICE_NONE;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* It becomes the apns-topic header: labels of letters, digits, hyphens, joined by single dots. */
static bool is_bundle_id(const char *text, size_t len)
{
	bool empty = true;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.' ? empty : !is_alnum(text[i]) && !strchr("-_", text[i]))
			return false;
		empty = text[i] == '.';
	}
	return !empty;
}

/* TEAM.BUNDLE[.SERVICE], RFC 8599 8.3: the first dot ends the team, the last begins the service. */
static enum err parse_param(const char *param, struct push_params *out, enum service *service)
{
	const char *dot = strchr(param, '.'), *last = strrchr(param, '.');
	const char *bundle;
	size_t team_len, len;

	if (!dot)
		return ERR_INVAL;
	team_len = (size_t)(dot - param);
	if (team_len == 0 || team_len >= sizeof(out->team))
		return ERR_INVAL;
	for (size_t i = 0; i < team_len; i++)
		if (!is_alnum(param[i]))
			return ERR_INVAL;

	bundle = dot + 1;
	len = strlen(bundle);
	*service = service_of(last + 1, strlen(last + 1));
	if (*service == SERVICE_NONE)
		*service = SERVICE_REMOTE;
	else if (last == dot)
		return ERR_INVAL; /* a service and no bundle */
	else
		len = (size_t)(last - bundle);
	if (len >= sizeof(out->app) || !is_bundle_id(bundle, len))
		return ERR_INVAL;

	memcpy(out->team, param, team_len);
	out->team[team_len] = '\0';
	memcpy(out->app, bundle, len);
	out->app[len] = '\0';
	return ERR_OK;
}

static enum err token_copy(const char *text, size_t len, char out[PUSH_TOKEN_SIZE])
{
	if (len < TOKEN_MIN_DIGITS || len > TOKEN_MAX_DIGITS)
		return ERR_INVAL;
	for (size_t i = 0; i < len; i++)
		if (percent_hex_value(text[i]) < 0)
			return ERR_INVAL;
	for (size_t i = 0; i < len; i++)
		out[i] = "0123456789abcdef"[percent_hex_value(text[i])];
	out[len] = '\0';
	return ERR_OK;
}

enum err push_token_normalize(const char *text, char out[PUSH_TOKEN_SIZE])
{
	return token_copy(text, strnlen(text, PUSH_TOKEN_SIZE), out);
}

/*
 * TOKEN for the service of pn-param, or Linphone's TOKEN:remote&TOKEN:voip. A token without a name
 * beside `remote&voip` could be either, and a wrong guess is a token that APNs calls dead.
 */
static enum err parse_prid(const char *prid, enum service service, struct push_params *out)
{
	for (;;) {
		size_t len = strcspn(prid, "&"), token_len = strcspn(prid, ":&");
		enum service this = service;
		char *token;

		if (token_len < len)
			this = service_of(prid + token_len + 1, len - token_len - 1);
		if (this != SERVICE_VOIP && this != SERVICE_REMOTE)
			return ERR_INVAL;
		token = this == SERVICE_VOIP ? out->token : out->alert_token;
		if (token[0] || token_copy(prid, token_len, token))
			return ERR_INVAL;
		if (!prid[len])
			return ERR_OK;
		prid += len + 1;
	}
}

enum err push_params_parse(const char *provider, const char *param, const char *prid,
	struct push_params *out, const char **field)
{
	struct push_params params = {.sandbox = false};
	char text[CONTACT_PRID_SIZE];
	enum service service = SERVICE_NONE;

	*field = "provider";
	if (!provider)
		return ERR_NOTFOUND;
	params.sandbox = strcasecmp(provider, "apns.dev") == 0;
	if (!params.sandbox && strcasecmp(provider, "apns") != 0)
		return ERR_NOTFOUND;

	/* A PBX may pass on what stood in the URI. Decoding twice is harmless: no `%` is left. */
	*field = "param";
	if (!param || percent_decode(param, strlen(param), text, sizeof(text)) ||
		parse_param(text, &params, &service))
		return ERR_INVAL;

	*field = "prid";
	if (!prid || percent_decode(prid, strlen(prid), text, sizeof(text)) ||
		parse_prid(text, service, &params))
		return ERR_INVAL;

	*field = NULL;
	*out = params;
	return ERR_OK;
}
