/* SPDX-License-Identifier: MIT */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>

#include "route_internal.h"

/* ---- life ---- */

static void route_arm(struct route *route, int64_t now_us)
{
	struct heap_node *first = heap_first(&route->later);
	int64_t due_us = pool_due_us(route);

	if (first && first->due < due_us)
		due_us = first->due;
	if (due_us == INT64_MAX) {
		event_del(route->timer);
		return;
	}
	int64_t wait_us = due_us > now_us ? due_us - now_us : 0;
	const struct timeval wait = {
		.tv_sec = (time_t)(wait_us / 1000000),
		.tv_usec = (suseconds_t)(wait_us % 1000000),
	};
	event_add(route->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct route *route = arg;

	(void)fd, (void)what;
	pool_reap(route);
	route_pump(route);
}

enum err route_new(struct event_base *base, struct provider_token *token,
	enum push_environment environment, const struct route_options *options,
	const struct route_owner *owner, struct route **out)
{
	enum err err = ERR_NOMEM;
	struct route *route = calloc(1, sizeof(*route));

	if (!route)
		goto out;
	TAILQ_INIT(&route->lanes);
	route->base = base;
	route->token = token;
	route->environment = environment;
	route->owner = *owner;
	route->options = *options;
	route->fault_reason = "connection";
	snprintf(route->name, sizeof(route->name), "%s/%s/%s", provider_token_team(token),
		provider_token_key(token), push_environment_name(environment));
	route->timer = evtimer_new(base, on_timer, route);
	route->soon = event_new(base, -1, 0, on_timer, route);
	if (!route->timer || !route->soon)
		goto out;
	err = resolver_new(base, *options->proxy.at.host ? &options->proxy.at : &options->endpoint,
		&route->resolver);
out:
	if (err)
		route_free(route);
	else
		*out = route;
	return err;
}

void route_free(struct route *route)
{
	if (!route)
		return;
	for (size_t i = 0; i < route->connection_count; i++)
		connection_free(route->connections[i]);
	resolver_free(route->resolver);
	tls_memory_clear(&route->tls_memory);
	heap_free(&route->later);
	if (route->timer)
		event_free(route->timer);
	if (route->soon)
		event_free(route->soon);
	free(route);
}

static void route_retire_all(struct route *route, const char *why)
{
	for (size_t i = 0; i < route->connection_count; i++)
		connection_retire(route->connections[i], FAULT_NONE, why);
}

bool route_leads_to(const struct route *route, const struct route_options *options)
{
	const struct route_options *own = &route->options;

	return endpoint_equal(&own->endpoint, &options->endpoint) &&
	       endpoint_equal(&own->proxy.at, &options->proxy.at) &&
	       strcmp(own->proxy.authorization, options->proxy.authorization) == 0;
}

void route_configure(struct route *route, const struct route_options *options, bool fresh)
{
	route->options = *options;
	for (size_t i = 0; i < route->connection_count; i++)
		connection_set_timeouts(route->connections[i], options->response_timeout_ms,
			options->ping_interval_ms, options->ping_timeout_ms);
	if (fresh) {
		route_retire_all(route, "new set of apps or certificates");
		tls_memory_clear(&route->tls_memory);
		route->failures = 0; /* what was wrong may be mended */
		route->retry_us = 0;
		route_clear_alarm(route);
	}
	event_active(route->soon, EV_TIMEOUT, 0);
}

void route_warm(struct route *route)
{
	route->wanted = true;
	event_active(route->soon, EV_TIMEOUT, 0);
}

/* ---- the queue ---- */

void route_enqueue(struct route *route, struct delivery *delivery, bool again)
{
	struct lane *lane = &delivery->app->lanes[route->environment];

	delivery->place = DELIVERY_WAITING;
	if (TAILQ_EMPTY(&lane->waiting))
		TAILQ_INSERT_TAIL(&route->lanes, lane, link);
	if (again)
		TAILQ_INSERT_HEAD(&lane->waiting, delivery, waiting);
	else
		TAILQ_INSERT_TAIL(&lane->waiting, delivery, waiting);
	route->waiting++;
	route->wanted = true;
	if (again) /* it may come from another route, whose events do not pump this one */
		event_active(route->soon, EV_TIMEOUT, 0);
}

void route_defer(struct route *route, struct delivery *delivery, int64_t pause_ms)
{
	int64_t due_us = clock_mono_us() + pause_ms * 1000;

	if (heap_set(&route->later, &delivery->by_due, due_us)) {
		route_enqueue(route, delivery, false); /* no memory: sooner is better than never */
		return;
	}
	delivery->place = DELIVERY_LATER;
	event_active(route->soon, EV_TIMEOUT, 0); /* sets the timer, also of another route */
}

void route_await_other(struct route *route, struct delivery *delivery, int64_t pause_ms)
{
	route_defer(route, delivery, pause_ms);
	delivery->awaits_other = delivery->place == DELIVERY_LATER;
	route->wanted = route->other_wanted = true;
}

void route_wake_awaiting(struct route *route)
{
	/* A node that is due sooner moves up only, past those seen. */
	for (size_t i = 1; i <= route->later.count; i++) {
		struct heap_node *node = route->later.nodes[i].node;

		if (map_entry(node, struct delivery, by_due)->awaits_other)
			heap_set(&route->later, node, 0);
	}
}

uint32_t route_random(void)
{
	uint32_t bits = 0;

	RAND_bytes((unsigned char *)&bits, sizeof(bits));
	return bits;
}

static uint64_t device_hash(const struct delivery *delivery)
{
	return map_hash(delivery->path, strlen(delivery->path));
}

void route_pause_device(struct route *route, const struct delivery *delivery, int64_t pause_ms)
{
	struct device_pause *pause = &route->pauses[route->next_pause++ % DEVICE_PAUSES];
	int64_t until_us = clock_mono_us() + pause_ms * 1000;

	*pause = (struct device_pause){device_hash(delivery), until_us};
	if (until_us > route->pauses_end_us)
		route->pauses_end_us = until_us;
}

/* How long the device is still to be left alone. */
static int64_t device_pause_us(const struct route *route, const struct delivery *delivery)
{
	int64_t now_us = clock_mono_us(), until_us = 0;
	uint64_t device;

	if (now_us >= route->pauses_end_us)
		return 0;
	device = device_hash(delivery);
	for (size_t i = 0; i < DEVICE_PAUSES; i++)
		if (route->pauses[i].device == device && route->pauses[i].until_us > until_us)
			until_us = route->pauses[i].until_us;
	return until_us - now_us;
}

void route_admit(struct route *route, struct delivery *delivery)
{
	int64_t pause_us = route->pauses_end_us ? device_pause_us(route, delivery) : 0;

	if (pause_us > 0)
		route_defer(route, delivery, (pause_us + 999) / 1000);
	else
		route_enqueue(route, delivery, false);
}

static void lane_remove(struct route *route, struct delivery *delivery)
{
	struct lane *lane = &delivery->app->lanes[route->environment];

	TAILQ_REMOVE(&lane->waiting, delivery, waiting);
	if (TAILQ_EMPTY(&lane->waiting))
		TAILQ_REMOVE(&route->lanes, lane, link);
	route->waiting--;
}

enum stream_end route_take(struct route *route, struct delivery *delivery)
{
	enum stream_end end = STREAM_UNPROCESSED;

	switch (delivery->place) {
	case DELIVERY_NOWHERE:
		break;
	case DELIVERY_WAITING:
		lane_remove(route, delivery);
		break;
	case DELIVERY_LATER:
		heap_remove(&route->later, &delivery->by_due);
		break;
	case DELIVERY_FLYING:
		connection_cancel(delivery->connection, &delivery->stream);
		delivery->written_us = delivery->stream.written_us;
		end = delivery->stream.end;
		break;
	}
	delivery->place = DELIVERY_NOWHERE;
	return end;
}

/* The lanes take turns. */
static struct delivery *route_next(struct route *route)
{
	struct lane *lane = TAILQ_FIRST(&route->lanes);

	return lane ? TAILQ_FIRST(&lane->waiting) : NULL;
}

static void route_turn(struct route *route, const struct delivery *delivery)
{
	struct lane *lane = &delivery->app->lanes[route->environment];

	if (TAILQ_FIRST(&route->lanes) == lane && TAILQ_NEXT(lane, link)) {
		TAILQ_REMOVE(&route->lanes, lane, link);
		TAILQ_INSERT_TAIL(&route->lanes, lane, link);
	}
}

static const char *delivery_topic(const struct delivery *delivery)
{
	switch (delivery->type) {
	case PUSH_VOIP:
		return delivery->app->voip_topic;
	case PUSH_ALERT:
	case PUSH_BACKGROUND:
		break;
	}
	return delivery->app->bundle_id;
}

static bool route_fly(struct route *route, struct connection *connection, struct delivery *delivery,
	int64_t now_us)
{
	const struct session_request request = {
		.path = delivery->path,
		.authorization = provider_token_bearer(route->token),
		.topic = delivery_topic(delivery),
		.push_type = push_type_name(delivery->type),
		.apns_id = delivery->apns_id,
		.expiration = delivery->expiration,
		.priority = delivery->priority,
		.collapse_id = delivery->collapse_id,
		.payload = delivery->payload,
		.payload_len = delivery->payload_len,
	};

	if (connection_submit(connection, &delivery->stream, &request, now_us))
		return false;
	route_turn(route, delivery);
	lane_remove(route, delivery);
	delivery->place = DELIVERY_FLYING;
	delivery->connection = connection;
	delivery->token_generation = provider_token_generation(route->token);
	delivery->attempts++;
	return true;
}

static void route_wake_deferred(struct route *route, int64_t now_us)
{
	struct heap_node *node;

	while ((node = heap_first(&route->later)) && node->due <= now_us) {
		struct delivery *delivery = map_entry(node, struct delivery, by_due);
		heap_remove(&route->later, node);
		delivery->awaits_other = false;
		route_enqueue(route, delivery, true);
	}
}

void route_pump(struct route *route)
{
	int64_t now_us = clock_mono_us();
	struct delivery *delivery;
	struct connection *connection;

	route_wake_deferred(route, now_us);
	while ((delivery = route_next(route))) {
		if (delivery->by_deadline.due <= now_us) { /* its timer is late, as all of us are */
			route_take(route, delivery);
			delivery_give_up(delivery, route_waits_for(route));
			continue;
		}
		connection = pool_pick(route, delivery);
		if (!connection || !route_fly(route, connection, delivery, now_us))
			break;
	}
	for (size_t i = 0; i < route->connection_count; i++)
		connection_flush(route->connections[i]);
	pool_fill(route, now_us);
	route_arm(route, now_us);
}

/* ---- the end ---- */

bool route_wind_up(struct route *route)
{
	route->ending = true;
	route_retire_all(route, "the route is not needed any more");
	return route->connection_count == 0;
}

void route_give_up(struct route *route)
{
	struct delivery *delivery;
	struct heap_node *node;

	route->ending = true;
	/* Those that fly come back into the lanes, or end. */
	for (size_t i = 0; i < route->connection_count; i++)
		connection_kill(route->connections[i], FAULT_NONE, "shutting down");
	while ((node = heap_first(&route->later)))
		heap_remove(&route->later, node),
			delivery_give_up(map_entry(node, struct delivery, by_due), "connection");
	while ((delivery = route_next(route))) {
		lane_remove(route, delivery);
		delivery_give_up(delivery, "connection");
	}
}

/* ---- what others may know ---- */

void route_clear_alarm(struct route *route)
{
	route->alarm[0] = '\0';
	route->alarm_lane = NULL;
	route->alarm_is_connect = false;
}

void route_forget_app(struct route *route, const struct app *app)
{
	if (route && route->alarm_lane == &app->lanes[route->environment])
		route_clear_alarm(route);
}

void route_note_loss(struct route *route)
{
	route->lost = true;
	if (!route->needed_since_us)
		route->needed_since_us = clock_mono_us();
}

const char *route_waits_for(const struct route *route)
{
	return pool_count(route, CONNECTION_READY) ? "timeout" : route->fault_reason;
}

enum push_environment route_environment(const struct route *route)
{
	return route->environment;
}

void route_stats(const struct route *route, struct apns_route_stats *out)
{
	*out = (struct apns_route_stats){
		.team = provider_token_team(route->token),
		.key = provider_token_key(route->token),
		.environment = route->environment,
		.host = route->options.endpoint.host,
		.connecting = pool_count(route, CONNECTION_CONNECTING),
		.ready = pool_count(route, CONNECTION_READY),
		.draining = pool_count(route, CONNECTION_DRAINING),
		.queued = route->waiting + route->later.count,
		.token_age_s = provider_token_age_s(route->token, clock_mono_us()),
		.last_good_us = route->last_good_us,
		.needed_since_us = route->needed_since_us,
		.last_error = route->last_error,
		.alarm = *route->alarm ? route->alarm : route->skew,
	};
	for (size_t i = 0; i < route->connection_count; i++) {
		out->streams += connection_streams(route->connections[i]);
		out->stream_limit += connection_stream_limit(route->connections[i]);
	}
}
