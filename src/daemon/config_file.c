/* SPDX-License-Identifier: MIT */
#include <pbxpush/daemon/config_file.h>

#include <errno.h>
#include <grp.h>
#include <ini.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/x509_vfy.h>

#include <pbxpush/apns/apns.h>
#include <pbxpush/apns/endpoint.h>

#define APP_SECTION "app "

/* One reading of one file. */
struct loader {
	FILE *file;
	const char *path;
	struct buf *faults;
	size_t fault_count;
	struct config *config;
	struct option_paths paths;
	int line;
	char section
		[256]; /* our own copy: libinih keeps 49 characters, a bundle id may be longer */
	bool section_known;
	struct config_app *app; /* of the section, NULL outside [app …] */
	int *set_at; /* line at which each row of the option table was set; of apps: in this section */
	int *app_lines; /* line of each app's section */
};

static void fault(struct loader *loader, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void fault(struct loader *loader, int line, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_add_str(loader->faults, loader->path);
	if (line)
		buf_printf(loader->faults, ":%d", line);
	buf_printf(loader->faults, ": %s\n", text);
	loader->fault_count++;
}

static size_t option_count(void)
{
	size_t count = 0;

	while (option_at(count))
		count++;
	return count;
}

/* The name of the table's section: [app BUNDLE] is "app". */
static const char *table_section(const struct loader *loader)
{
	return loader->app ? "app" : loader->section;
}

static void list_sections(struct buf *out)
{
	const struct option_spec *spec;
	const char *last = "";

	for (size_t i = 0; (spec = option_at(i)); i++) {
		if (strcmp(spec->section, last) != 0)
			buf_printf(out, " [%s%s]", spec->section,
				strcmp(spec->section, "app") ? "" : " BUNDLE-ID");
		last = spec->section;
	}
}

static void list_keys(const char *section, struct buf *out)
{
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(i)); i++) {
		if (!strcmp(spec->section, section))
			buf_printf(out, " %s", spec->key);
	}
}

static bool is_bundle_id(const char *text)
{
	return text[0] &&
	       text[strspn(
		       text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")] ==
		       '\0' &&
	       strlen(text) < 128;
}

/* Each app may set every option of its section. */
static void forget_app_lines(struct loader *loader)
{
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(i)); i++) {
		if (!strcmp(spec->section, "app"))
			loader->set_at[i] = 0;
	}
}

static void begin_app(struct loader *loader, const char *bundle_id)
{
	size_t before = loader->config->app_count;
	int *lines;

	if (!is_bundle_id(bundle_id)) {
		fault(loader, loader->line,
			"[%s]: must name a bundle id of letters, digits, '-' and '.', such as "
			"[app com.example.phone]",
			loader->section);
		return;
	}
	lines = realloc(loader->app_lines, (before + 1) * sizeof(*lines));
	if (lines)
		loader->app_lines = lines;
	loader->app = lines ? config_add_app(loader->config, bundle_id) : NULL;
	if (!loader->app) {
		fault(loader, loader->line, "out of memory");
		return;
	}
	loader->section_known = true;
	forget_app_lines(loader);
	if (loader->config->app_count == before)
		fault(loader, loader->line, "[%s] stands twice (first at line %d)", loader->section,
			lines[loader->app - loader->config->apps]);
	else
		lines[before] = loader->line;
}

static void begin_section(struct loader *loader, const char *line)
{
	const char *end = strchr(line, ']');
	struct buf known = {0};
	const struct option_spec *spec;

	loader->app = NULL;
	loader->section_known = false;
	if (!end) {
		fault(loader, loader->line, "%.*s: a section ends with ']'",
			(int)strcspn(line, "\r\n"), line);
		return;
	}
	snprintf(loader->section, sizeof(loader->section), "%.*s", (int)(end - line - 1), line + 1);
	if (!strncmp(loader->section, APP_SECTION, strlen(APP_SECTION))) {
		begin_app(loader, loader->section + strlen(APP_SECTION));
		return;
	}
	for (size_t i = 0; (spec = option_at(i)); i++) {
		if (!strcmp(spec->section, loader->section) && strcmp(spec->section, "app") != 0)
			loader->section_known = true;
	}
	if (loader->section_known)
		return;
	list_sections(&known);
	fault(loader, loader->line, "[%s]: unknown section; there are%s", loader->section,
		buf_str(&known));
	buf_free(&known);
}

/* What libinih would pass over or misread is found here, line by line; the line is then emptied. */
static void check_line(struct loader *loader, char *line)
{
	char *text = line + strspn(line, " \t");

	/* An indented line is an option like any other, not the continuation of the last one. */
	memmove(line, text, strlen(text) + 1);
	if (line[0] == '[') {
		begin_section(loader, line);
		if (!loader->section_known)
			strcpy(line, "[?]\n");
	} else if (line[0] && !strchr(";#\r\n", line[0]) && !strpbrk(line, "=:")) {
		fault(loader, loader->line, "\"%.*s\": neither a [section] nor key = value",
			(int)strcspn(line, "\r\n"), line);
		strcpy(line, "\n");
	}
}

/* libinih's reader: called once a line, so this is where lines are counted. */
static char *read_line(char *out, int size, void *arg)
{
	struct loader *loader = arg;
	int c;

	if (!fgets(out, size, loader->file))
		return NULL;
	loader->line++;
	if (!strchr(out, '\n') && !feof(loader->file)) {
		fault(loader, loader->line, "the line is longer than %d characters", size - 2);
		while ((c = getc(loader->file)) != EOF && c != '\n')
			continue;
		strcpy(out, "\n");
	}
	check_line(loader, out);
	return out;
}

static int handle_option(void *arg, const char *section, const char *key, const char *value)
{
	struct loader *loader = arg;
	const struct option_spec *spec = option_find(table_section(loader), key),
				 *first = option_at(0);
	struct buf known = {0};
	char why[512];
	int *set_at;

	(void)section; /* cut to 49 characters: loader->section is whole */
	if (!loader->section[0])
		fault(loader, loader->line, "%s: stands before the first [section]", key);
	if (!loader->section_known)
		return 1;
	if (!spec) {
		list_keys(table_section(loader), &known);
		fault(loader, loader->line, "[%s] %s: unknown key; there are%s", loader->section,
			key, buf_str(&known));
		buf_free(&known);
		return 1;
	}
	set_at = &loader->set_at[spec - first];
	if (*set_at)
		fault(loader, loader->line, "[%s] %s: set twice (first at line %d)",
			loader->section, key, *set_at);
	*set_at = loader->line;
	if (option_set(spec, value, &loader->paths,
		    loader->app ? (void *)loader->app : (void *)loader->config, why, sizeof(why)))
		fault(loader, loader->line, "[%s] %s = \"%s\": %s", loader->section, key, value,
			why);
	return 1;
}

static void check_key_file(struct loader *loader, int line, const struct config_app *app)
{
	struct stat info;
	char why[256];

	if (stat(app->key_file, &info)) {
		fault(loader, line, "[app %s] key-file = \"%s\": %s", app->bundle_id, app->key_file,
			strerror(errno));
		return;
	}
	if (info.st_mode & 0027) {
		fault(loader, line,
			"[app %s] key-file = \"%s\": has mode %04o; nobody but its owner (and a "
			"group "
			"that reads) may open it: chmod 0600",
			app->bundle_id, app->key_file, (unsigned)(info.st_mode & 07777));
		return;
	}
	if (apns_check_key(app->key_file, why, sizeof(why)))
		fault(loader, line, "[app %s] key-file = \"%s\": %s", app->bundle_id, app->key_file,
			why);
}

static void check_app(struct loader *loader, size_t index)
{
	const struct config_app *app = &loader->config->apps[index];
	int line = loader->app_lines[index];
	const struct option_spec *spec;
	bool complete = true;

	for (size_t i = 0; (spec = option_at(i)); i++) {
		const char *value;

		if (!spec->required)
			continue;
		value = *(char *const *)(const void *)((const char *)app + spec->offset);
		if (value[0])
			continue;
		fault(loader, line, "[app %s] needs %s: %s", app->bundle_id, spec->key, spec->help);
		complete = false;
	}
	if (complete)
		check_key_file(loader, line, app);
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
		fault(loader, line_of(loader, "events", key),
			"[events] %s = \"%s\": there is no user %s", key, text, who);
	free(users);
}

static void check_group(struct loader *loader, const char *section, const char *text)
{
	gid_t gid;

	if (config_group(text, &gid))
		fault(loader, line_of(loader, section, "socket-group"),
			"[%s] socket-group = \"%s\": there is no such group", section, text);
}

static void check_apns(struct loader *loader)
{
	const struct config *config = loader->config;
	X509_STORE *store = X509_STORE_new();
	struct proxy proxy;

	if (config->connections > config->max_connections)
		fault(loader, line_of(loader, "apns", "connections"),
			"[apns] connections = %lld: more than max-connections = %lld",
			(long long)config->connections, (long long)config->max_connections);
	/* Not quoted: it may hold a password. */
	if (!proxy_parse(config->apns_proxy, &proxy))
		fault(loader, line_of(loader, "apns", "proxy"),
			"[apns] proxy: must be http://[user:password@]host:port");
	if (config->apns_ca_file[0] &&
		(!store || !X509_STORE_load_file(store, config->apns_ca_file)))
		fault(loader, line_of(loader, "apns", "ca-file"), "[apns] ca-file = \"%s\": %s",
			config->apns_ca_file,
			access(config->apns_ca_file, R_OK) ? strerror(errno)
							   : "holds no certificates in PEM");
	X509_STORE_free(store);
}

/* What no single option can tell. */
static void check_whole(struct loader *loader)
{
	const struct config *config = loader->config;

	if (!config->app_count)
		fault(loader, 0, "there is no [app BUNDLE-ID]: nothing could be pushed to");
	for (size_t i = 0; i < config->app_count; i++)
		check_app(loader, i);
	check_apns(loader);
	if (!strcmp(config->events_socket, config->status_socket))
		fault(loader, line_of(loader, "status", "socket"),
			"[events] and [status] name the same socket %s", config->events_socket);
	check_users(loader, "allow-users", config->events_allow);
	check_users(loader, "admin-users", config->events_admin);
	check_group(loader, "events", config->events_group);
	check_group(loader, "status", config->status_group);
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

enum err config_load(const char *path, struct config **out, struct buf *faults)
{
	struct loader loader = {.path = path, .faults = faults};
	char *folder = folder_of(path);
	enum err err = ERR_NOMEM;

	loader.set_at = calloc(option_count(), sizeof(*loader.set_at));
	if (!folder || !loader.set_at || config_new(&loader.config))
		goto out;
	loader.paths = (struct option_paths){
		.folder = folder, .credentials = getenv("CREDENTIALS_DIRECTORY")};
	loader.file = fopen(path, "re");
	if (!loader.file) {
		fault(&loader, 0, "%s", strerror(errno));
		err = ERR_IO;
		goto out;
	}
	ini_parse_stream(read_line, &loader, handle_option, &loader);
	if (ferror(loader.file))
		fault(&loader, loader.line, "%s", strerror(errno));
	check_whole(&loader);
	err = loader.fault_count ? ERR_INVAL : ERR_OK;
	if (!err) {
		*out = loader.config;
		loader.config = NULL;
	}
out:
	if (loader.file)
		fclose(loader.file);
	config_free(loader.config);
	free(loader.set_at);
	free(loader.app_lines);
	free(folder);
	return err;
}

static enum err user_id(const char *name, uid_t *out)
{
	const struct passwd *entry;
	char *end;
	unsigned long id = strtoul(name, &end, 10);

	if (end != name && !*end && id < UINT32_MAX) {
		*out = (uid_t)id;
		return ERR_OK;
	}
	entry = getpwnam(name);
	if (!entry)
		return ERR_NOTFOUND;
	*out = entry->pw_uid;
	return ERR_OK;
}

enum err config_users(const char *text, uid_t **out, size_t *count, char *who, size_t who_size)
{
	uid_t *users = calloc(strlen(text) / 2 + 1, sizeof(*users));
	char *copy = strdup(text), *save = NULL;
	enum err err = users && copy ? ERR_OK : ERR_NOMEM;
	size_t n = 0;

	for (char *name = copy ? strtok_r(copy, ", \t", &save) : NULL; name && !err;
		name = strtok_r(NULL, ", \t", &save)) {
		err = user_id(name, &users[n++]);
		if (err)
			snprintf(who, who_size, "%s", name);
	}
	free(copy);
	if (err || !n) {
		free(users);
		users = NULL;
	}
	if (!err) {
		*out = users;
		*count = n;
	}
	return err;
}

enum err config_group(const char *text, gid_t *out)
{
	const struct group *entry;
	char *end;
	unsigned long id = strtoul(text, &end, 10);

	if (!text[0]) {
		*out = (gid_t)-1;
		return ERR_OK;
	}
	if (!*end && id < UINT32_MAX) {
		*out = (gid_t)id;
		return ERR_OK;
	}
	entry = getgrnam(text);
	if (!entry)
		return ERR_NOTFOUND;
	*out = entry->gr_gid;
	return ERR_OK;
}
