/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DIRECTORY_STORE_H
#define PBXPUSH_DIRECTORY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>
#include <pbxpush/base/map.h>

struct index;
struct record;
struct store;

/* Room for a sentence about a database file. */
#define STORE_WHY_SIZE 512

enum change_kind {
	CHANGE_DEVICE,
	CHANGE_DND,
	CHANGE_BLOCK,
	CHANGE_ALLOW,
	CHANGE_SCHEDULE,
	CHANGE_WAITING,
	CHANGE_MUTE,
};

/*
 * A row that must be written: at first only its key, then, when its batch is made, with what the
 * index says at that moment (writer.h). Owns its row and shares only app names with the index.
 */
struct change {
	struct change *next;
	struct map_node node;
	uint64_t seq;
	uint64_t through;   /* goes to the disk together with every key up to here; 0: alone */
	bool present;       /* write the row; false: delete it */
	struct record *row; /* of a device, a copy */
	char *text;         /* of a schedule, a copy */
	int64_t number;     /* until_ms, or whether call waiting is wanted */
	uint16_t key_len;
	char key[]; /* kind, user NUL, device, pattern or conversation NUL */
};

enum change_kind change_kind(const struct change *change);
const char *change_user(const struct change *change);
const char *change_name(const struct change *change);
/* Takes out what was filled in. */
void change_empty(struct change *change);
void change_free(struct change *change);

/*
 * Opens or creates the database, alone: a second one is refused. why: a sentence for the
 * administrator on failure.
 */
enum err store_open(const char *path, struct store **out, char *why, size_t why_size);

/* Reads everything into an empty index. */
enum err store_load(
	struct store *store, struct index *index, int64_t now_ms, char *why, size_t why_size);

/* Writes the changes in one transaction that is on disk on return. May run on any one thread at
 * a time. ERR_STORAGE: none of them is written, why has SQLite's words. */
enum err store_apply(struct store *store, const struct change *changes, char *why, size_t why_size);

/* Accepts NULL. */
void store_close(struct store *store);

#endif
