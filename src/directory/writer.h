/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DIRECTORY_WRITER_H
#define PBXPUSH_DIRECTORY_WRITER_H

#include <pbxpush/directory/directory.h>

#include "store.h"

/*
 * Brings what the index says to the disk, in groups and on a thread of its own.
 *
 * A change queues keys only; the rows are filled in when their batch is made. So many changes of
 * one device are one row, and a batch that failed is tried again with what holds by then.
 */
struct writer;

/* At most so many keys, and so many `done`, wait for the disk. */
#define WRITER_QUEUE_MAX 100000

/* Fills in a change from its key: present, row, text, number. */
typedef enum err writer_fill_fn(void *arg, struct change *change);

/* The keys that one operation is going to change. `{0}` is none. */
struct changes {
	struct change *first;
	size_t count;
	struct waiter *waiter;
	bool memory_only; /* nothing of it belongs on disk: `done` always hears ERR_OK */
};

/* The writer owns the store from now on, where it succeeds. */
enum err writer_new(struct store *store, writer_fill_fn *fill, void *fill_arg, struct writer **out);

/*
 * An operation first names its keys (changes_add), then asks for room (writer_prepare), then
 * changes the index, then hands them over (writer_commit, which cannot fail). On a failure
 * before that it calls changes_drop and has changed nothing. All keys of an operation go to the
 * disk in one transaction.
 */
enum err changes_add(
	struct changes *changes, enum change_kind kind, const char *user, const char *name);
void changes_drop(struct changes *changes);
/* ERR_LIMIT: the queue is full. done may be NULL. */
enum err writer_prepare(
	struct writer *writer, struct changes *changes, directory_done_fn *done, void *arg);
void writer_commit(struct writer *writer, struct changes *changes);

/* See directory_fd(), directory_collect(), directory_healthy(). */
int writer_fd(const struct writer *writer);
void writer_collect(struct writer *writer);
bool writer_healthy(const struct writer *writer, const char **why);

/* Tries again what failed. */
void writer_retry(struct writer *writer);

/* Keys not yet on disk. */
size_t writer_unwritten(const struct writer *writer);

/* Writes what is left, runs every `done`, closes the store. Accepts NULL. */
void writer_close(struct writer *writer);

#endif
