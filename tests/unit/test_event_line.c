/* SPDX-License-Identifier: MIT */
/* What surrounds the fields: JSON that is none, ids, bytes that are not UTF-8, great lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/event.h>
#include <pbxpush/core/reply.h>

#define FFFD "\xef\xbf\xbd"

static enum err parse(
	const char *text, size_t len, struct call_event *event, struct event_error *error)
{
	char *line = malloc(len ? len : 1);
	enum err err;

	assert_non_null(line);
	memcpy(line, text, len);
	for (size_t i = 0; i < len; i++)
		line[i] = line[i] == '\'' ? '"' : line[i];
	err = call_event_parse(line, len, event, error);
	free(line); /* what the event keeps does not point into it */
	return err;
}

static void lines_that_are_refused(void **state)
{
	static const struct {
		const char *line;
		enum event_error_code code;
		const char *field, *message;
	} rows[] = {
		{"", EVENT_BAD_JSON, "", NULL},
		{" ", EVENT_BAD_JSON, "", NULL},
		{"{", EVENT_BAD_JSON, "", NULL},
		{"}", EVENT_BAD_JSON, "", NULL},
		{"{'event':'ping'", EVENT_BAD_JSON, "", NULL},
		{"{'event':'ping'}}", EVENT_BAD_JSON, "", NULL},
		{"{'event':'ping'} {'event':'ping'}", EVENT_BAD_JSON, "", NULL},
		{"{'event':'ping',}", EVENT_BAD_JSON, "", NULL},
		{"{event:'ping'}", EVENT_BAD_JSON, "", NULL},
		{"{'event':'ping','id':01}", EVENT_BAD_JSON, "", NULL},
		{"{'event':'ping','id':NaN}", EVENT_BAD_JSON, "", NULL},
		{"{'event':'C:\\\xc3\xa9'}", EVENT_BAD_JSON, "", "invalid escape at byte 12"},
		{"GET / HTTP/1.1", EVENT_BAD_JSON, "", NULL},
		{"\xff\xfe", EVENT_BAD_JSON, "", NULL},
		{"[]", EVENT_BAD_JSON, "", "the line is not a JSON object"},
		{"[{'event':'ping'}]", EVENT_BAD_JSON, "", "the line is not a JSON object"},
		{"'ping'", EVENT_BAD_JSON, "", NULL},
		{"7", EVENT_BAD_JSON, "", NULL},
		{"null", EVENT_BAD_JSON, "", NULL},
		{"{}", EVENT_MISSING_FIELD, "event", "the line has no 'event'"},
		{"{'event':null}", EVENT_MISSING_FIELD, "event", "the line has no 'event'"},
		{"{'event':7}", EVENT_BAD_FIELD, "event", "'event' must be a string"},
		{"{'event':['ping']}", EVENT_BAD_FIELD, "event", "'event' must be a string"},
		{"{'event':''}", EVENT_UNKNOWN, "event", "there is no event ''"},
		{"{'event':'Ping'}", EVENT_UNKNOWN, "event", "there is no event 'Ping'"},
		{"{'event':'call2'}", EVENT_UNKNOWN, "event", "there is no event 'call2'"},
		{"{'event':'ping','id':{}}", EVENT_BAD_FIELD, "id",
			"'id' must be a string or a number"},
		{"{'event':'ping','id':[1]}", EVENT_BAD_FIELD, "id", NULL},
		{"{'event':'ping','id':true}", EVENT_BAD_FIELD, "id", NULL},
		{"{'event':'call','to':'1'}", EVENT_MISSING_FIELD, "call", "'call' needs 'call'"},
		{"{'event':'call','call':'c','to':'1','ring_ms':5}", EVENT_BAD_FIELD, "ring_ms",
			"'ring_ms' must be an integer of 1000 to 300000"},
		{"{'event':'call','call':'c','to':'1','wait':'x'}", EVENT_BAD_FIELD, "wait",
			"'wait' must be one of verdict push register"},
		{"{'event':'end','call':'c','reason':'x'}", EVENT_BAD_FIELD, "reason",
			"'reason' must be one of cancelled declined timeout completed"},
		{"{'event':'call','call':'','to':'1'}", EVENT_BAD_FIELD, "call",
			"'call' must be a string of 1 to 255 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char wanted[sizeof(((struct event_error *)NULL)->message)];
		struct call_event event;
		struct event_error error;
		enum err err = parse(rows[i].line, strlen(rows[i].line), &event, &error);

		snprintf(wanted, sizeof(wanted), "%s", rows[i].message ? rows[i].message : "");
		if (err != ERR_INVAL || error.code != rows[i].code ||
			strcmp(error.field, rows[i].field) != 0 || !error.message[0] ||
			(rows[i].message && strcmp(error.message, wanted) != 0))
			fail_msg("%s: err %d, %s, field '%s': %s", rows[i].line, (int)err,
				event_error_name(error.code), error.field, error.message);
		call_event_free(&event);
	}
}

/* The text that a reply echoes. */
static void ids_are_echoed(void **state)
{
	static const struct {
		const char *given, *echoed;
	} rows[] = {
		{"'abc'", "'abc'"},
		{"''", "''"},
		{"'\\u00e9\\n\\\\'", "'\\u00e9\\n\\\\'"},
		{"'a b'", "'a b'"},
		{"1e400", "1e400"},
		{"'\xff'", "'" FFFD "'"},
		{"0", "0"},
		{"7", "7"},
		{"-7", "-7"},
		{"9007199254740993", "9007199254740993"},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"9223372036854775808", "9223372036854775808"},
		{"123456789012345678901234567890", "123456789012345678901234567890"},
		{"1.5", "1.5"},
		{"0.1", "0.1"},
		{"-2.50", "-2.50"},
		{"1E5", "1E5"},
		{"null", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* also where another number of the line does not fit an integer */
		for (int big = 0; big < 2; big++) {
			char line[256];
			struct call_event event;
			struct event_error error;
			struct buf id = {0};

			snprintf(line, sizeof(line), "{'id': %s , 'event':'ping'%s}", rows[i].given,
				big ? ",'x':99999999999999999999" : "");
			assert_int_equal(parse(line, strlen(line), &event, &error), ERR_OK);
			buf_add_str(&id, event.id ? event.id : "");
			for (size_t at = 0; at < id.len; at++)
				id.data[at] = id.data[at] == '"' ? '\'' : id.data[at];
			if (strcmp(buf_str(&id), rows[i].echoed ? rows[i].echoed : "") != 0)
				fail_msg("%s became %s", line, buf_str(&id));
			buf_free(&id);
			call_event_free(&event);
		}
	}
}

/* What was understood of a bad line comes back with its id. */
static void a_refused_line_has_its_id(void **state)
{
	struct call_event event;
	struct event_error error;
	const char *line = "{'id':'x','event':'call','call':'c'}";

	(void)state;
	assert_int_equal(parse(line, strlen(line), &event, &error), ERR_INVAL);
	assert_string_equal(event.id, "\"x\"");
	call_event_free(&event);
}

/* Of several members of a name the last one counts, with all that is in it. */
static void the_last_of_a_name_counts(void **state)
{
	static const struct {
		const char *members, *number, *name;
		size_t contacts;
	} rows[] = {
		{"'from':{'number':'1'},'from':{'name':'n'}", NULL, "n", 0},
		{"'from':{'number':'1','number':'2'}", "2", NULL, 0},
		{"'from':{'number':'1'},'from':null", NULL, NULL, 0},
		{"'from':{'number':'1','number':null}", NULL, NULL, 0},
		{"'from':7,'from':{'number':'1'}", "1", NULL, 0},
		{"'from':{'name':'a','x':{'name':'b'},'from':{'name':'c'}}", NULL, "a", 0},
		{"'from.number':'1'", NULL, NULL, 0},
		{"'fr\\u006fm':{'num\\u0062er':'1'}", "1", NULL, 0},
		{"'contacts':['sip:a','sip:b'],'contacts':['x']", NULL, NULL, 1},
		{"'number':'9','user':7,'pn':{'prid':7}", NULL, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[512];
		struct call_event event;
		struct event_error error;

		snprintf(line, sizeof(line), "{%s,'event':'call','call':'c','to':'1'}",
			rows[i].members);
		if (parse(line, strlen(line), &event, &error))
			fail_msg("%s: %s", line, error.message);
		if (strcmp(event.from_number ? event.from_number : "-",
			    rows[i].number ? rows[i].number : "-") != 0 ||
			strcmp(event.from_name ? event.from_name : "-",
				rows[i].name ? rows[i].name : "-") != 0 ||
			event.contacts.count != rows[i].contacts)
			fail_msg("%s", line);
		call_event_free(&event);
	}
}

/* Strings with escapes become shorter, and still stand one behind the other. */
static void contacts_are_a_list(void **state)
{
	const char *line = "{'event':'call','call':'c','to':'1','contacts':"
			   "[ 'a' , '' ,'\\u00e9\\n','sip:b@c;x=\\'y\\'' ] , 'x':1}";
	static const char *const wanted[] = {"a", "", "\xc3\xa9\n", "sip:b@c;x=\"y\""};
	struct call_event event;
	struct event_error error;
	const char *item;

	(void)state;
	assert_int_equal(parse(line, strlen(line), &event, &error), ERR_OK);
	assert_int_equal(event.contacts.count, 4);
	item = event.contacts.first;
	for (size_t i = 0; i < 4; i++, item += strlen(item) + 1)
		assert_string_equal(item, wanted[i]);
	call_event_free(&event);
}

static void a_share_outlives_the_event(void **state)
{
	const char *line = "{'event':'call','call':'c','to':'1'}";
	struct call_event event, share, *kept;
	struct event_error error;

	(void)state;
	assert_int_equal(parse(line, strlen(line), &event, &error), ERR_OK);
	share = call_event_share(&event);
	call_event_free(&event);
	call_event_free(&event);
	assert_string_equal(share.call, "c");
	kept = call_event_keep(&share);
	call_event_free(&share);
	assert_string_equal(kept->call, "c");
	share = call_event_share(kept);
	call_event_free(kept);
	assert_string_equal(share.to, "1");
	call_event_free(&share);
}

static void data_stays_as_it_stood(void **state)
{
	static const struct {
		const char *given, *kept;
	} rows[] = {
		{"{}", "{}"},
		{"{ 'a' : [ 1 , 2.50 , { } ] }", "{'a':[1,2.50,{}]}"},
		{"{'n':123456789012345678901234567890,'r':0.1,'e':1E5}",
			"{'n':123456789012345678901234567890,'r':0.1,'e':1E5}"},
		{"{'s':'a b, c} ] \\\\'}", "{'s':'a b, c} ] \\\\'}"},
		{"{'q':'\\\\\\u0022','data':{'data':1}}", "{'q':'\\\\\\u0022','data':{'data':1}}"},
		{"{'a':1},'data':{'b':2}", "{'b':2}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[512];
		struct call_event event;
		struct event_error error;
		struct buf kept = {0};

		snprintf(line, sizeof(line),
			"{'from':{'name':'data'},'x':['data'],'data':%s,'event':'call',"
			"'call':'data','to':'1'}",
			rows[i].given);
		assert_int_equal(parse(line, strlen(line), &event, &error), ERR_OK);
		assert_non_null(event.data);
		buf_add_str(&kept, event.data);
		for (size_t at = 0; at < kept.len; at++)
			kept.data[at] = kept.data[at] == '"' ? '\'' : kept.data[at];
		assert_string_equal(kept.data, rows[i].kept);
		buf_free(&kept);
		call_event_free(&event);
	}
}

static void bytes_that_cost_no_call(void **state)
{
	static const struct {
		const char *given, *name;
	} rows[] = {
		{"Zo\xc3\xab", "Zo\xc3\xab"},
		{"\xff", FFFD},
		{"M\xfcller", "M" FFFD "ller"},
		{"\xc3", FFFD},
		{"\xed\xa0\x80", FFFD FFFD FFFD},
		{"\xf0\x9f\x93\x9e", "\xf0\x9f\x93\x9e"},
		{"\\ud83d\\udcde", "\xf0\x9f\x93\x9e"},
		{"\\ud83dx", FFFD "x"},
		{"\\udcde", FFFD},
		{"a\\u0000b", "a" FFFD "b"},
		{"a\x01z", "a" FFFD "z"},
		{"a\tb", "a" FFFD "b"},
		{"a\\tb", "a\tb"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[256];
		struct call_event event;
		struct event_error error;

		snprintf(line, sizeof(line),
			"{'event':'call','call':'c','to':'1','from':{'name':'%s'}}", rows[i].given);
		if (parse(line, strlen(line), &event, &error))
			fail_msg("%s: %s", line, error.message);
		if (strcmp(event.from_name, rows[i].name) != 0)
			fail_msg("%s became %s", line, event.from_name);
		call_event_free(&event);
	}
}

static void a_nul_byte_in_a_string_costs_no_call(void **state)
{
	static const char line[] = "{'event':'call','call':'c','to':'1','from':{'name':'a\0b'}}";
	struct call_event event;
	struct event_error error;

	(void)state;
	assert_int_equal(parse(line, sizeof(line) - 1, &event, &error), ERR_OK);
	assert_string_equal(event.from_name, "a" FFFD "b");
	call_event_free(&event);
}

static void great_lines(void **state)
{
	size_t len = 64 * 1024;
	char *line = malloc(len + 1);
	struct call_event event;
	struct event_error error;
	int head;

	(void)state;
	assert_non_null(line);
	head = snprintf(line, len, "{'event':'call','call':'c','to':'1','from':{'name':'");
	memset(line + head, 'n', len - (size_t)head);
	memcpy(line + len - 3, "'}}", 3);
	assert_int_equal(parse(line, len, &event, &error), ERR_OK);
	assert_int_equal(strlen(event.from_name), len - 3 - (size_t)head);
	call_event_free(&event);

	/* nested as deep as the line is long: refused, and the stack holds */
	memset(line, '[', len);
	assert_int_equal(parse(line, len, &event, &error), ERR_INVAL);
	assert_int_equal(error.code, EVENT_BAD_JSON);
	call_event_free(&event);
	memcpy(line, "{'event':'ping','x':", 20);
	assert_int_equal(parse(line, len, &event, &error), ERR_INVAL);
	assert_int_equal(error.code, EVENT_BAD_JSON);
	call_event_free(&event);
	free(line);
}

/* An error may quote a long name: it is cut at a character boundary. */
static void a_message_is_cut_between_characters(void **state)
{
	char line[1024] = "{'event':'";
	struct call_event event;
	struct event_error error;
	struct buf out = {0};
	json_t *reply;

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(line, "\xc3\xab");
	strcat(line, "'}");
	assert_int_equal(parse(line, strlen(line), &event, &error), ERR_INVAL);
	assert_int_equal(error.code, EVENT_UNKNOWN);
	assert_true(strlen(error.message) < sizeof(error.message));
	reply_write_error(NULL, &error, &out);
	reply = json_loadb(out.data, out.len, 0, NULL); /* takes valid UTF-8 only */
	assert_non_null(reply);
	json_decref(reply);
	buf_free(&out);
	call_event_free(&event);
}

static void the_tables_are_whole(void **state)
{
	(void)state;
	for (enum event_type type = 0; type < EVENT_COUNT; type++) {
		const struct event_spec *spec = event_spec(type);

		assert_int_equal(event_type_of(spec->name), type);
		assert_int_equal(spec->required & spec->optional, 0);
		assert_true(spec->help && spec->help[0]);
	}
	for (enum event_field field = 0; field < FIELD_COUNT; field++) {
		assert_true(event_field_spec(field)->name && event_field_spec(field)->help);
		assert_true(event_field_spec(field)->help[0]);
	}
	for (enum event_error_code code = EVENT_BAD_JSON; code <= EVENT_STORAGE_FAILED; code++)
		assert_non_null(event_error_name(code));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_are_refused),
		cmocka_unit_test(ids_are_echoed),
		cmocka_unit_test(a_refused_line_has_its_id),
		cmocka_unit_test(the_last_of_a_name_counts),
		cmocka_unit_test(contacts_are_a_list),
		cmocka_unit_test(a_share_outlives_the_event),
		cmocka_unit_test(data_stays_as_it_stood),
		cmocka_unit_test(bytes_that_cost_no_call),
		cmocka_unit_test(a_nul_byte_in_a_string_costs_no_call),
		cmocka_unit_test(great_lines),
		cmocka_unit_test(a_message_is_cut_between_characters),
		cmocka_unit_test(the_tables_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
