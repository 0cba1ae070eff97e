/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * output_file.c - plain write calls, so that a full disk is an error code. After a failed append the
 * file is cut back to where it was: a reader then sees whole blocks only, and the next append may
 * succeed.
 */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int output_folder_open(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	int fd;

	if (slash && !slash[1]) { /* opening it says what is wrong */
		*name = path;
		slash = NULL;
	} else {
		*name = slash ? slash + 1 : path;
	}
	if (slash && (size_t)(slash - path) + 2 > sizeof(folder))
		return -ENAMETOOLONG;
	if (!slash)
		strcpy(folder, ".");
	else if (slash == path)
		strcpy(folder, "/");
	else {
		memcpy(folder, path, (size_t)(slash - path));
		folder[slash - path] = '\0';
	}
	fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A lock says that the file has a writer, as long as this process lives: two would destroy each
 * other's blocks, and recovery must not touch it. Where there are no locks it is done without. */
static int file_take(int fd, bool *regular)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	*regular = S_ISREG(st.st_mode);
	if (!*regular)
		return 0;
	if (fcntl(fd, F_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES))
		return -EBUSY;
	return st.st_size && ftruncate(fd, 0) != 0 ? -errno : 0;
}

int output_file_open(struct output_file *f, int folder, const char *name, enum output_create how,
		     const struct output_owner *owner)
{
	/* Not blocking in the open: a pipe that nobody reads is an error (ENXIO), not for ever. */
	const int flags = O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK |
			  (how == OUTPUT_NEW ? O_EXCL : 0);
	struct stat st;
	int err;

	memset(f, 0, sizeof(*f));
	f->fd = -1;
	/* Readable as well, for a look at what others have left of it; but not a pipe, which would
	 * have a reader then. */
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISREG(st.st_mode))
		f->fd = openat(folder, name, flags | O_RDWR, 0644);
	if (f->fd < 0)
		f->fd = openat(folder, name, flags | O_WRONLY, 0644);
	if (f->fd < 0)
		return -errno;
	err = fcntl(f->fd, F_SETFL, 0) ? -errno : file_take(f->fd, &f->regular);
	if (!err && owner && owner->set && fstat(f->fd, &st) == 0 &&
	    (st.st_uid != owner->uid || st.st_gid != owner->gid) &&
	    fchown(f->fd, owner->uid, owner->gid) != 0)
		err = -errno;
	if (err) {
		close(f->fd);
		f->fd = -1;
	}
	return err;
}

/* Writes all of it, through short writes and interruptions. */
static int write_all(int fd, struct iovec *iov, int cnt)
{
	while (cnt > 0) {
		ssize_t n;

		if (!iov->iov_len) {
			iov++;
			cnt--;
			continue;
		}
		n = writev(fd, iov, cnt);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			return -EIO;
		while (n > 0) {
			size_t part = (size_t)n < iov->iov_len ? (size_t)n : iov->iov_len;

			iov->iov_base = (uint8_t *)iov->iov_base + part;
			iov->iov_len -= part;
			n -= (ssize_t)part;
			if (!iov->iov_len) {
				iov++;
				cnt--;
			}
		}
	}
	return 0;
}

int output_file_cut(struct output_file *f, uint64_t len)
{
	if (ftruncate(f->fd, (off_t)len) != 0 || lseek(f->fd, (off_t)len, SEEK_SET) < 0)
		return -errno;
	f->len = len;
	return 0;
}

int output_file_append(struct output_file *f, struct iovec *iov, int cnt)
{
	uint64_t bytes = 0;
	off_t end;
	int i, err;

	for (i = 0; i < cnt; i++)
		bytes += iov[i].iov_len;
	err = write_all(f->fd, iov, cnt);
	if (!err) {
		f->len += bytes;
		return 0;
	}
	if (!f->regular || output_file_cut(f, f->len) == 0)
		return err;
	/* the half block stays; readers find the next one by its magic */
	end = lseek(f->fd, 0, SEEK_END);
	if (end >= 0)
		f->len = (uint64_t)end;
	return err;
}

int output_file_sync(const struct output_file *f)
{
	if (!f->regular || fdatasync(f->fd) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? 0 : -errno;
}

int output_folder_sync(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (fd < 0) /* it may be written but not read: nothing can be done */
		return errno == EACCES ? 0 : -errno;
	err = fsync(fd) != 0 && errno != EINVAL ? -errno : 0;
	close(fd);
	return err;
}

enum output_state output_file_state(const struct output_file *f, int folder, const char *name,
				    uint64_t *bytes)
{
	struct stat st, named;

	*bytes = f->len;
	if (!f->regular || fstat(f->fd, &st) != 0)
		return OUTPUT_THERE;
	*bytes = (uint64_t)st.st_size;
	if (!st.st_nlink)
		return OUTPUT_DELETED;
	if (*bytes < f->len)
		return OUTPUT_TRUNCATED;
	if (fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? OUTPUT_MOVED : OUTPUT_THERE;
	return named.st_dev == st.st_dev && named.st_ino == st.st_ino ? OUTPUT_THERE : OUTPUT_MOVED;
}

int output_file_close(struct output_file *f)
{
	int err = f->fd >= 0 && !f->borrowed && close(f->fd) != 0 ? -errno : 0;

	f->fd = -1;
	return err;
}
