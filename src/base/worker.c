/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pbxpush/base/worker.h>

#define WORKER_NAME_SIZE 16 /* pthread_setname_np(3) */

struct job {
	struct job *next;
	worker_fn *run, *done;
	void *arg;
};

struct queue {
	struct job *first, **last;
};

struct worker {
	pthread_t thread;
	char name[WORKER_NAME_SIZE];
	int fd;
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t wake;
	struct queue waiting, finished;
	bool stopping;   /* the thread ends when nothing waits */
	bool abandoned;  /* the thread ends after its job, and then owns the worker */
	worker_fn *drop; /* of the abandoned one */
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_push(struct queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct job *queue_pop(struct queue *queue)
{
	struct job *job = queue->first;

	if (job && !(queue->first = job->next))
		queue->last = &queue->first;
	return job;
}

static void worker_drop_all(struct worker *worker, struct queue *queue)
{
	for (struct job *job; (job = queue_pop(queue)); free(job))
		if (worker->drop)
			worker->drop(job->arg);
}

static void worker_destroy(struct worker *worker)
{
	if (worker->fd >= 0)
		close(worker->fd);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

/* Entered and left with the lock held; the job runs without it. */
static void worker_run_one(struct worker *worker, struct job *job)
{
	const uint64_t one = 1;

	pthread_mutex_unlock(&worker->lock);
	job->run(job->arg);
	pthread_mutex_lock(&worker->lock);
	queue_push(&worker->finished, job);
	/* Fails only when the counter is full, and then the descriptor is readable anyway. */
	ssize_t written = write(worker->fd, &one, sizeof(one));
	(void)written;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct job *job;

	pthread_setname_np(pthread_self(), worker->name);
	pthread_mutex_lock(&worker->lock);
	while (!worker->abandoned) {
		if ((job = queue_pop(&worker->waiting)))
			worker_run_one(worker, job);
		else if (worker->stopping)
			break;
		else
			pthread_cond_wait(&worker->wake, &worker->lock);
	}
	bool ours = worker->abandoned;
	pthread_mutex_unlock(&worker->lock);
	if (ours) {
		worker_drop_all(worker, &worker->finished);
		worker_drop_all(worker, &worker->waiting);
		worker_destroy(worker);
	}
	return NULL;
}

enum err worker_new(struct worker **out, const char *name)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	sigset_t all, old;

	if (!worker)
		return ERR_NOMEM;
	memcpy(worker->name, name, strnlen(name, WORKER_NAME_SIZE - 1));
	queue_init(&worker->waiting);
	queue_init(&worker->finished);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wake, NULL);
	worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->fd < 0) {
		worker_destroy(worker);
		return ERR_IO;
	}
	/* The thread inherits the mask: signals belong to the event loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failed = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failed) {
		worker_destroy(worker);
		return ERR_IO;
	}
	*out = worker;
	return ERR_OK;
}

enum err worker_submit(struct worker *worker, worker_fn *run, worker_fn *done, void *arg)
{
	enum err err = ERR_OK;
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return ERR_NOMEM;
	*job = (struct job){.run = run, .done = done, .arg = arg};
	pthread_mutex_lock(&worker->lock);
	if (worker->stopping) {
		err = ERR_CLOSED;
	} else {
		queue_push(&worker->waiting, job);
		pthread_cond_signal(&worker->wake);
	}
	pthread_mutex_unlock(&worker->lock);
	if (err)
		free(job);
	return err;
}

int worker_fd(const struct worker *worker)
{
	return worker->fd;
}

void worker_collect(struct worker *worker)
{
	struct job *job, *next;
	uint64_t count;

	pthread_mutex_lock(&worker->lock);
	/* Under the lock, so that a job which ends from here on makes it readable again. */
	ssize_t got = read(worker->fd, &count, sizeof(count));
	(void)got;
	job = worker->finished.first;
	queue_init(&worker->finished);
	pthread_mutex_unlock(&worker->lock);

	for (; job; job = next) {
		next = job->next;
		if (job->done)
			job->done(job->arg);
		free(job);
	}
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	worker_collect(worker);
	worker_destroy(worker);
}

void worker_abandon(struct worker *worker, worker_fn *drop)
{
	if (!worker)
		return;
	pthread_detach(worker->thread);
	pthread_mutex_lock(&worker->lock);
	worker->drop = drop;
	worker->abandoned = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock); /* the thread may free it from here on */
}
