/* SPDX-License-Identifier: MIT */
#ifndef CTL_STATUS_QUERY_H
#define CTL_STATUS_QUERY_H

#include <pbxpush/ctl/commands.h>

/* One GET on the status socket each, printed. */
command_fn status_query_status;
command_fn status_query_calls;
command_fn status_query_explain;
command_fn status_query_health;
command_fn status_query_metrics;

#endif
