/* SPDX-License-Identifier: MIT */
#include <sys/stat.h>

#include "event_socket_fixture.h"

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
/* Those turned away are bounded too: the kernel's descriptors are not ours to give. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_framing),
		TEST(test_any_byte_reaches_the_sink),
		TEST(test_long_lines),
		TEST(test_replies),
		TEST(test_half_closed_client_gets_its_replies),
		TEST(test_what_a_client_sent_before_it_left_counts),
		TEST(test_client_that_leaves_is_forgotten),
		TEST(test_stop),
		TEST(test_stop_lets_a_slow_reader_finish),
		TEST(test_reconfigure),
		TEST(test_taken_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
