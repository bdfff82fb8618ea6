/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * What takes away from a device or marks it: unregister, forget, dead tokens. Adding is register.c.
 */

/* A name is better than a contact. Phones without a name share the empty one: their contact
 * decides. */
static bool record_matches(const struct record *record, const char *device, const char *contact)
{
	if (device && strcmp(record_name(record), device) != 0)
		return false;
	return (device && device[0]) || !contact || strcmp(record_contact(record), contact) == 0;
}

static void record_unregister(struct directory *dir, struct record *record)
{
	/* A phone without push data was nothing but its presence. */
	if (!record_durable(record)) {
		index_remove(&dir->index, record);
		return;
	}
	struct facts facts = record_facts(record);
	facts.registered_until_ms = 0;
	facts.present = false;
	index_update(&dir->index, record, &facts); /* needs no memory */
}

enum err directory_unregister(struct directory *dir, const char *user, const char *device,
	const char *contact, bool *known, directory_done_fn *done, void *arg)
{
	struct user *owner = index_user(&dir->index, user);
	struct changes changes = {0};
	struct record *next;
	bool found = false;
	enum err err = ERR_OK;

	for (struct record *r = owner ? owner->devices : NULL; r && !err; r = r->next) {
		if (!record_matches(r, device, contact))
			continue;
		found = true;
		err = directory_add_record(&changes, r);
	}
	changes.memory_only = !changes.count;
	if (!err)
		err = writer_prepare(dir->writer, &changes, done, arg);
	if (err) {
		changes_drop(&changes);
		return err;
	}
	for (struct record *r = owner ? owner->devices : NULL; r; r = next) {
		next = r->next;
		if (record_matches(r, device, contact))
			record_unregister(dir, r);
	}
	if (owner)
		index_user_drop(&dir->index, owner);
	*known = found;
	writer_commit(dir->writer, &changes);
	return ERR_OK;
}

/* ---- forget ---- */

/* Names everything that the disk may hold of the user, but for devices. */
static enum err changes_add_settings(struct changes *changes, const struct user *user)
{
	const struct settings *settings = user->settings;
	enum err err = ERR_OK;

	if (!settings)
		return ERR_OK;
	if (settings->dnd)
		err = changes_add(changes, CHANGE_DND, user->name, "");
	if (settings->schedule && !err)
		err = changes_add(changes, CHANGE_SCHEDULE, user->name, "");
	if (settings->call_waiting >= 0 && !err)
		err = changes_add(changes, CHANGE_WAITING, user->name, "");
	for (const struct mute *m = settings->mutes; m && !err; m = m->next)
		err = changes_add(changes, CHANGE_MUTE, user->name, m->conversation);
	for (int list = 0; list < LIST_COUNT; list++)
		for (const struct pattern *p = settings->patterns[list]; p && !err; p = p->next)
			err = changes_add(changes, list == LIST_BLOCK ? CHANGE_BLOCK : CHANGE_ALLOW,
				user->name, p->text);
	return err;
}

/* index_user_drop() frees what is left. */
static void user_forget_settings(struct directory *dir, struct user *user)
{
	struct settings *settings = user->settings;

	if (!settings)
		return;
	settings->dnd = false;
	settings->dnd_until_ms = 0;
	free(settings->schedule);
	settings->schedule = NULL;
	settings->call_waiting = -1;
	while (settings->mutes)
		index_mute_remove(&dir->index, user, settings->mutes);
	for (int list = 0; list < LIST_COUNT; list++)
		while (settings->patterns[list])
			index_pattern_remove(&dir->index, settings->patterns[list]);
}

enum err directory_forget(struct directory *dir, const char *user, const char *device,
	size_t *count, directory_done_fn *done, void *arg)
{
	struct user *owner = index_user(&dir->index, user);
	struct changes changes = {0};
	struct record *next;
	enum err err = ERR_OK;

	for (struct record *r = owner ? owner->devices : NULL; r && !err; r = r->next)
		if (record_matches(r, device, NULL))
			err = directory_add_record(&changes, r);
	if (owner && !device && !err)
		err = changes_add_settings(&changes, owner);
	if (!err)
		err = writer_prepare(dir->writer, &changes, done, arg);
	if (err) {
		changes_drop(&changes);
		return err;
	}
	*count = 0;
	for (struct record *r = owner ? owner->devices : NULL; r; r = next) {
		next = r->next;
		if (!record_matches(r, device, NULL))
			continue;
		index_remove(&dir->index, r);
		++*count;
	}
	if (owner && !device)
		user_forget_settings(dir, owner);
	if (owner)
		index_user_drop(&dir->index, owner);
	writer_commit(dir->writer, &changes);
	return ERR_OK;
}

/* A holder of the token, of either kind, after `after`; the whole walk is by token, then by
 * alert token. */
static struct record *next_holder(const struct directory *dir, const struct token *token,
	const struct record *after, bool *by_alert)
{
	struct record *record = NULL;

	if (!*by_alert) {
		record = index_next_token(&dir->index, token, after);
		if (record)
			return record;
		*by_alert = true;
		after = NULL;
	}
	return index_next_alert(&dir->index, token, after);
}

enum err directory_forget_token(
	struct directory *dir, const char *token, size_t *count, directory_done_fn *done, void *arg)
{
	struct changes changes = {0};
	struct token packed;
	struct record *record = NULL;
	bool by_alert = false;
	enum err err = token_pack(token, &packed);

	while (!err && (record = next_holder(dir, &packed, record, &by_alert)))
		err = directory_add_record(&changes, record);
	if (!err)
		err = writer_prepare(dir->writer, &changes, done, arg);
	if (err) {
		changes_drop(&changes);
		return err;
	}
	by_alert = false;
	for (*count = 0; (record = next_holder(dir, &packed, NULL, &by_alert)); ++*count) {
		struct user *user = record->user;
		index_remove(&dir->index, record);
		index_user_drop(&dir->index, user);
	}
	writer_commit(dir->writer, &changes);
	return ERR_OK;
}

/* ---- what pushes taught ---- */

static bool token_registered_after(
	const struct directory *dir, const struct token *token, int64_t died_ms)
{
	const struct record *record = NULL;
	bool by_alert = false;

	while ((record = next_holder(dir, token, record, &by_alert)))
		if (record->seen_ms > died_ms)
			return true;
	return false;
}

/* A 400 is final, a later 410 does not soften it. */
static bool state_worsen(uint8_t *state, enum token_state to)
{
	if (*state == TOKEN_DEAD || *state == to)
		return false;
	*state = (uint8_t)to;
	return true;
}

static bool record_mark_dead(struct directory *dir, struct record *record,
	const struct token *token, enum token_state state, int64_t died_ms)
{
	struct facts facts = record_facts(record);
	bool changed = false, changed_time = false;

	if (record_has_token(record, token))
		changed |= state_worsen(&facts.token_state, state);
	if (record_has_alert(record, token))
		changed |= state_worsen(&facts.alert_token_state, state);
	if (died_ms > facts.died_ms && (changed || state == TOKEN_UNREGISTERED)) {
		facts.died_ms = died_ms;
		changed_time = true;
	}
	/* Without memory it stays as it was: the next push will hear the same. */
	if ((!changed && !changed_time) || index_update(&dir->index, record, &facts))
		return false;
	directory_touch(dir, record);
	return changed;
}

size_t directory_mark_dead(
	struct directory *dir, const char *token, enum token_state state, int64_t died_ms)
{
	struct token packed;
	struct record *record = NULL;
	bool by_alert = false;
	size_t changed = 0;

	if (state == TOKEN_OK || token_pack(token, &packed))
		return 0;
	if (state == TOKEN_UNREGISTERED && token_registered_after(dir, &packed, died_ms))
		return 0;
	while ((record = next_holder(dir, &packed, record, &by_alert)))
		changed += record_mark_dead(dir, record, &packed, state, died_ms);
	return changed;
}

void directory_revive(struct directory *dir, const struct token *token, int64_t now_ms)
{
	struct record *record = NULL;
	bool by_alert = false;

	while ((record = next_holder(dir, token, record, &by_alert))) {
		struct facts facts = record_facts(record);
		if (facts_revive(&facts, now_ms) && !index_update(&dir->index, record, &facts))
			directory_touch(dir, record);
	}
}

void directory_learn_environment(
	struct directory *dir, const char *token, enum device_environment environment)
{
	struct token packed;
	struct record *record = NULL;
	bool by_alert = false;

	if (token_pack(token, &packed))
		return;
	while ((record = next_holder(dir, &packed, record, &by_alert))) {
		if (record->learned == environment)
			continue;
		record->learned = (uint8_t)environment;
		directory_touch(dir, record);
	}
}

void directory_note_wake(struct directory *dir, const char *user, const char *device, bool woke)
{
	struct record *record = index_device(index_user(&dir->index, user), device);

	if (!record)
		return;
	struct facts facts = record_facts(record);
	if (woke ? facts.woke_once && !facts.ghosts
		 : !facts.woke_once || facts.ghosts == UINT16_MAX)
		return;
	facts.ghosts = woke ? 0 : (uint16_t)(facts.ghosts + 1);
	facts.woke_once = true;
	if (!index_update(&dir->index, record, &facts))
		directory_touch(dir, record);
}
