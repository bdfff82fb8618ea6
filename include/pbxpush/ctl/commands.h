/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CTL_COMMANDS_H
#define PBXPUSH_CTL_COMMANDS_H

#include <stddef.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/ctl/exit_code.h>

struct arguments;

/*
 * Runs a command. What goes to stdout is appended to out (`send` and `top`, which last, write for
 * themselves); on failure why gets one line for stderr.
 */
typedef enum exit_code command_fn(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size);

/* A subcommand that is no event, or does more than the event of its name (`export`). */
struct command {
	const char *name;
	const char *argument; /* what it takes, NULL: nothing; in brackets: may be left out */
	const char *help;     /* one line */
	const char *details;  /* more lines for `help NAME`, or NULL */
	command_fn *run;
	const char *flag; /* a switch of its own, without its dashes, or NULL */
};

/* The table; NULL behind the last. */
const struct command *command_at(size_t index);

/* NULL where there is none of this name. */
const struct command *command_find(const char *name);

/* Runs what the command line asks for, help and version included. */
command_fn command_run;

#endif
