/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <pbxpush/ctl/print.h>

static json_t *load(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

static const struct {
	const char *reply;
	enum exit_code code;
} codes[] = {
	{"{\"ok\":true,\"event\":\"call\",\"verdict\":\"push\"}", EXIT_GO_ON},
	{"{\"ok\":true,\"event\":\"call\",\"verdict\":\"registered\"}", EXIT_GO_ON},
	{"{\"ok\":true,\"event\":\"call\",\"verdict\":\"reject\"}", EXIT_REJECT},
	{"{\"ok\":true,\"event\":\"call\",\"verdict\":\"unreachable\"}", EXIT_UNREACHABLE},
	{"{\"ok\":true,\"event\":\"call\",\"verdict\":\"ended\"}", EXIT_UNREACHABLE},
	{"{\"ok\":true,\"event\":\"call\",\"verdict\":\"of-tomorrow\"}", EXIT_GO_ON},
	{"{\"ok\":true,\"event\":\"end\",\"known\":false,\"withdrawn\":0}", EXIT_GO_ON},
	{"{\"ok\":true,\"event\":\"pong\"}", EXIT_GO_ON},
	{"{\"ok\":false,\"error\":\"bad-field\",\"field\":\"to\"}", EXIT_REFUSED},
	{"{\"ok\":false,\"error\":\"overloaded\"}", EXIT_REFUSED},
	{"{\"ok\":\"true\"}", EXIT_REFUSED},
	{"{}", EXIT_REFUSED},
};

static void test_exit_codes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		json_t *reply = load(codes[i].reply);

		if (print_reply_exit_code(reply) != codes[i].code)
			fail_msg("%s", codes[i].reply);
		json_decref(reply);
	}
}

static const struct {
	const char *reply, *text;
	enum event_type type;
	bool colour;
} replies[] = {
	{"{\"ok\":true,\"event\":\"pong\"}", "pong\n", EVENT_PING, false},
	{"{\"ok\":true,\"event\":\"dnd\"}", "done\n", EVENT_DND, false},
	{"{\"ok\":true,\"event\":\"forget\",\"forgotten\":1}",
		"done\n"
		"forgotten  1\n",
		EVENT_FORGET, false},
	{"{\"ok\":true,\"event\":\"show\",\"dnd\":false}", "dnd  no\n", EVENT_SHOW, false},
	{"{\"ok\":true,\"event\":\"show\",\"user\":\"*\",\"devices\":[],\"dnd\":false,"
	 "\"blocks\":[\"anonymous\",\"+4990*\",7],\"allows\":[]}",
		"blocked: 2\n"
		"  +4990*\n"
		"  anonymous\n"
		"allowed: 0\n",
		EVENT_SHOW, false},
	{"{\"ok\":true,\"event\":\"show\",\"user\":\"*@t.example.com\",\"blocks\":[],"
	 "\"allows\":[\"+491\\u001b\"]}",
		"blocked: 0\n"
		"allowed: 1\n"
		"  +491\n",
		EVENT_SHOW, false},
	{"{\"ok\":true,\"event\":\"show\",\"user\":\"*98\",\"dnd\":false}",
		"user  *98\n"
		"dnd   no\n",
		EVENT_SHOW, false},
	{"{\"ok\":true,\"event\":\"end\",\"known\":true,\"withdrawn\":2}",
		"known      yes\n"
		"withdrawn  2\n",
		EVENT_END, false},
	{"{\"ok\":true,\"event\":\"call\",\"call\":\"c1\",\"uuid\":\"u1\",\"verdict\":\"push\","
	 "\"rule\":null,\"devices\":[{\"device\":\"phone\",\"result\":\"accepted\","
	 "\"reason\":null,\"ms\":38},{\"device\":\"pad\",\"result\":\"rejected\","
	 "\"reason\":\"Unregistered\",\"ms\":7}]}",
		"push: the phone is being woken, wait for its REGISTER\n"
		"call  c1\n"
		"uuid  u1\n"
		"\n"
		"devices:\n"
		"device  result    reason        ms\n"
		"phone   accepted  -             38 ms\n"
		"pad     rejected  Unregistered  7 ms\n",
		EVENT_CALL, false},
	{"{\"ok\":true,\"verdict\":\"registered\",\"rule\":null,\"devices\":[],\"registered\":"
	 "{\"device\":null,\"contact\":\"sip:1001@192.0.2.7\",\"wake_ms\":812}}",
		"registered: a device is there, send the INVITE now\n"
		"devices             -\n"
		"registered device   -\n"
		"registered contact  sip:1001@192.0.2.7\n"
		"registered wake     812 ms\n",
		EVENT_CALL, false},
	{"{\"ok\":true,\"verdict\":\"reject\",\"rule\":\"dnd\"}",
		"\033[33mreject\033[0m: do-not-disturb is on (dnd)\n", EVENT_CALL, true},
	{"{\"ok\":true,\"verdict\":\"ended\",\"rule\":\"stale\"}",
		"ended: its deadline had passed when the event came (stale)\n", EVENT_CALL, false},
	{"{\"ok\":true,\"verdict\":\"reject\",\"rule\":\"of-tomorrow\"}",
		"reject: this user must not ring (of-tomorrow)\n", EVENT_CALL, false},
	{"{\"ok\":true,\"to\":\"1001\",\"rule\":null,\"devices\":[]}",
		"sent\n"
		"to       1001\n"
		"devices  -\n",
		EVENT_VOICEMAIL, false},
	{"{\"ok\":true,\"event\":\"message\",\"rule\":\"muted\"}",
		"\033[33mnot sent\033[0m: the conversation is muted (muted)\n", EVENT_MESSAGE,
		true},
	{"{\"ok\":true,\"event\":\"refresh\",\"rule\":\"no-device\"}",
		"not sent: the user has no device (no-device)\n", EVENT_REFRESH, false},
	{"{\"ok\":true,\"event\":\"refresh\",\"rule\":\"of-tomorrow\"}", "not sent (of-tomorrow)\n",
		EVENT_REFRESH, false},
};

static void test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		json_t *reply = load(replies[i].reply);
		struct buf out = {0};

		print_reply(&out, replies[i].type, reply, replies[i].colour);
		assert_string_equal(buf_str(&out), replies[i].text);
		buf_free(&out);
		json_decref(reply);
	}
}

static const struct {
	const char *key, *json, *text;
} values[] = {
	{"name", "\"Alice\"", "Alice"},
	{"name", "\"\"", "-"},
	{"name", "null", "-"},
	{"on", "true", "yes"},
	{"on", "false", "no"},
	{"streams", "12", "12"},
	{"ms", "0", "0 ms"},
	{"wake_ms", "812", "812 ms"},
	{"until_ms", "0", "-"},
	{"status", "0", "-"},
	{"started_ms", "1763790000123", "2025-11-22 05:40:00.123"},
	{"uptime_s", "59", "59 s"},
	{"uptime_s", "61", "1 min 01 s"},
	{"uptime_s", "7260", "2 h 01 min"},
	{"uptime_s", "180000", "2 d 02 h"},
	{"token_age_s", "-1", "-1"},
	{"rate", "0.5", "0.5"},
	{"list", "[1,\"a\"]", "[1,\"a\"]"},
	/* a Call-ID that would clear the screen, a name that would turn its line around */
	{"call", "\"a\\u001b[2Jb\\u009bc\"", "a[2Jbc"},
	{"call", "\"a\\u202Eb\\u2066\"", "ab"},
	{"list", "[\"\\u001b\"]", "[\"\\u001B\"]"},
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		json_t *value = json_loads(values[i].json, JSON_DECODE_ANY, NULL);
		struct buf out = {0};

		assert_non_null(value);
		print_value(&out, values[i].key, value);
		assert_string_equal(buf_str(&out), values[i].text);
		buf_free(&out);
		json_decref(value);
	}
}

static void test_members(void **state)
{
	json_t *status = load("{\"version\":\"1\",\"counts\":{\"live\":2,\"max\":{\"a\":1}},"
			      "\"apps\":[\"x\",\"y\"],\"routes\":[{\"host\":\"h\",\"gone\":null},"
			      "{\"host\":\"h\xc3\xa9h\",\"error\":\"e\"},7],\"uptime_s\":5}");
	struct buf out = {0};

	(void)state;
	print_members(&out, status);
	assert_string_equal(buf_str(&out), "version       1\n"
					   "counts live   2\n"
					   "counts max a  1\n"
					   "apps          x, y\n"
					   "uptime        5 s\n"
					   "\n"
					   "routes:\n"
					   "host  error\n"
					   "h     -\n"
					   "h\xc3\xa9h   e\n"
					   "-     -\n");
	buf_free(&out);
	json_decref(status);
}

static void test_timeline(void **state)
{
	static const char *const lines[][2] = {
		{"{\"at_ms\":1763790000123,\"ms\":0,\"what\":\"event\",\"event\":\"call\",\"to\":"
		 "\"1001\"}",
			"05:40:00.123      +0 ms  the PBX announced the call: to 1001\n"},
		{"{\"at_ms\":1763790000161,\"ms\":38,\"what\":\"of-tomorrow\","
		 "\"device\":\"p\",\"reason\":null,\"status\":200}",
			"05:40:00.161     +38 ms  of-tomorrow: device p, status 200\n"},
		{"{\"at_ms\":1763790030123,\"ms\":30000,\"what\":\"deadline\"}",
			"05:40:30.123  +30000 ms  nobody answered in time\n"},
		{"{}", "00:00:00.000      +0 ms  ?\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct buf text = {0}, out = {0};
		json_t *story;

		buf_printf(&text, "{\"call\":\"c1\",\"uuids\":[\"u1\"],\"timeline\":[%s]}",
			lines[i][0]);
		story = load(buf_str(&text));
		print_timeline(&out, story, false);
		buf_reset(&text);
		buf_printf(&text, "call   c1\nuuids  u1\n\n%s", lines[i][1]);
		assert_string_equal(buf_str(&out), buf_str(&text));
		json_decref(story);
		buf_free(&text);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_timeline),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
