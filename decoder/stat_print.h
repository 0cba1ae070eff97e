/* SPDX-License-Identifier: BSD-2-Clause */
/* stat_print.h - the counts of qslog stat as tables for people and as one JSON object. */
#ifndef QSLOG_STAT_PRINT_H
#define QSLOG_STAT_PRINT_H

#include "merge.h"
#include "stat_table.h"
#include "text.h"

/* Both after merge_finish(). */
void stat_print_text(struct buffer *out, const struct stat_table *t, const struct merge *merge);
void stat_print_json(struct buffer *out, const struct stat_table *t, const struct merge *merge);

/* Of its tables: text from the file, escaped, padded with spaces to `width`; "file.c:12 function"; a
 * space, and a number with its unit in 9 columns. */
void stat_column(struct buffer *out, const char *s, size_t width);
void stat_site_column(struct buffer *out, const struct stat_site *s, size_t width);
void stat_duration_column(struct buffer *out, double ns);

#endif
