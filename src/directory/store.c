/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include <pbxpush/core/contact.h>
#include <pbxpush/core/number.h>
#include <pbxpush/directory/schema.h>

#include "index.h"
#include "store.h"

/* The numbers that lie in people's files. */
_Static_assert(MODE_UNSET == 0 && MODE_VOIP == 1 && MODE_ALERT == 2, "stored");
_Static_assert(ENVIRONMENT_UNSET == 0 && ENVIRONMENT_AUTO == 1, "stored");
_Static_assert(ENVIRONMENT_PRODUCTION == 2 && ENVIRONMENT_SANDBOX == 3, "stored");
_Static_assert(TOKEN_OK == 0 && TOKEN_DEAD == 1 && TOKEN_UNREGISTERED == 2, "stored");
_Static_assert(LIST_BLOCK == 0 && LIST_ALLOW == 1, "stored");

enum { KINDS = 4 };

/* By kind, and by what is to be done: [0] delete, [1] write. ?1 is the user, ?2 the name or
 * pattern. */
static const char *const store_sql[KINDS][2] = {
	[CHANGE_DEVICE] = {"DELETE FROM devices WHERE user = ?1 AND name = ?2",
		"INSERT OR REPLACE INTO devices (user, name, app, contact, token, alert_token, "
		"mode, "
		"environment, learned, token_state, alert_token_state, died_ms, "
		"registered_until_ms, "
		"seen_ms, dnd, dnd_until_ms) VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"},
	[CHANGE_DND] = {"DELETE FROM dnd WHERE user = ?1",
		"INSERT OR REPLACE INTO dnd (user, until_ms) VALUES (?1, ?3)"},
	[CHANGE_BLOCK] = {"DELETE FROM patterns WHERE user = ?1 AND list = 0 AND pattern = ?2",
		"INSERT OR REPLACE INTO patterns (user, list, pattern) VALUES (?1, 0, ?2)"},
	[CHANGE_ALLOW] = {"DELETE FROM patterns WHERE user = ?1 AND list = 1 AND pattern = ?2",
		"INSERT OR REPLACE INTO patterns (user, list, pattern) VALUES (?1, 1, ?2)"},
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[KINDS][2];
	char path[];
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

void change_free(struct change *change)
{
	if (!change)
		return;
	free(change->row);
	free(change);
}

/* ---- opening ---- */

/* What SQLite's last error means to the person who has to repair it. */
static void store_explain(const struct store *store, char *why, size_t why_size)
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

	if (store_exec(store, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;"
			      "PRAGMA cell_size_check = ON"))
		return ERR_IO;
	enum err err = schema_check(store->db, schema_step_count, reason, sizeof(reason));
	if (err) {
		if (err == ERR_INVAL)
			snprintf(why, why_size, "%s: %s", store->path, reason);
		return err;
	}
	if (sqlite3_db_readonly(store->db, "main") != 0) {
		snprintf(why, why_size, "%s: read-only; pbxpushd must be able to write it",
			store->path);
		return ERR_INVAL;
	}
	if (store_exec(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			      "PRAGMA journal_size_limit = 67108864"))
		return ERR_IO;
	return schema_migrate(store->db, schema_steps, schema_step_count);
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
	const int64_t numbers[] = {row->mode, row->environment, row->learned, row->token_state,
		row->alert_token_state, row->died_ms, row->registered_until_ms, row->seen_ms,
		row->dnd, row->dnd_until_ms};

	bind_text(stmt, 3, row->app);
	bind_text(stmt, 4, record_contact(row));
	bind_token(stmt, 5, record_token(row), row->token_len);
	bind_token(stmt, 6, record_alert(row), row->alert_len);
	for (int i = 0; i < (int)(sizeof(numbers) / sizeof(numbers[0])); i++)
		sqlite3_bind_int64(stmt, 7 + i, numbers[i]);
}

/* A failed bind shows in the step: a column that may not be NULL is. */
static enum err store_write(struct store *store, const struct change *change)
{
	sqlite3_stmt *stmt = store->stmt[change_kind(change)][change->present];
	enum err err;

	sqlite3_clear_bindings(stmt);
	bind_text(stmt, 1, change_user(change));
	if (change_kind(change) == CHANGE_DND)
		sqlite3_bind_int64(stmt, 3, change->dnd_until_ms);
	else
		bind_text(stmt, 2, change_name(change));
	if (change->row)
		bind_device(stmt, change->row);
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

/* ---- reading ---- */

/* Where store_load() is: rows come ordered by user, so the user of the last row often is this
 * one's. */
struct loading {
	struct index *index;
	struct user *user;
	int64_t now_ms;
};

typedef enum err load_fn(struct loading *loading, sqlite3_stmt *row);

/* A text of at most size - 1 bytes; NULL for what we would not have written. */
static const char *load_text(sqlite3_stmt *row, int column, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	size_t len = (size_t)sqlite3_column_bytes(row, column);

	return text && len < size && strlen(text) == len ? text : NULL;
}

static enum err load_user(struct loading *loading, sqlite3_stmt *row)
{
	const char *name = load_text(row, 0, AOR_SIZE);

	if (!name || !name[0])
		return ERR_INVAL;
	if (loading->user && strcmp(loading->user->name, name) == 0)
		return ERR_OK;
	return index_user_get(loading->index, name, &loading->user);
}

static bool load_enum(sqlite3_stmt *row, int column, int max, uint8_t *out)
{
	int value = sqlite3_column_int(row, column);

	*out = (uint8_t)value;
	return value >= 0 && value <= max;
}

static enum err load_device(struct loading *loading, sqlite3_stmt *row)
{
	struct token token, alert;
	struct record fixed = {
		.died_ms = sqlite3_column_int64(row, 11),
		.registered_until_ms = sqlite3_column_int64(row, 12),
		.seen_ms = sqlite3_column_int64(row, 13),
		.dnd = sqlite3_column_int(row, 14) != 0,
		.dnd_until_ms = sqlite3_column_int64(row, 15),
	};
	struct record_text text = {.name = load_text(row, 1, DEVICE_NAME_SIZE),
		.contact = load_text(row, 3, CONTACT_SIZE),
		.token = &token,
		.alert = &alert};
	const char *app = load_text(row, 2, APP_SIZE);

	if (!app || !text.name || !text.contact ||
		token_pack((const char *)sqlite3_column_text(row, 4), &token) ||
		token_pack((const char *)sqlite3_column_text(row, 5), &alert) ||
		!load_enum(row, 6, MODE_ALERT, &fixed.mode) ||
		!load_enum(row, 7, ENVIRONMENT_SANDBOX, &fixed.environment) ||
		!load_enum(row, 8, ENVIRONMENT_SANDBOX, &fixed.learned) ||
		!load_enum(row, 9, TOKEN_UNREGISTERED, &fixed.token_state) ||
		!load_enum(row, 10, TOKEN_UNREGISTERED, &fixed.alert_token_state))
		return ERR_INVAL;
	fixed.app = index_app(loading->index, app);
	fixed.present = fixed.registered_until_ms > loading->now_ms;
	struct record *record = fixed.app ? record_new(&fixed, &text) : NULL;
	if (!record)
		return ERR_NOMEM;
	index_add(loading->index, loading->user, record);
	return ERR_OK;
}

static enum err load_dnd(struct loading *loading, sqlite3_stmt *row)
{
	loading->user->dnd = true;
	loading->user->dnd_until_ms = sqlite3_column_int64(row, 1);
	return ERR_OK;
}

static enum err load_pattern(struct loading *loading, sqlite3_stmt *row)
{
	uint8_t list;
	const char *text = load_text(row, 2, NUMBER_SIZE);

	if (!text || !load_enum(row, 1, LIST_ALLOW, &list))
		return ERR_INVAL;
	return index_pattern_add(loading->index, loading->user, (enum directory_list)list, text);
}

static enum err load_table(
	struct store *store, struct loading *loading, const char *sql, load_fn *load)
{
	sqlite3_stmt *row = NULL;
	int code = SQLITE_ERROR;
	enum err err = ERR_OK;

	if (sqlite3_prepare_v2(store->db, sql, -1, &row, NULL) == SQLITE_OK) {
		while (!err && (code = sqlite3_step(row)) == SQLITE_ROW) {
			err = load_user(loading, row);
			if (!err)
				err = load(loading, row);
		}
	}
	if (!err && code != SQLITE_DONE)
		err = ERR_IO;
	sqlite3_finalize(row);
	return err;
}

enum err store_load(
	struct store *store, struct index *index, int64_t now_ms, char *why, size_t why_size)
{
	static const struct {
		const char *sql;
		load_fn *load;
	} tables[] = {
		{"SELECT user, name, app, contact, token, alert_token, mode, environment, learned, "
		 "token_state, alert_token_state, died_ms, registered_until_ms, seen_ms, dnd, "
		 "dnd_until_ms FROM devices ORDER BY user, name",
			load_device},
		{"SELECT user, until_ms FROM dnd ORDER BY user", load_dnd},
		{"SELECT user, list, pattern FROM patterns ORDER BY user", load_pattern},
	};
	struct loading loading = {.index = index, .now_ms = now_ms};
	enum err err = ERR_OK;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && !err; i++)
		err = load_table(store, &loading, tables[i].sql, tables[i].load);
	if (err == ERR_IO)
		store_explain(store, why, why_size);
	else if (err == ERR_NOMEM)
		snprintf(why, why_size, "%s: out of memory while reading it", store->path);
	else if (err)
		snprintf(why, why_size,
			"%s: damaged (a row that pbxpush did not write, user %.64s); restore a "
			"backup, or "
			"move the file away and start with an empty directory",
			store->path, loading.user ? loading.user->name : "?");
	return err;
}
