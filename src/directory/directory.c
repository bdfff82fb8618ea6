/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "store.h"

/* Devices looked at in one tick, so that a large directory does not stall the loop. */
#define SWEEP_MAX 20000

bool directory_text_fits(const char *text, size_t size)
{
	return text && strnlen(text, size) < size;
}

/* ---- life ---- */

/* The writer asks what holds now. */
static enum err directory_fill(void *arg, struct change *change)
{
	const struct directory *dir = arg;
	const struct user *user = index_user(&dir->index, change_user(change));
	const char *name = change_name(change);
	const struct record *record;

	change->present = false;
	switch (change_kind(change)) {
	case CHANGE_DEVICE:
		record = index_device(user, name);
		if (!record || !record_durable(record))
			return ERR_OK;
		change->row = malloc(record_size(record));
		if (!change->row)
			return ERR_NOMEM;
		memcpy(change->row, record, record_size(record));
		change->present = true;
		return ERR_OK;
	case CHANGE_DND:
		change->present = user && user->dnd;
		change->dnd_until_ms = user ? user->dnd_until_ms : 0;
		return ERR_OK;
	case CHANGE_BLOCK:
		change->present = index_pattern(&dir->index, user, LIST_BLOCK, name, strlen(name));
		return ERR_OK;
	case CHANGE_ALLOW:
		change->present = index_pattern(&dir->index, user, LIST_ALLOW, name, strlen(name));
		return ERR_OK;
	}
	return ERR_OK;
}

enum err directory_open(const struct directory_options *options, int64_t now_ms,
	struct directory **out, char *why, size_t why_size)
{
	struct store *store = NULL;
	struct directory *dir = calloc(1, sizeof(*dir));
	enum err err = ERR_NOMEM;

	snprintf(why, why_size, "out of memory");
	if (!dir || index_init(&dir->index))
		goto out;
	directory_set_limits(dir, options->max_devices, options->device_ttl_ms);
	err = store_open(options->path, &store, why, why_size);
	if (!err)
		err = store_load(store, &dir->index, now_ms, why, why_size);
	if (err)
		goto out;
	err = writer_new(store, directory_fill, dir, &dir->writer);
	if (err) {
		snprintf(why, why_size, "cannot start a thread for the disk");
		goto out;
	}
	store = NULL; /* the writer's */
	*out = dir;
	dir = NULL;
out:
	store_close(store);
	if (dir)
		index_free(&dir->index);
	free(dir);
	return err;
}

void directory_close(struct directory *dir)
{
	if (!dir)
		return;
	writer_close(dir->writer);
	index_free(&dir->index);
	free(dir);
}

void directory_set_limits(struct directory *dir, int max_devices, int64_t device_ttl_ms)
{
	dir->max_devices = max_devices > 0 ? (size_t)max_devices : 1;
	dir->device_ttl_ms = device_ttl_ms;
}

int directory_fd(const struct directory *dir)
{
	return writer_fd(dir->writer);
}

void directory_collect(struct directory *dir)
{
	writer_collect(dir->writer);
}

bool directory_healthy(const struct directory *dir, const char **why)
{
	return writer_healthy(dir->writer, why);
}

enum err directory_add_record(struct changes *changes, const struct record *record)
{
	if (!record_durable(record))
		return ERR_OK;
	return changes_add(changes, CHANGE_DEVICE, record->user->name, record_name(record));
}

void directory_touch(struct directory *dir, const struct record *record)
{
	struct changes changes = {0};

	if (directory_add_record(&changes, record) ||
		writer_prepare(dir->writer, &changes, NULL, NULL))
		changes_drop(&changes);
	else
		writer_commit(dir->writer, &changes);
}

/* ---- time passing ---- */

static bool record_expired(const struct directory *dir, const struct record *record, int64_t now_ms)
{
	if (!record_durable(record) && record->registered_until_ms <= now_ms)
		return true;
	return dir->device_ttl_ms > 0 && record->seen_ms < now_ms - dir->device_ttl_ms;
}

/* Returns how many devices were looked at. */
static size_t sweep_user(struct directory *dir, struct user *user, int64_t now_ms)
{
	struct changes changes = {0};
	struct record *next;
	size_t looked = 0;

	for (struct record *record = user->devices; record; record = next, looked++) {
		next = record->next;
		if (record->present && record->registered_until_ms <= now_ms) {
			index_uncount(&dir->index, record);
			record->present = false;
			index_count(&dir->index, record);
		}
		if (!record_expired(dir, record, now_ms))
			continue;
		/* Without room for the deletion it stays: the next round finds it again. */
		if (directory_add_record(&changes, record) ||
			writer_prepare(dir->writer, &changes, NULL, NULL)) {
			changes_drop(&changes);
			break;
		}
		index_remove(&dir->index, record);
		writer_commit(dir->writer, &changes);
	}
	index_user_drop(&dir->index, user);
	return looked + 1;
}

void directory_tick(struct directory *dir, int64_t now_ms)
{
	const struct map *users = &dir->index.users;
	size_t buckets = users->mask + 1, looked = 0;
	struct map_node *next;

	/* By buckets, because a place in a table survives what happens to its nodes between two
	 * ticks. */
	for (size_t i = 0; i < buckets && looked < SWEEP_MAX; i++) {
		dir->sweep_bucket = (dir->sweep_bucket + 1) & users->mask;
		for (struct map_node *node = users->buckets[dir->sweep_bucket]; node; node = next) {
			next = node->next;
			looked += sweep_user(dir, map_entry(node, struct user, node), now_ms);
		}
	}
	writer_retry(dir->writer);
}

/* ---- lookups ---- */

size_t directory_devices(
	const struct directory *dir, const char *user, struct device *out, size_t max)
{
	const struct user *known = index_user(&dir->index, user);
	size_t count = 0;

	for (const struct record *r = known ? known->devices : NULL; r && count < max; r = r->next)
		record_copy(r, &out[count++]);
	return count;
}

bool directory_find_device(
	const struct directory *dir, const char *user, const char *name, struct device *out)
{
	const struct record *record = index_device(index_user(&dir->index, user), name);

	if (record)
		record_copy(record, out);
	return record != NULL;
}

bool directory_find_token(
	const struct directory *dir, const char *user, const char *token, struct device *out)
{
	const struct user *known = index_user(&dir->index, user);
	struct token packed;

	if (!known || token_pack(token, &packed))
		return false;
	for (const struct record *r = known->devices; r; r = r->next) {
		if (record_has_token(r, &packed) || record_has_alert(r, &packed)) {
			record_copy(r, out);
			return true;
		}
	}
	return false;
}

static size_t count_registered(const struct index *index, int64_t now_ms)
{
	size_t count = 0;

	for (struct map_node *n = map_next(&index->users, NULL); n; n = map_next(&index->users, n))
		for (const struct record *r = map_entry(n, struct user, node)->devices; r;
			r = r->next)
			count += r->registered_until_ms > now_ms;
	return count;
}

void directory_stats(const struct directory *dir, int64_t now_ms, struct directory_stats *out)
{
	const struct index *index = &dir->index;

	*out = (struct directory_stats){
		.users = index->owners,
		.devices = index->devices,
		.dead = index->dead,
		.registered = index->users.count <= SWEEP_MAX ? count_registered(index, now_ms)
							      : index->registered,
		.unwritten = writer_unwritten(dir->writer),
		.entries = index->patterns.count,
	};
}
