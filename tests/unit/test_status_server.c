/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <pbxpush/base/log.h>
#include <pbxpush/base/unix_socket.h>
#include <pbxpush/status/status.h>

struct fixture {
	char dir[64], path[96], other_path[96];
	struct event_base *base;
	struct event guard;
	struct status_options options;
	struct status_provider provider;
	struct status_server *server;
	bool sick;
	size_t big; /* bytes that /status writes */
};

static void show_status(void *self, struct buf *out)
{
	struct fixture *f = self;

	buf_add_str(out, "{\"version\":\"1\"}");
	for (size_t i = 0; i < f->big; i++)
		buf_add_char(out, 'x');
}

static void show_metrics(void *self, struct buf *out)
{
	(void)self;
	buf_add_str(out, "pbxpush_clients 1\n");
}

static bool show_health(void *self, struct buf *out)
{
	struct fixture *f = self;

	buf_add_str(out, f->sick ? "{\"ok\":false}" : "{\"ok\":true}");
	return !f->sick;
}

static void show_calls(void *self, struct buf *out)
{
	(void)self;
	buf_add_str(out, "[]");
}

/* Knows every call but the one called nobody, and says how it read the id. */
static bool show_call(void *self, const char *id, struct buf *out)
{
	(void)self;
	buf_add_str(out, "half a body");
	if (!strcmp(id, "nobody"))
		return false;
	buf_reset(out);
	buf_printf(out, "<%s>", id);
	return true;
}

static void fixture_guard(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fail_msg("what was waited for did not happen");
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char why[128];

	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	snprintf(f->dir, sizeof(f->dir), "/tmp/pbxpush-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/status.sock", f->dir);
	snprintf(f->other_path, sizeof(f->other_path), "%s/other.sock", f->dir);
	f->base = event_base_new();
	evtimer_assign(&f->guard, f->base, fixture_guard, NULL);
	event_add(&f->guard, &(struct timeval){.tv_sec = 20});
	f->options = (struct status_options){f->path, false, 0660, (gid_t)-1};
	f->provider = (struct status_provider){
		f, show_status, show_metrics, show_health, show_calls, show_call};
	if (status_server_new(f->base, &f->options, &f->provider, &f->server, why, sizeof(why)))
		fail_msg("%s", why);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	status_server_free(f->server);
	event_del(&f->guard);
	event_base_free(f->base);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 50; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

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

/* Reads what is there. Returns what ended it: 0 the end of the stream, else an errno. */
static int get(int fd, struct buf *out)
{
	char chunk[65536];
	ssize_t len;

	while ((len = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		buf_add(out, chunk, (size_t)len);
	return len ? errno : 0;
}

#define TEXT    "Content-Type: text/plain; charset=utf-8\r\n"
#define JSON    "Content-Type: application/json\r\n"
#define METRICS "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"

static const struct {
	const char *name, *target;
	int status;
	const char *header, *body;
} targets[] = {
	{"status", "/status", 200, JSON, "{\"version\":\"1\"}"},
	{"with a query", "/status?pretty", 200, JSON, "{\"version\":\"1\"}"},
	{"with a host", "http://pbxpush/status", 200, JSON, "{\"version\":\"1\"}"},
	{"metrics", "/metrics", 200, METRICS, "pbxpush_clients 1\n"},
	{"health", "/health", 200, JSON, "{\"ok\":true}"},
	{"calls", "/calls", 200, JSON, "[]"},
	{"a call", "/calls/1234", 200, JSON, "<1234>"},
	{"call with an at-sign", "/calls/a84b@pc33.example.com", 200, JSON,
		"<a84b@pc33.example.com>"},
	{"percent-encoded", "/calls/a%40b%2Fc%25d%20e%2f", 200, JSON, "<a@b/c%d e/>"},
	{"slash as it is", "/calls/a/b", 200, JSON, "<a/b>"},
	{"plus is a plus", "/calls/a+b", 200, JSON, "<a+b>"},
	{"half an escape", "/calls/a%4", 200, JSON, "<a%4>"},
	{"UTF-8", "/calls/%C3%BC", 200, JSON, "<\xc3\xbc>"},
	{"NUL in the name", "/calls/a%00b", 404, TEXT, "not found\n"},
	{"unknown call", "/calls/nobody", 404, TEXT, "not found\n"},
	{"no call", "/calls/", 404, TEXT, "not found\n"},
	{"unknown", "/nothing", 404, TEXT, "not found\n"},
	{"longer than known", "/statuses", 404, TEXT, "not found\n"},
	{"below a known one", "/status/x", 404, TEXT, "not found\n"},
	{"shorter than known", "/stat", 404, TEXT, "not found\n"},
	{"case counts", "/Status", 404, TEXT, "not found\n"},
	{"encoded path is not ours", "/%73tatus", 404, TEXT, "not found\n"},
};

static void ask(struct fixture *f, const char *request, struct buf *got)
{
	int fd = dial(f);

	put(fd, request);
	settle(f);
	buf_reset(got);
	get(fd, got);
	close(fd);
	settle(f);
}

/* By GET and by HEAD. */
static void test_targets(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};
	char request[256], status[32], length[64];

	for (size_t i = 0; i < 2 * sizeof(targets) / sizeof(targets[0]); i++) {
		const char *body = targets[i / 2].body;
		snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: pbxpush\r\n\r\n",
			i % 2 ? "HEAD" : "GET", targets[i / 2].target);
		snprintf(status, sizeof(status), "HTTP/1.1 %d ", targets[i / 2].status);
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
		ask(f, request, &got);
		const char *end = strstr(buf_str(&got), "\r\n\r\n");
		if (!end || strncmp(got.data, status, strlen(status)) != 0 ||
			!strstr(got.data, targets[i / 2].header) || !strstr(got.data, length) ||
			strcmp(end + 4, i % 2 ? "" : body) != 0)
			fail_msg("%s: %s", targets[i / 2].name, buf_str(&got));
	}
	buf_free(&got);
}

/* Prometheus and curl keep their connection. */
static void test_keep_alive(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};
	int fd = dial(f);

	for (int i = 0; i < 3; i++) {
		put(fd, "HEAD /status HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n");
		settle(f);
		buf_reset(&got);
		assert_int_equal(get(fd, &got), EAGAIN);
		assert_memory_equal(buf_str(&got), "HTTP/1.1 200 ", 13);
		assert_non_null(strstr(got.data, "\r\n\r\nHTTP/1.1 200 "));
		assert_non_null(strstr(got.data, "{\"ok\":true}"));
	}
	buf_free(&got);
	close(fd);
	settle(f);
}

static const struct {
	const char *name, *request, *answer, *header;
} requests[] = {
	{"POST", "POST /status HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 405 ",
		"Allow: GET, HEAD\r\n"},
	{"PUT", "PUT /calls/1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 ",
		"Allow: GET, HEAD\r\n"},
	{"DELETE", "DELETE /calls/1 HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ", "Allow: GET, HEAD\r\n"},
	{"OPTIONS", "OPTIONS /status HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ", "Allow: GET, HEAD\r\n"},
	{"PATCH", "PATCH /status HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ", "Allow: GET, HEAD\r\n"},
	{"unheard-of method", "FOO /status HTTP/1.1\r\n\r\n", "HTTP/1.1 501 ", ""},
	{"POST elsewhere", "POST /v1/events HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 404 ",
		TEXT},
	{"HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n", "HTTP/1.0 200 ", JSON},
	{"garbage", "\x16\x03\x01\x02 hello\r\n\r\n", "HTTP/1.1 400 ", ""},
	{"not HTTP", "{\"event\":\"ping\"}\n", "HTTP/1.1 400 ", ""},
};

static void test_requests(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		ask(f, requests[i].request, &got);
		if (strncmp(buf_str(&got), requests[i].answer, strlen(requests[i].answer)) != 0 ||
			!strstr(got.data, requests[i].header))
			fail_msg("%s: %s", requests[i].name, buf_str(&got));
	}
	buf_free(&got);
}

static void test_health(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};

	f->sick = true;
	ask(f, "GET /health HTTP/1.1\r\n\r\n", &got);
	assert_memory_equal(buf_str(&got), "HTTP/1.1 503 ", 13);
	assert_non_null(strstr(got.data, JSON));
	assert_non_null(strstr(got.data, "\r\n\r\n{\"ok\":false}"));
	buf_free(&got);
}

static void test_list_of_routes(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};
	const char *paths[] = {"/status ", "/metrics ", "/health ", "/calls ", "/calls/ "};

	ask(f, "GET / HTTP/1.1\r\n\r\n", &got);
	assert_memory_equal(buf_str(&got), "HTTP/1.1 404 ", 13);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_non_null(strstr(got.data, paths[i]));
	buf_free(&got);
}

/* Whether a request with this much of it is cut off, instead of being kept in memory. */
static void test_sizes_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct buf request = {0}, got = {0};

	buf_add_str(&request, "GET /status HTTP/1.1\r\n");
	for (int i = 0; i < 2000; i++)
		buf_add_str(&request, "X-Header: yes\r\n");
	buf_add_str(&request, "\r\n");
	ask(f, buf_str(&request), &got);
	assert_null(strstr(buf_str(&got), " 200 "));

	buf_reset(&request);
	buf_add_str(&request, "GET /");
	for (int i = 0; i < 20000; i++)
		buf_add_char(&request, 'x'); /* a first line without an end */
	ask(f, buf_str(&request), &got);
	assert_true(got.len == 0 || !strstr(got.data, " 200 "));

	ask(f, "POST /status HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", &got);
	assert_memory_equal(buf_str(&got), "HTTP/1.1 413 ", 13);
	buf_free(&request);
	buf_free(&got);
}

static void test_big_body(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};
	int fd = dial(f);

	f->big = 3000000; /* much more than the kernel holds */
	put(fd, "GET /status HTTP/1.1\r\nConnection: close\r\n\r\n");
	while (get(fd, &got))
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_in_range(got.len, 3000000, 3001000);
	buf_free(&got);
	close(fd);

	fd = dial(f); /* and one that leaves in the middle of it */
	put(fd, "GET /status HTTP/1.1\r\n\r\n");
	settle(f);
	close(fd);
	settle(f);
}

/* evhttp asks getnameinfo(3) for the peer's name and gives up the process where that fails. */
static void test_peer_with_a_name(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un name = {.sun_family = AF_UNIX}, to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct buf got = {0};

	snprintf(name.sun_path, sizeof(name.sun_path), "%.40s/%060d.sock", f->dir, 1);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	put(fd, "GET /health HTTP/1.1\r\n\r\n");
	settle(f);
	get(fd, &got);
	assert_memory_equal(buf_str(&got), "HTTP/1.1 200 ", 13);
	buf_free(&got);
	close(fd);
	unlink(name.sun_path);
}

static void test_connections_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};
	int fds[65];

	for (int round = 0; round < 3; round++) /* those that have closed do not count */
		for (int i = 0; i < 40; i++)
			ask(f, "GET /health HTTP/1.1\r\n\r\n", &got);
	for (int i = 0; i < 64; i++) {
		fds[i] = dial(f);
		if (i % 2)
			put(fds[i], "GET /health HTTP/1.1\r\n\r\n");
		settle(f);
	}
	fds[64] = dial(f); /* waits in the kernel's queue */
	put(fds[64], "GET /health HTTP/1.1\r\n\r\n");
	settle(f);
	buf_reset(&got);
	assert_int_equal(get(fds[64], &got), EAGAIN);
	assert_int_equal(got.len, 0);
	close(fds[0]);
	while (!got.len) {
		event_base_loop(f->base, EVLOOP_ONCE);
		get(fds[64], &got);
	}
	assert_memory_equal(got.data, "HTTP/1.1 200 ", 13);
	for (int i = 1; i < 65; i++)
		close(fds[i]);
	settle(f);
	buf_free(&got);
}

static void test_no_descriptors_left(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, none;
	struct buf got = {0};
	int fd = dial(f), turns = 0;

	put(fd, "GET /health HTTP/1.1\r\n\r\n");
	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){(rlim_t)fd, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	event_base_loop(f->base, EVLOOP_ONCE);
	event_base_loop(f->base, EVLOOP_ONCE); /* waits for the pause to end: no spinning */
	setrlimit(RLIMIT_NOFILE, &limit);
	while (!got.len) {
		event_base_loop(f->base, EVLOOP_ONCE);
		get(fd, &got);
		turns++;
	}
	assert_in_range(turns, 1, 10);
	assert_memory_equal(got.data, "HTTP/1.1 200 ", 13);
	buf_free(&got);
	close(fd);
	settle(f);
}

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_connections_are_closed(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};
	size_t before;
	int fd;

	ask(f, "GET /health HTTP/1.1\r\n\r\n", &got);
	before = open_descriptors();
	for (int i = 0; i < 10; i++)
		ask(f, "GET /health HTTP/1.1\r\n\r\n", &got);
	fd = dial(f);
	put(fd, "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n");
	settle(f);
	assert_int_equal(get(fd, &got), 0);
	close(fd);
	assert_int_equal(open_descriptors(), before);
	buf_free(&got);
}

static void test_reconfigure(void **state)
{
	struct fixture *f = *state;
	struct buf got = {0};
	char why[128] = "";
	struct stat st;
	int blocker;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	f->options.mode = 0600;
	assert_int_equal(
		status_server_reconfigure(f->server, &f->options, why, sizeof(why)), ERR_OK);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	assert_int_equal(
		unix_socket_listen(f->other_path, 0600, (gid_t)-1, &blocker, why, sizeof(why)),
		ERR_OK);
	f->options.path = f->other_path;
	assert_int_equal(
		status_server_reconfigure(f->server, &f->options, why, sizeof(why)), ERR_EXISTS);
	assert_non_null(strstr(why, f->other_path));
	f->options.path = f->path;
	ask(f, "GET /health HTTP/1.1\r\n\r\n", &got);
	assert_memory_equal(buf_str(&got), "HTTP/1.1 200 ", 13);

	unix_socket_close(blocker, f->other_path);
	f->options.path = f->other_path;
	assert_int_equal(
		status_server_reconfigure(f->server, &f->options, why, sizeof(why)), ERR_OK);
	assert_int_equal(access(f->path, F_OK), -1);
	ask(f, "GET /health HTTP/1.1\r\n\r\n", &got);
	assert_memory_equal(buf_str(&got), "HTTP/1.1 200 ", 13);
	buf_free(&got);
}

static void test_taken_path(void **state)
{
	struct fixture *f = *state;
	struct status_server *second = NULL;
	char why[128] = "";

	assert_int_equal(
		status_server_new(f->base, &f->options, &f->provider, &second, why, sizeof(why)),
		ERR_EXISTS);
	assert_null(second);
	assert_non_null(strstr(why, f->path));
	status_server_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_targets),
		TEST(test_keep_alive),
		TEST(test_requests),
		TEST(test_health),
		TEST(test_list_of_routes),
		TEST(test_sizes_are_bounded),
		TEST(test_big_body),
		TEST(test_peer_with_a_name),
		TEST(test_connections_are_bounded),
		TEST(test_no_descriptors_left),
		TEST(test_connections_are_closed),
		TEST(test_reconfigure),
		TEST(test_taken_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
