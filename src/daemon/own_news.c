/* SPDX-License-Identifier: MIT */
/* What the daemon tells by itself: the end of a call in alert mode, missed calls, and those that
 * do-not-disturb kept silent. */
#include <stdlib.h>
#include <string.h>

#include "news_internal.h"

/* Users whose silenced calls are counted; beyond that the oldest count is given up. */
#define SILENCES_MAX 10000

/* Calls that do-not-disturb kept from a user. */
struct silence {
	TAILQ_ENTRY(silence) link;
	char user[AOR_SIZE];
	int64_t count, last_ms;
	struct call_event last; /* of the last of them, a share of its line */
};

/* A copy of a call's event that outlives the callee. */
static void borrow_event(struct news_item *item, const struct callee *callee)
{
	item->request.event = call_event_share(callee->event);
}

void news_close_call(struct flow *flow, struct callee *callee, const struct target *target)
{
	struct news_item *item;

	if (!callee->event || (callee->answered_by && !strcmp(callee->answered_by, target->name)))
		return; /* the phone that answered knows */
	item = news_item_new(flow, NEWS_CALL_CLOSED, callee->user);
	if (!item)
		return;
	borrow_event(item, callee);
	item->state = callee->state;
	strcpy(item->uuid, callee->uuid);
	item->started_ms = callee->started_ms;
	item->expires_ms = callee->deadline_ms;
	item->targets = calloc(1, sizeof(*item->targets));
	if (!item->targets || target_init(item->targets, target->name, target->app, target->contact,
				      target->token)) {
		item->target_count = item->targets != NULL;
		news_item_free(item);
		return;
	}
	item->target_count = 1;
	item->targets->push = PUSH_ALERT;
	item->targets->environment = target->environment;
	item->targets->result = DEVICE_PENDING;
	news_send(flow, item);
}

/* Alert-mode phones have their closing alert, and a phone that answered missed nothing. */
static bool missed_it(const struct callee *callee, const struct device *device)
{
	for (size_t i = 0; i < callee->target_count; i++) {
		const struct target *target = &callee->targets[i];

		if (!strcmp(target->name, device->name) &&
			(target->push == PUSH_ALERT || target->out))
			return false;
	}
	return true;
}

void news_of_missed_call(struct flow *flow, struct callee *callee)
{
	struct news_item *item;

	if (!flow->config->alert_missed_call || callee->decided != VERDICT_PUSH || !callee->event)
		return;
	item = news_item_new(flow, NEWS_OF_EVENT, callee->user);
	if (!item)
		return;
	borrow_event(item, callee);
	item->request.event.type = EVENT_MISSED_CALL;
	item->request.event.at_ms = callee->started_ms;
	item->request.event.has |= UINT64_C(1) << FIELD_AT_MS | UINT64_C(1) << FIELD_FROM;
	item->owner.call_id = item->request.event.call;
	if (news_make_targets(flow, item)) {
		news_item_free(item);
		return;
	}
	for (size_t i = 0; i < item->target_count; i++) {
		struct device device = {.name = item->targets[i].name};

		if (item->targets[i].result == DEVICE_PENDING && !missed_it(callee, &device)) {
			item->targets[i].result = DEVICE_SKIPPED;
			item->targets[i].skip = SKIP_SAME_PHONE;
		}
	}
	news_send(flow, item);
}

static struct silence *find_silence(struct flow *flow, const char *user)
{
	struct silence *silence;

	TAILQ_FOREACH (silence, &flow->silences, link) {
		if (!strcmp(silence->user, user))
			break;
	}
	return silence;
}

static void silence_free(struct flow *flow, struct silence *silence)
{
	TAILQ_REMOVE(&flow->silences, silence, link);
	flow->silence_count--;
	call_event_free(&silence->last);
	free(silence);
}

void news_count_silenced(struct flow *flow, struct callee *callee, const struct call_event *event)
{
	struct silence *silence;

	if (!flow->config->alert_missed_call)
		return;
	silence = find_silence(flow, callee->user);
	if (!silence) {
		if (flow->silence_count >= SILENCES_MAX)
			silence_free(flow, TAILQ_FIRST(&flow->silences));
		silence = calloc(1, sizeof(*silence));
		if (!silence)
			return;
		strcpy(silence->user, callee->user);
		TAILQ_INSERT_TAIL(&flow->silences, silence, link);
		flow->silence_count++;
	}
	silence->count++;
	silence->last_ms = callee->started_ms;
	call_event_free(&silence->last);
	silence->last = call_event_share(event);
}

/* One call is told of like any that was missed; several are counted, for they may have had several callers. */
static void tell_silence(struct flow *flow, const struct silence *silence)
{
	bool several = silence->count > 1;
	struct news_item *item =
		news_item_new(flow, several ? NEWS_CALLS_SILENCED : NEWS_OF_EVENT, silence->user);
	struct call_event *event;

	if (!item)
		return;
	event = &item->request.event;
	if (several) {
		item->count = silence->count;
		event->to = item->user;
	} else {
		*event = call_event_share(&silence->last);
		event->has |= UINT64_C(1) << FIELD_FROM;
	}
	event->type = EVENT_MISSED_CALL;
	event->at_ms = silence->last_ms;
	event->has |= UINT64_C(1) << FIELD_AT_MS;
	if (news_make_targets(flow, item))
		news_item_free(item);
	else
		news_send(flow, item);
}

void news_tick(struct flow *flow)
{
	struct call_event event = {.type = EVENT_MISSED_CALL};
	struct silence *silence, *next;

	for (silence = TAILQ_FIRST(&flow->silences); silence; silence = next) {
		next = TAILQ_NEXT(silence, link);
		if (news_why_quiet(flow, &event, silence->user))
			continue;
		tell_silence(flow, silence);
		silence_free(flow, silence);
	}
}

void own_news_free(struct flow *flow)
{
	struct silence *silence;

	while ((silence = TAILQ_FIRST(&flow->silences)))
		silence_free(flow, silence);
}
