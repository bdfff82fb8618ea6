/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/utf8.h>
#include <pbxpush/ctl/event_command.h>

/* The daemon answers a `call` by its deadline at the latest; what it needs on top is for a busy
 * machine. */
#define REPLY_SLACK_MS   5000
#define REPLY_DEFAULT_MS 10000
/* `ring-timeout` as it comes; one who changes it says --wait-ms or --timeout. */
#define RING_DEFAULT_MS  30000

static bool is_parent(enum event_field field)
{
	const char *name = event_field_spec(field)->name;
	size_t len = strlen(name);

	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		const char *other = event_field_spec(f)->name;

		if (!strncmp(other, name, len) && other[len] == '.')
			return true;
	}
	return false;
}

void event_option_name(enum event_field field, char out[EVENT_OPTION_SIZE])
{
	const char *name = event_field_spec(field)->name;
	size_t i;

	for (i = 0; i < EVENT_OPTION_SIZE - 1 && name[i]; i++)
		out[i] = name[i] == '_' || name[i] == '.' ? '-' : name[i];
	out[i] = '\0';
}

bool event_takes_option(enum event_type type, enum event_field field)
{
	const struct event_spec *spec = event_spec(type);

	return (spec->required | spec->optional) >> field & 1 && !is_parent(field);
}

enum event_field event_option_field(enum event_type type, const char *option)
{
	char name[EVENT_OPTION_SIZE];
	enum event_field field;

	for (field = 0; field < FIELD_COUNT; field++) {
		event_option_name(field, name);
		if (!strcmp(name, option) && event_takes_option(type, field))
			break;
	}
	return field;
}

enum event_field event_argument_field(enum event_type type)
{
	const struct event_spec *spec = event_spec(type);
	enum event_field found = FIELD_COUNT;

	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		if (!(spec->required >> f & 1) || event_field_spec(f)->type == TYPE_BOOL)
			continue;
		if (found != FIELD_COUNT)
			return FIELD_COUNT;
		found = f;
	}
	/* call-state takes a call or a uuid and requires neither; `forget USER`, which deletes,
	 * stays explicit */
	if (found == FIELD_COUNT && !spec->required && spec->optional >> FIELD_CALL & 1)
		return FIELD_CALL;
	return found == FIELD_USER || found == FIELD_CALL ? found : FIELD_COUNT;
}

static bool is_integer(const char *text)
{
	char *end;

	/* strtoll() also takes white space and `+`, which JSON does not */
	if (*text != '-' && (*text < '0' || *text > '9'))
		return false;
	errno = 0;
	strtoll(text, &end, 10);
	return !errno && end != text && !*end;
}

/* An object whatever bytes its strings hold, or NULL. */
static json_t *parse_object(const char *text)
{
	struct buf clean = {0};
	json_t *json = NULL;

	utf8_json_repair(text, strlen(text), &clean);
	if (!clean.failed)
		json = json_loadb(buf_str(&clean), clean.len, 0, NULL);
	buf_free(&clean);
	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

static const char *wrong_value(const struct field_spec *spec, const char *value)
{
	json_t *object;

	switch (spec->type) {
	case TYPE_BOOL:
		return strcmp(value, "true") && strcmp(value, "false") ? "true or false" : NULL;
	case TYPE_INT:
		return is_integer(value) ? NULL : "a whole number";
	case TYPE_OBJECT:
		object = parse_object(value);
		json_decref(object);
		return object ? NULL : "a JSON object";
	case TYPE_STRING:
	case TYPE_USER:
	case TYPE_TOKEN:
	case TYPE_UUID:
	case TYPE_CHOICE:
	case TYPE_STRINGS:
		break;
	}
	return NULL;
}

enum err event_command_set(struct event_command *command, enum event_field field, const char *value,
	char *why, size_t why_size)
{
	const struct field_spec *spec = event_field_spec(field);
	const char *wanted = wrong_value(spec, value);
	char option[EVENT_OPTION_SIZE];

	event_option_name(field, option);
	if (wanted) {
		snprintf(why, why_size, "--%s \"%s\": not %s", option, value, wanted);
		return ERR_INVAL;
	}
	if (spec->type == TYPE_STRINGS) {
		if (command->list_count == EVENT_COMMAND_LIST_MAX) {
			snprintf(why, why_size, "--%s: more than %d times", option,
				EVENT_COMMAND_LIST_MAX);
			return ERR_INVAL;
		}
		command->list[command->list_count++] = value;
	} else if (command->values[field]) {
		snprintf(why, why_size, "--%s: given twice (\"%s\" and \"%s\")", option,
			command->values[field], value);
		return ERR_INVAL;
	}
	command->values[field] = value;
	return ERR_OK;
}

enum err event_command_check(const struct event_command *command, char *why, size_t why_size)
{
	const struct event_spec *spec = event_spec(command->type);
	char option[EVENT_OPTION_SIZE];

	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		if (!(spec->required >> f & 1) || is_parent(f) || command->values[f])
			continue;
		event_option_name(f, option);
		snprintf(why, why_size, "--%s is missing", option);
		return ERR_INVAL;
	}
	return ERR_OK;
}

static void write_strings(const struct event_command *command, struct buf *out)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < command->list_count; i++) {
		if (i)
			buf_add_char(out, ',');
		buf_add_json(out, command->list[i]);
	}
	buf_add_char(out, ']');
}

static void write_object(const char *text, struct buf *out)
{
	json_t *object = parse_object(text);
	char *compact = object ? json_dumps(object, JSON_COMPACT) : NULL;

	/* it was an object when it was set, so this is want of memory */
	if (compact)
		buf_add_str(out, compact);
	else
		out->failed = true;
	free(compact);
	json_decref(object);
}

static void write_value(
	const struct event_command *command, enum event_field field, struct buf *out)
{
	const char *value = command->values[field];

	switch (event_field_spec(field)->type) {
	case TYPE_STRING:
	case TYPE_USER:
	case TYPE_TOKEN:
	case TYPE_UUID:
	case TYPE_CHOICE:
		buf_add_json(out, value);
		break;
	case TYPE_BOOL:
		buf_add_str(out, value);
		break;
	case TYPE_INT:
		buf_add_int(out, strtoll(value, NULL, 10)); /* JSON forbids leading zeros */
		break;
	case TYPE_OBJECT:
		write_object(value, out);
		break;
	case TYPE_STRINGS:
		write_strings(command, out);
		break;
	}
}

static void write_line(const struct event_command *command, struct buf *out)
{
	const char *open = ""; /* the name of the dotted field whose parent is open */
	size_t open_len = 0;   /* of the parent with its dot */

	buf_add_str(out, "{\"event\":");
	buf_add_json(out, event_spec(command->type)->name);
	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		const char *name = event_field_spec(f)->name;
		const char *dot = strchr(name, '.');
		size_t parent_len = dot ? (size_t)(dot - name) + 1 : 0;
		bool inside = open_len && open_len == parent_len && !strncmp(name, open, open_len);

		if (!command->values[f])
			continue;
		/* fields of one parent stand together in the table, so it is opened once */
		if (open_len && !inside)
			buf_add_char(out, '}');
		buf_add_char(out, ',');
		if (parent_len && !inside)
			buf_printf(out, "\"%.*s\":{", (int)parent_len - 1, name);
		buf_printf(out, "\"%s\":", name + parent_len);
		write_value(command, f, out);
		open = name;
		open_len = parent_len;
	}
	buf_add_str(out, open_len ? "}}" : "}");
}

enum err event_command_write(const struct event_command *command, struct buf *out)
{
	struct buf line = {0};

	write_line(command, &line);
	if (!line.failed)
		utf8_json_repair(buf_str(&line), line.len, out);
	else
		out->failed = true;
	buf_free(&line);
	buf_add_char(out, '\n');
	return out->failed ? ERR_NOMEM : ERR_OK;
}

int64_t event_command_timeout_ms(const struct event_command *command)
{
	const char *wait = command->values[FIELD_WAIT];
	const char *bound = command->values[FIELD_WAIT_MS];
	long long ms;

	if (command->type != EVENT_CALL || (wait && !strcmp(wait, wait_mode_name(WAIT_VERDICT))))
		return REPLY_DEFAULT_MS;
	if (!bound)
		bound = command->values[FIELD_RING_MS];
	ms = bound ? strtoll(bound, NULL, 10) : RING_DEFAULT_MS;
	/* a number out of range is answered with bad-field, at once */
	if (ms < 0 || ms > 300000)
		ms = RING_DEFAULT_MS;
	return ms + REPLY_SLACK_MS;
}
