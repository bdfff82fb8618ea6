/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/status/timeline.h>

#define MAX_CALLS  4
#define MAX_AGE_MS 1000
#define UUID_A     "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
#define UUID_B     "00000000-0000-4000-8000-000000000001"

static int setup(void **state)
{
	struct timeline *timeline = NULL;

	assert_int_equal(timeline_new(MAX_CALLS, MAX_AGE_MS, &timeline), ERR_OK);
	*state = timeline;
	return 0;
}

static int teardown(void **state)
{
	timeline_free(*state);
	timeline_free(NULL);
	return 0;
}

static void add(struct timeline *t, const char *call_id, const char *uuid, int64_t now_ms,
	const char *what, const char *device)
{
	struct timeline_field field = timeline_text("device", device);

	timeline_add(t, call_id, uuid, now_ms, what, &field, device != NULL);
}

/* What is written is JSON, always. */
static bool knows(struct timeline *t, const char *id, int64_t now_ms)
{
	struct buf out = {0};
	bool known = timeline_write(t, id, now_ms, &out);

	if (known) {
		json_t *json = json_loads(buf_str(&out), 0, NULL);
		assert_non_null(json);
		json_decref(json);
	} else {
		assert_int_equal(out.len, 0);
	}
	buf_free(&out);
	return known;
}

static void expect(struct timeline *t, const char *id, int64_t now_ms, const char *text)
{
	struct buf out = {0};

	assert_true(timeline_write(t, id, now_ms, &out));
	assert_string_equal(buf_str(&out), text);
	buf_free(&out);
}

static void test_story(void **state)
{
	struct timeline *t = *state;
	const char *story = "{\"call\":\"a\\\"b@pbx\",\"uuids\":[\"" UUID_A "\"],\"timeline\":["
			    "{\"at_ms\":5000,\"ms\":0,\"what\":\"event\"},"
			    "{\"at_ms\":5012,\"ms\":12,\"what\":\"push\",\"device\":\"iphone\"},"
			    "{\"at_ms\":5100,\"ms\":100,\"what\":\"end\"}]}";

	add(t, "a\"b@pbx", NULL, 5000, "event", NULL);
	add(t, "a\"b@pbx", UUID_A, 5012, "push", "iphone");
	add(t, "a\"b@pbx", UUID_A, 5100, "end", NULL);
	expect(t, "a\"b@pbx", 5200, story);
	expect(t, UUID_A, 5200, story);
	expect(t, "6BA7B811-9DAD-11D1-80B4-00C04FD430C8", 5200, story);
	assert_false(knows(t, "another", 5200));
	assert_false(knows(t, UUID_B, 5200));
	assert_false(knows(t, "", 5200));
}

static void test_uuids(void **state)
{
	struct timeline *t = *state;
	char uuid[40];

	add(t, "1", UUID_A, 1, "event", NULL);
	add(t, "1", UUID_B, 1, "event", NULL);
	add(t, "1", UUID_A, 1, "event", NULL);
	expect(t, "1", 1,
		"{\"call\":\"1\",\"uuids\":[\"" UUID_B "\",\"" UUID_A "\"],\"timeline\":["
		"{\"at_ms\":1,\"ms\":0,\"what\":\"event\"},"
		"{\"at_ms\":1,\"ms\":0,\"what\":\"event\"},"
		"{\"at_ms\":1,\"ms\":0,\"what\":\"event\"}]}");
	assert_true(knows(t, UUID_A, 1) && knows(t, UUID_B, 1));
	for (int i = 2; i < 100; i++) { /* a call rung again and again */
		snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012d", i);
		add(t, "1", uuid, 1, "event", NULL);
	}
	assert_true(knows(t, "00000000-0000-4000-8000-000000000099", 1));
	add(t, "2", UUID_A, 1, "event", NULL); /* one uuid, two calls: the newer one */
	assert_true(knows(t, "1", 1) && knows(t, "2", 1));
	expect(t, UUID_A, 1,
		"{\"call\":\"2\",\"uuids\":[\"" UUID_A "\"],\"timeline\":["
		"{\"at_ms\":1,\"ms\":0,\"what\":\"event\"}]}");
}

/* The last MAX_CALLS are there, whatever else is; and what is long gone is gone. */
static void test_oldest_goes_first(void **state)
{
	struct timeline *t = *state;
	char id[24], text[513];

	memset(text, 'x', 512);
	text[512] = '\0';
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "call %d", i);
		add(t, id, UUID_A, i, "event", text);
		add(t, id, NULL, i, "end", NULL);
		for (int j = i; j >= 0 && j > i - MAX_CALLS; j--) {
			snprintf(id, sizeof(id), "call %d", j);
			assert_true(knows(t, id, i));
		}
	}
	assert_false(knows(t, "call 0", 1000));
	assert_false(knows(t, "call 500", 1000));
}

/* Callees of one call that come one after the other are one call. */
static void test_a_hunt_group_is_one_call(void **state)
{
	struct timeline *t = *state;
	char text[513];

	memset(text, 'x', 512);
	text[512] = '\0';
	add(t, "old", UUID_A, 1, "event", NULL);
	for (int i = 0; i < 200; i++)
		add(t, "group", UUID_B, 1, "event", text);
	assert_true(knows(t, "old", 1));
}

static void test_age(void **state)
{
	struct timeline *t = *state;

	add(t, "old", UUID_A, 0, "event", NULL);
	add(t, "young", NULL, 900, "event", NULL);
	assert_true(knows(t, "old", MAX_AGE_MS));
	assert_false(knows(t, "old", MAX_AGE_MS + 1));
	assert_false(knows(t, UUID_A, MAX_AGE_MS + 1));
	assert_true(knows(t, "young", MAX_AGE_MS + 1));
	assert_false(knows(t, "young", 5000));
	add(t, "young", NULL, 5000, "event", NULL); /* what it was is too old to be told */
	expect(t, "young", 5000,
		"{\"call\":\"young\",\"uuids\":[],\"timeline\":[{\"at_ms\":5000,\"ms\":0,"
		"\"what\":\"event\"}]}");
	add(t, "young", NULL, 4000, "event", NULL); /* the clock was set back */
	assert_true(knows(t, "young", 4000));
}

static void test_fields(void **state)
{
	struct timeline *t = *state;
	char text[] = "a \"name\"\n\xc3\xab";
	const struct timeline_field fields[] = {
		timeline_word("w", "word"),
		timeline_word("n", NULL),
		timeline_text("t", text),
		timeline_text("e", ""),
		timeline_text("x", NULL),
		timeline_number("i", INT64_MIN),
		timeline_text("z", "last"),
	};

	timeline_add(t, "1", NULL, 7, "event", fields, sizeof(fields) / sizeof(fields[0]));
	memset(text, 'x', sizeof(text)); /* it was copied */
	add(t, "1", NULL, 8, "end", NULL);
	expect(t, "1", 8,
		"{\"call\":\"1\",\"uuids\":[],\"timeline\":[{\"at_ms\":7,\"ms\":0,\"what\":"
		"\"event\","
		"\"w\":\"word\",\"n\":null,\"t\":\"a "
		"\\\"name\\\"\\n\xc3\xab\",\"e\":null,\"x\":null,"
		"\"i\":-9223372036854775808,\"z\":\"last\"},"
		"{\"at_ms\":8,\"ms\":1,\"what\":\"end\"}]}");
}

static void test_a_long_text_is_cut(void **state)
{
	struct timeline *t = *state;
	struct buf out = {0};
	char name[1001];
	const char *device;
	json_t *json;

	for (size_t i = 0; i < 1000; i += 2)
		memcpy(name + i, "\xc3\xab", 2);
	name[1000] = '\0';
	add(t, "1", NULL, 1, "event", name + 2);
	add(t, "1", NULL, 1, "event", name);
	add(t, "1", NULL, 1, "end", NULL);
	assert_true(timeline_write(t, "1", 1, &out));
	json = json_loads(buf_str(&out), 0, NULL); /* takes whole characters only */
	assert_non_null(json);
	json_unpack(json, "{s:[{s:s}]}", "timeline", "device", &device);
	assert_int_equal(strlen(device), 512);
	json_decref(json);
	buf_free(&out);
}

static void test_what_is_written_is_bounded(void **state)
{
	struct timeline *t = *state;
	struct buf out = {0};
	json_t *json;

	for (int i = 0; i < 700; i++)
		add(t, "1", NULL, i, i ? "event" : "first", NULL);
	assert_true(timeline_write(t, "1", 700, &out));
	json = json_loads(buf_str(&out), 0, NULL);
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json, "timeline")), 500);
	assert_int_equal(json_integer_value(json_object_get(json, "dropped")), 200);
	json_decref(json);
	buf_free(&out);
}

/* No call begins, so nothing counts as old: memory is bounded all the same. */
static void test_memory_is_bounded(void **state)
{
	struct timeline *t = *state;
	struct timeline_field fields[TIMELINE_FIELDS_MAX];
	char text[513];

	memset(text, 'x', 512);
	text[512] = '\0';
	for (int i = 0; i < TIMELINE_FIELDS_MAX; i++)
		fields[i] = timeline_text("x", text);
	add(t, "first", NULL, 1, "event", NULL);
	for (int i = 0; i < 64 * 1024 * 1024 / (512 * TIMELINE_FIELDS_MAX); i++)
		timeline_add(t, "1", NULL, 1, "event", fields, TIMELINE_FIELDS_MAX);
	assert_false(knows(t, "first", 1));
}

static void test_no_room_at_all(void **state)
{
	struct timeline *none = NULL;

	(void)state;
	assert_int_equal(timeline_new(0, 1, &none), ERR_INVAL);
	assert_null(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_story),
		TEST(test_uuids),
		TEST(test_oldest_goes_first),
		TEST(test_age),
		TEST(test_fields),
		TEST(test_a_hunt_group_is_one_call),
		TEST(test_a_long_text_is_cut),
		TEST(test_what_is_written_is_bounded),
		TEST(test_memory_is_bounded),
		TEST(test_no_room_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
