/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_PAYLOAD_H
#define PBXPUSH_CORE_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>

/* What is said about a call. All strings are borrowed, valid UTF-8, and not yet sanitised. */
struct payload_call {
	const char *uuid;
	const char *call_id;     /* the one that the phone will see */
	const char *caller_name; /* NULL or "" where there is none */
	const char
		*caller_number; /* as to be shown (E.164 where known), NULL where there is none */
	const char *callee;     /* as the PBX gave it */
	bool video;
	int64_t started_ms, expires_ms; /* Unix ms */
	const char *data;               /* a JSON object as text, or NULL */
	const char *fallback_name;      /* unknown-caller or anonymous-caller: never empty */
	size_t max_bytes;               /* a tighter bound than Apple's, 0: none */
	/* For templates only; NULL where there is none. */
	const char *caller_uri;
	const char *app, *device; /* the bundle id, and the name of the device */
};

/*
 * Body of a VoIP push (CONTRACT 3), at most PUSH_VOIP_MAX_BYTES. The name loses control and
 * bidirectional-override characters; what does not fit is cut in this order: the name at a
 * character boundary, then `data`, then the number, the callee and the Call-ID;
 * *truncated says so. Appends to out (check out->failed).
 */
void payload_write_voip(const struct payload_call *call, struct buf *out, bool *truncated);

/* Body of a call in alert mode, at most PUSH_ALERT_MAX_BYTES: the same fields beside an `aps` that
 * wakes a Notification Service Extension. */
void payload_write_call_alert(const struct payload_call *call, struct buf *out, bool *truncated);

#endif
