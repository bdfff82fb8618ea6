/* SPDX-License-Identifier: MIT */
/* What a scenario expects of a reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "json_path.h"
#include "script_internal.h"

struct reading {
	const struct step *step;
	const json_t *reply;
	const char *text;
	size_t devices;  /* that the step names */
	bool has_device; /* … whether it names any */
	bool has_rule, has_field, has_duplicate;
};

static void expect(const struct reading *reading, const char *path, const char *value)
{
	if (!json_path_matches(reading->reply, path, value))
		step_fail(reading->step, "%s is not %s in %s", path, value, reading->text);
}

static bool is_number(const char *text)
{
	return text[0] && text[strspn(text, "0123456789")] == '\0';
}

/* DEVICE:RESULT[:REASON][:STATUS] */
static void expect_device(struct reading *reading, char *word)
{
	const char *name = strtok(word, ":"), *result = strtok(NULL, ":");
	const char *reason = strtok(NULL, ":"), *status = strtok(NULL, ":");
	const json_t *devices = json_object_get(reading->reply, "devices"), *device;
	size_t i;

	if (reason && !status && is_number(reason)) {
		status = reason;
		reason = NULL;
	}
	if (!status)
		status = !strcmp(result, "accepted") ? "200" : "null";
	reading->devices++;
	reading->has_device = true;
	json_array_foreach(devices, i, device)
	{
		if (!json_path_matches(device, "device", name))
			continue;
		if (!json_path_matches(device, "result", result) ||
			!json_path_matches(device, "reason", reason ? reason : "null") ||
			!json_path_matches(device, "status", status))
			step_fail(reading->step, "%s is not %s %s %s in %s", name, result,
				reason ? reason : "-", status, reading->text);
		return;
	}
	step_fail(reading->step, "no device %s in %s", name, reading->text);
}

static void expect_word(struct reading *reading, char *word)
{
	char *equals = strchr(word, '='), *colon = strchr(word, ':');
	const char *key, *value;

	if (equals && (!colon || equals < colon)) {
		step_pair(word, &key, &value);
		reading->has_field |= !strcmp(key, "field");
		reading->has_duplicate |= !strcmp(key, "duplicate");
		expect(reading, key, value);
	} else if (colon) {
		expect_device(reading, word);
	} else {
		reading->has_rule = true;
		expect(reading, "rule", word);
	}
}

/* The members that every reply of a kind has, and those that it has only where the step says so. */
static void expect_kind(const struct reading *reading, const char *kind)
{
	if (!strcmp(kind, "error")) {
		expect(reading, "ok", "false");
		expect(reading, "error", step_word(reading->step, 2));
		expect(reading, "message", "*");
		return;
	}
	expect(reading, "ok", "true");
	if (!strcmp(kind, "ok"))
		return;
	expect(reading, "event", "call");
	expect(reading, "call", "*");
	expect(reading, "uuid", "*");
	expect(reading, "verdict", kind);
	if (strcmp(kind, "registered") != 0)
		expect(reading, "registered", "-");
}

static void expect_rest(const struct reading *reading, const char *kind)
{
	char count[16];

	if (!strcmp(kind, "error") && !reading->has_field)
		expect(reading, "field", "null");
	if (!strcmp(kind, "error") || !strcmp(kind, "ok"))
		return;
	if (!reading->has_rule)
		expect(reading, "rule", "null");
	if (!reading->has_duplicate)
		expect(reading, "duplicate", "-");
	snprintf(count, sizeof(count), "%zu", reading->devices);
	if (reading->has_device)
		expect(reading, "devices.#", count);
}

void step_reply(struct step *step, uint64_t client)
{
	const char *kind = step_word(step, 1);
	struct reading reading = {.step = step};
	char *text = world_await_reply(step->world, client);
	json_t *reply;

	if (!text)
		step_fail(step, "there is no reply");
	reply = json_loads(text, 0, NULL);
	if (!reply)
		step_fail(step, "no JSON: %s", text);
	reading.reply = reply;
	reading.text = text;
	expect_kind(&reading, kind);
	for (size_t i = strcmp(kind, "error") ? 2 : 3; i < step->count; i++)
		expect_word(&reading, step->words[i]);
	expect_rest(&reading, kind);
	json_decref(reply);
	free(text);
}

void step_quiet(const struct step *step)
{
	char *text = world_reply(step->world, 0);

	if (text)
		step_fail(step, "a reply that nobody expected: %s", text);
}
