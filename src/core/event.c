/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/event.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/contact.h>
#include <pbxpush/core/json_reader.h>
#include <pbxpush/core/utf8.h>

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

static enum err parse_string(const struct field_spec *spec, bool wildcard, struct json_value *value,
	struct call_event *out, struct event_error *error)
{
	char scratch[PUSH_TOKEN_SIZE];
	const char *text;
	size_t len;

	if (value->kind != KIND_STRING)
		return bad_field(error, spec, "a string");
	text = json_value_string(value, &len);
	if (spec->type == TYPE_TOKEN && push_token_normalize(text, scratch))
		return bad_field(error, spec, "a token of 32 to 512 hex digits");
	if (spec->type == TYPE_UUID && !uuid_normalize(text, scratch))
		return bad_field(error, spec, "a UUID");
	if ((int64_t)len < spec->min || (int64_t)len > spec->max)
		return bad_range(error, spec);
	if (spec->type == TYPE_USER && !is_user(text, wildcard))
		return bad_field(error, spec, "a user, such as 1001 or 1001@tenant.example.com");
	*(const char **)member(out, spec) = text;
	return ERR_OK;
}

/* False where it is no integer or too great a one. 30000.0 is an integer: Lua and JavaScript write
 * whole numbers so. */
static bool read_integer(const struct json_value *value, int64_t *out)
{
	double real = strtod(value->text, NULL); /* what follows a number ends it here too */

	if (real != trunc(real) || fabs(real) > (double)EVENT_INT_MAX)
		return false;
	*out = (int64_t)real;
	return true;
}

static enum err parse_int(const struct field_spec *spec, const struct json_value *value,
	struct call_event *out, struct event_error *error)
{
	int64_t number;

	if (value->kind != KIND_NUMBER)
		return bad_field(error, spec, "an integer");
	if (!read_integer(value, &number) || number < spec->min || number > spec->max)
		return bad_range(error, spec);
	*(int64_t *)member(out, spec) = number;
	return ERR_OK;
}

static enum err parse_choice(const struct field_spec *spec, struct json_value *value,
	struct call_event *out, struct event_error *error)
{
	const char *text = value->kind == KIND_STRING ? json_value_string(value, NULL) : NULL;
	char allowed[96] = "one of";
	size_t len = strlen(allowed);

	for (unsigned i = 0; text && spec->choices[i]; i++) {
		if (text[0] && !strcmp(text, spec->choices[i])) {
			/* the enums stored here have no negative value: gcc and clang make them
			 * unsigned */
			*(unsigned *)member(out, spec) = i;
			return ERR_OK;
		}
	}
	for (unsigned i = 0; spec->choices[i]; i++) {
		if (spec->choices[i][0])
			len += (size_t)snprintf(
				allowed + len, sizeof(allowed) - len, " %s", spec->choices[i]);
	}
	return bad_field(error, spec, allowed);
}

static enum err parse_object(const struct field_spec *spec, struct json_value *value,
	struct call_event *out, struct event_error *error)
{
	if (value->kind != KIND_OBJECT)
		return bad_field(error, spec, "an object");
	if (spec->offset) /* else only its members are of interest */
		*(const char **)member(out, spec) = json_value_compact(value);
	return ERR_OK;
}

/* Packs the strings of an array where it stood. */
static enum err parse_strings(const struct field_spec *spec, const struct json_value *value,
	struct call_event *out, struct event_error *error)
{
	struct string_list *list = member(out, spec);
	struct json_reader reader;
	struct json_value item;
	char *end = value->text;

	json_reader_init(&reader, value->text, value->len);
	if (!json_reader_enter(&reader, KIND_ARRAY))
		return bad_field(error, spec, "an array of at most 32 strings");
	list->first = end;
	for (list->count = 0; json_reader_item(&reader, &item); list->count++) {
		const char *text;
		size_t len;

		if ((int64_t)list->count == spec->max)
			return bad_field(error, spec, "an array of at most 32 strings");
		if (item.kind != KIND_STRING)
			return bad_field(error, spec, "an array of contact URIs");
		text = json_value_string(&item, &len);
		if (len >= CONTACT_SIZE)
			return bad_field(error, spec, "an array of contact URIs");
		memmove(end, text, len + 1); /* its quotes leave room for the NUL */
		end += len + 1;
	}
	return ERR_OK;
}

static enum err parse_field(const struct field_spec *spec, bool wildcard, struct json_value *value,
	struct call_event *out, struct event_error *error)
{
	switch (spec->type) {
	case TYPE_STRING:
	case TYPE_USER:
	case TYPE_TOKEN:
	case TYPE_UUID:
		return parse_string(spec, wildcard, value, out, error);
	case TYPE_BOOL:
		if (value->kind != KIND_TRUE && value->kind != KIND_FALSE)
			return bad_field(error, spec, "true or false");
		*(bool *)member(out, spec) = value->kind == KIND_TRUE;
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
		if (value->kind != KIND_ARRAY)
			return bad_field(error, spec, "an array of windows");
		*(const char **)member(out, spec) = json_value_compact(value);
		return ERR_OK;
	}
	return ERR_INVAL;
}

/* ---- the members of a line ---- */

/* What stands in a line, before anybody knows which event it is. Of several members of a name the
 * last one counts; null counts as absent. */
struct members {
	struct json_value event, id;
	uint64_t found; /* bits 1 << enum event_field */
	struct json_value values[FIELD_COUNT];
	enum event_field next; /* PBXes send the fields in our order: where to look first */
};

/* The field whose name is parent (with its dot, or "") and key. */
static enum event_field field_of(struct members *members, const char *parent, const char *key)
{
	size_t parent_len = strlen(parent);
	enum event_field field = members->next;

	for (int i = 0; i < FIELD_COUNT; i++, field = (field + 1) % FIELD_COUNT) {
		const char *name = event_field_spec(field)->name;

		if (name[0] != (parent_len ? parent[0] : key[0]) ||
			strncmp(name, parent, parent_len) != 0 ||
			strcmp(name + parent_len, key) != 0)
			continue;
		members->next = (field + 1) % FIELD_COUNT;
		return field;
	}
	return FIELD_COUNT;
}

/* Forgets a field, and those inside it. */
static void forget_field(struct members *members, enum event_field field)
{
	const char *name = event_field_spec(field)->name;
	size_t len = strlen(name);

	members->found &= ~(UINT64_C(1) << field);
	for (enum event_field i = 0; i < FIELD_COUNT; i++) {
		const char *other = event_field_spec(i)->name;

		if (!strncmp(other, name, len) && other[len] == '.')
			members->found &= ~(UINT64_C(1) << i);
	}
}

static void read_members(struct json_reader *reader, struct members *members, const char *parent);

/* A value that may be an object whose members are fields. */
static bool read_parent(struct json_reader *reader, struct members *members, enum event_field field)
{
	struct json_value *value = &members->values[field];

	if (!json_reader_enter(reader, KIND_OBJECT))
		return json_reader_value(reader, value);
	value->kind = KIND_OBJECT;
	read_members(reader, members, field == FIELD_FROM ? "from." : "pn.");
	return !reader->fault;
}

static void read_members(struct json_reader *reader, struct members *members, const char *parent)
{
	struct json_value name;

	while (json_reader_member(reader, &name)) {
		const char *key = json_value_string(&name, NULL);
		struct json_value ignored, *value = &ignored;
		enum event_field field = FIELD_COUNT;

		if (!parent[0] && !strcmp(key, "event"))
			value = &members->event;
		else if (!parent[0] && !strcmp(key, "id"))
			value = &members->id;
		else if (!strchr(key, '.'))
			field = field_of(members, parent, key);
		if (field < FIELD_COUNT) {
			value = &members->values[field];
			if (members->found >> field & 1)
				forget_field(members, field);
		}
		if (!(field == FIELD_FROM || field == FIELD_PN ? read_parent(reader, members, field)
							       : json_reader_value(reader, value)))
			return;
		if (field < FIELD_COUNT && value->kind != KIND_NULL)
			members->found |= UINT64_C(1) << field;
	}
}

static enum err parse_fields(
	struct members *members, struct call_event *out, struct event_error *error)
{
	const struct event_spec *spec = event_spec(out->type);
	uint64_t left = spec->required | (spec->optional & members->found);

	for (; left; left &= left - 1) {
		enum event_field field = (enum event_field)__builtin_ctzll(left);
		const struct field_spec *field_spec = event_field_spec(field);

		if (!(members->found >> field & 1)) {
			event_error_set(error, EVENT_MISSING_FIELD, field_spec->name,
				"'%s' needs '%s'", spec->name, field_spec->name);
			return ERR_INVAL;
		}
		if (parse_field(field_spec, spec->wildcard, &members->values[field], out, error))
			return ERR_INVAL;
		out->has |= UINT64_C(1) << field;
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

static enum err parse_type(
	struct json_value *value, struct call_event *out, struct event_error *error)
{
	const char *name;

	if (value->kind == KIND_NONE || value->kind == KIND_NULL) {
		event_error_set(error, EVENT_MISSING_FIELD, "event", "the line has no 'event'");
		return ERR_INVAL;
	}
	if (value->kind != KIND_STRING) {
		event_error_set(error, EVENT_BAD_FIELD, "event", "'event' must be a string");
		return ERR_INVAL;
	}
	name = json_value_string(value, NULL);
	out->type = event_type_of(name);
	if (out->type != EVENT_COUNT)
		return ERR_OK;
	event_error_set(error, EVENT_UNKNOWN, "event", "there is no event '%s'", name);
	return ERR_INVAL;
}

static enum err parse_id(
	struct json_value *value, struct call_event *out, struct event_error *error)
{
	switch (value->kind) {
	case KIND_NONE:
	case KIND_NULL:
		return ERR_OK;
	case KIND_STRING:
	case KIND_NUMBER:
		out->id = json_value_compact(value);
		return ERR_OK;
	case KIND_FALSE:
	case KIND_TRUE:
	case KIND_ARRAY:
	case KIND_OBJECT:
		event_error_set(error, EVENT_BAD_FIELD, "id", "'id' must be a string or a number");
	}
	return ERR_INVAL;
}

static enum err load(char *line, size_t len, struct members *members, struct event_error *error)
{
	struct json_reader reader;
	struct json_value other;

	json_reader_init(&reader, line, len);
	if (json_reader_enter(&reader, KIND_OBJECT))
		read_members(&reader, members, "");
	else if (json_reader_value(&reader, &other) && json_reader_at_end(&reader)) {
		event_error_set(error, EVENT_BAD_JSON, NULL, "the line is not a JSON object");
		return ERR_INVAL;
	}
	if (json_reader_at_end(&reader))
		return ERR_OK;
	event_error_set(error, EVENT_BAD_JSON, NULL, "%s at byte %td", reader.fault,
		reader.at - reader.begin);
	return ERR_INVAL;
}

/* The line is clean, and the event's own. */
static enum err parse_line(
	char *line, size_t len, struct call_event *out, struct event_error *error)
{
	struct members members;
	enum err err;

	members.event.kind = members.id.kind = KIND_NONE;
	members.found = 0;
	members.next = 0;
	err = load(line, len, &members, error);
	if (!err)
		err = parse_id(&members.id, out, error);
	if (!err)
		err = parse_type(&members.event, out, error);
	if (!err)
		err = parse_fields(&members, out, error);
	if (!err)
		err = check_alternatives(out, error);
	return err;
}

/* The copy of the line that the event's strings lie in. */
struct event_line {
	size_t shares;
	struct call_event kept;
	char text[];
};

enum err call_event_parse(
	const char *line, size_t len, struct call_event *out, struct event_error *error)
{
	struct buf repaired = {0};

	*out = (struct call_event){
		.attempt = 1, .wait = WAIT_PUSH, .reason = CALL_CANCELLED, .sip = true};
	if (!utf8_json_is_clean(line, len)) {
		utf8_json_repair(line, len, &repaired);
		line = repaired.data;
		len = repaired.len;
	}
	if (!repaired.failed)
		out->line = malloc(sizeof(*out->line) + len + 1);
	if (out->line) {
		out->line->shares = 1;
		memcpy(out->line->text, line, len);
		out->line->text[len] = '\0';
	}
	buf_free(&repaired);
	return out->line ? parse_line(out->line->text, len, out, error) : ERR_NOMEM;
}

struct event_line *event_line_hold(struct event_line *line)
{
	line->shares++;
	return line;
}

void event_line_release(struct event_line *line)
{
	if (line && !--line->shares)
		free(line);
}

struct call_event call_event_share(const struct call_event *event)
{
	event_line_hold(event->line);
	return *event;
}

struct call_event *call_event_keep(struct call_event *event)
{
	struct call_event *kept = &event->line->kept;

	*kept = *event;
	event->line = NULL;
	return kept;
}

void call_event_free(struct call_event *event)
{
	struct event_line *line = event->line;

	event->line = NULL;
	event_line_release(line);
}
