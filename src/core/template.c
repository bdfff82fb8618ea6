/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/template.h>

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/push.h>
#include <pbxpush/core/utf8.h>

#include "alert.h"
#include "template_text.h"

#define DEPTH_MAX 16

/* The same as the files in conf/payload, where README.md says who reads which member. */
#define JSON(...) #__VA_ARGS__
/* clang-format off */
static const struct builtin {
	const char *name, *text;
} builtins[] = {
	{"default", JSON({
		"aps": {},
		"v": 1,
		"type": "call",
		"uuid": "${uuid}",
		"call_id": "${call_id}",
		"caller": {"name": "${caller.name}", "number": "${caller.number}"},
		"callee": "${callee}",
		"video": "${video}",
		"started_ms": "${started_ms}",
		"expires_ms": "${expires_ms}",
		"data": "${data}"
	})},
	{"linphone", JSON({
		"aps": {
			"sound": "",
			"loc-key": "IC_MSG",
			"loc-args": ["${caller.name}"],
			"call-id": "${call_id}",
			"uuid": "${uuid}"
		},
		"from-uri": "${caller.uri|}",
		"display-name": "${caller.name}",
		"pn_ttl": 0,
		"expires_ms": "${expires_ms}",
		"customPayload": "${data}"
	})},
	{"flutter", JSON({
		"aps": {},
		"id": "${uuid}",
		"nameCaller": "${caller.name}",
		"handle": "${caller.number|}",
		"isVideo": "${video}",
		"extra": {
			"call_id": "${call_id}",
			"callee": "${callee}",
			"expires_ms": "${expires_ms}",
			"data": "${data}"
		}
	})},
	{"react-native", JSON({
		"aps": {},
		"uuid": "${uuid}",
		"callerName": "${caller.name}",
		"handle": "${caller.number|}",
		"hasVideo": "${video}",
		"call_id": "${call_id}",
		"callee": "${callee}",
		"expires_ms": "${expires_ms}",
		"data": "${data}"
	})},
};
/* clang-format on */

const char *template_builtin(const char *name)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (!strcmp(builtins[i].name, name))
			return builtins[i].text;
	return NULL;
}

struct check {
	struct template *template;
	struct buf path; /* where we are, for errors: aps.alert.title */
	struct buf *error;
};

static enum err check_string(struct check *check, const char *text)
{
	enum template_kind kind = check->template->kind;
	struct placeholder placeholder;

	for (; placeholder_find(text, &placeholder); text = placeholder.end) {
		int len = (int)utf8_cut(placeholder.name, placeholder.name_len, 64);

		if (!placeholder.end) {
			buf_printf(check->error, "%s: '${%.*s' has no closing brace",
				buf_str(&check->path), len, placeholder.name);
			return ERR_INVAL;
		}
		if (!placeholder_is_known(&placeholder, kind)) {
			buf_printf(check->error, "%s: there is no placeholder '${%.*s}', only ",
				buf_str(&check->path), len, placeholder.name);
			placeholder_list(kind, check->error);
			return ERR_INVAL;
		}
		if (placeholder_is_data_key(&placeholder))
			check->template->uses_data_key = true;
	}
	return ERR_OK;
}

static enum err check_json(struct check *check, json_t *json, int depth);

static enum err check_children(struct check *check, json_t *json, int depth)
{
	size_t path_len = check->path.len, i;
	enum err err = ERR_OK;
	json_t *child;
	const char *key;

	json_object_foreach(json, key, child)
	{
		buf_printf(&check->path, "%s%s", path_len ? "." : "", key);
		if (!err)
			err = check_json(check, child, depth);
		check->path.len = path_len;
	}
	json_array_foreach(json, i, child)
	{
		buf_printf(&check->path, "[%zu]", i);
		if (!err)
			err = check_json(check, child, depth);
		check->path.len = path_len;
	}
	return err;
}

static enum err check_json(struct check *check, json_t *json, int depth)
{
	if (json_is_string(json))
		return check_string(check, json_string_value(json));
	if (depth == DEPTH_MAX && (json_is_object(json) || json_is_array(json))) {
		buf_printf(check->error, "%s: nested deeper than %d", buf_str(&check->path),
			DEPTH_MAX);
		return ERR_INVAL;
	}
	return check_children(check, json, depth + 1);
}

/* Apple wants a dictionary, and iOS shows no alert that has no `alert`. */
static enum err check_aps(struct template *template, struct buf *error)
{
	json_t *aps = json_object_get(template->root, "aps");
	const json_t *alert = json_object_get(aps, "alert");

	if (!aps && template->kind == TEMPLATE_VOIP)
		return json_object_set_new(template->root, "aps", json_object()) ? ERR_NOMEM
										 : ERR_OK;
	if (!json_is_object(aps)) {
		buf_add_str(error, "aps: must be an object");
		return ERR_INVAL;
	}
	if (template->kind == TEMPLATE_ALERT && !json_is_object(alert) && !json_is_string(alert)) {
		buf_add_str(error, "aps.alert: an alert needs it, an object or a string");
		return ERR_INVAL;
	}
	return ERR_OK;
}

/* The longest that a call says once everything is cut has to find room. */
static enum err check_room(const struct template *template, struct buf *error)
{
	static const char text[] =
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	struct payload_call call = {
		.uuid = text,
		.call_id = text,
		.caller_name = text,
		.caller_number = text,
		.caller_uri = text,
		.callee = text,
		.app = text,
		.device = text,
		.started_ms = INT64_MAX,
		.expires_ms = INT64_MAX,
	};
	struct body body = body_of_call(&call);
	size_t limit = template->kind == TEMPLATE_VOIP ? PUSH_VOIP_MAX_BYTES : PUSH_ALERT_MAX_BYTES;
	struct buf rendered = {0};
	enum err err = ERR_OK;
	bool truncated;

	alert_of_call(&body);
	body.text = "";
	body.conversation = body.message_id = text;
	if (!body_fit(&body, template_render, template, limit, &rendered, &truncated)) {
		buf_printf(error, "too long: a call would need %zu bytes of at most %zu",
			rendered.len, limit);
		err = ERR_INVAL;
	}
	if (rendered.failed)
		err = ERR_NOMEM;
	buf_free(&rendered);
	return err;
}

static enum err load(const char *text, size_t len, json_t **root, struct buf *error)
{
	json_error_t why = {0};

	if (len > TEMPLATE_MAX_BYTES) {
		buf_printf(error, "too long: %zu bytes of at most %d", len, TEMPLATE_MAX_BYTES);
		return ERR_INVAL;
	}
	*root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!*root && json_error_code(&why) == json_error_out_of_memory)
		return ERR_NOMEM;
	if (!*root) {
		buf_printf(
			error, "no JSON: %s at line %d, column %d", why.text, why.line, why.column);
		return ERR_INVAL;
	}
	if (!json_is_object(*root)) {
		buf_add_str(error, "must be a JSON object");
		return ERR_INVAL;
	}
	return ERR_OK;
}

enum err template_compile(const char *text, size_t len, enum template_kind kind,
	struct template **out, struct buf *error)
{
	struct template *template = calloc(1, sizeof(*template));
	struct check check = {.template = template, .error = error};
	enum err err;

	if (!template)
		return ERR_NOMEM;
	template->kind = kind;
	err = load(text, len, &template->root, error);
	if (!err)
		err = check_json(&check, template->root, 0);
	if (!err)
		err = check_aps(template, error);
	if (!err)
		err = check_room(template, error);
	if (check.path.failed)
		err = ERR_NOMEM;
	buf_free(&check.path);
	if (err)
		template_free(template);
	else
		*out = template;
	return err;
}

void template_free(struct template *template)
{
	if (!template)
		return;
	json_decref(template->root);
	free(template);
}

void template_write_call(const struct template *template, const struct payload_call *call,
	struct buf *out, bool *truncated)
{
	struct body body = body_of_call(call);
	body_write_fn *plain = body_write_voip;

	if (template->kind == TEMPLATE_ALERT) {
		alert_of_call(&body);
		plain = body_write_call_alert;
	}
	template_fit(template, &body, plain, call->max_bytes, out, truncated);
}
