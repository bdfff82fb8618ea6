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
	const struct field_spec *spec = event_field_spec(field);

	/* one window an option, repeated */
	snprintf(out, EVENT_OPTION_SIZE, "%s", spec->type == TYPE_WINDOWS ? "window" : spec->name);
	for (char *p = out; *p; p++) {
		if (*p == '_' || *p == '.')
			*p = '-';
	}
}

/* Options that may stand several times, and become an array. */
static bool is_list(enum field_type type)
{
	return type == TYPE_STRINGS || type == TYPE_WINDOWS;
}

/* "mon,tue 22:00-07:00": what schedule_parse() makes of the parts is the daemon's to say. */
static bool split_window(
	const char *text, int *days_len, const char **from, int *from_len, const char **to)
{
	const char *dash;

	*days_len = (int)strcspn(text, " ");
	*from = text + *days_len + strspn(text + *days_len, " ");
	dash = strchr(*from, '-');
	if (!*days_len || !dash || dash == *from || !dash[1])
		return false;
	*from_len = (int)(dash - *from);
	*to = dash + 1;
	return true;
}

static void write_window(const char *text, struct buf *out)
{
	const char *from, *to;
	int days_len, from_len;
	char word[64];

	if (!split_window(text, &days_len, &from, &from_len, &to))
		return; /* checked when it was set */
	buf_add_str(out, "{\"days\":[");
	for (int at = 0, len; at < days_len; at += len + 1) {
		len = (int)strcspn(text + at, ", ");
		snprintf(word, sizeof(word), "%.*s", len, text + at);
		buf_add_str(out, at ? "," : "");
		buf_add_json(out, word);
	}
	snprintf(word, sizeof(word), "%.*s", from_len, from);
	buf_add_str(out, "],\"from\":");
	buf_add_json(out, word);
	buf_add_str(out, ",\"to\":");
	buf_add_json(out, to);
	buf_add_char(out, '}');
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
	const char *parts[2];
	json_t *object;
	int numbers[2];

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
	case TYPE_WINDOWS:
		return split_window(value, &numbers[0], &parts[0], &numbers[1], &parts[1])
			       ? NULL
			       : "days and times, such as \"mon,tue 22:00-07:00\"";
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
	if (is_list(spec->type)) {
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

/* Required, and yet none need be given: an unknown caller, a schedule that is cleared. */
static bool may_be_empty(enum event_field field)
{
	return is_parent(field) || event_field_spec(field)->type == TYPE_WINDOWS;
}

bool event_requires_option(enum event_type type, enum event_field field)
{
	return event_spec(type)->required >> field & 1 && !may_be_empty(field);
}

static bool has_members(const struct event_command *command, enum event_field parent)
{
	const char *name = event_field_spec(parent)->name;
	size_t len = strlen(name);

	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		const char *other = event_field_spec(f)->name;

		if (command->values[f] && !strncmp(other, name, len) && other[len] == '.')
			return true;
	}
	return false;
}

enum err event_command_check(const struct event_command *command, char *why, size_t why_size)
{
	char option[EVENT_OPTION_SIZE];

	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		if (!event_requires_option(command->type, f) || command->values[f])
			continue;
		event_option_name(f, option);
		snprintf(why, why_size, "--%s is missing", option);
		return ERR_INVAL;
	}
	return ERR_OK;
}

static void write_list(const struct event_command *command, enum field_type type, struct buf *out)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < command->list_count; i++) {
		if (i)
			buf_add_char(out, ',');
		if (type == TYPE_WINDOWS)
			write_window(command->list[i], out);
		else
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
	case TYPE_WINDOWS:
		write_list(command, event_field_spec(field)->type, out);
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
	if (open_len)
		buf_add_char(out, '}');
	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		if (!(event_spec(command->type)->required >> f & 1) || !may_be_empty(f) ||
			command->values[f] || has_members(command, f))
			continue;
		buf_printf(
			out, ",\"%s\":%s", event_field_spec(f)->name, is_parent(f) ? "{}" : "[]");
	}
	buf_add_char(out, '}');
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
