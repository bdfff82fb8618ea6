/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_DAEMON_H
#define PBXPUSH_DAEMON_DAEMON_H

#include <pbxpush/base/err.h>
#include <pbxpush/core/options.h>

/*
 * The daemon: everything joined on one event loop. Owns the configuration, sockets, directory,
 * transport and call flow; SIGHUP reloads, SIGTERM and SIGINT drain and stop.
 */
struct daemon;

/* Takes config over, whatever it returns. path: where SIGHUP reads it again. What goes wrong is
 * logged. */
enum err daemon_new(const char *path, struct config *config, struct daemon **out);

/* Runs until stopped. */
enum err daemon_run(struct daemon *daemon);

/* Accepts NULL. */
void daemon_free(struct daemon *daemon);

#endif
