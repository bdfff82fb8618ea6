/* SPDX-License-Identifier: MIT */
#include "apns_world.h"

/* What a connection makes of a peer that is slow, silent, or leaving. */

static void accept_all(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	peer_answer(request, "200", "");
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
		T(a_busy_window_is_not_shut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
