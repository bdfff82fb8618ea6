/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_CONFIG_LOADER_H
#define PBXPUSH_DAEMON_CONFIG_LOADER_H

#include <stdio.h>

#include <pbxpush/daemon/config_file.h>

/* Shared by config_file.c (line by line) and config_check.c (the whole). */

/* Where an app stands, and which options it sets, rightly or wrongly. */
struct app_place {
	int line;
	uint64_t seen; /* config_app_bit() of each */
};

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
	int *set_at;            /* line at which each option was set; of apps: in this section */
	struct app_place *app_places;
};

/* The bit of an option of [app …] in `seen`. */
uint64_t config_app_bit(const struct option_spec *spec);

/* Adds a fault; line 0: of no one line. What it quotes may hold anything. */
void config_fault(struct loader *loader, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What no single line can tell: files, users, what is missing, what does not go together. */
void config_check(struct loader *loader);

#endif
