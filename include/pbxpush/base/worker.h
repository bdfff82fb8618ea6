/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_WORKER_H
#define PBXPUSH_BASE_WORKER_H

#include <pbxpush/base/err.h>

/*
 * One thread for what may block (fsync, getaddrinfo, files), so that the event loop never does.
 * Jobs run in order. When one has run, worker_fd() becomes readable and worker_collect(), called on
 * the loop's thread, calls each finished job's `done`.
 */
struct worker;

typedef void worker_fn(void *arg);

/* name: at most 15 characters, seen in ps -T. All signals are blocked in the thread. */
enum err worker_new(struct worker **out, const char *name);

/* Runs `run(arg)` on the thread, later `done(arg)` on the loop's thread (done may be NULL).
 * ERR_NOMEM, or ERR_CLOSED from a `done` that worker_free() calls: neither will run. */
enum err worker_submit(struct worker *worker, worker_fn *run, worker_fn *done, void *arg);

/* Readable when there is something to collect. Owned by the worker. */
int worker_fd(const struct worker *worker);

void worker_collect(struct worker *worker);

/* Waits for the jobs handed in, calls every `done`, ends the thread. Accepts NULL. */
void worker_free(struct worker *worker);

/* Gives the thread up without waiting, for a worker whose job may hang for long (getaddrinfo): no
 * `done` is called any more. When the job returns, its thread calls `drop(arg)` (may be NULL) for
 * it and for every job that waits or was not collected, and frees the worker. Take worker_fd() out
 * of the event loop first. Accepts NULL. */
void worker_abandon(struct worker *worker, worker_fn *drop);

#endif
