/* SPDX-License-Identifier: BSD-2-Clause */
/* stat_times_print.h - the part of qslog stat that is about scheduler events. */
#ifndef QSLOG_STAT_TIMES_PRINT_H
#define QSLOG_STAT_TIMES_PRINT_H

#include "stat_table.h"
#include "text.h"

/* Tables; nothing where there were no scheduler events. */
void stat_times_print(struct buffer *out, const struct stat_table *t);
/* ",\"times\":{...}" of a site, ",\"threads\":[...],\"sched_lost\":N" of the whole. */
void stat_times_json(struct buffer *out, const struct stat_times *times);
void stat_threads_json(struct buffer *out, const struct stat_table *t);

#endif
