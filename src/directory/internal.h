/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DIRECTORY_INTERNAL_H
#define PBXPUSH_DIRECTORY_INTERNAL_H

#include <stdint.h>

#include <pbxpush/directory/directory.h>

#include "index.h"
#include "writer.h"

struct directory {
	struct index index;
	struct writer *writer;
	size_t max_devices;
	int64_t device_ttl_ms;
	uint64_t sweep_place; /* of a walk of index.users, where directory_tick() goes on */
};

/* False for an AOR or name that we could not have stored. */
bool directory_text_fits(const char *text, size_t size);

/*
 * An operation on one row of a user's settings: edit_begin(), whatever else may fail,
 * edit_prepare(), the change of the index, and in any case edit_end() with what came of it.
 */
struct edit {
	struct directory *dir;
	struct user *user;
	struct settings *settings; /* of the user, to be changed */
	struct changes changes;
};

enum err edit_begin(struct edit *edit, struct directory *dir, enum change_kind kind,
	const char *user, const char *name);
enum err edit_prepare(struct edit *edit, directory_done_fn *done, void *arg);
void edit_end(struct edit *edit, enum err err);

/* Names the record's row, where it has one. */
enum err directory_add_record(struct changes *changes, const struct record *record);

/* Hands a record that was changed in place to the disk, without a `done`. When there is no room
 * it holds in memory only; the next change of the device brings it along. */
void directory_touch(struct directory *dir, const struct record *record);

/* A REGISTER showed that the token (of either kind) lives: so it does for the phone's other
 * accounts. */
void directory_revive(struct directory *dir, const struct token *token, int64_t now_ms);

#endif
