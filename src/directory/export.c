/* SPDX-License-Identifier: MIT */
#include "internal.h"

/*
 * Everything that is stored, in steps. First user by user, then the lists, entry by entry: a user
 * has few devices and a bounded number of mutes, but a list may be longer than any step.
 */

/* Things told in a step; more only where a user has more. */
#define STEP_ITEMS 200

struct step {
	directory_item_fn *fn;
	void *arg;
	size_t count;
};

static void tell(struct step *step, const struct directory_item *item)
{
	step->fn(step->arg, item);
	step->count++;
}

static void tell_settings(struct step *step, const char *user, const struct settings *settings)
{
	struct directory_item item = {.user = user};

	if (settings->dnd) {
		item.kind = ITEM_DND;
		item.until_ms = settings->dnd_until_ms;
		tell(step, &item);
	}
	if (settings->schedule) {
		item.kind = ITEM_SCHEDULE;
		item.text = settings->schedule;
		tell(step, &item);
	}
	if (settings->call_waiting >= 0) {
		item.kind = ITEM_CALL_WAITING;
		item.on = settings->call_waiting > 0;
		tell(step, &item);
	}
	for (const struct mute *mute = settings->mutes; mute; mute = mute->next) {
		item.kind = ITEM_MUTE;
		item.text = mute->conversation;
		item.until_ms = mute->until_ms;
		tell(step, &item);
	}
}

static void tell_user(void *arg, struct map_node *node)
{
	struct step *step = arg;
	const struct user *user = map_entry(node, const struct user, node);
	struct device device;

	for (const struct record *r = user->devices; r; r = r->next) {
		if (!record_durable(r))
			continue;
		record_copy(r, &device);
		tell(step, &(struct directory_item){
				   .kind = ITEM_DEVICE, .user = user->name, .device = &device});
	}
	if (user->settings)
		tell_settings(step, user->name, user->settings);
}

static void tell_pattern(void *arg, struct map_node *node)
{
	const struct pattern *pattern = map_entry(node, const struct pattern, node);

	tell(arg, &(struct directory_item){
			  .kind = pattern->list == LIST_BLOCK ? ITEM_BLOCK : ITEM_ALLOW,
			  .user = pattern->user->name,
			  .text = pattern->text});
}

bool directory_export(const struct directory *dir, struct directory_cursor *cursor,
	directory_item_fn *fn, void *arg)
{
	struct step step = {.fn = fn, .arg = arg};

	/* An empty bucket is work too. */
	for (size_t buckets = 0; buckets + step.count < STEP_ITEMS && !cursor->at_end; buckets++) {
		if (cursor->in_lists)
			map_walk(&dir->index.patterns, &cursor->place, tell_pattern, &step);
		else
			map_walk(&dir->index.users, &cursor->place, tell_user, &step);
		if (cursor->place)
			continue;
		cursor->at_end = cursor->in_lists;
		cursor->in_lists = true;
	}
	return !cursor->at_end;
}
