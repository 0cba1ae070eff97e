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
 * -errno of the renaming. A file that cannot be recovered is renamed all the same. */
int recover_predecessor(const char *path);

struct recover_left {
	const char *memory; /* path */
	const char *output; /* "" if unknown */
	uid_t owner;
	pid_t pid;
	bool lives; /* nothing to be done yet */
	int error;  /* -errno of opening it; output, pid and arenas are not known then */
	uint32_t arenas, unsafe;
};
/* What processes have left in /dev/shm. Returns what `each` returns other than 0, or -errno. */
int recover_list(int (*each)(void *arg, const struct recover_left *left), void *arg);

#endif
