/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_NEWS_H
#define PBXPUSH_CORE_NEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/core/call.h>
#include <pbxpush/core/payload.h>
#include <pbxpush/core/template.h>

/* The bodies of pushes that announce no call (CONTRACT 2.4 and 3): alerts to the ordinary token. */

/* An integer that was not given. */
#define NEWS_NONE INT64_C(-1)

enum news_type { NEWS_MISSED_CALL, NEWS_VOICEMAIL, NEWS_MESSAGE };

/* `type` in the body: "missed-call" "voicemail" "message". Static string. */
const char *news_type_name(enum news_type type);

/*
 * One of the events. All strings are borrowed, valid UTF-8, not yet sanitised, and NULL where there
 * is none; a type uses only its own fields. Start from NEWS_INIT: in integers 0 is a value.
 */
struct news {
	enum news_type type;
	const char *to; /* the user as the PBX gave it */
	/* The caller or sender as in struct payload_call; fallback_name is NULL where nobody is
	 * meant: a voicemail without `from`, several missed calls. */
	const char *from_name, *from_number, *from_uri, *fallback_name;
	int64_t badge;

	const char *call; /* of a missed call: its Call-ID */
	int64_t at_ms;    /* when it was, Unix ms */
	int64_t count;    /* above 1: that many calls while do-not-disturb, told of at once */

	int64_t new_count, old_count, duration_s; /* of voicemail; new_count is required */

	const char *conversation, *message_id, *text; /* of a message; conversation is required */

	bool silent;              /* muted: no sound, no lit screen */
	const char *app, *device; /* for templates only */
	size_t max_bytes;         /* a tighter bound than Apple's, 0: none */
};

#define NEWS_INIT                                                                                  \
	{                                                                                          \
		.badge = NEWS_NONE, .at_ms = NEWS_NONE, .count = NEWS_NONE,                        \
		.new_count = NEWS_NONE, .old_count = NEWS_NONE, .duration_s = NEWS_NONE            \
	}

/*
 * Body of a piece of news, at most PUSH_ALERT_MAX_BYTES: an `aps` with alert, sound, badge,
 * thread-id, and beside it the event's fields. What does not fit is cut: the text of a message at a
 * character boundary, then the name, then ids; *truncated says so. template: the app's, of kind
 * TEMPLATE_ALERT, or NULL. Appends to out (check out->failed).
 */
void news_write(
	const struct news *news, const struct template *template, struct buf *out, bool *truncated);

/*
 * The last alert of a call in alert mode; sent under the same collapse id (the uuid), it takes the
 * place of the ringing one: "Answered on another device" after CALL_ANSWERED and CALL_COMPLETED,
 * else "Missed call". It makes no sound, for the phone has rung already. state is in the body by
 * its name.
 */
void news_write_call_ended(const struct payload_call *call, enum call_state state,
	const struct template *template, struct buf *out, bool *truncated);

/* Body of the background push that asks an app to register again. No template: it has to stay
 * silent. */
void news_write_refresh(struct buf *out);

#endif
