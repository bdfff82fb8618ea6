/* SPDX-License-Identifier: MIT */
#ifndef CTL_HELP_H
#define CTL_HELP_H

#include <pbxpush/ctl/commands.h>

/* `help [COMMAND]`, from the tables. */
command_fn help_run;

/* The help of one command, for `COMMAND --help`; of all where arguments has none. */
command_fn help_command;

#endif
