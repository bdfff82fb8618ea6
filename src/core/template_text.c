/* SPDX-License-Identifier: MIT */
#include "template_text.h"

#include <string.h>

#include <jansson.h>

#include <pbxpush/core/push.h>

enum value_type { VALUE_NONE, VALUE_TEXT, VALUE_INT, VALUE_BOOL, VALUE_JSON };

static const struct value_spec {
	const char *name;
	enum value_type type;
	size_t offset;   /* into struct body */
	bool alert_only; /* a VoIP push has no such thing */
} specs[] = {
#define AT(member) offsetof(struct body, member)
	{"uuid", VALUE_TEXT, AT(uuid), false},
	{"call_id", VALUE_TEXT, AT(call_id), false},
	{"caller.name", VALUE_TEXT, AT(name), false},
	{"caller.number", VALUE_TEXT, AT(number), false},
	{"caller.uri", VALUE_TEXT, AT(uri), false},
	{"callee", VALUE_TEXT, AT(callee), false},
	{"video", VALUE_BOOL, AT(video), false},
	{"started_ms", VALUE_INT, AT(started_ms), false},
	{"expires_ms", VALUE_INT, AT(expires_ms), false},
	{"data", VALUE_JSON, AT(data), false},
	{"app", VALUE_TEXT, AT(app), false},
	{"device", VALUE_TEXT, AT(device), false},
	{"type", VALUE_TEXT, AT(type), true},
	{"title", VALUE_TEXT, AT(title), true},
	{"body", VALUE_TEXT, AT(words), true},
	{"sound", VALUE_TEXT, AT(sound), true},
	{"interruption_level", VALUE_TEXT, AT(interruption_level), true},
	{"badge", VALUE_INT, AT(badge), true},
	{"conversation", VALUE_TEXT, AT(conversation), true},
	{"message_id", VALUE_TEXT, AT(message_id), true},
	{"text", VALUE_TEXT, AT(text), true},
	{"new", VALUE_INT, AT(new_count), true},
	{"old", VALUE_INT, AT(old_count), true},
	{"count", VALUE_INT, AT(count), true},
	{"duration_s", VALUE_INT, AT(duration_s), true},
	{"at_ms", VALUE_INT, AT(at_ms), true},
	{"state", VALUE_TEXT, AT(state), true},
#undef AT
};

#define SPEC_COUNT (sizeof(specs) / sizeof(specs[0]))
#define DATA_KEY   "data."

/* What a placeholder stands for in one body; borrowed from it. */
struct value {
	enum value_type type;
	const char *text; /* of VALUE_TEXT; JSON of VALUE_JSON where json is NULL */
	const json_t *json;
	int64_t number;
	bool flag;
};

/* Where in the body a value stands: what is inside `aps` is read by iOS. */
enum place { AT_ROOT, IN_APS, ELSEWHERE };

struct render {
	const struct body *body;
	json_t *data;       /* owned; NULL where no placeholder asks for it */
	struct buf scratch; /* a string before it is escaped */
	struct buf *out;
};

const char *placeholder_find(const char *text, struct placeholder *out)
{
	const char *start = strstr(text, "${"), *close, *bar;

	if (!start)
		return NULL;
	*out = (struct placeholder){.name = start + 2};
	close = strchr(out->name, '}');
	if (!close) {
		out->name_len = strlen(out->name);
		return start;
	}
	out->end = close + 1;
	out->name_len = (size_t)(close - out->name);
	bar = memchr(out->name, '|', out->name_len);
	if (bar) {
		out->name_len = (size_t)(bar - out->name);
		out->fallback = bar + 1;
		out->fallback_len = (size_t)(close - out->fallback);
	}
	return start;
}

static const struct value_spec *spec_of(const struct placeholder *placeholder)
{
	for (size_t i = 0; i < SPEC_COUNT; i++) {
		if (strlen(specs[i].name) == placeholder->name_len &&
			!memcmp(specs[i].name, placeholder->name, placeholder->name_len))
			return &specs[i];
	}
	return NULL;
}

bool placeholder_is_data_key(const struct placeholder *placeholder)
{
	size_t len = strlen(DATA_KEY);

	return placeholder->name_len > len && !memcmp(placeholder->name, DATA_KEY, len);
}

bool placeholder_is_known(const struct placeholder *placeholder, enum template_kind kind)
{
	const struct value_spec *spec = spec_of(placeholder);

	if (!spec)
		return placeholder_is_data_key(placeholder);
	return !spec->alert_only || kind == TEMPLATE_ALERT;
}

void placeholder_list(enum template_kind kind, struct buf *out)
{
	for (size_t i = 0; i < SPEC_COUNT; i++) {
		if (!specs[i].alert_only || kind == TEMPLATE_ALERT)
			buf_printf(out, "%s%s", i ? " " : "", specs[i].name);
		if (specs[i].type == VALUE_JSON)
			buf_add_str(out, " data.KEY");
	}
}

/* A key of the caller's data, which is not looked into any deeper: it may hold dots itself. */
static struct value data_value(const struct render *render, const struct placeholder *placeholder)
{
	size_t skip = strlen(DATA_KEY);
	const json_t *json = json_object_getn(
		render->data, placeholder->name + skip, placeholder->name_len - skip);

	if (!json || json_is_null(json))
		return (struct value){.type = VALUE_NONE};
	if (json_is_string(json))
		return (struct value){.type = VALUE_TEXT, .text = json_string_value(json)};
	return (struct value){.type = VALUE_JSON, .json = json};
}

static struct value value_of(const struct render *render, const struct placeholder *placeholder)
{
	const struct value_spec *spec = spec_of(placeholder);
	struct value value = {.type = VALUE_NONE};
	const void *member;

	if (!spec)
		return data_value(render, placeholder);
	member = (const char *)render->body + spec->offset;
	switch (spec->type) {
	case VALUE_NONE:
		break;
	case VALUE_TEXT:
	case VALUE_JSON:
		value.text = *(const char *const *)member;
		value.type = value.text ? spec->type : VALUE_NONE;
		break;
	case VALUE_INT:
		value.number = *(const int64_t *)member;
		value.type = value.number == BODY_NONE ? VALUE_NONE : spec->type;
		break;
	case VALUE_BOOL:
		value.flag = *(const bool *)member;
		value.type = spec->type;
		break;
	}
	return value;
}

static int append_json(const char *text, size_t len, void *arg)
{
	buf_add(arg, text, len);
	return 0;
}

static void dump(const json_t *json, struct buf *out)
{
	if (json_dump_callback(json, append_json, out, JSON_COMPACT | JSON_ENCODE_ANY))
		out->failed = true; /* memory is short; there is no other reason */
}

/* As it stands inside a longer string, not escaped yet. */
static void add_as_text(
	const struct value *value, const struct placeholder *placeholder, struct buf *out)
{
	switch (value->type) {
	case VALUE_NONE:
		buf_add(out, placeholder->fallback ? placeholder->fallback : "",
			placeholder->fallback_len);
		break;
	case VALUE_TEXT:
		buf_add_str(out, value->text);
		break;
	case VALUE_INT:
		buf_add_int(out, value->number);
		break;
	case VALUE_BOOL:
		buf_add_str(out, value->flag ? "true" : "false");
		break;
	case VALUE_JSON:
		if (value->json)
			dump(value->json, out);
		else
			buf_add_str(out, value->text);
		break;
	}
}

/* True where the string is one placeholder, whose value keeps its type. */
static bool is_bare(const char *text, struct placeholder *placeholder)
{
	return placeholder_find(text, placeholder) == text && *placeholder->end == '\0';
}

static void write_string(struct render *render, const char *text)
{
	struct buf *scratch = &render->scratch;
	struct placeholder placeholder;
	const char *at;

	if (is_bare(text, &placeholder)) {
		struct value value = value_of(render, &placeholder);
		if (value.type == VALUE_NONE && !placeholder.fallback) {
			buf_add_str(render->out, "null");
			return;
		}
		if (value.type != VALUE_NONE && value.type != VALUE_TEXT) {
			add_as_text(&value, &placeholder, render->out);
			return;
		}
	}
	buf_reset(scratch);
	for (; (at = placeholder_find(text, &placeholder)); text = placeholder.end) {
		struct value value = value_of(render, &placeholder);

		buf_add(scratch, text, (size_t)(at - text));
		add_as_text(&value, &placeholder, scratch);
	}
	buf_add_str(scratch, text);
	buf_add_json(render->out, buf_str(scratch));
	if (scratch->failed)
		render->out->failed = true;
}

static bool is_absent(const struct render *render, const json_t *json)
{
	struct placeholder placeholder;

	return json_is_string(json) && is_bare(json_string_value(json), &placeholder) &&
	       !placeholder.fallback && value_of(render, &placeholder).type == VALUE_NONE;
}

static void write_json(struct render *render, json_t *json, enum place place);

static void write_object(struct render *render, json_t *object, enum place place)
{
	const char *key, *comma = "";
	json_t *member;

	buf_add_char(render->out, '{');
	json_object_foreach(object, key, member)
	{
		enum place inside = place;

		if (place == IN_APS && is_absent(render, member))
			continue;
		if (place == AT_ROOT)
			inside = strcmp(key, "aps") ? ELSEWHERE : IN_APS;
		buf_add_str(render->out, comma);
		buf_add_json(render->out, key);
		buf_add_char(render->out, ':');
		write_json(render, member, inside);
		comma = ",";
	}
	buf_add_char(render->out, '}');
}

static void write_array(struct render *render, const json_t *array, enum place place)
{
	json_t *item;
	size_t i;

	buf_add_char(render->out, '[');
	json_array_foreach(array, i, item)
	{
		buf_add_str(render->out, i ? "," : "");
		write_json(render, item, place);
	}
	buf_add_char(render->out, ']');
}

static void write_json(struct render *render, json_t *json, enum place place)
{
	if (json_is_string(json))
		write_string(render, json_string_value(json));
	else if (json_is_object(json))
		write_object(render, json, place);
	else if (json_is_array(json))
		write_array(render, json, place);
	else
		dump(json, render->out);
}

void template_render(const struct body *body, const void *arg, struct buf *out)
{
	const struct template *template = arg;
	struct render render = {.body = body, .out = out};

	/* data that cannot be read is no reason to lose a call */
	if (template->uses_data_key && body->data)
		render.data = json_loads(body->data, 0, NULL);
	write_json(&render, template->root, AT_ROOT);
	json_decref(render.data);
	buf_free(&render.scratch);
}

void template_fit(const struct template *template, struct body *body, body_write_fn *plain,
	size_t tighter_bytes, struct buf *out, bool *truncated)
{
	size_t limit = template->kind == TEMPLATE_VOIP ? PUSH_VOIP_MAX_BYTES : PUSH_ALERT_MAX_BYTES;
	struct body whole = *body;
	size_t start = out->len;

	if (body_fit(body, template_render, template, body_max_bytes(limit, tighter_bytes), out,
		    truncated) ||
		out->len - start <= limit)
		return;
	out->len = start;
	body_fit(&whole, plain, NULL, body_max_bytes(limit, tighter_bytes), out, truncated);
	*truncated = true;
}
