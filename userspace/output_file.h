/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * output_file.h - a file that a writer appends to, and all that can happen to it meanwhile: a full
 * disk, a quota, a broken device, somebody who deletes, renames or truncates it.
 *
 * Files are named by their folder, opened once, and a name in it: the process may change its
 * current directory. All functions return 0 or a negative errno.
 */
#ifndef QSLOG_OUTPUT_FILE_H
#define QSLOG_OUTPUT_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct output_file {
	int fd; /* -1: none */
	bool regular;
	bool borrowed; /* the descriptor is somebody else's, who closes it */
	uint64_t len;  /* what this writer has written */
};

struct output_owner {
	bool set; /* the file is given to: */
	uid_t uid;
	gid_t gid;
};

/* The folder of `path`; *name is what is behind it. A descriptor for the *at() calls, or -errno. */
int output_folder_open(const char *path, const char **name);

enum output_create {
	OUTPUT_REPLACE, /* what is there is truncated; -EBUSY: it has a writer that lives */
	OUTPUT_NEW	/* -EEXIST: something is there */
};
/* For writing, locked as long as this process lives. After an error f->fd is -1. */
int output_file_open(struct output_file *f, int folder, const char *name, enum output_create how,
		     const struct output_owner *owner);

/* Appends all of it, or leaves the file as it was, as far as the system allows. */
int output_file_append(struct output_file *f, struct iovec *iov, int cnt);
/* Cuts it to `len` bytes. */
int output_file_cut(struct output_file *f, uint64_t len);
/* To the device, and what is needed to find it again. 0 where there is no such thing. */
int output_file_sync(const struct output_file *f);
/* The names in the folder. */
int output_folder_sync(int folder);

enum output_state {
	OUTPUT_THERE = 0,
	OUTPUT_MOVED,	 /* another name, or none in this folder: what was written is still there */
	OUTPUT_DELETED,	 /* no name is left */
	OUTPUT_TRUNCATED /* shorter than what was written */
};
/* `bytes` gets its present length. Where nothing can be said, it is taken to be there. */
enum output_state output_file_state(const struct output_file *f, int folder, const char *name,
				    uint64_t *bytes);

int output_file_close(struct output_file *f);

#endif
