/* SPDX-License-Identifier: MIT */
#ifndef APNS_ROUTE_H
#define APNS_ROUTE_H

#include <openssl/types.h>

#include <pbxpush/apns/apns.h>

#include "delivery.h"
#include <pbxpush/apns/endpoint.h>
#include <pbxpush/apns/provider_token.h>

/*
 * The pool of one environment, team and key: the pushes that wait, the connections that carry them,
 * and when to open another. APNs binds a connection to one team and key, so nothing is ever shared
 * between routes.
 */
struct route;

struct route_options {
	struct endpoint endpoint;
	struct proxy proxy;
	SSL_CTX *tls; /* referenced by each connection */
	unsigned connections, max_connections;
	int64_t connect_timeout_ms, response_timeout_ms, ping_interval_ms, ping_timeout_ms;
};

/* token and observer outlive the route. */
struct route_owner {
	void *arg;
	const struct apns_observer *observer;
	/* ExpiredProviderToken or InvalidProviderToken for a push of this generation: true when a
	 * newer token is there. */
	bool (*token_refused)(
		void *arg, struct provider_token *token, unsigned generation, bool expired);
};

enum err route_new(struct event_base *base, struct provider_token *token,
	enum push_environment environment, const struct route_options *options,
	const struct route_owner *owner, struct route **out);

/* No delivery may be in it (route_empty, or all given up). Accepts NULL. */
void route_free(struct route *route);

/* True when the route connects to where these options say. Another endpoint or proxy is another
 * route. */
bool route_leads_to(const struct route *route, const struct route_options *options);

/* New limits, certificates, and timeouts, which reach open connections, too. fresh: old connections
 * finish what they have and close (another set of apps: APNs binds those at a connection's first
 * push). */
void route_configure(struct route *route, const struct route_options *options, bool fresh);

/* Keeps connections open from now on. */
void route_warm(struct route *route);

/* Takes a new delivery in: it waits for a stream, or first until its device may be pushed to
 * again. */
void route_admit(struct route *route, struct delivery *delivery);

/* Puts a delivery into its app's lane, at its end or, for another attempt, its beginning. */
void route_enqueue(struct route *route, struct delivery *delivery, bool again);

/* Puts a delivery aside for a while. */
void route_defer(struct route *route, struct delivery *delivery, int64_t pause_ms);

/* Takes a delivery out of where it stands; a flying one is cancelled. How its last attempt stands
 * then: STREAM_UNPROCESSED also where it did not fly. */
enum stream_end route_take(struct route *route, struct delivery *delivery);

/* Hands what waits to connections, and writes. Not from inside a connection's callbacks. */
void route_pump(struct route *route);

/* Finishes every delivery in it as never sent or ambiguous. */
void route_give_up(struct route *route);

/* Retires every connection; true when none is left. */
bool route_wind_up(struct route *route);

/* The app goes elsewhere, and its alarm with it. NULL: nothing. */
void route_forget_app(struct route *route, const struct app *app);

/* A push of it is given up, and had no answer at all. */
void route_note_loss(struct route *route);

/* Why a push that waits is still waiting: timeout, connection, tls, dns or proxy. */
const char *route_waits_for(const struct route *route);

void route_stats(const struct route *route, struct apns_route_stats *out);
enum push_environment route_environment(const struct route *route);

#endif
