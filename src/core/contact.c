/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <string.h>
#include <strings.h>

#include <pbxpush/core/contact.h>

#include "percent.h"

/* RFC 3261 10.3: a malformed expires counts as this. */
#define EXPIRES_MALFORMED_S 3600

/* What ends a value without quotes. Sloppy phones put commas into a URI's own parameters. */
#define URI_STOPS    ";?"
#define HEADER_STOPS ";,?<>\" \t"

/* `;name` or `;name=value`, pointing into the text that is read. */
struct param {
	const char *name, *value; /* value without its quotes */
	size_t name_len, value_len;
	bool quoted;
};

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t");
}

/* The character after a quoted string that begins at `at`; NULL where its end is missing. */
static const char *quoted_end(const char *at)
{
	for (at++; *at; at++) {
		if (*at == '"')
			return at + 1;
		if (*at == '\\' && !*++at)
			break;
	}
	return NULL;
}

/* Reads from behind the semicolon; *at then stands behind the parameter and the space after it. */
static enum err param_read(const char **at, const char *stops, struct param *out)
{
	const char *p = skip_space(*at), *end;

	*out = (struct param){.name = p, .name_len = strcspn(p, "=" HEADER_STOPS)};
	p = skip_space(p + out->name_len);
	out->value = p;
	if (*p == '=') {
		p = skip_space(p + 1);
		if (*p == '"') {
			end = quoted_end(p);
			if (!end)
				return ERR_INVAL;
			out->quoted = true;
			out->value = p + 1;
			out->value_len = (size_t)(end - p) - 2;
		} else {
			out->value = p;
			out->value_len = strcspn(p, stops);
			end = p + out->value_len;
		}
		p = end;
	}
	*at = skip_space(p);
	return ERR_OK;
}

static bool param_is(const struct param *param, const char *name)
{
	return param->name_len == strlen(name) &&
	       strncasecmp(param->name, name, param->name_len) == 0;
}

/* pn-*: the first one counts, in whichever place it stood. */
static enum err take_push(const struct param *param, struct contact *out)
{
	if (param_is(param, "pn-provider") && !out->has_provider) {
		out->has_provider = true;
		return percent_decode(
			param->value, param->value_len, out->pn_provider, sizeof(out->pn_provider));
	}
	if (param_is(param, "pn-prid") && !out->has_prid) {
		out->has_prid = true;
		return percent_decode(
			param->value, param->value_len, out->pn_prid, sizeof(out->pn_prid));
	}
	if (param_is(param, "pn-param") && !out->pn_param[0])
		return percent_decode(
			param->value, param->value_len, out->pn_param, sizeof(out->pn_param));
	return ERR_OK;
}

static int parse_expires(const struct param *param)
{
	int seconds = 0;

	if (param->value_len == 0)
		return EXPIRES_MALFORMED_S;
	for (size_t i = 0; i < param->value_len; i++) {
		int digit = param->value[i] - '0';

		if (digit < 0 || digit > 9)
			return EXPIRES_MALFORMED_S;
		seconds = seconds > (INT_MAX - digit) / 10 ? INT_MAX : seconds * 10 + digit;
	}
	return seconds;
}

/* RFC 5626 4.1: +sip.instance="<urn:uuid:…>", a quoted string whose backslashes escape. */
static enum err take_instance(const struct param *param, struct contact *out)
{
	const char *value = param->value;
	size_t len = param->value_len, used = 0;

	if (len >= 2 && value[0] == '<' && value[len - 1] == '>') {
		value++;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++) {
		if (value[i] == '\\' && param->quoted && i + 1 < len)
			i++;
		if (used + 1 >= sizeof(out->instance))
			return ERR_INVAL;
		out->instance[used++] = value[i];
	}
	out->instance[used] = '\0';
	return ERR_OK;
}

static enum err take_header(const struct param *param, struct contact *out)
{
	if (param_is(param, "expires"))
		out->expires_s = parse_expires(param);
	else if (param_is(param, "+sip.instance"))
		return take_instance(param, out);
	return take_push(param, out);
}

/* Where the host of a URI begins: parameters stand behind it, and a user part may hold `;` too. */
static const char *uri_host(const char *uri)
{
	const char *at = uri + strcspn(uri, "@\"<>");

	return *at == '@' ? at : uri;
}

/* RFC 3261 25.1: absoluteURI begins with a scheme; `1001@host` alone is none. */
static bool has_scheme(const char *uri)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t first = strspn(uri, letters);
	size_t len = first + strcspn(uri + first, ":@;?/<>\" \t");

	return first > 0 && uri[len] == ':' && uri[len + 1];
}

/* The last header parameter is followed by the end, or by further contacts, which are not ours. */
static enum err read_header_params(const char *at, struct contact *out)
{
	struct param param;
	enum err err = ERR_OK;

	at = skip_space(at);
	while (!err && *at == ';') {
		at++;
		err = param_read(&at, HEADER_STOPS, &param);
		if (!err)
			err = take_header(&param, out);
	}
	if (!err && *at && *at != ',')
		err = ERR_INVAL;
	return err;
}

/* [display-name] <URI> *(;header-parameter) */
static enum err parse_name_addr(const char *at, struct contact *out)
{
	struct param param;
	enum err err = ERR_OK;
	const char *p;
	size_t len;

	if (*at == '"') {
		at = quoted_end(at);
		if (!at)
			return ERR_INVAL;
		at = skip_space(at);
	} else {
		at += strcspn(at, "<");
	}
	if (*at++ != '<')
		return ERR_INVAL;
	len = strcspn(at, "<>\" \t");
	if (at[len] != '>')
		return ERR_INVAL;
	memcpy(out->uri, at, len);
	out->uri[len] = '\0';
	p = uri_host(out->uri);
	p += strcspn(p, URI_STOPS);
	while (!err && *p == ';') {
		p++;
		err = param_read(&p, URI_STOPS, &param);
		if (!err)
			err = take_push(&param, out);
	}
	return err ? err : read_header_params(at + len + 1, out);
}

static bool is_header_param(const struct param *param)
{
	static const char *const names[] = {"expires", "q", "methods", "reg-id"};

	/* No URI holds quotes, and `+` begins the feature tags of RFC 3840. */
	if (param->quoted || (param->name_len > 0 && param->name[0] == '+'))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (param_is(param, names[i]))
			return true;
	return false;
}

/*
 * A URI without brackets. RFC 3261 20.10 gives all its parameters to the header, but a PBX that was
 * asked for the URI hands out what stood between the brackets. So those that only a header has
 * go, and the others stay with the URI, where the next INVITE needs them.
 */
static enum err parse_bare(const char *at, struct contact *out)
{
	const char *start = at;
	struct param param;
	size_t used;
	enum err err;

	at = uri_host(at);
	at += strcspn(at, ";, \t<>\"");
	used = (size_t)(at - start);
	memcpy(out->uri, start, used);
	at = skip_space(at);
	while (*at == ';') {
		start = at++;
		err = param_read(&at, HEADER_STOPS, &param);
		if (!err)
			err = take_header(&param, out);
		if (err)
			return err;
		if (*at == '?')
			at += strcspn(at, ";, \t<>\"");
		if (is_header_param(&param))
			continue;
		memcpy(out->uri + used, start, (size_t)(at - start));
		used += (size_t)(at - start);
		while (used > 0 && (out->uri[used - 1] == ' ' || out->uri[used - 1] == '\t'))
			used--;
	}
	out->uri[used] = '\0';
	if (strpbrk(out->uri, " \t"))
		return ERR_INVAL;
	return *at && *at != ',' ? ERR_INVAL : ERR_OK;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
			return true;
	return false;
}

enum err contact_parse(const char *value, struct contact *out)
{
	struct contact contact = {.expires_s = -1};
	const char *at = skip_space(value);
	enum err err;

	if (strnlen(value, CONTACT_SIZE) == CONTACT_SIZE || has_control(value))
		return ERR_INVAL;
	if (*at == '*') {
		contact.star = true;
		err = *skip_space(at + 1) ? ERR_INVAL : ERR_OK;
	} else {
		/* A display name without quotes holds none of the characters that every URI has. */
		bool named = *at == '"' || at[strcspn(at, "<\":;,@")] == '<';

		err = named ? parse_name_addr(at, &contact) : parse_bare(at, &contact);
		if (!err && !has_scheme(contact.uri))
			err = ERR_INVAL;
	}
	if (!err)
		*out = contact;
	return err;
}
