/* SPDX-License-Identifier: MIT */
/* The reader takes what jansson takes, and reads the same from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/json_reader.h>
#include <pbxpush/core/utf8.h>

static json_t *build(struct json_reader *reader);

static json_t *build_object(struct json_value *value)
{
	json_t *object = json_object();
	struct json_reader reader;
	struct json_value name;

	json_reader_init(&reader, value->text, value->len);
	assert_true(json_reader_enter(&reader, KIND_OBJECT));
	while (json_reader_member(&reader, &name)) {
		json_t *member = build(&reader);

		json_object_set_new(object, json_value_string(&name, NULL), member);
	}
	assert_true(json_reader_at_end(&reader));
	return object;
}

static json_t *build_array(struct json_value *value)
{
	json_t *array = json_array();
	struct json_reader reader, item;
	struct json_value part;

	json_reader_init(&reader, value->text, value->len);
	assert_true(json_reader_enter(&reader, KIND_ARRAY));
	while (json_reader_item(&reader, &part)) {
		json_reader_init(&item, part.text, part.len);
		json_array_append_new(array, build(&item));
	}
	assert_true(json_reader_at_end(&reader));
	return array;
}

static json_t *build_number(const struct json_value *value)
{
	return json_loadb(value->text, value->len, JSON_DECODE_ANY, NULL);
}

static json_t *build_string(struct json_value *value)
{
	size_t len;
	const char *text = json_value_string(value, &len);

	assert_int_equal(strlen(text), len);
	return json_stringn(text, len);
}

/* The tree of the next value. */
static json_t *build(struct json_reader *reader)
{
	struct json_value value;

	assert_true(json_reader_value(reader, &value));
	switch (value.kind) {
	case KIND_NONE:
		break;
	case KIND_NULL:
		return json_null();
	case KIND_FALSE:
		return json_false();
	case KIND_TRUE:
		return json_true();
	case KIND_NUMBER:
		return build_number(&value);
	case KIND_STRING:
		return build_string(&value);
	case KIND_ARRAY:
		return build_array(&value);
	case KIND_OBJECT:
		return build_object(&value);
	}
	fail_msg("a value of no kind");
	return NULL;
}

/* Compares the two on one text. Returns whether it is JSON. */
static bool judge(const char *text, size_t len)
{
	struct buf clean = {0};
	struct json_reader reader;
	struct json_value value;
	json_error_t why;
	json_t *theirs, *ours;
	char *copy;
	bool good;

	utf8_json_repair(text, len, &clean);
	theirs = json_loadb(buf_str(&clean), clean.len, JSON_DECODE_ANY, &why);
	copy = malloc(clean.len + 1); /* with room for the NUL behind the last value, no more */
	assert_non_null(copy);
	memcpy(copy, buf_str(&clean), clean.len);
	json_reader_init(&reader, copy, clean.len);
	good = json_reader_value(&reader, &value) && json_reader_at_end(&reader);
	if (good != (theirs != NULL) &&
		(theirs || json_error_code(&why) != json_error_numeric_overflow))
		fail_msg("%s: %s, jansson: %s", buf_str(&clean), good ? "good" : reader.fault,
			theirs ? "good" : why.text);
	if (!good)
		assert_true(reader.fault && reader.at >= copy && reader.at <= copy + clean.len);
	if (theirs) {
		json_reader_init(&reader, copy, clean.len);
		ours = build(&reader);
		if (!json_equal(ours, theirs))
			fail_msg("%s is read as something else", buf_str(&clean));
		json_decref(ours);
	}
	json_decref(theirs);
	free(copy);
	buf_free(&clean);
	return good;
}

static const char *const texts[] = {
	"{\"event\":\"call\",\"id\":7,\"from\":{\"name\":\"Zo\xc3\xab \\\"x\\\"\"},\"n\":null}",
	" [ true , false,null,[ ],{ } , \"\" , -0.5e+10,0,12E-3,1.0 ]\r\n",
	"{\"a\":{\"a\":[{\"b\":\"\\u0041\\ud83d\\udcde\\/\\b\\f\\n\\r\\t\\\\\"}]},\"a\":-1}",
	"\"plain\"",
	"-12.5",
	"[[[[[[[[]]]]]]]]",
};

/* Every beginning of a text, and every text with a byte taken out, doubled or replaced. */
static void what_jansson_takes(void **state)
{
	static const char bytes[] = "\"\\{}[]:,.0-+eEnut\x01\x20\x7f\xc3";
	char text[256];
	size_t good = 0, bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t len = strlen(texts[i]);

		assert_true(judge(texts[i], len));
		for (size_t at = 0; at < len; at++) {
			good += judge(texts[i], at);
			memcpy(text, texts[i], at);
			memcpy(text + at, texts[i] + at + 1, len - at);
			judge(text, len - 1);
			memcpy(text + at + 1, texts[i] + at, len - at);
			for (const char *byte = bytes; *byte; byte++) {
				text[at] = *byte;
				if (judge(text, len + 1))
					good++;
				else
					bad++;
			}
		}
	}
	assert_true(good > 1000 && bad > 1000);
}

static void nested(void **state)
{
	char text[2048];

	(void)state;
	memset(text, '[', 1024);
	memset(text + 1024, ']', 1024);
	assert_true(judge(text + 1024 - 512, 1024));
	for (size_t depth = 513; depth <= 1024; depth += 511) {
		struct json_reader reader;
		struct json_value value;

		json_reader_init(&reader, text + 1024 - depth, depth * 2);
		assert_false(json_reader_value(&reader, &value));
		assert_string_equal(reader.fault, "too deeply nested");
	}
}

static void compact(void **state)
{
	static const struct {
		const char *text, *compact;
	} rows[] = {
		{"{ }", "{}"},
		{"[ 1 ,\t2 ]", "[1,2]"},
		{"{\"a b\" : \" \\\" \\\\\" , \"c\":\r\n[ ]}", "{\"a b\":\" \\\" \\\\\",\"c\":[]}"},
		{"1e400", "1e400"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_reader reader;
		struct json_value value;
		char *copy = strdup(rows[i].text);

		json_reader_init(&reader, copy, strlen(copy));
		assert_true(json_reader_value(&reader, &value));
		assert_true(json_reader_at_end(&reader));
		assert_string_equal(json_value_compact(&value), rows[i].compact);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_jansson_takes),
		cmocka_unit_test(nested),
		cmocka_unit_test(compact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
