/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DIRECTORY_STORE_INTERNAL_H
#define PBXPUSH_DIRECTORY_STORE_INTERNAL_H

#include <stddef.h>

#include <sqlite3.h>

enum { KINDS = 7 }; /* of enum change_kind */

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[KINDS][2]; /* by kind; delete, write */
	char path[];
};

/* What SQLite's last error means to the person who has to repair it. */
void store_explain(const struct store *store, char *why, size_t why_size);

#endif
