/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_REPLY_H
#define PBXPUSH_CORE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/core/call.h>
#include <pbxpush/core/event.h>
#include <pbxpush/core/push.h>

/*
 * The reply lines of CONTRACT 2, without their line end. `id` is the JSON text of the request's id,
 * NULL where it had none. Everything is appended to out (check out->failed).
 */

/* `{"id":…,"ok":true,"event":NAME` – the caller appends members, each begun with a comma, and
 * `}`. */
void reply_begin(const char *id, const char *event, struct buf *out);

void reply_write_error(const char *id, const struct event_error *error, struct buf *out);

/* One of `devices`. */
struct reply_device {
	const char *name, *app;
	enum push_type push;
	enum device_result result;
	const char *reason;  /* "" = null */
	int status;          /* 0 = null */
	const char *apns_id; /* "" = null */
	int attempts;
	int64_t ms; /* from event read to the end of the push, 0 where none was sent */
};

struct reply_call {
	const char *call, *uuid;
	enum verdict verdict;
	enum rule rule;
	const struct reply_device *devices;
	size_t device_count;
	bool duplicate, truncated;
	/* with VERDICT_REGISTERED; wake_ms -1 = null (the phone was there before) */
	const char *registered_device, *registered_contact; /* "" or NULL = null */
	int64_t wake_ms;
};

void reply_write_call(const char *id, const struct reply_call *reply, struct buf *out);

/* `,"devices":[…]` */
void reply_add_devices(struct buf *out, const struct reply_device *devices, size_t count);

/* `,"name":value` in its types. A NULL or empty string becomes null. */
void reply_add_string(struct buf *out, const char *name, const char *value);
void reply_add_int(struct buf *out, const char *name, int64_t value);
void reply_add_bool(struct buf *out, const char *name, bool value);

#endif
