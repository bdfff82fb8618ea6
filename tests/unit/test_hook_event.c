/* SPDX-License-Identifier: MIT */
/* The bodies that the web application receives, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/hook_event.h>

/* Compares with a text in which ' stands for ". */
static void expect(const struct hook_event *event, const char *text)
{
	struct buf out = {0};

	hook_event_write(event, "0b3c", &out);
	assert_false(out.failed);
	for (size_t i = 0; i < out.len; i++)
		out.data[i] = out.data[i] == '"' ? '\'' : out.data[i];
	assert_string_equal(buf_str(&out), text);
	buf_free(&out);
}

static void dead_token(void **state)
{
	struct hook_event event = {.type = HOOK_DEAD_TOKEN,
		.at_ms = 1763790000123,
		.user = "1001@a.example",
		.device = "iphone",
		.app = "com.example.phone",
		.token = "0123456789abcdef",
		.push = PUSH_VOIP,
		.environment = PUSH_SANDBOX,
		.status = 410,
		.reason = "Unregistered",
		.died_ms = 1763789000000};

	(void)state;
	expect(&event, "{'v':1,'event':'dead-token','id':'0b3c','at_ms':1763790000123,"
		       "'user':'1001@a.example','device':'iphone','app':'com.example.phone',"
		       "'environment':'sandbox','push':'voip','token':'01234567','status':410,"
		       "'reason':'Unregistered','died_ms':1763789000000}");
	event.died_ms = 0;
	event.user = event.device = NULL;
	event.token = "01";
	event.push = PUSH_ALERT;
	event.environment = PUSH_PRODUCTION;
	expect(&event, "{'v':1,'event':'dead-token','id':'0b3c','at_ms':1763790000123,"
		       "'user':null,'device':null,'app':'com.example.phone',"
		       "'environment':'production','push':'alert','token':'01','status':410,"
		       "'reason':'Unregistered','died_ms':null}");
}

static void no_register(void **state)
{
	struct reply_device device = {.name = "iphone",
		.app = "com.example.phone",
		.push = PUSH_VOIP,
		.result = DEVICE_ACCEPTED,
		.reason = "",
		.status = 200,
		.apns_id = "a-1",
		.attempts = 1,
		.ms = 41};
	struct hook_event event = {.type = HOOK_NO_REGISTER,
		.at_ms = 30,
		.user = "1001",
		.call = "c\"1",
		.uuid = "u-1",
		.attempt = 2,
		.started_ms = 10,
		.devices = &device,
		.device_count = 1};

	(void)state;
	expect(&event,
		"{'v':1,'event':'no-register','id':'0b3c','at_ms':30,'call':'c\\'1','uuid':'u-1',"
		"'attempt':2,'to':'1001','started_ms':10,'devices':[{'device':'iphone',"
		"'app':'com.example.phone','push':'voip','result':'accepted','reason':null,"
		"'status':200,'apns_id':'a-1','attempts':1,'ms':41}]}");
}

static void missed_call(void **state)
{
	static const struct {
		const char *number, *name, *state, *rule, *text;
	} rows[] = {
		{"+15551230001", "Alice", "timeout", NULL,
			"'from':{'number':'+15551230001','name':'Alice'},'state':'timeout','rule':"
			"null}"},
		{NULL, "Al\nice", "cancelled", NULL,
			"'from':{'number':null,'name':'Al\\nice'},'state':'cancelled','rule':"
			"null}"},
		{"anonymous", NULL, "rejected", "dnd",
			"'from':{'number':'anonymous','name':null},'state':'rejected','rule':"
			"'dnd'}"},
		{NULL, NULL, "cancelled", NULL, "'from':null,'state':'cancelled','rule':null}"},
	};
	struct hook_event event = {.type = HOOK_MISSED_CALL,
		.at_ms = 30,
		.user = "1001",
		.call = "c1",
		.uuid = "u-1",
		.attempt = 1,
		.started_ms = 10};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		event.from_number = rows[i].number;
		event.from_name = rows[i].name;
		event.state = rows[i].state;
		event.rule = rows[i].rule;
		strcpy(text, "{'v':1,'event':'missed-call','id':'0b3c','at_ms':30,'call':'c1',"
			     "'uuid':'u-1','attempt':1,'to':'1001','started_ms':10,");
		strcat(text, rows[i].text);
		expect(&event, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dead_token),
		cmocka_unit_test(no_register),
		cmocka_unit_test(missed_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
