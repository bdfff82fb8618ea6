/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/news.h>

#include <stdio.h>

#include <pbxpush/core/push.h>

#include "alert.h"
#include "payload_body.h"
#include "template_text.h"

_Static_assert(NEWS_NONE == BODY_NONE, "integers go from one to the other as they are");

const char *news_type_name(enum news_type type)
{
	static const char *const names[] = {
		[NEWS_MISSED_CALL] = "missed-call",
		[NEWS_VOICEMAIL] = "voicemail",
		[NEWS_MESSAGE] = "message",
	};

	return names[type];
}

/* ---- our own bodies ---- */

static void begin(const struct body *body, struct buf *out)
{
	buf_add_str(out, "{\"aps\":");
	alert_write(body, out);
	buf_add_str(out, ",\"v\":1");
	body_add_string(out, "type", body->type);
}

static void write_from(const struct body *body, struct buf *out)
{
	if (!body->name)
		return;
	buf_add_str(out, ",\"from\":{\"name\":");
	buf_add_json(out, body->name);
	buf_add_str(out, ",\"number\":");
	buf_add_json(out, body->number);
	body_add_string(out, "uri", body->uri);
	buf_add_char(out, '}');
}

/* The members of one type are absent in the others, so that all are written alike. */
static void write_news(const struct body *body, const void *arg, struct buf *out)
{
	(void)arg;
	begin(body, out);
	body_add_string(out, "to", body->callee);
	write_from(body, out);
	body_add_string(out, "call", body->call_id);
	body_add_int(out, "at_ms", body->at_ms);
	body_add_int(out, "count", body->count);
	body_add_int(out, "new", body->new_count);
	body_add_int(out, "old", body->old_count);
	body_add_int(out, "duration_s", body->duration_s);
	body_add_string(out, "conversation", body->conversation);
	body_add_string(out, "message_id", body->message_id);
	body_add_string(out, "text", body->text);
	buf_add_char(out, '}');
}

/* The same members as the call that it ends. */
static void write_call_ended(const struct body *body, const void *arg, struct buf *out)
{
	(void)arg;
	begin(body, out);
	body_add_string(out, "state", body->state);
	body_add_string(out, "uuid", body->uuid);
	body_add_string(out, "call_id", body->call_id);
	buf_add_str(out, ",\"caller\":{\"name\":");
	buf_add_json(out, body->name);
	buf_add_str(out, ",\"number\":");
	buf_add_json(out, body->number);
	buf_add_char(out, '}');
	body_add_string(out, "callee", body->callee);
	buf_add_str(out, body->video ? ",\"video\":true}" : ",\"video\":false}");
}

static void write_alert(struct body *body, body_write_fn *plain, const struct template *template,
	size_t tighter_bytes, struct buf *out, bool *truncated)
{
	size_t max_bytes = body_max_bytes(PUSH_ALERT_MAX_BYTES, tighter_bytes);

	if (template)
		template_fit(template, body, plain, tighter_bytes, out, truncated);
	else
		body_fit(body, plain, NULL, max_bytes, out, truncated);
}

/* ---- what is said ---- */

/* Texts that are put together, and what they are put together from. */
struct words {
	char count[24], text[64];
};

static void say_missed_call(const struct news *news, struct body *body, struct words *words)
{
	body->call_id = news->call;
	body->at_ms = news->at_ms;
	body->words = "Missed call";
	body->loc_key = "MISSED_CALL";
	body->thread = body->category = "MISSED_CALL";
	if (news->count <= 1)
		return;
	body->count = news->count;
	snprintf(words->count, sizeof(words->count), "%lld", (long long)news->count);
	snprintf(words->text, sizeof(words->text), "%s calls while do-not-disturb", words->count);
	body->title = "Missed calls";
	body->words = words->text;
	body->loc_key = "MISSED_CALLS";
	body->loc_count = words->count;
}

static void say_voicemail(const struct news *news, struct body *body, struct words *words)
{
	body->new_count = news->new_count;
	body->old_count = news->old_count;
	body->duration_s = news->duration_s;
	snprintf(words->count, sizeof(words->count), "%lld", (long long)news->new_count);
	snprintf(words->text, sizeof(words->text), "%s new messages", words->count);
	body->words = news->new_count == 0   ? "No new messages"
		      : news->new_count == 1 ? "1 new message"
					     : words->text;
	body->loc_key = "VOICEMAIL_FROM";
	body->loc_count = words->count;
	body->thread = body->category = "VOICEMAIL";
	if (!news->fallback_name) {
		body->title = "Voicemail";
		body->loc_key = "VOICEMAIL";
	}
}

static void say_message(const struct news *news, struct body *body)
{
	body->conversation = news->conversation; /* the thread, too */
	body->message_id = news->message_id;
	body->text = news->text && *news->text ? news->text : NULL;
	body->words = body->text ? NULL : "New message";
	body->loc_key = body->text ? "MESSAGE_TEXT" : "MESSAGE";
	body->category = "MESSAGE";
}

void news_write(
	const struct news *news, const struct template *template, struct buf *out, bool *truncated)
{
	const struct payload_call from = {
		.callee = news->to,
		.caller_name = news->from_name,
		.caller_number = news->from_number,
		.caller_uri = news->from_uri,
		.fallback_name = news->fallback_name,
		.app = news->app,
		.device = news->device,
		.started_ms = BODY_NONE,
		.expires_ms = BODY_NONE,
	};
	struct body body = body_of_call(&from);
	struct words words;

	body.type = news_type_name(news->type);
	body.badge = news->badge;
	body.sound = news->silent ? NULL : "default";
	body.interruption_level = news->silent ? "passive" : NULL;
	switch (news->type) {
	case NEWS_MISSED_CALL:
		say_missed_call(news, &body, &words);
		break;
	case NEWS_VOICEMAIL:
		say_voicemail(news, &body, &words);
		break;
	case NEWS_MESSAGE:
		say_message(news, &body);
		break;
	}
	write_alert(&body, write_news, template, news->max_bytes, out, truncated);
}

void news_write_call_ended(const struct payload_call *call, enum call_state state,
	const struct template *template, struct buf *out, bool *truncated)
{
	bool answered = state == CALL_ANSWERED || state == CALL_COMPLETED;
	struct body body = body_of_call(call);

	body.type = "call-ended";
	body.state = call_state_name(state);
	body.words = answered ? "Answered on another device" : "Missed call";
	body.loc_key = answered ? "ANSWERED_ELSEWHERE" : "MISSED_CALL";
	body.thread = call->uuid;
	body.category = "CALL_ENDED";
	body.interruption_level = "passive";
	write_alert(&body, write_call_ended, template, call->max_bytes, out, truncated);
}

void news_write_refresh(struct buf *out)
{
	buf_add_str(out, "{\"aps\":{\"content-available\":1},\"v\":1,\"type\":\"refresh\"}");
}
