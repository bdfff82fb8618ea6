/* SPDX-License-Identifier: MIT */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/clock.h>

#include "plan.h"

/* ---- taking its place; nothing here can fail ---- */

/* What waits goes along, in order; what flies finishes where it is. route NULL: the app is gone. */
static void app_move(struct apns *apns, struct app *app, size_t env, struct route *route)
{
	struct route *old = app->routes[env];
	struct delivery_list moved = TAILQ_HEAD_INITIALIZER(moved);
	struct delivery *delivery;
	struct map_node *node = NULL;
	int64_t now_us = clock_mono_us();

	if (old == route)
		return;
	while ((delivery = TAILQ_FIRST(&app->lanes[env].waiting))) {
		route_take(old, delivery);
		TAILQ_INSERT_TAIL(&moved, delivery, waiting);
		delivery->by_due.due = now_us;
	}
	while ((node = map_next(&apns->ledger.by_ticket, node))) {
		delivery = map_entry(node, struct delivery, by_ticket);
		if (delivery->place != DELIVERY_LATER || delivery->app != app ||
			delivery->environment != env)
			continue;
		route_take(old, delivery);
		TAILQ_INSERT_TAIL(&moved, delivery, waiting);
	}
	route_forget_app(old, app);
	app->routes[env] = route;
	while ((delivery = TAILQ_FIRST(&moved))) {
		TAILQ_REMOVE(&moved, delivery, waiting);
		if (!route)
			ledger_hurry(delivery);
		else if (delivery->by_due.due > now_us)
			route_defer(route, delivery, (delivery->by_due.due - now_us) / 1000);
		else
			route_enqueue(route, delivery, false);
	}
}

static bool plan_has_app(const struct plan *plan, const struct app *app)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->apps[i] == app)
			return true;
	return false;
}

/* True when a key serves an app more: APNs knows a connection's apps from its first push. */
static bool key_gains_app(const struct plan *plan, const struct apns_route *at)
{
	enum push_environment env = route_environment(at->route);

	for (size_t i = 0; i < plan->count; i++) {
		if (plan->uses[i] == at->key && plan->apps[i]->routes[env] != at->route)
			return true;
	}
	return false;
}

static bool plan_uses_route(const struct plan *plan, const struct apns_route *at)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->uses[i] == at->key &&
			route_leads_to(at->route, &plan->options[route_environment(at->route)]))
			return true;
	return false;
}

static void apply_routes(struct plan *plan, struct apns *apns)
{
	bool other_ca = !apns->ca_file || strcmp(apns->ca_file, plan->ca_file) != 0;

	for (struct apns_route *at = apns->routes; at; at = at->next) {
		if (at->leaving)
			continue;
		at->leaving = !plan_uses_route(plan, at);
		if (!at->leaving)
			route_configure(at->route, &plan->options[route_environment(at->route)],
				other_ca || key_gains_app(plan, at));
	}
	struct apns_route **route_end = &apns->routes;
	while (*route_end)
		route_end = &(*route_end)->next;
	*route_end = plan->routes;
	plan->routes = NULL;
	for (struct apns_key *key = plan->keys; key; key = key->next)
		token_store_save(apns->store, key->token);
	struct apns_key **key_end = &apns->keys;
	while (*key_end)
		key_end = &(*key_end)->next;
	*key_end = plan->keys;
	plan->keys = NULL;
}

static void apply_apps(struct plan *plan, struct apns *apns)
{
	for (struct app **at = &apns->apps, *app; (app = *at);) {
		if (plan_has_app(plan, app)) {
			at = &app->next;
			continue;
		}
		*at = app->next;
		for (size_t env = 0; env < 2; env++)
			app_move(apns, app, env, NULL);
		app_free(app);
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct app *app = plan->apps[i];
		const bool warm[2] = {
			[PUSH_PRODUCTION] = plan->wanted[i].warm_production,
			[PUSH_SANDBOX] = plan->wanted[i].warm_sandbox,
		};
		if (!plan_app_is_live(apns, app)) {
			app->next = apns->apps;
			apns->apps = app;
		}
		for (size_t env = 0; env < 2; env++) {
			struct apns_route *route = plan_route_find(apns->routes, plan->uses[i],
				(enum push_environment)env, &plan->options[env]);
			app_move(apns, app, env, route->route);
			if (warm[env])
				route_warm(route->route);
		}
	}
}

enum err apns_reconfigure(struct apns *apns, const struct apns_options *options,
	const struct apns_app *apps, size_t app_count, char *why, size_t why_size)
{
	struct plan plan = {.wanted = apps, .count = app_count};
	enum err err = plan_make(&plan, apns, options, why, why_size);

	if (!err) {
		apply_routes(&plan, apns);
		apply_apps(&plan, apns);
		/* At once, lest one of them opens a connection with what plan_clear() frees. */
		for (struct apns_route *at = apns->routes; at; at = at->next)
			if (at->leaving)
				route_wind_up(at->route);
		ledger_set_bounds(&apns->ledger, options->max_queued, app_count);
		SSL_CTX *tls = apns->tls;
		char *ca_file = apns->ca_file;
		apns->tls = plan.tls;
		apns->ca_file = plan.ca_file;
		plan.tls = tls;
		plan.ca_file = ca_file;
		apns_arm_deadlines(apns);                /* of those whose app is gone */
		event_active(apns->pump, EV_TIMEOUT, 0); /* sweeps, and moves what waits */
	}
	plan_clear(&plan, apns);
	return err;
}

void apns_sweep(struct apns *apns)
{
	for (struct apns_key *key = apns->keys; key; key = key->next)
		key->uses = 0;
	for (struct apns_route **at = &apns->routes, *route; (route = *at);) {
		if (route->leaving && route_wind_up(route->route)) {
			*at = route->next;
			route_free(route->route);
			free(route);
			continue;
		}
		route->key->uses++;
		at = &route->next;
	}
	for (struct apns_key **at = &apns->keys, *key; (key = *at);) {
		if (key->uses) {
			at = &key->next;
			continue;
		}
		*at = key->next;
		plan_key_free(key);
	}
}

void apns_clear(struct apns *apns)
{
	for (struct apns_route *route; (route = apns->routes);) {
		apns->routes = route->next;
		route_free(route->route);
		free(route);
	}
	for (struct apns_key *key; (key = apns->keys);) {
		apns->keys = key->next;
		plan_key_free(key);
	}
	for (struct app *app; (app = apns->apps);) {
		apns->apps = app->next;
		app_free(app);
	}
	SSL_CTX_free(apns->tls);
	free(apns->ca_file);
}
