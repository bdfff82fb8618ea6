/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DIRECTORY_SCHEMA_H
#define PBXPUSH_DIRECTORY_SCHEMA_H

#include <stddef.h>

#include <sqlite3.h>

#include <pbxpush/base/err.h>

/* "PBXP" as SQLite's application_id: tells our file from another program's. */
#define SCHEMA_APPLICATION_ID 0x50425850

/*
 * The steps that lead from an empty file to today's tables. A step is never changed once
 * released: a new one is added. user_version counts the steps a file has seen.
 */
extern const char *const schema_steps[];
extern const int schema_step_count;

/*
 * Looks, without writing, whether the file is ours and not newer than `count` steps. ERR_INVAL
 * with the reason in why; ERR_IO when SQLite cannot read it (sqlite3_errcode() says more, why is
 * left alone).
 */
enum err schema_check(sqlite3 *db, int count, char *why, size_t why_size);

/* Takes the steps the file has not seen, each in a transaction of its own. ERR_IO, with the reason
 * in why. */
enum err schema_migrate(
	sqlite3 *db, const char *const steps[], int count, char *why, size_t why_size);

#endif
