/* SPDX-License-Identifier: MIT */
/* The evapi client against a listener of this process, without a flow behind it. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
#include <pbxpush/pbx/evapi.h>

#define MAX_OPEN 65536

struct fixture {
	struct event_base *base;
	struct event guard, spy;
	struct event_sink sink;
	struct evapi *evapi;
	struct evapi_options options;
	char address[32];
	int listener, peer;

	struct buf log; /* "event|event|TOO LONG|" */
	size_t taken;
	struct reply_to to; /* of the last event */
	enum client_role role;
	const char *reply; /* sent at once for each event; NULL: not */
	size_t taken_at_spy;
};

/* Stands before the C library's: counts the system calls of a turn. */
static int sends;

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	sends++;
	return sendto(fd, data, len, flags, NULL, 0);
}

static void took(struct fixture *f, struct reply_to to)
{
	f->taken++;
	f->to = to;
	if (f->reply)
		to.port->reply(to.port->self, to, EVENT_OK, f->reply, strlen(f->reply));
}

static void on_line(void *self, struct reply_to to, enum client_role role, const char *line,
	size_t len, int64_t read_us)
{
	struct fixture *f = self;

	assert_true(read_us > 0);
	f->role = role;
	if (f->log.len < 4096) {
		buf_add(&f->log, line, len);
		buf_add_char(&f->log, '|');
	}
	took(f, to);
}

static void on_too_long(void *self, struct reply_to to)
{
	struct fixture *f = self;

	buf_add_str(&f->log, "TOO LONG|");
	took(f, to);
}

static void on_guard(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	fail_msg("what was waited for did not happen");
}

#define RUN_UNTIL(f, condition)                                                                    \
	while (!(condition))                                                                       \
	event_base_loop((f)->base, EVLOOP_ONCE)

static bool is_connected(const struct fixture *f)
{
	struct evapi_stats stats;

	evapi_stats(f->evapi, &stats);
	return stats.connected;
}

static size_t owed(const struct fixture *f)
{
	struct evapi_stats stats;

	evapi_stats(f->evapi, &stats);
	return stats.owed;
}

/* The next connection of the client. */
static void accept_peer(struct fixture *f)
{
	RUN_UNTIL(f, is_connected(f));
	f->peer = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(f->peer >= 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	log_set_level(LOG_LEVEL_ERROR);
	f->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(f->listener, 8), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&at, &len), 0);
	snprintf(f->address, sizeof(f->address), "127.0.0.1:%u", ntohs(at.sin_port));
	f->base = event_base_new();
	evtimer_assign(&f->guard, f->base, on_guard, NULL);
	event_add(&f->guard, &(struct timeval){.tv_sec = 30});
	f->sink = (struct event_sink){f, on_line, on_too_long};
	f->options = (struct evapi_options){
		.address = f->address, .role = ROLE_CALLS, .max_line = 20000};
	assert_int_equal(evapi_new(f->base, &f->options, &f->sink, &f->evapi), ERR_OK);
	accept_peer(f);
	sends = 0;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	evapi_free(f->evapi);
	evapi_free(NULL);
	close(f->peer);
	close(f->listener);
	event_del(&f->guard);
	event_base_free(f->base);
	buf_free(&f->log);
	free(f);
	return 0;
}

/* Writes all of it while the client reads. */
static void put(struct fixture *f, const char *data, size_t len)
{
	while (len) {
		ssize_t n = sendto(f->peer, data, len, MSG_NOSIGNAL, NULL, 0);
		assert_true(n > 0 || errno == EAGAIN);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
}

static void put_times(struct fixture *f, const char *text, size_t times)
{
	struct buf all = {0};

	while (times--)
		buf_add_str(&all, text);
	put(f, all.data, all.len);
	buf_free(&all);
}

static void answer(struct reply_to to, const char *text)
{
	to.port->reply(to.port->self, to, EVENT_OK, text, strlen(text));
}

/* Runs the loop until so many bytes are there to be read, and reads them. */
static void expect(struct fixture *f, const char *text)
{
	char data[256] = "";
	ssize_t len = 0;

	RUN_UNTIL(f,
		(len = recv(f->peer, data, sizeof(data) - 1, MSG_PEEK)) >= (ssize_t)strlen(text));
	assert_int_equal(recv(f->peer, data, sizeof(data) - 1, 0), len);
	assert_string_equal(data, text);
}

/* What the client's end says once it has nothing more to say: 0 closed, else an errno. */
static int peer_end(struct fixture *f)
{
	char data[65536];
	ssize_t len;

	while ((len = recv(f->peer, data, sizeof(data), 0)) > 0)
		continue;
	return len ? errno : 0;
}

#define FRAME(text) "27:" text "  ,"
#define A           FRAME("{\"reply\":\"aaaaaaaaaaaaa\"}")

static void test_replies(void **state)
{
	struct fixture *f = *state;
	struct reply_to first, wrong;

	put_times(f, "3:one,", 1);
	RUN_UNTIL(f, f->taken == 1);
	first = f->to;
	assert_int_equal(owed(f), 1);
	put_times(f, "3:two,99999:", 1);
	RUN_UNTIL(f, f->taken == 3);
	assert_string_equal(buf_str(&f->log), "one|two|TOO LONG|");
	assert_int_equal(owed(f), 3);
	wrong = first;
	wrong.client++;
	answer(wrong, "{}"); /* of a connection that is not there */
	assert_int_equal(owed(f), 3);
	for (int i = 0; i < 4; i++) /* one more than there are events */
		answer(first, "{\"reply\":\"aaaaaaaaaaaaa\"}");
	assert_int_equal(owed(f), 0);
	expect(f, A A A);
	assert_int_equal(sends, 1);
	assert_int_equal(peer_end(f), EAGAIN);
}

static void test_replies_from_inside_the_sink(void **state)
{
	struct fixture *f = *state;

	f->reply = "{\"reply\":\"aaaaaaaaaaaaa\"}";
	put_times(f, "3:one,", 3);
	expect(f, A A A);
	assert_int_equal(owed(f), 0);
}

static void on_spy(evutil_socket_t fd, short what, void *arg)
{
	struct fixture *f = arg;

	(void)fd, (void)what;
	f->taken_at_spy = f->taken;
}

/* Others have their turn before everything that was read is done. */
static void test_turns_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct buf all = {0};

	for (int i = 0; i < 2000; i++)
		buf_add_str(&all, "1:x,");
	assert_int_equal(
		sendto(f->peer, all.data, all.len, MSG_NOSIGNAL, NULL, 0), (ssize_t)all.len);
	buf_free(&all);
	evtimer_assign(&f->spy, f->base, on_spy, f);
	RUN_UNTIL(f, f->taken);
	event_add(&f->spy, &(struct timeval){0});
	RUN_UNTIL(f, f->taken_at_spy);
	assert_true(f->taken_at_spy < 1000);
	RUN_UNTIL(f, f->taken == 2000);
	event_del(&f->spy);
}

static void test_too_many_open_events(void **state)
{
	struct fixture *f = *state;
	struct reply_to late;

	put_times(f, "1:x,", MAX_OPEN);
	RUN_UNTIL(f, f->taken == MAX_OPEN);
	assert_true(is_connected(f));
	late = f->to;
	put_times(f, "1:x,", 1);
	RUN_UNTIL(f, !is_connected(f));
	assert_int_equal(owed(f), 0);
	assert_true(peer_end(f) != EAGAIN);
	close(f->peer);
	accept_peer(f);
	put_times(f, "3:one,", 1);
	RUN_UNTIL(f, f->taken == MAX_OPEN + 2);
	answer(late, "{}");
	assert_int_equal(owed(f), 1);
}

/* Somebody who never reads is read from, until more than 4 MiB of replies wait. */
static void test_unread_replies(void **state)
{
	struct fixture *f = *state;
	char reply[16001];

	memset(reply, 'x', sizeof(reply) - 1);
	reply[sizeof(reply) - 1] = '\0';
	f->reply = reply;
	for (int i = 0; i < 20000 && is_connected(f); i++) {
		ssize_t len = sendto(f->peer, "1:x,", 4, MSG_NOSIGNAL, NULL, 0);
		assert_true(len == 4 || errno == EPIPE || errno == ECONNRESET);
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	assert_false(is_connected(f));
	assert_true(f->taken > 4 * 1024 * 1024 / 16000);
	close(f->peer);
	accept_peer(f);
	f->reply = "{\"reply\":\"aaaaaaaaaaaaa\"}";
	put_times(f, "3:one,", 1);
	expect(f, A);
}

static void test_role_and_bound_change(void **state)
{
	struct fixture *f = *state;

	put_times(f, "3:one,", 1);
	RUN_UNTIL(f, f->taken == 1);
	assert_int_equal(f->role, ROLE_CALLS);
	f->options.role = ROLE_ADMIN;
	f->options.max_line = 3;
	assert_int_equal(evapi_reconfigure(f->evapi, &f->options), ERR_OK);
	put_times(f, "3:one,4:four,", 1);
	RUN_UNTIL(f, f->taken == 3);
	assert_int_equal(f->role, ROLE_ADMIN);
	assert_string_equal(buf_str(&f->log), "one|one|TOO LONG|");
}

static void test_stop(void **state)
{
	struct fixture *f = *state;

	put_times(f, "3:one,", 1);
	RUN_UNTIL(f, f->taken == 1);
	evapi_stop(f->evapi);
	put_times(f, "3:two,", 1); /* still handed on */
	RUN_UNTIL(f, f->taken == 2);
	assert_false(evapi_is_drained(f->evapi));
	answer(f->to, "{\"reply\":\"aaaaaaaaaaaaa\"}");
	expect(f, A);
	assert_false(evapi_is_drained(f->evapi));
	answer(f->to, "{\"reply\":\"aaaaaaaaaaaaa\"}");
	expect(f, A);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(peer_end(f), 0);
	put_times(f, "5:three,", 1); /* nobody could answer it */
	assert_false(evapi_is_drained(f->evapi));
	shutdown(f->peer, SHUT_WR);
	RUN_UNTIL(f, evapi_is_drained(f->evapi));
	assert_int_equal(f->taken, 2);
	for (int i = 0; i < 10; i++) /* it is not opened again */
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_false(is_connected(f));
}

/* Whatever is under way when it ends. */
static void test_free_at_any_time(void **state)
{
	struct fixture *f = *state;

	for (int turns = 0; turns < 12; turns++) {
		evapi_free(f->evapi);
		assert_int_equal(evapi_new(f->base, &f->options, &f->sink, &f->evapi), ERR_OK);
		for (int i = 0; i < turns / 3; i++)
			event_base_loop(f->base, turns % 3 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_replies),
		TEST(test_replies_from_inside_the_sink),
		TEST(test_turns_are_bounded),
		TEST(test_too_many_open_events),
		TEST(test_unread_replies),
		TEST(test_role_and_bound_change),
		TEST(test_stop),
		TEST(test_free_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
