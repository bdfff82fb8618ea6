/* SPDX-License-Identifier: MIT */
#include "apns_world.h"

/* What a connection makes of a peer that is slow, silent, or leaving. */

static void accept_all(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	peer_answer(request, "200", "");
}

/* All but the first. */
static void leave_one_open(struct peer *peer, struct peer_request *request)
{
	if (peer->requests > 1)
		peer_answer(request, "200", "");
}

/* ---- GOAWAY ---- */

static void say_goaway(struct peer_connection *connection, const char *data)
{
	nghttp2_submit_goaway(connection->h2, NGHTTP2_FLAG_NONE, 1, NGHTTP2_NO_ERROR,
		(const uint8_t *)data, strlen(data));
}

static void nothing_before(struct world *world)
{
	(void)world;
}

static void warn(struct world *world)
{
	nghttp2_submit_shutdown_notice(world->peer.connections[0]->h2); /* last id 2^31-1 */
}

static void warn_and_be_heard(struct world *world)
{
	warn(world);
	peer_flush(world->peer.connections[0]);
	WORLD_UNTIL(world, world_stats(world).draining == 1);
}

static void be_retired(struct world *world)
{
	char why[256];

	assert_int_equal(apns_reconfigure(world->apns, &world->options, world->apps, 2, why, 256),
		ERR_OK); /* an app more */
	WORLD_UNTIL(world, world_stats(world).draining == 1);
}

/* The reason may stand in the second one, or come when the connection drains already. */
static void each_goaway_is_heard(void **state)
{
	static const struct {
		const char *what;
		void (*before)(struct world *world);
		int goaways;
	} ROWS[] = {
		{"the first", nothing_before, 1},
		{"at once behind a warning", warn, 2},
		{"after a warning", warn_and_be_heard, 2},
		{"retired before", be_retired, 1},
	};
	static const char REASON[] = "BadCertificateEnvironment";
	static const char DATA[] = "{\"reason\":\"BadCertificateEnvironment\"}";

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		void *fresh;
		world_setup(&fresh);
		struct world *world = fresh;
		world->app_count = 1;
		world_start(world, leave_one_open);
		world_send(world);
		WORLD_UNTIL(world, world->peer.requests == 1);
		struct peer_connection *old = world->peer.connections[0];
		ROWS[i].before(world);
		for (int n = 0; n < 3; n++) /* said again it is not heard again */
			say_goaway(old, DATA);
		peer_flush(old);
		WORLD_UNTIL(world, *world_stats(world).alarm);
		struct apns_route_stats stats = world_stats(world);
		if (world->goaways != ROWS[i].goaways || !strstr(stats.alarm, REASON) ||
			!strstr(stats.last_error, REASON) ||
			strcmp(world->goaway_reason, REASON) != 0)
			fail_msg("%s: %d, %s, alarm \"%s\", last error \"%s\"", ROWS[i].what,
				world->goaways, world->goaway_reason, stats.alarm,
				stats.last_error);
		peer_answer(old->requests, "200", "");
		peer_flush(old);
		world_finish(world);
		world_expect(world, 0, PUSH_ACCEPTED, 200, "");
		world_teardown(&fresh);
	}
}

static void a_flood_of_them_is_not(void **state)
{
	struct world *world = *state;
	char data[64];

	world_start(world, leave_one_open);
	world_send(world);
	WORLD_UNTIL(world, world->peer.requests == 1);
	struct peer_connection *old = world->peer.connections[0];
	for (int i = 0; i < 100; i++) {
		snprintf(data, sizeof(data), "{\"reason\":\"Reason%d\"}", i);
		say_goaway(old, data);
	}
	peer_answer(old->requests, "200", "");
	peer_flush(old);
	world_finish(world);
	assert_int_equal(world->goaways, 4);
	assert_string_equal(world->goaway_reason, "other");
	assert_string_equal(world_stats(world).alarm, "");
}

/* ---- silence ---- */

/* The idle PING finds nobody; pushes that come then learn it as fast as without one, and what the
 * socket does not take goes elsewhere. */
static void silence_is_noticed_while_an_idle_ping_is_out(void **state)
{
	struct world *world = *state;
	const int pushes = 100, sndbuf_bytes = 8192; /* far more than the socket takes */

	world->options.response_timeout_ms = world->options.ping_timeout_ms = PATIENCE_MS;
	world->options.ping_interval_ms = 100;
	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	struct peer_connection *old = world->peer.connections[0];
	nghttp2_submit_window_update(old->h2, NGHTTP2_FLAG_NONE, 0, pushes * PUSH_VOIP_MAX_BYTES);
	peer_flush(old);
	WORLD_UNTIL(world, world->peer.pings == 1); /* so that the next bytes are a PING */
	event_del(old->event);
	setsockopt(world_socket(world), SOL_SOCKET, SO_SNDBUF, &sndbuf_bytes, sizeof(sndbuf_bytes));
	WORLD_UNTIL(world, peer_has_unread(old));
	for (int i = 0; i < pushes; i++)
		world_send_large(world);
	WORLD_UNTIL(world, world->peer.count == 2); /* the one that is silent does not count */
	world_send(world);
	WORLD_UNTIL(world, world->told[pushes + 1]);
	world_expect(world, pushes + 1, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->results[pushes + 1].attempts, 1);
	WORLD_UNTIL(world, world->told[pushes]);
	world_expect(world, pushes, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->results[pushes].attempts, 2); /* shed, not lost */
	assert_int_equal(world_stats(world).ready, 2);
}

/* ---- the window ---- */

#define BITE_BYTES 1000

/* Room for one push more. */
static void open_a_little(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;

	(void)fd, (void)what;
	for (int i = 0; i < peer->count; i++) {
		struct peer_connection *connection = peer->connections[i];
		if (connection->closed || !connection->shaken)
			continue;
		nghttp2_submit_window_update(connection->h2, NGHTTP2_FLAG_NONE, 0, BITE_BYTES);
		peer_flush(connection);
	}
}

/* Never has it room for the largest push, and yet it opens all the time. */
static void a_busy_window_is_not_shut(void **state)
{
	static char payload[BITE_BYTES];
	const struct timeval pace = {.tv_usec = 100000};
	struct world *world = *state;

	memset(payload, 'x', sizeof(payload));
	world->peer.keep_window = true;
	world_start(world, accept_all);
	for (int i = 0; i < 12; i++) /* 61,440 of the 65,535 bytes */
		world_send_large(world);
	for (int i = 0; i < 30; i++)
		world_send_payload(world, 0, PATIENCE_MS, payload, sizeof(payload));
	struct event *event = event_new(world->base, -1, EV_PERSIST, open_a_little, &world->peer);
	WORLD_UNTIL(world, world->done == 16);
	int64_t start_us = clock_mono_us();
	event_add(event, &pace);
	world_finish(world);
	event_free(event);
	assert_int_equal(world->peer.count, 1);
	assert_true(clock_mono_us() - start_us > 2200000); /* or it proves nothing */
	assert_int_equal(world_stats(world).ready, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_goaway_is_heard),
		T(a_flood_of_them_is_not),
		T(silence_is_noticed_while_an_idle_ping_is_out),
		T(a_busy_window_is_not_shut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
