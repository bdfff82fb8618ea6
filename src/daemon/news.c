/* SPDX-License-Identifier: MIT */
/* What is not a call: missed calls, voicemail, messages and refreshes, to the ordinary token.
 * Never a VoIP push. */
#include <pbxpush/core/news.h>

#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/log.h>
#include <pbxpush/core/policy.h>

#include "news_internal.h"

/* The reply waits this long for the push service: news may come a little late. */
#define NEWS_DEADLINE_US 30000000

static struct news_item *item_of(struct push_owner *owner)
{
	return map_entry(owner, struct news_item, owner);
}

void news_item_free(struct news_item *item)
{
	LIST_REMOVE(item, link);
	for (size_t i = 0; i < item->target_count; i++) {
		if (item->targets[i].in_flight)
			push_orphan(item->targets[i].in_flight);
		target_clear(&item->targets[i]);
	}
	free(item->targets);
	free(item->id);
	call_event_free(&item->request.event);
	free(item);
}

/* ---- the body ---- */

static enum news_type type_of(enum event_type event)
{
	if (event == EVENT_VOICEMAIL)
		return NEWS_VOICEMAIL;
	return event == EVENT_MESSAGE ? NEWS_MESSAGE : NEWS_MISSED_CALL;
}

static int64_t or_none(const struct call_event *event, enum event_field field, int64_t value)
{
	return event_has(event, field) ? value : NEWS_NONE;
}

static void write_event(struct flow *flow, struct news_item *item, const struct target *target)
{
	const struct call_event *event = &item->request.event;
	const struct config_app *app = config_find_app(flow->config, target->app);
	struct news news = NEWS_INIT;
	struct caller caller;
	bool truncated = false;

	caller_fill(event, flow->config, &flow->numbers, app, &caller);
	news.type = type_of(event->type);
	news.to = event->to;
	news.from_name = caller.name;
	news.from_number = caller.number;
	news.from_uri = caller.uri;
	/* a voicemail without `from` comes from nobody in particular */
	news.fallback_name = event_has(event, FIELD_FROM) ? caller.fallback : NULL;
	news.badge = or_none(event, FIELD_BADGE, event->badge);
	news.call = event->call;
	news.at_ms = or_none(event, FIELD_AT_MS, event->at_ms);
	news.count = item->count > 1 ? item->count : NEWS_NONE;
	news.new_count = or_none(event, FIELD_NEW, event->new_count);
	news.old_count = or_none(event, FIELD_OLD, event->old_count);
	news.duration_s = or_none(event, FIELD_DURATION_S, event->duration_s);
	news.conversation = event->conversation;
	news.message_id = event->message_id;
	news.text = event->text;
	news.silent = item->silent;
	news.app = target->app;
	news.device = target->name;
	if (item->kind == NEWS_CALLS_SILENCED)
		news.fallback_name = NULL;
	news_write(&news, app ? app->alert : NULL, &flow->payload, &truncated);
	item->truncated |= truncated;
}

static void write_closing(struct flow *flow, struct news_item *item, const struct target *target)
{
	struct call_facts facts = {item->uuid, item->started_ms, item->expires_ms};
	struct call_body body;
	bool truncated;

	call_body_fill(flow, &item->request.event, &facts, target, &body);
	news_write_call_ended(&body.call, item->state, body.app ? body.app->alert : NULL,
		&flow->payload, &truncated);
}

static int64_t describe(struct flow *flow, struct push_owner *owner, const struct target *target,
	bool shrink, struct push_request *request)
{
	struct news_item *item = item_of(owner);
	int64_t expiration_ms = flow->config->alert_expiration_ms;

	(void)shrink; /* within Apple's bound already: what a 413 means here is told, not mended */
	buf_reset(&flow->payload);
	if (item->kind == NEWS_CALL_CLOSED)
		write_closing(flow, item, target);
	else if (target->push == PUSH_BACKGROUND)
		news_write_refresh(&flow->payload);
	else
		write_event(flow, item, target);
	request->payload = flow->payload.failed ? NULL : flow->payload.data;
	request->payload_len = flow->payload.len;
	/* Apple: a background push has priority 5; 5 is right too for what shall not light the
	 * screen */
	request->priority = target->push == PUSH_BACKGROUND || item->silent ? 5 : 10;
	request->expiration_s = expiration_ms ? (flow->now_ms + expiration_ms) / 1000 : 0;
	request->collapse_id = item->kind == NEWS_CALL_CLOSED ? item->uuid : NULL;
	return item->owner.read_us + NEWS_DEADLINE_US;
}

static bool wants(const struct push_owner *owner, const struct target *target)
{
	(void)owner, (void)target;
	return true;
}

/* ---- the reply ---- */

/* The rule of a reply when nothing reached the push service. */
static enum rule rule_of(const struct news_item *item)
{
	bool failed = false, dead = false, dnd = false;

	for (size_t i = 0; i < item->target_count; i++) {
		const struct target *target = &item->targets[i];

		if (target->result == DEVICE_ACCEPTED || target->result == DEVICE_PENDING)
			return RULE_NONE;
		dead |= target->dead || target->skip == SKIP_DEAD_TOKEN;
		dnd |= target->skip == SKIP_DND;
		failed |= target->result == DEVICE_FAILED ||
			  (target->result == DEVICE_REJECTED && !target->dead);
	}
	return failed ? RULE_PUSH_FAILED : dnd ? RULE_DND : dead ? RULE_DEAD_TOKEN : RULE_NO_DEVICE;
}

static void reply_news(struct flow *flow, struct news_item *item, enum rule rule)
{
	struct buf *out = flow_reply_begin(flow, &item->request);
	size_t count = 0;

	reply_add_string(out, "to", item->request.event.to);
	reply_add_string(out, "rule", rule_name(rule));
	for (; count < item->target_count; count++)
		target_report(&item->targets[count], item->owner.read_us, &flow->report[count]);
	reply_add_devices(out, flow->report, count);
	if (item->truncated)
		reply_add_bool(out, "truncated", true);
	flow_reply_end(flow, &item->request);
}

static void finish(struct flow *flow, struct news_item *item, enum rule rule)
{
	log_info("news", "event=%s to=%s rule=%s devices=%zu",
		event_spec(item->request.event.type)->name, flow_shown(flow, item->user),
		rule ? rule_name(rule) : "-", item->target_count);
	if (item->wants_reply)
		reply_news(flow, item, rule);
	news_item_free(item);
}

static void ended(struct flow *flow, struct push_owner *owner, struct target *target)
{
	struct news_item *item = item_of(owner);

	(void)target;
	for (size_t i = 0; i < item->target_count; i++) {
		if (item->targets[i].result == DEVICE_PENDING)
			return;
	}
	finish(flow, item, rule_of(item));
}

/* ---- which devices ---- */

static bool is_taken(const struct news_item *item, const char *token)
{
	for (size_t i = 0; i < item->target_count; i++) {
		if (!strcmp(item->targets[i].token, token))
			return true;
	}
	return false;
}

static enum skip_reason why_skip(struct flow *flow, const struct news_item *item,
	const struct device *device, const struct config_app *app)
{
	bool drops = flow->config->alert_muted == MUTED_DROP &&
		     item->request.event.type != EVENT_REFRESH;

	if (!app)
		return SKIP_UNKNOWN_APP;
	if (!device->alert_token[0])
		return SKIP_NO_TOKEN;
	if (device->alert_token_state != TOKEN_OK)
		return SKIP_DEAD_TOKEN;
	if (drops && policy_dnd_holds(device->dnd, device->dnd_until_ms, flow->now_ms))
		return SKIP_DND;
	return is_taken(item, device->alert_token) ? SKIP_SAME_PHONE : SKIP_NONE;
}

static enum err add_target(struct flow *flow, struct news_item *item, const struct device *device)
{
	struct target *target = &item->targets[item->target_count];
	const struct config_app *app = config_find_app(flow->config, device->app);
	enum skip_reason skip;
	enum err err;

	if (app && !config_app_allows(app, item->user))
		app = NULL;
	skip = why_skip(flow, item, device, app);
	err = target_init(target, device->name, device->app, device->contact, device->alert_token);
	item->target_count++;
	if (err)
		return err;
	target->push = item->request.event.type == EVENT_REFRESH ? PUSH_BACKGROUND : PUSH_ALERT;
	target->skip = skip;
	if (skip)
		return ERR_OK;
	target->result = DEVICE_PENDING;
	target_choose_environment(target, device, app);
	return ERR_OK;
}

enum err news_make_targets(struct flow *flow, struct news_item *item)
{
	size_t count = directory_devices(
		flow->ports.directory, item->user, flow->devices, FLOW_DEVICES_MAX);

	item->targets = calloc(count ? count : 1, sizeof(*item->targets));
	if (!item->targets)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct device *device = &flow->devices[i];

		if ((device->token[0] || device->alert_token[0]) && add_target(flow, item, device))
			return ERR_NOMEM;
	}
	return ERR_OK;
}

/* ---- sending ---- */

/* LIST heads are empty when zeroed, so the flow needs no start for this. */
struct news_item *news_item_new(struct flow *flow, enum news_kind kind, const char *user)
{
	struct news_item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	item->kind = kind;
	strcpy(item->user, user);
	item->owner = (struct push_owner){.user = item->user,
		.read_us = flow->now_us,
		.describe = describe,
		.wants = wants,
		.ended = ended};
	LIST_INSERT_HEAD(&flow->news, item, link);
	return item;
}

void news_send(struct flow *flow, struct news_item *item)
{
	size_t sent = 0;

	for (size_t i = 0; i < item->target_count; i++) {
		if (item->targets[i].result == DEVICE_PENDING)
			sent += push_start(flow, &item->owner, &item->targets[i]);
	}
	if (!sent)
		finish(flow, item, rule_of(item));
}

/* ---- the events ---- */

/* Why news must not disturb now; RULE_NONE where it may. */
enum rule news_why_quiet(struct flow *flow, const struct call_event *event, const char *user)
{
	struct directory *directory = flow->ports.directory;
	int64_t until_ms, now_ms = flow->now_ms;
	bool dnd = directory_dnd(directory, user, &until_ms);

	if (event->type == EVENT_REFRESH)
		return RULE_NONE;
	if (event->type == EVENT_MESSAGE &&
		directory_is_muted(directory, user, event->conversation, now_ms))
		return RULE_MUTED;
	if (policy_dnd_holds(dnd, until_ms, now_ms))
		return RULE_DND;
	return flow_schedule_holds(flow, user, NULL) ? RULE_DND_SCHEDULE : RULE_NONE;
}

/* What a blocked sender writes is dropped; allowed ones disturb in spite of do-not-disturb. */
static enum rule judge_sender(
	struct flow *flow, const struct call_event *event, const char *user, enum rule quiet)
{
	struct directory *directory = flow->ports.directory;
	char number[NUMBER_SIZE];

	if (!caller_key(event, &flow->numbers, number))
		return quiet;
	if (directory_list_match(directory, user, LIST_ALLOW, number))
		return quiet == RULE_MUTED ? quiet : RULE_NONE;
	if (event->type == EVENT_MESSAGE &&
		directory_list_match(directory, user, LIST_BLOCK, number))
		return strcmp(number, "anonymous") ? RULE_BLOCKED : RULE_ANONYMOUS;
	return quiet;
}

void handle_news(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct news_item *item;
	char user[AOR_SIZE];
	enum rule rule;

	if (!flow_user(flow, request, event->to, user))
		return;
	rule = judge_sender(flow, event, user, news_why_quiet(flow, event, user));
	item = news_item_new(flow, NEWS_OF_EVENT, user);
	if (item && request->id)
		item->id = strdup(request->id);
	if (!item || (request->id && !item->id)) {
		if (item)
			news_item_free(item);
		flow_reply_error(flow, request, EVENT_OVERLOADED, NULL, "out of memory");
		return;
	}
	item->request = *request; /* the event moves over */
	item->request.line = NULL;
	request->event.line = NULL;
	item->request.id = item->id;
	item->owner.call_id = event->call;
	item->owner.read_us = request->read_us;
	item->wants_reply = true;
	item->silent = rule && flow->config->alert_muted == MUTED_SILENT && rule != RULE_BLOCKED &&
		       rule != RULE_ANONYMOUS;
	if (rule && !item->silent)
		finish(flow, item, rule);
	else if (news_make_targets(flow, item))
		finish(flow, item, RULE_OVERLOADED);
	else
		news_send(flow, item);
}

void news_release_all(struct flow *flow)
{
	struct news_item *item, *next;

	for (item = LIST_FIRST(&flow->news); item; item = next) {
		next = LIST_NEXT(item, link);
		finish(flow, item, rule_of(item));
	}
}

void news_free_all(struct flow *flow)
{
	struct news_item *item;

	while ((item = LIST_FIRST(&flow->news)))
		news_item_free(item);
}
