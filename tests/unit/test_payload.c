/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/payload.h>
#include <pbxpush/core/push.h>

#include "repeat.h"

#define UUID "0e9b6a1c-6f0e-5d3a-9f59-2f3f5f0f6a11"

static const struct payload_call plain = {
	.uuid = UUID,
	.call_id = "abc@10.0.0.1",
	.caller_name = "Alice",
	.caller_number = "+15551230001",
	.callee = "1001",
	.started_ms = 1763790000123,
	.expires_ms = 1763790030123,
	.fallback_name = "Connecting call...",
};

/* The two kinds of push, for what holds for both. */
static const struct kind {
	void (*write)(const struct payload_call *, struct buf *, bool *);
	size_t max_bytes;
} kinds[] = {
	{payload_write_voip, PUSH_VOIP_MAX_BYTES},
	{payload_write_call_alert, PUSH_ALERT_MAX_BYTES},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Writes, checks what always holds, and returns the parsed body. */
static json_t *written(const struct kind *kind, const struct payload_call *call, bool truncated)
{
	struct buf out = {0};
	bool said = !truncated;
	json_t *root;

	kind->write(call, &out, &said);
	assert_false(out.failed);
	assert_true(out.len <= kind->max_bytes);
	assert_int_equal(said, truncated);
	root = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "uuid")), UUID);
	assert_string_equal(json_string_value(json_object_get(root, "type")), "call");
	assert_int_equal(json_integer_value(json_object_get(root, "v")), 1);
	assert_int_equal(json_integer_value(json_object_get(root, "started_ms")), 1763790000123);
	assert_int_equal(json_integer_value(json_object_get(root, "expires_ms")), 1763790030123);
	buf_free(&out);
	return root;
}

static const char *caller(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(json_object_get(root, "caller"), key));
}

static const char *text(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

/* {"k":"xxx…"} of exactly this many bytes; freed by the caller */
static char *data_of(size_t bytes)
{
	char *out = repeat("x", bytes);

	memcpy(out, "{\"k\":\"", 6);
	memcpy(out + bytes - 2, "\"}", 2);
	return out;
}

static void voip_is_the_contracts_text(void **state)
{
	struct payload_call call = plain;
	struct buf out = {0};
	bool truncated = true;

	(void)state;
	payload_write_voip(&call, &out, &truncated);
	assert_string_equal(buf_str(&out),
		"{\"aps\":{},\"v\":1,\"type\":\"call\",\"uuid\":\"" UUID
		"\",\"call_id\":\"abc@10.0.0.1\",\"caller\":{\"name\":\"Alice\","
		"\"number\":\"+15551230001\"},\"callee\":\"1001\",\"video\":false,"
		"\"started_ms\":1763790000123,\"expires_ms\":1763790030123}");
	assert_false(truncated);

	call.video = true;
	call.data = "{\"room\":[1,null,\"\xc3\xa4\"]}";
	call.caller_number = NULL;
	buf_reset(&out);
	payload_write_voip(&call, &out, &truncated);
	assert_string_equal(buf_str(&out),
		"{\"aps\":{},\"v\":1,\"type\":\"call\",\"uuid\":\"" UUID
		"\",\"call_id\":\"abc@10.0.0.1\",\"caller\":{\"name\":\"Alice\",\"number\":null},"
		"\"callee\":\"1001\",\"video\":true,\"started_ms\":1763790000123,"
		"\"expires_ms\":1763790030123,\"data\":{\"room\":[1,null,\"\xc3\xa4\"]}}");
	assert_false(truncated);
	buf_free(&out);
}

static void alert_is_the_same_with_a_notification(void **state)
{
	struct payload_call call = plain;
	struct buf out = {0};
	bool truncated = true;

	(void)state;
	payload_write_call_alert(&call, &out, &truncated);
	assert_string_equal(buf_str(&out),
		"{\"aps\":{\"alert\":{\"title\":\"Alice\",\"body\":\"Incoming call\","
		"\"title-loc-key\":\"INCOMING_CALL_TITLE\",\"title-loc-args\":[\"Alice\"],"
		"\"loc-key\":\"INCOMING_CALL\",\"loc-args\":[\"Alice\"]},\"sound\":\"default\","
		"\"mutable-content\":1,\"interruption-level\":\"time-sensitive\","
		"\"thread-id\":\"" UUID "\",\"category\":\"INCOMING_CALL\"},"
		"\"v\":1,\"type\":\"call\",\"uuid\":\"" UUID
		"\",\"call_id\":\"abc@10.0.0.1\",\"caller\":{\"name\":\"Alice\","
		"\"number\":\"+15551230001\"},\"callee\":\"1001\",\"video\":false,"
		"\"started_ms\":1763790000123,\"expires_ms\":1763790030123}");
	assert_false(truncated);

	call.video = true;
	buf_reset(&out);
	payload_write_call_alert(&call, &out, &truncated);
	assert_non_null(strstr(buf_str(&out), "\"body\":\"Incoming video call\""));
	assert_non_null(strstr(buf_str(&out), "\"loc-key\":\"INCOMING_VIDEO_CALL\""));
	buf_free(&out);
}

static void what_stood_in_the_buffer_stays(void **state)
{
	char *name = repeat("n", 100000);
	struct payload_call call = plain;
	struct buf out = {0};
	bool truncated;

	(void)state;
	call.caller_name = name;
	buf_add_str(&out, "before");
	payload_write_voip(&call, &out, &truncated);
	assert_true(truncated);
	assert_memory_equal(buf_str(&out), "before{\"aps\":", 13);
	assert_true(out.len <= 6 + PUSH_VOIP_MAX_BYTES);
	assert_int_equal(strlen(out.data), out.len);
	buf_free(&out);
	free(name);
}

static void a_name_is_never_empty_and_never_fakes(void **state)
{
	static const struct {
		const char *what, *name, *number, *expected;
	} rows[] = {
		{"name", "Alice", "+1555", "Alice"},
		{"no name: number", NULL, "+1555", "+1555"},
		{"empty name: number", "", "+1555", "+1555"},
		{"blank name: number", "   ", "+1555", "+1555"},
		{"name of nothing that shows: number", "\xe2\x80\xae\n\x7f", "+1555", "+1555"},
		{"neither", NULL, NULL, "Connecting call..."},
		{"both empty", "", "", "Connecting call..."},
		{"number of control characters", NULL, "\x01\x02", "Connecting call..."},
		{"spaces around a name stay", " Alice ", NULL, " Alice "},
		{"control characters go",
			"A\x01l\ni\tc\x1b\x7f\xc2\x85\xc2\x9f"
			"e",
			NULL, "Alice"},
		{"overrides go",
			"\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad\xe2\x80\xae"
			"Alice\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9",
			NULL, "Alice"},
		{"overrides go from a number that is the name", NULL, "\xe2\x80\xae+1555", "+1555"},
		{"quotes and backslashes stay", "\"Bob\" \\ </x>", NULL, "\"Bob\" \\ </x>"},
		{"ZWJ, variation selectors and emoji stay",
			"\xf0\x9f\x91\xa9\xe2\x80\x8d\xe2\x9d\xa4\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f"
			"\x91\xa9",
			NULL,
			"\xf0\x9f\x91\xa9\xe2\x80\x8d\xe2\x9d\xa4\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f"
			"\x91"
			"\xa9"},
		{"right-to-left names and marks stay",
			"\xe2\x80\x8f\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", NULL,
			"\xe2\x80\x8f\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"},
		{"line separator stays", "a\xe2\x80\xa8z", NULL, "a\xe2\x80\xa8z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * KINDS; i++) {
		size_t row = i / KINDS;
		struct payload_call call = plain;
		json_t *root;

		call.caller_name = rows[row].name;
		call.caller_number = rows[row].number;
		root = written(&kinds[i % KINDS], &call, false);
		if (strcmp(caller(root, "name"), rows[row].expected) != 0)
			fail_msg("%s: %s", rows[row].what, caller(root, "name"));
		if (rows[row].number)
			assert_string_equal(caller(root, "number"), rows[row].number);
		else
			assert_null(caller(root, "number"));
		json_decref(root);
	}
}

static void texts_are_quoted(void **state)
{
	struct payload_call call = plain;

	(void)state;
	call.call_id = "a\"b\\c\x01\n";
	call.callee = "\"},\"type\":\"x";
	for (size_t i = 0; i < KINDS; i++) {
		json_t *root = written(&kinds[i], &call, false);

		assert_string_equal(text(root, "call_id"), call.call_id);
		assert_string_equal(text(root, "callee"), call.callee);
		json_decref(root);
	}
}

static void a_long_name_is_cut_and_nothing_else(void **state)
{
	static const char *const units[] = {"n", "\xc3\xa4", "\xe4\xb8\xad", "\xf0\x9f\x98\x80",
		"\"", "\\", "a\xf0\x9f\x98\x80\""};

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) * KINDS; i++) {
		const char *unit = units[i / KINDS];
		char *name = repeat(unit, 100000 / strlen(unit));
		struct payload_call call = plain;
		json_t *root;
		size_t len;

		call.caller_name = name;
		call.data = "{\"room\":1}";
		root = written(&kinds[i % KINDS], &call, true);
		len = strlen(caller(root, "name"));
		assert_in_range(len, 60, kinds[i % KINDS].max_bytes);
		assert_memory_equal(caller(root, "name"), name, len);
		assert_non_null(json_object_get(root, "data"));
		assert_string_equal(caller(root, "number"), plain.caller_number);
		assert_string_equal(text(root, "callee"), plain.callee);
		assert_string_equal(text(root, "call_id"), plain.call_id);
		json_decref(root);
		free(name);
	}
}

/* At each length around the bound, for characters of each width: whole as long as it fits. */
static void the_bound_is_met_to_the_byte(void **state)
{
	static const char *const units[] = {"n", "\xc3\xa4", "\xe4\xb8\xad", "\xf0\x9f\x98\x80"};

	(void)state;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		size_t width = strlen(units[u]), full = 0;
		struct payload_call call = plain;
		struct buf out = {0};
		bool truncated;

		for (size_t n = (PUSH_VOIP_MAX_BYTES - 400) / width;
			n < PUSH_VOIP_MAX_BYTES / width; n++) {
			char *name = repeat(units[u], n);

			call.caller_name = name;
			buf_reset(&out);
			payload_write_voip(&call, &out, &truncated);
			assert_true(out.len <= PUSH_VOIP_MAX_BYTES);
			if (!truncated)
				full = out.len;
			else
				assert_in_range(out.len, PUSH_VOIP_MAX_BYTES - width + 1,
					PUSH_VOIP_MAX_BYTES);
			free(name);
		}
		assert_in_range(full, PUSH_VOIP_MAX_BYTES - width + 1, PUSH_VOIP_MAX_BYTES);
		buf_free(&out);
	}
}

static void data_too_large_is_left_out_and_the_name_stays(void **state)
{
	char *data = data_of(100000);

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct payload_call call = plain;
		json_t *root;

		call.data = data;
		root = written(&kinds[i], &call, true);
		assert_null(json_object_get(root, "data"));
		assert_string_equal(caller(root, "name"), "Alice");
		json_decref(root);
	}
	free(data);
}

static void a_name_makes_room_for_data_before_data_goes(void **state)
{
	static const struct {
		const char *what;
		size_t name_bytes, data_bytes;
		bool truncated, data_stays, name_stays;
	} rows[] = {
		{"both fit", 100, 4000, false, true, true},
		{"the name gives way", 1000, 4000, true, true, false},
		{"a name too short to help", 70, 4900, true, false, true},
		{"both far too long", 100000, 100000, true, false, false},
		{"data that no name could save", 1000, 5000, true, false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *name = repeat("n", rows[i].name_bytes), *data = data_of(rows[i].data_bytes);
		struct payload_call call = plain;
		json_t *root;

		call.caller_name = name;
		call.data = data;
		root = written(&kinds[0], &call, rows[i].truncated);
		if (!json_object_get(root, "data") == rows[i].data_stays ||
			(strcmp(caller(root, "name"), name) == 0) != rows[i].name_stays)
			fail_msg("%s", rows[i].what);
		json_decref(root);
		free(name);
		free(data);
	}
}

static void then_number_callee_and_call_id_are_cut_in_turn(void **state)
{
	char *huge = repeat("\xc3\xa4", 50000), *controls = repeat("\x01", 50000);

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct payload_call call = plain;
		json_t *root;

		call.data = "{}";
		call.caller_number = huge;
		root = written(&kinds[i], &call, true);
		assert_string_equal(caller(root, "name"), "Alice");
		assert_int_equal(strlen(caller(root, "number")), 64);
		assert_string_equal(text(root, "callee"), plain.callee);
		json_decref(root);

		call.callee = huge;
		root = written(&kinds[i], &call, true);
		assert_int_equal(strlen(text(root, "callee")), 64);
		assert_string_equal(text(root, "call_id"), plain.call_id);
		json_decref(root);

		call.caller_name = huge;
		call.call_id = huge;
		json_decref(written(&kinds[i], &call, true));

		/* six bytes for each one that is cut to */
		call.caller_number = call.callee = call.call_id = controls;
		json_decref(written(&kinds[i], &call, true));

		call.caller_number = NULL;
		root = written(&kinds[i], &call, true);
		assert_null(caller(root, "number"));
		json_decref(root);
	}
	free(huge);
	free(controls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(voip_is_the_contracts_text),
		cmocka_unit_test(alert_is_the_same_with_a_notification),
		cmocka_unit_test(what_stood_in_the_buffer_stays),
		cmocka_unit_test(a_name_is_never_empty_and_never_fakes),
		cmocka_unit_test(texts_are_quoted),
		cmocka_unit_test(a_long_name_is_cut_and_nothing_else),
		cmocka_unit_test(the_bound_is_met_to_the_byte),
		cmocka_unit_test(data_too_large_is_left_out_and_the_name_stays),
		cmocka_unit_test(a_name_makes_room_for_data_before_data_goes),
		cmocka_unit_test(then_number_callee_and_call_id_are_cut_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
