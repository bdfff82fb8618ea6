/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/contact.h>

/* Build with -fsanitize=fuzzer,address,undefined. What holds for every input is checked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_token(const char *token)
{
	size_t len = strlen(token);

	check(len == 0 || (len >= 32 && len < PUSH_TOKEN_SIZE));
	check(strspn(token, "0123456789abcdef") == len);
}

/* What becomes a header or a log line is printable and has no space. */
static void check_word(const char *word)
{
	for (; *word; word++)
		check((unsigned char)*word > ' ' && *word != 0x7f);
}

static void check_params(const char *provider, const char *param, const char *prid)
{
	const char *field;
	struct push_params params;
	enum err err = push_params_parse(provider, param, prid, &params, &field);

	check((err == ERR_OK) == (field == NULL));
	if (err)
		return;
	check_token(params.token);
	check_token(params.alert_token);
	check(params.token[0] || params.alert_token[0]);
	check(params.team[0] && params.app[0]);
	check_word(params.team);
	check_word(params.app);
}

/*
 * A URI stays the same when it is read again, in brackets. Not so where a quoted parameter left a
 * bare one: an `@` behind the quotes was no end of a user part before, and is one now.
 */
static void check_stable(const char *uri)
{
	char value[CONTACT_SIZE + 2];
	struct contact again;
	size_t len = strlen(uri);

	value[0] = '<';
	memcpy(value + 1, uri, len);
	strcpy(value + 1 + len, ">");
	if (len + 2 >= CONTACT_SIZE)
		return;
	check(contact_parse(value, &again) == ERR_OK);
	check(strcmp(again.uri, uri) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct contact contact;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (contact_parse(text, &contact) == ERR_OK) {
		check(contact.star == (contact.uri[0] == '\0'));
		check_word(contact.uri);
		if (!contact.star && !strchr(text, '"'))
			check_stable(contact.uri);
		check(contact.expires_s >= -1);
		check(contact.has_provider || !contact.pn_provider[0]);
		check(contact.has_prid || !contact.pn_prid[0]);
		check_params(contact.pn_provider, contact.pn_param, contact.pn_prid);
	}
	check_params("apns", "TEAM.com.example.voip", text);
	check_params("apns.dev", text, "00112233445566778899aabbccddeeff");
	free(text);
	return 0;
}
