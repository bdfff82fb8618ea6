/* SPDX-License-Identifier: MIT */
/* `dnd`, the lists, and `show`. */
#include "flow_internal.h"

#include <stdio.h>
#include <string.h>

#include <pbxpush/core/policy.h>
#include <pbxpush/core/schedule.h>

static void finish(
	struct flow *flow, struct request *request, struct storing *storing, enum err err)
{
	if (err) {
		flow_store_failed(storing, request, err);
		return;
	}
	reply_add_string(flow_reply_begin(flow, request), "user", request->event.user);
	flow_store_reply(storing);
}

void handle_dnd(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct storing *storing;
	struct device device;
	char user[AOR_SIZE];

	if (!flow_user(flow, request, event->user, user))
		return;
	if (event->device &&
		!directory_find_device(flow->ports.directory, user, event->device, &device)) {
		flow_reply_error(flow, request, EVENT_BAD_FIELD, "device",
			"the user has no device of this name");
		return;
	}
	storing = flow_store_begin(flow, request);
	if (!storing)
		return;
	finish(flow, request, storing,
		directory_set_dnd(flow->ports.directory, user, event->device, event->on,
			event->until_ms, flow_stored, storing));
}

/* The pattern of a list entry in the form in which callers are compared; false for a blank one. */
static bool list_pattern(const struct flow *flow, const char *text, char out[NUMBER_SIZE])
{
	char number[NUMBER_SIZE];
	size_t len = strlen(text);
	bool prefix = len > 1 && text[len - 1] == '*';

	if (!text[strspn(text, " \t")])
		return false; /* a slip of a script, and it would be taken for a number withheld */
	if (number_is_withheld(text)) {
		strcpy(out, "anonymous");
		return true;
	}
	snprintf(number, sizeof(number), "%.*s", (int)(len - prefix), text);
	number_normalize(&flow->numbers, number, out);
	len = strlen(out);
	if (strpbrk(out, " \t") || (out[0] == '+' && strchr(out, '*')))
		return false; /* no number is ever written so: the entry would match nothing */
	if (prefix && len + 1 < NUMBER_SIZE)
		strcpy(out + len, "*");
	return len > 0;
}

void handle_list(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct directory *directory = flow->ports.directory;
	bool allow = event->type == EVENT_ALLOW || event->type == EVENT_UNALLOW;
	bool add = event->type == EVENT_BLOCK || event->type == EVENT_ALLOW;
	enum directory_list list = allow ? LIST_ALLOW : LIST_BLOCK;
	struct storing *storing;
	char user[AOR_SIZE], pattern[NUMBER_SIZE];

	if (!flow_user(flow, request, event->user, user))
		return;
	if (!list_pattern(flow, event->number, pattern)) {
		flow_reply_error(flow, request, EVENT_BAD_FIELD, "number",
			"'number' must be a number, a prefix like +4990*, or anonymous");
		return;
	}
	storing = flow_store_begin(flow, request);
	if (!storing)
		return;
	finish(flow, request, storing,
		add ? directory_list_add(directory, user, list, pattern, flow_stored, storing)
		    : directory_list_remove(directory, user, list, pattern, flow_stored, storing));
}

void handle_schedule(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct schedule schedule;
	struct event_error error;
	struct storing *storing;
	char user[AOR_SIZE];

	if (!flow_user(flow, request, event->user, user))
		return;
	if (schedule_parse(event->timezone, event->windows, &schedule, &error)) {
		flow_reply_error(flow, request, error.code, error.field, "%s", error.message);
		return;
	}
	if (schedule.count && !flow->ports.zone(flow->ports.zone_self, schedule.timezone)) {
		flow_reply_error(flow, request, EVENT_BAD_FIELD, "timezone",
			"'%s' is no time zone of this machine (is tzdata installed?)",
			schedule.timezone);
		return;
	}
	storing = flow_store_begin(flow, request);
	if (!storing)
		return;
	buf_reset(&flow->payload);
	if (schedule.count)
		schedule_write(&schedule, &flow->payload);
	finish(flow, request, storing,
		flow->payload.failed ? ERR_NOMEM
				     : directory_set_schedule(flow->ports.directory, user,
					       buf_str(&flow->payload), flow_stored, storing));
}

bool flow_schedule_holds(struct flow *flow, const char *user, int64_t *until_ms)
{
	const char *text = directory_schedule(flow->ports.directory, user);
	const struct zone *zone;
	struct schedule schedule;

	if (!text[0] || schedule_read(text, &schedule))
		return false;
	zone = flow->ports.zone(flow->ports.zone_self, schedule.timezone);
	return zone && schedule_holds(&schedule, zone, flow->now_ms, until_ms);
}

void handle_call_waiting(struct flow *flow, struct request *request)
{
	struct storing *storing;
	char user[AOR_SIZE];

	if (!flow_user(flow, request, request->event.user, user))
		return;
	storing = flow_store_begin(flow, request);
	if (storing)
		finish(flow, request, storing,
			directory_set_call_waiting(flow->ports.directory, user, request->event.on,
				flow_stored, storing));
}

void handle_mute(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct directory *directory = flow->ports.directory;
	struct storing *storing;
	char user[AOR_SIZE];

	if (!flow_user(flow, request, event->user, user))
		return;
	storing = flow_store_begin(flow, request);
	if (!storing)
		return;
	if (event->type == EVENT_MUTE)
		finish(flow, request, storing,
			directory_mute_add(directory, user, event->conversation, event->until_ms,
				flow_stored, storing));
	else
		finish(flow, request, storing,
			directory_mute_remove(
				directory, user, event->conversation, flow_stored, storing));
}

static void show_device(const struct flow *flow, const struct device *device, struct buf *out)
{
	const struct config_app *app = config_find_app(flow->config, device->app);
	const char *token = device->token[0] ? device->token : device->alert_token;
	enum token_state state = device->token[0] ? device->token_state : device->alert_token_state;
	int64_t now_ms = flow->now_ms;
	char shown[PUSH_TOKEN_SHOWN + 1];

	snprintf(shown, sizeof(shown), "%.*s", PUSH_TOKEN_SHOWN, token);
	buf_add_str(out, "{\"device\":");
	buf_add_json(out, device->name[0] ? device->name : NULL);
	reply_add_string(out, "app", device->app);
	reply_add_string(out, "token", shown);
	reply_add_string(out, "mode",
		!token[0]                            ? NULL
		: !device->token[0] && !device->mode ? device_mode_name(MODE_ALERT)
		: device->mode || !app               ? device_mode_name(device->mode)
						     : device_mode_name(app->mode));
	reply_add_string(out, "environment",
		!token[0]                     ? NULL
		: device->learned             ? device_environment_name(device->learned)
		: device->environment || !app ? device_environment_name(device->environment)
					      : device_environment_name(app->environment));
	reply_add_string(out, "state", !token[0] ? NULL : state == TOKEN_OK ? "ok" : "dead");
	reply_add_bool(out, "registered", device->registered_until_ms > now_ms);
	reply_add_bool(out, "dnd", policy_dnd_holds(device->dnd, device->dnd_until_ms, now_ms));
	buf_add_char(out, '}');
}

struct list_writer {
	struct buf *out;
	const char *comma;
	int64_t now_ms;
};

static void show_mute(void *arg, const char *conversation, int64_t until_ms)
{
	struct list_writer *writer = arg;

	if (!policy_dnd_holds(true, until_ms, writer->now_ms))
		return;
	buf_add_str(writer->out, writer->comma);
	writer->comma = ",";
	buf_add_str(writer->out, "{\"conversation\":");
	buf_add_json(writer->out, conversation);
	if (until_ms)
		reply_add_int(writer->out, "until_ms", until_ms);
	buf_add_char(writer->out, '}');
}

static void show_pattern(void *arg, const char *pattern)
{
	struct list_writer *writer = arg;

	buf_add_str(writer->out, writer->comma);
	buf_add_json(writer->out, pattern);
	writer->comma = ",";
}

static void show_list(struct flow *flow, const char *user, enum directory_list list,
	const char *name, struct buf *out)
{
	struct list_writer writer = {.out = out, .comma = ""};

	buf_printf(out, ",\"%s\":[", name);
	directory_list_each(flow->ports.directory, user, list, show_pattern, &writer);
	buf_add_char(out, ']');
}

void handle_show(struct flow *flow, struct request *request)
{
	struct directory *directory = flow->ports.directory;
	int64_t now_ms = flow->now_ms, until_ms = 0;
	const char *schedule;
	char user[AOR_SIZE];
	struct buf *out;
	size_t count;
	int waiting;
	bool dnd;

	if (!flow_user(flow, request, request->event.user, user))
		return;
	out = flow_reply_begin(flow, request);
	reply_add_string(out, "user", user);
	count = directory_devices(directory, user, flow->devices, FLOW_DEVICES_MAX);
	buf_add_str(out, ",\"devices\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_add_char(out, ',');
		show_device(flow, &flow->devices[i], out);
	}
	buf_add_char(out, ']');
	dnd = directory_dnd(directory, user, &until_ms);
	dnd = policy_dnd_holds(dnd, until_ms, now_ms);
	reply_add_bool(out, "dnd", dnd);
	if (dnd && until_ms)
		reply_add_int(out, "dnd_until_ms", until_ms);
	buf_add_str(out, ",\"schedule\":");
	schedule = directory_schedule(directory, user);
	buf_add_str(out, schedule[0] ? schedule : "null"); /* JSON as we wrote it */
	waiting = directory_call_waiting(directory, user);
	reply_add_bool(out, "call_waiting", waiting < 0 ? flow->config->call_waiting : waiting);
	show_list(flow, user, LIST_BLOCK, "blocks", out);
	show_list(flow, user, LIST_ALLOW, "allows", out);
	buf_add_str(out, ",\"mutes\":[");
	directory_mute_each(directory, user, show_mute, &(struct list_writer){out, "", now_ms});
	buf_add_char(out, ']');
	flow_reply_end(flow, request);
}
