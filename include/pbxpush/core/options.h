/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_OPTIONS_H
#define PBXPUSH_CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/device.h>

/*
 * The configuration: one table in options.c declares every option with its section, type, default,
 * range and help; parsing, `-t`, the default file and the documentation check read it.
 * Strings are owned by the struct and never NULL. Durations are milliseconds, sizes bytes.
 */
struct access_tokens;
struct template;

struct config_app {
	char *bundle_id; /* from the section's name */
	char *team_id, *key_id, *key_file;
	char *payload_template, *alert_template, *domains;
	struct template *payload, *alert; /* compiled, NULL: our own bodies */
	enum device_environment environment;
	enum device_mode mode;
	unsigned accounts;  /* 0: several, 1: one */
	unsigned caller_id; /* 0: full, 1: number, 2: none */
};

struct config {
	unsigned log_level, log_numbers;
	int64_t drain_timeout_ms;

	char *events_socket, *events_group, *events_allow, *events_admin, *events_http,
		*events_tokens;
	struct access_tokens *events_access; /* what that file holds; NULL without http */
	int64_t events_mode, max_clients, max_line, max_calls;

	char *status_socket, *status_group, *status_http;
	int64_t status_mode;

	char *directory_path, *default_domain;
	int64_t max_devices, device_ttl_ms;

	int64_t ring_timeout_ms, remember_ms, max_duration_ms, registered_delay_ms;
	int64_t repeat_caller_ms, ghost_limit;
	bool call_waiting;
	char *unknown_caller, *anonymous_caller;

	int64_t alert_expiration_ms, alert_repeat_ms;
	bool alert_missed_call;
	unsigned alert_muted;

	char *country_code, *international_prefix, *national_prefix;
	int64_t extension_digits;

	char *apns_production, *apns_sandbox, *apns_ca_file, *apns_proxy;
	int64_t connections, max_connections;
	int64_t connect_timeout_ms, response_timeout_ms, ping_interval_ms, ping_timeout_ms;

	char *kamailio_evapi, *asterisk_fastagi, *asterisk_ami, *asterisk_user, *asterisk_secret;
	char *opensips_datagram, *hook_url, *hook_token, *hook_ca_file;
	char *hook_bearer; /* what that file holds; NULL without one */

	struct config_app *apps;
	size_t app_count;
};

enum option_type {
	OPTION_TEXT,     /* min to max bytes */
	OPTION_PATH,     /* relative to the file; ${CREDENTIALS_DIRECTORY} is expanded */
	OPTION_BOOL,     /* yes or no */
	OPTION_INT,      /* min to max */
	OPTION_SIZE,     /* 512, 64k, 1m */
	OPTION_DURATION, /* 500ms, 30s, 5m, 2h, 1d */
	OPTION_MODE,     /* octal permissions */
	OPTION_CHOICE,   /* one of `choices`, stored as its index */
	OPTION_HOST,     /* host:port or [v6]:port */
	OPTION_DIGITS,   /* min to max digits */
};

struct option_spec {
	const char *section, *key; /* section "app" is [app BUNDLE] */
	enum option_type type;
	const char *preset; /* the default, as it would stand in the file */
	int64_t min, max;
	const char *const *choices; /* NULL-terminated, "" for an index nobody may choose */
	size_t offset;              /* into struct config, or struct config_app */
	bool required;              /* an app without it is refused */
	bool planned;               /* its feature is not built yet: only the default is taken */
	const char *help;           /* one line */
};

/* Row `index` of the table, NULL after the last. Rows of a section stand together. */
const struct option_spec *option_at(size_t index);

/* NULL where the section has no such key, or there is no such section. */
const struct option_spec *option_find(const char *section, const char *key);

/* What paths are made from: the configuration file's folder, and $CREDENTIALS_DIRECTORY (or
 * NULL). */
struct option_paths {
	const char *folder, *credentials;
};

/*
 * Reads the text of one option into its place in `base` (a config or config_app). On ERR_INVAL
 * nothing has changed and why says what is allowed: "must be a duration …".
 */
enum err option_set(const struct option_spec *spec, const char *text,
	const struct option_paths *paths, void *base, char *why, size_t why_size);

/* A configuration of defaults. */
enum err config_new(struct config **out);

/* Adds an app of defaults, or finds the one there is. NULL: no memory. Borrowed until the next
 * addition. */
struct config_app *config_add_app(struct config *config, const char *bundle_id);

const struct config_app *config_find_app(const struct config *config, const char *bundle_id);

/* True when users of this AOR's domain may use the app ([app] domains; empty: everybody). */
bool config_app_allows(const struct config_app *app, const char *aor);

/* Accepts NULL. */
void config_free(struct config *config);

#endif
