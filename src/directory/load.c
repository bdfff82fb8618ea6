/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/contact.h>
#include <pbxpush/core/number.h>

#include "index.h"
#include "store.h"
#include "store_internal.h"

/* From the disk to the index, at start. */

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
	struct facts facts = {
		.died_ms = sqlite3_column_int64(row, 11),
		.registered_until_ms = sqlite3_column_int64(row, 12),
		.seen_ms = sqlite3_column_int64(row, 13),
		.dnd = sqlite3_column_int(row, 14) != 0,
		.dnd_until_ms = sqlite3_column_int64(row, 15),
		.ghosts = (uint16_t)sqlite3_column_int(row, 16),
		.woke_once = sqlite3_column_int(row, 17) != 0,
	};
	struct record_text text = {.name = load_text(row, 1, DEVICE_NAME_SIZE),
		.contact = load_text(row, 3, CONTACT_SIZE),
		.token = &token,
		.alert = &alert};
	const char *app = load_text(row, 2, APP_SIZE);

	if (!app || !text.name || !text.contact ||
		token_pack((const char *)sqlite3_column_text(row, 4), &token) ||
		token_pack((const char *)sqlite3_column_text(row, 5), &alert) ||
		!load_enum(row, 6, MODE_ALERT, &facts.mode) ||
		!load_enum(row, 7, ENVIRONMENT_SANDBOX, &facts.environment) ||
		!load_enum(row, 8, ENVIRONMENT_SANDBOX, &facts.learned) ||
		!load_enum(row, 9, TOKEN_UNREGISTERED, &facts.token_state) ||
		!load_enum(row, 10, TOKEN_UNREGISTERED, &facts.alert_token_state))
		return ERR_INVAL;
	facts.app = index_app(loading->index, app);
	facts.present = facts.registered_until_ms > loading->now_ms;
	struct record *record = facts.app ? record_new(&facts, &text) : NULL;
	if (!record)
		return ERR_NOMEM;
	index_add(loading->index, loading->user, record);
	return ERR_OK;
}

static enum err load_dnd(struct loading *loading, sqlite3_stmt *row)
{
	struct settings *settings;
	enum err err = index_settings_get(loading->user, &settings);

	if (err)
		return err;
	settings->dnd = true;
	settings->dnd_until_ms = sqlite3_column_int64(row, 1);
	return ERR_OK;
}

static enum err load_schedule(struct loading *loading, sqlite3_stmt *row)
{
	const char *text = load_text(row, 1, SCHEDULE_MAX + 1);
	struct settings *settings;
	enum err err = index_settings_get(loading->user, &settings);

	if (!text || !text[0])
		return ERR_INVAL;
	if (err)
		return err;
	settings->schedule = strdup(text);
	return settings->schedule ? ERR_OK : ERR_NOMEM;
}

static enum err load_call_waiting(struct loading *loading, sqlite3_stmt *row)
{
	struct settings *settings;
	enum err err = index_settings_get(loading->user, &settings);

	if (err)
		return err;
	settings->call_waiting = sqlite3_column_int(row, 1) != 0;
	return ERR_OK;
}

static enum err load_mute(struct loading *loading, sqlite3_stmt *row)
{
	const char *conversation = load_text(row, 1, CONVERSATION_SIZE);

	if (!conversation || !conversation[0])
		return ERR_INVAL;
	return index_mute_add(
		loading->index, loading->user, conversation, sqlite3_column_int64(row, 2));
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
		 "dnd_until_ms, ghosts, woke_once FROM devices ORDER BY user, name",
			load_device},
		{"SELECT user, until_ms FROM dnd ORDER BY user", load_dnd},
		{"SELECT user, list, pattern FROM patterns ORDER BY user", load_pattern},
		{"SELECT user, text FROM schedules ORDER BY user", load_schedule},
		{"SELECT user, wanted FROM call_waiting ORDER BY user", load_call_waiting},
		{"SELECT user, conversation, until_ms FROM mutes ORDER BY user", load_mute},
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
