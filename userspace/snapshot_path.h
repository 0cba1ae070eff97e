/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot_path.h - the paths of dumps, in which %p stands for the pid and %n for the number of the
 * dump.
 */
#ifndef QSLOG_SNAPSHOT_PATH_H
#define QSLOG_SNAPSHOT_PATH_H

#include <limits.h>
#include <stddef.h>

/* -1 as pid or number: these stay as they are. What lies before `from` is taken as it is. 0;
 * -ENAMETOOLONG. */
int snapshot_path_expand(const char *pattern, size_t from, int pid, int number, char out[PATH_MAX]);

/* Offset of the last part. */
size_t snapshot_path_name(const char *path);

/* From the root, symbolic links in the folder resolved; the last part, which need not exist, as it
 * is. 0; -EINVAL: it is empty, or there is %n in the folder; -EISDIR: it ends with a slash;
 * -ENAMETOOLONG; errors of realpath(3). */
int snapshot_path_resolve(const char *path, char out[PATH_MAX]);

#endif
