/* SPDX-License-Identifier: MIT */
#include <sys/stat.h>

#include "apns_world.h"

/* What a sender meets in the field, and that it loses nothing and sends nothing twice. */

static void accept_all(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	peer_answer(request, "200", "");
}

/* ---- GOAWAY, refusals, broken connections ---- */

static char ids[16][64];
static int id_count;

/* Serves the first two pushes of five, then says GOAWAY; another connection serves all. */
static void goaway_after_two(struct peer *peer, struct peer_request *request)
{
	struct peer_connection *connection = request->connection;

	(void)peer;
	strcpy(ids[id_count++], request->apns_id);
	if (connection->number > 1 || connection->served == 1) {
		peer_answer(request, "200", "");
	} else if (connection->served == 6) {
		nghttp2_submit_goaway(connection->h2, NGHTTP2_FLAG_NONE, 5, NGHTTP2_NO_ERROR,
			(const uint8_t *)"{\"reason\":\"Shutdown\"}", 21);
		peer_answer(peer_request_of(connection, 3), "200", "");
		peer_answer(peer_request_of(connection, 5), "200", "");
	}
}

static void goaway_resends_what_was_not_seen(void **state)
{
	struct world *world = *state;

	id_count = 0;
	world_start(world, goaway_after_two);
	world_send(world); /* stream 1: brings the SETTINGS, so that the others fly together */
	world_finish(world);
	for (int i = 0; i < 5; i++)
		world_send(world);
	world_finish(world);
	for (int i = 0; i < 6; i++) {
		world_expect(world, i, PUSH_ACCEPTED, 200, "");
		assert_int_equal(world->results[i].attempts, i < 3 ? 1 : 2);
	}
	assert_int_equal(id_count, 9);
	for (int i = 6; i < 9; i++) /* 7, 9 and 11, under the same ids */
		assert_true(strcmp(ids[i], ids[3]) == 0 || strcmp(ids[i], ids[4]) == 0 ||
			    strcmp(ids[i], ids[5]) == 0);
	assert_int_equal(world->goaways, 1);
	assert_string_equal(world->goaway_reason, "Shutdown");
	assert_int_equal(world->retries, 3);
	assert_string_equal(world->retry_reason, "goaway");
	assert_int_equal(world->peer.count, 2);
	WORLD_UNTIL(world, world->peer.connections[0]->closed);
}

static int refusals;
static void refuse_some(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	if (refusals-- > 0)
		peer_refuse(request, NGHTTP2_REFUSED_STREAM);
	else
		peer_answer(request, "200", "");
}

static void refused_streams_go_again(void **state)
{
	struct world *world = *state;

	refusals = 4;
	world_start(world, refuse_some);
	for (int i = 0; i < 20; i++)
		world_send(world);
	world_finish(world);
	int attempts = 0;
	for (int i = 0; i < 20; i++) {
		world_expect(world, i, PUSH_ACCEPTED, 200, "");
		attempts += world->results[i].attempts;
	}
	assert_int_equal(attempts, 24);
	assert_int_equal(world->retries, 4);
	assert_string_equal(world->retry_reason, "refused");
}

/* A peer that refuses for ever is not asked in a hot loop. */
static void endless_refusal_is_no_hot_loop(void **state)
{
	struct world *world = *state;

	refusals = 1000000;
	world_start(world, refuse_some);
	world_send_app(world, 0, 1000);
	world_finish(world);
	world_expect(world, 0, PUSH_NOT_SENT, 0, "connection");
	assert_in_range(world->peer.requests, 4, 60);
}

static int deaths;
static void die_on_request(struct peer *peer, struct peer_request *request)
{
	(void)peer;
	strcpy(ids[id_count++ % 16], request->apns_id);
	if (deaths-- > 0)
		shutdown(request->connection->fd, SHUT_RDWR);
	else
		peer_answer(request, "200", "");
}

static void an_ambiguous_push_goes_once_more(void **state)
{
	struct world *world = *state;

	deaths = 1;
	id_count = 0;
	world_start(world, die_on_request);
	world_send(world);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->results[0].attempts, 2);
	assert_string_equal(ids[0], ids[1]);
	assert_string_equal(world->retry_reason, "ambiguous");
}

static void and_not_twice(void **state)
{
	struct world *world = *state;

	deaths = 5;
	world_start(world, die_on_request);
	world_send(world);
	world_finish(world);
	world_expect(world, 0, PUSH_AMBIGUOUS, 0, "connection");
	assert_int_equal(world->results[0].attempts, 2);
	assert_int_equal(world->peer.requests, 2);
}

/* An ambiguous push that was called back is told, though nothing more happens to it. */
static void a_cancelled_ambiguous_push_is_told(void **state)
{
	struct world *world = *state;

	deaths = 1;
	world_start(world, die_on_request);
	uint64_t ticket = world_send(world);
	WORLD_UNTIL(world, world->peer.requests == 1);
	peer_deafen(&world->peer);
	WORLD_UNTIL(world, world->retries == 1);
	assert_int_equal(world_cancel(world, ticket), CANCEL_TOO_LATE);
	assert_int_equal(world->done, 0);
	world_finish(world);
	world_expect(world, 0, PUSH_AMBIGUOUS, 0, "connection");
}

static void only_the_first_is_silent(struct peer *peer, struct peer_request *request)
{
	(void)request;
	if (peer->requests > 1)
		peer_answer(request, "200", "");
}

static void a_silent_stream_is_given_up_alone(void **state)
{
	struct world *world = *state;

	world->options.response_timeout_ms = 300;
	world->peer.limit = 1;
	world_start(world, only_the_first_is_silent);
	world_send(world);
	world_send(world);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	world_expect(world, 1, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->results[0].attempts, 2);
	assert_int_equal(world->peer.resets, 1);
	assert_int_equal(world->peer.reset_code, NGHTTP2_CANCEL);
	assert_int_equal(world->peer.count, 1);
	assert_string_equal(world->retry_reason, "ambiguous");
}

/* Half-open: the peer is gone and nothing says so. New pushes do not wait for the old one's
 * fate. */
static void silence_sends_the_next_elsewhere(void **state)
{
	struct world *world = *state;

	world->options.response_timeout_ms = 10000;
	world->options.ping_timeout_ms = 300;
	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	struct peer_connection *old = world->peer.connections[0];
	event_del(old->event);
	world_send(world);
	int64_t start_us = clock_mono_us();
	world_finish(world);
	assert_in_range(clock_mono_us() - start_us, 2000000, 3500000);
	world_expect(world, 1, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->results[1].attempts, 2); /* ambiguous, once more */
	assert_int_equal(world->peer.count, 2);
	assert_int_equal(world_stats(world).ready, 1);
}

/* The peer answers, but takes no more bytes: what is unsent leaves for another connection. */
static void a_shut_window_is_left(void **state)
{
	struct world *world = *state;

	world->peer.keep_window = true;
	world->options.max_connections = 2;
	world_start(world, accept_all);
	for (int i = 0; i < 40; i++) /* three windows */
		world_send_large(world);
	world_finish(world);
	for (int i = 0; i < world->sent; i++) {
		world_expect(world, i, PUSH_ACCEPTED, 200, "");
		assert_int_equal(world->results[i].attempts, 1);
	}
	assert_in_range(world->peer.count, 2, 10);
}

static void an_outage_heals(void **state)
{
	struct world *world = *state;

	peer_deafen(&world->peer);
	world_start(world, accept_all);
	world_send(world);
	WORLD_UNTIL(world, *world_stats(world).last_error);
	peer_listen(&world->peer);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_string_equal(world_stats(world).last_error, "");
	assert_int_equal(world_stats(world).needed_since_us, 0);
	assert_true(world_stats(world).last_good_us > 0);
}

/* ---- answers that say: again ---- */

static int unavailable;
static int served_by[4];
static void be_unavailable(struct peer *peer, struct peer_request *request)
{
	served_by[(peer->requests - 1) % 4] = request->connection->number;
	if (unavailable-- > 0)
		peer_answer(request, "503", "{\"reason\":\"ServiceUnavailable\"}");
	else
		peer_answer(request, "200", "");
}

static void a_server_error_is_tried_elsewhere(void **state)
{
	struct world *world = *state;

	unavailable = 1;
	world->options.connections = world->options.max_connections = 2;
	world->apps[0].warm_production = true;
	world_start(world, be_unavailable);
	WORLD_UNTIL(world, world_stats(world).ready == 2);
	world_send(world);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->results[0].attempts, 2);
	assert_int_not_equal(served_by[0], served_by[1]);
}

static void but_only_once(void **state)
{
	struct world *world = *state;

	unavailable = 100;
	world_start(world, be_unavailable);
	world_send(world);
	world_finish(world);
	world_expect(world, 0, PUSH_REJECTED_BUSY, 503, "ServiceUnavailable");
	assert_int_equal(world->results[0].attempts, 2);
}

static void a_connection_that_keeps_failing_is_replaced(void **state)
{
	struct world *world = *state;

	unavailable = 4;
	world_start(world, be_unavailable);
	world_send(world);
	world_finish(world);
	world_send(world);
	world_finish(world);
	world_send(world);
	world_finish(world);
	world_expect(world, 2, PUSH_ACCEPTED, 200, "");
	assert_int_equal(world->peer.count, 2);
}

static char bearers[8][512];
static int expired;
static void call_it_expired(struct peer *peer, struct peer_request *request)
{
	strcpy(bearers[(peer->requests - 1) % 8], request->authorization);
	if (expired-- > 0)
		peer_answer(request, "403", "{\"reason\":\"ExpiredProviderToken\"}");
	else
		peer_answer(request, "200", "");
}

static void an_expired_token_is_replaced_once(void **state)
{
	struct world *world = *state;

	expired = 1;
	world_start(world, call_it_expired);
	world_send(world);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_string_not_equal(bearers[0], bearers[1]);
	/* And once more within 20 minutes: the token stays, another connection is asked. */
	expired = 10;
	world_send(world);
	world_finish(world);
	world_expect(world, 1, PUSH_REJECTED_CONFIG, 403, "ExpiredProviderToken");
	assert_int_equal(world->peer.requests, 4);
	assert_string_equal(bearers[1], bearers[2]);
	assert_string_equal(bearers[1], bearers[3]);
	assert_non_null(strstr(world_stats(world).alarm, "ExpiredProviderToken"));
}

static int too_many;
static void too_many_updates(struct peer *peer, struct peer_request *request)
{
	strcpy(bearers[(peer->requests - 1) % 8], request->authorization);
	if (too_many-- > 0)
		peer_answer(request, "429", "{\"reason\":\"TooManyProviderTokenUpdates\"}");
	else
		peer_answer(request, "200", "");
}

static void too_many_token_updates_keep_the_token(void **state)
{
	struct world *world = *state;

	too_many = 1;
	world_start(world, too_many_updates);
	world_send(world);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_string_equal(bearers[0], bearers[1]);
	assert_int_equal(world->results[0].attempts, 2);
	/* A pause that the deadline does not allow is not begun. */
	too_many = 1;
	world_send_app(world, 0, 150);
	world_finish(world);
	world_expect(world, 1, PUSH_REJECTED_BUSY, 429, "TooManyProviderTokenUpdates");
	assert_int_equal(world->peer.requests, 3);
}

/* ---- the provider token across restarts ---- */

static void the_token_survives_a_restart(void **state)
{
	struct world *world = *state;
	char first[512], pattern[256];

	world->options.state_dir = world->dir;
	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	strcpy(first, world->peer.last_authorization);
	apns_free(world->apns);
	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	assert_string_equal(first, world->peer.last_authorization);
	snprintf(pattern, sizeof(pattern),
		"test -z \"$(find %s -name 'provider-token-*' ! -perm 600)\" && "
		"test $(ls %s/provider-token-* | wc -l) -eq 1",
		world->dir, world->dir);
	assert_int_equal(system(pattern), 0);
	/* Who else could have written it is not believed. */
	snprintf(pattern, sizeof(pattern), "chmod 640 %s/provider-token-*", world->dir);
	assert_int_equal(system(pattern), 0);
	apns_free(world->apns);
	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	assert_string_not_equal(first, world->peer.last_authorization);
}

/* ---- proxy ---- */

static void the_proxy_is_asked_with_a_password(void **state)
{
	struct world *world = *state;
	char proxy[96];

	snprintf(proxy, sizeof(proxy), "http://al%%3ace:s3cret@127.0.0.1:%d", world->peer.port);
	world->options.proxy = proxy;
	world->options.production = "localhost:2197"; /* resolved by the proxy, never here */
	world->peer.proxy_answer = "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n";
	world_start(world, accept_all);
	world_send(world);
	world_finish(world);
	world_expect(world, 0, PUSH_ACCEPTED, 200, "");
	assert_string_equal(world->peer.proxy_saw,
		"CONNECT localhost:2197 HTTP/1.1\r\nHost: localhost:2197\r\n"
		"Proxy-Authorization: Basic YWw6Y2U6czNjcmV0\r\n\r\n");
}

static void a_proxy_that_says_no(void **state)
{
	static const struct {
		const char *answer;
		bool alarm;
	} ROWS[] = {
		{"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", true},
		{"HTTP/1.1 502 Bad Gateway\r\n\r\n", false},
		{"SSH-2.0-OpenSSH_9.2\r\n", false},
		{"HTTP/1.1 200 OK\r\n\r\nsurplus", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		void *fresh;
		char proxy[96];
		world_setup(&fresh);
		struct world *world = fresh;
		snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", world->peer.port);
		world->options.proxy = proxy;
		world->peer.proxy_answer = ROWS[i].answer;
		world_start(world, accept_all);
		world_send_app(world, 0, 300);
		world_finish(world);
		world_expect(world, 0, PUSH_NOT_SENT, 0, "proxy");
		assert_int_equal(*world_stats(world).alarm != '\0', ROWS[i].alarm);
		world_teardown(&fresh);
	}
}

/* ---- TLS ---- */

static void sessions_are_resumed(void **state)
{
	struct world *world = *state;

	deaths = 0;
	world_start(world, die_on_request);
	world_send(world);
	world_finish(world);
	assert_int_equal(world->peer.resumed, 0);
	shutdown(world->peer.connections[0]->fd, SHUT_RDWR);
	world_send(world);
	world_finish(world);
	assert_int_equal(world->peer.resumed, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(goaway_resends_what_was_not_seen),
		T(refused_streams_go_again),
		T(endless_refusal_is_no_hot_loop),
		T(an_ambiguous_push_goes_once_more),
		T(and_not_twice),
		T(a_cancelled_ambiguous_push_is_told),
		T(a_silent_stream_is_given_up_alone),
		T(silence_sends_the_next_elsewhere),
		T(a_shut_window_is_left),
		T(an_outage_heals),
		T(a_server_error_is_tried_elsewhere),
		T(but_only_once),
		T(a_connection_that_keeps_failing_is_replaced),
		T(an_expired_token_is_replaced_once),
		T(too_many_token_updates_keep_the_token),
		T(the_token_survives_a_restart),
		T(the_proxy_is_asked_with_a_password),
		cmocka_unit_test(a_proxy_that_says_no),
		T(sessions_are_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
