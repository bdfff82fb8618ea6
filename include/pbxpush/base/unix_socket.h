/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_UNIX_SOCKET_H
#define PBXPUSH_BASE_UNIX_SOCKET_H

#include <sys/types.h>

#include <pbxpush/base/err.h>

/* sizeof(sun_path), less the suffix of the temporary name and its NUL. */
#define UNIX_SOCKET_PATH_MAX 100

/*
 * A listening unix stream socket that is never stolen and never open too wide: the path is probed
 * first (ERR_EXISTS when somebody answers), the socket is bound under a temporary name with no
 * permissions, gets its group and mode, listens, and only then is renamed into place.
 *
 * Two that start at once exclude each other by PATH.lock, which is gone again on return. What is
 * there and is no socket stays there (ERR_EXISTS).
 *
 * path: at most UNIX_SOCKET_PATH_MAX bytes. gid (gid_t)-1 leaves the group alone.
 * On success *out_fd is non-blocking and close-on-exec, owned by the caller.
 * why: receives `PATH: reason` for the log on failure, of why_size bytes.
 */
enum err unix_socket_listen(
	const char *path, mode_t mode, gid_t gid, int *out_fd, char *why, size_t why_size);

/*
 * Gives a path that stays the rights of a new configuration; gid (gid_t)-1 is the process's own
 * group, which a socket has that was made without one. Narrow first, so that neither group ever has
 * more than either configuration said. On failure (ERR_IO, and `PATH: reason` in why) old_mode is
 * restored.
 */
enum err unix_socket_permit(const char *path, mode_t old_mode, gid_t old_gid, mode_t mode,
	gid_t gid, char *why, size_t why_size);

/* Connects (blocking). ERR_IO with errno on failure. */
enum err unix_socket_connect(const char *path, int *out_fd);

/* Closes the socket and removes its path, unless another socket listens there by now. fd may be -1,
 * then nothing happens. */
void unix_socket_close(int fd, const char *path);

#endif
