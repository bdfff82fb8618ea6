/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define RULES_MAX 256

static const char *const actions[] = {
	[SIM_ANSWER] = "answer",
	[SIM_SILENT] = "silent",
	[SIM_REFUSE] = "refuse",
	[SIM_RESET_STREAM] = "reset-stream",
	[SIM_GOAWAY] = "goaway",
	[SIM_GOAWAY_BEFORE] = "goaway-before",
	[SIM_CLOSE] = "close",
	[SIM_RESET] = "reset",
};
#define ACTIONS (sizeof(actions) / sizeof(*actions))

static const char *const garbages[] = {
	[SIM_CLEAN] = "none",
	[SIM_GARBAGE_JSON] = "json",
	[SIM_GARBAGE_BODY] = "body",
	[SIM_GARBAGE_HEADERS] = "headers",
	[SIM_GARBAGE_FRAMES] = "frames",
};
#define GARBAGES (sizeof(garbages) / sizeof(*garbages))

const char *sim_action_name(enum sim_action action)
{
	return actions[action];
}

static void rule_free(struct sim_rule *rule)
{
	free(rule->pattern);
	free(rule);
}

void sim_rules_clear(struct sim *sim)
{
	struct sim_rule *rule;

	while ((rule = STAILQ_FIRST(&sim->rules))) {
		STAILQ_REMOVE_HEAD(&sim->rules, next);
		rule_free(rule);
	}
}

static bool name_find(const char *const names[], size_t count, const char *name, size_t *out)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool text_is_plain(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && *text != '-' && *text != '_')
			return false;
	return true;
}

/* Takes one member of the rule. False: unknown, or a bad value. */
static bool rule_set(struct sim_rule *rule, const char *key, const json_t *value)
{
	static const struct {
		const char *key;
		size_t at;
	} numbers[] = {
		{"connection", offsetof(struct sim_rule, connection)},
		{"after", offsetof(struct sim_rule, after)},
		{"times", offsetof(struct sim_rule, times)},
		{"delay_ms", offsetof(struct sim_rule, delay_ms)},
		{"timestamp", offsetof(struct sim_rule, timestamp_ms)},
		{"retry_after_s", offsetof(struct sim_rule, retry_after_s)},
		{"code", offsetof(struct sim_rule, code)},
	};
	const char *text = json_string_value(value);
	int64_t number = json_is_integer(value) ? json_integer_value(value) : -1;
	size_t i;

	if (strcmp(key, "status") == 0 && number >= 200 && number <= 599) {
		rule->status = (int)number;
		return true;
	}
	if (strcmp(key, "reason") == 0 && text && strlen(text) < sizeof(rule->reason) &&
		text_is_plain(text)) {
		strcpy(rule->reason, text);
		return true;
	}
	if (strcmp(key, "action") == 0 && text && name_find(actions, ACTIONS, text, &i)) {
		rule->action = (enum sim_action)i;
		return true;
	}
	if (strcmp(key, "garbage") == 0 && text && name_find(garbages, GARBAGES, text, &i)) {
		rule->garbage = (enum sim_garbage)i;
		return true;
	}
	if (strcmp(key, "headers_first") == 0 && json_is_boolean(value)) {
		rule->headers_first = json_is_true(value);
		return true;
	}
	if (strcmp(key, "token") == 0 && text && !rule->pattern) {
		rule->pattern = strdup(text);
		for (char *c = rule->pattern; c && *c; c++)
			*c = (char)tolower((unsigned char)*c);
		return rule->pattern != NULL;
	}
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (strcmp(key, numbers[i].key) == 0 && number >= 0) {
			memcpy((char *)rule + numbers[i].at, &number, sizeof(number));
			return true;
		}
	}
	return false;
}

enum err sim_rule_add(struct sim *sim, const struct json_t *json, char *why, size_t why_size)
{
	struct sim_rule *rule, *other;
	const char *key;
	json_t *value;
	size_t count = 0;
	enum err err = ERR_INVAL;

	STAILQ_FOREACH (other, &sim->rules, next) {
		count++;
	}
	if (count >= RULES_MAX) {
		snprintf(why, why_size, "too many rules");
		return ERR_LIMIT;
	}
	rule = malloc(sizeof(*rule));
	if (!rule) {
		snprintf(why, why_size, "%s", err_string(ERR_NOMEM));
		return ERR_NOMEM;
	}
	*rule = (struct sim_rule){.times = -1,
		.status = 200,
		.delay_ms = -1,
		.timestamp_ms = -1,
		.retry_after_s = -1,
		.code = NGHTTP2_INTERNAL_ERROR};
	/* jansson's iteration takes no const object, and changes nothing. */
	json_object_foreach((json_t *)(uintptr_t)json, key, value)
	{
		if (!rule_set(rule, key, value)) {
			snprintf(why, why_size, "bad member of rule: %s", key);
			goto out;
		}
	}
	if (!rule->pattern && !(rule->pattern = strdup("*"))) {
		err = ERR_NOMEM;
		goto out;
	}
	STAILQ_INSERT_TAIL(&sim->rules, rule, next);
	rule = NULL;
	err = ERR_OK;
out:
	if (rule)
		rule_free(rule);
	return err;
}

static bool pattern_matches(const char *pattern, const char *token)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return strncmp(pattern, token, len - 1) == 0;
	return strcmp(pattern, token) == 0;
}

/* Counts the request against the rule; true when it is this rule's turn. */
static bool rule_takes(struct sim_rule *rule, const struct sim_request *request, const char *token)
{
	if (rule->times == 0 || (rule->connection && rule->connection != request->conn->number) ||
		!pattern_matches(rule->pattern, token))
		return false;
	if (rule->after > 0) {
		rule->after--;
		return false;
	}
	if (rule->times > 0)
		rule->times--;
	return true;
}

void sim_rules_apply(struct sim_request *request, const char *token)
{
	struct sim_rule *rule;

	STAILQ_FOREACH (rule, &request->conn->sim->rules, next) {
		if (!rule_takes(rule, request, token))
			continue;
		request->status = rule->status;
		memcpy(request->reason, rule->reason, sizeof(request->reason));
		request->action = rule->action;
		request->garbage = rule->garbage;
		request->timestamp_ms = rule->timestamp_ms;
		request->retry_after_s = rule->retry_after_s;
		request->code = (uint32_t)rule->code;
		request->headers_first = rule->headers_first;
		if (rule->delay_ms >= 0)
			request->delay_ms = rule->delay_ms;
		return;
	}
}
