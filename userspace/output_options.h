/* SPDX-License-Identifier: BSD-2-Clause */
/* output_options.h - what users say about rotation and syncing, on the command line of the tracer and
 * in the environment of an application. All return 0 or -EINVAL. */
#ifndef QSLOG_OUTPUT_OPTIONS_H
#define QSLOG_OUTPUT_OPTIONS_H

#include "writer.h"

#define ROTATE_SECONDS_MAX 31536000u /* a year */
#define MAX_FILES_MAX 1000000u

/* 64K to 2^60, with K, M, G or T. */
int output_size_parse(const char *text, uint64_t *bytes);
/* 1 second to a year, with s, m, h or d. */
int output_time_parse(const char *text, uint64_t *seconds);
/* 1 to 2^60, with K, M, G or T (powers of 1,000). */
int output_count_parse(const char *text, uint64_t *count);
/* 1 to 1,000,000. */
int output_files_parse(const char *text, uint32_t *files);
/* none, interval, block */
int output_sync_parse(const char *text, enum writer_sync *sync);
/* fast, default, max */
int output_compress_parse(const char *text, enum writer_compress *compress);
/* ns, us, ms */
int output_tick_parse(const char *text, uint32_t *tick_ns);

#endif
