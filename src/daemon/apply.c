/* SPDX-License-Identifier: MIT */
/* From the configuration to each module's options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/log.h>
#include <pbxpush/daemon/config_file.h>

#include "daemon_internal.h"

/* Pushes waiting and in flight at once: a bound on memory in an outage, about 2 KiB each. */
#define MAX_QUEUED 100000

static void on_goaway(void *arg, const char *reason)
{
	struct daemon *daemon = arg;

	metrics_add(daemon->metrics, METRIC_GOAWAY, 1, (const char *const[]){reason});
}

static void on_retry(void *arg, const char *reason)
{
	struct daemon *daemon = arg;

	metrics_add(daemon->metrics, METRIC_RETRIES, 1, (const char *const[]){reason});
}

static struct apns_app *make_apps(const struct config *config)
{
	struct apns_app *apps = calloc(config->app_count, sizeof(*apps));

	for (size_t i = 0; apps && i < config->app_count; i++) {
		const struct config_app *app = &config->apps[i];

		apps[i] = (struct apns_app){.bundle_id = app->bundle_id,
			.team_id = app->team_id,
			.key_id = app->key_id,
			.key_file = app->key_file,
			/* under `auto` the sandbox is connected when a device needs it */
			.warm_production = app->environment != ENVIRONMENT_SANDBOX,
			.warm_sandbox = app->environment == ENVIRONMENT_SANDBOX};
	}
	return apps;
}

/* Where the database is, the signed provider tokens are kept too. */
static char *state_folder(const struct config *config)
{
	const char *slash = strrchr(config->directory_path, '/');

	return slash && slash > config->directory_path
		       ? strndup(config->directory_path, (size_t)(slash - config->directory_path))
		       : strdup("/");
}

enum err daemon_apply_apns(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size)
{
	struct apns_observer observer = {.arg = daemon, .goaway = on_goaway, .retry = on_retry};
	struct apns_app *apps = make_apps(config);
	char *folder = state_folder(config);
	struct apns_options options = {
		.production = config->apns_production,
		.sandbox = config->apns_sandbox,
		.ca_file = config->apns_ca_file,
		.proxy = config->apns_proxy,
		.state_dir = folder,
		.connections = (int)config->connections,
		.max_connections = (int)config->max_connections,
		.connect_timeout_ms = config->connect_timeout_ms,
		.response_timeout_ms = config->response_timeout_ms,
		.ping_interval_ms = config->ping_interval_ms,
		.ping_timeout_ms = config->ping_timeout_ms,
		.max_queued = MAX_QUEUED,
	};
	enum err err = ERR_NOMEM;

	if (apps && folder && daemon->apns)
		err = apns_reconfigure(
			daemon->apns, &options, apps, config->app_count, why, why_size);
	else if (apps && folder)
		err = apns_new(daemon->base, &options, apps, config->app_count, &observer,
			&daemon->apns, why, why_size);
	else
		snprintf(why, why_size, "out of memory");
	free(folder);
	free(apps);
	return err;
}

enum err daemon_apply_events(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size)
{
	struct event_socket_options options = {.path = config->events_socket,
		.mode = (mode_t)config->events_mode,
		.max_clients = (size_t)config->max_clients,
		.max_line = (size_t)config->max_line};
	uid_t *allow = NULL, *admin = NULL;
	char who[128];
	enum err err;

	err = config_users(config->events_allow, &allow, &options.allow_count, who, sizeof(who));
	if (!err)
		err = config_users(
			config->events_admin, &admin, &options.admin_count, who, sizeof(who));
	if (!err)
		err = config_group(config->events_group, &options.gid);
	if (err) {
		snprintf(why, why_size, "[events]: unknown user or group");
		goto out;
	}
	options.allow = allow;
	options.admin = admin;
	if (daemon->events)
		err = event_socket_reconfigure(daemon->events, &options, why, why_size);
	else
		err = event_socket_new(daemon->base, &options, flow_sink(daemon->flow),
			&daemon->events, why, why_size);
out:
	free(allow);
	free(admin);
	return err;
}

enum err daemon_apply_evapi(struct daemon *daemon, const struct config *config)
{
	/* Kamailio is no user whose id could be looked up: it is an admin where everybody is. */
	struct evapi_options options = {.address = config->kamailio_evapi,
		.role = config->events_admin[0] ? ROLE_CALLS : ROLE_ADMIN,
		.max_line = (size_t)config->max_line};

	if (daemon->evapi)
		return evapi_reconfigure(daemon->evapi, &options);
	return evapi_new(daemon->base, &options, flow_sink(daemon->flow), &daemon->evapi);
}

enum err daemon_apply_http(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size)
{
	struct http_events_options options = {.address = config->events_http,
		.tokens = config->events_access,
		.max_clients = (size_t)config->max_clients,
		.max_line = (size_t)config->max_line};

	if (daemon->http)
		return http_events_reconfigure(daemon->http, &options, why, why_size);
	return http_events_new(
		daemon->base, &options, flow_sink(daemon->flow), &daemon->http, why, why_size);
}

static enum err apply_status(struct daemon *daemon, const struct status_options *options,
	struct status_server **server, char *why, size_t why_size)
{
	if (*server)
		return status_server_reconfigure(*server, options, why, why_size);
	return status_server_new(
		daemon->base, options, &daemon->view.provider, server, why, why_size);
}

enum err daemon_apply_status(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size)
{
	struct status_options options = {
		.path = config->status_socket, .mode = (mode_t)config->status_mode};

	if (config_group(config->status_group, &options.gid)) {
		snprintf(why, why_size, "[status] socket-group: no such group");
		return ERR_NOTFOUND;
	}
	return apply_status(daemon, &options, &daemon->status, why, why_size);
}

enum err daemon_apply_status_http(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size)
{
	struct status_options options = {.path = config->status_http, .loopback = true};

	if (options.path[0])
		return apply_status(daemon, &options, &daemon->status_http, why, why_size);
	status_server_free(daemon->status_http);
	daemon->status_http = NULL;
	return ERR_OK;
}

static void on_hook(void *arg, enum hook_event_type type, const char *outcome)
{
	struct daemon *daemon = arg;

	metrics_add(daemon->metrics, METRIC_HOOK, 1,
		(const char *const[]){hook_event_name(type), outcome});
}

enum err daemon_apply_hook(struct daemon *daemon, const struct config *config)
{
	struct hook_observer observer = {.arg = daemon, .outcome = on_hook};
	struct hook_options options = {.url = config->hook_url,
		.token = config->hook_bearer,
		.ca_file = config->hook_ca_file};
	enum err err = ERR_OK;

	if (!config->hook_url[0]) {
		hook_free(daemon->hook);
		daemon->hook = NULL;
	} else if (daemon->hook) {
		err = hook_reconfigure(daemon->hook, &options);
	} else {
		err = hook_new(daemon->base, &options, &observer, &daemon->hook);
	}
	daemon->view.hook = daemon->hook;
	return err;
}

enum err daemon_apply_all(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size)
{
	enum err err = daemon_apply_apns(daemon, config, why, why_size);

	if (!err)
		err = daemon_apply_events(daemon, config, why, why_size);
	if (!err)
		err = daemon_apply_http(daemon, config, why, why_size);
	if (!err)
		err = daemon_apply_status(daemon, config, why, why_size);
	if (!err)
		err = daemon_apply_status_http(daemon, config, why, why_size);
	if (!err)
		err = daemon_apply_hook(daemon, config);
	if (!err) /* last, as going back would cost its connection */
		err = daemon_apply_evapi(daemon, config);
	if (err)
		return err;
	log_set_level((enum log_level)config->log_level);
	directory_set_limits(daemon->directory, (int)config->max_devices, config->device_ttl_ms);
	flow_set_config(daemon->flow, config);
	return ERR_OK;
}
