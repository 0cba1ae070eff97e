/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover.h - a file whose writer has died becomes one that was closed: the rows of its tail are
 * sealed, what an in-process application had recorded and not handed over (safe_layout.h) is
 * appended, index and trailer are written.
 *
 * It is done in place and may be repeated: what an interrupted recovery has appended is cut off and
 * done again, and nothing is removed before the file is closed.
 */
#ifndef QSLOG_RECOVER_H
#define QSLOG_RECOVER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct recover_result {
	bool was_closed;	/* there was nothing to do but to remove what is left over */
	bool memory_used;
	pid_t pid;		/* with -EBUSY: who is in the way; 0: unknown */
	uint64_t records;	/* of the file now */
	uint64_t from_tail;	/* records */
	uint64_t from_memory;
	uint64_t lost;		/* counted in the file by the recovery */
	uint64_t torn_records;	/* were in a block that was not whole, and in no tail; cut off */
	uint32_t unsafe;	/* arenas whose records were not safe; how many is not known */
	uint32_t damaged;	/* arenas that could not be understood to their end */
};

/*
 * `memory`: the file in /dev/shm; NULL: it is looked for, there and beside `path`. 0; -EBUSY:
 * somebody writes the file; -EBADMSG: no .qslog file; -EPROTONOSUPPORT: of a later version; with
 * `memory`: -ESTALE: it belongs to another file, errors of recover_memory_open(); else -errno.
 */
int recover_file(const char *path, const char *memory, struct recover_result *result);

/* Before `path` is created: a file that is there and was not closed is recovered and becomes
 * PATH.1, or the next number that is free. 0 also where there is none; -EBUSY: somebody writes it;
 * -errno of the renaming. A file that cannot be recovered is renamed all the same. What a process in
 * snapshot mode has left becomes such a file, too, if it can. `in_place`: it keeps its name. */
int recover_predecessor(const char *path, bool in_place);

/*
 * What processes in snapshot mode have left whose output was to be `path`, where %n may stand for
 * the number of a dump: 0 in what is made of it. Nothing is overwritten: where there is a file
 * already, the next number that is free is put behind (PATH.1). What a last dump has is only removed.
 */
struct recover_made {
	const char *memory; /* path of what was left */
	const char *path;   /* of the file that was made; "": a dump has it all */
	int error;	    /* -errno: nothing was made, and it is still there */
	struct recover_result result;
};
/*
 * `memory`: only that, whatever its output was to be. `starting`: on behalf of a process that is about
 * to write to `path`, which is left to it, and in which only own memory counts. `each` may be NULL.
 * Returns how many were found; -EBUSY: none, but a process in that mode lives, with its pid in *pid;
 * errors of `memory` as those of recover_file().
 */
int recover_snapshots(const char *path, const char *memory, bool starting,
		      void (*each)(void *arg, const struct recover_made *made), void *arg,
		      pid_t *pid);

/* Renames to `path` (not if `others`), or to the next number behind it that is free; *to is that. 0;
 * -EEXIST: none is; -ENAMETOOLONG; -errno of renaming. */
int recover_rename(const char *from, const char *path, bool others, char to[PATH_MAX]);

struct recover_left {
	const char *memory; /* path */
	const char *output; /* "" if unknown */
	bool snapshot;	    /* it was in snapshot mode: there is no output before it is recovered */
	uid_t owner;
	pid_t pid;
	bool lives; /* nothing to be done yet */
	int error;  /* -errno of opening it; output, pid and arenas are not known then */
	uint32_t arenas, unsafe;
};
/* What processes have left in /dev/shm. Returns what `each` returns other than 0, or -errno. */
int recover_list(int (*each)(void *arg, const struct recover_left *left), void *arg);

#endif
