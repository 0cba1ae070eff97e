/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover.c - see recover.h. Blocks that a recovery appends have FILE_HINT_RECOVERED. Where the file
 * ends with such blocks and has no trailer, a recovery was interrupted: they are cut off, as all
 * that they were made from is still there.
 */
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_set.h"
#include "recover_memory.h"

#define SUFFIX_MAX 9999

struct recovery {
	const char *path;
	int fd;
	uid_t owner;
	struct recover_walk walk;
	struct tail_in tail;
	struct recover_memory memory;
	bool next; /* the memory knows the file only as the one that was about to be begun */
	struct recover_result *result;
};

static int file_open(struct recovery *r)
{
	struct stat st;

	r->fd = open(r->path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (r->fd < 0)
		return -errno;
	if (fstat(r->fd, &st) != 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ESPIPE;
	r->owner = st.st_uid;
	return recover_walk_read(&r->walk, r->fd, (uint64_t)st.st_size);
}

/* Its writer holds a lock as long as it lives. */
static int file_lock(struct recovery *r)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(r->fd, F_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return errno == ENOLCK ? 0 : -errno; /* no locks here, for nobody */
	if (fcntl(r->fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		r->result->pid = lock.l_pid;
	return -EBUSY;
}

/* --- The memory of the process. */

static int memory_try(void *arg, const char *path)
{
	struct recovery *r = arg;
	int err = recover_memory_open(&r->memory, path, r->owner, &r->result->pid);

	if (err == -EBUSY && recover_memory_about(&r->memory, r->walk.file_key, &r->next))
		return err;
	if (err) /* of another process, or none of ours */
		return err == -ENOMEM ? err : 0;
	if (recover_memory_about(&r->memory, r->walk.file_key, &r->next))
		return 1;
	recover_memory_close(&r->memory, false);
	return 0;
}

static int memory_open(struct recovery *r, const char *path)
{
	int ret;

	if (path) {
		ret = recover_memory_open(&r->memory, path, r->owner, &r->result->pid);
		if (ret)
			return ret;
		return recover_memory_about(&r->memory, r->walk.file_key, &r->next) ? 0 : -ESTALE;
	}
	ret = recover_memory_each(r->path, memory_try, r);
	if (ret != -EBUSY)
		r->result->pid = 0;
	return ret < 0 ? ret : 0;
}

/* --- Appending. */

static bool tail_wanted(const struct recovery *r)
{
	return r->tail.valid && r->tail.file_key == r->walk.file_key &&
	       r->tail.sequence > r->walk.last_sequence;
}

/* Cuts off what an interrupted recovery has appended, as far as it can be made again. */
static int repeat_prepare(struct recovery *r)
{
	struct recover_walk *w = &r->walk;
	uint64_t cut = w->recovered_at;
	bool tail_there = r->tail.valid && r->tail.file_key == w->file_key &&
			  r->tail.sequence == w->recovered_sequence;
	int err;

	if (!cut)
		return 0;
	if (w->recovered_hints & FILE_HINT_RECOVERED_TAIL && !tail_there)
		cut = w->recovered_next;
	if (!tail_there && r->memory.fd < 0)
		return 0; /* somebody has removed the sources */
	recover_walk_fini(w);
	err = recover_walk_read(w, r->fd, cut);
	return err;
}

static int file_append(struct recovery *r)
{
	struct recover_result *result = r->result;
	struct recover_counts counts = { 0 };
	struct writer_state state;
	struct writer_totals totals;
	struct writer *writer = NULL;
	bool memory = r->memory.fd >= 0;
	int err;

	/* A torn block of which the tail has the rows, or nobody. */
	if (r->walk.torn_bytes && !tail_wanted(r))
		result->torn_records = r->walk.torn_records;
	if (ftruncate(r->fd, (off_t)r->walk.end) != 0)
		return -errno;
	if (memory)
		recover_memory_state(&r->memory, &state);
	err = writer_reopen(&writer, r->fd, &r->walk, memory ? &state : NULL);
	if (err)
		return err;
	result->records = r->walk.records;
	if (tail_wanted(r) && r->tail.bytes) {
		err = writer_tail_seal(writer, &r->tail);
		result->from_tail = r->tail.record_cnt;
	}
	if (!err && memory) {
		err = recover_memory_take(&r->memory, writer, r->next ? NULL : &r->walk, &r->tail,
					  &counts);
		if (!err)
			err = writer_flush(writer);
		result->from_memory = counts.records;
		result->lost = counts.lost;
		result->damaged = counts.damaged;
		result->unsafe = (uint32_t)r->memory.header.unsafe_cnt;
	}
	writer_totals_get(writer, &totals);
	if (!err)
		err = totals.error;
	if (err) {
		writer_abandon(writer);
		return err;
	}
	result->records += result->from_tail + result->from_memory;
	err = writer_close(writer, NULL);
	if (!err && fsync(r->fd) != 0)
		err = -errno;
	return err;
}

/* Is the tail that of a file before this one in its set, which has been completed? */
static bool tail_spent(const struct recovery *r)
{
	struct file_set set;
	bool spent = false;
	unsigned int i;

	if (file_set_list(&set, r->path))
		return false;
	for (i = 0; i < set.cnt; i++)
		spent |= set.members[i].identity.closed &&
			 memcmp(set.members[i].identity.file_id, &r->tail.file_key,
				sizeof(r->tail.file_key)) == 0;
	file_set_fini(&set);
	return spent;
}

/* The file is closed and has everything. */
static int left_remove(struct recovery *r)
{
	if ((!r->tail.valid || r->tail.file_key == r->walk.file_key || tail_spent(r)) &&
	    unlink(r->tail.path) != 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int recover_file(const char *path, const char *memory, struct recover_result *result)
{
	struct recovery r = { .path = path, .fd = -1, .memory = { .fd = -1 }, .result = result };
	int err;

	memset(result, 0, sizeof(*result));
	err = file_open(&r);
	if (err)
		goto cleanup;
	err = memory_open(&r, memory);
	if (err)
		goto cleanup;
	result->memory_used = r.memory.fd >= 0;
	err = file_lock(&r);
	if (!err)
		err = tail_in_read(&r.tail, path);
	if (!err && r.tail.unreadable)
		err = r.tail.unreadable;
	if (err)
		goto cleanup;
	/* Closed for another one that never came to be: then what was meant for that goes into it. */
	if (r.walk.closed && r.memory.fd >= 0 && r.memory.has_next && !r.next)
		r.walk.closed = false;
	result->was_closed = r.walk.closed;
	result->records = r.walk.records;
	if (!r.walk.closed) {
		err = repeat_prepare(&r);
		if (!err)
			err = file_append(&r);
	}
	if (!err)
		err = left_remove(&r);
cleanup:
	recover_memory_close(&r.memory, !err);
	tail_in_fini(&r.tail);
	recover_walk_fini(&r.walk);
	if (r.fd >= 0)
		close(r.fd);
	return err;
}

/* --- The next start. */

/* 1: a .qslog file; 0: none; -EBUSY: somebody writes it. */
static int predecessor_look(const char *path)
{
	struct recover_result ignored = { 0 };
	struct recovery r = { .path = path, .fd = -1, .result = &ignored };
	struct stat st;
	int err;

	/* To be opened and closed means something to a pipe's reader, and to some devices. */
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	err = file_open(&r);
	if (!err)
		err = file_lock(&r);
	if (!err)
		err = 1;
	else if (err != -EBUSY)
		err = 0; /* it is not there, or no file of ours: that is for the writer to see */
	recover_walk_fini(&r.walk);
	if (r.fd >= 0)
		close(r.fd);
	return err;
}

int recover_rename(const char *from, const char *path, bool others, char to[PATH_MAX])
{
	unsigned int n;
	int len, err;

	for (n = others; n <= SUFFIX_MAX; n++) {
		len = n ? snprintf(to, PATH_MAX, "%s.%u", path, n) : snprintf(to, PATH_MAX, "%s", path);
		if (len < 0 || (size_t)len + sizeof(".tail") > PATH_MAX)
			return -ENAMETOOLONG;
		err = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0 ? -errno : 0;
		if (err == -EINVAL) /* a file system that cannot do this */
			err = access(to, F_OK) == 0 ? -EEXIST : rename(from, to) != 0 ? -errno : 0;
		if (err != -EEXIST)
			return err;
	}
	return -EEXIST;
}

static int aside_rename(const char *path)
{
	char to[PATH_MAX], tail[PATH_MAX + 8], to_tail[PATH_MAX + 8];
	int err = recover_rename(path, path, true, to);

	if (err)
		return err;
	snprintf(tail, sizeof(tail), "%s.tail", path);
	snprintf(to_tail, sizeof(to_tail), "%s.tail", to);
	return rename(tail, to_tail) != 0 && errno != ENOENT ? -errno : 0;
}

int recover_predecessor(const char *path, bool in_place)
{
	struct recover_result result;
	int ret = predecessor_look(path);
	pid_t pid;

	if (ret < 0)
		return ret;
	if (ret) {
		ret = recover_file(path, NULL, &result);
		if (ret == -EBUSY)
			return ret;
		/* `qslog recover` says what is wrong, should it not be whole */
		ret = in_place || (!ret && result.was_closed) ? 0 : aside_rename(path);
	}
	/* Where that fails it is still there. */
	(void)recover_snapshots(path, NULL, true, NULL, NULL, &pid);
	return ret;
}

/* --- The list. */

struct listing {
	int (*each)(void *arg, const struct recover_left *left);
	void *arg;
};

static int list_one(void *arg, const char *path)
{
	struct listing *l = arg;
	struct recover_left left = { .memory = path, .output = "" };
	struct recover_memory m;
	struct stat st;
	int err, ret;

	if (stat(path, &st) != 0)
		return 0; /* has gone meanwhile */
	left.owner = st.st_uid;
	err = recover_memory_open(&m, path, st.st_uid, &left.pid);
	left.lives = err == -EBUSY;
	if (err && !left.lives) {
		left.error = err;
	} else if (!err) {
		left.output = m.output;
		left.snapshot = m.header.snapshot;
		left.pid = (pid_t)m.header.pid;
		left.arenas = m.arena_cnt;
		left.unsafe = (uint32_t)m.header.unsafe_cnt;
	}
	ret = l->each(l->arg, &left);
	if (!err)
		recover_memory_close(&m, false);
	return ret;
}

int recover_list(int (*each)(void *arg, const struct recover_left *left), void *arg)
{
	struct listing listing = { each, arg };

	return recover_memory_each(NULL, list_one, &listing);
}
