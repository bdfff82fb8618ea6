/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_CONFIG_FILE_H
#define PBXPUSH_DAEMON_CONFIG_FILE_H

#include <sys/types.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>
#include <pbxpush/core/options.h>

/*
 * Reads and checks a configuration file: every fault becomes a line `FILE:LINE: [section] key =
 * "text": what is allowed` in faults, not only the first. ERR_INVAL when there is any; *out is set
 * on success only and freed with config_free().
 */
enum err config_load(const char *path, struct config **out, struct buf *faults);

/* User names or ids, separated by commas or blanks, as ids. *out is the caller's (NULL where
 * empty).
 * ERR_NOTFOUND: no such user; its name is in who (of who_size bytes). */
enum err config_users(const char *text, uid_t **out, size_t *count, char *who, size_t who_size);

/* A group's id; (gid_t)-1 for "". ERR_NOTFOUND where there is none. */
enum err config_group(const char *text, gid_t *out);

#endif
