/* SPDX-License-Identifier: MIT */
#ifndef CTL_TOP_H
#define CTL_TOP_H

#include <pbxpush/ctl/commands.h>

/* `top`: the status each second until q or Ctrl-C; once where stdout is no terminal. */
command_fn top_run;

#endif
