/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/resource.h>

#include "directory_fixture.h"

/* Disks that fill up: what was acknowledged is there, and nothing else. */

#define APP "com.example.phone"

static struct rlimit usual;

/* No file may grow beyond its first page, and so no log of SQLite's. */
static void disk_full(bool full)
{
	struct rlimit limit = usual;

	if (full)
		limit.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void failing_new(struct fixture *f)
{
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
	fixture_new(f, 16, 0);
	fixture_open_at(f, 1);
}

static enum err put(struct fixture *f, const char *user, const char *device, char token)
{
	struct registration_result result;
	struct registration reg = {.user = user,
		.device = device,
		.app = token ? APP : NULL,
		.token = token_of(token),
		.presence = true,
		.expires_ms = 1000,
		.now_ms = 1};

	return TAKE(f, directory_register(f->dir, &reg, &result, fixture_done, f));
}

/* Until every `done` has run, on disk or not. */
static void wait_for_done(struct fixture *f)
{
	while (f->pending) {
		struct pollfd poll_fd = {.fd = directory_fd(f->dir), .events = POLLIN};
		assert_int_equal(poll(&poll_fd, 1, 20000), 1);
		directory_collect(f->dir);
	}
}

static bool knows(const struct fixture *f, const char *user, const char *device)
{
	struct device found;

	return directory_find_device(f->dir, user, device, &found);
}

static size_t unwritten(const struct fixture *f)
{
	struct directory_stats stats;

	directory_stats(f->dir, 1, &stats);
	return stats.unwritten;
}

enum recovery { BY_TICK, BY_CHANGE, BY_CLOSE };

static void fail_and_recover(enum recovery recovery)
{
	struct fixture f;
	const char *why = NULL;

	failing_new(&f);
	assert_int_equal(put(&f, "1001", "before", 'a'), ERR_OK);
	fixture_settle(&f);
	assert_true(directory_healthy(f.dir, &why));

	disk_full(true);
	put(&f, "1001", "first", 'b');
	put(&f, "1002", "second", 'c');
	directory_mark_dead(f.dir, token_of('a'), TOKEN_DEAD, 0);
	wait_for_done(&f);
	put(&f, "1003", "third", 'd');
	wait_for_done(&f);
	directory_tick(f.dir, 1);
	int bad = f.bad;
	bool healthy = directory_healthy(f.dir, &why);
	put(&f, "1004", "desk", 0); /* nothing of it belongs on disk */
	wait_for_done(&f);
	disk_full(false);

	assert_int_equal(bad, 3);
	assert_false(healthy);
	assert_non_null(why);
	assert_non_null(strstr(why, f.path));
	assert_int_equal(f.good, 2);
	assert_int_equal(f.bad, 3); /* each once */
	assert_int_equal(unwritten(&f), 4);
	assert_true(knows(&f, "1001", "first") && knows(&f, "1003", "third"));

	if (recovery == BY_TICK)
		directory_tick(f.dir, 1);
	if (recovery == BY_CHANGE)
		put(&f, "1004", "fourth", 'e');
	if (recovery != BY_CLOSE) {
		fixture_settle(&f);
		assert_true(directory_healthy(f.dir, &why));
		assert_int_equal(f.bad, 3);
	}
	fixture_reopen(&f, 1);
	assert_true(knows(&f, "1001", "before") && knows(&f, "1001", "first"));
	assert_true(knows(&f, "1002", "second") && knows(&f, "1003", "third"));
	assert_int_equal(knows(&f, "1004", "fourth"), recovery == BY_CHANGE);
	struct device device;
	assert_true(directory_find_device(f.dir, "1001", "before", &device));
	assert_int_equal(device.token_state, TOKEN_DEAD);
	fixture_free(&f);
}

static void full_disk_recovers(void **state)
{
	(void)state;
	fail_and_recover(BY_TICK);
	fail_and_recover(BY_CHANGE);
	fail_and_recover(BY_CLOSE);
}

/* What never reached the disk is told so, and is not there. */
static void closed_on_a_full_disk(void **state)
{
	struct fixture f;

	(void)state;
	failing_new(&f);
	put(&f, "1001", "before", 'a');
	fixture_settle(&f);
	disk_full(true);
	put(&f, "1001", "lost", 'b');
	directory_close(f.dir);
	disk_full(false);
	assert_int_equal(f.pending, 0);
	assert_int_equal(f.bad, 1);
	fixture_open_at(&f, 1);
	assert_true(knows(&f, "1001", "before"));
	assert_false(knows(&f, "1001", "lost"));
	fixture_free(&f);
}

/* A change that is taken back before it ever was written leaves nothing. */
static void changed_back_while_failing(void **state)
{
	struct fixture f;
	size_t count;

	(void)state;
	failing_new(&f);
	put(&f, "1001", "keep", 'a');
	put(&f, "1001", "drop", 'b');
	fixture_settle(&f);
	disk_full(true);
	put(&f, "1002", "never", 'c');
	wait_for_done(&f);
	TAKE(&f, directory_forget(f.dir, "1002", NULL, &count, fixture_done, &f));
	TAKE(&f, directory_forget(f.dir, "1001", "drop", &count, fixture_done, &f));
	TAKE(&f, directory_forget(f.dir, "1001", "keep", &count, fixture_done, &f));
	put(&f, "1001", "keep", 'd');
	wait_for_done(&f);
	disk_full(false);
	directory_tick(f.dir, 1);
	fixture_settle(&f);
	fixture_reopen(&f, 1);
	struct device device;
	assert_true(directory_find_device(f.dir, "1001", "keep", &device));
	assert_string_equal(device.token, token_of('d'));
	assert_false(knows(&f, "1001", "drop"));
	assert_false(knows(&f, "1002", "never"));
	fixture_free(&f);
}

/* The queue is bounded: beyond it nothing changes, and what is in it is not lost. */
static void queue_is_bounded(void **state)
{
	const size_t limit = 100000;
	struct fixture f;
	size_t taken = 0, deleted;
	char pattern[16];
	enum err err = ERR_OK;

	(void)state;
	failing_new(&f);
	put(&f, "1002", "iphone", 'b');
	fixture_settle(&f);
	disk_full(true);
	while (!err && taken <= limit) {
		snprintf(pattern, sizeof(pattern), "+%zu", taken);
		err = directory_list_add(f.dir, "1001", LIST_BLOCK, pattern, NULL, NULL);
		taken += !err;
	}
	enum err more = put(&f, "1001", "iphone", 'a');
	enum err forgotten =
		TAKE(&f, directory_forget(f.dir, "1002", NULL, &deleted, fixture_done, &f));
	bool there = knows(&f, "1001", "iphone"), still = knows(&f, "1002", "iphone");
	disk_full(false);
	assert_int_equal(err, ERR_LIMIT);
	assert_int_equal(taken, limit);
	assert_int_equal(more, ERR_LIMIT);
	assert_int_equal(forgotten, ERR_LIMIT);
	assert_false(there);
	assert_true(still);
	directory_tick(f.dir, 1);
	fixture_settle(&f);
	assert_int_equal(put(&f, "1001", "iphone", 'a'), ERR_OK);
	fixture_reopen(&f, 1);
	struct directory_stats stats;
	directory_stats(f.dir, 1, &stats);
	assert_int_equal(stats.entries, limit);
	assert_true(knows(&f, "1001", "iphone"));
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_disk_recovers),
		cmocka_unit_test(closed_on_a_full_disk),
		cmocka_unit_test(changed_back_while_failing),
		cmocka_unit_test(queue_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
