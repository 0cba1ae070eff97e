/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_memory.h - the file that a process in in-process mode left behind (safe_layout.h): found,
 * checked, and its records handed to a writer. All of it is hostile: it is read with pread(2),
 * never mapped, so that a file that shrinks is an error and not a SIGBUS.
 */
#ifndef QSLOG_RECOVER_MEMORY_H
#define QSLOG_RECOVER_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

#include "recover_tail.h"
#include "recover_walk.h"
#include "safe_layout.h"
#include "writer_state.h"

struct recover_memory {
	int fd; /* locked */
	char *path;
	uid_t owner;
	gid_t group;
	uint64_t size;
	uint64_t file_key;  /* of the output */
	uint64_t next_key;  /* of the file that was about to follow it; */
	bool has_next;	    /* there is one */
	uint32_t arena_cnt;
	struct safe_header header;
	char output[SAFE_PATH_BYTES], name[SAFE_NAME_BYTES], exe[SAFE_EXE_BYTES];
	char command[SAFE_COMMAND_BYTES];
};

/*
 * Opens, locks and checks. 0; -EBUSY: the process lives (its pid is in *pid, as this namespace has
 * it, or 0), or somebody else is about to recover it; file_key is valid if the header is; -EBADMSG: it is no such file, or damaged;
 * -EPROTONOSUPPORT: a later version; -EPERM: not a file of `owner`, root or this user;
 * errors of open and read. After any error nothing is left open.
 */
int recover_memory_open(struct recover_memory *m, const char *path, uid_t owner, pid_t *pid);
/* Is it about the file with this key? *next: about that which was about to become the output. */
bool recover_memory_about(const struct recover_memory *m, uint64_t file_key, bool *next);
void recover_memory_close(struct recover_memory *m, bool remove);

/* Exactly `bytes`; 0; -EBADMSG: the file ends before; -errno. */
int recover_memory_read(int fd, void *data, size_t bytes, uint64_t offset);

/* Calls `each` with the path of every file of that kind in SAFE_DIR and, unless NULL, in the folder
 * of `output`, until it returns other than 0, which is returned. */
int recover_memory_each(const char *output, int (*each)(void *arg, const char *path), void *arg);

/* For writer_reopen(). */
void recover_memory_state(const struct recover_memory *m, struct writer_state *state);

struct recover_counts {
	uint64_t records, lost;
	uint32_t damaged; /* arenas of which something could not be understood */
};

/* Hands the writer what is not in the file yet; `walk` and `tail` say what is. `walk` NULL: nothing
 * was ever begun to be written to this file. In snapshot mode, where they are not used, all that there is:
 * `writer` begins a file then. */
int recover_memory_take(const struct recover_memory *m, struct writer *writer,
			const struct recover_walk *walk, const struct tail_in *tail,
			struct recover_counts *counts);

/* Snapshot mode: 1: a dump has all that there is; 0: it has not, or there was none. */
int recover_memory_dumped(const struct recover_memory *m);

#endif
