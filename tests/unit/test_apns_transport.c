/* SPDX-License-Identifier: MIT */
#include "apns_world.h"

/* The transport port: what the call flow relies on, whatever the network does. */

static void accept_all(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	peer_answer(request, "200", "");
}

static void ignore_all(struct peer *peer, struct peer_request *request)
{
	(void)peer, (void)request;
}

static void a_push_is_accepted(void **state)
{
	struct world *world = *state;

	world_start(world, accept_all);
	int64_t before_us = clock_mono_us();
	assert_true(world_send(world) > 0);
	assert_int_equal(apns_pending(world->apns), 1);
	world_finish(world);
	const struct push_result *result = &world->results[0];
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_string_equal(result->apns_id, "00000000-0000-4000-8000-000000000000");
	assert_int_equal(result->attempts, 1);
	assert_true(before_us < result->written_us && result->written_us < result->done_us);
	assert_int_equal(apns_pending(world->apns), 0);
	assert_int_equal(world->peer.count, 1);
}

static void nothing_is_opened_before_it_is_needed(void **state)
{
	struct world *world = *state;

	world->options.connections = world->options.max_connections = 3;
	world->apps[0].warm_production = true; /* of one route: the other stays cold */
	world_start(world, accept_all);
	WORLD_UNTIL(world, world_stats(world).ready == 3);
	assert_int_equal(world->peer.count, 3);
}

/* One stream until the first answer, then as many as the peer allows, and never more. */
static uint32_t later_limit;
static void open_up(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	if (request->connection->served == 1)
		peer_set_limit(request->connection, later_limit);
	peer_answer(request, "200", "");
}

static void a_burst_on_a_cold_route_loses_nothing(void **state)
{
	struct world *world = *state;

	later_limit = 40;
	world->peer.limit = 1;
	world->options.connections = 2;
	world->options.max_connections = 4;
	world_start(world, open_up);
	for (int i = 0; i < 1000; i++)
		assert_true(world_send(world) > 0);
	world_finish(world);
	for (int i = 0; i < 1000; i++) {
		world_expect(world, i, PUSH_ACCEPTED, 200, "");
		assert_int_equal(world->results[i].attempts, 1);
	}
	assert_int_equal(world->peer.requests, 1000);
	for (int i = 0; i < world->peer.count; i++)
		assert_in_range(world->peer.connections[i]->open_max, 0, 40);
	assert_in_range(world->peer.count, 2, 4);
}

static void answers_are_classed(void **state)
{
	static const struct {
		const char *status, *body;
		enum push_class class;
		int number;
		const char *reason;
		int64_t timestamp_ms;
	} ROWS[] = {
		{"410", "{\"reason\":\"Unregistered\",\"timestamp\":1763790000123}",
			PUSH_REJECTED_TOKEN, 410, "Unregistered", 1763790000123},
		{"400", "{\"reason\":\"BadDeviceToken\"}", PUSH_REJECTED_TOKEN, 400,
			"BadDeviceToken", 0},
		{"400", "{\"reason\":\"BadTopic\"}", PUSH_REJECTED_CONFIG, 400, "BadTopic", 0},
		{"413", "{\"reason\":\"PayloadTooLarge\"}", PUSH_REJECTED_SIZE, 413,
			"PayloadTooLarge", 0},
		{"403", "{\"reason\":\"InvalidProviderToken\"}", PUSH_REJECTED_CONFIG, 403,
			"InvalidProviderToken", 0},
	};
	struct world *world = *state;

	world_start(world, ignore_all);
	for (int i = 0; i < (int)(sizeof(ROWS) / sizeof(ROWS[0])); i++) {
		world_send(world);
		WORLD_UNTIL(world, world->peer.requests == i + 1);
		struct peer_connection *connection = world->peer.connections[0];
		peer_answer(connection->requests, ROWS[i].status, ROWS[i].body);
		peer_flush(connection);
		world_finish(world);
		world_expect(world, i, ROWS[i].class, ROWS[i].number, ROWS[i].reason);
		assert_int_equal(world->results[i].timestamp_ms, ROWS[i].timestamp_ms);
		assert_int_equal(world->results[i].attempts, 1);
	}
	assert_string_equal(world_stats(world).alarm, "InvalidProviderToken");
}

static void cancel_tells_unsent_from_too_late(void **state)
{
	struct world *world = *state;

	world->peer.limit = 1;
	world_start(world, ignore_all);
	uint64_t flying = world_send(world), waiting = world_send(world);
	WORLD_UNTIL(world, world->peer.requests == 1);
	assert_int_equal(world_cancel(world, waiting), CANCEL_WITHDRAWN);
	assert_int_equal(world_cancel(world, waiting), CANCEL_UNKNOWN);
	assert_int_equal(world_cancel(world, flying), CANCEL_TOO_LATE);
	assert_int_equal(world_cancel(world, 0), CANCEL_UNKNOWN);
	assert_int_equal(world_cancel(world, UINT64_MAX), CANCEL_UNKNOWN);
	assert_int_equal(world->peer.resets, 0);
	/* The answer still counts. */
	peer_answer(world->peer.connections[0]->requests, "410",
		"{\"reason\":\"Unregistered\",\"timestamp\":1}");
	peer_flush(world->peer.connections[0]);
	WORLD_UNTIL(world, world->done == 1);
	world_expect(world, 0, PUSH_REJECTED_TOKEN, 410, "Unregistered");
	assert_int_equal(apns_pending(world->apns), 0);
	assert_false(world->told[1]);
	assert_int_equal(world->peer.requests, 1);
	world->sent--; /* the withdrawn one is never told */
}

static void a_cancelled_push_is_not_tried_again(void **state)
{
	struct world *world = *state;

	world_start(world, ignore_all);
	uint64_t ticket = world_send(world);
	WORLD_UNTIL(world, world->peer.requests == 1);
	assert_int_equal(world_cancel(world, ticket), CANCEL_TOO_LATE);
	peer_answer(
		world->peer.connections[0]->requests, "503", "{\"reason\":\"ServiceUnavailable\"}");
	peer_flush(world->peer.connections[0]);
	world_finish(world);
	world_expect(world, 0, PUSH_REJECTED_BUSY, 503, "ServiceUnavailable");
	assert_int_equal(world->peer.requests, 1);
}

static void the_deadline_is_kept(void **state)
{
	struct world *world = *state;

	world->peer.limit = 1;
	world_start(world, ignore_all);
	world_send_app(world, 0, 300); /* flies */
	world_send_app(world, 0, 200); /* waits for a stream */
	int64_t start_us = clock_mono_us();
	world_finish(world);
	assert_in_range(clock_mono_us() - start_us, 250000, 1500000);
	world_expect(world, 0, PUSH_AMBIGUOUS, 0, "timeout");
	world_expect(world, 1, PUSH_NOT_SENT, 0, "timeout");
	assert_int_equal(world->results[1].written_us, 0);
	WORLD_UNTIL(world, world->peer.resets == 1);
	assert_int_equal(world->peer.reset_code, NGHTTP2_CANCEL);
	/* The stream is free again. */
	world->peer.script = accept_all;
	world_send(world);
	world_finish(world);
	world_expect(world, 2, PUSH_ACCEPTED, 200, "");
}

static void without_a_connection_the_reason_says_why(void **state)
{
	static const struct {
		const char *what;
		const char *host, *proxy;
		const char *names; /* of the certificate */
		long days;
		const char *alpn;
		const char *reason;
		bool alarm;
	} ROWS[] = {
		{"nobody listens", "127.0.0.1:1", "", "IP:127.0.0.1", 1, "h2", "connection", false},
		{"no such name", "nobody.invalid", "", "IP:127.0.0.1", 1, "h2", "dns", false},
		{"no such proxy", "127.0.0.1:1", "http://127.0.0.1:1", "IP:127.0.0.1", 1, "h2",
			"proxy", false},
		{"another name", NULL, "", "DNS:elsewhere,IP:127.0.0.9", 1, "h2", "tls", true},
		{"expired", NULL, "", "IP:127.0.0.1", 0, "h2", "tls", true},
		{"no ALPN", NULL, "", "IP:127.0.0.1", 1, "", "tls", true},
		{"only HTTP/1.1", NULL, "", "IP:127.0.0.1", 1, "\x08http/1.1", "tls", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		void *fresh;
		world_setup(&fresh);
		struct world *world = fresh;
		if (ROWS[i].host)
			world->options.production = ROWS[i].host;
		world->options.proxy = ROWS[i].proxy;
		world->peer.alpn = ROWS[i].alpn;
		world_use_certificate(world, ROWS[i].names, ROWS[i].days);
		world_start(world, accept_all);
		world_send_app(world, 0, 400);
		world_finish(world);
		if (strcmp(world->results[0].reason, ROWS[i].reason) != 0)
			fail_msg("%s: %s", ROWS[i].what, world->results[0].reason);
		assert_int_equal(world->results[0].class, PUSH_NOT_SENT);
		struct apns_route_stats stats = world_stats(world);
		assert_true(*stats.last_error);
		assert_true(stats.needed_since_us > 0);
		assert_int_equal(*stats.alarm != '\0', ROWS[i].alarm);
		assert_in_range(world->peer.count, 0, 10); /* no hot loop */
		world_teardown(&fresh);
	}
}

static void the_queue_is_bounded_and_shared(void **state)
{
	struct world *world = *state;
	int phone = 0, desk = 0;

	world->options.max_queued = 20;
	world_start(world, ignore_all);
	while (world_send_app(world, 0, PATIENCE_MS))
		phone++;
	while (world_send_app(world, 1, PATIENCE_MS))
		desk++;
	assert_int_equal(phone, 15); /* its own 5 and the shared 10 */
	assert_int_equal(desk, 5);
}

/* Order of arrival at the peer, when everything waits for one stream. */
static int order[RESULTS_MAX], order_count;
static void note_order(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	order[order_count++] = (int)strtol(strrchr(request->path, '/') + 57, NULL, 16);
	peer_answer(request, "200", "");
}

static void a_flood_of_one_app_does_not_delay_another(void **state)
{
	struct world *world = *state;
	int at = 0;

	order_count = 0;
	world->peer.limit = 1;
	world_start(world, note_order);
	for (int i = 0; i < 200; i++)
		world_send_app(world, 0, PATIENCE_MS);
	world_send_app(world, 1, PATIENCE_MS);
	world_finish(world);
	while (order[at] != 200)
		at++;
	assert_in_range(at, 0, 2);
	for (int i = 0; i < 201; i++)
		world_expect(world, i, PUSH_ACCEPTED, 200, "");
}

static void an_unknown_app_is_not_taken(void **state)
{
	struct world *world = *state;

	world_start(world, accept_all);
	world->apps[0].bundle_id = "com.example.other";
	assert_int_equal(world_send(world), 0);
}

static void everything_is_told_at_the_end(void **state)
{
	struct world *world = *state;

	world->peer.limit = 2;
	world_start(world, ignore_all);
	for (int i = 0; i < 5; i++)
		world_send(world);
	WORLD_UNTIL(world, world->peer.requests == 2);
	apns_free(world->apns);
	world->apns = NULL;
	assert_int_equal(world->done, 5);
	for (int i = 0; i < 5; i++)
		world_expect(world, i, i < 2 ? PUSH_AMBIGUOUS : PUSH_NOT_SENT, 0, "connection");
}

/* Whatever done() does is allowed: here it sends the next push. */
static struct world *chain_world;
static void chain_done(void *arg, const struct push_result *result)
{
	world_done(arg, result);
	if (chain_world->sent < 50)
		world_send(chain_world);
}

static void done_may_send(void **state)
{
	struct world *world = *state;
	struct slot *slot = &world->slots[0];
	const struct push_request request = {
		.apns_id = "00000000-0000-4000-8000-0000000000ff",
		.type = PUSH_ALERT,
		.environment = PUSH_PRODUCTION,
		.priority = 5,
		.app = "com.example.phone",
		.token = "ab",
		.payload = "{}",
		.payload_len = 2,
	};

	world_start(world, accept_all);
	chain_world = world;
	*slot = (struct slot){.world = world, .number = world->sent++};
	assert_true(world->transport->send(world->transport->self, &request,
			    clock_mono_us() + 5000000, chain_done, slot) > 0);
	world_finish(world);
	assert_int_equal(world->sent, 2);
}

/* Whatever kept the loop busy: what is late stays here. */
static void nothing_leaves_after_its_deadline(void **state)
{
	struct world *world = *state;

	world_start(world, accept_all);
	assert_true(world_send(world) > 0);
	world_finish(world); /* a connection is ready, with room */
	assert_true(world_send_app(world, 0, -1) > 0);
	assert_true(world_send(world) > 0);
	world_finish(world);
	world_expect(world, 1, PUSH_NOT_SENT, 0, "timeout");
	world_expect(world, 2, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->peer.requests, 2);
}

/* PINGs are answered and connections stand, but pushes get no answer: nothing of that works. */
static void only_an_answer_shows_that_pushes_work(void **state)
{
	struct world *world = *state;

	world->options.connections = world->options.max_connections = 1;
	world->options.response_timeout_ms = 20;
	world_start(world, ignore_all);
	for (int i = 0; world->peer.count < 2; i++) { /* until another connection was opened */
		assert_true(world_send_app(world, 0, 500) > 0);
		world_finish(world);
		assert_int_equal(world->results[i].class, PUSH_AMBIGUOUS);
	}
	WORLD_UNTIL(world, world_stats(world).ready);
	assert_true(world_stats(world).needed_since_us > 0);
	assert_true(world_stats(world).last_good_us < world_stats(world).needed_since_us);
	world->peer.script = accept_all;
	assert_true(world_send(world) > 0);
	world_finish(world);
	assert_int_equal(world_stats(world).needed_since_us, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_push_is_accepted),
		T(nothing_is_opened_before_it_is_needed),
		T(a_burst_on_a_cold_route_loses_nothing),
		T(answers_are_classed),
		T(cancel_tells_unsent_from_too_late),
		T(a_cancelled_push_is_not_tried_again),
		T(the_deadline_is_kept),
		T(nothing_leaves_after_its_deadline),
		cmocka_unit_test(without_a_connection_the_reason_says_why),
		T(only_an_answer_shows_that_pushes_work),
		T(the_queue_is_bounded_and_shared),
		T(a_flood_of_one_app_does_not_delay_another),
		T(an_unknown_app_is_not_taken),
		T(everything_is_told_at_the_end),
		T(done_may_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
