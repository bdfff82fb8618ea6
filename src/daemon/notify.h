/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_NOTIFY_H
#define PBXPUSH_DAEMON_NOTIFY_H

#include <stdint.h>

/* Tells systemd something (sd_notify(3)): lines like `READY=1`. Does nothing without
 * $NOTIFY_SOCKET. */
void notify_send(const char *state);

/* How often WATCHDOG=1 is wanted: half of what systemd allows, in microseconds; 0: not at all. */
int64_t notify_watchdog_us(void);

#endif
