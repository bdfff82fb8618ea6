/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <pbxpush/core/number.h>
#include <pbxpush/core/utf8.h>

#include "sip_uri.h"

#define NUMBER_E164_MAX    15 /* digits, ITU-T E.164 6.1 */
#define NUMBER_MASKED_MIN  7
#define NUMBER_MASKED_HEAD 3
#define NUMBER_MASKED_TAIL 2

/* RFC 3966 3 calls the first four visual separators; people write the others. */
static const char number_separators[] = "-.() /\t";

static bool number_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool number_starts(const char *text, const char *prefix)
{
	return *prefix && !strncmp(text, prefix, strlen(prefix));
}

/* True where the `(0)` of `+49 (0)30 123456` begins: an international number with the national
 * prefix shown for those who dial from inside. It must not be dialled, hence not compared. */
static bool number_is_hint(
	const struct number_rules *rules, const char *so_far, const char *rest, size_t rest_len)
{
	size_t len = strlen(rules->national_prefix);

	return *rules->country_code && len && rest_len >= len + 2 && rest[0] == '(' &&
	       !strncmp(rest + 1, rules->national_prefix, len) && rest[len + 1] == ')' &&
	       (so_far[0] == '+' || number_starts(so_far, rules->international_prefix));
}

/* Reads a telephone number: `+`, digits, `*`, `#`. False where the user is something else. */
static bool number_read(
	const struct number_rules *rules, const struct sip_uri *uri, char out[NUMBER_SIZE])
{
	bool digits = false;
	size_t used = 0;

	for (size_t at = 0; at < uri->user_len;) {
		out[used] = '\0';
		if (number_is_hint(rules, out, uri->user + at, uri->user_len - at)) {
			at += strlen(rules->national_prefix) + 2;
			continue;
		}
		char c = sip_uri_user_char(uri, &at);
		if (c == ';') /* parameters of a telephone-subscriber (RFC 3261 19.1.6) */
			break;
		if (strchr(number_separators, c))
			continue;
		if (!number_is_digit(c) && c != '*' && c != '#' && !(c == '+' && !used))
			return false;
		if (used + 1 == NUMBER_SIZE)
			return false;
		digits |= number_is_digit(c);
		out[used++] = c;
	}
	out[used] = '\0';
	return digits;
}

/*
 * What follows the prefix, or NULL where the digits do not begin with it. An extension never begins
 * with 0, but it may begin with 1 or 8, the national prefixes of North America and Russia: there,
 * short digits are an extension. After a prefix there is a number, and none begins with 0.
 */
static const char *number_after(
	const struct number_rules *rules, const char *digits, const char *prefix)
{
	if (!number_starts(digits, prefix))
		return NULL;
	if (prefix[0] != '0' && strlen(digits) <= (size_t)rules->extension_digits)
		return NULL;
	digits += strlen(prefix);
	return *digits && *digits != '0' ? digits : NULL;
}

/* Rewrites digits as E.164 where the rules know how. */
static void number_to_e164(const struct number_rules *rules, char number[NUMBER_SIZE])
{
	const char *code = rules->country_code, *rest;
	char e164[NUMBER_E164_MAX + 1];

	if (!*code || number[strspn(number, "0123456789")])
		return;
	if ((rest = number_after(rules, number, rules->international_prefix))) {
		code = "";
	} else if (!(rest = number_after(rules, number, rules->national_prefix))) {
		rest = number;
		if (strlen(number) <= (size_t)rules->extension_digits)
			return;
		if (number[0] == '0' && *rules->national_prefix)
			return; /* 0000000000 of some trunks: a prefix and no number */
		if (number_starts(number, code))
			code = "";
	}
	if (strlen(code) + strlen(rest) > NUMBER_E164_MAX)
		return;
	snprintf(e164, sizeof(e164), "%s%s", code, rest);
	snprintf(number, NUMBER_SIZE, "+%s", e164);
}

static size_t number_copy(char out[NUMBER_SIZE], size_t used, const char *text, size_t len)
{
	len = utf8_cut(text, len, NUMBER_SIZE - 1 - used);
	memcpy(out + used, text, len);
	out[used + len] = '\0';
	return used + len;
}

/* `+` and digits only: nothing is left to do. */
static bool number_is_e164(const char *text, size_t *len)
{
	*len = text[0] == '+' ? 1 + strspn(text + 1, "0123456789") : 0;
	return *len > 1 && *len <= NUMBER_E164_MAX + 1 && !text[*len];
}

void number_normalize(const struct number_rules *rules, const char *text, char out[NUMBER_SIZE])
{
	struct sip_uri uri;
	size_t given_len;

	if (number_is_e164(text, &given_len)) {
		memcpy(out, text, given_len + 1);
		return;
	}

	sip_uri_split(text, &uri);
	if (!number_read(rules, &uri, out)) {
		size_t used = number_copy(out, 0, uri.user, uri.user_len);
		if (uri.host_len) {
			used = number_copy(out, used, "@", 1);
			number_copy(out, used, uri.host, uri.host_len);
		}
		return;
	}
	size_t len = strlen(out);
	bool is_prefix = out[len - 1] == '*';
	if (is_prefix)
		out[len - 1] = '\0';
	number_to_e164(rules, out);
	if (is_prefix)
		number_copy(out, strlen(out), "*", 1);
}

static bool number_part_is(const char *part, size_t len, const char *word)
{
	return strlen(word) == len && !strncasecmp(part, word, len);
}

bool number_is_withheld(const char *text)
{
	static const char *const words[] = {
		"", "anonymous", "restricted", "private", "unavailable"};
	struct sip_uri uri;

	if (number_is_digit(text[0]) || text[0] == '+') /* most are */
		return false;
	sip_uri_split(text, &uri);
	/* RFC 3323 4.1.1.3; with another host it is a user who happens to have this name. */
	if (uri.host_len && !number_part_is(uri.host, uri.host_len, "anonymous.invalid"))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (number_part_is(uri.user, uri.user_len, words[i]))
			return true;
	return false;
}

/* The length of a run of digits and what separates them, which may not end it; *digits counts. In a
 * host dots separate labels or octets, so there a run is of digits alone. */
static size_t number_run(const char *text, bool in_host, size_t *digits)
{
	size_t len = 0;

	*digits = 0;
	for (size_t i = 0; text[i]; i++) {
		if (number_is_digit(text[i])) {
			++*digits;
			len = i + 1;
		} else if (in_host || !strchr(number_separators, text[i])) {
			break;
		}
	}
	return len;
}

const char *number_for_log(
	enum number_privacy privacy, const char *text, char *out, size_t out_size)
{
	size_t len = utf8_cut(text, strlen(text), out_size - 1);
	bool in_host = false;

	memcpy(out, text, len);
	out[len] = '\0';
	if (privacy == NUMBER_NONE)
		snprintf(out, out_size, "-");
	if (privacy != NUMBER_MASKED)
		return out;
	for (size_t at = 0; at < len;) {
		size_t digits, seen = 0, run = number_run(text + at, in_host, &digits);
		for (size_t i = at; i < at + run && i < len; i++) {
			if (!number_is_digit(text[i]))
				continue;
			if (digits >= NUMBER_MASKED_MIN && seen >= NUMBER_MASKED_HEAD &&
				seen + NUMBER_MASKED_TAIL < digits)
				out[i] = '*';
			seen++;
		}
		in_host |= text[at] == '@';
		at += run ? run : 1;
	}
	return out;
}
