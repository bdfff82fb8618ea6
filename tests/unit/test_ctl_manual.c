/* SPDX-License-Identifier: MIT */
/* The manual pages against the tables: what can be said and configured is documented, no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/core/options.h>
#include <pbxpush/ctl/commands.h>
#include <pbxpush/ctl/event_command.h>

/* Tests run in the top folder. */
static char *read_page(const char *path)
{
	FILE *file = fopen(path, "r");
	struct buf page = {0};
	char chunk[4096];
	size_t n;

	if (!file)
		fail_msg("%s cannot be read", path);
	while ((n = fread(chunk, 1, sizeof(chunk), file)))
		buf_add(&page, chunk, n);
	fclose(file);
	return buf_take(&page);
}

/* The lines from the one that begins with `begin` to the next that begins with `end`; freed by the
 * caller, NULL where there is none. */
static char *passage(const char *page, const char *begin, const char *end)
{
	const char *at = page, *stop;

	while (at && strncmp(at, begin, strlen(begin)) != 0) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return NULL;
	stop = strchr(at, '\n');
	while (stop && strncmp(stop + 1, end, strlen(end)) != 0)
		stop = strchr(stop + 1, '\n');
	return stop ? strndup(at, (size_t)(stop + 1 - at)) : strdup(at);
}

/* True when text has word with nothing of a word's characters around it. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++) {
		if (strchr(" \n", at[-1]) && strchr(" \n", at[len]))
			return true;
	}
	return false;
}

/* The item of a list whose heading has the word. */
static char *item_with(const char *section, const char *word)
{
	for (const char *at = section; (at = strstr(at, "\n.It ")); at++) {
		char *item = passage(at + 1, ".It ", "."), *whole;
		bool found = item && has_word(item, word);

		free(item);
		if (!found)
			continue;
		whole = passage(at + 1, ".It ", ".It ");
		return whole;
	}
	return NULL;
}

static void check_event(const char *events, const char *options, enum event_type type)
{
	const struct event_spec *spec = event_spec(type);
	char *item = item_with(events, spec->name);
	char option[EVENT_OPTION_SIZE], word[EVENT_OPTION_SIZE + 1];

	if (!item)
		fail_msg("pbxpushctl.8 lacks %s", spec->name);
	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		char *help;

		event_option_name(f, option);
		snprintf(word, sizeof(word), "-%s", option);
		if (has_word(item, word) && !event_takes_option(type, f) &&
			event_option_field(type, option) == FIELD_COUNT)
			fail_msg("%s has no option -%s", spec->name, word);
		if (!event_takes_option(type, f))
			continue;
		if (!has_word(item, word))
			fail_msg("pbxpushctl.8: %s does not name -%s", spec->name, word);
		help = item_with(options, word);
		if (!help)
			fail_msg("pbxpushctl.8 does not explain -%s", word);
		free(help);
	}
	free(item);
}

static void check_command(const char *questions, const struct command *command)
{
	char *item = item_with(questions, command->name);
	char word[32];

	if (!item)
		fail_msg("pbxpushctl.8 lacks %s", command->name);
	snprintf(word, sizeof(word), "-%s", command->flag ? command->flag : command->name);
	if (!has_word(item, word) != !command->flag)
		fail_msg("pbxpushctl.8: %s and -%s", command->name, word);
	free(item);
}

static void test_pbxpushctl(void **state)
{
	char *page = read_page("src/man/pbxpushctl.8");
	char *events = passage(page, ".Sh EVENTS", ".Ss Options of events");
	char *options = passage(page, ".Ss Options of events", ".Sh");
	char *questions = passage(page, ".Sh QUESTIONS", ".Sh");
	const struct command *command;

	(void)state;
	assert_non_null(events);
	assert_non_null(options);
	assert_non_null(questions);
	for (enum event_type type = 0; type < EVENT_COUNT; type++) {
		if (!command_find(event_spec(type)->name)) /* else it is in the other section */
			check_event(events, options, type);
	}
	for (size_t i = 0; (command = command_at(i)); i++)
		check_command(questions, command);
	free(questions);
	free(options);
	free(events);
	free(page);
}

/* `.It Ic key = value`, and the words for what is not built or has no default. */
static void check_option(const char *section, const struct option_spec *spec)
{
	char heading[256], *item;

	snprintf(heading, sizeof(heading), ".It Ic %s%s%s%s\n", spec->key,
		spec->required ? "" : " =", spec->preset[0] ? " " : "", spec->preset);
	item = passage(section, heading, ".It ");
	if (!item)
		fail_msg("pbxpush.conf.5, [%s]: no \"%s\"", spec->section, heading);
	if (spec->planned != !!strstr(item, "Not yet built."))
		fail_msg("pbxpush.conf.5, [%s] %s: is it built?", spec->section, spec->key);
	if (spec->required != !!strstr(item, "Required."))
		fail_msg("pbxpush.conf.5, [%s] %s: is it required?", spec->section, spec->key);
	free(item);
}

static size_t count(const char *text, const char *what)
{
	size_t found = 0;

	for (; (text = strstr(text, what)); text++)
		found++;
	return found;
}

static void test_pbxpush_conf(void **state)
{
	char *page = read_page("src/man/pbxpush.conf.5");
	const struct option_spec *spec;
	size_t options = 0;

	(void)state;
	for (; (spec = option_at(options)); options++) {
		char heading[64], *section;

		snprintf(heading, sizeof(heading), ".Ss [%s%s", spec->section,
			strcmp(spec->section, "app") ? "]" : " ");
		section = passage(page, heading, ".Ss");
		if (!section)
			fail_msg("pbxpush.conf.5 lacks [%s]", spec->section);
		check_option(section, spec);
		free(section);
	}
	assert_int_equal(count(page, "\n.It Ic "), options);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pbxpushctl),
		cmocka_unit_test(test_pbxpush_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
