/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/payload.h>
#include <pbxpush/core/push.h>

#include "alert.h"
#include "payload_body.h"

/* What both kinds of push have beside `aps`. */
static void write_fields(const struct body *body, struct buf *out)
{
	buf_add_str(out, ",\"v\":1,\"type\":\"call\",\"uuid\":");
	buf_add_json(out, body->uuid);
	buf_add_str(out, ",\"call_id\":");
	buf_add_json(out, body->call_id);
	buf_add_str(out, ",\"caller\":{\"name\":");
	buf_add_json(out, body->name);
	buf_add_str(out, ",\"number\":");
	buf_add_json(out, body->number);
	buf_add_str(out, "},\"callee\":");
	buf_add_json(out, body->callee);
	buf_add_str(out, body->video ? ",\"video\":true" : ",\"video\":false");
	buf_add_str(out, ",\"started_ms\":");
	buf_add_int(out, body->started_ms);
	buf_add_str(out, ",\"expires_ms\":");
	buf_add_int(out, body->expires_ms);
	if (body->data) {
		buf_add_str(out, ",\"data\":");
		buf_add_str(out, body->data);
	}
	buf_add_char(out, '}');
}

void body_write_voip(const struct body *body, const void *arg, struct buf *out)
{
	(void)arg;
	buf_add_str(out, "{\"aps\":{}");
	write_fields(body, out);
}

void body_write_call_alert(const struct body *body, const void *arg, struct buf *out)
{
	(void)arg;
	buf_add_str(out, "{\"aps\":");
	alert_write(body, out);
	write_fields(body, out);
}

void payload_write_voip(const struct payload_call *call, struct buf *out, bool *truncated)
{
	struct body body = body_of_call(call);
	size_t max_bytes = body_max_bytes(PUSH_VOIP_MAX_BYTES, call->max_bytes);

	body_fit(&body, body_write_voip, NULL, max_bytes, out, truncated);
}

void payload_write_call_alert(const struct payload_call *call, struct buf *out, bool *truncated)
{
	struct body body = body_of_call(call);
	size_t max_bytes = body_max_bytes(PUSH_ALERT_MAX_BYTES, call->max_bytes);

	alert_of_call(&body);
	body_fit(&body, body_write_call_alert, NULL, max_bytes, out, truncated);
}
