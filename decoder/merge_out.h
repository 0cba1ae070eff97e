/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge_out.h - records of several files become records of one. Times are wall time from here on:
 * a tick is a nanosecond of CLOCK_REALTIME, and the only clock pair says so. What is the same in
 * several files is in it once: formats by their content, processes and threads by their identity.
 */
#ifndef QSLOG_MERGE_OUT_H
#define QSLOG_MERGE_OUT_H

#include "record.h"

struct merge_out;

/* `file_cnt` files; `hosts`: of several hosts, else all are of `host`; `sched`: all have scheduler
 * events. 0 or -errno. */
int merge_out_open(struct merge_out **out, const char *path, unsigned file_cnt, bool hosts,
		   const char *host, bool sched, int64_t first_ns);
int merge_out_record(struct merge_out *m, unsigned file, const struct record *record);
/* Closes the file. 0 or -errno; NULL is accepted. */
int merge_out_close(struct merge_out *m, uint64_t *records, uint64_t *lost);

#endif
