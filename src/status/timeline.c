/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <pbxpush/base/map.h>
#include <pbxpush/core/uuid.h>
#include <pbxpush/status/timeline.h>

#define TIMELINE_STORY_BYTES ((size_t)8 * 1024) /* a call */
#define TIMELINE_UUIDS_MAX   16                 /* a call; a queue that tries for ever makes more */

struct story;

struct story_uuid {
	struct map_node node;
	SLIST_ENTRY(story_uuid) link;
	struct story *story;
	char uuid[UUID_SIZE];
};

struct story {
	struct map_node node;
	TAILQ_ENTRY(story) link;
	SLIST_HEAD(, story_uuid) uuids; /* the newest first */
	size_t uuid_count;
	int64_t first_ms, last_ms; /* wall time of its entries */
	struct buf entries;        /* packed, one behind the other */
	size_t dropped;
	struct story_uuid first_uuid; /* most calls have no other; in use where `story` is set */
	char call_id[];
};

struct timeline {
	size_t max_calls;
	int64_t max_age_ms;
	struct map by_call_id, by_uuid;
	TAILQ_HEAD(story_list, story) stories; /* by the time of their last entry */
};

enum err timeline_new(size_t max_calls, int64_t max_age_ms, struct timeline **out)
{
	struct timeline *timeline;

	if (!max_calls)
		return ERR_INVAL;
	timeline = calloc(1, sizeof(*timeline));
	if (!timeline)
		return ERR_NOMEM;
	timeline->max_calls = max_calls;
	timeline->max_age_ms = max_age_ms;
	TAILQ_INIT(&timeline->stories);
	if (map_init(&timeline->by_call_id) || map_init(&timeline->by_uuid)) {
		timeline_free(timeline);
		return ERR_NOMEM;
	}
	*out = timeline;
	return ERR_OK;
}

static void story_free(struct timeline *timeline, struct story *story)
{
	struct story_uuid *uuid;

	while ((uuid = SLIST_FIRST(&story->uuids))) {
		SLIST_REMOVE_HEAD(&story->uuids, link);
		map_remove(&timeline->by_uuid, &uuid->node);
		if (uuid != &story->first_uuid)
			free(uuid);
	}
	map_remove(&timeline->by_call_id, &story->node);
	TAILQ_REMOVE(&timeline->stories, story, link);
	buf_free(&story->entries);
	free(story);
}

void timeline_free(struct timeline *timeline)
{
	struct story *story;

	if (!timeline)
		return;
	while ((story = TAILQ_FIRST(&timeline->stories)))
		story_free(timeline, story);
	map_free(&timeline->by_call_id);
	map_free(&timeline->by_uuid);
	free(timeline);
}

static bool story_has_call_id(const struct map_node *node, const void *key, size_t len)
{
	const struct story *story = map_entry(node, const struct story, node);

	return strlen(story->call_id) == len && !memcmp(story->call_id, key, len);
}

static bool story_uuid_is(const struct map_node *node, const void *key, size_t len)
{
	const struct story_uuid *uuid = map_entry(node, const struct story_uuid, node);

	return strlen(uuid->uuid) == len && !memcmp(uuid->uuid, key, len);
}

static struct story *timeline_find(const struct timeline *timeline, const char *call_id)
{
	struct story *newest = TAILQ_LAST(&timeline->stories, story_list);
	struct map_node *node;

	if (newest && !strcmp(newest->call_id, call_id)) /* entries come in runs */
		return newest;
	node = map_find(&timeline->by_call_id, call_id, strlen(call_id), story_has_call_id);

	return node ? map_entry(node, struct story, node) : NULL;
}

static void timeline_forget_old(struct timeline *timeline, int64_t now_ms)
{
	struct story *oldest;

	while ((oldest = TAILQ_FIRST(&timeline->stories)) &&
		now_ms - oldest->last_ms > timeline->max_age_ms)
		story_free(timeline, oldest);
}

static struct story *story_new(struct timeline *timeline, const char *call_id, int64_t wall_ms)
{
	size_t len = strlen(call_id);
	struct story *story = calloc(1, sizeof(*story) + len + 1);

	if (!story)
		return NULL;
	if (timeline->by_call_id.count >= timeline->max_calls)
		story_free(timeline, TAILQ_FIRST(&timeline->stories));
	SLIST_INIT(&story->uuids);
	memcpy(story->call_id, call_id, len);
	story->first_ms = wall_ms;
	map_add(&timeline->by_call_id, &story->node, map_hash(call_id, len));
	TAILQ_INSERT_TAIL(&timeline->stories, story, link);
	return story;
}

/* Makes the story known under a uuid too. Without memory it is found by its Call-ID only. */
static void story_add_uuid(struct timeline *timeline, struct story *story, const char *text)
{
	struct story_uuid *uuid;
	char normal[UUID_SIZE];

	uuid = SLIST_FIRST(&story->uuids);
	if ((uuid && !strcmp(uuid->uuid, text)) || !uuid_normalize(text, normal))
		return;
	SLIST_FOREACH (uuid, &story->uuids, link)
		if (!strcmp(uuid->uuid, normal))
			return;
	uuid = &story->first_uuid;
	if (story->uuid_count)
		uuid = story->uuid_count < TIMELINE_UUIDS_MAX ? calloc(1, sizeof(*uuid)) : NULL;
	if (!uuid)
		return;
	uuid->story = story;
	memcpy(uuid->uuid, normal, sizeof(normal));
	map_add(&timeline->by_uuid, &uuid->node, map_hash(normal, strlen(normal)));
	SLIST_INSERT_HEAD(&story->uuids, uuid, link);
	story->uuid_count++;
}

/* ---- entries: packed when something happens, written out when somebody asks ---- */

struct entry {
	int64_t at_ms;
	const char *what;
	size_t count; /* of the fields behind it */
};

/* Behind a field of TIMELINE_TEXT stands its text, number bytes of it. */

static void pack_field(struct buf *out, const struct timeline_field *field)
{
	struct timeline_field packed = *field;

	if (field->text && !field->text[0])
		packed.text = NULL;
	if (packed.kind == TIMELINE_TEXT && packed.text)
		packed.number = (int64_t)strlen(packed.text);
	buf_add(out, &packed, sizeof(packed));
	if (packed.kind == TIMELINE_TEXT)
		buf_add(out, packed.text, (size_t)packed.number);
}

static void unpack(const struct buf *in, size_t *at, void *out, size_t len)
{
	memcpy(out, in->data + *at, len); /* nothing in there is aligned */
	*at += len;
}

static void write_field(const struct buf *entries, size_t *at, struct buf *out)
{
	struct timeline_field field;

	unpack(entries, at, &field, sizeof(field));
	buf_add_char(out, ',');
	buf_add_json(out, field.name);
	buf_add_char(out, ':');
	switch (field.kind) {
	case TIMELINE_NUMBER:
		buf_add_int(out, field.number);
		break;
	case TIMELINE_WORD:
		buf_add_json(out, field.text);
		break;
	case TIMELINE_TEXT:
		if (field.text)
			buf_add_json_len(out, entries->data + *at, (size_t)field.number);
		else
			buf_add_json(out, NULL);
		*at += (size_t)field.number;
		break;
	}
}

static void write_entries(const struct story *story, struct buf *out)
{
	struct entry entry;

	for (size_t at = 0; at < story->entries.len;) {
		if (at)
			buf_add_char(out, ',');
		unpack(&story->entries, &at, &entry, sizeof(entry));
		buf_add_str(out, "{\"at_ms\":");
		buf_add_int(out, entry.at_ms);
		buf_add_str(out, ",\"ms\":");
		buf_add_int(out, entry.at_ms - story->first_ms);
		buf_add_str(out, ",\"what\":");
		buf_add_json(out, entry.what);
		while (entry.count--)
			write_field(&story->entries, &at, out);
		buf_add_char(out, '}');
	}
}

void timeline_add(struct timeline *timeline, const char *call_id, const char *uuid, int64_t wall_ms,
	const char *what, const struct timeline_field *fields, size_t count)
{
	struct entry entry = {.at_ms = wall_ms, .what = what, .count = count};
	struct story *story;
	size_t len;

	timeline_forget_old(timeline, wall_ms);
	story = timeline_find(timeline, call_id);
	if (story) {
		TAILQ_REMOVE(&timeline->stories, story, link);
		TAILQ_INSERT_TAIL(&timeline->stories, story, link);
	} else {
		story = story_new(timeline, call_id, wall_ms);
	}
	if (!story)
		return;
	story->last_ms = wall_ms;
	if (uuid)
		story_add_uuid(timeline, story, uuid);
	len = story->entries.len;
	buf_add(&story->entries, &entry, sizeof(entry));
	for (size_t i = 0; i < count; i++)
		pack_field(&story->entries, &fields[i]);
	if (story->entries.failed || story->entries.len > TIMELINE_STORY_BYTES) {
		story->entries.failed = false; /* half an entry is none: undo it */
		story->entries.len = len;
		story->dropped++;
	}
}

bool timeline_write(struct timeline *timeline, const char *id, int64_t now_ms, struct buf *out)
{
	struct story *story;
	struct story_uuid *uuid;
	char normal[UUID_SIZE];

	timeline_forget_old(timeline, now_ms);
	story = timeline_find(timeline, id);
	if (!story && uuid_normalize(id, normal)) {
		struct map_node *node =
			map_find(&timeline->by_uuid, normal, strlen(normal), story_uuid_is);
		story = node ? map_entry(node, struct story_uuid, node)->story : NULL;
	}
	if (!story)
		return false;
	buf_add_str(out, "{\"call\":");
	buf_add_json(out, story->call_id);
	buf_add_str(out, ",\"uuids\":[");
	SLIST_FOREACH (uuid, &story->uuids, link) {
		if (uuid != SLIST_FIRST(&story->uuids))
			buf_add_char(out, ',');
		buf_add_json(out, uuid->uuid);
	}
	buf_add_str(out, "],\"timeline\":[");
	write_entries(story, out);
	buf_add_char(out, ']');
	if (story->dropped) {
		buf_add_str(out, ",\"dropped\":");
		buf_add_int(out, (long long)story->dropped);
	}
	buf_add_char(out, '}');
	return true;
}
