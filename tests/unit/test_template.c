/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/push.h>
#include <pbxpush/core/template.h>

#include "repeat.h"

#define UUID "0e9b6a1c-6f0e-5d3a-9f59-2f3f5f0f6a11"

static const struct payload_call plain = {
	.uuid = UUID,
	.call_id = "abc@10.0.0.1",
	.caller_name = "Alice \"A\" \\ B",
	.caller_number = "+15551230001",
	.caller_uri = "sip:alice@example.com",
	.callee = "1001",
	.video = true,
	.started_ms = 1763790000123,
	.expires_ms = 1763790030123,
	.data = "{\"room\":7,\"who\":\"B\\u00f6b\",\"on\":false,\"list\":[1,\"x\"],\"none\":null,"
		"\"a.b\":\"dots\"}",
	.fallback_name = "Connecting call...",
	.app = "com.example.phone",
	.device = "phone-1",
};

static const struct payload_call bare = {
	.uuid = UUID,
	.call_id = "abc",
	.callee = "1001",
	.fallback_name = "Unknown",
};

static struct template *compiled(const char *text, enum template_kind kind)
{
	struct template *template = NULL;
	struct buf error = {0};

	if (template_compile(text, strlen(text), kind, &template, &error))
		fail_msg("%s: %s", text, buf_str(&error));
	assert_int_equal(error.len, 0);
	buf_free(&error);
	return template;
}

/* Appends what a template makes of a call, and checks what holds for every body. */
static void render(const char *text, enum template_kind kind, const struct payload_call *call,
	bool truncated, struct buf *out)
{
	struct template *template = compiled(text, kind);
	bool said = !truncated;
	size_t start = out->len;
	json_t *root;

	template_write_call(template, call, out, &said);
	assert_false(out->failed);
	assert_true(out->len - start <=
		    (kind == TEMPLATE_VOIP ? PUSH_VOIP_MAX_BYTES : PUSH_ALERT_MAX_BYTES));
	assert_int_equal(said, truncated);
	root = json_loadb(out->data + start, out->len - start, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_object(json_object_get(root, "aps")));
	json_decref(root);
	template_free(template);
}

static void placeholders(void **state)
{
	static const struct {
		const char *in, *expected, *expected_bare; /* the value of "x" */
	} rows[] = {
		{"\"${uuid}\"", "\"" UUID "\"", "\"" UUID "\""},
		{"\"${call_id}\"", "\"abc@10.0.0.1\"", "\"abc\""},
		{"\"${caller.name}\"", "\"Alice \\\"A\\\" \\\\ B\"", "\"Unknown\""},
		{"\"${caller.number}\"", "\"+15551230001\"", "null"},
		{"\"${caller.uri}\"", "\"sip:alice@example.com\"", "null"},
		{"\"${callee}\"", "\"1001\"", "\"1001\""},
		{"\"${video}\"", "true", "false"},
		{"\"${started_ms}\"", "1763790000123", "0"},
		{"\"${expires_ms}\"", "1763790030123", "0"},
		{"\"${data.room}\"", "7", "null"},
		{"\"${data.who}\"",
			"\"B\xc3\xb6"
			"b\"",
			"null"},
		{"\"${data.on}\"", "false", "null"},
		{"\"${data.list}\"", "[1,\"x\"]", "null"},
		{"\"${data.none}\"", "null", "null"},
		{"\"${data.nothing}\"", "null", "null"},
		{"\"${data.a.b}\"", "\"dots\"", "null"},
		{"\"${app}\"", "\"com.example.phone\"", "null"},
		{"\"${device}\"", "\"phone-1\"", "null"},

		/* inside a longer string: text */
		{"\" ${video}\"", "\" true\"", "\" false\""},
		{"\"${caller.name} calls ${callee}\"", "\"Alice \\\"A\\\" \\\\ B calls 1001\"",
			"\"Unknown calls 1001\""},
		{"\"<${caller.number}>\"", "\"<+15551230001>\"", "\"<>\""},
		{"\"${video}${started_ms}\"", "\"true1763790000123\"", "\"false0\""},
		{"\"l=${data.list}\"", "\"l=[1,\\\"x\\\"]\"", "\"l=\""},
		{"\"room ${data.room}\"", "\"room 7\"", "\"room \""},

		/* what is said in place of a value */
		{"\"${caller.number|}\"", "\"+15551230001\"", "\"\""},
		{"\"${caller.number|with \\\"held\\\"}\"", "\"+15551230001\"",
			"\"with \\\"held\\\"\""},
		{"\"<${data.nothing|no|ne}>\"", "\"<no|ne>\"", "\"<no|ne>\""},
		{"\"${data.room|}\"", "7", "\"\""},
		{"\"${video|x}\"", "true", "false"},

		/* no placeholders */
		{"\"\"", "\"\"", "\"\""},
		{"\"$ { } $} $$\"", "\"$ { } $} $$\"", "\"$ { } $} $$\""},
		{"\"\\u00e4\\n\\\"\"", "\"\xc3\xa4\\n\\\"\"", "\"\xc3\xa4\\n\\\"\""},
		{"[1,2.5,true,null,{\"y\":\"${callee}\"},[]]",
			"[1,2.5,true,null,{\"y\":\"1001\"},[]]",
			"[1,2.5,true,null,{\"y\":\"1001\"},[]]"},
		{"{\"${uuid}\":1}", "{\"${uuid}\":1}", "{\"${uuid}\":1}"},
		{"-9007199254740993", "-9007199254740993", "-9007199254740993"},
	};
	struct buf text = {0}, out = {0}, expected = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * 2; i++) {
		bool is_bare = i % 2;

		buf_reset(&text);
		buf_reset(&out);
		buf_reset(&expected);
		buf_printf(&text, "{\"aps\":{},\"x\":%s}", rows[i / 2].in);
		buf_printf(&expected, "{\"aps\":{},\"x\":%s}",
			is_bare ? rows[i / 2].expected_bare : rows[i / 2].expected);
		render(buf_str(&text), TEMPLATE_VOIP, is_bare ? &bare : &plain, false, &out);
		assert_string_equal(buf_str(&out), buf_str(&expected));
	}
	buf_free(&text);
	buf_free(&out);
	buf_free(&expected);
}

static void data_keeps_its_form(void **state)
{
	struct buf out = {0};

	(void)state;
	render("{\"aps\":{},\"d\":\"${data}\",\"t\":\"d: ${data}\"}", TEMPLATE_VOIP,
		&(struct payload_call){.uuid = UUID,
			.call_id = "c",
			.callee = "1001",
			.fallback_name = "U",
			.data = "{\"n\":1.50}"},
		false, &out);
	assert_string_equal(
		buf_str(&out), "{\"aps\":{},\"d\":{\"n\":1.50},\"t\":\"d: {\\\"n\\\":1.50}\"}");
	buf_free(&out);
}

static void aps_is_added_and_has_no_null(void **state)
{
	static const struct {
		const char *text, *expected;
		enum template_kind kind;
	} rows[] = {
		{"{}", "{\"aps\":{}}", TEMPLATE_VOIP},
		{"{\"id\":\"${uuid}\"}", "{\"id\":\"" UUID "\",\"aps\":{}}", TEMPLATE_VOIP},
		{"{\"aps\":{\"a\":\"${caller.number}\",\"b\":{\"c\":\"${data}\",\"d\":1},"
		 "\"e\":\"${caller.uri}\"},\"f\":{\"aps\":{\"g\":\"${data}\"}}}",
			"{\"aps\":{\"b\":{\"d\":1}},\"f\":{\"aps\":{\"g\":null}}}", TEMPLATE_VOIP},
		{"{\"aps\":{\"alert\":{\"title\":\"${title}\",\"body\":\"${body}\"},"
		 "\"sound\":\"${sound}\",\"badge\":\"${badge}\","
		 "\"interruption-level\":\"${interruption_level}\"},\"t\":\"${type}\","
		 "\"s\":\"${state}\"}",
			"{\"aps\":{\"alert\":{\"title\":\"Unknown\",\"body\":\"Incoming call\"},"
			"\"sound\":\"default\",\"interruption-level\":\"time-sensitive\"},"
			"\"t\":\"call\",\"s\":null}",
			TEMPLATE_ALERT},
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&out);
		render(rows[i].text, rows[i].kind, &bare, false, &out);
		assert_string_equal(buf_str(&out), rows[i].expected);
	}
	buf_free(&out);
}

static void what_is_broken_is_named(void **state)
{
	static const struct {
		const char *text;
		enum template_kind kind;
		const char *says;
	} rows[] = {
		{"", TEMPLATE_VOIP, "no JSON"},
		{"{\n\"a\":1,\n}", TEMPLATE_VOIP, "line 3"},
		{"{} {}", TEMPLATE_VOIP, "no JSON"},
		{"{\"a\":1,\"a\":2}", TEMPLATE_VOIP, "duplicate"},
		{"{\"a\":\"\xff\"}", TEMPLATE_VOIP, "no JSON"},
		{"[]", TEMPLATE_VOIP, "must be a JSON object"},
		{"\"${uuid}\"", TEMPLATE_VOIP, "no JSON"},
		{"{\"a\":{\"b\":[0,\"${uid}\"]}}", TEMPLATE_VOIP,
			"a.b[1]: there is no placeholder '${uid}', only uuid call_id caller.name "
			"caller.number caller.uri callee video started_ms expires_ms data data.KEY "
			"app device"},
		{"{\"a\":\"${UUID}\"}", TEMPLATE_VOIP, "a: there is no placeholder '${UUID}'"},
		{"{\"a\":\"${}\"}", TEMPLATE_VOIP, "a: there is no placeholder '${}'"},
		{"{\"a\":\"${|x}\"}", TEMPLATE_VOIP, "a: there is no placeholder '${}'"},
		{"{\"a\":\"${ uuid}\"}", TEMPLATE_VOIP, "there is no placeholder"},
		{"{\"a\":\"${data.}\"}", TEMPLATE_VOIP, "there is no placeholder '${data.}'"},
		{"{\"a\":\"${caller}\"}", TEMPLATE_VOIP, "there is no placeholder '${caller}'"},
		{"{\"a\":\"x ${uuid\"}", TEMPLATE_VOIP, "a: '${uuid' has no closing brace"},
		{"{\"a\":\"${uuid} ${\"}", TEMPLATE_VOIP, "a: '${' has no closing brace"},
		{"{\"a\":\"${title}\"}", TEMPLATE_VOIP, "a: there is no placeholder '${title}'"},
		{"{\"aps\":\"${data}\"}", TEMPLATE_VOIP, "aps: must be an object"},
		{"{\"aps\":null}", TEMPLATE_VOIP, "aps: must be an object"},
		{"{\"aps\":[]}", TEMPLATE_VOIP, "aps: must be an object"},
		{"{}", TEMPLATE_ALERT, "aps: must be an object"},
		{"{\"aps\":{}}", TEMPLATE_ALERT, "aps.alert: an alert needs it"},
		{"{\"aps\":{\"alert\":1}}", TEMPLATE_ALERT, "aps.alert: an alert needs it"},
		{"{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", TEMPLATE_VOIP,
			"nested deeper than 16"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct template *template = NULL;
		struct buf error = {0};

		if (template_compile(rows[i].text, strlen(rows[i].text), rows[i].kind, &template,
			    &error) != ERR_INVAL)
			fail_msg("%s is taken", rows[i].text);
		if (!strstr(buf_str(&error), rows[i].says))
			fail_msg("%s: %s", rows[i].text, buf_str(&error));
		assert_null(template);
		buf_free(&error);
	}
	template_free(NULL);
}

/* {"aps":{…},"x":"aaa…","n":"${caller.name}"} with len times a */
static void padded(struct buf *out, size_t len)
{
	buf_add_str(out, "{\"aps\":{\"alert\":\"x\"},\"x\":\"");
	for (size_t i = 0; i < len; i++)
		buf_add_char(out, 'a');
	buf_add_str(out, "\",\"n\":\"${caller.name}\"}");
}

static void a_template_leaves_room_for_a_call(void **state)
{
	static const struct {
		enum template_kind kind;
		size_t len;
		const char *says; /* NULL: it is taken */
	} rows[] = {
		{TEMPLATE_VOIP, 5120 - 99, NULL},
		{TEMPLATE_VOIP, 5120 - 98,
			"too long: a call would need 5121 bytes of at most 5120"},
		{TEMPLATE_ALERT, 4096 - 99, NULL},
		{TEMPLATE_ALERT, 4096 - 98,
			"too long: a call would need 4097 bytes of at most 4096"},
		{TEMPLATE_VOIP, 16384, "too long: 16433 bytes of at most 16384"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct template *template = NULL;
		struct buf text = {0}, error = {0};

		padded(&text, rows[i].len);
		assert_int_equal(
			template_compile(text.data, text.len, rows[i].kind, &template, &error),
			rows[i].says ? ERR_INVAL : ERR_OK);
		assert_string_equal(buf_str(&error), rows[i].says ? rows[i].says : "");
		template_free(template);
		buf_free(&text);
		buf_free(&error);
	}
}

#define CUT                                                                                        \
	"{\"aps\":{\"alert\":\"x\"},\"n\":\"${caller.name}\",\"again\":\"by ${caller.name}!\","    \
	"\"d\":\"${data}\",\"k\":\"${data.room|-}\",\"h\":\"${caller.number}\","                   \
	"\"u\":\"${caller.uri}\",\"to\":\"${callee}\",\"id\":\"${call_id}\"}"

static const char *member(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

static void too_long_a_body_is_cut_in_order(void **state)
{
	char *name = repeat("\xf0\x9f\x98\x80", 10000), *huge = repeat("\xc3\xa4", 20000);
	char *text = repeat("y", 30000);
	struct buf data = {0};
	json_t *root;

	(void)state;
	buf_printf(&data, "{\"room\":7,\"x\":\"%s\"}", text);
	for (enum template_kind kind = TEMPLATE_VOIP; kind <= TEMPLATE_ALERT; kind++) {
		struct payload_call call = plain;
		struct buf out = {0};
		size_t len;

		/* the name, at a character, wherever it stands */
		call.caller_name = name;
		render(CUT, kind, &call, true, &out);
		root = json_loads(buf_str(&out), 0, NULL);
		len = strlen(member(root, "n"));
		assert_true(len > 1500 && len % 4 == 0);
		assert_memory_equal(member(root, "again") + 3, name, len);
		assert_int_equal(strlen(member(root, "again")), len + 4);
		assert_int_equal(json_integer_value(json_object_get(root, "k")), 7);
		json_decref(root);

		/* then the data, with its keys, and the name stays */
		call.caller_name = plain.caller_name;
		call.data = data.data;
		buf_reset(&out);
		render(CUT, kind, &call, true, &out);
		root = json_loads(buf_str(&out), 0, NULL);
		assert_true(json_is_null(json_object_get(root, "d")));
		assert_string_equal(member(root, "k"), "-");
		assert_string_equal(member(root, "n"), plain.caller_name);
		json_decref(root);

		/* then all the rest */
		call.caller_name = name;
		call.caller_number = call.caller_uri = call.callee = call.call_id = huge;
		buf_reset(&out);
		render(CUT, kind, &call, true, &out);
		root = json_loads(buf_str(&out), 0, NULL);
		assert_int_equal(strlen(member(root, "n")), 64);
		assert_int_equal(strlen(member(root, "u")), 64);
		assert_int_equal(strlen(member(root, "id")), 64);
		json_decref(root);
		buf_free(&out);
	}
	free(name);
	free(huge);
	free(text);
	buf_free(&data);
}

/* No call is lost to a template: where it has no room at all the app gets the default body. */
static void our_own_body_is_the_last_resort(void **state)
{
	char *device = repeat("d", 6000);
	struct payload_call call = plain;
	struct buf out = {0}, text = {0};
	json_t *root;

	(void)state;
	call.device = device;
	for (enum template_kind kind = TEMPLATE_VOIP; kind <= TEMPLATE_ALERT; kind++) {
		buf_reset(&out);
		render("{\"aps\":{\"alert\":\"x\"},\"d\":\"${device}\"}", kind, &call, true, &out);
		root = json_loads(buf_str(&out), 0, NULL);
		assert_string_equal(member(root, "uuid"), UUID);
		assert_string_equal(member(root, "type"), "call");
		assert_string_equal(
			member(json_object_get(root, "caller"), "name"), plain.caller_name);
		json_decref(root);
	}
	/* but a tighter bound than Apple's changes nothing of the form */
	call.device = plain.device;
	call.max_bytes = 1000;
	padded(&text, 2000);
	buf_reset(&out);
	render(buf_str(&text), TEMPLATE_VOIP, &call, true, &out);
	root = json_loads(buf_str(&out), 0, NULL);
	assert_non_null(member(root, "x"));
	json_decref(root);
	buf_free(&out);
	buf_free(&text);
	free(device);
}

static void the_built_in_ones(void **state)
{
	static const struct {
		const char *name;
		const struct payload_call *call;
		const char *expected;
	} rows[] = {
		{"default", &bare,
			"{\"aps\":{},\"v\":1,\"type\":\"call\",\"uuid\":\"" UUID
			"\",\"call_id\":\"abc\",\"caller\":{\"name\":\"Unknown\",\"number\":null},"
			"\"callee\":\"1001\",\"video\":false,\"started_ms\":0,\"expires_ms\":0,"
			"\"data\":null}"},
		{"linphone", &plain,
			"{\"aps\":{\"sound\":\"\",\"loc-key\":\"IC_MSG\","
			"\"loc-args\":[\"Alice \\\"A\\\" \\\\ B\"],\"call-id\":\"abc@10.0.0.1\","
			"\"uuid\":\"" UUID "\"},\"from-uri\":\"sip:alice@example.com\","
			"\"display-name\":\"Alice \\\"A\\\" \\\\ B\",\"pn_ttl\":0,"
			"\"expires_ms\":1763790030123,\"customPayload\":{\"room\":7,"
			"\"who\":\"B\\u00f6b\",\"on\":false,\"list\":[1,\"x\"],\"none\":null,"
			"\"a.b\":\"dots\"}}"},
		{"flutter", &bare,
			"{\"aps\":{},\"id\":\"" UUID
			"\",\"nameCaller\":\"Unknown\",\"handle\":\"\","
			"\"isVideo\":false,\"extra\":{\"call_id\":\"abc\",\"callee\":\"1001\","
			"\"expires_ms\":0,\"data\":null}}"},
		{"react-native", &bare,
			"{\"aps\":{},\"uuid\":\"" UUID "\",\"callerName\":\"Unknown\","
			"\"handle\":\"\",\"hasVideo\":false,\"call_id\":\"abc\","
			"\"callee\":\"1001\",\"expires_ms\":0,\"data\":null}"},
	};
	struct buf out = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_non_null(template_builtin(rows[i].name));
		buf_reset(&out);
		render(template_builtin(rows[i].name), TEMPLATE_VOIP, rows[i].call, false, &out);
		assert_string_equal(buf_str(&out), rows[i].expected);
	}
	assert_null(template_builtin(""));
	assert_null(template_builtin("Default"));
	buf_free(&out);
}

/* The tests run in the top folder, where the files lie that people copy. */
static void the_examples_are_the_built_in_ones(void **state)
{
	static const char *const names[] = {
		"default", "linphone", "flutter", "react-native", "alert"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *builtin = template_builtin(names[i]);
		char path[64], *text;
		json_error_t why;
		json_t *file, *ours;

		snprintf(path, sizeof(path), "conf/payload/%s.json", names[i]);
		file = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
		if (!file)
			fail_msg("%s: %s", path, why.text);
		text = json_dumps(file, 0);
		template_free(compiled(text, builtin ? TEMPLATE_VOIP : TEMPLATE_ALERT));
		ours = builtin ? json_loads(builtin, 0, NULL) : json_incref(file);
		assert_true(json_equal(file, ours));
		json_decref(ours);
		json_decref(file);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(placeholders),
		cmocka_unit_test(data_keeps_its_form),
		cmocka_unit_test(aps_is_added_and_has_no_null),
		cmocka_unit_test(what_is_broken_is_named),
		cmocka_unit_test(a_template_leaves_room_for_a_call),
		cmocka_unit_test(too_long_a_body_is_cut_in_order),
		cmocka_unit_test(our_own_body_is_the_last_resort),
		cmocka_unit_test(the_built_in_ones),
		cmocka_unit_test(the_examples_are_the_built_in_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
