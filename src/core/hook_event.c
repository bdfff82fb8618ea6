/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/hook_event.h>

#include <string.h>

const char *hook_event_name(enum hook_event_type type)
{
	switch (type) {
	case HOOK_DEAD_TOKEN:
		return "dead-token";
	case HOOK_NO_REGISTER:
		return "no-register";
	case HOOK_MISSED_CALL:
		return "missed-call";
	}
	return "";
}

static void write_dead_token(const struct hook_event *event, struct buf *out)
{
	char shown[PUSH_TOKEN_SHOWN + 1] = "";

	strncat(shown, event->token, PUSH_TOKEN_SHOWN);
	reply_add_string(out, "user", event->user);
	reply_add_string(out, "device", event->device);
	reply_add_string(out, "app", event->app);
	reply_add_string(out, "environment", push_environment_name(event->environment));
	reply_add_string(out, "push", push_type_name(event->push));
	reply_add_string(out, "token", shown);
	reply_add_int(out, "status", event->status);
	reply_add_string(out, "reason", event->reason);
	if (event->died_ms)
		reply_add_int(out, "died_ms", event->died_ms);
	else
		buf_add_str(out, ",\"died_ms\":null");
}

static void write_call(const struct hook_event *event, struct buf *out)
{
	reply_add_string(out, "call", event->call);
	reply_add_string(out, "uuid", event->uuid);
	reply_add_int(out, "attempt", event->attempt);
	reply_add_string(out, "to", event->user);
	reply_add_int(out, "started_ms", event->started_ms);
}

/* Written as a `call` event would say it, so that it can be sent on as it is. */
static void write_from(const struct hook_event *event, struct buf *out)
{
	if (!event->from_number && !event->from_name) {
		buf_add_str(out, ",\"from\":null");
		return;
	}
	buf_add_str(out, ",\"from\":{\"number\":");
	buf_add_json(out, event->from_number);
	reply_add_string(out, "name", event->from_name);
	buf_add_char(out, '}');
}

void hook_event_write(const struct hook_event *event, const char *id, struct buf *out)
{
	buf_add_str(out, "{\"v\":1");
	reply_add_string(out, "event", hook_event_name(event->type));
	reply_add_string(out, "id", id);
	reply_add_int(out, "at_ms", event->at_ms);
	switch (event->type) {
	case HOOK_DEAD_TOKEN:
		write_dead_token(event, out);
		break;
	case HOOK_NO_REGISTER:
		write_call(event, out);
		reply_add_devices(out, event->devices, event->device_count);
		break;
	case HOOK_MISSED_CALL:
		write_call(event, out);
		write_from(event, out);
		reply_add_string(out, "state", event->state);
		reply_add_string(out, "rule", event->rule);
		break;
	}
	buf_add_char(out, '}');
}
