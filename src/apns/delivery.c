/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/clock.h>

#include "delivery.h"

#define PATH     "/3/device/"
#define PATH_LEN (sizeof(PATH) - 1)

enum err ledger_init(struct ledger *ledger)
{
	*ledger = (struct ledger){0};
	return map_init(&ledger->by_ticket);
}

void ledger_free(struct ledger *ledger)
{
	map_free(&ledger->by_ticket);
	heap_free(&ledger->deadlines);
}

void ledger_set_bounds(struct ledger *ledger, size_t max, size_t app_count)
{
	ledger->max = max;
	ledger->app_share = app_count ? max / 2 / app_count : 0;
}

/* Takes a place in the queue; false when the app's own part and the shared one are full. */
static bool ledger_admit(struct ledger *ledger, const struct app *app, bool *shared)
{
	*shared = app->pending >= ledger->app_share;
	if (ledger->count >= ledger->max)
		return false;
	return !*shared || ledger->shared < ledger->max - ledger->max / 2;
}

static char *text_add(char **at, const char *text, size_t len)
{
	char *start = *at;

	memcpy(start, text, len);
	start[len] = '\0';
	*at += len + 1;
	return start;
}

static struct delivery *delivery_new(const struct push_request *request)
{
	size_t token_len = strlen(request->token);
	size_t collapse_len = request->collapse_id ? strlen(request->collapse_id) : 0;
	struct delivery *delivery = malloc(
		sizeof(*delivery) + PATH_LEN + token_len + collapse_len + request->payload_len + 3);

	if (!delivery)
		return NULL;
	*delivery = (struct delivery){
		.environment = request->environment,
		.type = request->type,
		.payload_len = request->payload_len,
	};
	char *at = delivery->text;
	memcpy(at, PATH, PATH_LEN);
	delivery->path = at;
	at += PATH_LEN;
	text_add(&at, request->token, token_len);
	if (request->collapse_id)
		delivery->collapse_id = text_add(&at, request->collapse_id, collapse_len);
	delivery->payload = text_add(&at, request->payload, request->payload_len);
	memcpy(delivery->apns_id, request->apns_id, sizeof(delivery->apns_id));
	if (request->expiration_s) /* a call's is 0 */
		snprintf(delivery->expiration, sizeof(delivery->expiration), "%lld",
			(long long)request->expiration_s);
	else
		strcpy(delivery->expiration, "0");
	strcpy(delivery->priority, request->priority == 10  ? "10"
				   : request->priority == 5 ? "5"
							    : "1");
	return delivery;
}

static uint64_t ticket_hash(uint64_t ticket)
{
	return map_hash(&ticket, sizeof(ticket));
}

struct delivery *ledger_open(struct ledger *ledger, struct app *app,
	const struct push_request *request, int64_t deadline_us, push_done_fn *done, void *arg)
{
	bool shared;

	if (!ledger_admit(ledger, app, &shared))
		return NULL;
	struct delivery *delivery = delivery_new(request);
	if (!delivery)
		return NULL;
	if (heap_set(&ledger->deadlines, &delivery->by_deadline, deadline_us)) {
		free(delivery);
		return NULL;
	}
	delivery->ledger = ledger;
	delivery->app = app;
	delivery->done = done;
	delivery->arg = arg;
	delivery->shared = shared;
	delivery->ticket = ++ledger->last_ticket;
	map_add(&ledger->by_ticket, &delivery->by_ticket, ticket_hash(delivery->ticket));
	ledger->shared += shared;
	ledger->count++;
	app->pending++;
	return delivery;
}

static bool ticket_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct delivery *delivery =
		(const struct delivery *)(const void *)((const char *)node -
							offsetof(struct delivery, by_ticket));

	(void)len;
	return memcmp(&delivery->ticket, key, sizeof(delivery->ticket)) == 0;
}

struct delivery *ledger_find(const struct ledger *ledger, uint64_t ticket)
{
	struct map_node *node = map_find(&ledger->by_ticket, &ticket, sizeof(ticket), ticket_equal);

	return node ? map_entry(node, struct delivery, by_ticket) : NULL;
}

struct delivery *ledger_first_due(const struct ledger *ledger)
{
	struct heap_node *node = heap_first(&ledger->deadlines);

	return node ? map_entry(node, struct delivery, by_deadline) : NULL;
}

struct delivery *ledger_any(const struct ledger *ledger)
{
	return ledger_first_due(ledger);
}

void ledger_hurry(struct delivery *delivery)
{
	/* Cannot fail: it stands in the heap already. */
	heap_set(&delivery->ledger->deadlines, &delivery->by_deadline, 0);
}

struct app *app_new(const char *bundle_id)
{
	size_t len = strlen(bundle_id);
	struct app *app = calloc(1, sizeof(*app) + len + 1);

	if (!app)
		return NULL;
	app->bundle_id = memcpy(app + 1, bundle_id, len + 1);
	if (asprintf(&app->voip_topic, "%s.voip", bundle_id) < 0) {
		free(app);
		return NULL;
	}
	for (size_t i = 0; i < 2; i++)
		TAILQ_INIT(&app->lanes[i].waiting);
	return app;
}

void app_release(struct app *app)
{
	if (!app->removed || app->pending)
		return;
	free(app->voip_topic);
	free(app);
}

void app_free(struct app *app)
{
	app->removed = true;
	app_release(app);
}

void delivery_drop(struct delivery *delivery)
{
	struct ledger *ledger = delivery->ledger;
	struct app *app = delivery->app;

	map_remove(&ledger->by_ticket, &delivery->by_ticket);
	heap_remove(&ledger->deadlines, &delivery->by_deadline);
	ledger->shared -= delivery->shared;
	ledger->count--;
	app->pending--;
	app_release(app);
	stream_reset(&delivery->stream);
	free(delivery);
}

void delivery_finish(struct delivery *delivery, const struct push_result *result)
{
	struct push_result told = *result;
	push_done_fn *done = delivery->done;
	void *arg = delivery->arg;

	told.attempts = delivery->attempts;
	told.written_us = delivery->written_us;
	if (!told.done_us)
		told.done_us = clock_mono_us();
	if (!told.apns_id[0])
		memcpy(told.apns_id, delivery->apns_id, sizeof(told.apns_id));
	delivery_drop(delivery);
	done(arg, &told); /* last: it may send again, or cancel others */
}

void delivery_give_up(struct delivery *delivery, const char *reason)
{
	struct push_result result = delivery->answer;

	result.done_us = 0;
	if (delivery->ambiguous || !result.status) {
		result = (struct push_result){
			.class = delivery->ambiguous ? PUSH_AMBIGUOUS : PUSH_NOT_SENT,
		};
		snprintf(result.reason, sizeof(result.reason), "%s", reason);
	}
	delivery_finish(delivery, &result);
}
