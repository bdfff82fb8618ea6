/* SPDX-License-Identifier: MIT */
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>

#include "apns_internal.h"
#include "tls.h"
#include <pbxpush/apns/signing_key.h>

/*
 * A configuration is built completely beside the running one; only when nothing can fail any more does
 * it take its place.
 */
struct plan {
	struct route_options options[2]; /* by environment */
	SSL_CTX *tls;
	char *ca_file;
	const struct apns_app *wanted;
	size_t count;
	struct app **apps;      /* [count]: those there are, or new ones */
	struct apns_key **uses; /* [count]: the key of each */
	struct apns_key *keys;  /* new ones */
	struct apns_route *routes;
};

/* ---- provider tokens ---- */

static struct provider_now provider_now(void)
{
	struct provider_now now = {
		.mono_us = clock_mono_us(),
		.wall_s = clock_wall_ms() / 1000,
	};

	RAND_bytes((unsigned char *)&now.random, sizeof(now.random));
	return now;
}

static void token_log(const struct provider_token *token, const char *why)
{
	log_info("apns", "key=%s/%s provider token signed: %s", provider_token_team(token),
		provider_token_key(token), why);
}

void apns_refresh_tokens(struct apns *apns)
{
	const struct provider_now now = provider_now();

	for (struct apns_key *key = apns->keys; key; key = key->next) {
		if (provider_token_refresh(key->token, &now)) {
			token_log(key->token, "it was time");
			token_store_save(apns->store, key->token);
		}
	}
}

static bool on_token_expired(void *arg, struct provider_token *token, unsigned generation)
{
	struct apns *apns = arg;
	const struct provider_now now = provider_now();
	unsigned before = provider_token_generation(token);
	bool again = provider_token_expired(token, generation, &now);

	if (provider_token_generation(token) != before) {
		token_log(token, "APNs calls the last one expired");
		token_store_save(apns->store, token);
	}
	return again;
}

enum err apns_check_key(const char *path, char *why, size_t why_size)
{
	EVP_PKEY *key = NULL;
	enum err err = signing_key_load(path, &key, why, why_size);

	EVP_PKEY_free(key);
	return err;
}

/* ---- the plan ---- */

static void key_free(struct apns_key *key)
{
	provider_token_free(key->token);
	free(key);
}

static void app_free(struct app *app)
{
	app->removed = true;
	app_release(app);
}

static bool is_live_app(const struct apns *apns, const struct app *app)
{
	const struct app *at = apns->apps;

	while (at && at != app)
		at = at->next;
	return at;
}

/* Frees what the plan made and apply() did not take. */
static void plan_clear(struct plan *plan, const struct apns *apns)
{
	struct apns_route *route;
	struct apns_key *key;

	while ((route = plan->routes)) {
		plan->routes = route->next;
		route_free(route->route);
		free(route);
	}
	while ((key = plan->keys)) {
		plan->keys = key->next;
		key_free(key);
	}
	for (size_t i = 0; plan->apps && i < plan->count; i++)
		if (plan->apps[i] && !is_live_app(apns, plan->apps[i]))
			app_free(plan->apps[i]);
	free(plan->apps);
	free(plan->uses);
	free(plan->ca_file);
	SSL_CTX_free(plan->tls);
}

static enum err plan_options(
	struct plan *plan, const struct apns_options *options, char *why, size_t why_size)
{
	const char *const hosts[] = {
		[PUSH_PRODUCTION] = options->production,
		[PUSH_SANDBOX] = options->sandbox,
	};
	struct route_options common = {
		.tls = plan->tls,
		.connections = options->connections > 0 ? (unsigned)options->connections : 1,
		.connect_timeout_ms = options->connect_timeout_ms,
		.response_timeout_ms = options->response_timeout_ms,
		.ping_interval_ms = options->ping_interval_ms,
		.ping_timeout_ms = options->ping_timeout_ms,
	};

	common.max_connections = common.connections;
	if (options->max_connections > options->connections)
		common.max_connections = (unsigned)options->max_connections;
	if (!proxy_parse(options->proxy, &common.proxy)) {
		snprintf(why, why_size, "proxy must be http://[user:password@]host:port");
		return ERR_INVAL;
	}
	for (size_t i = 0; i < 2; i++) {
		plan->options[i] = common;
		if (!endpoint_parse(hosts[i], "443", &plan->options[i].endpoint)) {
			snprintf(why, why_size, "%s: not host:port or [v6]:port", hosts[i]);
			return ERR_INVAL;
		}
	}
	return ERR_OK;
}

static struct apns_key *key_find(struct apns_key *list, const struct provider_token *token)
{
	for (; list; list = list->next)
		if (strcmp(provider_token_team(list->token), provider_token_team(token)) == 0 &&
			strcmp(provider_token_key(list->token), provider_token_key(token)) == 0 &&
			strcmp(provider_token_fingerprint(list->token),
				provider_token_fingerprint(token)) == 0)
			break;
	return list;
}

/* The file is read again each time: a key may have been replaced under its name. */
static enum err plan_key(struct plan *plan, const struct apns *apns, const struct apns_app *app,
	struct apns_key **out, char *why, size_t why_size)
{
	const struct provider_now now = provider_now();
	struct provider_token *token = NULL;
	struct apns_key *key = NULL;
	enum err err =
		provider_token_new(app->team_id, app->key_id, app->key_file, &token, why, why_size);

	if (err)
		return err;
	if ((key = key_find(plan->keys, token)) || (key = key_find(apns->keys, token)))
		goto out;
	err = ERR_NOMEM;
	key = calloc(1, sizeof(*key));
	if (!key)
		goto out;
	token_store_load(apns->store, token, &now);
	provider_token_refresh(token, &now);
	err = provider_token_bearer(token) ? ERR_OK : ERR_CRYPTO;
	if (err) {
		snprintf(why, why_size, "key file %s cannot sign", app->key_file);
		free(key);
		goto out;
	}
	key->token = token;
	token = NULL;
	key->next = plan->keys;
	plan->keys = key;
out:
	provider_token_free(token);
	if (!err)
		*out = key;
	return err;
}

static struct app *app_new(const char *bundle_id)
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

static struct app *app_named(struct app *list, const char *bundle_id)
{
	while (list && strcmp(list->bundle_id, bundle_id) != 0)
		list = list->next;
	return list;
}

static enum err plan_apps(struct plan *plan, const struct apns *apns, char *why, size_t why_size)
{
	plan->apps = calloc(plan->count + 1, sizeof(struct app *));
	plan->uses = calloc(plan->count + 1, sizeof(struct apns_key *));
	if (!plan->apps || !plan->uses)
		return ERR_NOMEM;
	for (size_t i = 0; i < plan->count; i++) {
		const struct apns_app *wanted = &plan->wanted[i];
		for (size_t j = 0; j < i; j++) {
			if (strcmp(plan->wanted[j].bundle_id, wanted->bundle_id) == 0) {
				snprintf(why, why_size, "app %s stands twice", wanted->bundle_id);
				return ERR_INVAL;
			}
		}
		enum err err = plan_key(plan, apns, wanted, &plan->uses[i], why, why_size);
		if (err)
			return err;
		plan->apps[i] = app_named(apns->apps, wanted->bundle_id);
		if (!plan->apps[i])
			plan->apps[i] = app_new(wanted->bundle_id);
		if (!plan->apps[i])
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static struct apns_route *route_find(struct apns_route *list, const struct apns_key *key,
	enum push_environment environment, const struct route_options *options)
{
	for (; list; list = list->next)
		if (list->key == key && !list->leaving &&
			route_environment(list->route) == environment &&
			route_leads_to(list->route, options))
			break;
	return list;
}

static enum err plan_route(struct plan *plan, struct apns *apns, struct apns_key *key,
	enum push_environment environment)
{
	const struct route_options *options = &plan->options[environment];
	const struct route_owner owner = {
		.arg = apns,
		.observer = &apns->observer,
		.token_expired = on_token_expired,
	};

	if (route_find(apns->routes, key, environment, options) ||
		route_find(plan->routes, key, environment, options))
		return ERR_OK;
	struct apns_route *route = calloc(1, sizeof(*route));
	if (!route)
		return ERR_NOMEM;
	enum err err =
		route_new(apns->base, key->token, environment, options, &owner, &route->route);
	if (err) {
		free(route);
		return err;
	}
	route->key = key;
	route->next = plan->routes;
	plan->routes = route;
	return ERR_OK;
}

static enum err plan_make(struct plan *plan, struct apns *apns, const struct apns_options *options,
	char *why, size_t why_size)
{
	enum err err = tls_context_new(options->ca_file, &plan->tls, why, why_size);

	if (err)
		return err;
	plan->ca_file = strdup(options->ca_file);
	if (!plan->ca_file)
		return ERR_NOMEM;
	err = plan_options(plan, options, why, why_size);
	if (!err)
		err = plan_apps(plan, apns, why, why_size);
	for (size_t i = 0; !err && i < plan->count; i++) {
		err = plan_route(plan, apns, plan->uses[i], PUSH_PRODUCTION);
		if (!err)
			err = plan_route(plan, apns, plan->uses[i], PUSH_SANDBOX);
	}
	return err;
}

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

/* True when a key serves other apps than before: APNs knows a connection's apps from its first push. */
static bool key_apps_changed(const struct plan *plan, const struct apns_route *at)
{
	enum push_environment env = route_environment(at->route);

	for (size_t i = 0; i < plan->count; i++) {
		bool before = plan->apps[i]->routes[env] == at->route;
		if (before != (plan->uses[i] == at->key))
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
				other_ca || key_apps_changed(plan, at));
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
		app->removed = true;
		for (size_t env = 0; env < 2; env++)
			app_move(apns, app, env, NULL);
		app_release(app);
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct app *app = plan->apps[i];
		const bool warm[2] = {
			[PUSH_PRODUCTION] = plan->wanted[i].warm_production,
			[PUSH_SANDBOX] = plan->wanted[i].warm_sandbox,
		};
		if (!is_live_app(apns, app)) {
			app->next = apns->apps;
			apns->apps = app;
		}
		for (size_t env = 0; env < 2; env++) {
			struct apns_route *route = route_find(apns->routes, plan->uses[i],
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
		ledger_set_bounds(&apns->ledger, options->max_queued, app_count);
		SSL_CTX *tls = apns->tls;
		char *ca_file = apns->ca_file;
		apns->tls = plan.tls;
		apns->ca_file = plan.ca_file;
		plan.tls = tls;
		plan.ca_file = ca_file;
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
		key_free(key);
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
		key_free(key);
	}
	for (struct app *app; (app = apns->apps);) {
		apns->apps = app->next;
		app_free(app);
	}
	SSL_CTX_free(apns->tls);
	free(apns->ca_file);
}
