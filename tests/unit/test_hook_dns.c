/* SPDX-License-Identifier: MIT */
/* A name server that does not answer holds neither the event loop nor a reload nor the end. */
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include <pbxpush/hook/hook.h>

/* Far above what a loaded machine needs, far below what a hung look-up takes. */
#define HANG_S 60

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int inside;
static bool hangs;

/* Stands in for libc's, in libcurl too. */
int getaddrinfo(
	const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	(void)name, (void)service, (void)hints, (void)out;
	pthread_mutex_lock(&lock);
	inside++;
	pthread_cond_broadcast(&changed);
	while (hangs)
		pthread_cond_wait(&changed, &lock);
	inside--;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return EAI_AGAIN;
}

static int lookups(void)
{
	int count;

	pthread_mutex_lock(&lock);
	count = inside;
	pthread_mutex_unlock(&lock);
	return count;
}

static void count_outcome(void *arg, enum hook_event_type type, const char *outcome)
{
	(void)arg, (void)type, (void)outcome;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	++*(int *)arg;
}

static void the_loop_goes_on(void **state)
{
	struct hook_options options = {.url = "https://hook.example.com/", .ca_file = ""};
	struct hook_observer observer = {.outcome = count_outcome};
	struct hook_event event = {.type = HOOK_MISSED_CALL, .call = "c", .state = "timeout"};
	struct event_base *base = event_base_new();
	struct timeval period = {.tv_usec = 1000};
	struct event *tick;
	struct hook_stats stats;
	struct hook *hook;
	int ticks = 0;

	(void)state;
	hangs = true;
	tick = event_new(base, -1, EV_PERSIST, on_tick, &ticks);
	event_add(tick, &period);
	assert_int_equal(hook_new(base, &options, &observer, &hook), ERR_OK);
	hook_post(hook, &event);
	while (!lookups())
		event_base_loop(base, EVLOOP_ONCE);
	ticks = 0;
	while (ticks < 20)
		event_base_loop(base, EVLOOP_ONCE);
	/* takes back what hangs, and tries anew */
	assert_int_equal(hook_reconfigure(hook, &options), ERR_OK);
	while (lookups() < 2)
		event_base_loop(base, EVLOOP_ONCE);
	hook_stats(hook, &stats);
	assert_int_equal(stats.queued, 1);
	hook_free(hook);
	assert_int_equal(lookups(), 2);
	event_free(tick);
	event_base_free(base);

	pthread_mutex_lock(&lock);
	hangs = false;
	pthread_cond_broadcast(&changed);
	while (inside)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_loop_goes_on),
	};

	alarm(HANG_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
