/* SPDX-License-Identifier: MIT */
/* How a scenario writes events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/event.h>

#include "json_path.h"
#include "script_internal.h"

/* The fields that words without `=` stand for. */
static const struct {
	const char *event, *fields[3];
} positions[] = {
	{"call", {"call", "to"}},
	{"answer", {"call", "to"}},
	{"end", {"call", "to"}},
	{"ringing", {"call", "to"}},
	{"call-state", {"call", "to"}},
	{"register", {"user", "device"}},
	{"unregister", {"user", "device"}},
	{"forget", {"user", "device"}},
	{"dnd", {"user", "on"}},
	{"block", {"user", "number"}},
	{"unblock", {"user", "number"}},
	{"allow", {"user", "number"}},
	{"unallow", {"user", "number"}},
	{"call-waiting", {"user", "on"}},
	{"mute", {"user", "conversation"}},
	{"unmute", {"user", "conversation"}},
	{"show", {"user"}},
	{"export", {"cursor"}},
	{"missed-call", {"to", "call"}},
	{"voicemail", {"to", "new"}},
	{"message", {"to", "conversation"}},
	{"refresh", {"to"}},
};

static const char *position(const struct step *step, const char *event, size_t index)
{
	for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
		if (!strcmp(positions[i].event, event) && index < 3 && positions[i].fields[index])
			return positions[i].fields[index];
	}
	step_fail(step, "which field of %s is word %zu?", event, index + 1);
}

/* In the type that the table of fields asks for. */
static json_t *typed(const char *field, const char *value)
{
	for (enum event_field i = 0; i < FIELD_COUNT; i++) {
		const struct field_spec *spec = event_field_spec(i);

		if (strcmp(spec->name, field) != 0)
			continue;
		if (spec->type == TYPE_INT)
			return json_integer(strtoll(value, NULL, 10));
		if (spec->type == TYPE_BOOL)
			return json_boolean(!strcmp(value, "true"));
	}
	return json_string(value);
}

static void send_json(
	struct step *step, uint64_t client, enum client_role role, const json_t *event)
{
	char *line = json_dumps(event, JSON_COMPACT);

	assert_non_null(line);
	world_send(step->world, client, role, line, strlen(line));
	free(line);
}

static void add_words(struct step *step, size_t first, const char *event, json_t *root)
{
	const char *key, *value;
	size_t index = 0;

	for (size_t i = first; i < step->count; i++) {
		if (!step_pair(step->words[i], &key, &value)) {
			value = key;
			key = position(step, event, index++);
		}
		json_path_set(root, key, typed(key, value));
	}
}

void step_send(struct step *step, uint64_t client, enum client_role role, const char *rest)
{
	json_t *root;
	char *line;

	rest += strspn(rest, " ");
	if (strchr("{[\"", rest[0])) {
		line = strdup(rest);
		assert_non_null(line);
		for (char *quote = line; (quote = strchr(quote, '\''));)
			*quote = '"';
		world_send(step->world, client, role, line, strlen(line));
		free(line);
		return;
	}
	root = json_pack("{s:s}", "event", step_word(step, 1));
	add_words(step, 2, step->words[1], root);
	send_json(step, client, role, root);
	json_decref(root);
}

void step_phone(struct step *step)
{
	json_t *root = json_pack("{s:s,s:s,s:s,s:b}", "event", "register", "user",
		step_word(step, 1), "device", step_word(step, 2), "sip", 0);
	char *reply;

	if (strcmp(step_word(step, 3), "-") != 0)
		json_path_set(root, "token", json_string(step_token(step->words[3])));
	add_words(step, 4, "register", root);
	send_json(step, 1, ROLE_ADMIN, root);
	json_decref(root);
	reply = world_await_reply(step->world, 1);
	if (!reply || !strstr(reply, "\"stored\":true"))
		step_fail(step, "not stored: %s", reply ? reply : "no reply");
	free(reply);
}
