/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <pbxpush/core/number.h>

#include "internal.h"

/* Do-not-disturb and the lists of numbers. */

/* Entries of all lists together. */
#define PATTERNS_MAX 2000000

static enum err set_device_dnd(struct directory *dir, struct record *record, bool on,
	int64_t until_ms, directory_done_fn *done, void *arg)
{
	struct changes changes = {0};
	struct facts facts = record_facts(record);
	/* By name: a phone without push data goes to the disk now, or leaves it. */
	enum err err =
		changes_add(&changes, CHANGE_DEVICE, record->user->name, record_name(record));

	facts.dnd = on;
	facts.dnd_until_ms = on ? until_ms : 0;
	if (!err)
		err = writer_prepare(dir->writer, &changes, done, arg);
	if (!err)
		err = index_update(&dir->index, record, &facts);
	if (!err)
		writer_commit(dir->writer, &changes);
	changes_drop(&changes);
	return err;
}

static enum err set_user_dnd(struct directory *dir, const char *name, bool on, int64_t until_ms,
	directory_done_fn *done, void *arg)
{
	struct edit edit;
	enum err err = edit_begin(&edit, dir, CHANGE_DND, name, "");

	if (!err)
		err = edit_prepare(&edit, done, arg);
	if (!err) {
		edit.settings->dnd = on;
		edit.settings->dnd_until_ms = on ? until_ms : 0;
	}
	edit_end(&edit, err);
	return err;
}

enum err directory_set_dnd(struct directory *dir, const char *user, const char *device, bool on,
	int64_t until_ms, directory_done_fn *done, void *arg)
{
	struct record *record;

	if (!directory_text_fits(user, AOR_SIZE) || !user[0])
		return ERR_INVAL;
	if (!device)
		return set_user_dnd(dir, user, on, until_ms, done, arg);
	record = device[0] ? index_device(index_user(&dir->index, user), device) : NULL;
	return record ? set_device_dnd(dir, record, on, until_ms, done, arg) : ERR_NOTFOUND;
}

bool directory_dnd(const struct directory *dir, const char *user, int64_t *until_ms)
{
	const struct user *known = index_user(&dir->index, user);

	const struct settings *settings = known ? known->settings : NULL;

	*until_ms = settings ? settings->dnd_until_ms : 0;
	return settings && settings->dnd;
}

/* ---- lists ---- */

static enum change_kind list_change(enum directory_list list)
{
	return list == LIST_BLOCK ? CHANGE_BLOCK : CHANGE_ALLOW;
}

static bool list_input_ok(const char *user, const char *pattern)
{
	return directory_text_fits(user, AOR_SIZE) && user[0] &&
	       directory_text_fits(pattern, NUMBER_SIZE) && pattern[0];
}

enum err directory_list_add(struct directory *dir, const char *user, enum directory_list list,
	const char *pattern, directory_done_fn *done, void *arg)
{
	struct edit edit;
	enum err err;

	if (!list_input_ok(user, pattern))
		return ERR_INVAL;
	err = edit_begin(&edit, dir, list_change(list), user, pattern);
	if (!err && dir->index.patterns.count >= PATTERNS_MAX)
		err = ERR_LIMIT;
	if (!err)
		err = edit_prepare(&edit, done, arg);
	if (!err && !index_pattern(&dir->index, edit.user, list, pattern, strlen(pattern)))
		err = index_pattern_add(&dir->index, edit.user, list, pattern);
	edit_end(&edit, err);
	return err;
}

enum err directory_list_remove(struct directory *dir, const char *user, enum directory_list list,
	const char *pattern, directory_done_fn *done, void *arg)
{
	struct edit edit;
	struct pattern *entry = NULL;
	enum err err;

	if (!list_input_ok(user, pattern))
		return ERR_INVAL;
	err = edit_begin(&edit, dir, list_change(list), user, pattern);
	if (!err)
		err = edit_prepare(&edit, done, arg);
	if (!err)
		entry = index_pattern(&dir->index, edit.user, list, pattern, strlen(pattern));
	if (entry)
		index_pattern_remove(&dir->index, entry);
	edit_end(&edit, err);
	return err;
}

/* Exact, then the prefixes, longest first. Who withholds the number has none that could begin
 * like one. */
static const char *match_owner(const struct directory *dir, const char *owner_name,
	enum directory_list list, const char *number, size_t len)
{
	const struct user *owner = index_user(&dir->index, owner_name);
	const struct pattern *entry;
	char prefix[NUMBER_SIZE + 1];

	if (!owner || !owner->settings || !owner->settings->patterns[list])
		return NULL;
	entry = index_pattern(&dir->index, owner, list, number, len);
	if (entry)
		return entry->text;
	if (strcmp(number, "anonymous") == 0)
		return NULL;
	memcpy(prefix, number, len);
	for (size_t keep = len + 1; keep-- > 0;) {
		prefix[keep] = '*';
		entry = index_pattern(&dir->index, owner, list, prefix, keep + 1);
		if (entry)
			return entry->text;
	}
	return NULL;
}

const char *directory_list_match(
	const struct directory *dir, const char *user, enum directory_list list, const char *number)
{
	size_t len = dir->index.patterns.count ? strnlen(number, NUMBER_SIZE) : NUMBER_SIZE;
	const char *domain = aor_domain(user), *match;
	char tenant[AOR_SIZE + 2];

	if (len >= NUMBER_SIZE)
		return NULL;
	match = match_owner(dir, user, list, number, len);
	if (!match && domain[0]) {
		snprintf(tenant, sizeof(tenant), "*@%s", domain);
		match = match_owner(dir, tenant, list, number, len);
	}
	return match ? match : match_owner(dir, "*", list, number, len);
}

void directory_list_each(const struct directory *dir, const char *user, enum directory_list list,
	void (*fn)(void *arg, const char *pattern), void *arg)
{
	const struct user *owner = index_user(&dir->index, user);
	const struct settings *settings = owner ? owner->settings : NULL;

	for (const struct pattern *p = settings ? settings->patterns[list] : NULL; p; p = p->next)
		fn(arg, p->text);
}
