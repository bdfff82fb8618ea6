/* SPDX-License-Identifier: MIT */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "tls.h"

void plan_key_free(struct apns_key *key)
{
	provider_token_free(key->token);
	free(key);
}

bool plan_app_is_live(const struct apns *apns, const struct app *app)
{
	const struct app *at = apns->apps;

	while (at && at != app)
		at = at->next;
	return at;
}

void plan_clear(struct plan *plan, const struct apns *apns)
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
		plan_key_free(key);
	}
	for (size_t i = 0; plan->apps && i < plan->count; i++)
		if (plan->apps[i] && !plan_app_is_live(apns, plan->apps[i]))
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
	const struct provider_now now = apns_now();
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

struct apns_route *plan_route_find(struct apns_route *list, const struct apns_key *key,
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
		.token_refused = apns_token_refused,
	};

	if (plan_route_find(apns->routes, key, environment, options) ||
		plan_route_find(plan->routes, key, environment, options))
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

enum err plan_make(struct plan *plan, struct apns *apns, const struct apns_options *options,
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
