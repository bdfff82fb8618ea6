/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/news.h>
#include <pbxpush/core/push.h>

#include "repeat.h"

#define UUID "0e9b6a1c-6f0e-5d3a-9f59-2f3f5f0f6a11"
#define AT   INT64_C(1763790000123)

static const struct payload_call call = {
	.uuid = UUID,
	.call_id = "abc",
	.caller_name = "Alice",
	.caller_number = "+15551230001",
	.callee = "1001",
	.fallback_name = "Unknown",
};

#define NO_COUNTS                                                                                  \
	.badge = NEWS_NONE, .at_ms = NEWS_NONE, .count = NEWS_NONE, .old_count = NEWS_NONE,        \
	.duration_s = NEWS_NONE
#define ALICE                                                                                      \
	.to = "1001", .from_name = "Alice", .from_number = "+15551230001",                         \
	.fallback_name = "Unknown"
#define FROM "\"to\":\"1001\",\"from\":{\"name\":\"Alice\",\"number\":\"+15551230001\"}"

static void each_has_its_text(void **state)
{
	static const struct {
		struct news news;
		const char *expected;
	} rows[] = {
		{{.type = NEWS_MISSED_CALL,
			 ALICE,
			 .call = "abc",
			 .at_ms = AT,
			 .badge = 3,
			 .count = NEWS_NONE,
			 .new_count = NEWS_NONE,
			 .old_count = NEWS_NONE,
			 .duration_s = NEWS_NONE},
			"{\"aps\":{\"alert\":{\"title\":\"Alice\",\"body\":\"Missed call\","
			"\"title-loc-key\":\"MISSED_CALL_TITLE\",\"title-loc-args\":[\"Alice\"],"
			"\"loc-key\":\"MISSED_CALL\",\"loc-args\":[\"Alice\"]},"
			"\"sound\":\"default\",\"badge\":3,\"mutable-content\":1,"
			"\"thread-id\":\"MISSED_CALL\",\"category\":\"MISSED_CALL\"},"
			"\"v\":1,\"type\":\"missed-call\"," FROM
			",\"call\":\"abc\",\"at_ms\":1763790000123}"},
		{{.type = NEWS_MISSED_CALL,
			 NO_COUNTS,
			 ALICE,
			 .call = "abc",
			 .silent = true,
			 .new_count = NEWS_NONE},
			"{\"aps\":{\"alert\":{\"title\":\"Alice\",\"body\":\"Missed call\","
			"\"title-loc-key\":\"MISSED_CALL_TITLE\",\"title-loc-args\":[\"Alice\"],"
			"\"loc-key\":\"MISSED_CALL\",\"loc-args\":[\"Alice\"]},"
			"\"mutable-content\":1,\"interruption-level\":\"passive\","
			"\"thread-id\":\"MISSED_CALL\",\"category\":\"MISSED_CALL\"},"
			"\"v\":1,\"type\":\"missed-call\"," FROM ",\"call\":\"abc\"}"},
		{{.type = NEWS_MISSED_CALL,
			 .to = "1001",
			 .count = 3,
			 .badge = 0,
			 .at_ms = NEWS_NONE,
			 .new_count = NEWS_NONE,
			 .old_count = NEWS_NONE,
			 .duration_s = NEWS_NONE},
			"{\"aps\":{\"alert\":{\"title\":\"Missed calls\","
			"\"body\":\"3 calls while do-not-disturb\","
			"\"title-loc-key\":\"MISSED_CALLS_TITLE\",\"loc-key\":\"MISSED_CALLS\","
			"\"loc-args\":[\"3\"]},\"sound\":\"default\",\"badge\":0,"
			"\"mutable-content\":1,\"thread-id\":\"MISSED_CALL\","
			"\"category\":\"MISSED_CALL\"},\"v\":1,\"type\":\"missed-call\","
			"\"to\":\"1001\",\"count\":3}"},
		{{.type = NEWS_VOICEMAIL,
			 .to = "1001",
			 .new_count = 2,
			 .old_count = 0,
			 .badge = 2,
			 .at_ms = NEWS_NONE,
			 .count = NEWS_NONE,
			 .duration_s = NEWS_NONE},
			"{\"aps\":{\"alert\":{\"title\":\"Voicemail\",\"body\":\"2 new messages\","
			"\"title-loc-key\":\"VOICEMAIL_TITLE\",\"loc-key\":\"VOICEMAIL\","
			"\"loc-args\":[\"2\"]},\"sound\":\"default\",\"badge\":2,"
			"\"mutable-content\":1,\"thread-id\":\"VOICEMAIL\","
			"\"category\":\"VOICEMAIL\"},\"v\":1,\"type\":\"voicemail\","
			"\"to\":\"1001\",\"new\":2,\"old\":0}"},
		{{.type = NEWS_VOICEMAIL,
			 ALICE,
			 .new_count = 1,
			 .old_count = 4,
			 .duration_s = 17,
			 .badge = NEWS_NONE,
			 .at_ms = NEWS_NONE,
			 .count = NEWS_NONE},
			"{\"aps\":{\"alert\":{\"title\":\"Alice\",\"body\":\"1 new message\","
			"\"title-loc-key\":\"VOICEMAIL_FROM_TITLE\","
			"\"title-loc-args\":[\"Alice\"],\"loc-key\":\"VOICEMAIL_FROM\","
			"\"loc-args\":[\"1\",\"Alice\"]},\"sound\":\"default\","
			"\"mutable-content\":1,\"thread-id\":\"VOICEMAIL\","
			"\"category\":\"VOICEMAIL\"},\"v\":1,\"type\":\"voicemail\"," FROM
			",\"new\":1,\"old\":4,\"duration_s\":17}"},
		{{.type = NEWS_VOICEMAIL, NO_COUNTS, .to = "1001", .new_count = 0, .silent = true},
			"{\"aps\":{\"alert\":{\"title\":\"Voicemail\",\"body\":\"No new messages\","
			"\"title-loc-key\":\"VOICEMAIL_TITLE\",\"loc-key\":\"VOICEMAIL\","
			"\"loc-args\":[\"0\"]},\"mutable-content\":1,"
			"\"interruption-level\":\"passive\",\"thread-id\":\"VOICEMAIL\","
			"\"category\":\"VOICEMAIL\"},\"v\":1,\"type\":\"voicemail\","
			"\"to\":\"1001\",\"new\":0}"},
		{{.type = NEWS_MESSAGE,
			 NO_COUNTS,
			 ALICE,
			 .new_count = NEWS_NONE,
			 .conversation = "room 7",
			 .message_id = "m1",
			 .text = "Hi \"Bob\""},
			"{\"aps\":{\"alert\":{\"title\":\"Alice\",\"body\":\"Hi \\\"Bob\\\"\","
			"\"title-loc-key\":\"MESSAGE_TEXT_TITLE\",\"title-loc-args\":[\"Alice\"],"
			"\"loc-key\":\"MESSAGE_TEXT\",\"loc-args\":[\"Alice\",\"Hi \\\"Bob\\\"\"]},"
			"\"sound\":\"default\",\"mutable-content\":1,\"thread-id\":\"room 7\","
			"\"category\":\"MESSAGE\"},\"v\":1,\"type\":\"message\"," FROM
			",\"conversation\":\"room 7\",\"message_id\":\"m1\","
			"\"text\":\"Hi \\\"Bob\\\"\"}"},
		{{.type = NEWS_MESSAGE,
			 NO_COUNTS,
			 .to = "1001",
			 .fallback_name = "Anonymous",
			 .new_count = NEWS_NONE,
			 .conversation = "c",
			 .text = ""},
			"{\"aps\":{\"alert\":{\"title\":\"Anonymous\",\"body\":\"New message\","
			"\"title-loc-key\":\"MESSAGE_TITLE\",\"title-loc-args\":[\"Anonymous\"],"
			"\"loc-key\":\"MESSAGE\",\"loc-args\":[\"Anonymous\"]},"
			"\"sound\":\"default\",\"mutable-content\":1,\"thread-id\":\"c\","
			"\"category\":\"MESSAGE\"},\"v\":1,\"type\":\"message\",\"to\":\"1001\","
			"\"from\":{\"name\":\"Anonymous\",\"number\":null},"
			"\"conversation\":\"c\"}"},
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool truncated = true;

		buf_reset(&out);
		news_write(&rows[i].news, NULL, &out, &truncated);
		assert_string_equal(buf_str(&out), rows[i].expected);
		assert_false(truncated);
	}
	buf_free(&out);
}

static void a_call_in_alert_mode_ends(void **state)
{
	static const struct {
		enum call_state state;
		const char *name, *body, *key;
	} rows[] = {
		{CALL_ANSWERED, "answered", "Answered on another device", "ANSWERED_ELSEWHERE"},
		{CALL_COMPLETED, "completed", "Answered on another device", "ANSWERED_ELSEWHERE"},
		{CALL_CANCELLED, "cancelled", "Missed call", "MISSED_CALL"},
		{CALL_TIMEOUT, "timeout", "Missed call", "MISSED_CALL"},
		{CALL_DECLINED, "declined", "Missed call", "MISSED_CALL"},
	};
	struct buf out = {0}, expected = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool truncated = true;

		buf_reset(&out);
		buf_reset(&expected);
		buf_printf(&expected,
			"{\"aps\":{\"alert\":{\"title\":\"Alice\",\"body\":\"%s\","
			"\"title-loc-key\":\"%s_TITLE\",\"title-loc-args\":[\"Alice\"],"
			"\"loc-key\":\"%s\",\"loc-args\":[\"Alice\"]},\"mutable-content\":1,"
			"\"interruption-level\":\"passive\",\"thread-id\":\"" UUID
			"\",\"category\":\"CALL_ENDED\"},\"v\":1,\"type\":\"call-ended\","
			"\"state\":\"%s\",\"uuid\":\"" UUID "\",\"call_id\":\"abc\","
			"\"caller\":{\"name\":\"Alice\",\"number\":\"+15551230001\"},"
			"\"callee\":\"1001\",\"video\":false}",
			rows[i].body, rows[i].key, rows[i].key, rows[i].name);
		news_write_call_ended(&call, rows[i].state, NULL, &out, &truncated);
		assert_string_equal(buf_str(&out), buf_str(&expected));
		assert_false(truncated);
	}
	buf_free(&out);
	buf_free(&expected);
}

static void a_refresh_is_silent(void **state)
{
	struct buf out = {0};

	(void)state;
	news_write_refresh(&out);
	assert_string_equal(
		buf_str(&out), "{\"aps\":{\"content-available\":1},\"v\":1,\"type\":\"refresh\"}");
	buf_free(&out);
}

static void a_template_says_it_in_its_own_words(void **state)
{
	static const char text[] =
		"{\"aps\":{\"alert\":\"${title}: ${body}\",\"sound\":\"${sound}\","
		"\"badge\":\"${badge}\",\"interruption-level\":\"${interruption_level}\"},"
		"\"k\":\"${type}\",\"s\":\"${state}\",\"id\":\"${uuid}\",\"n\":\"${new}\","
		"\"o\":\"${old}\",\"c\":\"${conversation}\",\"m\":\"${message_id}\","
		"\"t\":\"${text}\",\"at\":\"${at_ms}\",\"d\":\"${duration_s}\",\"x\":\"${count}\","
		"\"who\":\"${caller.number}\",\"to\":\"${callee}\",\"app\":\"${app}\"}";
	static const struct {
		struct news news;
		const char *expected;
	} rows[] = {
		{{.type = NEWS_MESSAGE,
			 NO_COUNTS,
			 ALICE,
			 .new_count = NEWS_NONE,
			 .conversation = "c",
			 .message_id = "m",
			 .text = "Hi\n",
			 .app = "com.example"},
			"{\"aps\":{\"alert\":\"Alice: Hi\\n\",\"sound\":\"default\"},"
			"\"k\":\"message\",\"s\":null,\"id\":null,\"n\":null,\"o\":null,"
			"\"c\":\"c\",\"m\":\"m\",\"t\":\"Hi\\n\",\"at\":null,\"d\":null,"
			"\"x\":null,\"who\":\"+15551230001\",\"to\":\"1001\","
			"\"app\":\"com.example\"}"},
		{{.type = NEWS_VOICEMAIL,
			 .to = "1001",
			 .new_count = 2,
			 .old_count = 1,
			 .badge = 2,
			 .at_ms = NEWS_NONE,
			 .count = NEWS_NONE,
			 .duration_s = 9,
			 .silent = true},
			"{\"aps\":{\"alert\":\"Voicemail: 2 new messages\",\"badge\":2,"
			"\"interruption-level\":\"passive\"},\"k\":\"voicemail\",\"s\":null,"
			"\"id\":null,\"n\":2,\"o\":1,\"c\":null,\"m\":null,\"t\":null,\"at\":null,"
			"\"d\":9,\"x\":null,\"who\":null,\"to\":\"1001\",\"app\":null}"},
		{{.type = NEWS_MISSED_CALL,
			 .to = "1001",
			 .count = 3,
			 .badge = 0,
			 .at_ms = AT,
			 .new_count = NEWS_NONE,
			 .old_count = NEWS_NONE,
			 .duration_s = NEWS_NONE},
			"{\"aps\":{\"alert\":\"Missed calls: 3 calls while do-not-disturb\","
			"\"sound\":\"default\",\"badge\":0},\"k\":\"missed-call\",\"s\":null,"
			"\"id\":null,\"n\":null,\"o\":null,\"c\":null,\"m\":null,\"t\":null,"
			"\"at\":1763790000123,\"d\":null,\"x\":3,\"who\":null,\"to\":\"1001\","
			"\"app\":null}"},
	};
	struct template *template = NULL;
	struct buf out = {0};
	bool truncated;

	(void)state;
	assert_int_equal(
		template_compile(text, strlen(text), TEMPLATE_ALERT, &template, &out), ERR_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&out);
		news_write(&rows[i].news, template, &out, &truncated);
		assert_string_equal(buf_str(&out), rows[i].expected);
		assert_false(truncated);
	}
	buf_reset(&out);
	news_write_call_ended(&call, CALL_CANCELLED, template, &out, &truncated);
	assert_string_equal(buf_str(&out),
		"{\"aps\":{\"alert\":\"Alice: Missed call\",\"interruption-level\":\"passive\"},"
		"\"k\":\"call-ended\",\"s\":\"cancelled\",\"id\":\"" UUID
		"\",\"n\":null,\"o\":null,\"c\":null,\"m\":null,\"t\":null,\"at\":null,\"d\":null,"
		"\"x\":null,\"who\":\"+15551230001\",\"to\":\"1001\",\"app\":null}");
	template_free(template);
	buf_free(&out);
}

static json_t *written(const struct news *news, size_t max_bytes)
{
	struct buf out = {0};
	bool truncated = false;
	json_t *root;

	news_write(news, NULL, &out, &truncated);
	assert_false(out.failed);
	assert_true(truncated);
	assert_true(out.len <= max_bytes);
	root = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	buf_free(&out);
	return root;
}

static const char *member(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

static void the_text_is_cut_before_all_else(void **state)
{
	static const char *const units[] = {
		"x", "\xc3\xa4", "\xe4\xb8\xad", "\xf0\x9f\x98\x80", "\""};
	const size_t bounds[] = {0, 1500};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) * 2; i++) {
		char *text = repeat(units[i / 2], 20000);
		struct news news = {.type = NEWS_MESSAGE,
			NO_COUNTS,
			ALICE,
			.new_count = NEWS_NONE,
			.conversation = "room",
			.text = text,
			.max_bytes = bounds[i % 2]};
		json_t *root = written(&news, bounds[i % 2] ? bounds[i % 2] : PUSH_ALERT_MAX_BYTES);
		const json_t *alert = json_object_get(json_object_get(root, "aps"), "alert");
		size_t len = strlen(member(root, "text"));

		assert_true(len >= (i % 2 ? 150 : 550));
		assert_int_equal(len % strlen(units[i / 2]), 0);
		assert_memory_equal(member(root, "text"), text, len);
		assert_string_equal(member(alert, "body"), member(root, "text"));
		assert_string_equal(member(alert, "title"), "Alice");
		assert_string_equal(member(root, "conversation"), "room");
		json_decref(root);
		free(text);
	}
}

static void whatever_comes_fits(void **state)
{
	/* each byte of the one becomes six, of the other two */
	char *huge = repeat("\x01", 60000), *quotes = repeat("\"", 60000);
	const struct news empty = NEWS_INIT;
	struct news news = empty;
	json_t *root;

	(void)state;
	news.to = news.from_number = news.from_uri = huge;
	news.from_name = news.fallback_name = quotes;
	news.call = news.conversation = news.message_id = news.text = huge;
	news.badge = news.at_ms = news.old_count = news.new_count = INT64_MAX;
	for (enum news_type type = NEWS_MISSED_CALL; type <= NEWS_MESSAGE; type++) {
		news.type = type;
		root = written(&news, PUSH_ALERT_MAX_BYTES);
		assert_string_equal(member(root, "type"), news_type_name(type));
		json_decref(root);
	}
	/* the name gives way before ids do */
	news = empty;
	news.type = NEWS_MESSAGE;
	news.from_name = quotes;
	news.fallback_name = "Unknown";
	news.conversation = news.message_id =
		"0123456789012345678901234567890123456789012345678901234567890123456789";
	root = written(&news, PUSH_ALERT_MAX_BYTES);
	assert_string_equal(member(root, "conversation"), news.conversation);
	assert_string_equal(member(root, "message_id"), news.message_id);
	json_decref(root);
	free(huge);
	free(quotes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_text),
		cmocka_unit_test(a_call_in_alert_mode_ends),
		cmocka_unit_test(a_refresh_is_silent),
		cmocka_unit_test(a_template_says_it_in_its_own_words),
		cmocka_unit_test(the_text_is_cut_before_all_else),
		cmocka_unit_test(whatever_comes_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
