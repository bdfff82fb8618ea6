/* SPDX-License-Identifier: MIT */
#include <netinet/tcp.h>

#include "apns_world.h"

/* SIGHUP: another configuration while pushes wait and fly. */

static void accept_all(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	peer_answer(request, "200", "");
}

static void ignore_all(struct peer *peer, struct peer_request *request)
{
	(void)peer, (void)request;
}

static enum err reload(struct world *world, size_t app_count, char *why)
{
	return apns_reconfigure(world->apns, &world->options, world->apps, app_count, why, 256);
}

static void a_bad_reload_changes_nothing(void **state)
{
	struct world *world = *state;
	char why[256] = "";

	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	world->apps[0].key_file = "/nowhere/x.p8";
	assert_int_equal(reload(world, 2, why), ERR_IO);
	assert_non_null(strstr(why, "/nowhere/x.p8"));
	world->apps[0].key_file = world->key_file;
	world->options.production = "not a host:x";
	assert_int_equal(reload(world, 2, why), ERR_INVAL);
	world->options.production = world->host;
	world->options.ca_file = "/nowhere/ca.pem";
	assert_int_equal(reload(world, 2, why), ERR_CRYPTO);
	world_send(world);
	world_finish(world);
	world_expect(world, 1, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->peer.count, 1);
}

static void an_equal_reload_keeps_connections(void **state)
{
	struct world *world = *state;
	char why[256] = "";

	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	assert_int_equal(reload(world, 2, why), ERR_OK);
	world_send(world);
	world_finish(world);
	assert_int_equal(world->peer.count, 1);
}

static void a_reload_loses_no_push(void **state)
{
	static const char *const ROWS[] = {"another key", "an app more", "another host"};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		void *fresh;
		char why[256] = "", other[64];
		world_setup(&fresh);
		struct world *world = fresh;
		world->peer.limit = 2;
		world->app_count = i == 1 ? 1 : 2;
		/* To Linux 0.0.0.0 is this machine, too, and no resolver is asked. */
		world_use_certificate(world, "IP:127.0.0.1,IP:0.0.0.0", 1);
		world_start(world, ignore_all);
		for (int n = 0; n < 10; n++)
			world_send(world);
		WORLD_UNTIL(world, world->peer.requests == 2);
		snprintf(other, sizeof(other), "0.0.0.0:%d", world->peer.port);
		if (i == 0)
			world->apps[0].key_file = world->apps[1].key_file = world->other_key_file;
		if (i == 2)
			world->options.production = other;
		assert_int_equal(reload(world, 2, why), ERR_OK);
		world->peer.script = accept_all;
		/* Those that fly finish where they are. */
		WORLD_UNTIL(world, world->peer.count == 2 && world->peer.requests > 3);
		struct peer_connection *old = world->peer.connections[0];
		for (struct peer_request *at = old->requests; at; at = at->next)
			peer_answer(at, "200", "");
		peer_flush(old);
		world_finish(world);
		for (int n = 0; n < 10; n++) {
			world_expect(world, n, PUSH_ACCEPTED, 200, "");
			if (world->results[n].attempts != 1)
				fail_msg("%s: attempts", ROWS[i]);
		}
		WORLD_UNTIL(world, old->closed);
		assert_int_equal(old->served, 2);
		world_teardown(&fresh);
	}
}

/* The old key was revoked before the new one was loaded: what it was refused for goes with the new. */
static void a_push_of_the_old_key_goes_again_with_the_new_one(void **state)
{
	struct world *world = *state;
	char why[256] = "";

	world_start(world, ignore_all);
	world_send(world);
	WORLD_UNTIL(world, world->peer.requests == 1);
	world->apps[0].key_file = world->apps[1].key_file = world->other_key_file;
	assert_int_equal(reload(world, 2, why), ERR_OK);
	world->peer.script = accept_all;
	struct peer_connection *old = world->peer.connections[0];
	peer_answer(old->requests, "403", "{\"reason\":\"InvalidProviderToken\"}");
	peer_flush(old);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->results[0].attempts, 2);
	assert_int_equal(world->peer.requests, 2);
}

static void an_app_that_is_gone_takes_its_pushes_along(void **state)
{
	struct world *world = *state;
	char why[256] = "";

	world->peer.limit = 1;
	world_start(world, ignore_all);
	for (int i = 0; i < 3; i++)
		world_send_app(world, 1, PATIENCE_MS);
	WORLD_UNTIL(world, world->peer.requests == 1);
	assert_int_equal(reload(world, 1, why), ERR_OK);
	assert_int_equal(world->done, 0);
	WORLD_UNTIL(world, world->done == 2);
	world_expect(world, 1, PUSH_NOT_SENT, 0, "connection");
	world_expect(world, 2, PUSH_NOT_SENT, 0, "connection");
	struct peer_connection *old = world->peer.connections[0];
	peer_answer(old->requests, "200", "");
	peer_flush(old);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world_send_app(world, 1, PATIENCE_MS), 0);
}

/* ---- timeouts of a connection that stands ---- */

static unsigned user_timeout_ms(const struct world *world)
{
	unsigned value = 0;
	socklen_t len = sizeof(value);

	getsockopt(world_socket(world), IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &len);
	return value;
}

static void the_socket_learns_them(void **state)
{
	struct world *world = *state;
	char why[256] = "";

	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	assert_int_equal(user_timeout_ms(world), 2000 + 1000);
	world->options.response_timeout_ms = 700;
	world->options.ping_timeout_ms = 70;
	assert_int_equal(reload(world, 2, why), ERR_OK);
	assert_int_equal(user_timeout_ms(world), 770);
	assert_int_equal(world->peer.count, 1);
}

/* For what is out already, too: its timer was set for the old one. */
static void a_push_in_flight_learns_response_timeout(void **state)
{
	struct world *world = *state;
	char why[256] = "";

	world->options.response_timeout_ms = 60000;
	world_start(world, ignore_all);
	world_send(world);
	WORLD_UNTIL(world, world->peer.requests == 1);
	world->options.response_timeout_ms = 100;
	assert_int_equal(reload(world, 2, why), ERR_OK);
	world->peer.script = accept_all;
	int64_t start_us = clock_mono_us();
	world_finish(world);
	assert_in_range(clock_mono_us() - start_us, 0, 1500000); /* before silence is noticed */
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->results[0].attempts, 2);
	assert_int_equal(world->peer.count, 1);
}

static void an_idle_connection_learns_its_pings(void **state)
{
	struct world *world = *state;
	char why[256] = "";

	world->options.ping_timeout_ms = 60000;
	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	assert_int_equal(world->peer.pings, 0);
	world->options.ping_interval_ms = 50;
	assert_int_equal(reload(world, 2, why), ERR_OK);
	WORLD_UNTIL(world, world->peer.pings == 2);
	/* The next one is not answered. */
	struct peer_connection *old = world->peer.connections[0];
	event_del(old->event);
	WORLD_UNTIL(world, peer_has_unread(old));
	world->options.ping_timeout_ms = 50;
	assert_int_equal(reload(world, 2, why), ERR_OK);
	WORLD_UNTIL(world, world->peer.count == 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_bad_reload_changes_nothing),
		T(an_equal_reload_keeps_connections),
		cmocka_unit_test(a_reload_loses_no_push),
		T(a_push_of_the_old_key_goes_again_with_the_new_one),
		T(the_socket_learns_them),
		T(a_push_in_flight_learns_response_timeout),
		T(an_idle_connection_learns_its_pings),
		T(an_app_that_is_gone_takes_its_pushes_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
