/* SPDX-License-Identifier: MIT */
#ifndef EVENT_SOCKET_FIXTURE_H
#define EVENT_SOCKET_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/log.h>
#include <pbxpush/base/unix_socket.h>
#include <pbxpush/pbx/event_socket.h>

/* A real socket in a directory of its own; the clients are descriptors of this process. Nothing is
 * waited for: what a client writes is there for the next turn of the loop. */
struct fixture {
	char dir[64], path[96], other_path[96];
	struct event_base *base;
	struct event guard;
	struct event_sink sink;
	struct event_socket *socket;
	struct event_socket_options options;
	const struct reply_port *replies; /* known with the first line */

	struct buf log;        /* "line|line|TOO LONG|" in the order in which they came */
	size_t taken;          /* lines and too long ones */
	uint64_t clients[4];   /* who sent the first ones */
	enum client_role role; /* of the last line */
	const char *reply;     /* sent at once for each line; NULL: later */
	size_t taken_by[4];    /* by the client's number, which counts from 1 */
	size_t seen_before;    /* lines of client 1 when client 2 had its first */
};

/* Stands before the C library's: counts the system calls of a turn. */
static int sends;

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	sends++;
	return sendto(fd, data, len, flags, NULL, 0);
}

static inline void fixture_took(struct fixture *f, struct reply_to to)
{
	if (f->taken < 4)
		f->clients[f->taken] = to.client;
	f->taken++;
	f->replies = to.port;
	if (to.client < 4 && !f->taken_by[to.client]++ && to.client == 2)
		f->seen_before = f->taken_by[1];
	if (f->reply)
		to.port->reply(to.port->self, to, EVENT_OK, f->reply, strlen(f->reply));
}

static inline void fixture_line(void *self, struct reply_to to, enum client_role role,
	const char *line, size_t len, int64_t read_us)
{
	struct fixture *f = self;

	assert_true(read_us > 0);
	f->role = role;
	if (f->log.len < 4096) {
		buf_add(&f->log, line, len);
		buf_add_char(&f->log, '|');
	}
	fixture_took(f, to);
}

static inline void fixture_too_long(void *self, struct reply_to to)
{
	struct fixture *f = self;

	buf_add_str(&f->log, "TOO LONG|");
	fixture_took(f, to);
}

static inline void fixture_guard(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fail_msg("what was waited for did not happen");
}

static inline void fixture_open(struct fixture *f)
{
	char why[128];

	if (event_socket_new(f->base, &f->options, &f->sink, &f->socket, why, sizeof(why)))
		fail_msg("%s", why);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_LEVEL_ERROR);
	snprintf(f->dir, sizeof(f->dir), "/tmp/pbxpush-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/events.sock", f->dir);
	snprintf(f->other_path, sizeof(f->other_path), "%s/other.sock", f->dir);
	f->base = event_base_new();
	evtimer_assign(&f->guard, f->base, fixture_guard, NULL);
	event_add(&f->guard, &(struct timeval){.tv_sec = 20});
	f->sink = (struct event_sink){f, fixture_line, fixture_too_long};
	f->options = (struct event_socket_options){
		.path = f->path, .mode = 0660, .gid = (gid_t)-1, .max_clients = 8, .max_line = 64};
	fixture_open(f);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	event_socket_free(f->socket);
	event_del(&f->guard);
	event_base_free(f->base);
	buf_free(&f->log);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* Turns the loop until everything that can happen has happened. */
static inline void settle(struct fixture *f)
{
	for (int i = 0; i < 400; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

#define RUN_UNTIL(f, condition)                                                                    \
	while (!(condition))                                                                       \
	event_base_loop((f)->base, EVLOOP_ONCE)

static inline int dial(struct fixture *f)
{
	int fd;

	assert_int_equal(unix_socket_connect(f->options.path, &fd), ERR_OK);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* In one piece: many small ones would fill the kernel's buffer with their overhead. */
static inline void put_times(int fd, const char *text, int times)
{
	struct buf all = {0};

	while (times-- > 0)
		buf_add_str(&all, text);
	put(fd, buf_str(&all));
	buf_free(&all);
}

static inline void answer(struct fixture *f, uint64_t client, const char *text)
{
	f->replies->reply(f->replies->self, (struct reply_to){f->replies, client}, EVENT_OK, text,
		strlen(text));
}

/* Reads what is there. Returns what ended it: 0 the end of the stream, else an errno. */
static inline int get(int fd, struct buf *out)
{
	char chunk[65536];
	ssize_t len;

	while ((len = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		buf_add(out, chunk, (size_t)len);
	return len ? errno : 0;
}

static inline void expect(int fd, const char *text, int end)
{
	struct buf got = {0};

	assert_int_equal(get(fd, &got), end);
	assert_string_equal(buf_str(&got), text);
	buf_free(&got);
}

#define FULL "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" /* 64 bytes */

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
