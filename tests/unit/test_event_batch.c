/* SPDX-License-Identifier: MIT */
/* One body, its events, and their replies in the same form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/pbx/event_batch.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EMPTY        "the body is empty"
#define BROKEN       "the body begins like an array and is none"
#define LIMIT        "LIMIT"
#define MAX          4

/* kind: S, A or L; what follows are the events, each in front of a bar. Or why there are none. */
static const struct {
	const char *body, *events;
} bodies[] = {
	{"", EMPTY},
	{" \t\r\n", EMPTY},
	{"{}", "S{}|"},
	{" {} \r\n", "S{}|"},
	{"{\n \"a\":\n {}\n}\n", "S{\n \"a\":\n {}\n}|"},
	{"{\"a\":\"}\\\"{\\\\\"\n}", "S{\"a\":\"}\\\"{\\\\\"\n}|"},
	{"nonsense", "Snonsense|"},
	{"\"[\"", "S\"[\"|"},
	{"{", "S{|"},
	{"}", "S}|"},
	{"{} {}", "S{} {}|"},
	{"{}\n{}", "L{}|{}|"},
	{"{}\r\n\r\n \t{} \n", "L{}|{}|"},
	{"{\nnonsense\n{}", "L{|nonsense|{}|"},
	{"{\"a\":\n1", "L{\"a\":|1|"},
	{"x\n[1]\n", "Lx|[1]|"},
	{"{}\n\"\n{}", "L{}|\"|{}|"},
	{"{}\n{}\n{}\n{}\n", "L{}|{}|{}|{}|"},
	{"{}\n{}\n{}\n{}\n{}", LIMIT},
	{"[]", "A"},
	{" [ \n] \n", "A"},
	{"[{}]", "A{}|"},
	{"[ {} , {\"a\":[1,{}]} ]", "A{}|{\"a\":[1,{}]}|"},
	{"[1,null,\"a,]\",[2,3]]", "A1|null|\"a,]\"|[2,3]|"},
	{"[\n{\n},\n{\n}\n]", "A{\n}|{\n}|"},
	{"[\"\\\"]\"]", "A\"\\\"]\"|"},
	{"[{]]", "A{]|"}, /* whose bracket is whose, its parser says */
	{"[1,2,3,4]", "A1|2|3|4|"},
	{"[1,2,3,4,5]", LIMIT},
	{"[", BROKEN},
	{"[ ", BROKEN},
	{"[{}", BROKEN},
	{"[{},", BROKEN},
	{"[{},]", BROKEN},
	{"[,]", BROKEN},
	{"[,{}]", BROKEN},
	{"[{}{}]", BROKEN},
	{"[{} {}]", BROKEN},
	{"[{}]]", BROKEN},
	{"[]]", BROKEN},
	{"[{}] x", BROKEN},
	{"[{}]\n[{}]", BROKEN},
	{"[\"", BROKEN},
	{"[\"\\", BROKEN},
	{"[{\"a\"]", BROKEN},
	{"[{\"a]\n}", BROKEN},
	{"[]\n{}", BROKEN},
};

static void show(const struct event_batch *batch, struct buf *out)
{
	buf_add_char(out, "SAL"[batch->kind]);
	for (size_t i = 0; i < batch->count; i++) {
		buf_add(out, batch->events[i].text, batch->events[i].len);
		buf_add_char(out, '|');
	}
}

static void test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		size_t len = strlen(bodies[i].body);
		char *body = malloc(len + 1); /* no byte behind it: a reader too far is caught */
		struct event_batch batch = {0};
		struct buf found = {0};
		const char *why = "";
		enum err err;

		memcpy(body, bodies[i].body, len);
		body = realloc(body, len ? len : 1);
		err = event_batch_split(body, len, MAX, &batch, &why);
		if (err == ERR_LIMIT)
			buf_add_str(&found, LIMIT);
		else if (err)
			buf_add_str(&found, why);
		else
			show(&batch, &found);
		if (strcmp(buf_str(&found), bodies[i].events) != 0)
			fail_msg("%s: %s", bodies[i].body, buf_str(&found));
		event_batch_free(&batch);
		buf_free(&found);
		free(body);
	}
}

static void test_replies(void **state)
{
	static const struct {
		enum batch_kind kind;
		size_t count;
		const char *text;
	} rows[] = {
		{BATCH_SINGLE, 1, "{1}\n"},
		{BATCH_ARRAY, 0, "[]\n"},
		{BATCH_ARRAY, 1, "[{1}]\n"},
		{BATCH_ARRAY, 3, "[{1},{2},{3}]\n"},
		{BATCH_LINES, 2, "{1}\n{2}\n"},
	};
	const struct batch_reply replies[] = {
		{true, (char[]){"{1}"}, 3}, {true, (char[]){"{2}"}, 3}, {true, (char[]){"{3}"}, 3}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf text = {0};

		event_batch_join(rows[i].kind, replies, rows[i].count, &text);
		assert_string_equal(buf_str(&text), rows[i].text);
		buf_free(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
