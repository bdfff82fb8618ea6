/* SPDX-License-Identifier: MIT */
/* Lines as a PBX writes them, well and badly (CONTRACT 2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/event.h>
#include <pbxpush/core/reply.h>

#define HEX32 "0123456789abcdef0123456789ABCDEF"

/* ' for " */
static char *json_of(const char *text)
{
	char *line = strdup(text);

	assert_non_null(line);
	for (char *quote = line; (quote = strchr(quote, '\''));)
		*quote = '"';
	return line;
}

/* From an exact copy, so that a read beyond the end and a pointer kept into the line are caught. */
static enum err parse_bytes(
	const char *text, size_t len, struct call_event *event, struct event_error *error)
{
	char *line = malloc(len ? len : 1);
	enum err err;

	assert_non_null(line);
	memcpy(line, text, len);
	memset(error, 'x', sizeof(*error));
	err = call_event_parse(line, len, event, error);
	free(line);
	return err;
}

static enum err parse(const char *text, struct call_event *event, struct event_error *error)
{
	char *line = json_of(text);
	enum err err = parse_bytes(line, strlen(line), event, error);

	free(line);
	return err;
}

/* ---- fields ---- */

enum expect { GOOD, ABSENT, BAD };

/* A value for a field; the other fields are those that the event requires. */
struct value_row {
	enum event_type type;
	enum event_field field;
	const char *value;
	enum expect expect;
};

static const struct value_row values[] = {
	{EVENT_CALL, FIELD_CALL, "'x'", GOOD},
	{EVENT_CALL, FIELD_CALL, "''", BAD},
	{EVENT_CALL, FIELD_CALL, "7", BAD},
	{EVENT_CALL, FIELD_CALL, "['x']", BAD},
	{EVENT_CALL, FIELD_TO, "'1001'", GOOD},
	{EVENT_CALL, FIELD_TO, "'sip:1001@example.com;transport=tcp'", GOOD},
	{EVENT_CALL, FIELD_TO, "'*98'", GOOD},
	{EVENT_CALL, FIELD_TO, "'*'", BAD},
	{EVENT_CALL, FIELD_TO, "'*@example.com'", BAD},
	{EVENT_CALL, FIELD_TO, "''", BAD},
	{EVENT_CALL, FIELD_TO, "'a b'", BAD},
	{EVENT_CALL, FIELD_TO, "1001", BAD},
	{EVENT_CALL, FIELD_FROM, "{}", GOOD},
	{EVENT_CALL, FIELD_FROM, "null", ABSENT},
	{EVENT_CALL, FIELD_FROM, "'+491'", BAD},
	{EVENT_CALL, FIELD_FROM, "[]", BAD},
	{EVENT_CALL, FIELD_FROM_NUMBER, "'+491'", GOOD},
	{EVENT_CALL, FIELD_FROM_NUMBER, "''", GOOD},
	{EVENT_CALL, FIELD_FROM_NUMBER, "null", ABSENT},
	{EVENT_CALL, FIELD_FROM_NUMBER, "491", BAD},
	{EVENT_CALL, FIELD_FROM_NAME, "'Zo\xc3\xab'", GOOD},
	{EVENT_CALL, FIELD_FROM_NAME, "true", BAD},
	{EVENT_CALL, FIELD_FROM_URI, "'sip:bob@example.com'", GOOD},
	{EVENT_CALL, FIELD_FROM_URI, "{}", BAD},
	{EVENT_CALL, FIELD_VIDEO, "true", GOOD},
	{EVENT_CALL, FIELD_VIDEO, "false", GOOD},
	{EVENT_CALL, FIELD_VIDEO, "null", ABSENT},
	{EVENT_CALL, FIELD_VIDEO, "1", BAD},
	{EVENT_CALL, FIELD_VIDEO, "'true'", BAD},
	{EVENT_CALL, FIELD_RING_MS, "1000", GOOD},
	{EVENT_CALL, FIELD_RING_MS, "300000", GOOD},
	{EVENT_CALL, FIELD_RING_MS, "30000.0", GOOD},
	{EVENT_CALL, FIELD_RING_MS, "3e4", GOOD},
	{EVENT_CALL, FIELD_RING_MS, "null", ABSENT},
	{EVENT_CALL, FIELD_RING_MS, "999", BAD},
	{EVENT_CALL, FIELD_RING_MS, "300001", BAD},
	{EVENT_CALL, FIELD_RING_MS, "-1", BAD},
	{EVENT_CALL, FIELD_RING_MS, "30000.5", BAD},
	{EVENT_CALL, FIELD_RING_MS, "1e300", BAD},
	{EVENT_CALL, FIELD_RING_MS, "99999999999999999999999", BAD},
	{EVENT_CALL, FIELD_RING_MS, "'30000'", BAD},
	{EVENT_CALL, FIELD_STARTED_MS, "0", GOOD},
	{EVENT_CALL, FIELD_STARTED_MS, "1763790000123", GOOD},
	{EVENT_CALL, FIELD_STARTED_MS, "9007199254740991", GOOD},
	{EVENT_CALL, FIELD_STARTED_MS, "9007199254740992", BAD},
	{EVENT_CALL, FIELD_STARTED_MS, "-1", BAD},
	{EVENT_CALL, FIELD_ATTEMPT, "1", GOOD},
	{EVENT_CALL, FIELD_ATTEMPT, "1000", GOOD},
	{EVENT_CALL, FIELD_ATTEMPT, "0", BAD},
	{EVENT_CALL, FIELD_ATTEMPT, "1001", BAD},
	{EVENT_CALL, FIELD_UUID, "'0E9B6A1C-6F0E-4D3A-9F59-2F3F5F0F6A11'", GOOD},
	{EVENT_CALL, FIELD_UUID, "'0e9b6a1c6f0e4d3a9f592f3f5f0f6a11'", BAD},
	{EVENT_CALL, FIELD_UUID, "'0E9B6A1C-6F0E-4D3A-9F59-2F3F5F0F6A1x'", BAD},
	{EVENT_CALL, FIELD_UUID, "''", BAD},
	{EVENT_CALL, FIELD_LEG, "'b-leg'", GOOD},
	{EVENT_CALL, FIELD_LEG, "''", BAD},
	{EVENT_CALL, FIELD_WAIT, "'verdict'", GOOD},
	{EVENT_CALL, FIELD_WAIT, "'push'", GOOD},
	{EVENT_CALL, FIELD_WAIT, "'register'", GOOD},
	{EVENT_CALL, FIELD_WAIT, "'Register'", BAD},
	{EVENT_CALL, FIELD_WAIT, "''", BAD},
	{EVENT_CALL, FIELD_WAIT, "false", BAD},
	{EVENT_CALL, FIELD_WAIT_MS, "0", GOOD},
	{EVENT_CALL, FIELD_WAIT_MS, "15000", GOOD},
	{EVENT_CALL, FIELD_WAIT_MS, "-1", BAD},
	{EVENT_CALL, FIELD_DEVICE, "'urn:uuid:x'", GOOD},
	{EVENT_CALL, FIELD_DEVICE, "''", BAD},
	{EVENT_CALL, FIELD_DEVICE, "5", BAD},
	{EVENT_CALL, FIELD_CONTACTS, "[]", GOOD},
	{EVENT_CALL, FIELD_CONTACTS, "['sip:a@b','sip:c@d']", GOOD},
	{EVENT_CALL, FIELD_CONTACTS, "'sip:a@b'", BAD},
	{EVENT_CALL, FIELD_CONTACTS, "['sip:a@b',7]", BAD},
	{EVENT_CALL, FIELD_CONTACTS, "{}", BAD},
	{EVENT_CALL, FIELD_PBX_DND, "true", GOOD},
	{EVENT_CALL, FIELD_PBX_DND, "'yes'", BAD},
	{EVENT_CALL, FIELD_PBX_BLOCKED, "true", GOOD},
	{EVENT_CALL, FIELD_PBX_BLOCKED, "0", BAD},
	{EVENT_CALL, FIELD_BYPASS, "true", GOOD},
	{EVENT_CALL, FIELD_BYPASS, "[]", BAD},
	{EVENT_CALL, FIELD_DATA, "{'k':[1,{}]}", GOOD},
	{EVENT_CALL, FIELD_DATA, "null", ABSENT},
	{EVENT_CALL, FIELD_DATA, "[1]", BAD},
	{EVENT_CALL, FIELD_DATA, "'x'", BAD},

	{EVENT_ANSWER, FIELD_CALL, "null", ABSENT},
	{EVENT_ANSWER, FIELD_TO, "'1001'", GOOD},
	{EVENT_ANSWER, FIELD_TO, "{}", BAD},
	{EVENT_ANSWER, FIELD_DEVICE, "'x'", GOOD},
	{EVENT_END, FIELD_REASON, "'cancelled'", GOOD},
	{EVENT_END, FIELD_REASON, "'declined'", GOOD},
	{EVENT_END, FIELD_REASON, "'timeout'", GOOD},
	{EVENT_END, FIELD_REASON, "'completed'", GOOD},
	{EVENT_END, FIELD_REASON, "'ringing'", BAD},
	{EVENT_END, FIELD_REASON, "'answered'", BAD},
	{EVENT_END, FIELD_REASON, "''", BAD},
	{EVENT_END, FIELD_REASON, "16", BAD},
	{EVENT_RINGING, FIELD_DEVICE, "'x'", GOOD},
	{EVENT_CALL_STATE, FIELD_CALL, "'x'", GOOD},
	{EVENT_CALL_STATE, FIELD_UUID, "'0e9b6a1c-6f0e-4d3a-9f59-2f3f5f0f6a11'", GOOD},
	{EVENT_CALL_STATE, FIELD_UUID, "'x'", BAD},

	{EVENT_REGISTER, FIELD_USER, "'1001@example.com'", GOOD},
	{EVENT_REGISTER, FIELD_USER, "'*'", BAD},
	{EVENT_REGISTER, FIELD_CONTACT, "'sip:1001@10.0.0.9'", GOOD},
	{EVENT_REGISTER, FIELD_CONTACT, "''", BAD},
	{EVENT_REGISTER, FIELD_EXPIRES_S, "0", GOOD},
	{EVENT_REGISTER, FIELD_EXPIRES_S, "4294967295", GOOD},
	{EVENT_REGISTER, FIELD_EXPIRES_S, "4294967296", BAD},
	{EVENT_REGISTER, FIELD_EXPIRES_S, "-1", BAD},
	{EVENT_REGISTER, FIELD_APP, "'com.example.phone'", GOOD},
	{EVENT_REGISTER, FIELD_APP, "''", BAD},
	{EVENT_REGISTER, FIELD_TOKEN, "'" HEX32 "'", GOOD},
	{EVENT_REGISTER, FIELD_TOKEN, "'0123456789abcdef0123456789ABCDE'", BAD},
	{EVENT_REGISTER, FIELD_TOKEN, "'0123456789abcdef0123456789ABCDEg'", BAD},
	{EVENT_REGISTER, FIELD_TOKEN, "''", BAD},
	{EVENT_REGISTER, FIELD_ALERT_TOKEN, "'" HEX32 "'", GOOD},
	{EVENT_REGISTER, FIELD_ALERT_TOKEN, "12345678901234567890123456789012", BAD},
	{EVENT_REGISTER, FIELD_ENVIRONMENT, "'auto'", GOOD},
	{EVENT_REGISTER, FIELD_ENVIRONMENT, "'production'", GOOD},
	{EVENT_REGISTER, FIELD_ENVIRONMENT, "'sandbox'", GOOD},
	{EVENT_REGISTER, FIELD_ENVIRONMENT, "'development'", BAD},
	{EVENT_REGISTER, FIELD_ENVIRONMENT, "''", BAD},
	{EVENT_REGISTER, FIELD_MODE, "'voip'", GOOD},
	{EVENT_REGISTER, FIELD_MODE, "'alert'", GOOD},
	{EVENT_REGISTER, FIELD_MODE, "'silent'", BAD},
	{EVENT_REGISTER, FIELD_PN, "{}", GOOD},
	{EVENT_REGISTER, FIELD_PN, "'apns'", BAD},
	{EVENT_REGISTER, FIELD_PN_PROVIDER, "'apns'", GOOD},
	{EVENT_REGISTER, FIELD_PN_PROVIDER, "''", GOOD},
	{EVENT_REGISTER, FIELD_PN_PROVIDER, "1", BAD},
	{EVENT_REGISTER, FIELD_PN_PARAM, "'x'", GOOD},
	{EVENT_REGISTER, FIELD_PN_PARAM, "[]", BAD},
	{EVENT_REGISTER, FIELD_PN_PRID, "'x'", GOOD},
	{EVENT_REGISTER, FIELD_PN_PRID, "1", BAD},
	{EVENT_REGISTER, FIELD_SIP, "false", GOOD},
	{EVENT_REGISTER, FIELD_SIP, "'false'", BAD},
	{EVENT_UNREGISTER, FIELD_FORGET, "true", GOOD},
	{EVENT_UNREGISTER, FIELD_FORGET, "1", BAD},
	{EVENT_FORGET, FIELD_TOKEN, "'" HEX32 "'", GOOD},
	{EVENT_FORGET, FIELD_TOKEN, "'x'", BAD},
	{EVENT_FORGET, FIELD_USER, "'*'", BAD},

	{EVENT_DND, FIELD_ON, "true", GOOD},
	{EVENT_DND, FIELD_ON, "'on'", BAD},
	{EVENT_DND, FIELD_UNTIL_MS, "1763790000123", GOOD},
	{EVENT_DND, FIELD_UNTIL_MS, "-5", BAD},
	{EVENT_BLOCK, FIELD_USER, "'*'", GOOD},
	{EVENT_BLOCK, FIELD_USER, "'*@tenant.example.com'", GOOD},
	{EVENT_BLOCK, FIELD_USER, "'*@a b'", BAD},
	{EVENT_BLOCK, FIELD_USER, "'*@'", BAD},
	{EVENT_BLOCK, FIELD_NUMBER, "'+4990*'", GOOD},
	{EVENT_BLOCK, FIELD_NUMBER, "''", BAD},
	{EVENT_BLOCK, FIELD_NUMBER, "49", BAD},
	{EVENT_SHOW, FIELD_USER, "'*'", GOOD},
	{EVENT_EXPORT, FIELD_CURSOR, "'u0-0'", GOOD},
	{EVENT_EXPORT, FIELD_CURSOR, "null", ABSENT},
	{EVENT_EXPORT, FIELD_CURSOR, "''", BAD},
	{EVENT_EXPORT, FIELD_CURSOR, "7", BAD},
	{EVENT_DND_SCHEDULE, FIELD_TIMEZONE, "'Europe/Berlin'", GOOD},
	{EVENT_DND_SCHEDULE, FIELD_TIMEZONE, "49", BAD},
	{EVENT_DND_SCHEDULE, FIELD_WINDOWS, "[]", GOOD},
	{EVENT_DND_SCHEDULE, FIELD_WINDOWS, "{}", BAD},
	{EVENT_MUTE, FIELD_CONVERSATION, "'c1'", GOOD},
	{EVENT_MUTE, FIELD_CONVERSATION, "''", BAD},
	{EVENT_MESSAGE, FIELD_MESSAGE_ID, "'m1'", GOOD},
	{EVENT_MESSAGE, FIELD_MESSAGE_ID, "1", BAD},
	{EVENT_MESSAGE, FIELD_TEXT, "''", GOOD},
	{EVENT_MESSAGE, FIELD_TEXT, "['x']", BAD},
	{EVENT_MESSAGE, FIELD_BADGE, "0", GOOD},
	{EVENT_MESSAGE, FIELD_BADGE, "-1", BAD},
	{EVENT_MISSED_CALL, FIELD_AT_MS, "1763790000123", GOOD},
	{EVENT_MISSED_CALL, FIELD_AT_MS, "-1", BAD},
	{EVENT_VOICEMAIL, FIELD_NEW, "2", GOOD},
	{EVENT_VOICEMAIL, FIELD_NEW, "'2'", BAD},
	{EVENT_VOICEMAIL, FIELD_OLD, "0", GOOD},
	{EVENT_VOICEMAIL, FIELD_OLD, "-1", BAD},
	{EVENT_VOICEMAIL, FIELD_DURATION_S, "12.0", GOOD},
	{EVENT_VOICEMAIL, FIELD_DURATION_S, "12.5", BAD},
};

/* A value that is good for a field, to fill what an event requires. */
static const char *good_value(enum event_field field)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (values[i].field == field && values[i].expect == GOOD)
			return values[i].value;
	}
	fail_msg("no good value of %s in the table", event_field_spec(field)->name);
	return NULL;
}

static void add_field(char *line, size_t size, enum event_field field, const char *value)
{
	const char *name = event_field_spec(field)->name, *dot = strchr(name, '.');
	size_t len = strlen(line);

	if (dot)
		snprintf(line + len, size - len, ",'%.*s':{'%s':%s}", (int)(dot - name), name,
			dot + 1, value);
	else
		snprintf(line + len, size - len, ",'%s':%s", name, value);
}

/* An event with its required fields, except one (FIELD_COUNT: with all), which has this value
 * instead. */
static void write_event(
	char *line, size_t size, enum event_type type, enum event_field field, const char *value)
{
	const struct event_spec *spec = event_spec(type);

	snprintf(line, size, "{'event':'%s'", spec->name);
	for (enum event_field i = 0; i < FIELD_COUNT; i++) {
		if (i != field && spec->required >> i & 1)
			add_field(line, size, i, good_value(i));
	}
	/* forget and call-state need one of two */
	if (type == EVENT_FORGET && field != FIELD_USER)
		add_field(line, size, FIELD_USER, "'1001'");
	if (type == EVENT_CALL_STATE && field != FIELD_CALL)
		add_field(line, size, FIELD_CALL, "'x'");
	if (value)
		add_field(line, size, field, value);
	strcat(line, "}");
}

static void values_of_every_field(void **state)
{
	char line[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct value_row *row = &values[i];
		const char *name = event_field_spec(row->field)->name;
		bool required = event_spec(row->type)->required >> row->field & 1;
		struct call_event event;
		struct event_error error;
		enum err err;

		write_event(line, sizeof(line), row->type, row->field, row->value);
		err = parse(line, &event, &error);
		if (row->expect == BAD || (row->expect == ABSENT && required)) {
			enum event_error_code code =
				row->expect == BAD ? EVENT_BAD_FIELD : EVENT_MISSING_FIELD;

			if (err != ERR_INVAL || error.code != code ||
				strcmp(error.field, name) != 0)
				fail_msg("%s: err %d code %d field %s", line, (int)err,
					(int)error.code, error.field);
			assert_true(strstr(error.message, name) != NULL);
		} else if (err || event_has(&event, row->field) != (row->expect == GOOD)) {
			fail_msg("%s: err %d %s", line, (int)err, err ? error.message : "");
		}
		call_event_free(&event);
	}
}

/* Each row of the field table has a value that is taken and one that is not. */
static void the_table_above_is_complete(void **state)
{
	(void)state;
	for (enum event_field field = 0; field < FIELD_COUNT; field++) {
		bool good = false, bad = false;

		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			good |= values[i].field == field && values[i].expect == GOOD;
			bad |= values[i].field == field && values[i].expect == BAD;
		}
		if (!good || !bad)
			fail_msg("%s: good %d bad %d", event_field_spec(field)->name, good, bad);
	}
}

static void every_required_field_is_missed(void **state)
{
	char line[1024];
	int missed = 0;

	(void)state;
	for (enum event_type type = 0; type < EVENT_COUNT; type++) {
		for (enum event_field field = 0; field < FIELD_COUNT; field++) {
			struct call_event event;
			struct event_error error;

			if (!(event_spec(type)->required >> field & 1))
				continue;
			missed++;
			write_event(line, sizeof(line), type, field, NULL);
			assert_int_equal(parse(line, &event, &error), ERR_INVAL);
			assert_int_equal(error.code, EVENT_MISSING_FIELD);
			assert_string_equal(error.field, event_field_spec(field)->name);
			call_event_free(&event);
		}
	}
	assert_true(missed > 0);
}

static void one_of_two_fields(void **state)
{
	static const struct {
		const char *line, *field;
	} rows[] = {
		{"{'event':'call-state'}", "call"},
		{"{'event':'call-state','to':'1001'}", "call"},
		{"{'event':'forget'}", "user"},
		{"{'event':'forget','device':'x'}", "user"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct call_event event;
		struct event_error error;

		assert_int_equal(parse(rows[i].line, &event, &error), ERR_INVAL);
		assert_int_equal(error.code, EVENT_MISSING_FIELD);
		assert_string_equal(error.field, rows[i].field);
		call_event_free(&event);
	}
}

static void lengths_have_bounds(void **state)
{
	static const struct {
		enum event_type type;
		enum event_field field;
		size_t longest;
		char fill;
	} rows[] = {
		{EVENT_CALL, FIELD_CALL, 255, 'x'},
		{EVENT_CALL, FIELD_LEG, 255, 'x'},
		{EVENT_CALL, FIELD_TO, 255, '1'},
		{EVENT_CALL, FIELD_DEVICE, 255, 'x'},
		{EVENT_REGISTER, FIELD_APP, 127, 'x'},
		{EVENT_REGISTER, FIELD_CONTACT, 2047, 'x'},
		{EVENT_REGISTER, FIELD_TOKEN, 512, 'a'},
		{EVENT_BLOCK, FIELD_NUMBER, 127, '1'},
	};
	char value[4096], line[8192];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t over = 0; over < 2; over++) {
			size_t len = rows[i].longest + over;
			struct call_event event;
			struct event_error error;

			value[0] = value[len + 1] = '\'';
			value[len + 2] = '\0';
			memset(value + 1, rows[i].fill, len);
			write_event(line, sizeof(line), rows[i].type, rows[i].field, value);
			if ((parse(line, &event, &error) == ERR_OK) == (over == 1))
				fail_msg("%s of %zu", event_field_spec(rows[i].field)->name, len);
			call_event_free(&event);
		}
	}
}

/* The value that lands in the struct, and the defaults of what is absent. */
static void values_arrive(void **state)
{
	struct call_event event;
	struct event_error error;

	(void)state;
	assert_int_equal(parse("{'event':'call','call':'c','to':'1001','from':{'number':'+1',"
			       "'name':'n','uri':'u'},'video':true,'ring_ms':30000.0,"
			       "'started_ms':5,'attempt':3,'leg':'l','wait':'register',"
			       "'wait_ms':7,'device':'d','contacts':['sip:a@b'],'dnd':true,"
			       "'blocked':true,'bypass':true,'data':{},'unknown':[1,2]}",
				 &event, &error),
		ERR_OK);
	assert_int_equal(event.type, EVENT_CALL);
	assert_string_equal(event.call, "c");
	assert_string_equal(event.to, "1001");
	assert_string_equal(event.from_number, "+1");
	assert_string_equal(event.from_name, "n");
	assert_string_equal(event.from_uri, "u");
	assert_true(event.video && event.pbx_dnd && event.pbx_blocked && event.bypass);
	assert_int_equal(event.ring_ms, 30000);
	assert_int_equal(event.started_ms, 5);
	assert_int_equal(event.attempt, 3);
	assert_string_equal(event.leg, "l");
	assert_int_equal(event.wait, WAIT_REGISTER);
	assert_int_equal(event.wait_ms, 7);
	assert_string_equal(event.device, "d");
	assert_int_equal(event.contacts.count, 1);
	assert_string_equal(event.contacts.first, "sip:a@b");
	assert_string_equal(event.data, "{}");
	call_event_free(&event);

	assert_int_equal(parse("{'event':'call','call':'c','to':'1001'}", &event, &error), ERR_OK);
	assert_false(event.video || event.pbx_dnd || event.pbx_blocked || event.bypass);
	assert_int_equal(event.attempt, 1);
	assert_int_equal(event.wait, WAIT_PUSH);
	assert_null(event.data);
	assert_int_equal(event.contacts.count, 0);
	assert_null(event.from_number);
	call_event_free(&event);

	assert_int_equal(parse("{'event':'end','call':'c'}", &event, &error), ERR_OK);
	assert_int_equal(event.reason, CALL_CANCELLED);
	call_event_free(&event);
	assert_int_equal(
		parse("{'event':'end','call':'c','reason':'timeout'}", &event, &error), ERR_OK);
	assert_int_equal(event.reason, CALL_TIMEOUT);
	call_event_free(&event);

	assert_int_equal(parse("{'event':'register','user':'1001'}", &event, &error), ERR_OK);
	assert_true(event.sip);
	assert_int_equal(event.mode, MODE_UNSET);
	assert_int_equal(event.environment, ENVIRONMENT_UNSET);
	call_event_free(&event);
	assert_int_equal(parse("{'event':'register','user':'1001','sip':false,'mode':'alert',"
			       "'environment':'sandbox'}",
				 &event, &error),
		ERR_OK);
	assert_false(event.sip);
	assert_int_equal(event.mode, MODE_ALERT);
	assert_int_equal(event.environment, ENVIRONMENT_SANDBOX);
	call_event_free(&event);
}

static void at_most_32_contacts(void **state)
{
	char line[1024] = "{'event':'call','call':'c','to':'1001','contacts':['x'";
	struct call_event event;
	struct event_error error;
	size_t end;

	(void)state;
	for (int i = 1; i < 32; i++)
		strcat(line, ",'x'");
	end = strlen(line);
	strcat(line, "]}");
	assert_int_equal(parse(line, &event, &error), ERR_OK);
	call_event_free(&event);
	strcpy(line + end, ",'x']}");
	assert_int_equal(parse(line, &event, &error), ERR_INVAL);
	assert_string_equal(error.field, "contacts");
	call_event_free(&event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_every_field),
		cmocka_unit_test(the_table_above_is_complete),
		cmocka_unit_test(every_required_field_is_missed),
		cmocka_unit_test(one_of_two_fields),
		cmocka_unit_test(lengths_have_bounds),
		cmocka_unit_test(values_arrive),
		cmocka_unit_test(at_most_32_contacts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
