/* SPDX-License-Identifier: MIT */
#include "status_view.h"

#include <pbxpush/base/clock.h>
#include <pbxpush/core/reply.h>

/* A route that has not worked for this long while it was needed makes the daemon unhealthy. */
#define UNHEALTHY_US 60000000
#define CALLS_SHOWN  1000

struct route_writer {
	struct buf *out;
	const char *comma;
};

static void write_route(void *arg, const struct apns_route_stats *route)
{
	struct route_writer *writer = arg;
	struct buf *out = writer->out;

	buf_add_str(out, writer->comma);
	writer->comma = ",";
	buf_add_str(out, "{\"team\":");
	buf_add_json(out, route->team);
	reply_add_string(out, "key", route->key);
	reply_add_string(out, "environment", push_environment_name(route->environment));
	reply_add_string(out, "host", route->host);
	reply_add_bool(out, "connected", route->ready > 0);
	reply_add_int(out, "connecting", route->connecting);
	reply_add_int(out, "ready", route->ready);
	reply_add_int(out, "draining", route->draining);
	reply_add_int(out, "streams", route->streams);
	reply_add_int(out, "stream_limit", route->stream_limit);
	reply_add_int(out, "queued", (int64_t)route->queued);
	if (route->token_age_s >= 0)
		reply_add_int(out, "token_age_s", route->token_age_s);
	else
		buf_add_str(out, ",\"token_age_s\":null");
	reply_add_string(out, "last_error", route->last_error);
	reply_add_string(out, "alarm", route->alarm);
	buf_add_char(out, '}');
}

static void write_evapi(const struct evapi *evapi, struct buf *out)
{
	struct evapi_stats stats;

	evapi_stats(evapi, &stats);
	if (!stats.address[0]) {
		buf_add_str(out, ",\"evapi\":null");
		return;
	}
	buf_add_str(out, ",\"evapi\":{\"address\":");
	buf_add_json(out, stats.address);
	reply_add_bool(out, "connected", stats.connected);
	reply_add_int(out, "owed", (int64_t)stats.owed);
	reply_add_string(out, "last_error", stats.last_error);
	buf_add_char(out, '}');
}

size_t status_view_clients(const struct status_view *view)
{
	return event_socket_clients(view->events) + http_events_clients(view->http);
}

static void write_hook(const struct hook *hook, struct buf *out)
{
	struct hook_stats stats;

	if (!hook) {
		buf_add_str(out, ",\"hook\":null");
		return;
	}
	hook_stats(hook, &stats);
	buf_add_str(out, ",\"hook\":{\"state\":");
	buf_add_json(out, stats.state);
	reply_add_int(out, "queued", (int64_t)stats.queued);
	reply_add_int(out, "delivered", (int64_t)stats.delivered);
	reply_add_int(out, "refused", (int64_t)stats.refused);
	reply_add_int(out, "expired", (int64_t)stats.expired);
	reply_add_int(out, "dropped", (int64_t)stats.dropped);
	reply_add_string(out, "last_error", stats.last_error);
	buf_add_char(out, '}');
}

static void write_status(void *self, struct buf *out)
{
	const struct status_view *view = self;
	struct route_writer writer = {.out = out, .comma = ""};
	struct directory_stats directory;
	struct flow_stats flow;
	const char *why = NULL;

	flow_stats(view->flow, &flow);
	directory_stats(view->directory, clock_wall_ms(), &directory);
	buf_add_str(out, "{\"version\":\"" PBXPUSH_VERSION "\"");
	reply_add_int(out, "uptime_s", (clock_mono_us() - view->started_us) / 1000000);
	reply_add_int(out, "clients", (int64_t)status_view_clients(view));
	reply_add_int(out, "events", (int64_t)flow.events);
	reply_add_int(out, "pushes", (int64_t)flow.pushes);
	buf_printf(out,
		",\"calls\":{\"ringing\":%zu,\"answered\":%zu,\"ended\":%zu,\"waiting\":%zu}",
		flow.ringing, flow.answered, flow.ended, flow.waiting);
	buf_printf(out,
		",\"directory\":{\"users\":%zu,\"devices\":%zu,\"dead\":%zu,\"registered\":%zu,"
		"\"list_entries\":%zu,\"unwritten\":%zu",
		directory.users, directory.devices, directory.dead, directory.registered,
		directory.entries, directory.unwritten);
	reply_add_bool(out, "healthy", directory_healthy(view->directory, &why));
	buf_add_char(out, '}');
	write_evapi(view->evapi, out);
	write_hook(view->hook, out);
	buf_add_str(out, ",\"routes\":[");
	apns_each_route(view->apns, write_route, &writer);
	buf_add_str(out, "]}\n");
}

struct health {
	int64_t now_us;
	bool needed, works;
	struct buf *reason;
};

static void judge_route(void *arg, const struct apns_route_stats *route)
{
	struct health *health = arg;

	if ((route->ready && !route->needed_since_us) ||
		(route->last_good_us && health->now_us - route->last_good_us < UNHEALTHY_US))
		health->works = true;
	if (!route->needed_since_us || health->now_us - route->needed_since_us < UNHEALTHY_US)
		return;
	health->needed = true;
	buf_printf(health->reason, "%s%s %s: %s", health->reason->len ? "; " : "", route->team,
		route->host, route->last_error[0] ? route->last_error : "no connection");
}

static bool write_health(void *self, struct buf *out)
{
	const struct status_view *view = self;
	struct buf reason = {0};
	struct health health = {.now_us = clock_mono_us(), .reason = &reason};
	const char *why = NULL;
	bool healthy;

	apns_each_route(view->apns, judge_route, &health);
	healthy = health.works || !health.needed;
	if (healthy)
		buf_reset(&reason);
	if (!directory_healthy(view->directory, &why)) {
		buf_printf(&reason, "%sstorage: %s", reason.len ? "; " : "", why ? why : "failed");
		healthy = false;
	}
	buf_printf(out, "{\"healthy\":%s", healthy ? "true" : "false");
	reply_add_string(out, "reason", healthy ? NULL : buf_str(&reason));
	buf_add_str(out, "}\n");
	buf_free(&reason);
	return healthy;
}

static void set_gauge(struct metrics *metrics, enum metric metric, double value, const char *label)
{
	metrics_set(metrics, metric, value, (const char *const[]){label});
}

static void measure_route(void *arg, const struct apns_route_stats *route)
{
	struct metrics *metrics = arg;
	const char *labels[] = {
		route->team, route->key, push_environment_name(route->environment), "connecting"};

	metrics_set(metrics, METRIC_CONNECTIONS, route->connecting, labels);
	labels[3] = "ready";
	metrics_set(metrics, METRIC_CONNECTIONS, route->ready, labels);
	labels[3] = "draining";
	metrics_set(metrics, METRIC_CONNECTIONS, route->draining, labels);
	metrics_set(metrics, METRIC_STREAMS, route->streams, labels);
	metrics_set(metrics, METRIC_STREAM_LIMIT, route->stream_limit, labels);
	if (route->token_age_s >= 0)
		metrics_set(metrics, METRIC_TOKEN_AGE, (double)route->token_age_s, labels);
}

/* No series where evapi is not configured, so that an alert on 0 says what it seems to say. */
static void measure_evapi(const struct evapi *evapi, struct metrics *metrics)
{
	struct evapi_stats stats;

	evapi_stats(evapi, &stats);
	metrics_clear(metrics, METRIC_EVAPI_CONNECTED);
	if (stats.address[0])
		metrics_set(metrics, METRIC_EVAPI_CONNECTED, stats.connected, NULL);
}

static void measure_hook(const struct hook *hook, struct metrics *metrics)
{
	struct hook_stats stats;

	metrics_clear(metrics, METRIC_HOOK_QUEUED);
	if (!hook)
		return;
	hook_stats(hook, &stats);
	metrics_set(metrics, METRIC_HOOK_QUEUED, (double)stats.queued, NULL);
}

static void write_metrics(void *self, struct buf *out)
{
	static const enum metric of_routes[] = {
		METRIC_CONNECTIONS, METRIC_STREAMS, METRIC_STREAM_LIMIT, METRIC_TOKEN_AGE};
	const struct status_view *view = self;
	struct metrics *metrics = view->metrics;
	struct directory_stats directory;
	struct flow_stats flow;

	flow_stats(view->flow, &flow);
	directory_stats(view->directory, clock_wall_ms(), &directory);
	set_gauge(metrics, METRIC_CALLS, (double)flow.ringing, "ringing");
	set_gauge(metrics, METRIC_CALLS, (double)flow.answered, "answered");
	set_gauge(metrics, METRIC_CALLS, (double)flow.ended, "ended");
	set_gauge(metrics, METRIC_DIRECTORY_DEVICES, (double)directory.devices, "known");
	set_gauge(metrics, METRIC_DIRECTORY_DEVICES, (double)directory.dead, "dead");
	set_gauge(metrics, METRIC_DIRECTORY_DEVICES, (double)directory.registered, "registered");
	metrics_set(metrics, METRIC_CLIENTS, (double)status_view_clients(view), NULL);
	measure_evapi(view->evapi, metrics);
	measure_hook(view->hook, metrics);
	for (size_t i = 0; i < sizeof(of_routes) / sizeof(of_routes[0]); i++)
		metrics_clear(metrics, of_routes[i]);
	apns_each_route(view->apns, measure_route, metrics);
	metrics_write(metrics, out);
}

static void write_calls(void *self, struct buf *out)
{
	const struct status_view *view = self;

	flow_write_calls(view->flow, CALLS_SHOWN, out);
	buf_add_char(out, '\n');
}

static bool write_call(void *self, const char *id, struct buf *out)
{
	const struct status_view *view = self;

	if (!timeline_write(view->timeline, id, clock_wall_ms(), out))
		return false;
	buf_add_char(out, '\n');
	return true;
}

void status_view_init(struct status_view *view)
{
	view->provider = (struct status_provider){.self = view,
		.status = write_status,
		.metrics = write_metrics,
		.health = write_health,
		.calls = write_calls,
		.call = write_call};
}
