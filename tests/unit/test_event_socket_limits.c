/* SPDX-License-Identifier: MIT */
#include <sys/resource.h>

#include "event_socket_fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines_wait_for_a_slow_reader),
		TEST(test_unanswered_lines_are_bounded),
		TEST(test_flood_starves_nobody),
		TEST(test_clients_are_bounded),
		TEST(test_refusals_are_bounded),
		TEST(test_permissions),
		TEST(test_slow_reader_that_leaves),
		TEST(test_no_descriptors_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
