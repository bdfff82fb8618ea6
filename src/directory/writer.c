/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/log.h>
#include <pbxpush/base/map.h>
#include <pbxpush/base/worker.h>

#include "writer.h"

/* A batch is filled on the loop's thread, so its size bounds how long a call may wait for that. */
#define BATCH_MAX       2000
/* While the disk refuses, one of these probes it. */
#define BATCH_MAX_SICK  16
/* Of schedules. */
#define BATCH_BYTES_MAX 1000000

struct waiter {
	struct waiter *next;
	uint64_t seq; /* runs when every key up to here is on disk; 0: with the next batch */
	directory_done_fn *done;
	void *arg;
};

struct writer {
	struct store *store;
	struct worker *worker;
	writer_fill_fn *fill;
	void *fill_arg;

	/* Ordered by seq: a key keeps its place when it is changed again before its batch is
	 * made. */
	struct change *first, **last;
	struct map keys; /* of the queue */
	size_t queued, flying;
	uint64_t seq; /* of the newest key */

	struct waiter *first_waiter, **last_waiter;
	size_t waiters;

	/* The batch in flight. The worker's thread alone touches it between submit and done. */
	bool busy;
	struct change *batch;
	uint64_t batch_seq; /* every key up to here is in the batch, or on disk already */
	enum err batch_err;
	char batch_why[STORE_WHY_SIZE];

	bool sick, closing;
	bool retry; /* once more after the batch in flight, even if that fails */
	char why[STORE_WHY_SIZE];
};

static void writer_kick(struct writer *writer);

/* ---- an operation's keys ---- */

static char *key_put(char *at, const char *text)
{
	size_t size = strlen(text) + 1;

	return (char *)memcpy(at, text, size) + size;
}

enum err changes_add(
	struct changes *changes, enum change_kind kind, const char *user, const char *name)
{
	size_t len = 1 + strlen(user) + 1 + strlen(name) + 1;
	struct change *change = calloc(1, sizeof(*change) + len);

	if (!change)
		return ERR_NOMEM;
	change->key_len = (uint16_t)len; /* AOR_SIZE and DEVICE_NAME_SIZE bound it */
	change->key[0] = (char)kind;
	key_put(key_put(change->key + 1, user), name);
	change->next = changes->first;
	changes->first = change;
	changes->count++;
	return ERR_OK;
}

void changes_drop(struct changes *changes)
{
	struct change *next;

	for (struct change *change = changes->first; change; change = next) {
		next = change->next;
		change_free(change);
	}
	free(changes->waiter);
	*changes = (struct changes){0};
}

enum err writer_prepare(
	struct writer *writer, struct changes *changes, directory_done_fn *done, void *arg)
{
	if (writer->waiters >= WRITER_QUEUE_MAX)
		return ERR_LIMIT;
	/* The last operation may overshoot: deleting a user must not fail for being large. */
	if (changes->count && writer_unwritten(writer) >= WRITER_QUEUE_MAX)
		return ERR_LIMIT;
	if (!done)
		return ERR_OK;
	changes->waiter = malloc(sizeof(*changes->waiter));
	if (!changes->waiter)
		return ERR_NOMEM;
	*changes->waiter = (struct waiter){.done = done, .arg = arg};
	return ERR_OK;
}

/* ---- the queue ---- */

static bool key_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct change *change = map_entry(node, const struct change, node);

	return change->key_len == len && memcmp(change->key, key, len) == 0;
}

/* The change in the queue that has the same key, or NULL. */
static struct change *queue_find(const struct writer *writer, const struct change *change)
{
	struct map_node *node = map_find(&writer->keys, change->key, change->key_len, key_equal);

	return node ? map_entry(node, struct change, node) : NULL;
}

static void queue_count(struct writer *writer, struct change *change)
{
	map_add(&writer->keys, &change->node, map_hash(change->key, change->key_len));
	writer->queued++;
}

static void change_join(struct change *change, uint64_t through)
{
	if (change->through < through)
		change->through = through;
}

static void queue_push(struct writer *writer, struct change *change, uint64_t through)
{
	struct change *waiting = queue_find(writer, change);

	change_join(waiting ? waiting : change, through);
	if (waiting) {
		change_free(change);
		return;
	}
	change->seq = ++writer->seq;
	change->next = NULL;
	*writer->last = change;
	writer->last = &change->next;
	queue_count(writer, change);
}

static struct change *queue_pop(struct writer *writer)
{
	struct change *change = writer->first;

	writer->first = change->next;
	if (!writer->first)
		writer->last = &writer->first;
	map_remove(&writer->keys, &change->node);
	writer->queued--;
	change->next = NULL;
	return change;
}

/* Where some keys of a batch wait again, further behind: the last of them, if there are operations
 * of several keys in the batch, which then still must not come apart. */
static uint64_t batch_spread(const struct writer *writer, const struct change *batch)
{
	uint64_t last = 0;
	bool joint = false;

	for (const struct change *change = batch; change; change = change->next) {
		const struct change *waiting = queue_find(writer, change);
		if (waiting && waiting->seq > last)
			last = waiting->seq;
		joint = joint || change->through;
	}
	return joint ? last : 0;
}

/* Puts a batch back at the head, in its order. A key that was changed again meanwhile already
 * waits. */
static void queue_push_back(struct writer *writer, struct change *batch)
{
	struct change **at = &writer->first, *rest = writer->first, *next;
	uint64_t through = batch_spread(writer, batch);

	for (struct change *change = batch; change; change = next) {
		struct change *waiting = queue_find(writer, change);
		next = change->next;
		change_empty(change);
		change_join(waiting ? waiting : change, through);
		if (waiting) {
			change_free(change);
			continue;
		}
		*at = change;
		at = &change->next;
		queue_count(writer, change);
	}
	*at = rest;
	if (!rest)
		writer->last = at;
}

void writer_commit(struct writer *writer, struct changes *changes)
{
	struct waiter *waiter = changes->waiter;
	/* A key that waits already keeps its place: the batch of the first key must reach to the
	 * last, or kill -9 between two batches leaves half of a rename. */
	uint64_t through = changes->count > 1 ? writer->seq + changes->count : 0;
	struct change *next;

	for (struct change *change = changes->first; change; change = next) {
		next = change->next;
		queue_push(writer, change, through);
	}
	if (waiter) {
		waiter->seq = changes->memory_only ? 0 : writer->seq;
		*writer->last_waiter = waiter;
		writer->last_waiter = &waiter->next;
		writer->waiters++;
	}
	*changes = (struct changes){0};
	writer_kick(writer);
}

/* ---- batches ---- */

/* False when nothing could be filled in for want of memory; then the queue is as it was. */
static bool batch_make(struct writer *writer)
{
	size_t max = writer->sick ? BATCH_MAX_SICK : BATCH_MAX;
	struct change **at = &writer->batch, *change;
	size_t bytes = 0;
	uint64_t through = 0;

	writer->batch = NULL;
	writer->batch_err = ERR_OK;
	writer->flying = 0;
	while ((change = writer->first)) {
		bool full = writer->flying >= max || bytes >= BATCH_BYTES_MAX;
		if ((full && change->seq > through) || writer->fill(writer->fill_arg, change))
			break;
		*at = queue_pop(writer);
		at = &change->next;
		writer->flying++;
		bytes += change->text ? strlen(change->text) : 0;
		if (through < change->through)
			through = change->through;
	}
	writer->batch_seq = writer->first ? writer->first->seq - 1 : writer->seq;
	return writer->flying || !writer->first;
}

/* Runs on the worker's thread. */
static void batch_run(void *arg)
{
	struct writer *writer = arg;

	writer->batch_err = store_apply(
		writer->store, writer->batch, writer->batch_why, sizeof(writer->batch_why));
}

static void batch_free(struct change *batch)
{
	struct change *next;

	for (struct change *change = batch; change; change = next) {
		next = change->next;
		change_free(change);
	}
}

static void writer_set_health(struct writer *writer, enum err err)
{
	if (err && !writer->sick)
		log_error("directory", "storage failed, changes wait in memory: %s",
			writer->batch_why);
	else if (!err && writer->sick)
		log_notice("directory", "storage works again");
	writer->sick = err != ERR_OK;
	memcpy(writer->why, err ? writer->batch_why : "", err ? sizeof(writer->why) : 1);
}

/* Takes out those who have waited for this batch: when it failed, that is everybody. */
static struct waiter *waiters_take(struct writer *writer)
{
	struct waiter *taken = writer->first_waiter, **end = &taken;

	while (*end && (writer->sick || (*end)->seq <= writer->batch_seq)) {
		end = &(*end)->next;
		writer->waiters--;
	}
	writer->first_waiter = *end;
	if (!writer->first_waiter)
		writer->last_waiter = &writer->first_waiter;
	*end = NULL;
	return taken;
}

static void waiters_run(struct waiter *waiter, enum err err)
{
	struct waiter *next;

	for (; waiter; waiter = next) {
		next = waiter->next;
		waiter->done(waiter->arg, waiter->seq ? err : ERR_OK);
		free(waiter);
	}
}

/* A `done` may change the directory again, so it runs when everything is in order. */
static void batch_done(void *arg)
{
	struct writer *writer = arg;
	enum err err = writer->batch_err;
	struct change *batch = writer->batch;

	writer->busy = false;
	writer->batch = NULL;
	writer->flying = 0;
	writer_set_health(writer, err);
	if (err)
		queue_push_back(writer, batch);
	else
		batch_free(batch);
	struct waiter *waiters = waiters_take(writer);
	bool again = !err || writer->retry;
	writer->retry = false;
	if (again)
		writer_kick(writer);
	waiters_run(waiters, err);
}

/* Sends the next batch off, unless one is in flight or there is nothing to send. */
static void writer_kick(struct writer *writer)
{
	if (writer->busy || writer->closing || (!writer->first && !writer->first_waiter))
		return;
	if (!batch_make(writer))
		return;
	writer->busy = true;
	if (worker_submit(writer->worker, batch_run, batch_done, writer) == ERR_OK)
		return;
	writer->busy = false;
	writer->flying = 0;
	queue_push_back(writer, writer->batch);
	writer->batch = NULL;
}

void writer_retry(struct writer *writer)
{
	writer->retry = writer->busy;
	writer_kick(writer);
}

/* ---- the rest ---- */

enum err writer_new(struct store *store, writer_fill_fn *fill, void *fill_arg, struct writer **out)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	enum err err = ERR_NOMEM;

	if (!writer)
		return ERR_NOMEM;
	writer->fill = fill;
	writer->fill_arg = fill_arg;
	writer->last = &writer->first;
	writer->last_waiter = &writer->first_waiter;
	err = map_init(&writer->keys);
	if (!err)
		err = worker_new(&writer->worker, "pbxpush-disk");
	if (err)
		goto out;
	writer->store = store;
	*out = writer;
	writer = NULL;
out:
	if (writer)
		map_free(&writer->keys);
	free(writer);
	return err;
}

int writer_fd(const struct writer *writer)
{
	return worker_fd(writer->worker);
}

void writer_collect(struct writer *writer)
{
	worker_collect(writer->worker);
}

bool writer_healthy(const struct writer *writer, const char **why)
{
	if (writer->sick && why)
		*why = writer->why;
	return !writer->sick;
}

size_t writer_unwritten(const struct writer *writer)
{
	return writer->queued + writer->flying;
}

/* The last batches run on this thread, at least one. Those who wait hear of it even when the
 * disk refuses. */
static void writer_finish(struct writer *writer)
{
	do {
		if (batch_make(writer)) {
			batch_run(writer);
		} else {
			writer->batch_err = ERR_STORAGE;
			strcpy(writer->batch_why, "out of memory");
		}
		batch_done(writer);
	} while (writer->first_waiter || (writer->first && !writer->sick));
	if (writer->queued)
		log_error(
			"directory", "%zu changes are lost: the disk refused them", writer->queued);
}

void writer_close(struct writer *writer)
{
	if (!writer)
		return;
	writer->closing = true;
	worker_free(writer->worker);
	writer_finish(writer);
	batch_free(writer->first);
	map_free(&writer->keys);
	store_close(writer->store);
	free(writer);
}
