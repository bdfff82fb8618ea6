/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/reply.h>

static void begin(const char *id, struct buf *out)
{
	buf_add_char(out, '{');
	if (id) {
		buf_add_str(out, "\"id\":");
		buf_add_str(out, id);
		buf_add_char(out, ',');
	}
}

void reply_begin(const char *id, const char *event, struct buf *out)
{
	begin(id, out);
	buf_add_str(out, "\"ok\":true,\"event\":\"");
	buf_add_str(out, event);
	buf_add_char(out, '"');
}

static void add_name(struct buf *out, const char *name)
{
	buf_add_str(out, ",\"");
	buf_add_str(out, name);
	buf_add_str(out, "\":");
}

void reply_add_string(struct buf *out, const char *name, const char *value)
{
	add_name(out, name);
	buf_add_json(out, value && value[0] ? value : NULL);
}

/* A word of ours, in which nothing is to be escaped; NULL or "" becomes null. */
static void add_word(struct buf *out, const char *name, const char *word)
{
	add_name(out, name);
	if (!word || !word[0]) {
		buf_add_str(out, "null");
		return;
	}
	buf_add_char(out, '"');
	buf_add_str(out, word);
	buf_add_char(out, '"');
}

void reply_add_int(struct buf *out, const char *name, int64_t value)
{
	add_name(out, name);
	buf_add_int(out, value);
}

void reply_add_bool(struct buf *out, const char *name, bool value)
{
	add_name(out, name);
	buf_add_str(out, value ? "true" : "false");
}

void reply_write_error(const char *id, const struct event_error *error, struct buf *out)
{
	begin(id, out);
	buf_add_str(out, "\"ok\":false");
	reply_add_string(out, "error", event_error_name(error->code));
	reply_add_string(out, "field", error->field);
	reply_add_string(out, "message", error->message);
	buf_add_char(out, '}');
}

static void write_device(const struct reply_device *device, struct buf *out)
{
	buf_add_str(out, "{\"device\":");
	buf_add_json(out, device->name);
	reply_add_string(out, "app", device->app);
	add_word(out, "push", push_type_name(device->push));
	add_word(out, "result", device_result_name(device->result));
	reply_add_string(out, "reason", device->reason);
	add_name(out, "status");
	if (device->status)
		buf_add_int(out, device->status);
	else
		buf_add_str(out, "null");
	reply_add_string(out, "apns_id", device->apns_id);
	reply_add_int(out, "attempts", device->attempts);
	reply_add_int(out, "ms", device->ms);
	buf_add_char(out, '}');
}

void reply_add_devices(struct buf *out, const struct reply_device *devices, size_t count)
{
	buf_add_str(out, ",\"devices\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_add_char(out, ',');
		write_device(&devices[i], out);
	}
	buf_add_char(out, ']');
}

void reply_write_call(const char *id, const struct reply_call *reply, struct buf *out)
{
	reply_begin(id, "call", out);
	reply_add_string(out, "call", reply->call);
	add_word(out, "uuid", reply->uuid);
	add_word(out, "verdict", verdict_name(reply->verdict));
	add_word(out, "rule", rule_name(reply->rule));
	reply_add_devices(out, reply->devices, reply->device_count);
	if (reply->verdict == VERDICT_REGISTERED) {
		buf_add_str(out, ",\"registered\":{\"device\":");
		buf_add_json(out, reply->registered_device && reply->registered_device[0]
					  ? reply->registered_device
					  : NULL);
		reply_add_string(out, "contact", reply->registered_contact);
		add_name(out, "wake_ms");
		if (reply->wake_ms >= 0)
			buf_add_int(out, reply->wake_ms);
		else
			buf_add_str(out, "null");
		buf_add_char(out, '}');
	}
	if (reply->duplicate)
		reply_add_bool(out, "duplicate", true);
	if (reply->truncated)
		reply_add_bool(out, "truncated", true);
	buf_add_char(out, '}');
}
