/* SPDX-License-Identifier: MIT */
#include "alert.h"

void alert_of_call(struct body *body)
{
	body->title = NULL; /* the name */
	body->title_is_name = true;
	body->words = body->video ? "Incoming video call" : "Incoming call";
	body->loc_key = body->video ? "INCOMING_VIDEO_CALL" : "INCOMING_CALL";
	body->thread = body->uuid;
	body->category = "INCOMING_CALL";
	body->sound = "default";
	body->interruption_level = "time-sensitive";
}

static void write_args(const struct body *body, struct buf *out)
{
	const char *const args[] = {
		body->loc_count, body->name, body->words_are_text ? body->text : NULL};
	const char *comma = "";

	buf_add_str(out, ",\"loc-args\":[");
	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		if (!args[i])
			continue;
		buf_add_str(out, comma);
		buf_add_json(out, args[i]);
		comma = ",";
	}
	buf_add_char(out, ']');
}

void alert_write(const struct body *body, struct buf *out)
{
	buf_add_str(out, "{\"alert\":{\"title\":");
	buf_add_json(out, body->title ? body->title : "");
	body_add_string(out, "body", body->words);
	buf_printf(out, ",\"title-loc-key\":\"%s_TITLE\"", body->loc_key);
	if (body->title_is_name) {
		buf_add_str(out, ",\"title-loc-args\":[");
		buf_add_json(out, body->name);
		buf_add_char(out, ']');
	}
	body_add_string(out, "loc-key", body->loc_key);
	write_args(body, out);
	buf_add_char(out, '}');
	body_add_string(out, "sound", body->sound);
	body_add_int(out, "badge", body->badge);
	buf_add_str(out, ",\"mutable-content\":1");
	body_add_string(out, "interruption-level", body->interruption_level);
	body_add_string(out, "thread-id", body->thread ? body->thread : body->conversation);
	body_add_string(out, "category", body->category);
	buf_add_char(out, '}');
}
