/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_PAYLOAD_BODY_H
#define PBXPUSH_CORE_PAYLOAD_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/core/payload.h>

/* An integer that the body does not have. */
#define BODY_NONE INT64_C(-1)

/*
 * Everything that the body of a push may say: common to calls and news, to our own bodies and to
 * templates. NULL and BODY_NONE: there is no such thing. All is borrowed.
 */
struct body {
	const char *type; /* "call", "missed-call", … */
	const char *uuid, *state, *app, *device;
	bool video;
	int64_t started_ms, expires_ms, at_ms, duration_s, new_count, old_count, count, badge;

	/* What may be cut to fit: by body_fit() only. */
	const char *text; /* of a message */
	const char *data; /* a JSON object */
	const char *number, *uri, *callee, *call_id, *conversation, *message_id;

	/* The caller: body_fit() makes name of the first of these that shows anything. */
	const char *names[3];
	const char *name;

	/* An alert (alert.h): title NULL is the name, words NULL is the text; body_fit() fills
	 * them in. */
	const char *title, *words;
	const char *loc_key, *loc_count, *thread, *category, *sound, *interruption_level;
	bool title_is_name, words_are_text;
};

/* Appends the body as JSON to out. May be called several times over. */
typedef void body_write_fn(const struct body *body, const void *arg, struct buf *out);

/* What a call says. */
struct body body_of_call(const struct payload_call *call);

/* The smaller one of the two; a bound of 0 does not bind. */
size_t body_max_bytes(size_t bound, size_t tighter);

/*
 * Writes the body with at most max_bytes. What does not fit is cut in this order, each only as far
 * as it has to be: the text, the name (not below 64 bytes), then data goes, then the name, and the
 * number, the URI, the callee, the Call-ID, conversation and message id are cut to 64 bytes in
 * turn.
 * *truncated: something was cut. False where even that is too long; the body stands in out all the
 * same.
 */
bool body_fit(struct body *body, body_write_fn *write, const void *arg, size_t max_bytes,
	struct buf *out, bool *truncated);

/* Our own bodies of a call (payload.c): body_write_fn. */
void body_write_voip(const struct body *body, const void *arg, struct buf *out);
void body_write_call_alert(const struct body *body, const void *arg, struct buf *out);

/* `,"name":value` where there is a value. */
void body_add_string(struct buf *out, const char *name, const char *value);
void body_add_int(struct buf *out, const char *name, int64_t value);

#endif
