/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_DIRECTORY_FIXTURE_H
#define TESTS_UNIT_DIRECTORY_FIXTURE_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pbxpush/directory/directory.h>

/* A directory in a temporary folder, and what its `done` were told. */
struct fixture {
	char folder[64], path[96];
	struct directory *dir;
	struct directory_options options;
	int pending, good, bad; /* `done`: awaited, ERR_OK, ERR_STORAGE */
	bool inside;            /* a function of the directory runs: no `done` may */
};

static inline void fixture_done(void *arg, enum err err)
{
	struct fixture *f = arg;

	assert_false(f->inside);
	assert_true(f->pending > 0);
	f->pending--;
	if (err == ERR_OK) {
		f->good++;
	} else {
		assert_int_equal(err, ERR_STORAGE);
		f->bad++;
	}
}

/* Says that a call which took fixture_done has returned. */
static inline enum err fixture_took(struct fixture *f, enum err err)
{
	f->inside = false;
	if (!err)
		f->pending++;
	return err;
}

#define TAKE(f, call) ((f)->inside = true, fixture_took((f), (call)))

static inline void fixture_open_at(struct fixture *f, int64_t now_ms)
{
	char why[512] = "";
	enum err err = directory_open(&f->options, now_ms, &f->dir, why, sizeof(why));

	if (err)
		fail_msg("open: %s", why);
}

static inline void fixture_new(struct fixture *f, int max_devices, int64_t ttl_ms)
{
	*f = (struct fixture){.folder = "/tmp/pbxpush-directory-XXXXXX"};
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/directory.db", f->folder);
	f->options = (struct directory_options){f->path, max_devices, ttl_ms};
}

/* Until every `done` has run and everything is on disk. */
static inline void fixture_settle(struct fixture *f)
{
	struct directory_stats stats;

	for (;;) {
		directory_stats(f->dir, 0, &stats);
		if (!f->pending && !stats.unwritten)
			return;
		struct pollfd poll_fd = {.fd = directory_fd(f->dir), .events = POLLIN};
		assert_int_equal(poll(&poll_fd, 1, 20000), 1);
		directory_collect(f->dir);
	}
}

static inline void fixture_reopen(struct fixture *f, int64_t now_ms)
{
	directory_close(f->dir);
	assert_int_equal(f->pending, 0);
	fixture_open_at(f, now_ms);
}

static inline void fixture_remove_files(const struct fixture *f)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	char path[128];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(f->folder), 0);
}

static inline void fixture_free(struct fixture *f)
{
	directory_close(f->dir);
	assert_int_equal(f->pending, 0);
	fixture_remove_files(f);
}

/* A token of 64 times this digit. Four of them live at a time. */
static inline const char *token_of(char digit)
{
	static char tokens[4][65];
	static int next;

	if (!digit)
		return NULL;
	char *token = tokens[next++ % 4];
	memset(token, digit, 64);
	token[64] = '\0';
	return token;
}

#endif
