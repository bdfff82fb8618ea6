/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <pbxpush/base/map.h>
#include <pbxpush/core/utf8.h>
#include <pbxpush/core/uuid.h>
#include <pbxpush/status/timeline.h>

#define CHUNK_BYTES    ((size_t)64 * 1024)
#define CHUNKS_MAX     1024
#define TEXT_MAX_BYTES 512
#define STORY_MAX      500 /* entries that are written out */

/* What stands in a chunk, each packed behind the one before. */
struct __attribute__((packed)) entry {
	uint64_t call; /* hash of the Call-ID */
	int64_t at_ms;
	const char *what;
	uint16_t len;  /* with what stands behind it: */
	bool begins;   /* Call-ID and uuid, each with its NUL, */
	uint8_t count; /* so many fields, each with the text of TIMELINE_TEXT behind it */
};

struct __attribute__((packed)) packed_field {
	const char *name;
	union {
		const char *word;
		int64_t number;
		uint16_t len;
	} value;
	uint8_t kind;
};

#define ENTRY_MAX_BYTES                                                                            \
	(sizeof(struct entry) + 2 * TEXT_MAX_BYTES +                                               \
		TIMELINE_FIELDS_MAX * (sizeof(struct packed_field) + TEXT_MAX_BYTES))

struct chunk {
	TAILQ_ENTRY(chunk) link;
	int64_t last_ms;
	size_t calls; /* that begin in it */
	size_t len;
	char data[CHUNK_BYTES];
};

struct timeline {
	size_t max_calls;
	int64_t max_age_ms;
	TAILQ_HEAD(chunk_list, chunk) chunks; /* the oldest first */
	size_t chunk_count, calls;
	char last_id[TEXT_MAX_BYTES];
	uint64_t last_hash;  /* of last_id: things come in runs */
	uint64_t last_begun; /* a hunt group's users follow one another and are one call */
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
	TAILQ_INIT(&timeline->chunks);
	*out = timeline;
	return ERR_OK;
}

static void timeline_drop_first(struct timeline *timeline)
{
	struct chunk *chunk = TAILQ_FIRST(&timeline->chunks);

	TAILQ_REMOVE(&timeline->chunks, chunk, link);
	timeline->chunk_count--;
	timeline->calls -= chunk->calls;
	free(chunk);
}

void timeline_free(struct timeline *timeline)
{
	if (!timeline)
		return;
	while (!TAILQ_EMPTY(&timeline->chunks))
		timeline_drop_first(timeline);
	free(timeline);
}

/* ---- writing ---- */

static void timeline_forget_old(struct timeline *timeline, int64_t now_ms)
{
	const struct chunk *first;

	while ((first = TAILQ_FIRST(&timeline->chunks)) &&
		(now_ms - first->last_ms > timeline->max_age_ms ||
			timeline->calls - first->calls >= timeline->max_calls ||
			timeline->chunk_count > CHUNKS_MAX))
		timeline_drop_first(timeline);
}

/* The chunk that has room for one more entry. NULL without memory. */
static struct chunk *timeline_chunk(struct timeline *timeline, int64_t now_ms)
{
	struct chunk *chunk = TAILQ_LAST(&timeline->chunks, chunk_list);

	if (chunk && CHUNK_BYTES - chunk->len >= ENTRY_MAX_BYTES)
		return chunk;
	timeline_forget_old(timeline, now_ms);
	chunk = malloc(sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->calls = chunk->len = 0;
	TAILQ_INSERT_TAIL(&timeline->chunks, chunk, link);
	timeline->chunk_count++;
	return chunk;
}

static char *pack(char *out, const void *data, size_t len)
{
	memcpy(out, data, len);
	return out + len;
}

static char *pack_name(char *out, const char *name)
{
	size_t len = strnlen(name, TEXT_MAX_BYTES - 1);

	out = pack(out, name, len);
	*out = '\0';
	return out + 1;
}

static char *pack_field(char *out, const struct timeline_field *field)
{
	struct packed_field packed = {.name = field->name, .kind = (uint8_t)field->kind};
	const char *text = field->text && field->text[0] ? field->text : NULL;

	if (field->kind == TIMELINE_NUMBER) {
		packed.value.number = field->number;
	} else if (field->kind == TIMELINE_WORD || !text) {
		packed.value.word = text;
		packed.kind = TIMELINE_WORD;
	} else {
		packed.value.len = (uint16_t)utf8_cut(text, strlen(text), TEXT_MAX_BYTES);
	}
	out = pack(out, &packed, sizeof(packed));
	return packed.kind == TIMELINE_TEXT ? pack(out, text, packed.value.len) : out;
}

static uint64_t timeline_hash(struct timeline *timeline, const char *call_id)
{
	size_t len;

	if (!strcmp(call_id, timeline->last_id))
		return timeline->last_hash;
	len = strlen(call_id);
	timeline->last_hash = map_hash(call_id, len);
	if (len >= sizeof(timeline->last_id))
		len = 0;
	memcpy(timeline->last_id, call_id, len);
	timeline->last_id[len] = '\0';
	return timeline->last_hash;
}

void timeline_add(struct timeline *timeline, const char *call_id, const char *uuid, int64_t wall_ms,
	const char *what, const struct timeline_field *fields, size_t count)
{
	struct entry entry = {.call = timeline_hash(timeline, call_id),
		.at_ms = wall_ms,
		.what = what,
		.begins = uuid != NULL,
		.count = (uint8_t)(count < TIMELINE_FIELDS_MAX ? count : TIMELINE_FIELDS_MAX)};
	struct chunk *chunk = timeline_chunk(timeline, wall_ms);
	char *start, *end;

	if (!chunk)
		return;
	start = chunk->data + chunk->len;
	end = start + sizeof(entry);
	if (uuid) {
		end = pack_name(end, call_id);
		end = pack_name(end, uuid);
	}
	for (size_t i = 0; i < entry.count; i++)
		end = pack_field(end, &fields[i]);
	entry.len = (uint16_t)(end - start);
	memcpy(start, &entry, sizeof(entry));
	chunk->len += entry.len;
	chunk->last_ms = wall_ms;
	if (!uuid || timeline->last_begun == entry.call)
		return;
	timeline->last_begun = entry.call;
	timeline->calls++;
	chunk->calls++;
}

/* ---- reading: rare, so it looks at everything ---- */

/* A walk over all entries. */
struct walk {
	const struct chunk *chunk;
	size_t at;
	struct entry entry;
	const char *call_id, *uuid; /* of an entry that begins a call */
	const char *fields;         /* the packed ones */
};

static bool walk_next(const struct timeline *timeline, struct walk *walk)
{
	const char *text;

	if (!walk->chunk)
		walk->chunk = TAILQ_FIRST(&timeline->chunks);
	else
		walk->at += walk->entry.len;
	while (walk->chunk && walk->at == walk->chunk->len) {
		walk->chunk = TAILQ_NEXT(walk->chunk, link);
		walk->at = 0;
	}
	if (!walk->chunk)
		return false;
	text = walk->chunk->data + walk->at;
	memcpy(&walk->entry, text, sizeof(walk->entry));
	text += sizeof(walk->entry);
	walk->call_id = walk->uuid = NULL;
	if (walk->entry.begins) {
		walk->call_id = text;
		walk->uuid = text + strlen(text) + 1;
		text = walk->uuid + strlen(walk->uuid) + 1;
	}
	walk->fields = text;
	return true;
}

/* What a first look at a call's entries brings. */
struct story {
	uint64_t call;
	const char *call_id;
	const char *uuids[TIMELINE_UUIDS_MAX]; /* the oldest first */
	size_t uuid_count, entries;
	int64_t first_ms, last_ms;
	struct walk first;    /* at its first entry */
	const char *namesake; /* Call-ID of the newest call that has what was asked for as uuid */
};

static void story_add_uuid(struct story *story, const char *uuid)
{
	for (size_t i = 0; i < story->uuid_count; i++)
		if (!strcmp(story->uuids[i], uuid))
			return;
	if (story->uuid_count < TIMELINE_UUIDS_MAX)
		story->uuids[story->uuid_count++] = uuid;
}

/* One look at everything is all that a call's answer takes, or two where it was asked for by uuid:
 * 64 MiB are 10 ms, and calls wait meanwhile. */
static bool story_find(
	const struct timeline *timeline, const char *id, int64_t now_ms, struct story *out)
{
	struct story story = {.call = map_hash(id, strlen(id)), .call_id = id};
	struct walk walk = {0};
	char uuid[UUID_SIZE];
	bool is_uuid = uuid_normalize(id, uuid);

	while (walk_next(timeline, &walk)) {
		if (is_uuid && walk.uuid && !strcmp(walk.uuid, uuid))
			story.namesake = walk.call_id;
		if (walk.entry.call != story.call)
			continue;
		if (!story.entries++) {
			story.first = walk;
			story.first_ms = walk.entry.at_ms;
		}
		story.last_ms = walk.entry.at_ms;
		if (walk.uuid)
			story_add_uuid(&story, walk.uuid);
	}
	*out = story;
	return story.entries && now_ms - story.last_ms <= timeline->max_age_ms;
}

static const char *write_field(const char *at, struct buf *out)
{
	struct packed_field field;

	memcpy(&field, at, sizeof(field));
	at += sizeof(field);
	buf_add_char(out, ',');
	buf_add_json(out, field.name);
	buf_add_char(out, ':');
	if (field.kind == TIMELINE_NUMBER) {
		buf_add_int(out, field.value.number);
	} else if (field.kind == TIMELINE_WORD) {
		buf_add_json(out, field.value.word);
	} else {
		buf_add_json_len(out, at, field.value.len);
		at += field.value.len;
	}
	return at;
}

static void write_entry(const struct walk *walk, int64_t first_ms, struct buf *out)
{
	const char *at = walk->fields;

	buf_add_str(out, "{\"at_ms\":");
	buf_add_int(out, walk->entry.at_ms);
	buf_add_str(out, ",\"ms\":");
	buf_add_int(out, walk->entry.at_ms - first_ms);
	buf_add_str(out, ",\"what\":");
	buf_add_json(out, walk->entry.what);
	for (size_t i = 0; i < walk->entry.count; i++)
		at = write_field(at, out);
	buf_add_char(out, '}');
}

/* The last STORY_MAX entries. */
static void write_entries(
	const struct timeline *timeline, const struct story *story, size_t skip, struct buf *out)
{
	struct walk walk = story->first;
	const char *comma = "";

	for (size_t left = story->entries; left; walk_next(timeline, &walk)) {
		if (walk.entry.call != story->call)
			continue;
		if (left-- > story->entries - skip)
			continue;
		buf_add_str(out, comma);
		comma = ",";
		write_entry(&walk, story->first_ms, out);
	}
}

bool timeline_write(struct timeline *timeline, const char *id, int64_t now_ms, struct buf *out)
{
	struct story story;
	size_t dropped;

	timeline_forget_old(timeline, now_ms);
	if (!story_find(timeline, id, now_ms, &story) &&
		(!story.namesake || !story_find(timeline, story.namesake, now_ms, &story)))
		return false;
	dropped = story.entries > STORY_MAX ? story.entries - STORY_MAX : 0;
	buf_add_str(out, "{\"call\":");
	buf_add_json(out, story.call_id);
	buf_add_str(out, ",\"uuids\":[");
	for (size_t i = story.uuid_count; i > 0; i--) {
		if (i < story.uuid_count)
			buf_add_char(out, ',');
		buf_add_json(out, story.uuids[i - 1]);
	}
	buf_add_str(out, "],\"timeline\":[");
	write_entries(timeline, &story, dropped, out);
	buf_add_char(out, ']');
	if (dropped) {
		buf_add_str(out, ",\"dropped\":");
		buf_add_int(out, (long long)dropped);
	}
	buf_add_char(out, '}');
	return true;
}
