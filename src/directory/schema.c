/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include <pbxpush/directory/schema.h>

#define STEP_1                                                                                     \
	"CREATE TABLE devices ("                                                                   \
	"  user TEXT NOT NULL,"                                                                    \
	"  name TEXT NOT NULL,"                                                                    \
	"  app TEXT NOT NULL,"                                                                     \
	"  contact TEXT NOT NULL,"                                                                 \
	"  token TEXT,"                                                                            \
	"  alert_token TEXT,"                                                                      \
	"  mode INTEGER NOT NULL,"              /* 0 as the app says, 1 voip, 2 alert */           \
	"  environment INTEGER NOT NULL,"       /* 0 as the app says, 1 auto, 2 production, */     \
	"  learned INTEGER NOT NULL,"           /*   3 sandbox */                                  \
	"  token_state INTEGER NOT NULL,"       /* 0 ok, 1 dead, 2 unregistered (410) */           \
	"  alert_token_state INTEGER NOT NULL," /* times are Unix ms */                            \
	"  died_ms INTEGER NOT NULL,"                                                              \
	"  registered_until_ms INTEGER NOT NULL,"                                                  \
	"  seen_ms INTEGER NOT NULL,"                                                              \
	"  dnd INTEGER NOT NULL,"                                                                  \
	"  dnd_until_ms INTEGER NOT NULL,"                                                         \
	"  PRIMARY KEY (user, name)"                                                               \
	") STRICT, WITHOUT ROWID;"                                                                 \
	"CREATE TABLE dnd ("                                                                       \
	"  user TEXT NOT NULL PRIMARY KEY,"                                                        \
	"  until_ms INTEGER NOT NULL"                                                              \
	") STRICT, WITHOUT ROWID;"                                                                 \
	"CREATE TABLE patterns ("                                                                  \
	"  user TEXT NOT NULL,"                                                                    \
	"  list INTEGER NOT NULL," /* 0 block, 1 allow */                                          \
	"  pattern TEXT NOT NULL,"                                                                 \
	"  PRIMARY KEY (user, list, pattern)"                                                      \
	") STRICT, WITHOUT ROWID;"

#define STEP_2                                                                                     \
	"ALTER TABLE devices ADD COLUMN ghosts INTEGER NOT NULL DEFAULT 0;"                        \
	"ALTER TABLE devices ADD COLUMN woke_once INTEGER NOT NULL DEFAULT 0;"                     \
	"CREATE TABLE schedules ("                                                                 \
	"  user TEXT NOT NULL PRIMARY KEY,"                                                        \
	"  text TEXT NOT NULL" /* JSON */                                                          \
	") STRICT, WITHOUT ROWID;"                                                                 \
	"CREATE TABLE call_waiting ("                                                              \
	"  user TEXT NOT NULL PRIMARY KEY,"                                                        \
	"  wanted INTEGER NOT NULL"                                                                \
	") STRICT, WITHOUT ROWID;"                                                                 \
	"CREATE TABLE mutes ("                                                                     \
	"  user TEXT NOT NULL,"                                                                    \
	"  conversation TEXT NOT NULL,"                                                            \
	"  until_ms INTEGER NOT NULL,"                                                             \
	"  PRIMARY KEY (user, conversation)"                                                       \
	") STRICT, WITHOUT ROWID;"

const char *const schema_steps[] = {STEP_1, STEP_2};
const int schema_step_count = sizeof(schema_steps) / sizeof(schema_steps[0]);

static enum err schema_number(sqlite3 *db, const char *sql, int *out)
{
	sqlite3_stmt *stmt = NULL;
	enum err err = ERR_IO;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW) {
		*out = sqlite3_column_int(stmt, 0);
		err = ERR_OK;
	}
	if (sqlite3_finalize(stmt) != SQLITE_OK)
		err = ERR_IO;
	return err;
}

enum err schema_check(sqlite3 *db, int count, char *why, size_t why_size)
{
	int id, version, tables;

	/* The first of these is the first read of the file: here SQLite meets a lock or rubbish. */
	if (schema_number(db, "SELECT count(*) FROM sqlite_master", &tables) ||
		schema_number(db, "PRAGMA application_id", &id) ||
		schema_number(db, "PRAGMA user_version", &version))
		return ERR_IO;
	if (id != SCHEMA_APPLICATION_ID && (id || version || tables)) {
		snprintf(why, why_size,
			"the database of another program; give [directory] path a file of its own");
		return ERR_INVAL;
	}
	if (version > count) {
		snprintf(why, why_size,
			"written by a newer pbxpush (schema %d, this one knows %d); install that "
			"version again, or restore a backup from before it",
			version, count);
		return ERR_INVAL;
	}
	return ERR_OK;
}

static enum err schema_run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : ERR_IO;
}

static enum err schema_step(sqlite3 *db, const char *step, int version, char *why, size_t why_size)
{
	char mark[96];

	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		SCHEMA_APPLICATION_ID, version);
	if (!schema_run(db, "BEGIN IMMEDIATE") && !schema_run(db, step) && !schema_run(db, mark) &&
		!schema_run(db, "COMMIT"))
		return ERR_OK;
	/* Now, because SQLite forgets it with ROLLBACK. */
	snprintf(why, why_size, "cannot be brought to schema %d: %s", version, sqlite3_errmsg(db));
	if (!sqlite3_get_autocommit(db))
		schema_run(db, "ROLLBACK");
	return ERR_IO;
}

enum err schema_migrate(
	sqlite3 *db, const char *const steps[], int count, char *why, size_t why_size)
{
	int version = 0;
	enum err err = schema_number(db, "PRAGMA user_version", &version);

	if (err)
		snprintf(why, why_size, "%s", sqlite3_errmsg(db));
	for (int i = version; i < count && !err; i++)
		err = schema_step(db, steps[i], i + 1, why, why_size);
	return err;
}
