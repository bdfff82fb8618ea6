/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <pbxpush/base/map.h>
#include <pbxpush/core/uuid.h>
#include <pbxpush/status/timeline.h>

#define TIMELINE_STORY_BYTES ((size_t)8 * 1024) /* a call */
#define TIMELINE_USUAL_BYTES ((size_t)500)      /* a call that rings a phone */
#define TIMELINE_UUIDS_MAX   16                 /* a call; a queue that tries for ever makes more */

/* Another uuid of a call; most have one. */
struct story_uuid {
	SLIST_ENTRY(story_uuid) link;
	char text[UUID_SIZE];
};

struct story {
	struct map_node node;
	TAILQ_ENTRY(story) link;
	char uuid[UUID_SIZE];                  /* the newest, "" where there is none */
	SLIST_HEAD(, story_uuid) former_uuids; /* the newest first */
	size_t uuid_count;
	int64_t first_ms, last_ms; /* wall time of its entries */
	struct buf entries;        /* packed, one behind the other */
	size_t dropped;
	char call_id[];
};

struct timeline {
	size_t max_calls;
	int64_t max_age_ms;
	struct map by_call_id;
	TAILQ_HEAD(story_list, story) stories; /* by the time of their last entry */
	struct buf spare;                      /* memory of a story that went, for the next one */
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
	if (map_init(&timeline->by_call_id)) {
		timeline_free(timeline);
		return ERR_NOMEM;
	}
	map_reserve(&timeline->by_call_id, max_calls);
	*out = timeline;
	return ERR_OK;
}

static void story_free(struct timeline *timeline, struct story *story)
{
	struct story_uuid *uuid;

	while ((uuid = SLIST_FIRST(&story->former_uuids))) {
		SLIST_REMOVE_HEAD(&story->former_uuids, link);
		free(uuid);
	}
	map_remove(&timeline->by_call_id, &story->node);
	TAILQ_REMOVE(&timeline->stories, story, link);
	buf_free(&timeline->spare);
	timeline->spare = story->entries;
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
	buf_free(&timeline->spare);
	free(timeline);
}

static bool story_has_call_id(const struct map_node *node, const void *key, size_t len)
{
	const struct story *story = map_entry(node, const struct story, node);

	return strlen(story->call_id) == len && !memcmp(story->call_id, key, len);
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
	SLIST_INIT(&story->former_uuids);
	memcpy(story->call_id, call_id, len);
	story->entries = timeline->spare;
	timeline->spare = (struct buf){0};
	buf_reset(&story->entries);
	buf_grow(&story->entries, TIMELINE_USUAL_BYTES);
	story->first_ms = wall_ms;
	map_add(&timeline->by_call_id, &story->node, map_hash(call_id, len));
	TAILQ_INSERT_TAIL(&timeline->stories, story, link);
	return story;
}

static bool story_has_uuid(const struct story *story, const char *uuid)
{
	const struct story_uuid *former;

	if (!strcmp(story->uuid, uuid))
		return true;
	SLIST_FOREACH (former, &story->former_uuids, link)
		if (!strcmp(former->text, uuid))
			return true;
	return false;
}

/* Makes the story known under a uuid too. Without memory the one before is forgotten. */
static void story_add_uuid(struct story *story, const char *uuid)
{
	struct story_uuid *former;

	if (story->uuid_count >= TIMELINE_UUIDS_MAX || story_has_uuid(story, uuid))
		return;
	former = story->uuid_count ? malloc(sizeof(*former)) : NULL;
	if (former) {
		memcpy(former->text, story->uuid, sizeof(former->text));
		SLIST_INSERT_HEAD(&story->former_uuids, former, link);
	}
	strncpy(story->uuid, uuid, sizeof(story->uuid) - 1);
	story->uuid_count++;
}

/* One after the other: nobody but a person asks for a uuid. */
static struct story *timeline_find_uuid(const struct timeline *timeline, const char *text)
{
	struct story *story;
	char uuid[UUID_SIZE];

	if (!uuid_normalize(text, uuid))
		return NULL;
	TAILQ_FOREACH_REVERSE(story, &timeline->stories, story_list, link)
	{
		if (story_has_uuid(story, uuid))
			return story;
	}
	return NULL;
}

/* ---- entries: packed when something happens, written out when somebody asks ---- */

struct __attribute__((packed)) entry {
	int64_t at_ms;
	const char *what;
	uint8_t count; /* of the fields behind it */
};

struct __attribute__((packed)) packed_field {
	const char *name;
	union {
		const char *word;
		int64_t number;
		uint32_t len; /* of the text behind it */
	} value;
	uint8_t kind;
};

static void pack_field(struct buf *out, const struct timeline_field *field)
{
	struct packed_field packed = {.name = field->name, .kind = (uint8_t)field->kind};
	const char *text = field->text && field->text[0] ? field->text : NULL;

	if (field->kind == TIMELINE_NUMBER) {
		packed.value.number = field->number;
	} else if (field->kind == TIMELINE_WORD || !text) {
		packed.value.word = text;
		packed.kind = TIMELINE_WORD;
	} else {
		packed.value.len = (uint32_t)strlen(text);
	}
	buf_add(out, &packed, sizeof(packed));
	if (packed.kind == TIMELINE_TEXT)
		buf_add(out, text, packed.value.len);
}

static void unpack(const struct buf *in, size_t *at, void *out, size_t len)
{
	memcpy(out, in->data + *at, len);
	*at += len;
}

static void write_field(const struct buf *entries, size_t *at, struct buf *out)
{
	struct packed_field field;

	unpack(entries, at, &field, sizeof(field));
	buf_add_char(out, ',');
	buf_add_json(out, field.name);
	buf_add_char(out, ':');
	if (field.kind == TIMELINE_NUMBER) {
		buf_add_int(out, field.value.number);
	} else if (field.kind == TIMELINE_WORD) {
		buf_add_json(out, field.value.word);
	} else {
		buf_add_json_len(out, entries->data + *at, field.value.len);
		*at += field.value.len;
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
	struct entry entry = {.at_ms = wall_ms, .what = what, .count = (uint8_t)count};
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
		story_add_uuid(story, uuid);
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
	const struct story_uuid *former;
	struct story *story;

	timeline_forget_old(timeline, now_ms);
	story = timeline_find(timeline, id);
	if (!story)
		story = timeline_find_uuid(timeline, id);
	if (!story)
		return false;
	buf_add_str(out, "{\"call\":");
	buf_add_json(out, story->call_id);
	buf_add_str(out, ",\"uuids\":[");
	if (story->uuid[0])
		buf_add_json(out, story->uuid);
	SLIST_FOREACH (former, &story->former_uuids, link) {
		buf_add_char(out, ',');
		buf_add_json(out, former->text);
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
