/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include <pbxpush/directory/schema.h>

#include "index.h"
#include "store.h"
#include "store_internal.h"

/* The numbers that lie in people's files. */
_Static_assert(MODE_UNSET == 0 && MODE_VOIP == 1 && MODE_ALERT == 2, "stored");
_Static_assert(ENVIRONMENT_UNSET == 0 && ENVIRONMENT_AUTO == 1, "stored");
_Static_assert(ENVIRONMENT_PRODUCTION == 2 && ENVIRONMENT_SANDBOX == 3, "stored");
_Static_assert(TOKEN_OK == 0 && TOKEN_DEAD == 1 && TOKEN_UNREGISTERED == 2, "stored");
_Static_assert(LIST_BLOCK == 0 && LIST_ALLOW == 1, "stored");

/* By kind, and by what is to be done: [0] delete, [1] write. ?1 is the user, ?2 the name, pattern
 * or conversation, what is written comes after these. */
static const char *const store_sql[KINDS][2] = {
	[CHANGE_DEVICE] = {"DELETE FROM devices WHERE user = ?1 AND name = ?2",
		"INSERT OR REPLACE INTO devices (user, name, app, contact, token, alert_token, "
		"mode, "
		"environment, learned, token_state, alert_token_state, died_ms, "
		"registered_until_ms, "
		"seen_ms, dnd, dnd_until_ms, ghosts, woke_once) VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
		"?18)"},
	[CHANGE_DND] = {"DELETE FROM dnd WHERE user = ?1",
		"INSERT OR REPLACE INTO dnd (user, until_ms) VALUES (?1, ?3)"},
	[CHANGE_BLOCK] = {"DELETE FROM patterns WHERE user = ?1 AND list = 0 AND pattern = ?2",
		"INSERT OR REPLACE INTO patterns (user, list, pattern) VALUES (?1, 0, ?2)"},
	[CHANGE_ALLOW] = {"DELETE FROM patterns WHERE user = ?1 AND list = 1 AND pattern = ?2",
		"INSERT OR REPLACE INTO patterns (user, list, pattern) VALUES (?1, 1, ?2)"},
	[CHANGE_SCHEDULE] = {"DELETE FROM schedules WHERE user = ?1",
		"INSERT OR REPLACE INTO schedules (user, text) VALUES (?1, ?3)"},
	[CHANGE_WAITING] = {"DELETE FROM call_waiting WHERE user = ?1",
		"INSERT OR REPLACE INTO call_waiting (user, wanted) VALUES (?1, ?3)"},
	[CHANGE_MUTE] = {"DELETE FROM mutes WHERE user = ?1 AND conversation = ?2",
		"INSERT OR REPLACE INTO mutes (user, conversation, until_ms) VALUES (?1, ?2, ?3)"},
};

enum change_kind change_kind(const struct change *change)
{
	return (enum change_kind)change->key[0];
}

const char *change_user(const struct change *change)
{
	return change->key + 1;
}

const char *change_name(const struct change *change)
{
	return change_user(change) + strlen(change_user(change)) + 1;
}

void change_empty(struct change *change)
{
	record_free(change->row);
	change->row = NULL;
	free(change->text);
	change->text = NULL;
}

void change_free(struct change *change)
{
	if (!change)
		return;
	change_empty(change);
	free(change);
}

/* ---- opening ---- */

void store_explain(const struct store *store, char *why, size_t why_size)
{
	int code = sqlite3_errcode(store->db) & 0xff;

	if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		snprintf(why, why_size,
			"%s: in use by another program, most likely a second pbxpushd; stop it "
			"first",
			store->path);
	else if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
		snprintf(why, why_size,
			"%s: damaged, or no database (%s); restore a backup, or move the file away "
			"and "
			"start with an empty directory",
			store->path, sqlite3_errmsg(store->db));
	else
		snprintf(why, why_size, "%s: %s (SQLite code %d)", store->path,
			sqlite3_errmsg(store->db), sqlite3_extended_errcode(store->db));
}

/* Makes the file 0600 before SQLite sees it; SQLite gives -wal and -shm the mode of the file. An
 * existing file is never opened here: closing it would drop another opener's POSIX locks. */
static enum err store_make_private(const char *path, char *why, size_t why_size)
{
	struct stat st;
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0) {
		close(fd);
		return ERR_OK;
	}
	if (errno == EEXIST && stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		snprintf(why, why_size, "%s: not a file", path);
		return ERR_INVAL;
	}
	if (errno == EEXIST && (!(st.st_mode & 0077) || chmod(path, 0600) == 0))
		return ERR_OK;
	snprintf(why, why_size, "%s: %s%s", path, strerror(errno),
		errno == ENOENT ? "; create its folder first" : "");
	return ERR_IO;
}

static enum err store_exec(struct store *store, const char *sql)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : ERR_IO;
}

/*
 * EXCLUSIVE before the first read: one daemon a file, and the WAL index stays in our memory.
 * FULL: a commit has been synced when it returns, so an acknowledged change survives power loss.
 */
static enum err store_configure(struct store *store, char *why, size_t why_size)
{
	char reason[STORE_WHY_SIZE / 2];

	/* First, because an exclusive lock on such a file is nothing but an I/O error. */
	if (sqlite3_db_readonly(store->db, "main") != 0) {
		snprintf(why, why_size, "%s: read-only; pbxpushd must be able to write it",
			store->path);
		return ERR_INVAL;
	}
	if (store_exec(store, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;"
			      "PRAGMA cell_size_check = ON"))
		return ERR_IO;
	enum err err = schema_check(store->db, schema_step_count, reason, sizeof(reason));
	if (err) {
		if (err == ERR_INVAL)
			snprintf(why, why_size, "%s: %s", store->path, reason);
		return err;
	}
	if (store_exec(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			      "PRAGMA journal_size_limit = 67108864"))
		return ERR_IO;
	err = schema_migrate(store->db, schema_steps, schema_step_count, reason, sizeof(reason));
	if (err)
		snprintf(why, why_size, "%s: %s", store->path, reason);
	return err;
}

static enum err store_prepare(struct store *store)
{
	for (int kind = 0; kind < KINDS; kind++)
		for (int write = 0; write < 2; write++)
			if (sqlite3_prepare_v3(store->db, store_sql[kind][write], -1,
				    SQLITE_PREPARE_PERSISTENT, &store->stmt[kind][write],
				    NULL) != SQLITE_OK)
				return ERR_IO;
	return ERR_OK;
}

enum err store_open(const char *path, struct store **out, char *why, size_t why_size)
{
	enum err err = ERR_NOMEM;
	struct store *store = calloc(1, sizeof(*store) + strlen(path) + 1);

	snprintf(why, why_size, "out of memory");
	if (!store)
		goto out;
	strcpy(store->path, path);
	err = store_make_private(path, why, why_size);
	if (err)
		goto out;
	why[0] = '\0';
	err = ERR_IO;
	if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
		SQLITE_OK) {
		err = store_configure(store, why, why_size);
		if (!err)
			err = store_prepare(store);
	}
	if (err && !why[0])
		store_explain(store, why, why_size);
	if (err)
		goto out;
	*out = store;
	store = NULL;
out:
	store_close(store);
	return err;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	for (int kind = 0; kind < KINDS; kind++)
		for (int write = 0; write < 2; write++)
			sqlite3_finalize(store->stmt[kind][write]);
	sqlite3_close(store->db);
	free(store);
}

/* ---- writing ---- */

static void bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
	sqlite3_bind_text(stmt, column, text, -1, SQLITE_STATIC);
}

static void bind_token(sqlite3_stmt *stmt, int column, const uint8_t *key, size_t len)
{
	char hex[PUSH_TOKEN_SIZE];

	if (!len)
		return;
	token_unpack(key, len, hex);
	sqlite3_bind_text(stmt, column, hex, -1, SQLITE_TRANSIENT);
}

static void bind_device(sqlite3_stmt *stmt, const struct record *row)
{
	const struct facts facts = record_facts(row);
	const int64_t numbers[] = {facts.mode, facts.environment, facts.learned, facts.token_state,
		facts.alert_token_state, facts.died_ms, facts.registered_until_ms, facts.seen_ms,
		facts.dnd, facts.dnd_until_ms, facts.ghosts, facts.woke_once};

	bind_text(stmt, 3, facts.app);
	bind_text(stmt, 4, record_contact(row));
	bind_token(stmt, 5, record_token(row), row->token_len);
	bind_token(stmt, 6, record_alert(row), record_alert_len(row));
	for (int i = 0; i < (int)(sizeof(numbers) / sizeof(numbers[0])); i++)
		sqlite3_bind_int64(stmt, 7 + i, numbers[i]);
}

static void bind_values(sqlite3_stmt *stmt, const struct change *change)
{
	switch (change_kind(change)) {
	case CHANGE_DEVICE:
		bind_device(stmt, change->row);
		break;
	case CHANGE_SCHEDULE:
		bind_text(stmt, 3, change->text);
		break;
	case CHANGE_DND:
	case CHANGE_WAITING:
	case CHANGE_MUTE:
		sqlite3_bind_int64(stmt, 3, change->number);
		break;
	case CHANGE_BLOCK:
	case CHANGE_ALLOW:
		break;
	}
}

/* A failed bind shows in the step: a column that may not be NULL is. */
static enum err store_write(struct store *store, const struct change *change)
{
	sqlite3_stmt *stmt = store->stmt[change_kind(change)][change->present];
	enum err err;

	sqlite3_clear_bindings(stmt);
	bind_text(stmt, 1, change_user(change));
	if (sqlite3_bind_parameter_count(stmt) > 1)
		bind_text(stmt, 2, change_name(change));
	if (change->present)
		bind_values(stmt, change);
	err = sqlite3_step(stmt) == SQLITE_DONE ? ERR_OK : ERR_IO;
	sqlite3_reset(stmt);
	return err;
}

enum err store_apply(struct store *store, const struct change *changes, char *why, size_t why_size)
{
	enum err err;

	if (!changes)
		return ERR_OK;
	err = store_exec(store, "BEGIN IMMEDIATE");
	for (const struct change *change = changes; change && !err; change = change->next)
		err = store_write(store, change);
	if (!err)
		err = store_exec(store, "COMMIT");
	if (!err)
		return ERR_OK;
	store_explain(store, why, why_size);
	if (!sqlite3_get_autocommit(store->db))
		store_exec(store, "ROLLBACK");
	return ERR_STORAGE;
}
