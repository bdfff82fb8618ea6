/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <pbxpush/base/log.h>

enum journal { JOURNAL_NONE, JOURNAL_OURS, JOURNAL_FOREIGN };

/* What a child of its own writes, since where the log goes is found out once a process. */
static void log_in_child(enum journal journal, void (*fn)(void), char *out, size_t size)
{
	int fds[2], status;
	size_t len = 0;
	ssize_t got;

	assert_int_equal(pipe(fds), 0);
	fcntl(fds[1], F_SETPIPE_SZ, 4096); /* one who writes much has to wait */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct stat st;
		char stream[64];
		dup2(fds[1], STDERR_FILENO);
		fstat(STDERR_FILENO, &st);
		snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
			(uintmax_t)st.st_ino + (journal == JOURNAL_FOREIGN));
		unsetenv("JOURNAL_STREAM");
		if (journal != JOURNAL_NONE)
			setenv("JOURNAL_STREAM", stream, 1);
		fn();
		_exit(0);
	}
	close(fds[1]);
	while (len + 1 < size && (got = read(fds[0], out + len, size - len - 1)) > 0)
		len += (size_t)got;
	out[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void write_each_level(void)
{
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("m", "one %d", 1);
	log_warning("m", "two");
	log_notice("m", "three");
	log_info("m", "four");
	log_debug("m", "five");
}

static void test_journal(void **state)
{
	char out[1024];

	(void)state;
	log_in_child(JOURNAL_OURS, write_each_level, out, sizeof(out));
	assert_string_equal(out, "<3>error m: one 1\n<4>warning m: two\n<5>notice m: three\n"
				 "<6>info m: four\n<7>debug m: five\n");
}

static void assert_stamped(const char *out, const char *rest)
{
	int year, month, day, hour, minute, second, ms, used = 0;

	assert_int_equal(sscanf(out, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour,
				 &minute, &second, &ms, &used),
		7);
	assert_int_equal(used, 25);
	assert_string_equal(out + used, rest);
}

static void write_one(void)
{
	log_info("apns", "connected");
}

static void test_terminal(void **state)
{
	char out[1024];

	(void)state;
	log_in_child(JOURNAL_NONE, write_one, out, sizeof(out));
	assert_stamped(out, "info apns: connected\n");
	log_in_child(JOURNAL_FOREIGN, write_one, out, sizeof(out));
	assert_stamped(out, "info apns: connected\n");
}

static void write_above_level(void)
{
	log_set_level(LOG_LEVEL_WARNING);
	log_notice("m", "not this");
	log_warning("m", "%s", log_enabled(LOG_LEVEL_NOTICE) ? "wrong" : "right");
}

static void test_level(void **state)
{
	char out[1024];

	(void)state;
	log_in_child(JOURNAL_OURS, write_above_level, out, sizeof(out));
	assert_string_equal(out, "<4>warning m: right\n");
}

static void write_forgery(void)
{
	log_info("m", "name=%s",
		"a\n<3>error m: forged\r\x1b[2J\x7f\xc2\x9b"
		"2J \xc3\xb6");
}

static void test_forgery(void **state)
{
	char out[1024];

	(void)state;
	log_in_child(JOURNAL_OURS, write_forgery, out, sizeof(out));
	assert_string_equal(out, "<6>info m: name=a?<3>error m: forged??[2J???2J \xc3\xb6\n");
}

static bool wanted;

static void want(void *arg)
{
	assert_string_equal(arg, "arg");
	assert_false(wanted);
	wanted = true;
}

static void hold_some(void)
{
	char text[] = "text \n is cut at";

	log_hold(want, (void *)(uintptr_t) "arg");
	log_info("m", "held %d", 1);
	log_text(LOG_LEVEL_INFO, "m", text, 6);
	assert_true(wanted);
	dprintf(STDERR_FILENO, "nothing before this\n");
	log_flush();
	log_flush();
	wanted = false;
	log_info("m", "before the error");
	log_error("m", "an error comes at once");
	dprintf(STDERR_FILENO, "nor this\n");
	wanted = false;
	log_info("m", "the last");
	log_hold(NULL, NULL);
	log_info("m", "not held");
	dprintf(STDERR_FILENO, "end\n");
}

static void test_held(void **state)
{
	char out[1024];

	(void)state;
	log_in_child(JOURNAL_OURS, hold_some, out, sizeof(out));
	assert_string_equal(out, "nothing before this\n<6>info m: held 1\n<6>info m: text ?\n"
				 "<6>info m: before the error\n<3>error m: an error comes at once\n"
				 "nor this\n<6>info m: the last\n<6>info m: not held\nend\n");
}

static void hold_much(void)
{
	char text[100];

	log_hold(want, (void *)(uintptr_t) "arg");
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 1000; i++) {
		wanted = false; /* as if the owner had been asked again */
		log_text(LOG_LEVEL_INFO, "m", text, sizeof(text));
	}
	log_flush();
}

static void *write_warnings(void *arg)
{
	char text[101] = "";

	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 500; i++)
		log_warning("m", "%s", text);
	return arg;
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* The pipe is full most of the time, and a signal ends what write(2) has begun. */
static void hold_much_in_trouble(void)
{
	const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	const struct itimerval often = {.it_interval.tv_usec = 100, .it_value.tv_usec = 100};
	pthread_t thread;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	pthread_create(&thread, NULL, write_warnings, NULL);
	hold_much();
	pthread_join(thread, NULL);
}

/* The line that begins at `at` has this prefix and 100 times x. Returns where the next one begins,
 * NULL where it is another. */
static const char *skip_line(const char *at, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(at, prefix, len) != 0 || strspn(at + len, "x") != 100 || at[len + 100] != '\n')
		return NULL;
	return at + len + 101;
}

static void test_lines_are_whole(void **state)
{
	static char out[300000];
	size_t held = 0, others = 0;
	const char *next;

	(void)state;
	log_in_child(JOURNAL_OURS, hold_much_in_trouble, out, sizeof(out));
	for (const char *at = out; *at; at = next) {
		next = skip_line(at, "<6>info m: ");
		held += next != NULL;
		if (next)
			continue;
		next = skip_line(at, "<4>warning m: ");
		others++;
		if (!next)
			fail_msg("broken: %.300s", at);
	}
	assert_int_equal(held, 1000);
	assert_int_equal(others, 500);
}

static void test_nothing_held_is_lost(void **state)
{
	static char out[200000];
	size_t lines = 0;

	(void)state;
	log_in_child(JOURNAL_OURS, hold_much, out, sizeof(out));
	for (char *at = out; *at; lines++) {
		assert_memory_equal(at, "<6>info m: xxx", 14);
		at += 11 + 100;
		assert_true(*at++ == '\n');
	}
	assert_int_equal(lines, 1000);
}

static void write_long(void)
{
	static char text[10000];

	memset(text, 'x', sizeof(text) - 1);
	log_info("m", "%s", text);
	log_info("m", "after");
}

static void test_long_record_is_cut(void **state)
{
	static char out[20000];

	(void)state;
	log_in_child(JOURNAL_OURS, write_long, out, sizeof(out));
	char *end = strchr(out, '\n');
	assert_non_null(end);
	assert_true(end - out < 4096 && end - out > 4000);
	assert_memory_equal(end - 4, "x...", 4);
	assert_string_equal(end + 1, "<6>info m: after\n");
}

static void write_errno(void)
{
	errno = ENOENT;
	log_info("m", "first");
	log_info("m", "%s", errno == ENOENT ? "errno is kept" : "errno is lost");
}

static void test_errno_is_kept(void **state)
{
	char out[1024];

	(void)state;
	log_in_child(JOURNAL_OURS, write_errno, out, sizeof(out));
	assert_string_equal(out, "<6>info m: first\n<6>info m: errno is kept\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_forgery),
		cmocka_unit_test(test_long_record_is_cut),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_nothing_held_is_lost),
		cmocka_unit_test(test_lines_are_whole),
		cmocka_unit_test(test_errno_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
