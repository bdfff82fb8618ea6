/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* What is set for a user: how to change any of it, then schedules, call waiting and mutes. */

/* Of a user, and of all. */
#define USER_MUTES_MAX 1000
#define MUTES_MAX      2000000

/* ---- an edit ---- */

enum err edit_begin(struct edit *edit, struct directory *dir, enum change_kind kind,
	const char *user, const char *name)
{
	*edit = (struct edit){.dir = dir};
	enum err err = index_user_get(&dir->index, user, &edit->user);

	if (!err)
		err = index_settings_get(edit->user, &edit->settings);
	return err ? err : changes_add(&edit->changes, kind, user, name);
}

enum err edit_prepare(struct edit *edit, directory_done_fn *done, void *arg)
{
	return writer_prepare(edit->dir->writer, &edit->changes, done, arg);
}

void edit_end(struct edit *edit, enum err err)
{
	if (!err)
		writer_commit(edit->dir->writer, &edit->changes);
	changes_drop(&edit->changes);
	if (edit->user)
		index_user_drop(&edit->dir->index, edit->user);
}

/* ---- schedules ---- */

enum err directory_set_schedule(struct directory *dir, const char *user, const char *text,
	directory_done_fn *done, void *arg)
{
	struct edit edit;
	char *copy = NULL;
	enum err err;

	if (!directory_text_fits(user, AOR_SIZE) || !user[0] ||
		!directory_text_fits(text, SCHEDULE_MAX + 1))
		return ERR_INVAL;
	err = edit_begin(&edit, dir, CHANGE_SCHEDULE, user, "");
	if (!err && text[0]) {
		copy = strdup(text);
		err = copy ? ERR_OK : ERR_NOMEM;
	}
	if (!err)
		err = edit_prepare(&edit, done, arg);
	if (!err) {
		free(edit.settings->schedule);
		edit.settings->schedule = copy;
		copy = NULL;
	}
	edit_end(&edit, err);
	free(copy);
	return err;
}

static const struct settings *find_settings(const struct directory *dir, const char *user)
{
	const struct user *known = index_user(&dir->index, user);

	return known ? known->settings : NULL;
}

const char *directory_schedule(const struct directory *dir, const char *user)
{
	const struct settings *settings = find_settings(dir, user);

	return settings && settings->schedule ? settings->schedule : "";
}

/* ---- call waiting ---- */

enum err directory_set_call_waiting(
	struct directory *dir, const char *user, bool on, directory_done_fn *done, void *arg)
{
	struct edit edit;
	enum err err;

	if (!directory_text_fits(user, AOR_SIZE) || !user[0])
		return ERR_INVAL;
	err = edit_begin(&edit, dir, CHANGE_WAITING, user, "");
	if (!err)
		err = edit_prepare(&edit, done, arg);
	if (!err)
		edit.settings->call_waiting = on;
	edit_end(&edit, err);
	return err;
}

int directory_call_waiting(const struct directory *dir, const char *user)
{
	const struct settings *settings = find_settings(dir, user);

	return settings ? settings->call_waiting : -1;
}

/* ---- mutes ---- */

static bool mute_input_ok(const char *user, const char *conversation)
{
	return directory_text_fits(user, AOR_SIZE) && user[0] &&
	       directory_text_fits(conversation, CONVERSATION_SIZE) && conversation[0];
}

enum err directory_mute_add(struct directory *dir, const char *user, const char *conversation,
	int64_t until_ms, directory_done_fn *done, void *arg)
{
	struct edit edit;
	struct mute *mute = NULL;
	enum err err;

	if (!mute_input_ok(user, conversation))
		return ERR_INVAL;
	err = edit_begin(&edit, dir, CHANGE_MUTE, user, conversation);
	if (!err)
		mute = index_mute(edit.user, conversation);
	if (!err && !mute &&
		(edit.settings->mute_count >= USER_MUTES_MAX || dir->index.mutes >= MUTES_MAX))
		err = ERR_LIMIT;
	if (!err)
		err = edit_prepare(&edit, done, arg);
	if (!err && mute)
		mute->until_ms = until_ms;
	else if (!err)
		err = index_mute_add(&dir->index, edit.user, conversation, until_ms);
	edit_end(&edit, err);
	return err;
}

enum err directory_mute_remove(struct directory *dir, const char *user, const char *conversation,
	directory_done_fn *done, void *arg)
{
	struct edit edit;
	struct mute *mute = NULL;
	enum err err;

	if (!mute_input_ok(user, conversation))
		return ERR_INVAL;
	err = edit_begin(&edit, dir, CHANGE_MUTE, user, conversation);
	if (!err)
		err = edit_prepare(&edit, done, arg);
	if (!err)
		mute = index_mute(edit.user, conversation);
	if (mute)
		index_mute_remove(&dir->index, edit.user, mute);
	edit_end(&edit, err);
	return err;
}

bool directory_is_muted(
	const struct directory *dir, const char *user, const char *conversation, int64_t now_ms)
{
	const struct mute *mute = index_mute(index_user(&dir->index, user), conversation);

	return mute && (!mute->until_ms || mute->until_ms > now_ms);
}

void directory_mute_each(const struct directory *dir, const char *user,
	void (*fn)(void *arg, const char *conversation, int64_t until_ms), void *arg)
{
	const struct settings *settings = find_settings(dir, user);

	for (const struct mute *m = settings ? settings->mutes : NULL; m; m = m->next)
		fn(arg, m->conversation, m->until_ms);
}
