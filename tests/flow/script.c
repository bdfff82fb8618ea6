/* SPDX-License-Identifier: MIT */
#include "script.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/status/metrics.h>
#include <pbxpush/status/timeline.h>

#include "fake_clock.h"
#include "json_path.h"
#include "script_internal.h"

#define SCENARIOS_MAX 128

void step_fail(const struct step *step, const char *fmt, ...)
{
	char why[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	print_error("step %d: %s\n%s\n", step->number, step->text, why);
	fail();
	abort(); /* fail() does not return, but does not say so either */
}

const char *step_word(const struct step *step, size_t index)
{
	if (index >= step->count)
		step_fail(step, "word %zu is missing", index + 1);
	return step->words[index];
}

bool step_pair(char *word, const char **key, const char **value)
{
	char *equals = strchr(word, '=');

	*key = word;
	if (!equals)
		return false;
	*equals = '\0';
	*value = equals + 1;
	return true;
}

const char *step_token(const char *text)
{
	static char token[65];

	if (strlen(text) != 1)
		return text;
	memset(token, text[0], 64);
	return token;
}

/* Appends what the name at text stands for; returns what follows it. */
static const char *expand_name(const char *text, struct buf *out)
{
	int64_t ms = fake_clock_wall_ms();
	char token[2] = {text[0], '\0'};
	char *end;
	long count;

	if (!strncmp(text, "now", 3)) {
		text += 3;
		if (*text == '+' || *text == '-') {
			buf_add_int(out, ms + strtoll(text, &end, 10));
			return end;
		}
		buf_add_int(out, ms);
		return text;
	}
	count = strtol(text, &end, 10);
	if (count) {
		while (count--)
			buf_add_char(out, *end);
		return end + 1;
	}
	assert_true(isxdigit((unsigned char)token[0]));
	buf_add_str(out, step_token(token));
	return text + 1;
}

static void expand(const char *line, struct buf *out)
{
	const char *dollar;

	while ((dollar = strchr(line, '$'))) {
		buf_add(out, line, (size_t)(dollar - line));
		line = expand_name(dollar + 1, out);
	}
	buf_add_str(out, line);
}

/* Words are separated by blanks, except between single quotes, which go. */
static void cut_words(struct step *step, char *line)
{
	char *in = line, *out = line;

	while (*(in += strspn(in, " "))) {
		bool quoted = false;

		if (step->count == WORDS_MAX)
			step_fail(step, "too many words");
		step->words[step->count++] = out;
		for (; *in && (quoted || *in != ' '); in++) {
			if (*in == '\'')
				quoted = !quoted;
			else
				*out++ = *in;
		}
		if (*in)
			in++;
		*out++ = '\0';
	}
}

static int64_t duration_us(const struct step *step, const char *text)
{
	char *unit;
	int64_t value = strtoll(text, &unit, 10);

	if (!strcmp(unit, "ms"))
		return value * 1000;
	if (!strcmp(unit, "s"))
		return value * 1000000;
	if (!strcmp(unit, "m"))
		return value * 60000000;
	if (!strcmp(unit, "h"))
		return value * 3600000000;
	step_fail(step, "how long is %s?", text);
}

static void step_set(struct step *step)
{
	char *section = step->words[1], *dot = strchr(step_word(step, 1), '.');

	assert_non_null(dot);
	*dot = '\0';
	world_set(step->world, section, dot + 1, step_word(step, 2));
}

static void step_team(struct step *step)
{
	struct config_app *app = world_app(step->world, step_word(step, 1));

	free(app->team_id);
	app->team_id = strdup(step_word(step, 2));
}

/* An app that is gone after a reload. */
static void step_drop(struct step *step)
{
	struct config_app *app = world_app(step->world, step_word(step, 1));

	strcpy(app->bundle_id, "-");
}

static void step_stats(struct step *step)
{
	struct flow_stats stats;
	char text[160];

	flow_stats(step->world->flow, &stats);
	snprintf(text, sizeof(text), " ringing=%zu answered=%zu ended=%zu waiting=%zu pushes=%d ",
		stats.ringing, stats.answered, stats.ended, stats.waiting, (int)stats.pushes);
	for (size_t i = 1; i < step->count; i++) {
		char word[64];

		snprintf(word, sizeof(word), " %s ", step->words[i]);
		if (!strstr(text, word))
			step_fail(step, "%s is not in%s", step->words[i], text);
	}
}

static void step_counted(struct step *step)
{
	struct buf out = {0};
	char line[256];

	metrics_write(step->world->metrics, &out);
	snprintf(line, sizeof(line), "\n%s %s\n", step_word(step, 1), step_word(step, 2));
	if (!strstr(buf_str(&out), line))
		step_fail(step, "it is not in:\n%s", buf_str(&out));
	buf_free(&out);
}

static void step_told(struct step *step)
{
	struct buf out = {0};
	const char *rest;

	if (!timeline_write(step->world->timeline, step_word(step, 1), fake_clock_wall_ms(), &out))
		step_fail(step, "there is no timeline");
	rest = buf_str(&out);
	for (size_t i = 2; i < step->count; i++) {
		char what[128];

		snprintf(what, sizeof(what), "\"what\":\"%s\"", step->words[i]);
		rest = strstr(rest, what);
		if (!rest)
			step_fail(step, "%s is missing, or too early, in %s", step->words[i],
				buf_str(&out));
	}
	buf_free(&out);
}

/* The other way round: none of these words stands anywhere in it. */
static void step_untold(struct step *step)
{
	struct buf out = {0};

	timeline_write(step->world->timeline, step_word(step, 1), fake_clock_wall_ms(), &out);
	for (size_t i = 2; i < step->count; i++) {
		if (strstr(buf_str(&out), step->words[i]))
			step_fail(step, "%s stands in %s", step->words[i], buf_str(&out));
	}
	buf_free(&out);
}

static void step_listed(struct step *step)
{
	size_t max = strtoul(step_word(step, 1), NULL, 10);
	const char *path, *value;
	struct buf out = {0};
	json_t *calls;

	flow_write_calls(step->world->flow, max, &out);
	calls = json_loadb(out.data, out.len, 0, NULL);
	assert_non_null(calls);
	for (size_t i = 2; i < step->count; i++) {
		if (!step_pair(step->words[i], &path, &value))
			step_fail(step, "%s is no path=value", step->words[i]);
		else if (!json_path_matches(calls, path, value))
			step_fail(step, "%s is not %s in %s", path, value, buf_str(&out));
	}
	json_decref(calls);
	buf_free(&out);
}

/* The verbs that are not about a push. False: none of them. */
static bool step_about_world(struct step *step, const char *rest)
{
	const char *verb = step->words[0];

	if (!strcmp(verb, ">"))
		step_send(step, 1, ROLE_ADMIN, rest + 1);
	else if (!strcmp(verb, "2>"))
		step_send(step, 2, ROLE_ADMIN, rest + 2);
	else if (!strcmp(verb, "calls>"))
		step_send(step, 1, ROLE_CALLS, rest + 6);
	else if (!strcmp(verb, "<"))
		step_reply(step, 1);
	else if (!strcmp(verb, "2<"))
		step_reply(step, 2);
	else if (!strcmp(verb, "quiet"))
		step_quiet(step);
	else if (!strcmp(verb, "wait"))
		fake_clock_pass(step->world->flow, duration_us(step, step_word(step, 1)));
	else if (!strcmp(verb, "tick"))
		flow_tick(step->world->flow);
	else if (!strcmp(verb, "phone"))
		step_phone(step);
	else if (!strcmp(verb, "set"))
		step_set(step);
	else if (!strcmp(verb, "team"))
		step_team(step);
	else if (!strcmp(verb, "drop"))
		step_drop(step);
	else if (!strcmp(verb, "full") || !strcmp(verb, "room"))
		fake_transport_set_full(step->world->transport, verb[0] == 'f');
	else if (!strcmp(verb, "disk"))
		world_set_disk_full(step->world, !strcmp(step_word(step, 1), "full"));
	else if (!strcmp(verb, "stats"))
		step_stats(step);
	else if (!strcmp(verb, "counted"))
		step_counted(step);
	else if (!strcmp(verb, "told"))
		step_told(step);
	else if (!strcmp(verb, "untold"))
		step_untold(step);
	else if (!strcmp(verb, "listed"))
		step_listed(step);
	else if (!strcmp(verb, "stop"))
		flow_stop(step->world->flow);
	else if (!strcmp(verb, "hook"))
		step_hook(step);
	else if (!strcmp(verb, "no") && !strcmp(step_word(step, 1), "hook"))
		step_no_hook(step);
	else if (!strcmp(verb, "drain"))
		flow_release_all(step->world->flow);
	else
		return false;
	return true;
}

static void run_step(struct world *world, int number, const char *line)
{
	struct buf text = {0};
	struct step step = {.world = world, .number = number};
	char *copy;

	expand(line, &text);
	copy = strdup(buf_str(&text));
	step.text = buf_str(&text);
	cut_words(&step, copy);
	if (step.count && !step_about_world(&step, step.text) && !step_about_push(&step))
		step_fail(&step, "there is no such verb");
	free(copy);
	buf_free(&text);
}

static const struct scenario *scenario;

static int begin_scenario(void **state)
{
	scenario = *state;
	*state = NULL; /* where the world cannot be made there is none to take down */
	*state = world_new();
	return 0;
}

static void run_scenario(void **state)
{
	struct world *world = *state;
	char line[2048];
	int number = 0;

	for (const char *p = strchr(scenario->text, '\n') + 1; *p;) {
		size_t len = strcspn(p, "\n");

		assert_in_range(len, 0, sizeof(line) - 1);
		memcpy(line, p, len);
		line[len] = '\0';
		run_step(world, ++number, line);
		p += len + (p[len] == '\n');
	}
	run_step(world, ++number, "quiet");
	run_step(world, ++number, "no push");
	run_step(world, ++number, "no hook");
}

static int end_scenario(void **state)
{
	world_free(*state);
	return 0;
}

/* cmocka's reports are read by word: one word a test. */
static char *one_word(const char *text)
{
	char *word = strndup(text, strcspn(text, "\n"));

	assert_non_null(word);
	for (char *p = word; *p; p++) {
		if (!isalnum((unsigned char)*p))
			*p = '_';
	}
	return word;
}

int script_main(const char *group, const struct scenario *scenarios, size_t count)
{
	struct CMUnitTest tests[SCENARIOS_MAX] = {0};
	int failed;

	assert_in_range(count, 1, SCENARIOS_MAX);
	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){.name = one_word(scenarios[i].text),
			.test_func = run_scenario,
			.setup_func = begin_scenario,
			.teardown_func = end_scenario,
			.initial_state = (void *)(uintptr_t)&scenarios[i]};
	failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		free((char *)(uintptr_t)tests[i].name);
	return failed;
}
