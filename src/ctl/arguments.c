/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/ctl/arguments.h>

#include "nearest.h"

enum global {
	GLOBAL_EVENTS,
	GLOBAL_STATUS,
	GLOBAL_TIMEOUT,
	GLOBAL_JSON,
	GLOBAL_HELP,
	GLOBAL_VERSION
};

static const struct {
	const char *name;
	bool takes_value;
} globals[] = {
	[GLOBAL_EVENTS] = {"events", true},
	[GLOBAL_STATUS] = {"status", true},
	[GLOBAL_TIMEOUT] = {"timeout", true},
	[GLOBAL_JSON] = {"json", false},
	[GLOBAL_HELP] = {"help", false},
	[GLOBAL_VERSION] = {"version", false},
};
#define GLOBAL_COUNT (sizeof(globals) / sizeof(globals[0]))

/* A day is longer than anybody waits, and keeps the arithmetic far from its limits. */
#define TIMEOUT_MAX_S 86400

/* The command line while it is read. */
struct reader {
	int argc, next;
	char *const *argv;
	struct arguments *out;
	char *why;
	size_t why_size;
};

/* What is being parsed, as the beginning of an error: "call: ". */
static const char *command_name(const struct arguments *arguments)
{
	if (arguments->is_event)
		return event_spec(arguments->event.type)->name;
	return arguments->command ? arguments->command->name : NULL;
}

static enum err set_timeout(struct reader *reader, const char *value)
{
	char *end;
	double seconds = strtod(value, &end);

	/* written so that NaN fails, too */
	if (end == value || *end || !(seconds > 0 && seconds <= TIMEOUT_MAX_S)) {
		snprintf(reader->why, reader->why_size,
			"--timeout \"%s\": not a number of seconds up to %d", value, TIMEOUT_MAX_S);
		return ERR_INVAL;
	}
	reader->out->timeout_ms = (int64_t)(seconds * 1000 + 0.999);
	return ERR_OK;
}

static enum err set_global(struct reader *reader, enum global global, const char *value)
{
	switch (global) {
	case GLOBAL_EVENTS:
		reader->out->events_path = value;
		break;
	case GLOBAL_STATUS:
		reader->out->status_path = value;
		break;
	case GLOBAL_TIMEOUT:
		return set_timeout(reader, value);
	case GLOBAL_JSON:
		reader->out->json = true;
		break;
	case GLOBAL_HELP:
		reader->out->help = true;
		break;
	case GLOBAL_VERSION:
		reader->out->version = true;
		break;
	}
	return ERR_OK;
}

/* The value behind `=`, else the next word whatever it looks like. */
static enum err take_value(
	struct reader *reader, const char *option, const char *attached, const char **out)
{
	if (attached) {
		*out = attached;
	} else if (reader->next < reader->argc) {
		*out = reader->argv[reader->next++];
	} else {
		snprintf(reader->why, reader->why_size, "--%s needs a value", option);
		return ERR_INVAL;
	}
	return ERR_OK;
}

/* A bool stands alone or is followed by true or false, and by nothing else: `--video 1001` is no
 * value. */
static const char *take_bool(struct reader *reader, const char *attached)
{
	const char *next = reader->next < reader->argc ? reader->argv[reader->next] : "";

	if (attached)
		return attached;
	if (strcmp(next, "true") && strcmp(next, "false"))
		return "true";
	reader->next++;
	return next;
}

static enum err unknown_option(struct reader *reader, const char *option)
{
	const struct arguments *out = reader->out;
	const char *name = command_name(out);
	struct nearest nearest = {.word = option};
	char candidate[EVENT_OPTION_SIZE];

	for (enum event_field f = 0; out->is_event && f < FIELD_COUNT; f++) {
		event_option_name(f, candidate);
		if (event_takes_option(out->event.type, f))
			nearest_offer(&nearest, candidate);
	}
	if (out->command && out->command->flag)
		nearest_offer(&nearest, out->command->flag);
	for (size_t i = 0; i < GLOBAL_COUNT; i++)
		nearest_offer(&nearest, globals[i].name);
	if (nearest.best[0])
		snprintf(reader->why, reader->why_size,
			"%s%sunknown option \"--%s\"; did you mean --%s?", name ? name : "",
			name ? ": " : "", option, nearest.best);
	else if (name)
		snprintf(reader->why, reader->why_size,
			"%s: unknown option \"--%s\" (pbxpushctl help %s lists them)", name, option,
			name);
	else
		snprintf(reader->why, reader->why_size,
			"unknown option \"--%s\" in front of the command", option);
	return ERR_INVAL;
}

static enum err no_value(struct reader *reader, const char *option)
{
	snprintf(reader->why, reader->why_size, "--%s takes no value", option);
	return ERR_INVAL;
}

static enum err read_option(struct reader *reader, const char *option, const char *attached)
{
	struct arguments *out = reader->out;
	const char *value = NULL;
	enum event_field field;
	enum err err = ERR_OK;

	for (size_t i = 0; i < GLOBAL_COUNT; i++) {
		if (strcmp(option, globals[i].name))
			continue;
		if (globals[i].takes_value)
			err = take_value(reader, option, attached, &value);
		else if (attached)
			err = no_value(reader, option);
		return err ? err : set_global(reader, (enum global)i, value);
	}
	if (out->command && out->command->flag && !strcmp(option, out->command->flag)) {
		out->flag = true;
		return attached ? no_value(reader, option) : ERR_OK;
	}
	field = out->is_event ? event_option_field(out->event.type, option) : FIELD_COUNT;
	if (field == FIELD_COUNT)
		return unknown_option(reader, option);
	if (event_field_spec(field)->type == TYPE_BOOL)
		value = take_bool(reader, attached);
	else
		err = take_value(reader, option, attached, &value);
	return err ? err
		   : event_command_set(&out->event, field, value, reader->why, reader->why_size);
}

/* `--name`, `--name=value`, -h, -V */
static enum err read_dashes(struct reader *reader, const char *word)
{
	const char *name = word + 2, *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	char option[NEAREST_SIZE];

	if (!strcmp(word, "-h"))
		return set_global(reader, GLOBAL_HELP, NULL);
	if (!strcmp(word, "-V"))
		return set_global(reader, GLOBAL_VERSION, NULL);
	if (word[1] != '-' || len >= sizeof(option)) {
		snprintf(reader->why, reader->why_size, "unknown option \"%s\"", word);
		return ERR_INVAL;
	}
	memcpy(option, name, len);
	option[len] = '\0';
	return read_option(reader, option, equals ? equals + 1 : NULL);
}

static enum err read_command(struct reader *reader, const char *name)
{
	struct arguments *out = reader->out;
	struct nearest nearest = {.word = name};

	out->command = command_find(name);
	out->event.type = event_type_of(name);
	out->is_event = !out->command && out->event.type != EVENT_COUNT;
	if (out->is_event || out->command)
		return ERR_OK;
	for (enum event_type type = 0; type < EVENT_COUNT; type++)
		nearest_offer(&nearest, event_spec(type)->name);
	for (size_t i = 0; command_at(i); i++)
		nearest_offer(&nearest, command_at(i)->name);
	if (nearest.best[0])
		snprintf(reader->why, reader->why_size, "unknown command \"%s\"; did you mean %s?",
			name, nearest.best);
	else
		snprintf(reader->why, reader->why_size,
			"unknown command \"%s\" (pbxpushctl help lists them)", name);
	return ERR_INVAL;
}

static enum err read_argument(struct reader *reader, const char *word)
{
	struct arguments *out = reader->out;
	enum event_field field;

	if (out->is_event) {
		field = event_argument_field(out->event.type);
		if (field != FIELD_COUNT)
			return event_command_set(
				&out->event, field, word, reader->why, reader->why_size);
	} else if (out->command->argument && !out->argument) {
		out->argument = word;
		return ERR_OK;
	}
	snprintf(reader->why, reader->why_size,
		"%s: unexpected argument \"%s\" (pbxpushctl help %s)", command_name(out), word,
		command_name(out));
	return ERR_INVAL;
}

/* What can only be seen when all words have been read. */
static enum err check_complete(struct reader *reader)
{
	struct arguments *out = reader->out;
	char what[ARGUMENTS_WHY_SIZE];
	enum err err = ERR_OK;

	if (out->help || out->version)
		return ERR_OK;
	if (!command_name(out)) {
		snprintf(reader->why, reader->why_size,
			"a command is missing (pbxpushctl help lists them)");
		return ERR_INVAL;
	}
	if (out->is_event)
		err = event_command_check(&out->event, what, sizeof(what));
	else if (out->command->argument && out->command->argument[0] != '[' && !out->argument) {
		snprintf(what, sizeof(what), "%s is missing", out->command->argument);
		err = ERR_INVAL;
	}
	if (err)
		snprintf(reader->why, reader->why_size, "%s: %s (pbxpushctl help %s)",
			command_name(out), what, command_name(out));
	return err;
}

enum err arguments_parse(
	int argc, char *const *argv, struct arguments *out, char *why, size_t why_size)
{
	struct arguments arguments = {
		.events_path = "/run/pbxpush/events.sock",
		.status_path = "/run/pbxpush/status.sock",
	};
	struct reader reader = {argc, 1, argv, &arguments, why, why_size};
	bool options = true; /* until `--` */
	enum err err = ERR_OK;

	while (!err && reader.next < argc) {
		const char *word = argv[reader.next++];

		if (options && !strcmp(word, "--"))
			options = false;
		else if (options && word[0] == '-' && word[1])
			err = read_dashes(&reader, word);
		else if (!command_name(&arguments))
			err = read_command(&reader, word);
		else
			err = read_argument(&reader, word);
	}
	if (!err)
		err = check_complete(&reader);
	if (!err)
		*out = arguments;
	return err;
}
