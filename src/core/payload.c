/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <pbxpush/core/payload.h>
#include <pbxpush/core/push.h>
#include <pbxpush/core/utf8.h>

/* A name or number is never cut below this many bytes: less says nothing on a call screen. */
#define TEXT_FLOOR_BYTES 64

#define DATA_KEY ",\"data\":"

/* What is written: the texts of the call, cut where they have to be. */
struct body {
	const struct payload_call *call;
	struct buf name; /* sanitised, owned */
	const char *number, *callee, *call_id, *data;
};

typedef void body_write_fn(const struct body *body, struct buf *out);

/* What both kinds of push have beside `aps`. */
static void write_fields(const struct body *body, struct buf *out)
{
	const struct payload_call *call = body->call;

	buf_add_str(out, "\"v\":1,\"type\":\"call\",\"uuid\":");
	buf_add_json(out, call->uuid);
	buf_add_str(out, ",\"call_id\":");
	buf_add_json(out, body->call_id);
	buf_add_str(out, ",\"caller\":{\"name\":");
	buf_add_json(out, buf_str(&body->name));
	buf_add_str(out, ",\"number\":");
	buf_add_json(out, body->number);
	buf_add_str(out, "},\"callee\":");
	buf_add_json(out, body->callee);
	buf_add_str(out, call->video ? ",\"video\":true" : ",\"video\":false");
	buf_add_str(out, ",\"started_ms\":");
	buf_add_int(out, call->started_ms);
	buf_add_str(out, ",\"expires_ms\":");
	buf_add_int(out, call->expires_ms);
	if (body->data) {
		buf_add_str(out, DATA_KEY);
		buf_add_str(out, body->data);
	}
	buf_add_char(out, '}');
}

static void write_voip(const struct body *body, struct buf *out)
{
	buf_add_str(out, "{\"aps\":{},");
	write_fields(body, out);
}

/* The loc-keys let the app translate the body; `mutable-content` wakes its service extension. */
static void write_alert(const struct body *body, struct buf *out)
{
	bool video = body->call->video;

	buf_add_str(out, "{\"aps\":{\"alert\":{\"title\":");
	buf_add_json(out, buf_str(&body->name));
	buf_add_str(out, ",\"body\":");
	buf_add_json(out, video ? "Incoming video call" : "Incoming call");
	buf_add_str(out, ",\"loc-key\":");
	buf_add_json(out, video ? "INCOMING_VIDEO_CALL" : "INCOMING_CALL");
	buf_add_str(out, ",\"loc-args\":[");
	buf_add_json(out, buf_str(&body->name));
	buf_add_str(out, "]},\"sound\":\"default\",\"mutable-content\":1,"
			 "\"interruption-level\":\"time-sensitive\",\"thread-id\":");
	buf_add_json(out, body->call->uuid);
	buf_add_str(out, ",\"category\":\"INCOMING_CALL\"},");
	write_fields(body, out);
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " ")] == '\0';
}

static void name_end(struct buf *name, size_t max_bytes)
{
	if (name->len <= max_bytes)
		return;
	name->len = utf8_cut(name->data, name->len, max_bytes);
	name->data[name->len] = '\0';
}

/* The name, else the number, else what the site says of such callers. */
static void name_choose(struct body *body, size_t max_bytes)
{
	const struct payload_call *call = body->call;
	const char *const choices[] = {call->caller_name, call->caller_number, call->fallback_name};
	struct buf *name = &body->name;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (!choices[i] || name->failed || !is_blank(buf_str(name)))
			continue;
		buf_reset(name);
		utf8_sanitize(choices[i], name);
	}
	/* Longer than the whole body: spares writing 100 KB before it is cut. */
	name_end(name, max_bytes);
}

/*
 * Shortens the name until its JSON form is bytes smaller; false, and nothing cut, where too little
 * of it would be left.
 */
static bool name_shrink(struct buf *name, size_t bytes)
{
	size_t len = name->len, freed = 0;

	/* RFC 8259 7: of what a sanitised name holds only these two are escaped. */
	while (freed < bytes && len > TEXT_FLOOR_BYTES)
		freed += strchr("\"\\", name->data[--len]) ? 2 : 1;
	if (freed < bytes)
		return false;
	name_end(name, len);
	return true;
}

static const char *text_cut(const char *text, char out[TEXT_FLOOR_BYTES + 1])
{
	size_t len;

	if (!text)
		return NULL;
	len = utf8_cut(text, strlen(text), TEXT_FLOOR_BYTES);
	memcpy(out, text, len);
	out[len] = '\0';
	return out;
}

/* Writes the body again from start on; returns by how many bytes it is too long. */
static size_t body_write(const struct body *body, body_write_fn *write, size_t max_bytes,
	size_t start, struct buf *out)
{
	out->len = start;
	write(body, out);
	return out->len - start > max_bytes ? out->len - start - max_bytes : 0;
}

/* name_copies: how often the name stands in the body. */
static void body_fit(struct body *body, body_write_fn *write, size_t max_bytes, size_t name_copies,
	struct buf *out, bool *truncated)
{
	char number[TEXT_FLOOR_BYTES + 1], callee[TEXT_FLOOR_BYTES + 1];
	char call_id[TEXT_FLOOR_BYTES + 1];
	size_t start = out->len, excess;

	name_choose(body, max_bytes);
	excess = body_write(body, write, max_bytes, start, out);
	*truncated = excess > 0;
	if (excess == 0)
		return;

	/* Data for which the name cannot make room goes; the name then stays whole if it can. */
	if (!name_shrink(&body->name, (excess + name_copies - 1) / name_copies)) {
		size_t freed = body->data ? strlen(DATA_KEY) + strlen(body->data) : 0;

		body->data = NULL;
		excess -= freed < excess ? freed : excess;
		if (!name_shrink(&body->name, (excess + name_copies - 1) / name_copies))
			name_end(&body->name, TEXT_FLOOR_BYTES);
	}
	if (body_write(body, write, max_bytes, start, out) == 0)
		return;
	body->number = text_cut(body->number, number);
	if (body_write(body, write, max_bytes, start, out) == 0)
		return;
	body->callee = text_cut(body->callee, callee);
	if (body_write(body, write, max_bytes, start, out) == 0)
		return;
	body->call_id = text_cut(body->call_id, call_id);
	body_write(body, write, max_bytes, start, out);
}

static void payload_write(const struct payload_call *call, body_write_fn *write, size_t max_bytes,
	size_t name_copies, struct buf *out, bool *truncated)
{
	struct body body = {
		.call = call,
		.number = call->caller_number,
		.callee = call->callee,
		.call_id = call->call_id,
		.data = call->data,
	};

	if (call->max_bytes && call->max_bytes < max_bytes)
		max_bytes = call->max_bytes;
	body_fit(&body, write, max_bytes, name_copies, out, truncated);
	if (body.name.failed)
		out->failed = true;
	buf_free(&body.name);
}

void payload_write_voip(const struct payload_call *call, struct buf *out, bool *truncated)
{
	payload_write(call, write_voip, PUSH_VOIP_MAX_BYTES, 1, out, truncated);
}

void payload_write_call_alert(const struct payload_call *call, struct buf *out, bool *truncated)
{
	payload_write(call, write_alert, PUSH_ALERT_MAX_BYTES, 3, out, truncated);
}
