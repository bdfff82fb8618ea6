/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CTL_ARGUMENTS_H
#define PBXPUSH_CTL_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>
#include <pbxpush/ctl/commands.h>
#include <pbxpush/ctl/event_command.h>

#define ARGUMENTS_WHY_SIZE 256

/* The command line, understood. Strings are borrowed from argv or static. */
struct arguments {
	const char *events_path, *status_path;
	int64_t timeout_ms; /* 0: what suits the command */
	bool json, help, version;
	bool colour;                   /* not an option: main looks at the terminal */
	const struct command *command; /* NULL: an event, or none given */
	bool is_event;
	struct event_command event; /* where is_event */
	const char *argument;       /* of command: CALL of `explain`, COMMAND of `help`; or NULL */
	bool flag;                  /* the switch of command was given */
};

/*
 * Global options stand anywhere. The word after an option that needs a value is its value whatever
 * it looks like, so that a caller named `--json` stays a name. ERR_INVAL: why has a sentence that
 * quotes the input and, where something is near, suggests it.
 */
enum err arguments_parse(
	int argc, char *const *argv, struct arguments *out, char *why, size_t why_size);

#endif
