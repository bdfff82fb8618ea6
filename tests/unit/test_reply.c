/* SPDX-License-Identifier: MIT */
/* Reply lines, byte for byte (CONTRACT 2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/reply.h>

#define UUID "b1b2b665-ac81-531c-a831-60e2d9c03e1b"

/* Compares with a text in which ' stands for ", and empties out. */
static void expect(struct buf *out, const char *text)
{
	assert_false(out->failed);
	for (size_t i = 0; i < out->len; i++)
		out->data[i] = out->data[i] == '"' ? '\'' : out->data[i];
	assert_string_equal(buf_str(out), text);
	buf_reset(out);
}

static void the_beginning(void **state)
{
	struct buf out = {0};

	(void)state;
	reply_begin("7", "pong", &out);
	expect(&out, "{'id':7,'ok':true,'event':'pong'");
	reply_begin("\"x\"", "pong", &out);
	expect(&out, "{'id':'x','ok':true,'event':'pong'");
	reply_begin(NULL, "pong", &out);
	expect(&out, "{'ok':true,'event':'pong'");
	buf_free(&out);
}

static void members(void **state)
{
	struct buf out = {0};

	(void)state;
	reply_add_string(&out, "s", "a\"b\\c\n\xc3\xab");
	expect(&out, ",'s':'a\\'b\\\\c\\n\xc3\xab'");
	reply_add_string(&out, "s", "");
	reply_add_string(&out, "t", NULL);
	expect(&out, ",'s':null,'t':null");
	reply_add_int(&out, "i", INT64_MIN);
	reply_add_int(&out, "j", INT64_MAX);
	expect(&out, ",'i':-9223372036854775808,'j':9223372036854775807");
	reply_add_bool(&out, "b", true);
	reply_add_bool(&out, "c", false);
	expect(&out, ",'b':true,'c':false");
	buf_free(&out);
}

static void errors(void **state)
{
	struct event_error error;
	struct buf out = {0};

	(void)state;
	event_error_set(&error, EVENT_BAD_FIELD, "from.number", "'%s' must be a string", "number");
	reply_write_error("7", &error, &out);
	expect(&out, "{'id':7,'ok':false,'error':'bad-field','field':'from.number',"
		     "'message':''number' must be a string'}");
	event_error_set(&error, EVENT_OVERLOADED, NULL, "too much");
	reply_write_error(NULL, &error, &out);
	expect(&out, "{'ok':false,'error':'overloaded','field':null,'message':'too much'}");
	buf_free(&out);
}

static void the_names_of_errors(void **state)
{
	static const struct {
		enum event_error_code code;
		const char *name;
	} rows[] = {
		{EVENT_BAD_JSON, "bad-json"},
		{EVENT_UNKNOWN, "unknown-event"},
		{EVENT_MISSING_FIELD, "missing-field"},
		{EVENT_BAD_FIELD, "bad-field"},
		{EVENT_TOO_LONG, "too-long"},
		{EVENT_OVERLOADED, "overloaded"},
		{EVENT_NOT_PERMITTED, "not-permitted"},
		{EVENT_STORAGE_FAILED, "storage-failed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(event_error_name(rows[i].code), rows[i].name);
}

static void a_call_that_pushed(void **state)
{
	const struct reply_device devices[] = {
		{.name = "iphone",
			.app = "com.example.phone",
			.push = PUSH_VOIP,
			.result = DEVICE_ACCEPTED,
			.reason = "",
			.status = 200,
			.apns_id = "id-1",
			.attempts = 1,
			.ms = 43},
		{.name = "i\"pad",
			.app = "",
			.push = PUSH_ALERT,
			.result = DEVICE_SKIPPED,
			.reason = "no-token",
			.apns_id = ""},
	};
	struct reply_call reply = {.call = "c1",
		.uuid = UUID,
		.verdict = VERDICT_PUSH,
		.devices = devices,
		.device_count = 2,
		.registered_device = "iphone"};
	struct buf out = {0};

	(void)state;
	reply_write_call("7", &reply, &out);
	expect(&out, "{'id':7,'ok':true,'event':'call','call':'c1','uuid':'" UUID "',"
		     "'verdict':'push','rule':null,'devices':["
		     "{'device':'iphone','app':'com.example.phone','push':'voip',"
		     "'result':'accepted','reason':null,'status':200,'apns_id':'id-1',"
		     "'attempts':1,'ms':43},"
		     "{'device':'i\\'pad','app':null,'push':'alert','result':'skipped',"
		     "'reason':'no-token','status':null,'apns_id':null,'attempts':0,'ms':0}]}");
	buf_free(&out);
}

static void a_call_that_stopped(void **state)
{
	struct reply_call reply = {.call = "c1",
		.uuid = UUID,
		.verdict = VERDICT_REJECT,
		.rule = RULE_DND_SCHEDULE,
		.duplicate = true,
		.truncated = true};
	struct buf out = {0};

	(void)state;
	reply_write_call(NULL, &reply, &out);
	expect(&out, "{'ok':true,'event':'call','call':'c1','uuid':'" UUID "',"
		     "'verdict':'reject','rule':'dnd-schedule','devices':[],"
		     "'duplicate':true,'truncated':true}");
	buf_free(&out);
}

static void a_call_whose_phone_is_there(void **state)
{
	struct reply_call reply = {.call = "c1",
		.uuid = UUID,
		.verdict = VERDICT_REGISTERED,
		.registered_device = "iphone",
		.registered_contact = "sip:1001@10.0.0.9",
		.wake_ms = 0};
	struct buf out = {0};

	(void)state;
	reply_write_call(NULL, &reply, &out);
	expect(&out, "{'ok':true,'event':'call','call':'c1','uuid':'" UUID "',"
		     "'verdict':'registered','rule':null,'devices':[],"
		     "'registered':{'device':'iphone','contact':'sip:1001@10.0.0.9',"
		     "'wake_ms':0}}");
	reply.registered_device = "";
	reply.registered_contact = NULL;
	reply.wake_ms = -1;
	reply_write_call(NULL, &reply, &out);
	expect(&out, "{'ok':true,'event':'call','call':'c1','uuid':'" UUID "',"
		     "'verdict':'registered','rule':null,'devices':[],"
		     "'registered':{'device':null,'contact':null,'wake_ms':null}}");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_beginning),
		cmocka_unit_test(members),
		cmocka_unit_test(errors),
		cmocka_unit_test(the_names_of_errors),
		cmocka_unit_test(a_call_that_pushed),
		cmocka_unit_test(a_call_that_stopped),
		cmocka_unit_test(a_call_whose_phone_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
