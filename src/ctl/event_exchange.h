/* SPDX-License-Identifier: MIT */
#ifndef CTL_EVENT_EXCHANGE_H
#define CTL_EVENT_EXCHANGE_H

#include <pbxpush/ctl/commands.h>

/* Sends arguments->event, prints the reply. */
command_fn event_exchange;

#endif
