/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
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
	const struct reply_port *replies;

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

static void fixture_took(struct fixture *f, struct reply_to to)
{
	if (f->taken < 4)
		f->clients[f->taken] = to.client;
	f->taken++;
	if (to.client < 4 && !f->taken_by[to.client]++ && to.client == 2)
		f->seen_before = f->taken_by[1];
	if (f->reply)
		f->replies->reply(f->replies->self, to, f->reply, strlen(f->reply));
}

static void fixture_line(void *self, struct reply_to to, enum client_role role, const char *line,
	size_t len, int64_t read_us)
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

static void fixture_too_long(void *self, struct reply_to to)
{
	struct fixture *f = self;

	buf_add_str(&f->log, "TOO LONG|");
	fixture_took(f, to);
}

static void fixture_guard(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fail_msg("what was waited for did not happen");
}

static void fixture_open(struct fixture *f)
{
	char why[128];

	if (event_socket_new(f->base, &f->options, &f->sink, &f->socket, why, sizeof(why)))
		fail_msg("%s", why);
	f->replies = event_socket_replies(f->socket);
}

static int setup(void **state)
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

static int teardown(void **state)
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
static void settle(struct fixture *f)
{
	for (int i = 0; i < 400; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

#define RUN_UNTIL(f, condition)                                                                    \
	while (!(condition))                                                                       \
	event_base_loop((f)->base, EVLOOP_ONCE)

static int dial(struct fixture *f)
{
	int fd;

	assert_int_equal(unix_socket_connect(f->options.path, &fd), ERR_OK);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* In one piece: many small ones would fill the kernel's buffer with their overhead. */
static void put_times(int fd, const char *text, int times)
{
	struct buf all = {0};

	while (times-- > 0)
		buf_add_str(&all, text);
	put(fd, buf_str(&all));
	buf_free(&all);
}

static void answer(struct fixture *f, uint64_t client, const char *text)
{
	f->replies->reply(f->replies->self, (struct reply_to){client}, text, strlen(text));
}

/* Reads what is there. Returns what ended it: 0 the end of the stream, else an errno. */
static int get(int fd, struct buf *out)
{
	char chunk[65536];
	ssize_t len;

	while ((len = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		buf_add(out, chunk, (size_t)len);
	return len ? errno : 0;
}

static void expect(int fd, const char *text, int end)
{
	struct buf got = {0};

	assert_int_equal(get(fd, &got), end);
	assert_string_equal(buf_str(&got), text);
	buf_free(&got);
}

#define FULL "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" /* 64 bytes */

static const struct {
	const char *name, *input, *lines;
} framing[] = {
	{"line feed", "one\ntwo\n", "one|two|"},
	{"CR LF", "one\r\ntwo\r\n", "one|two|"},
	{"mixed", "one\r\ntwo\nthree\r\n", "one|two|three|"},
	{"empty lines", "\n\r\n\none\n\n\r\n", "one|"},
	{"last line without its end", "one\ntwo", "one|two|"},
	{"last line with half an end", "one\r", "one|"},
	{"nothing", "", ""},
	{"only a CR", "\r", ""},
	{"CR inside", "a\rb\n\r\r\n", "a\rb|\r|"},
	{"blanks are a line", " \n", " |"},
	{"as long as may be", FULL "\n", FULL "|"},
	{"as long as may be, CR LF", FULL "\r\n", FULL "|"},
	{"as long as may be, at the end", FULL, FULL "|"},
	{"as long as may be, CR at the end", FULL "\r", FULL "|"},
	{"too long", FULL "x\nnext\n", "TOO LONG|next|"},
	{"too long, CR LF", FULL "x\r\nnext\n", "TOO LONG|next|"},
	{"too long, at the end", FULL "x", "TOO LONG|"},
	{"much too long, said once", FULL FULL FULL "\r" FULL "\nnext\n", "TOO LONG|next|"},
	{"much too long, at the end", FULL FULL FULL, "TOO LONG|"},
	{"twice too long", FULL "x\n" FULL FULL "\nok\n", "TOO LONG|TOO LONG|ok|"},
};

/* In one piece, and byte by byte. */
static void test_framing(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < 2 * sizeof(framing) / sizeof(framing[0]); i++) {
		const char *input = framing[i / 2].input;
		int fd = dial(f);
		if (i % 2)
			for (; *input; input++) {
				put(fd, (char[]){*input, 0});
				settle(f);
			}
		else
			put(fd, input);
		shutdown(fd, SHUT_WR);
		settle(f);
		if (strcmp(buf_str(&f->log), framing[i / 2].lines) != 0)
			fail_msg("%s: %s", framing[i / 2].name, buf_str(&f->log));
		close(fd);
		settle(f);
		assert_int_equal(event_socket_clients(f->socket), 0);
		buf_reset(&f->log);
	}
}

static void test_any_byte_reaches_the_sink(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	assert_int_equal(send(fd, "a\0b\xff\n", 5, 0), 5);
	RUN_UNTIL(f, f->taken == 1);
	assert_int_equal(f->log.len, 5);
	assert_memory_equal(f->log.data, "a\0b\xff|", 5);
	close(fd);
}

/* The longest line and the memory around it: no copy may be off by one when the buffer grows. */
static void test_long_lines(void **state)
{
	struct fixture *f = *state;
	size_t max_line = 65536;
	char *line = malloc(max_line + 2), why[128];

	f->options.max_line = max_line;
	assert_int_equal(
		event_socket_reconfigure(f->socket, &f->options, why, sizeof(why)), ERR_OK);
	int fd = dial(f);
	for (size_t len = max_line - 1; len <= max_line + 1; len++) {
		memset(line, 'x', len);
		line[len] = '\n';
		buf_reset(&f->log);
		for (size_t sent = 0; sent <= len;) {
			ssize_t n = send(fd, line + sent, len + 1 - sent, 0);
			sent += n > 0 ? (size_t)n : 0;
			settle(f);
		}
		if (len > max_line)
			assert_string_equal(buf_str(&f->log), "TOO LONG|");
		else
			assert_int_equal(f->log.len, len + 1);
	}
	assert_int_equal(f->taken, 3);
	free(line);
	close(fd);
}

static void test_replies(void **state)
{
	struct fixture *f = *state;
	int a = dial(f), b = dial(f);

	put(a, "1\n2\n");
	RUN_UNTIL(f, f->taken == 2);
	put(b, "3\n");
	RUN_UNTIL(f, f->taken == 3);
	assert_int_equal(f->clients[0], f->clients[1]);
	assert_int_not_equal(f->clients[0], f->clients[2]);
	assert_false(event_socket_is_drained(f->socket));
	answer(f, f->clients[2], "three");
	answer(f, f->clients[0], "two");
	answer(f, f->clients[0], "one");
	answer(f, f->clients[0], "one too many");
	answer(f, 12345, "nobody");
	settle(f);
	expect(a, "two\none\n", EAGAIN);
	expect(b, "three\n", EAGAIN);
	f->reply = "at once";
	put(a, "4\n5\n" FULL "x\n");
	sends = 0;
	settle(f);
	assert_int_equal(sends, 1); /* one a turn, however many replies */
	expect(a, "at once\nat once\nat once\n", EAGAIN);
	assert_true(event_socket_is_drained(f->socket));
	assert_int_equal(event_socket_clients(f->socket), 2);
	close(a);
	close(b);
}

static void test_half_closed_client_gets_its_replies(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	put(fd, "1\n2");
	shutdown(fd, SHUT_WR);
	settle(f);
	assert_string_equal(buf_str(&f->log), "1|2|");
	expect(fd, "", EAGAIN);
	answer(f, f->clients[0], "two");
	settle(f);
	expect(fd, "two\n", EAGAIN);
	answer(f, f->clients[0], "one");
	settle(f);
	expect(fd, "one\n", 0);
	assert_int_equal(event_socket_clients(f->socket), 0);
	close(fd);
}

/* The kernel holds some of the replies too: what its buffer takes is not ours to bound. */
#define KERNEL_BYTES ((size_t)1024 * 1024)

static void test_lines_wait_for_a_slow_reader(void **state)
{
	struct fixture *f = *state;
	enum { LINES = 3000, REPLY_BYTES = 4095 };
	char reply[REPLY_BYTES + 1] = "";
	struct buf got = {0};
	int fd = dial(f), other = dial(f);

	memset(reply, 'r', REPLY_BYTES);
	f->reply = reply;
	put_times(fd, "go\n", LINES);
	settle(f);
	size_t taken = f->taken;
	assert_in_range(taken, 64, 1 + (KERNEL_BYTES + (size_t)256 * 1024) / (REPLY_BYTES + 1));
	settle(f);
	assert_int_equal(f->taken, taken);
	assert_false(event_socket_is_drained(f->socket));

	put(other, "x\n"); /* which does not concern anybody else */
	settle(f);
	assert_int_equal(f->taken, taken + 1);
	while (got.len < (size_t)LINES * (REPLY_BYTES + 1)) {
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		assert_int_equal(get(fd, &got), EAGAIN);
	}
	assert_int_equal(f->taken, LINES + 1);
	assert_int_equal(got.len, (size_t)LINES * (REPLY_BYTES + 1));
	for (size_t i = 0; i < LINES; i++)
		assert_int_equal(got.data[i * (REPLY_BYTES + 1) + REPLY_BYTES], '\n');
	buf_free(&got);
	close(fd);
	close(other);
}

static void test_unanswered_lines_are_bounded(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	for (int i = 0; i < 17; i++) {
		put_times(fd, "x\n", 4096);
		settle(f);
	}
	assert_int_equal(f->taken, 65536);
	answer(f, f->clients[0], "ok");
	answer(f, f->clients[0], "ok");
	settle(f);
	assert_int_equal(f->taken, 65538);
	expect(fd, "ok\nok\n", EAGAIN);
	close(fd);
}

static void test_flood_starves_nobody(void **state)
{
	struct fixture *f = *state;
	int a = dial(f), b = dial(f);

	f->reply = "ok";
	put_times(a, "x\n", 8000);
	put(b, "y\n");
	settle(f);
	assert_int_equal(f->taken_by[1], 8000);
	assert_int_equal(f->taken_by[2], 1);
	assert_in_range(f->seen_before, 0, 512);
	close(a);
	close(b);
}

#define OVERLOADED                                                                                 \
	"{\"ok\":false,\"error\":\"overloaded\",\"field\":null,"                                   \
	"\"message\":\"too many clients are connected (max-clients)\"}\n"
#define NOT_PERMITTED                                                                              \
	"{\"ok\":false,\"error\":\"not-permitted\",\"field\":null,"                                \
	"\"message\":\"this user may not send events (allow-users)\"}\n"

static void test_clients_are_bounded(void **state)
{
	struct fixture *f = *state;
	int fds[9];

	for (int i = 0; i < 8; i++)
		fds[i] = dial(f);
	settle(f);
	assert_int_equal(event_socket_clients(f->socket), 8);
	fds[8] = dial(f);
	put(fds[8], "before\n"); /* neither loses the answer ... */
	settle(f);
	put(fds[8], "after\n"); /* ... nor breaks the pipe */
	settle(f);
	expect(fds[8], OVERLOADED, 0);
	assert_int_equal(f->taken, 0);
	close(fds[0]);
	settle(f);
	assert_int_equal(event_socket_clients(f->socket), 7);
	fds[0] = dial(f);
	put(fds[0], "hello\n");
	settle(f);
	assert_string_equal(buf_str(&f->log), "hello|");
	assert_int_equal(f->clients[0], 9); /* a number of its own, though a place was free */
	for (int i = 0; i < 9; i++)
		close(fds[i]);
}

/* Those turned away are bounded too: the kernel's descriptors are not ours to give. */
static void test_refusals_are_bounded(void **state)
{
	struct fixture *f = *state;
	int fds[64], open = 0;
	char why[128];

	f->options.max_clients = 0;
	assert_int_equal(
		event_socket_reconfigure(f->socket, &f->options, why, sizeof(why)), ERR_OK);
	for (int i = 0; i < 64; i++) {
		fds[i] = dial(f);
		settle(f);
	}
	for (int i = 0; i < 64; i++) {
		open += send(fds[i], "x\n", 2, MSG_NOSIGNAL) == 2;
		expect(fds[i], OVERLOADED, 0);
		close(fds[i]);
	}
	assert_int_equal(open, 32);
	settle(f);
}

static void test_permissions(void **state)
{
	struct fixture *f = *state;
	uid_t me = getuid(), us[] = {me + 1, me}, other = me + 1;
	const struct {
		const uid_t *allow;
		size_t allow_count;
		const uid_t *admin;
		size_t admin_count;
		bool permitted;
		enum client_role role;
	} table[] = {
		{NULL, 0, NULL, 0, true, ROLE_ADMIN},
		{us, 2, NULL, 0, true, ROLE_ADMIN},
		{&other, 1, NULL, 0, false, ROLE_CALLS},
		{&other, 1, &me, 1, false, ROLE_CALLS},
		{NULL, 0, &me, 1, true, ROLE_ADMIN},
		{NULL, 0, &other, 1, true, ROLE_CALLS},
		{&me, 1, us, 2, true, ROLE_ADMIN},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		f->options.allow = table[i].allow;
		f->options.allow_count = table[i].allow_count;
		f->options.admin = table[i].admin;
		f->options.admin_count = table[i].admin_count;
		event_socket_free(f->socket);
		fixture_open(f);
		f->taken = 0;
		int fd = dial(f);
		put(fd, "hello\n");
		settle(f);
		assert_int_equal(f->taken, table[i].permitted);
		if (table[i].permitted)
			assert_int_equal(f->role, table[i].role);
		else
			expect(fd, NOT_PERMITTED, 0);
		close(fd);
	}
}

static void test_what_a_client_sent_before_it_left_counts(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	f->reply = "ok";
	put(fd, "1\n");
	settle(f); /* its reply stays unread: closing resets the connection */
	put_times(fd, "x\n", 1000);
	put(fd, "last");
	close(fd);
	settle(f);
	assert_int_equal(f->taken, 1002);
	assert_int_equal(event_socket_clients(f->socket), 0);
	assert_true(event_socket_is_drained(f->socket));
}

static void test_client_that_leaves_is_forgotten(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f), next;

	put(fd, "1\n");
	shutdown(fd, SHUT_WR);
	settle(f);
	assert_int_equal(event_socket_clients(f->socket), 1);
	close(fd); /* it is owed a reply, but nobody is there to get it */
	settle(f);
	assert_int_equal(event_socket_clients(f->socket), 0);
	next = dial(f);
	put(next, "2\n");
	settle(f);
	assert_int_not_equal(f->clients[0], f->clients[1]);
	answer(f, f->clients[0], "for the first");
	answer(f, f->clients[1], "for the second");
	settle(f);
	expect(next, "for the second\n", EAGAIN);
	close(next);
}

/* The one that waits because it does not read leaves too, with lines that were never handed on. */
static void test_slow_reader_that_leaves(void **state)
{
	struct fixture *f = *state;
	char reply[32768] = "";
	int fd = dial(f);

	memset(reply, 'r', sizeof(reply) - 1);
	f->reply = reply;
	put_times(fd, "go\n", 1000);
	settle(f);
	assert_in_range(f->taken, 8, 100);
	close(fd);
	settle(f);
	assert_int_equal(f->taken, 1000);
	assert_int_equal(event_socket_clients(f->socket), 0);
}

struct lift {
	struct rlimit limit;
	bool done;
};

static void lift_limit(evutil_socket_t fd, short what, void *arg)
{
	struct lift *lift = arg;

	(void)fd;
	(void)what;
	setrlimit(RLIMIT_NOFILE, &lift->limit);
	lift->done = true;
}

static void test_no_descriptors_left(void **state)
{
	struct fixture *f = *state;
	struct lift lift = {.done = false};
	int fd = dial(f), turns = 0;
	struct event timer;

	getrlimit(RLIMIT_NOFILE, &lift.limit);
	struct rlimit none = {.rlim_cur = (rlim_t)fd, .rlim_max = lift.limit.rlim_max};
	f->reply = "ok";
	put(fd, "hello\n");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	log_set_level(LOG_LEVEL_ERROR);
	evtimer_assign(&timer, f->base, lift_limit, &lift);
	event_add(&timer, &(struct timeval){.tv_usec = 20000});
	while (!f->taken) {
		event_base_loop(f->base, EVLOOP_ONCE);
		turns++;
	}
	assert_true(lift.done);
	assert_in_range(turns, 2, 10); /* not thousands: it did not spin */
	settle(f);
	expect(fd, "ok\n", EAGAIN);
	close(fd);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;
	int busy = dial(f), idle = dial(f), none;

	put(busy, "1\n2\n");
	settle(f);
	event_socket_stop(f->socket);
	assert_int_equal(unix_socket_connect(f->path, &none), ERR_IO);
	put(busy, "3\n");
	settle(f);
	assert_int_equal(f->taken, 2);
	expect(idle, "", 0);
	assert_false(event_socket_is_drained(f->socket));
	answer(f, f->clients[0], "one");
	answer(f, f->clients[0], "two");
	assert_false(event_socket_is_drained(f->socket));
	settle(f);
	assert_true(event_socket_is_drained(f->socket));
	assert_int_equal(event_socket_clients(f->socket), 0);
	struct buf got = {0};
	get(busy, &got);
	assert_string_equal(buf_str(&got), "one\ntwo\n");
	buf_free(&got);
	close(busy);
	close(idle);
}

static void test_stop_lets_a_slow_reader_finish(void **state)
{
	struct fixture *f = *state;
	char reply[32768] = "";
	struct buf got = {0};
	int fd = dial(f);

	memset(reply, 'r', sizeof(reply) - 1);
	f->reply = reply;
	put_times(fd, "go\n", 100);
	settle(f);
	event_socket_stop(f->socket);
	size_t owed = f->taken * sizeof(reply);
	while (!event_socket_is_drained(f->socket)) {
		get(fd, &got);
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	settle(f);
	get(fd, &got);
	assert_int_equal(got.len, owed);
	buf_free(&got);
	close(fd);
}

static void test_reconfigure(void **state)
{
	struct fixture *f = *state;
	uid_t other = getuid() + 1;
	char why[128] = "";
	struct stat st;
	int fd = dial(f), late, blocker;

	put(fd, "1\n");
	settle(f);
	assert_int_equal(f->role, ROLE_ADMIN);

	/* A path that is taken: nothing has changed. */
	assert_int_equal(
		unix_socket_listen(f->other_path, 0600, (gid_t)-1, &blocker, why, sizeof(why)),
		ERR_OK);
	f->options.path = f->other_path;
	f->options.admin = &other;
	f->options.admin_count = 1;
	assert_int_equal(
		event_socket_reconfigure(f->socket, &f->options, why, sizeof(why)), ERR_EXISTS);
	assert_non_null(strstr(why, f->other_path));
	put(fd, "2\n");
	settle(f);
	assert_int_equal(f->role, ROLE_ADMIN);
	unix_socket_close(blocker, f->other_path);

	/* A new path: the old one goes, who is connected stays, and has its new role. */
	assert_int_equal(
		event_socket_reconfigure(f->socket, &f->options, why, sizeof(why)), ERR_OK);
	assert_int_equal(access(f->path, F_OK), -1);
	late = dial(f);
	put(fd, "3\n");
	settle(f);
	assert_int_equal(f->role, ROLE_CALLS);
	put(late, "4\n");
	settle(f);
	assert_string_equal(buf_str(&f->log), "1|2|3|4|");

	/* Other rights on the same path; who is no longer allowed gets what it is owed. */
	f->options.mode = 0600;
	f->options.allow = &other;
	f->options.allow_count = 1;
	assert_int_equal(
		event_socket_reconfigure(f->socket, &f->options, why, sizeof(why)), ERR_OK);
	assert_int_equal(stat(f->other_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	put(fd, "5\n");
	settle(f);
	assert_string_equal(buf_str(&f->log), "1|2|3|4|");
	for (int i = 0; i < 3; i++)
		answer(f, f->clients[0], "ok");
	settle(f);
	struct buf got = {0};
	get(fd, &got);
	assert_string_equal(buf_str(&got), "ok\nok\nok\n");
	buf_free(&got);
	assert_int_equal(event_socket_clients(f->socket), 1);
	close(fd);
	close(late);
}

static void test_taken_path(void **state)
{
	struct fixture *f = *state;
	struct event_socket *second = NULL;
	char why[128] = "";

	assert_int_equal(
		event_socket_new(f->base, &f->options, &f->sink, &second, why, sizeof(why)),
		ERR_EXISTS);
	assert_null(second);
	assert_non_null(strstr(why, f->path));
	close(dial(f));
	event_socket_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_framing),
		TEST(test_any_byte_reaches_the_sink),
		TEST(test_long_lines),
		TEST(test_replies),
		TEST(test_half_closed_client_gets_its_replies),
		TEST(test_lines_wait_for_a_slow_reader),
		TEST(test_unanswered_lines_are_bounded),
		TEST(test_flood_starves_nobody),
		TEST(test_clients_are_bounded),
		TEST(test_refusals_are_bounded),
		TEST(test_permissions),
		TEST(test_what_a_client_sent_before_it_left_counts),
		TEST(test_client_that_leaves_is_forgotten),
		TEST(test_slow_reader_that_leaves),
		TEST(test_no_descriptors_left),
		TEST(test_stop),
		TEST(test_stop_lets_a_slow_reader_finish),
		TEST(test_reconfigure),
		TEST(test_taken_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
