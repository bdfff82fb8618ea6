/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_STATUS_VIEW_H
#define PBXPUSH_DAEMON_STATUS_VIEW_H

#include <stdint.h>

#include <pbxpush/apns/apns.h>
#include <pbxpush/daemon/flow.h>
#include <pbxpush/directory/directory.h>
#include <pbxpush/hook/hook.h>
#include <pbxpush/pbx/evapi.h>
#include <pbxpush/pbx/event_socket.h>
#include <pbxpush/pbx/http_events.h>
#include <pbxpush/status/metrics.h>
#include <pbxpush/status/status.h>
#include <pbxpush/status/timeline.h>

/* What the status socket shows, gathered from the modules. Everything is borrowed. */
struct status_view {
	const struct flow *flow;
	const struct apns *apns;
	const struct directory *directory;
	const struct event_socket *events;
	const struct http_events *http;
	const struct evapi *evapi;
	const struct hook *hook; /* NULL where there is none */
	struct metrics *metrics;
	struct timeline *timeline;
	int64_t started_us; /* monotonic */
	struct status_provider provider;
};

/* Who is connected to send events: the event socket and HTTP together. */
size_t status_view_clients(const struct status_view *view);

/* Fills view->provider; the pointers above may still change afterwards. */
void status_view_init(struct status_view *view);

#endif
