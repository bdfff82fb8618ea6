/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/worker.h>

#define JOBS 50

struct log {
	int runs[JOBS], run_count, dones[JOBS], done_count;
	pthread_t run_thread, done_thread;
};

struct job {
	struct log *log;
	int number;
};

static void job_run(void *arg)
{
	struct job *job = arg;

	job->log->runs[job->log->run_count++] = job->number;
	job->log->run_thread = pthread_self();
}

static void job_done(void *arg)
{
	struct job *job = arg;

	job->log->dones[job->log->done_count++] = job->number;
	job->log->done_thread = pthread_self();
}

static void submit_all(struct worker *worker, struct job *jobs, struct log *log)
{
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = (struct job){log, i};
		assert_int_equal(worker_submit(worker, job_run, job_done, &jobs[i]), ERR_OK);
	}
}

static void assert_in_order(const struct log *log)
{
	assert_int_equal(log->run_count, JOBS);
	assert_int_equal(log->done_count, JOBS);
	for (int i = 0; i < JOBS; i++) {
		assert_int_equal(log->runs[i], i);
		assert_int_equal(log->dones[i], i);
	}
	assert_false(pthread_equal(log->run_thread, pthread_self()));
	assert_true(pthread_equal(log->done_thread, pthread_self()));
}

static void test_collect_when_readable(void **state)
{
	struct worker *worker = NULL;
	struct job jobs[JOBS];
	struct log log = {0};

	(void)state;
	assert_int_equal(worker_new(&worker, "a-name-that-is-far-too-long"), ERR_OK);
	struct pollfd poll_fd = {.fd = worker_fd(worker), .events = POLLIN};
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	submit_all(worker, jobs, &log);
	while (log.done_count < JOBS) {
		assert_int_equal(poll(&poll_fd, 1, 10000), 1);
		worker_collect(worker);
	}
	assert_in_order(&log);
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	worker_collect(worker); /* nothing there */
	worker_free(worker);
}

static void test_free_finishes(void **state)
{
	struct worker *worker = NULL;
	struct job jobs[JOBS];
	struct log log = {0};

	(void)state;
	assert_int_equal(worker_new(&worker, "test"), ERR_OK);
	submit_all(worker, jobs, &log);
	worker_free(worker);
	assert_in_order(&log);
	worker_free(NULL);
}

static void nothing(void *arg)
{
	(void)arg;
}

struct resubmission {
	struct worker *worker;
	enum err err;
};

static void resubmit(void *arg)
{
	struct resubmission *again = arg;

	again->err = worker_submit(again->worker, nothing, resubmit, again);
}

static void test_no_job_after_free(void **state)
{
	struct resubmission again = {.err = ERR_OK};

	(void)state;
	assert_int_equal(worker_new(&again.worker, "test"), ERR_OK);
	assert_int_equal(worker_submit(again.worker, nothing, resubmit, &again), ERR_OK);
	worker_free(again.worker);
	assert_int_equal(again.err, ERR_CLOSED);
}

static void read_mask(void *arg)
{
	pthread_sigmask(SIG_BLOCK, NULL, arg);
}

static void test_signals_are_blocked(void **state)
{
	struct worker *worker = NULL;
	sigset_t mask, ours;

	(void)state;
	assert_int_equal(worker_new(&worker, "test"), ERR_OK);
	assert_int_equal(worker_submit(worker, read_mask, NULL, &mask), ERR_OK);
	worker_free(worker);
	assert_true(sigismember(&mask, SIGTERM));
	assert_true(sigismember(&mask, SIGHUP));
	pthread_sigmask(SIG_BLOCK, NULL, &ours);
	assert_false(sigismember(&ours, SIGTERM));
}

static sem_t entered, leave, dropped;
static int unexpected;

static void hang(void *arg)
{
	(void)arg;
	sem_post(&entered);
	sem_wait(&leave);
}

static void never(void *arg)
{
	(void)arg;
	unexpected++;
}

static void drop(void *arg)
{
	sem_post(arg);
}

static void test_abandon(void **state)
{
	struct worker *worker = NULL;

	(void)state;
	sem_init(&entered, 0, 0);
	sem_init(&leave, 0, 0);
	sem_init(&dropped, 0, 0);
	assert_int_equal(worker_new(&worker, "test"), ERR_OK);
	/* One that was not collected, one that hangs, one that waits. */
	assert_int_equal(worker_submit(worker, nothing, never, &dropped), ERR_OK);
	assert_int_equal(worker_submit(worker, hang, never, &dropped), ERR_OK);
	assert_int_equal(worker_submit(worker, never, never, &dropped), ERR_OK);
	sem_wait(&entered);
	worker_abandon(worker, drop);
	assert_int_equal(sem_trywait(&dropped), -1);
	sem_post(&leave);
	for (int i = 0; i < 3; i++)
		sem_wait(&dropped);
	assert_int_equal(unexpected, 0);
	worker_abandon(NULL, drop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_collect_when_readable),
		cmocka_unit_test(test_free_finishes),
		cmocka_unit_test(test_no_job_after_free),
		cmocka_unit_test(test_signals_are_blocked),
		cmocka_unit_test(test_abandon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
