/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <pbxpush/ctl/arguments.h>
#include <pbxpush/ctl/commands.h>

#include "event_exchange.h"
#include "export.h"
#include "help.h"
#include "import.h"
#include "relay.h"
#include "status_query.h"
#include "top.h"

static const struct command commands[] = {
	{"send", NULL, "send JSON lines from stdin to the event socket, print the replies",
		"\nOne event a line; the replies come in the order in which they are ready, so "
		"give each\n"
		"event an id. A name that a caller chose is safe here: it never is on a command "
		"line.\n",
		.run = relay_send},
	{"status", NULL, "show what the daemon is doing, and its connections to Apple", NULL,
		.run = status_query_status},
	{"calls", NULL, "list live and recent calls", NULL, .run = status_query_calls},
	{"explain", "CALL", "tell the story of a call: a Call-ID or a uuid", NULL,
		.run = status_query_explain},
	{"health", NULL, "say whether pushes can be sent (exit status 1: no, and why)", NULL,
		.run = status_query_health},
	{"metrics", NULL, "print the figures in Prometheus' format", NULL,
		.run = status_query_metrics},
	{"top", NULL, "show the status each second until q", NULL, .run = top_run},
	{"help", "[COMMAND]", "list the commands, or the options of one", NULL, .run = help_run},
	{"export", NULL, "write the directory to stdout, as JSON lines that restore it",
		"\nUsers' devices with their tokens, do-not-disturb, schedules, call waiting, "
		"mutes "
		"and lists.\n"
		"Keep the output as you keep the directory: it holds full push tokens.\n",
		.run = export_run},
	{"import", "[FILE]", "read what `export` wrote, from FILE or stdin",
		"\nThe whole file is checked first; nothing is sent unless every line is good.\n"
		"  --line-by-line                   skip faulty lines, send the others\n",
		.run = import_run, .flag = "line-by-line"},
};

const struct command *command_at(size_t index)
{
	return index < sizeof(commands) / sizeof(commands[0]) ? &commands[index] : NULL;
}

const struct command *command_find(const char *name)
{
	const struct command *command = NULL;

	for (size_t i = 0; (command = command_at(i)) && strcmp(command->name, name); i++)
		;
	return command;
}

enum exit_code command_run(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	if (arguments->version) {
		buf_add_str(out, "pbxpushctl " PBXPUSH_VERSION "\n");
		return EXIT_GO_ON;
	}
	if (arguments->help)
		return help_command(arguments, out, why, why_size);
	if (arguments->is_event)
		return event_exchange(arguments, out, why, why_size);
	return arguments->command->run(arguments, out, why, why_size);
}
