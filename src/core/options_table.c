/* SPDX-License-Identifier: MIT */
/* The one place that says which options there are (CONTRACT 4). */
#include <string.h>

#include <pbxpush/core/options.h>

#define AT(member)  .offset = offsetof(struct config, member)
#define APP(member) .offset = offsetof(struct config_app, member)
#define TEXT_MAX    1024
#define MINUTE_MS   INT64_C(60000)
#define HOUR_MS     (60 * MINUTE_MS)
#define DAY_MS      (24 * HOUR_MS)
#define YEAR_MS     (366 * DAY_MS)

/* In the order of enum log_level, enum number_privacy, enum device_environment and enum
 * device_mode. */
static const char *const log_levels[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const privacies[] = {"full", "masked", "none", NULL};
static const char *const environments[] = {"", "auto", "production", "sandbox", NULL};
static const char *const modes[] = {"", "voip", "alert", NULL};
static const char *const accounts[] = {"several", "one", NULL};
static const char *const caller_ids[] = {"full", "number", "none", NULL};
static const char *const muted[] = {"drop", "silent", NULL};

static const struct option_spec options[] = {
	{"daemon", "log-level", OPTION_CHOICE, "info", .choices = log_levels, AT(log_level),
		.help = "what is logged"},
	{"daemon", "log-numbers", OPTION_CHOICE, "masked", .choices = privacies, AT(log_numbers),
		.help = "phone numbers in logs and status; names and data are never there"},
	{"daemon", "drain-timeout", OPTION_DURATION, "5s", 0, 10 * MINUTE_MS, AT(drain_timeout_ms),
		.help = "how long a stop waits for pushes in flight"},

	{"events", "socket", OPTION_PATH, "/run/pbxpush/events.sock", 1, TEXT_MAX,
		AT(events_socket), .help = "the PBX talks here"},
	{"events", "socket-mode", OPTION_MODE, "0660", 0, 0777, AT(events_mode),
		.help = "permissions of the socket"},
	{"events", "socket-group", OPTION_TEXT, "", 0, TEXT_MAX, AT(events_group),
		.help = "group of the socket, e.g. asterisk"},
	{"events", "allow-users", OPTION_TEXT, "", 0, TEXT_MAX, AT(events_allow),
		.help = "user names or ids that may connect; empty: whoever may open the socket"},
	{"events", "admin-users", OPTION_TEXT, "", 0, TEXT_MAX, AT(events_admin),
		.help = "who may change policy; empty: whoever may send events"},
	{"events", "http", OPTION_HOST, "", 0, TEXT_MAX, AT(events_http),
		.help = "loopback address for POST /v1/events, e.g. 127.0.0.1:8599"},
	{"events", "http-token-file", OPTION_PATH, "", 0, TEXT_MAX, AT(events_tokens),
		.help = "bearer tokens for it, a line each: TOKEN [calls|admin]"},
	{"events", "max-clients", OPTION_INT, "256", 1, 65536, AT(max_clients),
		.help = "connections at once, to the socket and over HTTP each"},
	{"events", "max-line", OPTION_SIZE, "64k", 1024, 16 << 20, AT(max_line),
		.help = "longest line"},
	{"events", "max-calls", OPTION_INT, "100000", 1, 10000000, AT(max_calls),
		.help = "calls live and remembered together"},

	{"status", "socket", OPTION_PATH, "/run/pbxpush/status.sock", 1, TEXT_MAX,
		AT(status_socket), .help = "operators and monitoring ask here"},
	{"status", "socket-mode", OPTION_MODE, "0660", 0, 0777, AT(status_mode),
		.help = "permissions of the socket"},
	{"status", "socket-group", OPTION_TEXT, "", 0, TEXT_MAX, AT(status_group),
		.help = "group of the socket"},
	{"status", "http", OPTION_HOST, "", 0, TEXT_MAX, AT(status_http),
		.help = "loopback address for /metrics and /health, e.g. 127.0.0.1:9599"},

	{"directory", "path", OPTION_PATH, "/var/lib/pbxpush/directory.db", 1, TEXT_MAX,
		AT(directory_path), .help = "database of users and devices"},
	{"directory", "default-domain", OPTION_TEXT, "", 0, 200, AT(default_domain),
		.help = "domain of users that are named without one"},
	{"directory", "max-devices", OPTION_INT, "16", 1, 64, AT(max_devices),
		.help = "devices of a user; the longest unseen goes first"},
	{"directory", "device-ttl", OPTION_DURATION, "0s", 0, 10 * YEAR_MS, AT(device_ttl_ms),
		.help = "forget devices unseen for this long; 0s: never"},

	{"calls", "ring-timeout", OPTION_DURATION, "30s", 1000, 300000, AT(ring_timeout_ms),
		.help = "how long a call rings where the event does not say"},
	{"calls", "remember", OPTION_DURATION, "2m", 0, DAY_MS, AT(remember_ms),
		.help = "how long an ended call is known"},
	{"calls", "max-duration", OPTION_DURATION, "4h", MINUTE_MS, 7 * DAY_MS, AT(max_duration_ms),
		.help = "of an answered call whose end was lost"},
	{"calls", "registered-delay", OPTION_DURATION, "0s", 0, 5 * MINUTE_MS,
		AT(registered_delay_ms),
		.help = "a registered device is pushed this much later, unless it rings first"},
	{"calls", "call-waiting", OPTION_BOOL, "yes", AT(call_waiting),
		.help = "no: a second call to a user in an answered call is busy"},
	{"calls", "unknown-caller", OPTION_TEXT, "Connecting call...", 1, 128, AT(unknown_caller),
		.help = "shown where the PBX gives no caller"},
	{"calls", "anonymous-caller", OPTION_TEXT, "Anonymous", 1, 128, AT(anonymous_caller),
		.help = "shown where the caller withholds the number"},
	{"calls", "repeat-caller", OPTION_DURATION, "0s", 0, DAY_MS, AT(repeat_caller_ms),
		.help = "second call of one number within this rings through DND"},
	{"calls", "ghost-limit", OPTION_INT, "0", 0, 1000, AT(ghost_limit),
		.help = "unanswered VoIP pushes before a device goes to alert mode"},

	{"alerts", "expiration", OPTION_DURATION, "1d", 0, 30 * DAY_MS, AT(alert_expiration_ms),
		.help = "how long the push service keeps news"},
	{"alerts", "missed-call", OPTION_BOOL, "no", AT(alert_missed_call),
		.help = "send a missed-call alert when a call ends unanswered"},
	{"alerts", "repeat", OPTION_DURATION, "0s", 0, MINUTE_MS, AT(alert_repeat_ms),
		.help = "repeat an alert-mode call while it rings"},
	{"alerts", "muted", OPTION_CHOICE, "drop", .choices = muted, AT(alert_muted),
		.help = "what becomes of muted messages"},

	{"numbers", "country-code", OPTION_DIGITS, "", 0, 3, AT(country_code), .help = "e.g. 49"},
	{"numbers", "international-prefix", OPTION_DIGITS, "00", 0, 6, AT(international_prefix),
		.help = "dialled before a country code"},
	{"numbers", "national-prefix", OPTION_DIGITS, "0", 0, 6, AT(national_prefix),
		.help = "dialled before an area code"},
	{"numbers", "extension-digits", OPTION_INT, "6", 0, 15, AT(extension_digits),
		.help = "up to this long without prefix: an extension"},

	{"apns", "production", OPTION_HOST, "api.push.apple.com:443", 1, TEXT_MAX,
		AT(apns_production), .help = "APNs for apps from the store"},
	{"apns", "sandbox", OPTION_HOST, "api.sandbox.push.apple.com:443", 1, TEXT_MAX,
		AT(apns_sandbox), .help = "APNs for development builds"},
	{"apns", "ca-file", OPTION_PATH, "", 0, TEXT_MAX, AT(apns_ca_file),
		.help = "certificates to trust; empty: the system's"},
	{"apns", "connections", OPTION_INT, "2", 1, 64, AT(connections),
		.help = "kept warm per key and environment"},
	{"apns", "max-connections", OPTION_INT, "8", 1, 256, AT(max_connections),
		.help = "per key and environment"},
	{"apns", "connect-timeout", OPTION_DURATION, "5s", 100, MINUTE_MS, AT(connect_timeout_ms),
		.help = "for all addresses of a host together"},
	{"apns", "response-timeout", OPTION_DURATION, "5s", 100, MINUTE_MS, AT(response_timeout_ms),
		.help = "of one attempt at a push"},
	{"apns", "ping-interval", OPTION_DURATION, "60s", 1000, DAY_MS, AT(ping_interval_ms),
		.help = "of an idle connection"},
	{"apns", "ping-timeout", OPTION_DURATION, "5s", 100, MINUTE_MS, AT(ping_timeout_ms),
		.help = "a connection whose PING stays unanswered is dropped"},
	{"apns", "proxy", OPTION_TEXT, "", 0, TEXT_MAX, AT(apns_proxy),
		.help = "http://[user:password@]host:port"},

	{"kamailio", "evapi", OPTION_HOST, "", 0, TEXT_MAX, AT(kamailio_evapi),
		.help = "connect to Kamailio's evapi, e.g. 127.0.0.1:8448"},
	{"asterisk", "fastagi", OPTION_HOST, "", 0, TEXT_MAX, AT(asterisk_fastagi), .planned = true,
		.help = "serve FastAGI"},
	{"asterisk", "ami", OPTION_HOST, "", 0, TEXT_MAX, AT(asterisk_ami), .planned = true,
		.help = "connect to Asterisk's manager"},
	{"asterisk", "ami-user", OPTION_TEXT, "", 0, TEXT_MAX, AT(asterisk_user), .planned = true,
		.help = "user of the manager"},
	{"asterisk", "ami-secret-file", OPTION_PATH, "", 0, TEXT_MAX, AT(asterisk_secret),
		.planned = true, .help = "file with its secret"},
	{"opensips", "datagram", OPTION_PATH, "", 0, TEXT_MAX, AT(opensips_datagram),
		.planned = true, .help = "unix datagram socket for JSON-RPC"},
	{"hook", "url", OPTION_TEXT, "", 0, TEXT_MAX, AT(hook_url),
		.help = "dead-token, no-register, missed-call are POSTed here"},
	{"hook", "token-file", OPTION_PATH, "", 0, TEXT_MAX, AT(hook_token),
		.help = "file with the bearer token"},
	{"hook", "ca-file", OPTION_PATH, "", 0, TEXT_MAX, AT(hook_ca_file),
		.help = "certificates to trust; empty: the system's"},

	{"app", "team-id", OPTION_TEXT, "", 10, 10, APP(team_id), .required = true,
		.help = "Apple's team id, 10 characters"},
	{"app", "key-id", OPTION_TEXT, "", 10, 10, APP(key_id), .required = true,
		.help = "id of the APNs key, 10 characters"},
	{"app", "key-file", OPTION_PATH, "", 1, TEXT_MAX, APP(key_file), .required = true,
		.help = "the key, AuthKey_….p8 as Apple gives it, readable by its owner alone"},
	{"app", "environment", OPTION_CHOICE, "auto", .choices = environments, APP(environment),
		.help = "where tokens are valid unless the device says otherwise"},
	{"app", "payload-template", OPTION_TEXT, "default", 1, TEXT_MAX, APP(payload_template),
		.help = "body of VoIP pushes: default, linphone, flutter, react-native, or a file"},
	{"app", "alert-template", OPTION_TEXT, "", 0, TEXT_MAX, APP(alert_template),
		.help = "body of alert pushes: a file; empty: our own"},
	{"app", "mode", OPTION_CHOICE, "voip", .choices = modes, APP(mode),
		.help = "alert where CallKit may not be used"},
	{"app", "accounts", OPTION_CHOICE, "several", .choices = accounts, APP(accounts),
		.help = "one: a token belongs to the last user who registered it"},
	{"app", "domains", OPTION_TEXT, "", 0, TEXT_MAX, APP(domains),
		.help = "tenants that may use the app; empty: all"},
	{"app", "caller-id", OPTION_CHOICE, "full", .choices = caller_ids, APP(caller_id),
		.help = "what of the caller leaves the house"},
};

const struct option_spec *option_at(size_t index)
{
	return index < sizeof(options) / sizeof(options[0]) ? &options[index] : NULL;
}

const struct option_spec *option_find(const char *section, const char *key)
{
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(i)); i++) {
		if (!strcmp(spec->section, section) && !strcmp(spec->key, key))
			return spec;
	}
	return NULL;
}
