/* SPDX-License-Identifier: MIT */
#include <pbxpush/daemon/zones.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <pbxpush/base/log.h>

#define FOLDER "/usr/share/zoneinfo"

struct known_zone {
	SLIST_ENTRY(known_zone) link;
	struct zone *zone;
	char name[ZONE_NAME_SIZE];
};

struct zones {
	SLIST_HEAD(, known_zone) all; /* a site has a handful */
};

enum err zones_new(struct zones **out)
{
	struct zones *zones = calloc(1, sizeof(*zones));

	if (!zones)
		return ERR_NOMEM;
	SLIST_INIT(&zones->all);
	*out = zones;
	return ERR_OK;
}

void zones_free(struct zones *zones)
{
	struct known_zone *known;

	if (!zones)
		return;
	while ((known = SLIST_FIRST(&zones->all))) {
		SLIST_REMOVE_HEAD(&zones->all, link);
		zone_free(known->zone);
		free(known);
	}
	free(zones);
}

static struct zone *read_zone(const char *name)
{
	char path[sizeof(FOLDER) + ZONE_NAME_SIZE + 1];
	struct zone *zone = NULL;
	char *data = malloc(ZONE_FILE_MAX_BYTES + 1);
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	file = data ? fopen(path, "re") : NULL;
	if (file) {
		len = fread(data, 1, ZONE_FILE_MAX_BYTES + 1, file);
		if (ferror(file) || zone_parse(data, len, &zone))
			log_warning("zones", "%s: not a usable time zone", path);
		fclose(file);
	}
	free(data);
	return zone;
}

const struct zone *zones_get(void *self, const char *name)
{
	struct zones *zones = self;
	struct known_zone *known;

	if (!zone_name_is_valid(name) || strlen(name) >= ZONE_NAME_SIZE)
		return NULL;
	SLIST_FOREACH (known, &zones->all, link) {
		if (!strcmp(known->name, name))
			return known->zone;
	}
	known = calloc(1, sizeof(*known));
	if (!known)
		return NULL;
	strcpy(known->name, name);
	known->zone = read_zone(name);
	/* Not kept: tzdata may be installed meanwhile, and names come from outside. */
	if (!known->zone) {
		free(known);
		return NULL;
	}
	SLIST_INSERT_HEAD(&zones->all, known, link);
	return known->zone;
}
