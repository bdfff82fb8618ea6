/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/event.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <pbxpush/core/contact.h>
#include <pbxpush/core/utf8.h>

#include "json_text.h"

static const char *const error_names[] = {
	[EVENT_OK] = "ok",
	[EVENT_BAD_JSON] = "bad-json",
	[EVENT_UNKNOWN] = "unknown-event",
	[EVENT_MISSING_FIELD] = "missing-field",
	[EVENT_BAD_FIELD] = "bad-field",
	[EVENT_TOO_LONG] = "too-long",
	[EVENT_OVERLOADED] = "overloaded",
	[EVENT_NOT_PERMITTED] = "not-permitted",
	[EVENT_STORAGE_FAILED] = "storage-failed",
};

const char *event_error_name(enum event_error_code code)
{
	return error_names[code];
}

void event_error_set(struct event_error *error, enum event_error_code code, const char *field,
	const char *fmt, ...)
{
	va_list ap;
	int len;

	error->code = code;
	snprintf(error->field, sizeof(error->field), "%s", field ? field : "");
	va_start(ap, fmt);
	len = vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(error->message)) /* what was quoted may end inside a character */
		error->message[utf8_cut(
			error->message, strlen(error->message), sizeof(error->message) - 4)] = '\0';
}

static enum err bad_field(
	struct event_error *error, const struct field_spec *spec, const char *what)
{
	event_error_set(error, EVENT_BAD_FIELD, spec->name, "'%s' must be %s", spec->name, what);
	return ERR_INVAL;
}

static enum err bad_range(struct event_error *error, const struct field_spec *spec)
{
	bool number = spec->type == TYPE_INT;

	event_error_set(error, EVENT_BAD_FIELD, spec->name, "'%s' must be %s of %lld to %lld%s",
		spec->name, number ? "an integer" : "a string", (long long)spec->min,
		(long long)spec->max, number ? "" : " bytes");
	return ERR_INVAL;
}

/* Where the value of a field lives in the event. */
static void *member(struct call_event *event, const struct field_spec *spec)
{
	return (char *)event + spec->offset;
}

/* `*` and `*@domain` name everybody, and everybody of a tenant. */
static bool is_user(const char *text, bool wildcard)
{
	char aor[AOR_SIZE];

	if (text[0] == '*' && text[1] == '\0')
		return wildcard;
	if (aor_normalize(text, "", aor))
		return false;
	return text[0] != '*' || text[1] != '@' || (wildcard && aor_domain(aor)[0]);
}

static enum err parse_string(const struct field_spec *spec, bool wildcard, const json_t *value,
	struct call_event *out, struct event_error *error)
{
	const char *text = json_string_value(value);
	int64_t len = (int64_t)json_string_length(value);
	char scratch[PUSH_TOKEN_SIZE];

	if (!text)
		return bad_field(error, spec, "a string");
	if (spec->type == TYPE_TOKEN && push_token_normalize(text, scratch))
		return bad_field(error, spec, "a token of 32 to 512 hex digits");
	if (spec->type == TYPE_UUID && !uuid_normalize(text, scratch))
		return bad_field(error, spec, "a UUID");
	if (len < spec->min || len > spec->max)
		return bad_range(error, spec);
	if (spec->type == TYPE_USER && !is_user(text, wildcard))
		return bad_field(error, spec, "a user, such as 1001 or 1001@tenant.example.com");
	*(const char **)member(out, spec) = text;
	return ERR_OK;
}

static enum err parse_int(const struct field_spec *spec, const json_t *value,
	struct call_event *out, struct event_error *error)
{
	double real = json_number_value(value);
	int64_t number;

	if (!json_is_number(value))
		return bad_field(error, spec, "an integer");
	/* 30000.0 is an integer: Lua and JavaScript write whole numbers so. */
	if (json_is_real(value) && (real != trunc(real) || fabs(real) > (double)EVENT_INT_MAX))
		return bad_range(error, spec);
	number = json_is_real(value) ? (int64_t)real : json_integer_value(value);
	if (number < spec->min || number > spec->max)
		return bad_range(error, spec);
	*(int64_t *)member(out, spec) = number;
	return ERR_OK;
}

static enum err parse_choice(const struct field_spec *spec, const json_t *value,
	struct call_event *out, struct event_error *error)
{
	const char *text = json_string_value(value);
	char allowed[96] = "one of";
	size_t len = strlen(allowed);

	for (unsigned i = 0; spec->choices[i]; i++) {
		if (spec->choices[i][0] == '\0')
			continue;
		if (text && !strcmp(text, spec->choices[i])) {
			/* the enums stored here have no negative value: gcc and clang make them
			 * unsigned */
			*(unsigned *)member(out, spec) = i;
			return ERR_OK;
		}
		len += (size_t)snprintf(
			allowed + len, sizeof(allowed) - len, " %s", spec->choices[i]);
	}
	return bad_field(error, spec, allowed);
}

static enum err parse_object(const struct field_spec *spec, const json_t *value,
	struct call_event *out, struct event_error *error)
{
	if (!json_is_object(value))
		return bad_field(error, spec, "an object");
	if (spec->offset) /* else only its members are of interest */
		*(const json_t **)member(out, spec) = value;
	return ERR_OK;
}

static enum err parse_strings(const struct field_spec *spec, const json_t *value,
	struct call_event *out, struct event_error *error)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(value) || (int64_t)json_array_size(value) > spec->max)
		return bad_field(error, spec, "an array of at most 32 strings");
	json_array_foreach(value, i, item)
	{
		if (!json_is_string(item) || json_string_length(item) >= CONTACT_SIZE)
			return bad_field(error, spec, "an array of contact URIs");
	}
	*(const json_t **)member(out, spec) = value;
	return ERR_OK;
}

static enum err parse_field(const struct field_spec *spec, bool wildcard, const json_t *value,
	struct call_event *out, struct event_error *error)
{
	switch (spec->type) {
	case TYPE_STRING:
	case TYPE_USER:
	case TYPE_TOKEN:
	case TYPE_UUID:
		return parse_string(spec, wildcard, value, out, error);
	case TYPE_BOOL:
		if (!json_is_boolean(value))
			return bad_field(error, spec, "true or false");
		*(bool *)member(out, spec) = json_is_true(value);
		return ERR_OK;
	case TYPE_INT:
		return parse_int(spec, value, out, error);
	case TYPE_CHOICE:
		return parse_choice(spec, value, out, error);
	case TYPE_OBJECT:
		return parse_object(spec, value, out, error);
	case TYPE_STRINGS:
		return parse_strings(spec, value, out, error);
	case TYPE_WINDOWS:
		if (!json_is_array(value))
			return bad_field(error, spec, "an array of windows");
		*(const json_t **)member(out, spec) = value;
		return ERR_OK;
	}
	return ERR_INVAL;
}

/* The field of an event with this name, whose first parent_len characters are those of its
 * parent and a dot. */
static enum event_field field_of(
	uint64_t fields, const char *parent, size_t parent_len, const char *key)
{
	for (enum event_field field = 0; field < FIELD_COUNT; field++) {
		const char *name;

		if (!(fields >> field & 1))
			continue;
		name = event_field_spec(field)->name;
		if (parent_len && strncmp(name, parent, parent_len) != 0)
			continue;
		name += parent_len;
		if (name[0] == key[0] && !strcmp(name, key))
			return field;
	}
	return FIELD_COUNT;
}

/* Notes where the value of each field stands; null counts as absent. Members without a field are
 * ignored, for callers are newer than us sometimes. */
static void find_values(uint64_t fields, const char *parent, size_t parent_len, json_t *object,
	json_t *values[FIELD_COUNT])
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		enum event_field field = field_of(fields, parent, parent_len, key);
		char name[32];

		if (field == FIELD_COUNT || json_is_null(value))
			continue;
		values[field] = value;
		if (json_is_object(value) && !parent_len) {
			snprintf(name, sizeof(name), "%s.", key);
			find_values(fields, name, strlen(name), value, values);
		}
	}
}

static enum err parse_fields(struct call_event *out, struct event_error *error)
{
	const struct event_spec *spec = event_spec(out->type);
	json_t *values[FIELD_COUNT] = {NULL};

	find_values(spec->required | spec->optional, "", 0, out->root, values);
	for (enum event_field field = 0; field < FIELD_COUNT; field++) {
		const struct field_spec *field_spec = event_field_spec(field);
		uint64_t bit = UINT64_C(1) << field;

		if (!values[field] && (spec->required & bit)) {
			event_error_set(error, EVENT_MISSING_FIELD, field_spec->name,
				"'%s' needs '%s'", spec->name, field_spec->name);
			return ERR_INVAL;
		}
		if (!values[field])
			continue;
		if (parse_field(field_spec, spec->wildcard, values[field], out, error))
			return ERR_INVAL;
		out->has |= bit;
	}
	return ERR_OK;
}

/* What the table cannot say: events that need one of two fields. */
static enum err check_alternatives(const struct call_event *event, struct event_error *error)
{
	const char *field, *other;

	if (event->type == EVENT_CALL_STATE && !event->call && !event->uuid) {
		field = "call";
		other = "uuid";
	} else if (event->type == EVENT_FORGET && !event->user && !event->token) {
		field = "user";
		other = "token";
	} else {
		return ERR_OK;
	}
	event_error_set(error, EVENT_MISSING_FIELD, field, "'%s' needs '%s' or '%s'",
		event_spec(event->type)->name, field, other);
	return ERR_INVAL;
}

static enum err parse_type(struct call_event *out, struct event_error *error)
{
	const json_t *value = json_object_get(out->root, "event");
	const char *name = json_string_value(value);

	if (!value || json_is_null(value)) {
		event_error_set(error, EVENT_MISSING_FIELD, "event", "the line has no 'event'");
		return ERR_INVAL;
	}
	if (!name) {
		event_error_set(error, EVENT_BAD_FIELD, "event", "'event' must be a string");
		return ERR_INVAL;
	}
	out->type = event_type_of(name);
	if (out->type != EVENT_COUNT)
		return ERR_OK;
	event_error_set(error, EVENT_UNKNOWN, "event", "there is no event '%s'", name);
	return ERR_INVAL;
}

/* *root is NULL unless this returns ERR_OK. */
static enum err load(const char *line, size_t len, json_t **root, struct event_error *error)
{
	json_error_t why = {0};
	const char *near;

	*root = json_loadb(line, len, 0, &why);
	/* A number too big for an integer is a bad field, not bad JSON. */
	if (!*root && json_error_code(&why) == json_error_numeric_overflow)
		*root = json_loadb(line, len, JSON_DECODE_INT_AS_REAL, &why);
	if (json_is_object(*root))
		return ERR_OK;
	if (!*root && json_error_code(&why) == json_error_out_of_memory)
		return ERR_NOMEM;
	near = strstr(why.text, " near "); /* what jansson quotes may end inside a character */
	if (*root)
		event_error_set(error, EVENT_BAD_JSON, NULL, "the line is not a JSON object");
	else
		event_error_set(error, EVENT_BAD_JSON, NULL, "%.*s at byte %d",
			near ? (int)(near - why.text) : (int)strlen(why.text), why.text,
			why.position);
	json_decref(*root);
	*root = NULL;
	return ERR_INVAL;
}

/* The text of a member, kept as a member of the root, so that one thing owns all. NULL where memory
 * is short: then the parsed value has to do. */
static const char *keep_text(json_t *root, const char *line, size_t len, const char *name)
{
	struct buf text = {0};
	char kept[16];
	const char *value = NULL;

	snprintf(kept, sizeof(kept), "%s\n", name); /* a name that no field has */
	json_text_member(line, len, name, &text);
	if (text.len && !text.failed &&
		!json_object_set_new(root, kept, json_stringn(text.data, text.len)))
		value = json_string_value(json_object_get(root, kept));
	buf_free(&text);
	return value;
}

static enum err parse_clean(
	const char *line, size_t len, struct call_event *out, struct event_error *error)
{
	const json_t *id;
	enum err err = load(line, len, &out->root, error);

	if (err)
		return err;
	id = json_object_get(out->root, "id");
	if (json_is_string(id) || json_is_number(id)) {
		out->id = id;
	} else if (id && !json_is_null(id)) {
		event_error_set(error, EVENT_BAD_FIELD, "id", "'id' must be a string or a number");
		return ERR_INVAL;
	}
	if (json_is_real(id))
		out->id_text = keep_text(out->root, line, len, "id");
	err = parse_type(out, error);
	if (!err)
		err = parse_fields(out, error);
	if (!err)
		err = check_alternatives(out, error);
	if (!err && out->data)
		out->data_text = keep_text(out->root, line, len, "data");
	return err;
}

enum err call_event_parse(
	const char *line, size_t len, struct call_event *out, struct event_error *error)
{
	struct buf repaired = {0};
	enum err err;

	*out = (struct call_event){
		.attempt = 1, .wait = WAIT_PUSH, .reason = CALL_CANCELLED, .sip = true};
	if (utf8_json_is_clean(line, len))
		return parse_clean(line, len, out, error);
	utf8_json_repair(line, len, &repaired);
	err = repaired.failed ? ERR_NOMEM : parse_clean(repaired.data, repaired.len, out, error);
	buf_free(&repaired);
	return err;
}

void call_event_free(struct call_event *event)
{
	json_decref(event->root);
	event->root = NULL;
}
