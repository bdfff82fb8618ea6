/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/access_token.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct access_token {
	unsigned char text[ACCESS_TOKEN_MAX_BYTES]; /* padded with NUL, which no token holds */
	enum client_role role;
	int line;
};

struct access_tokens {
	size_t count;
	struct access_token all[];
};

/* What parsing one file needs. */
struct parser {
	struct access_token found[ACCESS_TOKENS_MAX];
	size_t count;
	access_fault_fn *fault;
	void *arg;
	bool bad;
};

static void complain(struct parser *parser, int line, const char *what)
{
	parser->fault(parser->arg, line, what);
	parser->bad = true;
}

/* What an Authorization header can carry in one word (RFC 9110 11.4). */
static bool is_visible(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return false;
	}
	return true;
}

static size_t word_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] != ' ' && text[n] != '\t')
		n++;
	return n;
}

static size_t blank_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && (text[n] == ' ' || text[n] == '\t'))
		n++;
	return n;
}

static bool read_role(const char *text, size_t len, enum client_role *out)
{
	if (!len || (len == 5 && !memcmp(text, "calls", len)))
		*out = ROLE_CALLS;
	else if (len == 5 && !memcmp(text, "admin", len))
		*out = ROLE_ADMIN;
	else
		return false;
	return true;
}

static void add(
	struct parser *parser, int line, const char *text, size_t len, enum client_role role)
{
	struct access_token token = {.role = role, .line = line};
	char what[64];

	memcpy(token.text, text, len);
	for (size_t i = 0; i < parser->count; i++) {
		if (memcmp(parser->found[i].text, token.text, sizeof(token.text)))
			continue;
		snprintf(what, sizeof(what), "the same token as in line %d", parser->found[i].line);
		complain(parser, line, what);
		return;
	}
	if (parser->count < ACCESS_TOKENS_MAX)
		parser->found[parser->count++] = token;
	else
		complain(parser, line, "one token too many: there may be 64");
}

static void parse_line(struct parser *parser, int line, const char *text, size_t len)
{
	size_t blanks = blank_len(text, len), token_len, role_len;
	enum client_role role;

	while (len && (text[len - 1] == '\r' || text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	if (blanks >= len || text[blanks] == '#' || text[blanks] == ';')
		return;
	text += blanks;
	len -= blanks;
	token_len = word_len(text, len);
	role_len = len - token_len - blank_len(text + token_len, len - token_len);
	if (token_len > ACCESS_TOKEN_MAX_BYTES)
		complain(parser, line, "the token is longer than 256 characters");
	else if (!is_visible(text, token_len))
		complain(parser, line, "a token consists of visible ASCII characters");
	else if (!read_role(text + len - role_len, role_len, &role))
		complain(parser, line, "behind the token stands its role, calls or admin");
	else
		add(parser, line, text, token_len, role);
}

enum err access_tokens_parse(
	const char *text, size_t len, access_fault_fn *fault, void *arg, struct access_tokens **out)
{
	struct parser *parser = calloc(1, sizeof(*parser));
	struct access_tokens *tokens = NULL;
	enum err err = ERR_NOMEM;
	int line = 0;

	if (!parser)
		return err;
	parser->fault = fault;
	parser->arg = arg;
	for (size_t at = 0, n; at < len; at += n + 1) {
		const char *feed = memchr(text + at, '\n', len - at);

		n = feed ? (size_t)(feed - text) - at : len - at;
		parse_line(parser, ++line, text + at, n);
	}
	if (!parser->count && !parser->bad)
		complain(parser, 0, "holds no token: nobody could get in");
	err = ERR_INVAL;
	if (parser->bad)
		goto out;
	err = ERR_NOMEM;
	tokens = calloc(1, sizeof(*tokens) + parser->count * sizeof(tokens->all[0]));
	if (!tokens)
		goto out;
	tokens->count = parser->count;
	memcpy(tokens->all, parser->found, parser->count * sizeof(tokens->all[0]));
	*out = tokens;
	err = ERR_OK;
out:
	explicit_bzero(parser, sizeof(*parser));
	free(parser);
	return err;
}

static size_t size_of(const struct access_tokens *tokens)
{
	return sizeof(*tokens) + tokens->count * sizeof(tokens->all[0]);
}

struct access_tokens *access_tokens_copy(const struct access_tokens *tokens)
{
	struct access_tokens *copy = malloc(size_of(tokens));

	if (copy)
		memcpy(copy, tokens, size_of(tokens));
	return copy;
}

/* 1 where they are equal, else 0, without a branch on the way. volatile: nor may a compiler find
 * one. */
static unsigned is_same(const unsigned char *a, const unsigned char *b)
{
	volatile unsigned differ = 0;

	for (size_t i = 0; i < ACCESS_TOKEN_MAX_BYTES; i++)
		differ |= (unsigned)(a[i] ^ b[i]);
	return ((uint32_t)differ - 1) >> 31;
}

bool access_tokens_check(
	const struct access_tokens *tokens, const char *given, size_t len, enum client_role *role)
{
	unsigned char padded[ACCESS_TOKEN_MAX_BYTES] = {0};
	unsigned found = 0; /* a bit a role */

	if (!len || len > sizeof(padded))
		return false;
	memcpy(padded, given, len);
	for (size_t i = 0; i < tokens->count; i++)
		found |= is_same(padded, tokens->all[i].text) << tokens->all[i].role;
	if (found)
		*role = found >> ROLE_ADMIN & 1 ? ROLE_ADMIN : ROLE_CALLS;
	return found;
}

void access_tokens_free(struct access_tokens *tokens)
{
	if (tokens)
		explicit_bzero(tokens, size_of(tokens));
	free(tokens);
}
