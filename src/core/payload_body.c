/* SPDX-License-Identifier: MIT */
#include "payload_body.h"

#include <string.h>

#include <pbxpush/core/utf8.h>

/* A name or number is never cut below this many bytes: less says nothing on a call screen. */
#define TEXT_FLOOR_BYTES 64

struct fit {
	struct body *body;
	body_write_fn *write;
	const void *arg;
	size_t max_bytes, start;
	struct buf *out;
	/* what name and text point to once they are cut */
	struct buf name, text;
	char shorts[6][TEXT_FLOOR_BYTES + 1];
};

struct body body_of_call(const struct payload_call *call)
{
	return (struct body){
		.type = "call",
		.uuid = call->uuid,
		.app = call->app,
		.device = call->device,
		.video = call->video,
		.started_ms = call->started_ms,
		.expires_ms = call->expires_ms,
		.at_ms = BODY_NONE,
		.duration_s = BODY_NONE,
		.new_count = BODY_NONE,
		.old_count = BODY_NONE,
		.count = BODY_NONE,
		.badge = BODY_NONE,
		.data = call->data,
		.number = call->caller_number,
		.uri = call->caller_uri,
		.callee = call->callee,
		.call_id = call->call_id,
		.names = {call->caller_name, call->caller_number, call->fallback_name},
	};
}

size_t body_max_bytes(size_t bound, size_t tighter)
{
	return tighter && tighter < bound ? tighter : bound;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " ")] == '\0';
}

static void cut(struct buf *buf, const char *text, size_t max_bytes)
{
	size_t len = utf8_cut(text, strlen(text), max_bytes);

	buf_reset(buf);
	buf_add(buf, text, len);
}

/* The first choice of which something is left to show. sanitised owns it. */
static void choose_name(struct body *body, struct buf *sanitised)
{
	body->name = NULL;
	for (size_t i = 0; i < sizeof(body->names) / sizeof(body->names[0]); i++) {
		if (!body->names[i] || sanitised->failed || !is_blank(buf_str(sanitised)))
			continue;
		buf_reset(sanitised);
		utf8_sanitize(body->names[i], sanitised);
		body->name = buf_str(sanitised);
	}
}

/* Writes the body again; true where it fits. Out of memory fits too: there is nothing to be
 * gained. */
static bool write_fits(struct fit *fit)
{
	struct body *body = fit->body;

	if (body->title_is_name)
		body->title = body->name;
	if (body->words_are_text)
		body->words = body->text;
	fit->out->len = fit->start;
	fit->write(body, fit->arg, fit->out);
	return fit->out->failed || fit->out->len - fit->start <= fit->max_bytes;
}

/*
 * Cuts *shown, which then points into part, as far as the body needs to fit, but not below floor.
 * False where that does not suffice: *shown is whole then. How much a byte weighs depends on how
 * often the text stands in the body and on what is escaped, so it is tried out.
 */
static bool cut_until_fit(struct fit *fit, const char **shown, struct buf *part, size_t floor)
{
	const char *whole = *shown;
	size_t len = whole ? strlen(whole) : 0, fits = floor;

	if (len <= floor)
		return false;
	/* More than the whole body was too much from the start. */
	len = len > fit->max_bytes ? fit->max_bytes + 1 : len;
	cut(part, whole, floor);
	*shown = buf_str(part);
	if (!write_fits(fit)) {
		*shown = whole;
		return false;
	}
	while (len - fits > 1) {
		size_t middle = fits + (len - fits) / 2;

		cut(part, whole, middle);
		*shown = buf_str(part);
		if (write_fits(fit))
			fits = middle;
		else
			len = middle;
	}
	cut(part, whole, fits);
	*shown = buf_str(part);
	return write_fits(fit);
}

static const char *shorten(const char *text, char out[TEXT_FLOOR_BYTES + 1])
{
	size_t len;

	if (!text)
		return NULL;
	len = utf8_cut(text, strlen(text), TEXT_FLOOR_BYTES);
	memcpy(out, text, len);
	out[len] = '\0';
	return out;
}

static bool cut_in_order(struct fit *fit)
{
	struct body *body = fit->body;
	const char **const ids[] = {&body->number, &body->uri, &body->callee, &body->call_id,
		&body->conversation, &body->message_id};

	if (cut_until_fit(fit, &body->text, &fit->text, 0))
		return true;
	if (body->text)
		body->text = "";
	if (cut_until_fit(fit, &body->name, &fit->name, TEXT_FLOOR_BYTES))
		return true;
	/* Data for which the name cannot make room goes; the name then stays whole if it can. */
	body->data = NULL;
	if (write_fits(fit) || cut_until_fit(fit, &body->name, &fit->name, TEXT_FLOOR_BYTES))
		return true;
	if (body->name) {
		cut(&fit->name, body->name, TEXT_FLOOR_BYTES);
		body->name = buf_str(&fit->name);
	}
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		*ids[i] = shorten(*ids[i], fit->shorts[i]);
		if (write_fits(fit))
			return true;
	}
	return false;
}

bool body_fit(struct body *body, body_write_fn *write, const void *arg, size_t max_bytes,
	struct buf *out, bool *truncated)
{
	struct fit fit = {
		.body = body,
		.write = write,
		.arg = arg,
		.max_bytes = max_bytes,
		.start = out->len,
		.out = out,
	};
	struct buf sanitised = {0};
	bool fits;

	choose_name(body, &sanitised);
	body->title_is_name = body->title == NULL;
	body->words_are_text = body->words == NULL;
	fits = write_fits(&fit);
	*truncated = !fits;
	if (!fits)
		fits = cut_in_order(&fit);
	if (sanitised.failed || fit.name.failed || fit.text.failed)
		out->failed = true;
	buf_free(&sanitised);
	buf_free(&fit.name);
	buf_free(&fit.text);
	return fits;
}

void body_add_string(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(out, ",\"%s\":", name);
	buf_add_json(out, value);
}

void body_add_int(struct buf *out, const char *name, int64_t value)
{
	if (value == BODY_NONE)
		return;
	buf_printf(out, ",\"%s\":", name);
	buf_add_int(out, value);
}
