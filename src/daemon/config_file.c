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

#include "config_loader.h"

#define APP_SECTION "app "

void config_fault(struct loader *loader, int line, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++) { /* it quotes a file that may hold anything, to a terminal */
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	buf_add_str(loader->faults, loader->path);
	if (line)
		buf_printf(loader->faults, ":%d", line);
	buf_printf(loader->faults, ": %s\n", text);
	loader->fault_count++;
}

uint64_t config_app_bit(const struct option_spec *spec)
{
	size_t row = 0;

	/* apps have fewer than 64 options, the table as a whole may have more */
	while (spec > option_at(0) && !strcmp((spec - 1)->section, "app")) {
		spec--;
		row++;
	}
	return UINT64_C(1) << row;
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
	struct app_place *places;

	if (!is_bundle_id(bundle_id)) {
		config_fault(loader, loader->line,
			"[%s]: must name a bundle id of letters, digits, '-' and '.', such as "
			"[app com.example.phone]",
			loader->section);
		return;
	}
	places = realloc(loader->app_places, (before + 1) * sizeof(*places));
	if (places)
		loader->app_places = places;
	loader->app = places ? config_add_app(loader->config, bundle_id) : NULL;
	if (!loader->app) {
		config_fault(loader, loader->line, "out of memory");
		return;
	}
	loader->section_known = true;
	forget_app_lines(loader);
	if (loader->config->app_count == before)
		config_fault(loader, loader->line, "[%s] stands twice (first at line %d)",
			loader->section, places[loader->app - loader->config->apps].line);
	else
		places[before] = (struct app_place){.line = loader->line};
}

static void begin_section(struct loader *loader, const char *line)
{
	const char *end = strchr(line, ']');
	struct buf known = {0};
	const struct option_spec *spec;

	loader->app = NULL;
	loader->section_known = false;
	if (!end) {
		config_fault(loader, loader->line, "%.*s: a section ends with ']'",
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
	config_fault(loader, loader->line, "[%s]: unknown section; there are%s", loader->section,
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
		config_fault(loader, loader->line, "\"%.*s\": neither a [section] nor key = value",
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
		config_fault(
			loader, loader->line, "the line is longer than %d characters", size - 2);
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
		config_fault(loader, loader->line, "%s: stands before the first [section]", key);
	if (!loader->section_known)
		return 1;
	if (!spec) {
		list_keys(table_section(loader), &known);
		config_fault(loader, loader->line, "[%s] %s: unknown key; there are%s",
			loader->section, key, buf_str(&known));
		buf_free(&known);
		return 1;
	}
	set_at = &loader->set_at[spec - first];
	if (*set_at)
		config_fault(loader, loader->line, "[%s] %s: set twice (first at line %d)",
			loader->section, key, *set_at);
	*set_at = loader->line;
	if (loader->app)
		loader->app_places[loader->app - loader->config->apps].seen |= config_app_bit(spec);
	if (option_set(spec, value, &loader->paths,
		    loader->app ? (void *)loader->app : (void *)loader->config, why, sizeof(why)))
		config_fault(loader, loader->line, "[%s] %s = \"%s\": %s", loader->section, key,
			value, why);
	return 1;
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
		config_fault(&loader, 0, "%s", strerror(errno));
		err = ERR_IO;
		goto out;
	}
	ini_parse_stream(read_line, &loader, handle_option, &loader);
	if (ferror(loader.file))
		config_fault(&loader, loader.line, "%s", strerror(errno));
	config_check(&loader);
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
	free(loader.app_places);
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
