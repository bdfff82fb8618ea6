/* SPDX-License-Identifier: MIT */
#include "config_loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/x509_vfy.h>

#include <pbxpush/apns/apns.h>
#include <pbxpush/apns/endpoint.h>
#include <pbxpush/base/loopback.h>
#include <pbxpush/base/unix_socket.h>
#include <pbxpush/core/access_token.h>
#include <pbxpush/core/template.h>
#include <pbxpush/hook/settings.h>

/* A file with a secret: there, and closed to others. what: "[section] key". */
static bool check_secret_file(struct loader *loader, int line, const char *what, const char *path)
{
	struct stat info;

	if (stat(path, &info)) {
		config_fault(loader, line, "%s = \"%s\": %s", what, path, strerror(errno));
		return false;
	}
	if (info.st_mode & 0027) {
		config_fault(loader, line,
			"%s = \"%s\": has mode %04o; nobody but its owner (and a group that reads) "
			"may open it: chmod 0600",
			what, path, (unsigned)(info.st_mode & 07777));
		return false;
	}
	return true;
}

static void check_key_file(struct loader *loader, int line, const struct config_app *app)
{
	char what[160], why[256];

	snprintf(what, sizeof(what), "[app %s] key-file", app->bundle_id);
	if (check_secret_file(loader, line, what, app->key_file) &&
		apns_check_key(app->key_file, why, sizeof(why)))
		config_fault(loader, line, "[app %s] key-file = \"%s\": %s", app->bundle_id,
			app->key_file, why);
}

/* A whole file of at most max bytes, with a NUL behind it. NULL, and why says so; freed by the
 * caller. */
static char *read_file(const char *path, size_t max, size_t *out_len, const char **why)
{
	char *text = NULL;
	struct stat info;
	size_t len = 0;
	FILE *file;

	*why = "is no regular file";
	if (!stat(path, &info) && !S_ISREG(info.st_mode))
		return NULL;
	file = fopen(path, "re");
	text = calloc(1, max + 2);
	if (file && text)
		len = fread(text, 1, max + 1, file);
	if (!file || !text || ferror(file) || len > max) {
		*why = len > max ? "too long" : strerror(errno);
		free(text);
		text = NULL;
	}
	if (file)
		fclose(file);
	*out_len = len;
	return text;
}

static void fault_template(struct loader *loader, int line, const struct config_app *app,
	const char *key, const char *value, const char *why)
{
	config_fault(loader, line, "[app %s] %s = \"%s\": %s", app->bundle_id, key, value, why);
}

/* A template's text from its file. NULL after a fault; freed by the caller. */
static char *read_template(struct loader *loader, int line, const struct config_app *app,
	const char *key, const char *value)
{
	struct buf path = {0};
	const char *why;
	size_t len;
	char *text;

	if (value[0] != '/')
		buf_printf(&path, "%s/", loader->paths.folder);
	buf_add_str(&path, value);
	text = read_file(buf_str(&path), TEMPLATE_MAX_BYTES, &len, &why);
	if (!text)
		fault_template(loader, line, app, key, value, why);
	buf_free(&path);
	return text;
}

static void load_template(struct loader *loader, int line, const struct config_app *app,
	const char *key, const char *value, enum template_kind kind, struct template **out)
{
	const char *builtin = kind == TEMPLATE_VOIP ? template_builtin(value) : NULL;
	struct buf error = {0};
	char *text;

	if (!value[0] || !strcmp(value, "default"))
		return; /* our own body */
	text = builtin ? strdup(builtin) : read_template(loader, line, app, key, value);
	if (text && template_compile(text, strlen(text), kind, out, &error))
		fault_template(loader, line, app, key, value, buf_str(&error));
	buf_free(&error);
	free(text);
}

static void check_app(struct loader *loader, size_t index)
{
	struct config_app *app = &loader->config->apps[index];
	const struct app_place *place = &loader->app_places[index];
	int line = place->line;
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(i)); i++) {
		if (spec->required && !(place->seen & config_app_bit(spec)))
			config_fault(loader, line, "[app %s] needs %s: %s", app->bundle_id,
				spec->key, spec->help);
	}
	if (app->key_file[0])
		check_key_file(loader, line, app);
	load_template(loader, line, app, "payload-template", app->payload_template, TEMPLATE_VOIP,
		&app->payload);
	load_template(loader, line, app, "alert-template", app->alert_template, TEMPLATE_ALERT,
		&app->alert);
}

/* Where an option outside [app …] was set; 0 where it was not. */
static int line_of(const struct loader *loader, const char *section, const char *key)
{
	return loader->set_at[option_find(section, key) - option_at(0)];
}

static void check_users(struct loader *loader, const char *key, const char *text)
{
	uid_t *users = NULL;
	size_t count;
	char who[128];

	if (config_users(text, &users, &count, who, sizeof(who)))
		config_fault(loader, line_of(loader, "events", key),
			"[events] %s = \"%s\": there is no user %s", key, text, who);
	free(users);
}

static void check_group(struct loader *loader, const char *section, const char *text)
{
	gid_t gid;

	if (config_group(text, &gid))
		config_fault(loader, line_of(loader, section, "socket-group"),
			"[%s] socket-group = \"%s\": there is no such group", section, text);
}

static void check_socket(struct loader *loader, const char *section, const char *path)
{
	if (strlen(path) > UNIX_SOCKET_PATH_MAX)
		config_fault(loader, line_of(loader, section, "socket"),
			"[%s] socket = \"%s\": longer than %d characters, as the path of a socket "
			"may be",
			section, path, UNIX_SOCKET_PATH_MAX);
}

static void check_loopback(struct loader *loader, const char *section, const char *address)
{
	struct sockaddr_storage parsed;
	socklen_t len;

	if (address[0] && loopback_parse(address, &parsed, &len))
		config_fault(loader, line_of(loader, section, "http"),
			"[%s] http = \"%s\": must be a loopback address, such as 127.0.0.1:8599, "
			"[::1]:8599 or localhost:8599: only programs of this machine may reach it",
			section, address);
}

/* In whatever spelling: localhost is 127.0.0.1. */
static void check_same_address(struct loader *loader)
{
	const struct config *config = loader->config;
	struct sockaddr_storage events, status;
	socklen_t len;

	if (!loopback_parse(config->events_http, &events, &len) &&
		!loopback_parse(config->status_http, &status, &len) &&
		!memcmp(&events, &status, len))
		config_fault(loader, line_of(loader, "status", "http"),
			"[events] and [status] name the same address %s", config->status_http);
}

static void fault_token(void *arg, int token_line, const char *what)
{
	struct loader *loader = arg;
	int line = line_of(loader, "events", "http-token-file");
	const char *path = loader->config->events_tokens;

	if (token_line)
		config_fault(loader, line, "[events] http-token-file = \"%s\": line %d: %s", path,
			token_line, what);
	else
		config_fault(loader, line, "[events] http-token-file = \"%s\": %s", path, what);
}

static void check_tokens(struct loader *loader)
{
	struct config *config = loader->config;
	const char *why, *path = config->events_tokens;
	int line = line_of(loader, "events", "http-token-file");
	size_t len;
	char *text;

	if (!config->events_http[0])
		return;
	if (!path[0]) {
		config_fault(loader, line_of(loader, "events", "http"),
			"[events] http = \"%s\": needs http-token-file, too", config->events_http);
		return;
	}
	if (!check_secret_file(loader, line, "[events] http-token-file", path))
		return;
	text = read_file(path, ACCESS_FILE_MAX_BYTES, &len, &why);
	if (!text)
		fault_token(loader, 0, why);
	else if (access_tokens_parse(text, len, fault_token, loader, &config->events_access) ==
		 ERR_NOMEM)
		fault_token(loader, 0, err_string(ERR_NOMEM));
	if (text)
		explicit_bzero(text, len);
	free(text);
}

static void check_ca_file(struct loader *loader, const char *section, const char *path)
{
	X509_STORE *store = X509_STORE_new();

	if (path[0] && (!store || !X509_STORE_load_file(store, path)))
		config_fault(loader, line_of(loader, section, "ca-file"),
			"[%s] ca-file = \"%s\": %s", section, path,
			access(path, R_OK) ? strerror(errno) : "holds no certificates in PEM");
	X509_STORE_free(store);
}

static void check_apns(struct loader *loader)
{
	const struct config *config = loader->config;
	struct proxy proxy;

	if (config->connections > config->max_connections)
		config_fault(loader, line_of(loader, "apns", "connections"),
			"[apns] connections = %lld: more than max-connections = %lld",
			(long long)config->connections, (long long)config->max_connections);
	/* Not quoted: it may hold a password. */
	if (!proxy_parse(config->apns_proxy, &proxy))
		config_fault(loader, line_of(loader, "apns", "proxy"),
			"[apns] proxy: must be http://[user:password@]host:port");
	check_ca_file(loader, "apns", config->apns_ca_file);
}

static void check_hook_url(struct loader *loader)
{
	const char *url = loader->config->hook_url;
	int line = line_of(loader, "hook", "url");
	char why[256];

	if (!hook_check_url(url, why, sizeof(why)))
		return;
	if (strchr(url, '@')) /* not quoted: it may hold a password */
		config_fault(loader, line, "[hook] url: %s", why);
	else
		config_fault(loader, line, "[hook] url = \"%s\": %s", url, why);
}

static void check_hook_token(struct loader *loader)
{
	struct config *config = loader->config;
	int line = line_of(loader, "hook", "token-file");
	const char *why;
	char *text;
	size_t len;

	if (!config->hook_token[0] ||
		!check_secret_file(loader, line, "[hook] token-file", config->hook_token))
		return;
	text = read_file(config->hook_token, HOOK_TOKEN_MAX_BYTES, &len, &why);
	if (text && hook_cut_token(text, len)) {
		why = "must hold one line: a token of visible ASCII characters";
		explicit_bzero(text, len);
		free(text);
		text = NULL;
	}
	if (!text)
		config_fault(
			loader, line, "[hook] token-file = \"%s\": %s", config->hook_token, why);
	config->hook_bearer = text;
}

void config_check(struct loader *loader)
{
	const struct config *config = loader->config;

	if (!config->app_count)
		config_fault(loader, 0, "there is no [app BUNDLE-ID]: nothing could be pushed to");
	for (size_t i = 0; i < config->app_count; i++)
		check_app(loader, i);
	check_apns(loader);
	check_hook_url(loader);
	check_hook_token(loader);
	check_ca_file(loader, "hook", config->hook_ca_file);
	check_socket(loader, "events", config->events_socket);
	check_socket(loader, "status", config->status_socket);
	if (!strcmp(config->events_socket, config->status_socket))
		config_fault(loader, line_of(loader, "status", "socket"),
			"[events] and [status] name the same socket %s", config->events_socket);
	check_loopback(loader, "events", config->events_http);
	check_loopback(loader, "status", config->status_http);
	check_same_address(loader);
	check_tokens(loader);
	check_users(loader, "allow-users", config->events_allow);
	check_users(loader, "admin-users", config->events_admin);
	check_group(loader, "events", config->events_group);
	check_group(loader, "status", config->status_group);
}
