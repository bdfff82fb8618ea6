/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <pbxpush/base/unix_socket.h>

#define RACERS 8
#define ROUNDS 20
#define NO_GID ((gid_t)-1)

struct place {
	char dir[32], path[64], why[200];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	if (!place)
		return -1;
	strcpy(place->dir, "/tmp/test-socket-XXXXXX");
	if (!mkdtemp(place->dir))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/s", place->dir);
	*state = place;
	return 0;
}

/* Fails where a test left anything behind, a lock or a temporary name too. */
static int teardown(void **state)
{
	struct place *place = *state;
	int failed = rmdir(place->dir);

	free(place);
	return failed;
}

static enum err listen_at(struct place *place, int *fd)
{
	return unix_socket_listen(place->path, 0660, NO_GID, fd, place->why, sizeof(place->why));
}

static void assert_says(const struct place *place, const char *reason)
{
	char expected[200];

	snprintf(expected, sizeof(expected), "%s: %s", place->path, reason);
	assert_string_equal(place->why, expected);
}

static void test_listen_connect_close(void **state)
{
	struct place *place = *state;
	int fd = -1, client = -1;
	struct stat st;

	assert_int_equal(unix_socket_connect(place->path, &client), ERR_IO);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(unix_socket_listen(
				 place->path, 0620, getgid(), &fd, place->why, sizeof(place->why)),
		ERR_OK);
	assert_int_equal(lstat(place->path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0620);
	assert_int_equal(st.st_gid, getgid());
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);

	assert_int_equal(unix_socket_connect(place->path, &client), ERR_OK);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	int server = accept(fd, NULL, NULL);
	assert_true(server >= 0);
	close(server);
	close(client);
	unix_socket_close(fd, place->path);
	assert_int_equal(lstat(place->path, &st), -1);
	unix_socket_close(-1, place->path);
}

static void test_live_socket_is_not_stolen(void **state)
{
	struct place *place = *state;
	int fd = -1, other = -1, server;

	assert_int_equal(listen_at(place, &fd), ERR_OK);
	assert_int_equal(listen_at(place, &other), ERR_EXISTS);
	assert_int_equal(other, -1);
	assert_says(place, "another process listens there");
	/* The probe was a client that left; the next one is served as ever. */
	server = accept(fd, NULL, NULL);
	assert_true(server >= 0);
	close(server);
	unix_socket_close(fd, place->path);
}

static void test_full_backlog_counts_as_live(void **state)
{
	struct place *place = *state;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = -1, other = -1, clients[1024], count = 0;

	assert_int_equal(listen_at(place, &fd), ERR_OK);
	strcpy(addr.sun_path, place->path);
	for (; count < 1024; count++) {
		clients[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(clients[count] >= 0);
		if (connect(clients[count], (struct sockaddr *)&addr, sizeof(addr))) {
			assert_int_equal(errno, EAGAIN);
			break;
		}
	}
	assert_in_range(count, 1, 1023);
	assert_int_equal(listen_at(place, &other), ERR_EXISTS);
	for (; count >= 0; count--)
		close(clients[count]);
	unix_socket_close(fd, place->path);
}

/* A datagram socket that somebody has bound there lives too, but takes no stream. */
static void bind_at(const char *path, int type, int *fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, path);
	*fd = socket(AF_UNIX, type, 0);
	assert_true(*fd >= 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

static void test_datagram_socket_stays(void **state)
{
	struct place *place = *state;
	int fd = -1, other = -1;

	bind_at(place->path, SOCK_DGRAM, &other);
	assert_int_equal(listen_at(place, &fd), ERR_EXISTS);
	close(other);
	unlink(place->path);
}

static void test_dead_socket_is_replaced(void **state)
{
	struct place *place = *state;
	char leftover[80];
	int fd = -1, dead, client = -1;

	snprintf(leftover, sizeof(leftover), "%s.new", place->path);
	bind_at(place->path, SOCK_STREAM, &dead);
	close(dead);
	bind_at(leftover, SOCK_STREAM, &dead);
	close(dead);
	assert_int_equal(listen_at(place, &fd), ERR_OK);
	assert_int_equal(unix_socket_connect(place->path, &client), ERR_OK);
	close(client);
	unix_socket_close(fd, place->path);
}

static void test_file_stays(void **state)
{
	struct place *place = *state;
	int fd = -1, file = open(place->path, O_CREAT | O_WRONLY, 0600);

	assert_true(file >= 0);
	close(file);
	assert_int_equal(listen_at(place, &fd), ERR_EXISTS);
	assert_says(place, "something other than a socket is there");
	assert_int_equal(unlink(place->path), 0);
}

static void test_successor_keeps_its_path(void **state)
{
	struct place *place = *state;
	int old = -1, new = -1, client = -1;

	assert_int_equal(listen_at(place, &old), ERR_OK);
	assert_int_equal(unlink(place->path), 0);
	assert_int_equal(listen_at(place, &new), ERR_OK);
	unix_socket_close(old, place->path);
	assert_int_equal(unix_socket_connect(place->path, &client), ERR_OK);
	close(client);
	unix_socket_close(new, place->path);
}

static void test_bad_paths(void **state)
{
	struct place *place = *state;
	struct sockaddr_un addr;
	char path[sizeof(addr.sun_path) + 1];
	int fd = -1;

	memset(path, 'x', sizeof(path));
	path[sizeof(addr.sun_path) - 7] = '\0';
	assert_int_equal(
		unix_socket_listen(path, 0600, NO_GID, &fd, place->why, sizeof(place->why)),
		ERR_INVAL);
	assert_int_equal(unix_socket_listen("", 0600, NO_GID, &fd, place->why, sizeof(place->why)),
		ERR_INVAL);
	snprintf(path, sizeof(path), "%s/none/s", place->dir);
	assert_int_equal(
		unix_socket_listen(path, 0600, NO_GID, &fd, place->why, sizeof(place->why)),
		ERR_IO);
	assert_non_null(strstr(place->why, "No such file or directory"));

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(unix_socket_connect(path, &fd), ERR_IO);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(fd, -1);
}

/* Waits for the start, tries once, tells how it went, and lives until the end. */
static void race(struct place *place, int start, int result, int end)
{
	char c;
	int fd = -1;
	enum err err;

	if (read(start, &c, 1) != 0)
		_exit(1);
	err = listen_at(place, &fd);
	c = (char)err;
	if (write(result, &c, 1) != 1 || read(end, &c, 1) != 0)
		_exit(1);
	unix_socket_close(fd, place->path);
	_exit(0);
}

static void race_once(struct place *place)
{
	int start[2], result[2], end[2], winners = 0, client = -1, status;
	pid_t pids[RACERS];
	char err;

	assert_int_equal(pipe(start) + pipe(result) + pipe(end), 0);
	for (int i = 0; i < RACERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i]) {
			close(start[1]);
			close(end[1]);
			race(place, start[0], result[1], end[0]);
		}
	}
	close(start[1]);
	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(read(result[0], &err, 1), 1);
		if (err)
			assert_int_equal(err, ERR_EXISTS);
		winners += !err;
	}
	assert_int_equal(winners, 1);
	assert_int_equal(unix_socket_connect(place->path, &client), ERR_OK);
	close(client);
	close(end[1]);
	for (int i = 0; i < RACERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	close(start[0]);
	close(result[0]);
	close(result[1]);
	close(end[0]);
}

/* Daemons that start at once, over nothing and over a dead socket: one wins, and it can be
 * reached. */
static void test_race(void **state)
{
	struct place *place = *state;

	for (int round = 0; round < ROUNDS; round++) {
		int dead;
		if (round % 2) {
			bind_at(place->path, SOCK_STREAM, &dead);
			close(dead);
		}
		race_once(place);
	}
}

static void test_permit(void **state)
{
	/* Only root may give a file to a group that it is not in. */
	const gid_t other = geteuid() ? NO_GID : 1;
	const struct {
		mode_t old_mode, mode;
		gid_t old_gid, gid;
	} rows[] = {
		{0660, 0660, NO_GID, getegid()},
		{0660, 0600, NO_GID, NO_GID},
		{0600, 0666, NO_GID, getegid()},
		{0606, 0660, NO_GID, other},
		{0660, 0660, other, NO_GID},
	};
	struct place *place = *state;
	struct stat st;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gid_t gid = rows[i].gid == NO_GID ? getegid() : rows[i].gid;
		int fd = -1;
		assert_int_equal(unix_socket_listen(place->path, rows[i].old_mode, rows[i].old_gid,
					 &fd, place->why, sizeof(place->why)),
			ERR_OK);
		assert_int_equal(unix_socket_permit(place->path, rows[i].old_mode, rows[i].old_gid,
					 rows[i].mode, rows[i].gid, place->why, sizeof(place->why)),
			ERR_OK);
		assert_int_equal(stat(place->path, &st), 0);
		assert_int_equal(st.st_mode & 07777, rows[i].mode);
		assert_int_equal(st.st_gid, gid);
		unix_socket_close(fd, place->path);
	}
	assert_int_equal(unix_socket_permit(place->path, 0660, NO_GID, 0600, NO_GID, place->why,
				 sizeof(place->why)),
		ERR_IO);
	assert_says(place, strerror(ENOENT));
}

static int take_lock(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	return fd;
}

/* True when another process waits for the lock; false when it has answered instead. */
static bool is_waited_for(int lock, int result)
{
	struct pollfd answered = {.fd = result, .events = POLLIN};
	char line[200], inode[32];
	struct stat st;
	bool waited = false;

	assert_int_equal(fstat(lock, &st), 0);
	snprintf(inode, sizeof(inode), ":%ju ", (uintmax_t)st.st_ino);
	while (!waited && !poll(&answered, 1, 1)) {
		FILE *locks = fopen("/proc/locks", "r");
		assert_non_null(locks);
		while (fgets(line, sizeof(line), locks))
			waited |= strstr(line, "->") && strstr(line, inode);
		fclose(locks);
	}
	return waited;
}

/* Who waited for a lock file that was taken away meanwhile holds nothing, and begins anew. */
static void test_vanished_lock_is_none(void **state)
{
	struct place *place = *state;
	int start[2], result[2], end[2], status;
	char lock[80], err;

	snprintf(lock, sizeof(lock), "%s.lock", place->path);
	assert_int_equal(pipe(start) + pipe(result) + pipe(end), 0);
	int first = take_lock(lock);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(start[1]);
		close(end[1]);
		close(first);
		race(place, start[0], result[1], end[0]);
	}
	close(start[1]);
	assert_true(is_waited_for(first, result[0]));
	assert_int_equal(unlink(lock), 0);
	int second = take_lock(lock);
	close(first);
	assert_true(is_waited_for(second, result[0]));
	assert_int_equal(unlink(lock), 0);
	close(second);
	assert_int_equal(read(result[0], &err, 1), 1);
	assert_int_equal(err, ERR_OK);
	close(end[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(start[0]);
	close(result[0]);
	close(result[1]);
	close(end[0]);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_listen_connect_close),
		TEST(test_live_socket_is_not_stolen),
		TEST(test_full_backlog_counts_as_live),
		TEST(test_datagram_socket_stays),
		TEST(test_dead_socket_is_replaced),
		TEST(test_file_stays),
		TEST(test_successor_keeps_its_path),
		TEST(test_bad_paths),
		TEST(test_permit),
		TEST(test_race),
		TEST(test_vanished_lock_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
