/* SPDX-License-Identifier: MIT */
#include "internal.h"

/* What goes by itself when its time has come. */

/* Things looked at in one tick, so that a large directory does not stall the loop. */
#define SWEEP_MAX 20000

struct sweep {
	struct directory *dir;
	int64_t now_ms;
	size_t looked;
};

static bool is_over(int64_t until_ms, int64_t now_ms)
{
	return until_ms && until_ms <= now_ms;
}

/* Without room for the change nothing is done: the next round finds the same again. */
static bool room_for(struct directory *dir, struct changes *changes, enum change_kind kind,
	const char *user, const char *name)
{
	if (!changes_add(changes, kind, user, name) &&
		!writer_prepare(dir->writer, changes, NULL, NULL))
		return true;
	changes_drop(changes);
	return false;
}

static void sweep_presence(const struct sweep *sweep, struct record *record)
{
	struct facts facts = record_facts(record);

	if (!facts.present || facts.registered_until_ms > sweep->now_ms)
		return;
	facts.present = false;
	index_update(&sweep->dir->index, record, &facts); /* needs no memory */
}

/* The name stays in the key: without its dnd a phone without push data leaves the disk. */
static void sweep_device_dnd(const struct sweep *sweep, struct record *record)
{
	struct facts facts = record_facts(record);
	struct changes changes = {0};

	if (!facts.dnd || !is_over(facts.dnd_until_ms, sweep->now_ms) ||
		!room_for(sweep->dir, &changes, CHANGE_DEVICE, record->user->name,
			record_name(record)))
		return;
	facts.dnd = false;
	facts.dnd_until_ms = 0;
	index_update(&sweep->dir->index, record, &facts); /* needs no memory */
	writer_commit(sweep->dir->writer, &changes);
}

static bool record_expired(const struct sweep *sweep, const struct record *record)
{
	int64_t ttl_ms = sweep->dir->device_ttl_ms;

	if (!record_durable(record) && record->registered_until_ms <= sweep->now_ms)
		return true;
	return ttl_ms > 0 && record->seen_ms < sweep->now_ms - ttl_ms;
}

static void sweep_device(struct sweep *sweep, struct record *record)
{
	struct directory *dir = sweep->dir;
	struct changes changes = {0};

	sweep->looked++;
	sweep_presence(sweep, record);
	sweep_device_dnd(sweep, record);
	if (!record_expired(sweep, record))
		return;
	if (record_durable(record) &&
		!room_for(dir, &changes, CHANGE_DEVICE, record->user->name, record_name(record)))
		return;
	index_remove(&dir->index, record);
	writer_commit(dir->writer, &changes);
}

static void sweep_settings(struct sweep *sweep, struct user *user)
{
	struct directory *dir = sweep->dir;
	struct settings *settings = user->settings;
	struct changes changes = {0};
	struct mute *next;

	if (settings->dnd && is_over(settings->dnd_until_ms, sweep->now_ms) &&
		room_for(dir, &changes, CHANGE_DND, user->name, "")) {
		settings->dnd = false;
		settings->dnd_until_ms = 0;
		writer_commit(dir->writer, &changes);
	}
	for (struct mute *mute = settings->mutes; mute; mute = next, sweep->looked++) {
		next = mute->next;
		if (!is_over(mute->until_ms, sweep->now_ms))
			continue;
		if (!room_for(dir, &changes, CHANGE_MUTE, user->name, mute->conversation))
			return;
		index_mute_remove(&dir->index, user, mute);
		writer_commit(dir->writer, &changes);
	}
}

static void sweep_user(void *arg, struct map_node *node)
{
	struct sweep *sweep = arg;
	struct user *user = map_entry(node, struct user, node);
	struct record *next;

	for (struct record *record = user->devices; record; record = next) {
		next = record->next;
		sweep_device(sweep, record);
	}
	if (user->settings)
		sweep_settings(sweep, user);
	index_user_drop(&sweep->dir->index, user);
}

void directory_tick(struct directory *dir, int64_t now_ms)
{
	struct sweep sweep = {.dir = dir, .now_ms = now_ms};

	do {
		map_walk(&dir->index.users, &dir->sweep_place, sweep_user, &sweep);
		sweep.looked++;
	} while (dir->sweep_place && sweep.looked < SWEEP_MAX);
	writer_retry(dir->writer);
}
