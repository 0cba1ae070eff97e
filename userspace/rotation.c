/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rotation.c - the order of a rotation, of which each step leaves a whole set:
 *
 *  1. NAME.new is created, with the header of the next file
 *  2. the file at NAME gets its index and its trailer, which say that another one follows
 *  3. it gets a second name, NAME.000007
 *  4. NAME.new becomes NAME
 *
 * Whoever finds NAME.new later may remove it if there is only a header in it.
 */
#include "rotation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int rename_new(int folder, const char *from, const char *to)
{
	int err = renameat2(folder, from, folder, to, RENAME_NOREPLACE) != 0 ? -errno : 0;

	if (err != -EINVAL && err != -ENOSYS)
		return err;
	/* a file system that cannot do this */
	if (faccessat(folder, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(folder, from, folder, to) != 0 ? -errno : 0;
}

/* --- The beginning. */

/* Its writer holds a lock as long as it lives. -EBUSY, or 0. */
static int lock_look(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? -EBUSY : 0;
}

struct found {
	bool there;
	struct stat st;
	int identity_error; /* of: */
	struct file_identity identity;
};

/* Only regular files are of interest: with others, opening the output is to go wrong or right. */
static int look(int folder, const char *name, struct found *f)
{
	int fd, err = 0;

	memset(f, 0, sizeof(*f));
	if (fstatat(folder, name, &f->st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(f->st.st_mode))
		return 0;
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	f->there = true;
	f->identity_error = file_identity_read(fd, &f->identity);
	if (!f->identity.closed)
		err = lock_look(fd);
	close(fd);
	return err;
}

/* What an interrupted rotation has left. */
static int pending_settle(int folder, const char *name, uint64_t *newest)
{
	char pending[NAME_MAX + 1], to[NAME_MAX + 1];
	struct found f;
	int err;

	if ((size_t)snprintf(pending, sizeof(pending), "%s" FILE_SET_PENDING, name) >= sizeof(pending))
		return -ENAMETOOLONG;
	err = look(folder, pending, &f);
	if (err || !f.there)
		return err;
	if (!f.st.st_size || (!f.identity_error && !f.identity.has_blocks))
		return unlinkat(folder, pending, 0) != 0 && errno != ENOENT ? -errno : 0;
	if (f.identity_error)
		return -EEXIST; /* not ours */
	err = file_set_name(to, sizeof(to), name, *newest + 1);
	if (!err)
		err = rename_new(folder, pending, to);
	*newest += !err;
	return err;
}

/* The file that has the name gets its number. */
static int present_settle(int folder, const char *name, struct found *f, uint64_t *newest)
{
	char to[NAME_MAX + 1], tail[NAME_MAX + 8], to_tail[NAME_MAX + 8];
	uint64_t number = *newest + 1;
	struct stat st;
	int err;

	if (*newest) { /* it may have its number already */
		err = file_set_name(to, sizeof(to), name, *newest);
		if (err)
			return err;
		if (fstatat(folder, to, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == f->st.st_ino &&
		    st.st_dev == f->st.st_dev)
			return unlinkat(folder, name, 0) != 0 ? -errno : 0;
	}
	if (f->identity.in_set && f->identity.number > number)
		number = f->identity.number;
	err = file_set_name(to, sizeof(to), name, number);
	if (!err)
		err = rename_new(folder, name, to);
	if (err)
		return err;
	*newest = number;
	if (f->identity.closed)
		return 0;
	snprintf(tail, sizeof(tail), "%s.tail", name);
	snprintf(to_tail, sizeof(to_tail), "%s.tail", to);
	err = rename_new(folder, tail, to_tail);
	return err == -ENOENT ? 0 : err;
}

static int begin(int folder, const char *name, uint8_t set_id[FILE_SET_ID_BYTES], uint64_t *number)
{
	struct file_identity newest;
	struct found f;
	uint64_t last;
	int err;

	err = file_set_newest(folder, name, &last, &newest);
	if (!err)
		err = pending_settle(folder, name, &last);
	if (!err)
		err = look(folder, name, &f);
	if (!err && f.there && f.st.st_size) {
		if (f.identity.number)
			newest = f.identity;
		err = present_settle(folder, name, &f, &last);
	}
	if (err)
		return err;
	/* without a number it was no set that was to be one */
	if (newest.number)
		memcpy(set_id, newest.set_id, FILE_SET_ID_BYTES);
	else if (getrandom(set_id, FILE_SET_ID_BYTES, 0) != FILE_SET_ID_BYTES)
		return -EIO;
	*number = last + 1;
	return 0;
}

int rotation_begin(const char *path, uint8_t set_id[FILE_SET_ID_BYTES], uint64_t *number)
{
	const char *name;
	int folder = output_folder_open(path, &name), err;

	if (folder < 0)
		return folder;
	err = begin(folder, name, set_id, number);
	close(folder);
	return err;
}

/* --- A rotation. */

int rotation_number(const struct block_out *current, uint64_t number, uint64_t *done)
{
	uint64_t newest;
	int err = file_set_newest(block_out_folder(current), block_out_name(current), &newest, NULL);

	*done = number > newest ? number : newest + 1;
	return err;
}

int rotation_prepare(struct block_out **next, const struct block_out *current)
{
	const int folder = block_out_folder(current);
	char name[NAME_MAX + 1];
	struct found f;
	int err;

	if ((size_t)snprintf(name, sizeof(name), "%s" FILE_SET_PENDING, block_out_name(current)) >=
	    sizeof(name))
		return -ENAMETOOLONG;
	err = block_out_successor(next, current, name, NULL);
	if (err != -EEXIST)
		return err;
	err = look(folder, name, &f);
	if (err || !f.there || (f.st.st_size && (f.identity_error || f.identity.has_blocks)))
		return err ? err : -EEXIST;
	if (unlinkat(folder, name, 0) != 0)
		return -errno;
	return block_out_successor(next, current, name, NULL);
}

/* The file also gets the name `to`. *moved: it had to lose the one that it has. */
static int name_add(int folder, const char *name, const char *to, bool *moved)
{
	*moved = false;
	if (linkat(folder, name, folder, to, 0) == 0)
		return 0;
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK &&
	    errno != EACCES)
		return -errno;
	*moved = true; /* there are no hard links here */
	return rename_new(folder, name, to);
}

static int names_switch(struct block_out *current, struct block_out *next, uint64_t done)
{
	const int folder = block_out_folder(current);
	const char *name = block_out_name(current), *pending = block_out_name(next);
	char to[NAME_MAX + 1];
	bool moved = true;
	uint64_t bytes;
	int err;

	err = file_set_name(to, sizeof(to), name, done);
	if (err)
		return err;
	/* Somebody may have renamed it, and put another one there. */
	if (output_file_state(block_out_file(current), folder, name, &bytes) >= OUTPUT_MOVED)
		return rename_new(folder, pending, name);
	err = name_add(folder, name, to, &moved);
	if (err)
		return err;
	err = moved ? rename_new(folder, pending, name) :
	      renameat(folder, pending, folder, name) != 0 ? -errno : 0;
	if (err && moved)
		(void)rename_new(folder, to, name); /* `err` says more */
	else if (err)
		(void)unlinkat(folder, to, 0);
	return err;
}

int rotation_switch(struct block_out *current, struct block_out *next, uint64_t done, bool sync)
{
	char *name = strdup(block_out_name(current));
	int err = name ? 0 : -ENOMEM, undo;

	if (!err && sync)
		err = block_out_sync(next);
	if (!err)
		err = block_out_finish(current, true);
	if (!err && sync)
		err = output_file_sync(block_out_file(current));
	if (!err)
		err = names_switch(current, next, done);
	if (err) {
		undo = block_out_unfinish(current);
		free(name);
		return undo ? undo : err;
	}
	block_out_name_take(next, name);
	block_out_tail_move(next, current);
	if (sync)
		block_out_sync_note(next, output_folder_sync(block_out_folder(next)));
	return 0;
}
