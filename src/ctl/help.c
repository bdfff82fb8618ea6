/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <pbxpush/ctl/arguments.h>

#include "help.h"

static const char globals_text[] =
	"Options, anywhere on the line:\n"
	"  --events PATH      event socket (/run/pbxpush/events.sock)\n"
	"  --status PATH      status socket (/run/pbxpush/status.sock)\n"
	"  --json             print the answer as it came\n"
	"  --timeout SECONDS  give up after that long, with exit status 75\n"
	"  --help, --version\n";

static const char exits_text[] =
	"Exit status: 0 go on, 1 reject, 3 unreachable or ended, 2 usage, 65 refused by the\n"
	"daemon, 75 no daemon: a dialplan goes on without push.\n";

static void help_all(struct buf *out)
{
	const struct command *command;

	buf_add_str(out, "usage: pbxpushctl COMMAND [--option value]...\n\n"
			 "Events, for dialplans and operators:\n");
	for (enum event_type type = 0; type < EVENT_COUNT; type++) {
		if (!command_find(event_spec(type)->name))
			buf_printf(out, "  %-18s %s\n", event_spec(type)->name,
				event_spec(type)->help);
	}
	buf_add_str(out, "\nQuestions, for operators:\n");
	for (size_t i = 0; (command = command_at(i)); i++)
		buf_printf(out, "  %-18s %s\n", command->name, command->help);
	buf_printf(out, "\n%s\n%s\n`pbxpushctl help COMMAND` lists the options of one.\n",
		globals_text, exits_text);
}

static void add_value_name(struct buf *out, const struct field_spec *spec)
{
	bool any = false;

	switch (spec->type) {
	case TYPE_STRING:
	case TYPE_STRINGS:
		buf_add_str(out, " TEXT");
		break;
	case TYPE_USER:
		buf_add_str(out, " USER");
		break;
	case TYPE_TOKEN:
		buf_add_str(out, " HEX");
		break;
	case TYPE_UUID:
		buf_add_str(out, " UUID");
		break;
	case TYPE_BOOL:
		buf_add_str(out, " [true|false]");
		break;
	case TYPE_INT:
		buf_add_str(out, " N");
		break;
	case TYPE_CHOICE:
		buf_add_str(out, " ");
		for (size_t i = 0; spec->choices[i]; i++) {
			/* the empty ones stand for enum values that nobody may give */
			if (spec->choices[i][0])
				buf_printf(out, "%s%s", any ? "|" : "", spec->choices[i]);
			any = any || spec->choices[i][0];
		}
		break;
	case TYPE_OBJECT:
		buf_add_str(out, " JSON");
		break;
	case TYPE_WINDOWS:
		buf_add_str(out, " \"DAYS FROM-TO\"");
		break;
	}
}

static void add_option(struct buf *out, enum event_field field, bool required)
{
	const struct field_spec *spec = event_field_spec(field);
	char name[EVENT_OPTION_SIZE];
	struct buf left = {0};

	event_option_name(field, name);
	buf_printf(&left, "--%s", name);
	add_value_name(&left, spec);
	buf_printf(out, "  %-32s %s%s%s", buf_str(&left), spec->help, required ? " (required)" : "",
		spec->type == TYPE_STRINGS || spec->type == TYPE_WINDOWS ? " (may be repeated)"
									 : "");
	if (spec->type == TYPE_INT && spec->max < INT32_MAX)
		buf_printf(out, " (%" PRId64 " to %" PRId64 ")", spec->min, spec->max);
	buf_add_char(out, '\n');
	buf_free(&left);
}

static void help_event(enum event_type type, struct buf *out)
{
	const struct event_spec *spec = event_spec(type);
	enum event_field argument = event_argument_field(type);
	const char *lone = "";
	bool any = false;

	if (argument != FIELD_COUNT)
		lone = argument == FIELD_USER ? " [USER]" : " [CALL]";
	buf_printf(out, "usage: pbxpushctl %s%s [--option value]...\n", spec->name, lone);
	buf_printf(out, "\n%s%s\n\n", spec->help,
		spec->admin ? " (for `[events] admin-users`, where set)" : "");
	for (enum event_field f = 0; f < FIELD_COUNT; f++) {
		if (!event_takes_option(type, f))
			continue;
		any = true;
		add_option(out, f, event_requires_option(type, f));
	}
	buf_printf(out, "%s%s", any ? "\n" : "", globals_text);
}

static void help_other(const struct command *command, struct buf *out)
{
	buf_printf(out, "usage: pbxpushctl %s%s%s", command->name, command->argument ? " " : "",
		command->argument ? command->argument : "");
	if (command->flag)
		buf_printf(out, " [--%s]", command->flag);
	buf_printf(out, "\n\n%s\n", command->help);
	if (command->details)
		buf_printf(out, "%s", command->details);
	buf_printf(out, "\n%s", globals_text);
}

enum exit_code help_command(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	(void)why;
	(void)why_size;
	if (arguments->is_event)
		help_event(arguments->event.type, out);
	else if (arguments->command)
		help_other(arguments->command, out);
	else
		help_all(out);
	return EXIT_GO_ON;
}

enum exit_code help_run(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	char *words[] = {"pbxpushctl", (char *)arguments->argument, "--help"};
	struct arguments other;

	if (!arguments->argument) {
		help_all(out);
		return EXIT_GO_ON;
	}
	/* as if it had been `COMMAND --help`: an unknown one is refused in the same words */
	if (arguments_parse(3, words, &other, why, why_size))
		return EXIT_USAGE;
	return help_command(&other, out, why, why_size);
}
