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
	size_t sweep_bucket; /* of index.users, where directory_tick() goes on */
};

/* False for an AOR or name that we could not have stored. */
bool directory_text_fits(const char *text, size_t size);

/* Names the record's row, where it has one. */
enum err directory_add_record(struct changes *changes, const struct record *record);

/* Hands a record that was changed in place to the disk, without a `done`. When there is no room
 * it holds in memory only; the next change of the device brings it along. */
void directory_touch(struct directory *dir, const struct record *record);

/* A REGISTER showed that the token (of either kind) lives: so it does for the phone's other
 * accounts. */
void directory_revive(struct directory *dir, const struct token *token, int64_t now_ms);

#endif
