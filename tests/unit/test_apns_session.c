/* SPDX-License-Identifier: MIT */
#include "session_pair.h"

static void a_request_is_what_apple_asks_for(void **state)
{
	struct pair *pair = *state;
	struct session_request request = REQUEST;

	request.collapse_id = "one";
	assert_int_equal(session_submit(pair->client, &pair->streams[0], &request, 1), ERR_OK);
	exchange(pair);
	assert_string_equal(pair->server.seen[0].fields,
		":method=POST\n"
		":scheme=https\n"
		":path=/3/device/aabb!\n"
		":authority=api.push.apple.com\n"
		"authorization=bearer x.y.z!\n"
		"apns-id=11111111-2222-4333-8444-555555555555\n"
		"apns-push-type=voip\n"
		"apns-expiration=0\n"
		"apns-priority=10\n"
		"apns-topic=com.example.phone.voip\n"
		"apns-collapse-id=one\n");
	assert_string_equal(pair->server.seen[0].body, "{\"aps\":{}}");
	assert_true(pair->server.seen[0].complete);
	assert_int_equal(pair->server.push_setting, 0);
	assert_int_equal(pair->server.priorities, 0);
}

/* What differs with every push must not fill Apple's small table; the names stand there once. */
static void what_differs_enters_the_table_once(void **state)
{
	struct pair *pair = *state;
	struct session_request request = REQUEST;
	size_t first, second;

	set_limit(pair, 4);
	request.collapse_id = "one";
	request.expiration = "1763790030";
	assert_int_equal(session_submit(pair->client, &pair->streams[0], &request, 1), ERR_OK);
	first = to_server(pair);
	request.apns_id = "11111111-2222-4333-8444-666666666666";
	request.collapse_id = "two";
	request.expiration = "1763790031";
	assert_int_equal(session_submit(pair->client, &pair->streams[1], &request, 1), ERR_OK);
	second = to_server(pair);
	assert_string_equal(pair->server.seen[1].fields,
		":method=POST\n"
		":scheme=https\n"
		":path=/3/device/aabb!\n"
		":authority=api.push.apple.com\n"
		"authorization=bearer x.y.z!\n"
		"apns-id=11111111-2222-4333-8444-666666666666!\n"
		"apns-push-type=voip\n"
		"apns-expiration=1763790031!\n"
		"apns-priority=10\n"
		"apns-topic=com.example.phone.voip\n"
		"apns-collapse-id=two!\n");
	assert_true(second + 60 < first);
	for (size_t i = 2; i < 4; i++)
		assert_int_equal(submit(pair, i), ERR_OK);
	to_server(pair);
	assert_non_null(strstr(pair->server.seen[3].fields, "apns-expiration=0\n"));
}

static void an_answer_ends_the_stream(void **state)
{
	struct pair *pair = *state;
	struct stream *stream = &pair->streams[0];

	set_limit(pair, 1);
	assert_int_equal(submit(pair, 0), ERR_OK);
	exchange(pair);
	assert_null(session_next_ended(pair->client));
	assert_int_equal(session_open_streams(pair->client), 1);
	respond(pair, 1, "410", "{\"reason\":\"Unregistered\"}");
	assert_ptr_equal(session_next_ended(pair->client), stream);
	assert_null(session_next_ended(pair->client));
	assert_int_equal(stream->end, STREAM_ANSWERED);
	assert_int_equal(stream->status, 410);
	assert_string_equal(stream->body, "{\"reason\":\"Unregistered\"}");
	assert_string_equal(stream->apns_id, "AAAAAAAA-2222-4333-8444-555555555555");
	assert_int_equal(stream->retry_after_s, 7);
	assert_int_equal(session_date_s(pair->client), 1763791200);
	assert_true(stream->written_us > stream->submitted_us);
	assert_int_equal(session_open_streams(pair->client), 0);
}

static void one_stream_before_settings(void **state)
{
	struct pair *pair = *state;

	assert_int_equal(session_stream_limit(pair->client), 1);
	assert_int_equal(submit(pair, 0), ERR_OK);
	assert_false(session_has_room(pair->client, 10));
	assert_int_equal(submit(pair, 1), ERR_LIMIT);
	set_limit(pair, 3);
	assert_int_equal(submit(pair, 1), ERR_OK);
	assert_int_equal(submit(pair, 2), ERR_OK);
	assert_int_equal(submit(pair, 3), ERR_LIMIT);
	exchange(pair);
	assert_int_equal(pair->server.count, 3);
}

static void a_limit_that_falls_is_kept(void **state)
{
	struct pair *pair = *state;

	set_limit(pair, 10);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(submit(pair, i), ERR_OK);
	exchange(pair);
	set_limit(pair, 1);
	assert_int_equal(session_stream_limit(pair->client), 1);
	for (int32_t id = 1; id <= 9; id += 2) {
		assert_false(session_has_room(pair->client, 10));
		respond(pair, id, "200", "");
	}
	assert_true(session_has_room(pair->client, 10));
}

static void no_limit_is_not_endless(void **state)
{
	struct pair *pair = *state;

	nghttp2_submit_settings(pair->server.h2, 0, NULL, 0);
	exchange(pair);
	assert_int_equal(session_stream_limit(pair->client), SESSION_UNLIMITED);
}

static void the_window_is_a_limit_too(void **state)
{
	static char payload[5120];
	struct pair *pair = *state;
	struct session_request request = REQUEST;
	size_t n = 0;

	set_limit(pair, 100);
	request.payload = memset(payload, 'x', sizeof(payload));
	request.payload_len = sizeof(payload);
	while (session_has_room(pair->client, sizeof(payload))) {
		assert_int_equal(
			session_submit(pair->client, &pair->streams[n++], &request, 1), ERR_OK);
		if (n % 2)
			exchange(pair); /* what is submitted counts as well as what is sent */
	}
	assert_int_equal(n, 65535 / 5120);
	assert_true(session_window_is_short(pair->client));
	exchange(pair);
	assert_int_equal(pair->server.count, n);
	assert_true(pair->server.seen[n - 1].complete);
	nghttp2_session_consume_connection(pair->server.h2, n * sizeof(payload));
	exchange(pair);
	assert_false(session_window_is_short(pair->client));
	assert_true(session_has_room(pair->client, sizeof(payload)));
}

static void goaway_tells_who_was_served(void **state)
{
	static const char DATA[] = "{\"reason\":\"BadCertificateEnvironment\"}";
	struct pair *pair = *state;
	struct stream *stream;

	set_limit(pair, 10);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(submit(pair, i), ERR_OK);
	exchange(pair);
	assert_false(session_peer_is_leaving(pair->client));
	nghttp2_submit_goaway(
		pair->server.h2, 0, 3, NGHTTP2_NO_ERROR, (const uint8_t *)DATA, sizeof(DATA) - 1);
	exchange(pair);
	assert_true(session_peer_is_leaving(pair->client));
	const struct session_goaway *goaway = session_next_goaway(pair->client);
	assert_int_equal(goaway->len, sizeof(DATA) - 1);
	assert_memory_equal(goaway->data, DATA, goaway->len);
	assert_null(session_next_goaway(pair->client));
	for (int i = 0; i < 2; i++) { /* 5 and 7 were never seen */
		stream = session_next_ended(pair->client);
		assert_true(stream == &pair->streams[2] || stream == &pair->streams[3]);
		assert_int_equal(stream->end, STREAM_UNPROCESSED);
	}
	assert_null(session_next_ended(pair->client));
	assert_false(session_has_room(pair->client, 10));
	assert_int_equal(submit(pair, 5), ERR_LIMIT);
	respond(pair, 1, "200", "");
	respond(pair, 3, "200", "");
	for (int i = 0; i < 2; i++)
		assert_int_equal(session_next_ended(pair->client)->end, STREAM_ANSWERED);
	assert_true(session_is_over(pair->client));
}

static void goaway_may_be_a_warning(void **state)
{
	struct pair *pair = *state;

	set_limit(pair, 10);
	assert_int_equal(submit(pair, 0), ERR_OK);
	exchange(pair);
	nghttp2_submit_shutdown_notice(pair->server.h2); /* last id 2^31-1 */
	exchange(pair);
	assert_true(session_peer_is_leaving(pair->client));
	assert_null(session_next_ended(pair->client));
	assert_false(session_has_room(pair->client, 10));
	respond(pair, 1, "200", "");
	assert_int_equal(session_next_ended(pair->client)->end, STREAM_ANSWERED);
}

/* What nghttp2 still holds when GOAWAY comes fails twice inside it; it must be told once. */
static void submitted_behind_a_goaway_ends_once(void **state)
{
	struct pair *pair = *state;

	set_limit(pair, 10);
	nghttp2_submit_goaway(pair->server.h2, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
	assert_int_equal(submit(pair, 0), ERR_OK); /* before it is read */
	assert_int_equal(to_client(pair), ERR_OK);
	to_server(pair);
	struct stream *stream = session_next_ended(pair->client);
	assert_ptr_equal(stream, &pair->streams[0]);
	assert_int_equal(stream->end, STREAM_UNPROCESSED);
	assert_null(session_next_ended(pair->client));
	assert_int_equal(pair->server.count, 0);
	assert_int_equal(session_open_streams(pair->client), 0);
}

static void resets_are_told_apart(void **state)
{
	static const struct {
		uint32_t code;
		enum stream_end end;
	} ROWS[] = {
		{NGHTTP2_REFUSED_STREAM, STREAM_UNPROCESSED},
		{NGHTTP2_INTERNAL_ERROR, STREAM_AMBIGUOUS},
		{NGHTTP2_ENHANCE_YOUR_CALM, STREAM_AMBIGUOUS},
		{NGHTTP2_NO_ERROR, STREAM_AMBIGUOUS},
	};
	struct pair *pair = *state;

	set_limit(pair, 10);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(submit(pair, i), ERR_OK);
		exchange(pair);
		nghttp2_submit_rst_stream(pair->server.h2, 0, pair->streams[i].id, ROWS[i].code);
		exchange(pair);
		assert_ptr_equal(session_next_ended(pair->client), &pair->streams[i]);
		assert_int_equal(pair->streams[i].end, ROWS[i].end);
	}
}

/* Only what has left in full can have been processed. */
static void a_lost_connection_knows_what_it_sent(void **state)
{
	static char payload[5120];
	struct pair *pair = *state;
	struct session_request request = REQUEST;
	uint8_t out[2048];
	size_t len;

	set_limit(pair, 10);
	request.payload = memset(payload, 'x', sizeof(payload));
	request.payload_len = sizeof(payload);
	assert_int_equal(submit(pair, 0), ERR_OK);
	exchange(pair); /* sent */
	assert_int_equal(session_submit(pair->client, &pair->streams[1], &request, 5), ERR_OK);
	assert_int_equal(submit(pair, 2), ERR_OK);
	assert_int_equal(
		session_produce(pair->client, out, sizeof(out), &len, pair->now_us), ERR_OK);
	session_sent(pair->client, len); /* a part of the second */
	assert_false(session_is_unsent(&pair->streams[0]));
	assert_false(session_is_unsent(&pair->streams[1])); /* the rest of it would follow */
	assert_true(session_is_unsent(&pair->streams[2]));
	session_abandon(pair->client);
	static const enum stream_end ENDS[] = {
		STREAM_AMBIGUOUS, STREAM_UNPROCESSED, STREAM_UNPROCESSED};
	for (size_t i = 0; i < 3; i++) {
		assert_ptr_equal(session_next_ended(pair->client), &pair->streams[i]);
		assert_int_equal(pair->streams[i].end, ENDS[i]);
	}
	assert_null(session_next_ended(pair->client));
}

/* Bytes that the socket did not take leave later, while the connection lives: before an RST_STREAM.
 * Only with the connection they are lost. */
static void produced_leaves_unless_the_connection_is_lost(void **state)
{
	struct pair *pair = *state;
	uint8_t out[16384];
	size_t len;

	set_limit(pair, 10);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(submit(pair, i), ERR_OK);
	assert_true(session_is_unsent(&pair->streams[0]));
	assert_int_equal(session_produce(pair->client, out, sizeof(out), &len, 9), ERR_OK);
	assert_false(session_is_unsent(&pair->streams[0]));
	session_shed(pair->client);
	assert_null(session_next_ended(pair->client));
	session_cancel(pair->client, &pair->streams[0]);
	assert_int_equal(pair->streams[0].end, STREAM_AMBIGUOUS);
	session_expire(pair->client, pair->streams[1].submitted_us);
	assert_ptr_equal(session_next_ended(pair->client), &pair->streams[1]);
	assert_int_equal(pair->streams[1].end, STREAM_AMBIGUOUS);
	session_abandon(pair->client);
	assert_ptr_equal(session_next_ended(pair->client), &pair->streams[2]);
	assert_int_equal(pair->streams[2].end, STREAM_UNPROCESSED);
}

/* The first frame of an answer says all: whatever comes instead of the rest, it is not sent again. */
static void a_status_is_an_answer(void **state)
{
	struct pair *pair = *state;
	const nghttp2_nv nv[] = {NV(":status", "410")};

	set_limit(pair, 10);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(submit(pair, i), ERR_OK);
	exchange(pair);
	for (int32_t id = 1; id <= 7; id += 2)
		nghttp2_submit_headers(pair->server.h2, 0, id, NULL, nv, 1, NULL);
	exchange(pair);
	assert_null(session_next_ended(pair->client)); /* its body may say more */
	nghttp2_submit_rst_stream(pair->server.h2, 0, 1, NGHTTP2_REFUSED_STREAM);
	exchange(pair);
	session_expire(pair->client, pair->streams[1].submitted_us);
	session_cancel(pair->client, &pair->streams[2]);
	session_abandon(pair->client);
	for (size_t i = 0; i < 4; i++) {
		if (i != 2) /* which is not told again */
			assert_ptr_equal(session_next_ended(pair->client), &pair->streams[i]);
		assert_int_equal(pair->streams[i].end, STREAM_ANSWERED);
		assert_int_equal(pair->streams[i].status, 410);
		assert_false(pair->streams[i].timed_out);
	}
}

static void what_is_unsent_can_be_shed(void **state)
{
	struct pair *pair = *state;

	set_limit(pair, 10);
	assert_int_equal(submit(pair, 0), ERR_OK);
	exchange(pair);
	assert_int_equal(submit(pair, 1), ERR_OK);
	session_shed(pair->client);
	assert_ptr_equal(session_next_ended(pair->client), &pair->streams[1]);
	assert_int_equal(pair->streams[1].end, STREAM_UNPROCESSED);
	assert_null(session_next_ended(pair->client));
	assert_int_equal(session_open_streams(pair->client), 1);
	exchange(pair);
	assert_int_equal(pair->server.count, 1); /* it never left */
	respond(pair, 1, "200", "");
	assert_int_equal(session_next_ended(pair->client)->end, STREAM_ANSWERED);
}

static void an_expired_stream_gives_its_budget_back(void **state)
{
	struct pair *pair = *state;

	set_limit(pair, 2);
	assert_int_equal(submit(pair, 0), ERR_OK);
	exchange(pair);
	int64_t first_us = pair->streams[0].submitted_us;
	assert_int_equal(session_oldest_us(pair->client), first_us);
	pair->now_us += 100;
	assert_int_equal(submit(pair, 1), ERR_OK);
	exchange(pair);
	session_expire(pair->client, first_us);
	assert_ptr_equal(session_next_ended(pair->client), &pair->streams[0]);
	assert_true(pair->streams[0].timed_out);
	assert_int_equal(pair->streams[0].end, STREAM_AMBIGUOUS);
	assert_null(session_next_ended(pair->client));
	assert_int_equal(session_open_streams(pair->client), 1);
	exchange(pair);
	assert_int_equal(pair->server.resets, 1);
	assert_int_equal(pair->server.reset_code, NGHTTP2_CANCEL);
	assert_true(session_has_room(pair->client, 10));
	/* An answer that was on its way meets nobody. */
	assert_int_equal(submit(pair, 2), ERR_OK);
	exchange(pair);
	assert_int_equal(pair->server.count, 3);
}

static void a_cancelled_request_may_still_be_in_the_queue(void **state)
{
	struct pair *pair = *state;

	set_limit(pair, 2);
	assert_int_equal(submit(pair, 0), ERR_OK);
	session_cancel(pair->client, &pair->streams[0]);
	assert_int_equal(pair->streams[0].end, STREAM_UNPROCESSED);
	memset(&pair->streams[0], 0xff, sizeof(pair->streams[0])); /* it is the owner's */
	exchange(pair);
	assert_int_equal(pair->server.count, 0);
	pair->streams[0].body = NULL;
	assert_int_equal(session_open_streams(pair->client), 0);
	assert_true(session_has_room(pair->client, 10));
}

static void endless_bodies_are_cut(void **state)
{
	struct pair *pair = *state;
	uint8_t frame[9 + 16384] = {0x00, 0x40, 0x00, NGHTTP2_DATA, 0, 0, 0, 0, 1};
	const nghttp2_nv nv[] = {NV(":status", "400")};

	set_limit(pair, 1);
	assert_int_equal(submit(pair, 0), ERR_OK);
	exchange(pair);
	nghttp2_submit_headers(pair->server.h2, 0, 1, NULL, nv, 1, NULL);
	exchange(pair);
	memset(frame + 9, '{', 16384);
	for (int i = 0; i < 5 && !pair->streams[0].end; i++) {
		assert_int_equal(session_receive(pair->client, frame, sizeof(frame)), ERR_OK);
		uint8_t out[4096];
		size_t len;
		session_produce(pair->client, out, sizeof(out), &len, 1);
		session_sent(pair->client, len);
	}
	assert_ptr_equal(session_next_ended(pair->client), &pair->streams[0]);
	assert_int_equal(pair->streams[0].end, STREAM_ANSWERED);
	assert_int_equal(pair->streams[0].status, 400);
	assert_int_equal(pair->streams[0].body_len, 4096);
}

/* nghttp2 answers with GOAWAY; when that is out, nothing is left to do. */
static void garbage_ends_the_session(void **state)
{
	struct pair *pair = *state;

	to_server(pair);
	session_receive(pair->client, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	to_server(pair);
	assert_true(session_is_over(pair->client));
	assert_int_equal(pair->server.goaways, 1);
}

static void pings_are_answered_once(void **state)
{
	struct pair *pair = *state;

	set_limit(pair, 1);
	exchange(pair);
	assert_int_equal(session_ping(pair->client), ERR_OK);
	assert_false(session_ping_answered(pair->client));
	exchange(pair);
	assert_int_equal(pair->server.pings, 1);
	assert_true(session_ping_answered(pair->client));
	assert_false(session_ping_answered(pair->client));
}

static void ids_run_out_in_time(void **state)
{
	struct pair *pair = *state;

	set_limit(pair, 10);
	assert_false(session_ids_are_short(pair->client));
	session_skip_ids(pair->client, INT32_MAX - 0x10000);
	assert_true(session_ids_are_short(pair->client));
	assert_int_equal(submit(pair, 0), ERR_OK); /* while the replacement is opened */
	exchange(pair);
	assert_int_equal(pair->server.count, 1);
}

static void closing_says_goaway(void **state)
{
	struct pair *pair = *state;

	exchange(pair);
	session_close(pair->client);
	to_server(pair);
	assert_int_equal(pair->server.goaways, 1);
	assert_true(session_is_over(pair->client));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_is_what_apple_asks_for),
		T(what_differs_enters_the_table_once),
		T(an_answer_ends_the_stream),
		T(one_stream_before_settings),
		T(a_limit_that_falls_is_kept),
		T(no_limit_is_not_endless),
		T(the_window_is_a_limit_too),
		T(goaway_tells_who_was_served),
		T(goaway_may_be_a_warning),
		T(submitted_behind_a_goaway_ends_once),
		T(resets_are_told_apart),
		T(a_lost_connection_knows_what_it_sent),
		T(produced_leaves_unless_the_connection_is_lost),
		T(a_status_is_an_answer),
		T(what_is_unsent_can_be_shed),
		T(an_expired_stream_gives_its_budget_back),
		T(a_cancelled_request_may_still_be_in_the_queue),
		T(endless_bodies_are_cut),
		T(garbage_ends_the_session),
		T(pings_are_answered_once),
		T(ids_run_out_in_time),
		T(closing_says_goaway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
