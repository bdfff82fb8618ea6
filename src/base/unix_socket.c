/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <pbxpush/base/unix_socket.h>

#define UNIX_SOCKET_TEMPORARY ".new"
#define UNIX_SOCKET_LOCK      ".lock"
#define UNIX_SOCKET_BACKLOG   128

static bool unix_socket_address(struct sockaddr_un *addr, const char *path, const char *suffix)
{
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	size_t len = strlen(path), room = sizeof(addr->sun_path);

	if (!len || len > room - 8)
		return false;
	snprintf(addr->sun_path, room, "%s%s", path, suffix);
	return true;
}

/*
 * Two daemons that start at once would both find the path free or dead, and the later rename would
 * leave the earlier one deaf. So whoever looks at the path and then changes it holds a lock on a
 * file beside it, for these few system calls only, and takes the file away again. The file may
 * therefore vanish while another waits for its lock: that one holds nothing and begins anew. Nobody
 * else can open the file (0600) and hold us up.
 */
static int unix_socket_lock(const char *path, struct sockaddr_un *name)
{
	struct stat ours, there;

	unix_socket_address(name, path, UNIX_SOCKET_LOCK);
	for (;;) {
		int fd = open(name->sun_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		int refused;
		do
			refused = flock(fd, LOCK_EX);
		while (refused && errno == EINTR);
		if (!refused && !fstat(fd, &ours) && !lstat(name->sun_path, &there) &&
			ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
			return fd;
		int saved = errno;
		close(fd);
		errno = saved;
		if (refused)
			return -1;
	}
}

static void unix_socket_unlock(int fd, const struct sockaddr_un *name)
{
	unlink(name->sun_path);
	close(fd);
}

/*
 * ERR_OK: nothing is at the path, or a socket at which nobody listens any more. ERR_EXISTS:
 * somebody does, or it is no socket. ERR_IO: it cannot be told. *why gets a phrase.
 */
static enum err unix_socket_probe(const struct sockaddr_un *addr, const char **why)
{
	enum err err = ERR_EXISTS;
	struct stat st;
	int fd;

	if (lstat(addr->sun_path, &st)) {
		*why = strerror(errno);
		return errno == ENOENT ? ERR_OK : ERR_IO;
	}
	*why = "something other than a socket is there";
	if (!S_ISSOCK(st.st_mode))
		return ERR_EXISTS;
	/* Non-blocking: a live listener with a full backlog says EAGAIN instead of holding us. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*why = strerror(errno);
		return ERR_IO;
	}
	*why = "another process listens there";
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr))) {
		if (errno == ECONNREFUSED || errno == ENOENT) {
			err = ERR_OK;
		} else if (errno != EAGAIN && errno != EPROTOTYPE) {
			*why = strerror(errno);
			err = ERR_IO;
		}
	}
	close(fd);
	return err;
}

/* Makes the socket under its temporary name, with its final rights, listening. */
static int unix_socket_make(const struct sockaddr_un *addr, mode_t mode, gid_t gid)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	unlink(addr->sun_path); /* of one who died here; the lock says nobody is at it now */
	/* bind(2) creates the file with the mode of the descriptor, so it is never open, not even
	 * for a moment; a umask would do the same to every thread. */
	if (fchmod(fd, 0) || bind(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		goto fail;
	if ((gid != (gid_t)-1 && lchown(addr->sun_path, (uid_t)-1, gid)) ||
		chmod(addr->sun_path, mode) || listen(fd, UNIX_SOCKET_BACKLOG)) {
		int saved = errno;
		unlink(addr->sun_path);
		errno = saved;
		goto fail;
	}
	return fd;
fail:;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

enum err unix_socket_listen(
	const char *path, mode_t mode, gid_t gid, int *out_fd, char *why, size_t why_size)
{
	struct sockaddr_un addr, temporary, lock_name;
	const char *reason = "the path is empty or too long";
	enum err err = ERR_INVAL;
	int lock = -1, fd = -1;

	if (!unix_socket_address(&addr, path, "") ||
		!unix_socket_address(&temporary, path, UNIX_SOCKET_TEMPORARY))
		goto out;
	err = ERR_IO;
	lock = unix_socket_lock(path, &lock_name);
	if (lock < 0) {
		reason = strerror(errno);
		goto out;
	}
	err = unix_socket_probe(&addr, &reason);
	if (err)
		goto out;
	err = ERR_IO;
	fd = unix_socket_make(&temporary, mode, gid);
	if (fd < 0) {
		reason = strerror(errno);
		goto out;
	}
	if (rename(temporary.sun_path, path)) {
		reason = strerror(errno);
		unlink(temporary.sun_path);
		goto out;
	}
	*out_fd = fd;
	fd = -1;
	err = ERR_OK;
out:
	if (err)
		snprintf(why, why_size, "%s: %s", path, reason);
	if (fd >= 0)
		close(fd);
	if (lock >= 0)
		unix_socket_unlock(lock, &lock_name);
	return err;
}

enum err unix_socket_permit(const char *path, mode_t old_mode, gid_t old_gid, mode_t mode,
	gid_t gid, char *why, size_t why_size)
{
	if (old_mode == mode && old_gid == gid)
		return ERR_OK;
	if (gid == (gid_t)-1)
		gid = getegid();
	if (chmod(path, old_mode & mode) || lchown(path, (uid_t)-1, gid) || chmod(path, mode)) {
		snprintf(why, why_size, "%s: %s", path, strerror(errno));
		(void)!chmod(path, old_mode);
		return ERR_IO;
	}
	return ERR_OK;
}

enum err unix_socket_connect(const char *path, int *out_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd;

	if (!len || len >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return ERR_IO;
	}
	memcpy(addr.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_IO;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr))) {
		int saved = errno;
		close(fd);
		errno = saved;
		return ERR_IO;
	}
	*out_fd = fd;
	return ERR_OK;
}

void unix_socket_close(int fd, const char *path)
{
	struct sockaddr_un addr, lock_name;
	const char *reason;
	struct stat st;
	int lock;

	if (fd < 0)
		return;
	close(fd);
	/* With the descriptor closed, the path is either dead, and then it was ours or as good as
	 * ours, or it answers, and then it is somebody else's by now. */
	if (!unix_socket_address(&addr, path, "") || lstat(path, &st))
		return;
	lock = unix_socket_lock(path, &lock_name);
	if (lock < 0)
		return;
	if (!unix_socket_probe(&addr, &reason))
		unlink(path);
	unix_socket_unlock(lock, &lock_name);
}
