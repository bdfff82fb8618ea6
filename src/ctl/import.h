/* SPDX-License-Identifier: MIT */
#ifndef CTL_IMPORT_H
#define CTL_IMPORT_H

#include <pbxpush/ctl/commands.h>

/* `import`: reads and checks a whole file, then sends it (import_send.h). */
command_fn import_run;

#endif
