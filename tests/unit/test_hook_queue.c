/* SPDX-License-Identifier: MIT */
/* What waits an hour is given up, on a clock that the test moves. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/hook/hook.h>

#define HOUR_US INT64_C(3600000000)
#define EVENTS  5
#define LIMIT_S 60

static int64_t later_us;

/* Stand in for those of base/clock.c. */
int64_t clock_mono_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + later_us;
}

int64_t clock_wall_ms(void)
{
	return 1763790000000;
}

static void count_outcome(void *arg, enum hook_event_type type, const char *outcome)
{
	int *expired = arg;

	assert_int_equal(type, HOOK_MISSED_CALL);
	*expired += !strcmp(outcome, "expired");
}

/* A port on which nobody listens, as long as *fd is open. */
static unsigned closed_port(int *fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

static void an_hour(void **state)
{
	struct hook_event event = {.type = HOOK_MISSED_CALL, .call = "c", .state = "timeout"};
	struct event_base *base = event_base_new();
	struct hook_options options = {.ca_file = ""};
	int fd, expired = 0;
	struct hook_observer observer = {.arg = &expired, .outcome = count_outcome};
	struct hook_stats stats;
	struct hook *hook;
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", closed_port(&fd));
	options.url = url;
	assert_int_equal(hook_new(base, &options, &observer, &hook), ERR_OK);
	for (int i = 0; i < EVENTS; i++)
		hook_post(hook, &event);
	do {
		event_base_loop(base, EVLOOP_ONCE);
		hook_stats(hook, &stats);
	} while (strcmp(stats.state, "fails") != 0);
	assert_int_equal(stats.queued, EVENTS);
	later_us = HOUR_US / 2;
	hook_post(hook, &event);
	later_us = HOUR_US;
	do {
		event_base_loop(base, EVLOOP_ONCE);
		hook_stats(hook, &stats);
	} while (stats.expired < EVENTS);
	assert_int_equal(stats.expired, EVENTS);
	assert_int_equal(expired, EVENTS);
	assert_int_equal(stats.queued, 1); /* half an hour old */
	assert_int_equal(stats.dropped + stats.delivered + stats.refused, 0);
	hook_free(hook);
	event_base_free(base);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_hour),
	};

	alarm(LIMIT_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
