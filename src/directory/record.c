/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"

/* A device: how it lies in memory, and what it says. */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

enum err token_pack(const char *hex, struct token *out)
{
	size_t digits = hex ? strnlen(hex, PUSH_TOKEN_SIZE) : 0;

	*out = (struct token){0};
	if (!hex)
		return ERR_OK;
	if (digits < 32 || digits >= PUSH_TOKEN_SIZE)
		return ERR_INVAL;
	for (size_t i = 0; i < digits; i++) {
		int value = hex_value(hex[i]);
		if (value < 0)
			return ERR_INVAL;
		uint8_t *byte = &out->key[1 + i / 2];
		*byte = (uint8_t)(i % 2 ? *byte | value : value << 4);
	}
	out->key[0] = digits % 2;
	out->len = (uint16_t)(1 + (digits + 1) / 2);
	return ERR_OK;
}

void token_unpack(const uint8_t *key, size_t len, char out[PUSH_TOKEN_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	size_t digits = len ? (len - 1) * 2 - key[0] : 0;

	for (size_t i = 0; i < digits; i += 2) {
		out[i] = hex[key[1 + i / 2] >> 4];
		out[i + 1] = hex[key[1 + i / 2] & 15];
	}
	out[digits] = '\0'; /* of an odd number the last was one too many */
}

/* ---- layout ---- */

static size_t size_at_least(size_t size, size_t least)
{
	return size < least ? least : size;
}

static size_t record_size(const struct record *record)
{
	return size_at_least(offsetof(struct record, data) + record->token_len + record->name_len +
				     1U + record->contact_len + 1U,
		sizeof(struct record));
}

static struct rare *rare_new(struct record *record, const struct token *alert)
{
	size_t len = alert ? alert->len : 0;
	struct rare *rare =
		calloc(1, size_at_least(offsetof(struct rare, alert) + len, sizeof(*rare)));

	if (!rare)
		return NULL;
	rare->record = record;
	rare->alert_len = (uint16_t)len;
	if (len)
		memcpy(rare->alert, alert->key, len);
	return rare;
}

struct record *record_new(const struct facts *facts, const struct record_text *text)
{
	struct record fixed = {.token_len = text->token->len,
		.name_len = (uint8_t)strlen(text->name),
		.contact_len = (uint16_t)strlen(text->contact)};
	struct record *record = malloc(record_size(&fixed));

	if (!record)
		return NULL;
	*record = fixed;
	char *at = mempcpy(record->data, text->token->key, text->token->len);
	at = mempcpy(at, text->name, record->name_len + 1U);
	memcpy(at, text->contact, record->contact_len + 1U);
	if (text->alert->len)
		record->rare = rare_new(record, text->alert);
	if ((text->alert->len && !record->rare) || record_set(record, facts)) {
		record_free(record);
		return NULL;
	}
	return record;
}

struct record *record_clone(const struct record *record)
{
	const struct facts facts = record_facts(record);
	struct token token = {.len = record->token_len};
	struct token alert = {.len = (uint16_t)record_alert_len(record)};

	memcpy(token.key, record_token(record), token.len);
	if (alert.len)
		memcpy(alert.key, record_alert(record), alert.len);
	return record_new(&facts, &(struct record_text){.name = record_name(record),
					  .contact = record_contact(record),
					  .token = &token,
					  .alert = &alert});
}

void record_free(struct record *record)
{
	if (record)
		free(record->rare);
	free(record);
}

const uint8_t *record_token(const struct record *record)
{
	return (const uint8_t *)record->data;
}

const uint8_t *record_alert(const struct record *record)
{
	return record->rare ? record->rare->alert : NULL;
}

size_t record_alert_len(const struct record *record)
{
	return record->rare ? record->rare->alert_len : 0;
}

const char *record_name(const struct record *record)
{
	return record->data + record->token_len;
}

const char *record_contact(const struct record *record)
{
	return record_name(record) + record->name_len + 1;
}

/* ---- facts ---- */

static bool facts_rare(const struct facts *facts)
{
	return facts->died_ms || facts->dnd || facts->dnd_until_ms || facts->ghosts ||
	       facts->alert_token_state != TOKEN_OK;
}

struct facts record_facts(const struct record *record)
{
	static const struct rare none;
	const struct rare *rare = record->rare ? record->rare : &none;

	return (struct facts){
		.app = record->app,
		.registered_until_ms = record->registered_until_ms,
		.seen_ms = record->seen_ms,
		.died_ms = rare->died_ms,
		.dnd_until_ms = rare->dnd_until_ms,
		.mode = record->mode,
		.environment = record->environment,
		.learned = record->learned,
		.token_state = record->token_state,
		.alert_token_state = rare->alert_token_state,
		.ghosts = rare->ghosts,
		.present = record->present,
		.dnd = rare->dnd,
		.woke_once = record->woke_once,
	};
}

static enum err record_set_rare(struct record *record, const struct facts *facts)
{
	if (!facts_rare(facts) && !record_alert_len(record)) {
		free(record->rare);
		record->rare = NULL;
		return ERR_OK;
	}
	if (!record->rare)
		record->rare = rare_new(record, NULL);
	if (!record->rare)
		return ERR_NOMEM;
	record->rare->died_ms = facts->died_ms;
	record->rare->dnd = facts->dnd;
	record->rare->dnd_until_ms = facts->dnd_until_ms;
	record->rare->ghosts = facts->ghosts;
	record->rare->alert_token_state = facts->alert_token_state;
	return ERR_OK;
}

enum err record_set(struct record *record, const struct facts *facts)
{
	if (record_set_rare(record, facts))
		return ERR_NOMEM;
	record->app = facts->app;
	record->registered_until_ms = facts->registered_until_ms;
	record->seen_ms = facts->seen_ms;
	record->mode = facts->mode;
	record->environment = facts->environment;
	record->learned = facts->learned;
	record->token_state = facts->token_state;
	record->present = facts->present;
	record->woke_once = facts->woke_once;
	return ERR_OK;
}

bool record_has_push(const struct record *record)
{
	return record->token_len || record_alert_len(record);
}

bool record_durable(const struct record *record)
{
	return record_has_push(record) || (record->rare && record->rare->dnd);
}

bool record_has_token(const struct record *record, const struct token *token)
{
	return token->len && record->token_len == token->len &&
	       memcmp(record_token(record), token->key, token->len) == 0;
}

bool record_has_alert(const struct record *record, const struct token *token)
{
	return token->len && record_alert_len(record) == token->len &&
	       memcmp(record_alert(record), token->key, token->len) == 0;
}

bool record_dead(const struct record *record)
{
	const struct facts facts = record_facts(record);
	bool by_alert =
		!record->token_len || (facts.mode == MODE_ALERT && record_alert_len(record));

	return (by_alert ? facts.alert_token_state : facts.token_state) != TOKEN_OK;
}

bool facts_revive(struct facts *facts, int64_t now_ms)
{
	bool later = now_ms > facts->died_ms;
	bool token = later && facts->token_state == TOKEN_UNREGISTERED;
	bool alert = later && facts->alert_token_state == TOKEN_UNREGISTERED;

	if (token)
		facts->token_state = TOKEN_OK;
	if (alert)
		facts->alert_token_state = TOKEN_OK;
	if (facts->token_state == TOKEN_OK && facts->alert_token_state == TOKEN_OK)
		facts->died_ms = 0;
	return token || alert;
}

void record_copy(const struct record *record, struct device *out)
{
	const struct facts facts = record_facts(record);

	out->user = record->user->name;
	out->name = record_name(record);
	out->app = facts.app;
	out->contact = record_contact(record);
	token_unpack(record_token(record), record->token_len, out->token);
	token_unpack(record_alert(record), record_alert_len(record), out->alert_token);
	out->mode = (enum device_mode)facts.mode;
	out->environment = (enum device_environment)facts.environment;
	out->learned = (enum device_environment)facts.learned;
	out->token_state = (enum token_state)facts.token_state;
	out->alert_token_state = (enum token_state)facts.alert_token_state;
	out->died_ms = facts.died_ms;
	out->registered_until_ms = facts.registered_until_ms;
	out->seen_ms = facts.seen_ms;
	out->dnd = facts.dnd;
	out->dnd_until_ms = facts.dnd_until_ms;
	out->ghosts = facts.ghosts;
	out->woke_once = facts.woke_once;
}
