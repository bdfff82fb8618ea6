/* SPDX-License-Identifier: MIT */
/* One option at a time: its text, its value, and what is said of a bad one (CONTRACT 4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/options.h>

#define DURATION "must be a duration (such as 500ms, 30s, 5m, 2h or 1d) from "
#define SIZE     "must be a size (such as 512, 64k or 1m) from "
#define HOST     "must be host:port, such as 127.0.0.1:8599 or [::1]:8599"
#define MODE     "must be octal permissions, such as 0660"

static const struct option_paths paths = {.folder = "/etc/pbxpush", .credentials = "/run/cred"};

static int set_config(void **state)
{
	struct config *config = NULL;

	if (config_new(&config) || !config_add_app(config, "com.example.phone"))
		return -1;
	*state = config;
	return 0;
}

static int free_config(void **state)
{
	config_free(*state);
	return 0;
}

static const struct option_spec *find(const char *section, const char *key)
{
	const struct option_spec *spec = option_find(section, key);

	if (!spec)
		fail_msg("[%s] %s: no such option", section, key);
	return spec;
}

static void *base_of(struct config *config, const struct option_spec *spec)
{
	return strcmp(spec->section, "app") ? (void *)config : (void *)&config->apps[0];
}

/* The value as a text, whatever its type. */
static const char *value_text(const struct option_spec *spec, const void *base, char out[32])
{
	const void *place = (const char *)base + spec->offset;

	switch (spec->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_HOST:
	case OPTION_DIGITS:
		return *(char *const *)place;
	case OPTION_BOOL:
		return *(const bool *)place ? "yes" : "no";
	case OPTION_INT:
	case OPTION_SIZE:
	case OPTION_DURATION:
		snprintf(out, 32, "%lld", (long long)*(const int64_t *)place);
		return out;
	case OPTION_MODE:
		snprintf(out, 32, "%04llo", (unsigned long long)*(const int64_t *)place);
		return out;
	case OPTION_CHOICE:
		return spec->choices[*(const unsigned *)place];
	}
	return "?";
}

/* ---- texts that are taken ---- */

static void good_texts(void **state)
{
	static const struct {
		const char *section, *key, *text, *value;
	} rows[] = {
		{"calls", "ring-timeout", "1000ms", "1000"},
		{"calls", "ring-timeout", "45s", "45000"},
		{"calls", "ring-timeout", "5m", "300000"},
		{"calls", "max-duration", "2h", "7200000"},
		{"calls", "max-duration", "7d", "604800000"},
		{"calls", "remember", "0s", "0"},
		{"calls", "remember", "0ms", "0"},
		{"events", "max-line", "1024", "1024"},
		{"events", "max-line", "64k", "65536"},
		{"events", "max-line", "1m", "1048576"},
		{"events", "max-calls", "1", "1"},
		{"events", "max-calls", "10000000", "10000000"},
		{"events", "max-calls", "0000007", "7"},
		{"events", "socket-mode", "0660", "0660"},
		{"events", "socket-mode", "666", "0666"},
		{"events", "socket-mode", "0", "0000"},
		{"events", "socket-mode", "0777", "0777"},
		{"calls", "call-waiting", "yes", "yes"},
		{"calls", "call-waiting", "no", "no"},
		{"daemon", "log-level", "error", "error"},
		{"daemon", "log-level", "debug", "debug"},
		{"app", "environment", "sandbox", "sandbox"},
		{"app", "mode", "alert", "alert"},
		{"app", "accounts", "one", "one"},
		{"apns", "production", "localhost:2197", "localhost:2197"},
		{"apns", "production", "10.0.0.1:1", "10.0.0.1:1"},
		{"apns", "production", "[::1]:65535", "[::1]:65535"},
		{"numbers", "country-code", "49", "49"},
		{"numbers", "country-code", "", ""},
		{"numbers", "national-prefix", "", ""},
		{"calls", "unknown-caller", "\xc3\x84", "\xc3\x84"},
		{"app", "team-id", "ABCDEFGHIJ", "ABCDEFGHIJ"},
		{"directory", "path", "/x/y.db", "/x/y.db"},
		{"directory", "path", "y.db", "/etc/pbxpush/y.db"},
		{"directory", "path", "sub/y.db", "/etc/pbxpush/sub/y.db"},
		{"directory", "path", "${CREDENTIALS_DIRECTORY}/y.db", "/run/cred/y.db"},
		{"apns", "ca-file", "", ""},
	};
	struct config *config = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct option_spec *spec = find(rows[i].section, rows[i].key);
		void *base = base_of(config, spec);
		char why[256] = "", number[32];
		const char *value;

		if (option_set(spec, rows[i].text, &paths, base, why, sizeof(why)))
			fail_msg("%s = %s: %s", rows[i].key, rows[i].text, why);
		value = value_text(spec, base, number);
		if (strcmp(value, rows[i].value) != 0)
			fail_msg("%s = %s became %s", rows[i].key, rows[i].text, value);
	}
}

/* ---- texts that are not ---- */

static void bad_texts(void **state)
{
	static const struct {
		const char *section, *key, *text, *why;
	} rows[] = {
		{"calls", "ring-timeout", "", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "30", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "30 s", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "30S", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "-30s", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "1.5s", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "s", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "30sec", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "999ms", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "301s", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "99999999999999999999s", DURATION "1s to 5m"},
		{"calls", "ring-timeout", "9223372036854775807d", DURATION "1s to 5m"},
		{"calls", "remember", "25h", DURATION "0ms to 1d"},
		{"events", "max-line", "1023", SIZE "1k to 16m"},
		{"events", "max-line", "17m", SIZE "1k to 16m"},
		{"events", "max-line", "64K", SIZE "1k to 16m"},
		{"events", "max-line", "64kb", SIZE "1k to 16m"},
		{"events", "max-calls", "0", "must be a whole number from 1 to 10000000"},
		{"events", "max-calls", "5k", "must be a whole number from 1 to 10000000"},
		{"events", "max-calls", "0x10", "must be a whole number from 1 to 10000000"},
		{"events", "max-calls", "+5", "must be a whole number from 1 to 10000000"},
		{"events", "socket-mode", "", MODE},
		{"events", "socket-mode", "0668", MODE},
		{"events", "socket-mode", "01777", MODE},
		{"events", "socket-mode", "1777", MODE},
		{"events", "socket-mode", "rw-rw----", MODE},
		{"calls", "call-waiting", "", "must be yes or no"},
		{"calls", "call-waiting", "true", "must be yes or no"},
		{"calls", "call-waiting", "Yes", "must be yes or no"},
		{"daemon", "log-level", "warn", "must be one of error warning notice info debug"},
		{"daemon", "log-level", "", "must be one of error warning notice info debug"},
		{"daemon", "log-numbers", "all", "must be one of full masked none"},
		{"app", "environment", "", "must be one of auto production sandbox"},
		{"app", "environment", "dev", "must be one of auto production sandbox"},
		{"app", "mode", "both", "must be one of voip alert"},
		{"apns", "production", "", "must not be empty"},
		{"apns", "production", "api.push.apple.com", HOST},
		{"apns", "production", "https://api.push.apple.com:443", HOST},
		{"apns", "production", "host:0", HOST},
		{"apns", "production", "host:65536", HOST},
		{"apns", "production", "host:443x", HOST},
		{"apns", "production", "host:", HOST},
		{"apns", "production", ":443", HOST},
		{"apns", "production", "::1:443", HOST},
		{"apns", "production", "[::1]", HOST},
		{"apns", "production", "[]:443", HOST},
		{"apns", "production", "a b:443", HOST},
		{"apns", "production", "user@host:443", HOST},
		{"numbers", "country-code", "+49", "must be digits, at most 3"},
		{"numbers", "country-code", "4912", "must have at most 3 characters"},
		{"calls", "unknown-caller", "", "must not be empty"},
		{"app", "team-id", "ABC", "must have 10 characters"},
		{"app", "team-id", "", "must not be empty"},
		{"app", "key-file", "", "must not be empty"},
	};
	struct config *config = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct option_spec *spec = find(rows[i].section, rows[i].key);
		void *base = base_of(config, spec);
		char why[256] = "", before[128], number[32];

		snprintf(before, sizeof(before), "%s", value_text(spec, base, number));
		if (option_set(spec, rows[i].text, &paths, base, why, sizeof(why)) != ERR_INVAL)
			fail_msg("%s = \"%s\" was taken", rows[i].key, rows[i].text);
		if (strcmp(why, rows[i].why) != 0)
			fail_msg("%s = \"%s\": %s", rows[i].key, rows[i].text, why);
		assert_string_equal(value_text(spec, base, number), before); /* nothing changed */
	}
}

static void a_text_that_is_too_long(void **state)
{
	const struct option_spec *spec = find("calls", "unknown-caller");
	char text[200], why[64];

	memset(text, 'x', sizeof(text));
	text[128] = '\0';
	assert_int_equal(option_set(spec, text, &paths, *state, why, sizeof(why)), ERR_OK);
	text[128] = 'x';
	text[129] = '\0';
	assert_int_equal(option_set(spec, text, &paths, *state, why, sizeof(why)), ERR_INVAL);
	assert_string_equal(why, "must have at most 128 characters");
}

static void credentials_that_are_not_there(void **state)
{
	const struct option_paths none = {.folder = "/etc/pbxpush"};
	const struct option_spec *spec = find("directory", "path");
	char why[128];

	assert_int_equal(
		option_set(spec, "${CREDENTIALS_DIRECTORY}/x", &none, *state, why, sizeof(why)),
		ERR_INVAL);
	assert_string_equal(
		why, "${CREDENTIALS_DIRECTORY} is not set: the unit needs LoadCredential=");
}

/* A text of the right type that is not the default, for an option that is not built yet. */
static const char *other_text(const struct option_spec *spec)
{
	switch (spec->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
		return "something";
	case OPTION_DIGITS:
		return "1";
	case OPTION_HOST:
		return "127.0.0.1:9";
	case OPTION_BOOL:
		return strcmp(spec->preset, "no") ? "no" : "yes";
	case OPTION_INT:
	case OPTION_SIZE:
		return strcmp(spec->preset, "5") ? "5" : "6";
	case OPTION_DURATION:
		return strcmp(spec->preset, "5s") ? "5s" : "6s";
	case OPTION_MODE:
		return "0600";
	case OPTION_CHOICE:
		return spec->choices[1];
	}
	return "";
}

static void what_is_not_built_yet_is_refused_in_those_words(void **state)
{
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(i)); i++) {
		char why[128] = "", wanted[128];
		void *base = base_of(*state, spec);

		if (!spec->planned)
			continue;
		snprintf(wanted, sizeof(wanted),
			spec->preset[0] ? "is not built yet: leave it at %s" : "is not built yet%s",
			spec->preset);
		assert_int_equal(option_set(spec, other_text(spec), &paths, base, why, sizeof(why)),
			ERR_INVAL);
		assert_string_equal(why, wanted);
		assert_int_equal(
			option_set(spec, spec->preset, &paths, base, why, sizeof(why)), ERR_OK);
	}
}

/* ---- the table ---- */

static void every_row_is_whole(void **state)
{
	const struct option_spec *spec, *last = NULL;

	for (size_t i = 0; (spec = option_at(i)); i++) {
		char why[128];

		assert_ptr_equal(option_find(spec->section, spec->key), spec);
		assert_true(spec->help && spec->help[0]);
		assert_non_null(spec->preset);
		if (!spec->required && option_set(spec, spec->preset, &paths, base_of(*state, spec),
					       why, sizeof(why)))
			fail_msg("[%s] %s = %s: %s", spec->section, spec->key, spec->preset, why);
		/* rows of a section stand together */
		for (size_t j = 0; last && strcmp(last->section, spec->section) && j < i; j++)
			assert_string_not_equal(option_at(j)->section, spec->section);
		last = spec;
	}
	assert_null(option_find("calls", "nothing"));
	assert_null(option_find("nothing", "socket"));
	assert_null(option_find("events", "path"));
}

static void the_defaults_are_the_contract_s(void **state)
{
	static const struct {
		const char *section, *key, *value;
	} rows[] = {
		{"daemon", "log-level", "info"},
		{"daemon", "log-numbers", "masked"},
		{"daemon", "drain-timeout", "5000"},
		{"events", "socket", "/run/pbxpush/events.sock"},
		{"events", "socket-mode", "0660"},
		{"events", "max-clients", "256"},
		{"events", "max-line", "65536"},
		{"events", "max-calls", "100000"},
		{"status", "socket", "/run/pbxpush/status.sock"},
		{"directory", "path", "/var/lib/pbxpush/directory.db"},
		{"directory", "max-devices", "16"},
		{"directory", "device-ttl", "0"},
		{"calls", "ring-timeout", "30000"},
		{"calls", "remember", "120000"},
		{"calls", "max-duration", "14400000"},
		{"calls", "registered-delay", "0"},
		{"calls", "call-waiting", "yes"},
		{"calls", "unknown-caller", "Connecting call..."},
		{"calls", "anonymous-caller", "Anonymous"},
		{"calls", "repeat-caller", "0"},
		{"calls", "ghost-limit", "0"},
		{"alerts", "expiration", "86400000"},
		{"alerts", "missed-call", "no"},
		{"alerts", "muted", "drop"},
		{"numbers", "international-prefix", "00"},
		{"numbers", "national-prefix", "0"},
		{"numbers", "extension-digits", "6"},
		{"apns", "production", "api.push.apple.com:443"},
		{"apns", "sandbox", "api.sandbox.push.apple.com:443"},
		{"apns", "connections", "2"},
		{"apns", "max-connections", "8"},
		{"apns", "connect-timeout", "5000"},
		{"apns", "response-timeout", "5000"},
		{"apns", "ping-interval", "60000"},
		{"apns", "ping-timeout", "5000"},
		{"app", "team-id", ""},
		{"app", "environment", "auto"},
		{"app", "payload-template", "default"},
		{"app", "mode", "voip"},
		{"app", "accounts", "several"},
		{"app", "caller-id", "full"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct option_spec *spec = find(rows[i].section, rows[i].key);
		char number[32];

		if (strcmp(value_text(spec, base_of(*state, spec), number), rows[i].value) != 0)
			fail_msg("[%s] %s is %s", rows[i].section, rows[i].key,
				value_text(spec, base_of(*state, spec), number));
	}
}

static void apps_are_added_once(void **state)
{
	struct config *config = *state;
	struct config_app *app = config_add_app(config, "com.example.other");

	assert_int_equal(config->app_count, 2);
	assert_string_equal(app->bundle_id, "com.example.other");
	assert_ptr_equal(config_add_app(config, "com.example.other"), app);
	assert_int_equal(config->app_count, 2);
	assert_ptr_equal(config_find_app(config, "com.example.other"), app);
	assert_null(config_find_app(config, "com.example"));
	assert_null(config_find_app(config, ""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_config, free_config)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_texts),
		TEST(bad_texts),
		TEST(a_text_that_is_too_long),
		TEST(credentials_that_are_not_there),
		TEST(what_is_not_built_yet_is_refused_in_those_words),
		TEST(every_row_is_whole),
		TEST(the_defaults_are_the_contract_s),
		TEST(apps_are_added_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
