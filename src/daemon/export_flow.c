/* SPDX-License-Identifier: MIT */
/* `export`: the directory as the events that restore it, a page at a time. */
#include "flow_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/map.h>
#include <pbxpush/core/policy.h>

#define CURSOR_SIZE 40

/* The place, and its hash under the seed of this process: the order of the index is another one
 * after a restart, so a cursor of an earlier run must not be taken, nor one that somebody made
 * up. */
static void cursor_write(const struct directory_cursor *cursor, char out[CURSOR_SIZE])
{
	char place[CURSOR_SIZE / 2];
	int len = snprintf(
		place, sizeof(place), "%c%" PRIx64, cursor->in_lists ? 'l' : 'u', cursor->place);

	snprintf(out, CURSOR_SIZE, "%s-%016" PRIx64, place, map_hash(place, (size_t)len));
}

/* text is not empty. What is not letter for letter as we write it was not written by us. */
static bool cursor_read(const char *text, struct directory_cursor *out)
{
	struct directory_cursor cursor = {
		.place = strtoull(text + 1, NULL, 16), .in_lists = text[0] == 'l'};
	char written[CURSOR_SIZE];

	cursor_write(&cursor, written);
	if (strcmp(text, written) != 0)
		return false;
	*out = cursor;
	return true;
}

struct page {
	struct buf *out;
	const char *comma;
	int64_t now_ms;
};

static void begin_event(struct page *page, enum event_type type, const char *user)
{
	buf_printf(page->out, "%s{\"event\":\"%s\"", page->comma, event_spec(type)->name);
	reply_add_string(page->out, "user", user);
	page->comma = ",";
}

static void end_event(struct page *page)
{
	buf_add_char(page->out, '}');
}

static void add_given(struct page *page, const char *name, const char *value)
{
	if (value[0])
		reply_add_string(page->out, name, value);
}

static void add_until(struct page *page, int64_t until_ms)
{
	if (until_ms)
		reply_add_int(page->out, "until_ms", until_ms);
}

/* device NULL: of the user. What is over and not yet swept is left out. */
static void write_dnd(struct page *page, const char *user, const char *device, int64_t until_ms)
{
	if (!policy_dnd_holds(true, until_ms, page->now_ms))
		return;
	begin_event(page, EVENT_DND, user);
	if (device)
		reply_add_string(page->out, "device", device);
	reply_add_bool(page->out, "on", true);
	add_until(page, until_ms);
	end_event(page);
}

/* Where the phone is, and whether it is there, is for its next REGISTER to say; what was learned of
 * its tokens, for the next push. */
static void write_device(struct page *page, const struct device *device)
{
	if (!device->token[0] && !device->alert_token[0])
		return; /* its name alone cannot be given back without a REGISTER */
	begin_event(page, EVENT_REGISTER, device->user);
	reply_add_string(page->out, "device", device->name);
	reply_add_string(page->out, "app", device->app);
	add_given(page, "token", device->token);
	add_given(page, "alert_token", device->alert_token);
	add_given(page, "environment", device_environment_name(device->environment));
	add_given(page, "mode", device_mode_name(device->mode));
	reply_add_bool(page->out, "sip", false);
	end_event(page);
	if (device->dnd)
		write_dnd(page, device->user, device->name, device->dnd_until_ms);
}

static void write_schedule(struct page *page, const char *user, const char *text)
{
	begin_event(page, EVENT_DND_SCHEDULE, user);
	buf_add_char(page->out, ',');
	buf_add_str(page->out, text + 1); /* an object as schedule_write() wrote it, with its end */
}

static void write_mute(
	struct page *page, const char *user, const char *conversation, int64_t until_ms)
{
	if (!policy_dnd_holds(true, until_ms, page->now_ms))
		return;
	begin_event(page, EVENT_MUTE, user);
	reply_add_string(page->out, "conversation", conversation);
	add_until(page, until_ms);
	end_event(page);
}

static void write_pattern(
	struct page *page, enum event_type type, const char *user, const char *pattern)
{
	begin_event(page, type, user);
	reply_add_string(page->out, "number", pattern);
	end_event(page);
}

static void write_item(void *arg, const struct directory_item *item)
{
	struct page *page = arg;

	switch (item->kind) {
	case ITEM_DEVICE:
		write_device(page, item->device);
		break;
	case ITEM_DND:
		write_dnd(page, item->user, NULL, item->until_ms);
		break;
	case ITEM_SCHEDULE:
		write_schedule(page, item->user, item->text);
		break;
	case ITEM_CALL_WAITING:
		begin_event(page, EVENT_CALL_WAITING, item->user);
		reply_add_bool(page->out, "on", item->on);
		end_event(page);
		break;
	case ITEM_MUTE:
		write_mute(page, item->user, item->text, item->until_ms);
		break;
	case ITEM_BLOCK:
		write_pattern(page, EVENT_BLOCK, item->user, item->text);
		break;
	case ITEM_ALLOW:
		write_pattern(page, EVENT_ALLOW, item->user, item->text);
		break;
	}
}

void handle_export(struct flow *flow, struct request *request)
{
	const char *from = request->event.cursor;
	struct directory_cursor cursor = {0};
	struct page page = {.comma = "", .now_ms = flow->now_ms};
	char next[CURSOR_SIZE] = "";

	if (from && !cursor_read(from, &cursor)) {
		flow_reply_error(flow, request, EVENT_BAD_FIELD, "cursor",
			"'cursor' is not one that this run of the daemon gave: begin anew");
		return;
	}
	page.out = flow_reply_begin(flow, request);
	buf_add_str(page.out, ",\"items\":[");
	if (directory_export(flow->ports.directory, &cursor, write_item, &page))
		cursor_write(&cursor, next);
	buf_add_char(page.out, ']');
	reply_add_string(page.out, "cursor", next); /* "" becomes null: that was all */
	flow_reply_end(flow, request);
}
