/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>

#include "apns_internal.h"

#define MINUTE_S 60

/* ---- the transport port ---- */

static struct app *app_find(const struct apns *apns, const char *bundle_id)
{
	struct app *app = apns->apps;

	while (app && strcmp(app->bundle_id, bundle_id) != 0)
		app = app->next;
	return app;
}

void apns_arm_deadlines(struct apns *apns)
{
	const struct delivery *first = ledger_first_due(&apns->ledger);

	if (!first || (apns->deadline_us && apns->deadline_us <= first->by_deadline.due))
		return;
	int64_t now_us = clock_mono_us();
	int64_t wait_us = first->by_deadline.due > now_us ? first->by_deadline.due - now_us : 0;
	const struct timeval wait = {
		.tv_sec = (time_t)(wait_us / 1000000),
		.tv_usec = (suseconds_t)(wait_us % 1000000),
	};
	apns->deadline_us = first->by_deadline.due > 0 ? first->by_deadline.due : 1;
	event_add(apns->deadlines, &wait);
}

static uint64_t apns_send(void *self, const struct push_request *request, int64_t deadline_us,
	push_done_fn *done, void *arg)
{
	struct apns *apns = self;
	struct app *app = apns->closing ? NULL : app_find(apns, request->app);

	if (!app)
		return 0;
	struct delivery *delivery =
		ledger_open(&apns->ledger, app, request, deadline_us, done, arg);
	if (!delivery)
		return 0;
	route_admit(app->routes[request->environment], delivery);
	apns_arm_deadlines(apns);
	/* Once for all that are handed in before the loop comes round. */
	event_active(apns->pump, EV_TIMEOUT, 0);
	return delivery->ticket;
}

static struct route *delivery_home(const struct delivery *delivery)
{
	return delivery->app->routes[delivery->environment];
}

static enum cancel_result apns_cancel(void *self, uint64_t ticket)
{
	struct apns *apns = self;
	struct delivery *delivery = ledger_find(&apns->ledger, ticket);

	if (!delivery)
		return CANCEL_UNKNOWN;
	delivery->cancelled = true;
	if (delivery->place == DELIVERY_FLYING &&
		!connection_withdraw(delivery->connection, &delivery->stream))
		return CANCEL_TOO_LATE;
	if (delivery->place == DELIVERY_FLYING)
		delivery->place = DELIVERY_NOWHERE;
	else
		route_take(delivery_home(delivery), delivery);
	if (delivery->ambiguous) { /* an earlier attempt may have arrived: done tells so, soon */
		ledger_hurry(delivery);
		apns_arm_deadlines(apns);
		return CANCEL_TOO_LATE;
	}
	delivery_drop(delivery);
	event_active(apns->pump, EV_TIMEOUT, 0);
	return CANCEL_WITHDRAWN;
}

const struct transport *apns_transport(struct apns *apns)
{
	return &apns->transport;
}

size_t apns_pending(const struct apns *apns)
{
	return apns->ledger.count;
}

/* ---- the loop ---- */

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct apns *apns = arg;

	(void)fd, (void)what;
	for (struct apns_route *at = apns->routes; at; at = at->next)
		route_pump(at->route);
	apns_sweep(apns);
}

static void delivery_overdue(struct delivery *delivery)
{
	struct route *route = delivery_home(delivery);
	struct connection *connection = delivery->connection;
	const char *reason = "connection";

	switch (delivery->place) {
	case DELIVERY_NOWHERE: /* hurried: its app or route may be gone */
		break;
	case DELIVERY_WAITING:
	case DELIVERY_LATER:
		reason = route_waits_for(route);
		break;
	case DELIVERY_FLYING:
		reason = "timeout";
		break;
	}
	switch (route_take(route, delivery)) {
	case STREAM_ANSWERED: /* all but the end of its answer is there */
		connection_tell(connection, &delivery->stream);
		return;
	case STREAM_AMBIGUOUS:
		delivery->ambiguous = true;
		break;
	case STREAM_OPEN:
	case STREAM_UNPROCESSED:
		break;
	}
	if (route && !delivery->cancelled && !delivery->answer.status)
		route_note_loss(route);
	delivery_give_up(delivery, reason);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct apns *apns = arg;
	struct delivery *delivery;
	int64_t now_us = clock_mono_us();

	(void)fd, (void)what;
	apns->deadline_us = 0;
	while ((delivery = ledger_first_due(&apns->ledger)) && delivery->by_deadline.due <= now_us)
		delivery_overdue(delivery);
	apns_arm_deadlines(apns);
	event_active(apns->pump, EV_TIMEOUT, 0); /* streams became free */
}

static void on_minute(evutil_socket_t fd, short what, void *arg)
{
	struct apns *apns = arg;

	(void)fd, (void)what;
	apns_refresh_tokens(apns);
	apns_sweep(apns);
}

/* ---- life ---- */

enum err apns_new(struct event_base *base, const struct apns_options *options,
	const struct apns_app *apps, size_t app_count, const struct apns_observer *observer,
	struct apns **out, char *why, size_t why_size)
{
	const struct timeval minute = {.tv_sec = MINUTE_S};
	enum err err = ERR_NOMEM;
	struct apns *apns = calloc(1, sizeof(*apns));

	if (why_size)
		why[0] = '\0';
	if (!apns)
		goto out;
	apns->base = base;
	if (observer)
		apns->observer = *observer;
	apns->transport = (struct transport){
		.self = apns,
		.send = apns_send,
		.cancel = apns_cancel,
	};
	err = ledger_init(&apns->ledger);
	if (err)
		goto out;
	err = ERR_NOMEM;
	apns->pump = event_new(base, -1, 0, on_pump, apns);
	apns->deadlines = evtimer_new(base, on_deadline, apns);
	apns->minute = event_new(base, -1, EV_PERSIST, on_minute, apns);
	if (!apns->pump || !apns->deadlines || !apns->minute || event_add(apns->minute, &minute))
		goto out;
	/* Before what has become readable or writable meanwhile: after a stall of the loop nothing
	 * may leave too late. */
	event_priority_set(apns->deadlines, 0);
	err = token_store_new(base, options->state_dir, &apns->store);
	if (!err)
		err = apns_reconfigure(apns, options, apps, app_count, why, why_size);
out:
	if (err && why_size && !why[0])
		strncat(why, err_string(err), why_size - 1);
	if (err)
		apns_free(apns);
	else
		*out = apns;
	return err;
}

void apns_free(struct apns *apns)
{
	if (!apns)
		return;
	apns->closing = true;
	for (struct apns_route *at = apns->routes; at; at = at->next)
		route_wind_up(at->route);
	for (struct apns_route *at = apns->routes; at; at = at->next)
		route_give_up(at->route);
	/* Those that stand nowhere: called back after an ambiguous attempt. */
	for (struct delivery *delivery; (delivery = ledger_any(&apns->ledger));)
		delivery_overdue(delivery);
	apns_clear(apns);
	if (apns->pump)
		event_free(apns->pump);
	if (apns->deadlines)
		event_free(apns->deadlines);
	if (apns->minute)
		event_free(apns->minute);
	token_store_free(apns->store);
	ledger_free(&apns->ledger);
	free(apns);
}

void apns_each_route(
	const struct apns *apns, void (*fn)(void *arg, const struct apns_route_stats *), void *arg)
{
	struct apns_route_stats stats;

	for (const struct apns_route *at = apns->routes; at; at = at->next) {
		route_stats(at->route, &stats);
		fn(arg, &stats);
	}
}
