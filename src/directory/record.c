/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "index.h"

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

	for (size_t i = 0; i < digits; i++) {
		uint8_t byte = key[1 + i / 2];
		out[i] = hex[i % 2 ? byte & 15 : byte >> 4];
	}
	out[digits] = '\0';
}

struct record *record_new(const struct record *fixed, const struct record_text *text)
{
	size_t name_len = strlen(text->name), contact_len = strlen(text->contact);
	size_t size = sizeof(struct record) + text->token->len + text->alert->len + name_len + 1 +
		      contact_len + 1;
	struct record *record = malloc(size);

	if (!record)
		return NULL;
	*record = fixed ? *fixed : (struct record){.app = ""};
	record->token_node = record->alert_node = (struct map_node){0};
	record->user = NULL;
	record->next = NULL;
	record->token_len = text->token->len;
	record->alert_len = text->alert->len;
	record->name_len = (uint8_t)name_len;
	record->contact_len = (uint16_t)contact_len;
	char *at = record->data;
	at = mempcpy(at, text->token->key, text->token->len);
	at = mempcpy(at, text->alert->key, text->alert->len);
	at = mempcpy(at, text->name, name_len + 1);
	memcpy(at, text->contact, contact_len + 1);
	return record;
}

size_t record_size(const struct record *record)
{
	return sizeof(*record) + record->token_len + record->alert_len + record->name_len + 1 +
	       record->contact_len + 1;
}

const uint8_t *record_token(const struct record *record)
{
	return (const uint8_t *)record->data;
}

const uint8_t *record_alert(const struct record *record)
{
	return (const uint8_t *)record->data + record->token_len;
}

const char *record_name(const struct record *record)
{
	return record->data + record->token_len + record->alert_len;
}

const char *record_contact(const struct record *record)
{
	return record_name(record) + record->name_len + 1;
}

bool record_has_push(const struct record *record)
{
	return record->token_len || record->alert_len;
}

bool record_durable(const struct record *record)
{
	return record_has_push(record) || record->dnd;
}

bool record_has_token(const struct record *record, const struct token *token)
{
	return token->len && record->token_len == token->len &&
	       memcmp(record_token(record), token->key, token->len) == 0;
}

bool record_has_alert(const struct record *record, const struct token *token)
{
	return token->len && record->alert_len == token->len &&
	       memcmp(record_alert(record), token->key, token->len) == 0;
}

bool record_dead(const struct record *record)
{
	bool by_alert = !record->token_len || (record->mode == MODE_ALERT && record->alert_len);

	return (by_alert ? record->alert_token_state : record->token_state) != TOKEN_OK;
}

bool record_revive(struct record *record, int64_t now_ms)
{
	bool later = now_ms > record->died_ms;
	bool token = later && record->token_state == TOKEN_UNREGISTERED;
	bool alert = later && record->alert_token_state == TOKEN_UNREGISTERED;

	if (token)
		record->token_state = TOKEN_OK;
	if (alert)
		record->alert_token_state = TOKEN_OK;
	if (record->token_state == TOKEN_OK && record->alert_token_state == TOKEN_OK)
		record->died_ms = 0;
	return token || alert;
}

void record_copy(const struct record *record, struct device *out)
{
	out->user = record->user->name;
	out->name = record_name(record);
	out->app = record->app;
	out->contact = record_contact(record);
	token_unpack(record_token(record), record->token_len, out->token);
	token_unpack(record_alert(record), record->alert_len, out->alert_token);
	out->mode = (enum device_mode)record->mode;
	out->environment = (enum device_environment)record->environment;
	out->learned = (enum device_environment)record->learned;
	out->token_state = (enum token_state)record->token_state;
	out->alert_token_state = (enum token_state)record->alert_token_state;
	out->died_ms = record->died_ms;
	out->registered_until_ms = record->registered_until_ms;
	out->seen_ms = record->seen_ms;
	out->dnd = record->dnd;
	out->dnd_until_ms = record->dnd_until_ms;
}
