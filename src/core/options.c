/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/options.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/core/access_token.h>
#include <pbxpush/core/aor.h>
#include <pbxpush/core/template.h>

#define CREDENTIALS "${CREDENTIALS_DIRECTORY}"

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1}, {"k", 1024}, {"m", 1048576}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

/* Digits and a unit, nothing else; false for anything that does not fit int64_t either. */
static bool parse_units(const char *text, const struct unit *units, int64_t *out)
{
	int64_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *p - '0', &value))
			return false;
	}
	if (p == text)
		return false;
	for (; units->name; units++) {
		if (!strcmp(p, units->name))
			return !__builtin_mul_overflow(value, units->factor, out);
	}
	return false;
}

/* Writes a number with the largest unit that divides it. */
static void print_units(int64_t value, const struct unit *units, char *out, size_t out_size)
{
	const struct unit *best = units;

	for (; units->name; units++) {
		if (value && value % units->factor == 0)
			best = units;
	}
	snprintf(out, out_size, "%lld%s", (long long)(value / best->factor), best->name);
}

static const struct unit *units_of(enum option_type type)
{
	if (type == OPTION_DURATION)
		return durations;
	return type == OPTION_SIZE ? sizes : plain;
}

static enum err set_number(
	const struct option_spec *spec, const char *text, int64_t *out, char *why, size_t why_size)
{
	const struct unit *units = units_of(spec->type);
	char min[32], max[32];
	int64_t value;

	if (parse_units(text, units, &value) && value >= spec->min && value <= spec->max) {
		*out = value;
		return ERR_OK;
	}
	print_units(spec->min, units, min, sizeof(min));
	print_units(spec->max, units, max, sizeof(max));
	snprintf(why, why_size, "must be %s from %s to %s",
		spec->type == OPTION_DURATION ? "a duration (such as 500ms, 30s, 5m, 2h or 1d)"
		: spec->type == OPTION_SIZE   ? "a size (such as 512, 64k or 1m)"
					      : "a whole number",
		min, max);
	return ERR_INVAL;
}

static enum err set_mode(const char *text, int64_t *out, char *why, size_t why_size)
{
	int64_t mode = 0;
	size_t len = strlen(text);

	for (const char *p = text; *p >= '0' && *p <= '7'; p++, len--)
		mode = (mode << 3 | (*p - '0')) & 07777;
	if (len || !text[0] || strlen(text) > 4 || mode > 0777) {
		snprintf(why, why_size, "must be octal permissions, such as 0660");
		return ERR_INVAL;
	}
	*out = mode;
	return ERR_OK;
}

static enum err set_bool(const char *text, bool *out, char *why, size_t why_size)
{
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0) {
		snprintf(why, why_size, "must be yes or no");
		return ERR_INVAL;
	}
	*out = text[0] == 'y';
	return ERR_OK;
}

static enum err set_choice(
	const struct option_spec *spec, const char *text, unsigned *out, char *why, size_t why_size)
{
	int len = snprintf(why, why_size, "must be one of");

	for (unsigned i = 0; spec->choices[i]; i++) {
		if (!spec->choices[i][0])
			continue;
		if (!strcmp(spec->choices[i], text)) {
			*out = i;
			return ERR_OK;
		}
		if (len > 0 && (size_t)len < why_size)
			len += snprintf(why + len, why_size - (size_t)len, " %s", spec->choices[i]);
	}
	return ERR_INVAL;
}

/* host:port, [v6]:port; the port is a number. */
static bool is_host(const char *text)
{
	const char *colon = strrchr(text, ':');
	int64_t port;

	if (!colon || colon == text || !parse_units(colon + 1, plain, &port))
		return false;
	if (text[0] == '[')
		return colon > text + 2 && colon[-1] == ']' && port > 0 && port <= 65535;
	return !memchr(text, ':', (size_t)(colon - text)) && !strpbrk(text, " /@") && port > 0 &&
	       port <= 65535;
}

static enum err check_text(
	const struct option_spec *spec, const char *text, char *why, size_t why_size)
{
	int64_t len = (int64_t)strlen(text);

	if (spec->type == OPTION_HOST && len && !is_host(text)) {
		snprintf(why, why_size, "must be host:port, such as 127.0.0.1:8599 or [::1]:8599");
		return ERR_INVAL;
	}
	if (spec->type == OPTION_DIGITS && (int64_t)strspn(text, "0123456789") != len) {
		snprintf(why, why_size, "must be digits, at most %lld", (long long)spec->max);
		return ERR_INVAL;
	}
	if (len >= spec->min && len <= spec->max)
		return ERR_OK;
	if (!len)
		snprintf(why, why_size, "must not be empty");
	else if (spec->min == spec->max)
		snprintf(why, why_size, "must have %lld characters", (long long)spec->max);
	else
		snprintf(why, why_size, "must have at most %lld characters", (long long)spec->max);
	return ERR_INVAL;
}

static enum err make_path(const char *text, const struct option_paths *paths, struct buf *out,
	char *why, size_t why_size)
{
	if (!strncmp(text, CREDENTIALS, strlen(CREDENTIALS))) {
		if (!paths || !paths->credentials) {
			snprintf(why, why_size,
				CREDENTIALS " is not set: the unit needs LoadCredential=");
			return ERR_INVAL;
		}
		buf_add_str(out, paths->credentials);
		text += strlen(CREDENTIALS);
	} else if (text[0] && text[0] != '/' && paths) {
		buf_add_str(out, paths->folder);
		buf_add_char(out, '/');
	}
	buf_add_str(out, text);
	return ERR_OK;
}

static enum err set_text(const struct option_spec *spec, const char *text,
	const struct option_paths *paths, char **out, char *why, size_t why_size)
{
	struct buf value = {0};
	char *copy;
	enum err err = check_text(spec, text, why, why_size);

	if (err)
		return err;
	if (spec->type == OPTION_PATH)
		err = make_path(text, paths, &value, why, why_size);
	else
		buf_add_str(&value, text);
	copy = err ? NULL : buf_take(&value);
	buf_free(&value);
	if (err)
		return err;
	if (!copy) {
		snprintf(why, why_size, "out of memory");
		return ERR_NOMEM;
	}
	free(*out);
	*out = copy;
	return ERR_OK;
}

static enum err set_value(const struct option_spec *spec, const char *text,
	const struct option_paths *paths, void *base, char *why, size_t why_size)
{
	void *place = (char *)base + spec->offset;

	switch (spec->type) {
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_HOST:
	case OPTION_DIGITS:
		return set_text(spec, text, paths, place, why, why_size);
	case OPTION_BOOL:
		return set_bool(text, place, why, why_size);
	case OPTION_INT:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return set_number(spec, text, place, why, why_size);
	case OPTION_MODE:
		return set_mode(text, place, why, why_size);
	case OPTION_CHOICE:
		return set_choice(spec, text, place, why, why_size);
	}
	return ERR_INVAL;
}

enum err option_set(const struct option_spec *spec, const char *text,
	const struct option_paths *paths, void *base, char *why, size_t why_size)
{
	if (spec->planned && strcmp(text, spec->preset) != 0) {
		snprintf(why, why_size, "is not built yet%s%s",
			spec->preset[0] ? ": leave it at " : "", spec->preset);
		return ERR_INVAL;
	}
	return set_value(spec, text, paths, base, why, why_size);
}

/* A required option has no default: it stays empty until the file sets it. */
static enum err set_presets(bool is_app, void *base)
{
	const struct option_spec *spec;
	char why[128];

	for (size_t i = 0; (spec = option_at(i)); i++) {
		char **place = (char **)(void *)((char *)base + spec->offset);

		if ((!strcmp(spec->section, "app")) != is_app)
			continue;
		if (spec->required) {
			*place = strdup("");
			if (!*place)
				return ERR_NOMEM;
		} else if (set_value(spec, spec->preset, NULL, base, why, sizeof(why))) {
			return ERR_NOMEM;
		}
	}
	return ERR_OK;
}

static bool is_string(enum option_type type)
{
	return type == OPTION_TEXT || type == OPTION_PATH || type == OPTION_HOST ||
	       type == OPTION_DIGITS;
}

static void free_strings(bool is_app, void *base)
{
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(i)); i++) {
		if ((!strcmp(spec->section, "app")) == is_app && is_string(spec->type))
			free(*(char **)(void *)((char *)base + spec->offset));
	}
}

enum err config_new(struct config **out)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return ERR_NOMEM;
	if (set_presets(false, config)) {
		config_free(config);
		return ERR_NOMEM;
	}
	*out = config;
	return ERR_OK;
}

const struct config_app *config_find_app(const struct config *config, const char *bundle_id)
{
	for (size_t i = 0; i < config->app_count; i++) {
		if (!strcmp(config->apps[i].bundle_id, bundle_id))
			return &config->apps[i];
	}
	return NULL;
}

bool config_app_allows(const struct config_app *app, const char *aor)
{
	static const char blanks[] = ", \t";
	const char *domain = aor_domain(aor), *word = app->domains + strspn(app->domains, blanks);
	size_t domain_len = strlen(domain);

	if (!*word)
		return true;
	for (size_t len; *word; word += len + strspn(word + len, blanks)) {
		len = strcspn(word, blanks);
		if (len == domain_len && !strncasecmp(word, domain, len))
			return true;
	}
	return false;
}

struct config_app *config_add_app(struct config *config, const char *bundle_id)
{
	const struct config_app *known = config_find_app(config, bundle_id);
	struct config_app *apps;
	struct config_app app = {0};

	if (known)
		return &config->apps[known - config->apps];
	apps = realloc(config->apps, (config->app_count + 1) * sizeof(*apps));
	if (!apps)
		return NULL;
	config->apps = apps;
	app.bundle_id = strdup(bundle_id);
	if (!app.bundle_id || set_presets(true, &app)) {
		free(app.bundle_id);
		free_strings(true, &app);
		return NULL;
	}
	apps[config->app_count] = app;
	return &apps[config->app_count++];
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->app_count; i++) {
		free(config->apps[i].bundle_id);
		template_free(config->apps[i].payload);
		template_free(config->apps[i].alert);
		free_strings(true, &config->apps[i]);
	}
	free(config->apps);
	access_tokens_free(config->events_access);
	if (config->hook_bearer)
		explicit_bzero(config->hook_bearer, strlen(config->hook_bearer));
	free(config->hook_bearer);
	free_strings(false, config);
	free(config);
}
