/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/ctl/arguments.h>

#define WORDS_MAX 12
#define WORDS(...)                                                                                 \
	{                                                                                          \
		"pbxpushctl", __VA_ARGS__                                                          \
	}

static int count_words(const char *const *words)
{
	int count = 0;

	while (count < WORDS_MAX && words[count])
		count++;
	return count;
}

static enum err parse(const char *const *words, struct arguments *out, char *why, size_t why_size)
{
	char *argv[WORDS_MAX] = {0};

	memcpy(argv, words, sizeof(argv));
	return arguments_parse(count_words(words), argv, out, why, why_size);
}

static const struct {
	const char *words[WORDS_MAX];
	const char *line; /* of the event, without its LF */
} events[] = {
	{WORDS("ping"), "{\"event\":\"ping\"}"},
	{WORDS("call", "--to", "1001", "--call", "a@b"),
		"{\"event\":\"call\",\"call\":\"a@b\",\"to\":\"1001\"}"},
	{WORDS("call", "--call=a=b", "--to=1001", "--from-number", "", "--video"),
		"{\"event\":\"call\",\"call\":\"a=b\",\"to\":\"1001\",\"from\":{\"number\":\"\"},"
		"\"video\":true}"},
	{WORDS("call", "--call", "c", "--to", "1", "--from-uri", "sip:a@b", "--from-name", "Ann"),
		"{\"event\":\"call\",\"call\":\"c\",\"to\":\"1\",\"from\":{\"name\":\"Ann\","
		"\"uri\":\"sip:a@b\"}}"},
	/* a caller who is named like an option stays a caller */
	{WORDS("call", "--call", "c", "--to", "1", "--from-name", "--json"),
		"{\"event\":\"call\",\"call\":\"c\",\"to\":\"1\",\"from\":{\"name\":\"--json\"}}"},
	{WORDS("call", "--call", "c", "--to", "1", "--from-name", "a\"b\\c\nd\x01"),
		"{\"event\":\"call\",\"call\":\"c\",\"to\":\"1\",\"from\":{\"name\":"
		"\"a\\\"b\\\\c\\nd\\u0001\"}}"},
	{WORDS("call", "--call", "c", "--to", "1", "--from-name", "M\xfcller"),
		"{\"event\":\"call\",\"call\":\"c\",\"to\":\"1\",\"from\":{\"name\":"
		"\"M\xef\xbf\xbdller\"}}"},
	{WORDS("call", "--call", "c", "--to", "1", "--wait", "register", "--wait-ms", "015000"),
		"{\"event\":\"call\",\"call\":\"c\",\"to\":\"1\",\"wait\":\"register\","
		"\"wait_ms\":15000}"},
	{WORDS("call", "--call", "c", "--to", "1", "--contacts", "sip:a", "--contacts", "sip:b"),
		"{\"event\":\"call\",\"call\":\"c\",\"to\":\"1\",\"contacts\":[\"sip:a\",\"sip:b\"]"
		"}"},
	{WORDS("call", "--call", "c", "--to", "1", "--data", "{ \"k\":\n[1, null] }"),
		"{\"event\":\"call\",\"call\":\"c\",\"to\":\"1\",\"data\":{\"k\":[1,null]}}"},
	{WORDS("register", "1001", "--pn-provider", "apns", "--pn-param", "T.b.voip", "--pn-prid",
		 "AB", "--sip", "false"),
		"{\"event\":\"register\",\"user\":\"1001\",\"pn\":{\"provider\":\"apns\","
		"\"param\":\"T.b.voip\",\"prid\":\"AB\"},\"sip\":false}"},
	{WORDS("register", "--user", "1", "--alert-token", "ab", "--expires-s", "-1"),
		"{\"event\":\"register\",\"user\":\"1\",\"expires_s\":-1,\"alert_token\":\"ab\"}"},
	{WORDS("dnd", "1001", "--on", "false"),
		"{\"event\":\"dnd\",\"user\":\"1001\",\"on\":false}"},
	{WORDS("dnd", "--on", "1001"), "{\"event\":\"dnd\",\"user\":\"1001\",\"on\":true}"},
	{WORDS("dnd", "--on=false", "--user", "1001"),
		"{\"event\":\"dnd\",\"user\":\"1001\",\"on\":false}"},
	{WORDS("block", "--user", "*", "--number", "+4990*"),
		"{\"event\":\"block\",\"user\":\"*\",\"number\":\"+4990*\"}"},
	{WORDS("end", "a", "--reason", "declined"),
		"{\"event\":\"end\",\"call\":\"a\",\"reason\":\"declined\"}"},
	{WORDS("call-state", "a"), "{\"event\":\"call-state\",\"call\":\"a\"}"},
	{WORDS("show", "--", "--help"), "{\"event\":\"show\",\"user\":\"--help\"}"},
	{WORDS("--json", "--events", "/e", "show", "1001", "--timeout", "2"),
		"{\"event\":\"show\",\"user\":\"1001\"}"},
};

static void test_events(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct arguments arguments;
		struct buf line = {0};
		char why[ARGUMENTS_WHY_SIZE] = "";

		if (parse(events[i].words, &arguments, why, sizeof(why)))
			fail_msg("%s: %s", events[i].line, why);
		assert_true(arguments.is_event);
		assert_int_equal(event_command_write(&arguments.event, &line), ERR_OK);
		assert_true(line.len && line.data[line.len - 1] == '\n');
		line.data[line.len - 1] = '\0';
		assert_string_equal(line.data, events[i].line);
		buf_free(&line);
	}
}

static const struct {
	const char *words[WORDS_MAX];
	const char *why; /* a part of the message */
} mistakes[] = {
	{WORDS(NULL), "a command is missing"},
	{WORDS("--json"), "a command is missing"},
	{WORDS("cal"), "unknown command \"cal\"; did you mean call?"},
	{WORDS("stauts"), "did you mean status?"},
	{WORDS("frobnicate"), "unknown command \"frobnicate\" (pbxpushctl help lists them)"},
	{WORDS(""), "unknown command \"\""},
	{WORDS("voicemail"), "voicemail: --to is missing"},
	{WORDS("dnd-schedule", "--user", "1", "--window", "mon 22:00"),
		"--window \"mon 22:00\": not days and times"},
	{WORDS("export", "1001"), "export: unexpected argument \"1001\""},
	{WORDS("export", "--cursor", "x"), "export: unknown option \"--cursor\""},
	{WORDS("import", "a", "b"), "import: unexpected argument \"b\""},
	{WORDS("import", "--line-by-lin"), "did you mean --line-by-line?"},
	{WORDS("import", "--line-by-line=yes"), "--line-by-line takes no value"},
	{WORDS("export", "--line-by-line"), "export: unknown option \"--line-by-line\""},
	{WORDS("--line-by-line", "import"), "in front of the command"},
	{WORDS("call", "--to", "1"), "call: --call is missing"},
	{WORDS("call", "--call", "c"), "call: --to is missing"},
	{WORDS("dnd", "1001"), "dnd: --on is missing"},
	{WORDS("explain"), "explain: CALL is missing"},
	{WORDS("call", "--form-number", "1"),
		"call: unknown option \"--form-number\"; did you mean --from-number?"},
	{WORDS("call", "--from", "{}"), "unknown option \"--from\""},
	{WORDS("ping", "--user", "1"), "ping: unknown option \"--user\""},
	{WORDS("--to", "1", "call"), "unknown option \"--to\" in front of the command"},
	{WORDS("-x"), "unknown option \"-x\""},
	{WORDS("status", "--jsno"), "did you mean --json?"},
	{WORDS("call", "--to"), "--to needs a value"},
	{WORDS("status", "--json=yes"), "--json takes no value"},
	{WORDS("call", "--to", "1", "--to", "2"), "--to: given twice (\"1\" and \"2\")"},
	{WORDS("show", "1001", "1002"), "--user: given twice"},
	{WORDS("call", "1001"), "call: unexpected argument \"1001\""},
	{WORDS("forget", "1001"), "forget: unexpected argument \"1001\""},
	{WORDS("block", "1001"), "block: unexpected argument \"1001\""},
	{WORDS("status", "now"), "status: unexpected argument \"now\""},
	{WORDS("explain", "a", "b"), "explain: unexpected argument \"b\""},
	{WORDS("call", "--video=maybe"), "--video \"maybe\": not true or false"},
	{WORDS("call", "--ring-ms", "30s"), "--ring-ms \"30s\": not a whole number"},
	{WORDS("call", "--ring-ms", ""), "not a whole number"},
	{WORDS("call", "--ring-ms", " 3000"), "not a whole number"},
	{WORDS("call", "--ring-ms", "99999999999999999999"), "not a whole number"},
	{WORDS("call", "--data", "[1]"), "--data \"[1]\": not a JSON object"},
	{WORDS("call", "--data", "{"), "not a JSON object"},
	{WORDS("ping", "--timeout", "soon"), "--timeout \"soon\": not a number of seconds"},
	{WORDS("ping", "--timeout", "0"), "not a number of seconds"},
	{WORDS("ping", "--timeout", "nan"), "not a number of seconds"},
	{WORDS("ping", "--timeout", "1e9"), "not a number of seconds"},
};

static void test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct arguments arguments;
		char why[ARGUMENTS_WHY_SIZE] = "";

		if (parse(mistakes[i].words, &arguments, why, sizeof(why)) != ERR_INVAL)
			fail_msg("accepted: %s", mistakes[i].why);
		if (!strstr(why, mistakes[i].why))
			fail_msg("\"%s\" is not in \"%s\"", mistakes[i].why, why);
	}
}

static void test_too_many_contacts(void **state)
{
	const struct arguments fresh = {.event.type = EVENT_CALL};
	struct event_command command = fresh.event;
	char why[ARGUMENTS_WHY_SIZE] = "";

	(void)state;
	for (int i = 0; i < EVENT_COMMAND_LIST_MAX; i++)
		assert_int_equal(
			event_command_set(&command, FIELD_CONTACTS, "sip:a", why, sizeof(why)),
			ERR_OK);
	assert_int_equal(
		event_command_set(&command, FIELD_CONTACTS, "sip:a", why, sizeof(why)), ERR_INVAL);
	assert_string_equal(why, "--contacts: more than 32 times");
}

static void test_globals(void **state)
{
	static const char *const words[WORDS_MAX] = WORDS(
		"--status", "/s", "explain", "--json", "a@b", "--timeout=0.25", "--events", "/e");
	static const char *const plain[WORDS_MAX] = WORDS("health");
	static const char *const help[WORDS_MAX] = WORDS("call", "-h");
	static const char *const version[WORDS_MAX] = WORDS("--version");
	struct arguments arguments;
	char why[ARGUMENTS_WHY_SIZE];

	(void)state;
	assert_int_equal(parse(words, &arguments, why, sizeof(why)), ERR_OK);
	assert_string_equal(arguments.status_path, "/s");
	assert_string_equal(arguments.events_path, "/e");
	assert_string_equal(arguments.command->name, "explain");
	assert_string_equal(arguments.argument, "a@b");
	assert_true(arguments.json);
	assert_int_equal(arguments.timeout_ms, 250);

	assert_int_equal(parse(plain, &arguments, why, sizeof(why)), ERR_OK);
	assert_string_equal(arguments.status_path, "/run/pbxpush/status.sock");
	assert_string_equal(arguments.events_path, "/run/pbxpush/events.sock");
	assert_int_equal(arguments.timeout_ms, 0);
	assert_false(arguments.json);

	assert_int_equal(parse(help, &arguments, why, sizeof(why)), ERR_OK);
	assert_true(arguments.help && arguments.event.type == EVENT_CALL);
	assert_int_equal(parse(version, &arguments, why, sizeof(why)), ERR_OK);
	assert_true(arguments.version);
}

static const struct {
	const char *words[WORDS_MAX];
	const char *name, *argument;
	bool flag;
} bulk[] = {
	{WORDS("export"), "export", NULL, false},
	{WORDS("import"), "import", NULL, false},
	{WORDS("import", "-"), "import", "-", false},
	{WORDS("import", "users.json", "--line-by-line"), "import", "users.json", true},
	{WORDS("--json", "import", "--line-by-line", "--", "--file"), "import", "--file", true},
};

static void test_bulk(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bulk) / sizeof(bulk[0]); i++) {
		struct arguments arguments;
		char why[ARGUMENTS_WHY_SIZE];

		assert_int_equal(parse(bulk[i].words, &arguments, why, sizeof(why)), ERR_OK);
		assert_false(arguments.is_event);
		assert_string_equal(arguments.command->name, bulk[i].name);
		assert_int_equal(arguments.flag, bulk[i].flag);
		if (bulk[i].argument)
			assert_string_equal(arguments.argument, bulk[i].argument);
		else
			assert_null(arguments.argument);
	}
}

static const struct {
	const char *words[WORDS_MAX];
	int64_t timeout_ms;
} timeouts[] = {
	{WORDS("ping"), 10000},
	{WORDS("call", "--call", "c", "--to", "1", "--wait", "verdict", "--ring-ms", "60000"),
		10000},
	{WORDS("call", "--call", "c", "--to", "1"), 35000},
	{WORDS("call", "--call", "c", "--to", "1", "--ring-ms", "60000"), 65000},
	{WORDS("call", "--call", "c", "--to", "1", "--ring-ms", "60000", "--wait-ms", "2000"),
		7000},
	{WORDS("call", "--call", "c", "--to", "1", "--wait-ms", "-5"), 35000},
	{WORDS("call", "--call", "c", "--to", "1", "--wait-ms", "9223372036854775807"), 35000},
};

static void test_timeouts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		struct arguments arguments;
		char why[ARGUMENTS_WHY_SIZE];

		assert_int_equal(parse(timeouts[i].words, &arguments, why, sizeof(why)), ERR_OK);
		assert_int_equal(
			event_command_timeout_ms(&arguments.event), timeouts[i].timeout_ms);
	}
}

/* Every field of every event can be given on the command line, and no two of an event share an
 * option. */
static void test_every_field_has_an_option(void **state)
{
	char option[EVENT_OPTION_SIZE];

	(void)state;
	for (enum event_type type = 0; type < EVENT_COUNT; type++) {
		const struct event_spec *spec = event_spec(type);

		/* one command is more than the event of its name: all pages of it */
		assert_true(!command_find(spec->name) == (type != EVENT_EXPORT));
		for (enum event_field f = 0; f < FIELD_COUNT; f++) {
			if (!((spec->required | spec->optional) >> f & 1) || f == FIELD_FROM ||
				f == FIELD_PN)
				continue;
			event_option_name(f, option);
			assert_null(strpbrk(option, "_."));
			assert_int_equal(event_option_field(type, option), f);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_too_many_contacts),
		cmocka_unit_test(test_globals),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_every_field_has_an_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
