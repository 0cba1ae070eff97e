/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file_set.h - the files that one output becomes by rotation, and their order.
 *
 * The file that is being written has the name that was asked for; those that are complete have their
 * number in the name, in front of ".qslog", or at the end where the name ends otherwise:
 *
 *     app.000001.qslog  app.000002.qslog  app.qslog          out.000001  out.000002  out
 *
 * Which files belong together is not told by names, but by the set id in the header of each.
 */
#ifndef QSLOG_FILE_SET_H
#define QSLOG_FILE_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "file_format.h"

#define FILE_SET_DIGITS 6 /* at least */
#define FILE_SET_PENDING ".new" /* behind the name: a file that is about to get it */

/* What a file says about itself. */
struct file_identity {
	uint8_t file_id[16];
	uint8_t set_id[FILE_SET_ID_BYTES];
	uint64_t number;    /* in the set; 0: it began without one */
	bool in_set;	    /* the two before are there */
	bool has_blocks;    /* more than the header */
	bool closed;	    /* by its writer: there is a trailer */
	bool continued;	    /* and another file follows */
};

/* 0; -EBADMSG: no .qslog file, or its header is damaged; -ENOMEM; -errno of reading. */
int file_identity_read(int fd, struct file_identity *out);

/* The name of number `number` where `name` was asked for: both are without folders. 0 or
 * -ENAMETOOLONG. */
int file_set_name(char *out, size_t size, const char *name, uint64_t number);
/* Is `candidate` such a name? */
bool file_set_name_number(const char *name, const char *candidate, uint64_t *number);

struct file_set_member {
	char *path;
	uint64_t number; /* of its name; UINT64_MAX: it has the name that was asked for */
	struct file_identity identity;
};

struct file_set {
	struct file_set_member *members; /* in order, which is that of time */
	unsigned int cnt;
};

/*
 * The files of the set to which `path` belongs, the oldest first; `path` is the name that was asked
 * for, and need not exist. A file without a set is the only one. 0; -ENOENT: there is nothing; -errno of `path`,
 * of its folder or of reading (-EBADMSG: `path` is no .qslog file); -ENOMEM.
 */
int file_set_list(struct file_set *set, const char *path);
void file_set_fini(struct file_set *set);

/*
 * The paths of a command line: each that is the name of a set becomes its files, in order, and no
 * file is there twice. What cannot be read stays as it is, for its reader to say why. Returns a
 * NULL-terminated array and *out_cnt, to be freed by file_set_paths_free(); NULL: no memory.
 */
char **file_set_paths(char *const *paths, unsigned int cnt, unsigned int *out_cnt);
void file_set_paths_free(char **paths);

/* For a writer, in the folder that it has open (O_PATH will do). */

/* The greatest number in a name for `name`, 0: there is none; likewise, if `newest` is not NULL, the
 * identity of the one with the greatest number that has a number in a set (0: none). 0 or -errno. */
int file_set_newest(int folder, const char *name, uint64_t *number, struct file_identity *newest);
/* Removes the oldest of the set `set_id` until `keep` with numbers are left. Returns how many were
 * removed, or -errno. */
int file_set_trim(int folder, const char *name, const uint8_t set_id[FILE_SET_ID_BYTES],
		  unsigned int keep);

#endif
