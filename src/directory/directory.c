/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "store.h"

/* So many users are few enough to count their presences one by one. */
#define COUNTED_MAX 20000

bool directory_text_fits(const char *text, size_t size)
{
	return text && strnlen(text, size) < size;
}

/* ---- life ---- */

static enum err fill_device(const struct user *user, struct change *change)
{
	const struct record *record = index_device(user, change_name(change));

	change->present = record && record_durable(record);
	if (!change->present)
		return ERR_OK;
	change->row = record_clone(record);
	return change->row ? ERR_OK : ERR_NOMEM;
}

static enum err fill_schedule(const struct settings *settings, struct change *change)
{
	change->present = settings->schedule != NULL;
	if (!change->present)
		return ERR_OK;
	change->text = strdup(settings->schedule);
	return change->text ? ERR_OK : ERR_NOMEM;
}

static void fill_mute(const struct user *user, struct change *change)
{
	const struct mute *mute = index_mute(user, change_name(change));

	change->present = mute != NULL;
	change->number = mute ? mute->until_ms : 0;
}

/* The writer asks what holds now. */
static enum err directory_fill(void *arg, struct change *change)
{
	static const struct settings none = {.call_waiting = -1};
	const struct directory *dir = arg;
	const struct user *user = index_user(&dir->index, change_user(change));
	const struct settings *settings = user && user->settings ? user->settings : &none;
	const char *name = change_name(change);

	switch (change_kind(change)) {
	case CHANGE_DEVICE:
		return fill_device(user, change);
	case CHANGE_SCHEDULE:
		return fill_schedule(settings, change);
	case CHANGE_DND:
		change->present = settings->dnd;
		change->number = settings->dnd_until_ms;
		break;
	case CHANGE_WAITING:
		change->present = settings->call_waiting >= 0;
		change->number = settings->call_waiting;
		break;
	case CHANGE_MUTE:
		fill_mute(user, change);
		break;
	case CHANGE_BLOCK:
		change->present = index_pattern(&dir->index, user, LIST_BLOCK, name, strlen(name));
		break;
	case CHANGE_ALLOW:
		change->present = index_pattern(&dir->index, user, LIST_ALLOW, name, strlen(name));
		break;
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
		.registered = index->users.count <= COUNTED_MAX ? count_registered(index, now_ms)
								: index->registered,
		.unwritten = writer_unwritten(dir->writer),
		.entries = index->patterns.count,
	};
}
