/* SPDX-License-Identifier: BSD-2-Clause */
/* stat_times.h - sums for qslog stat: where the time of spans went, and that of threads. */
#ifndef QSLOG_STAT_TIMES_H
#define QSLOG_STAT_TIMES_H

#include "hash_index.h"
#include "histogram.h"
#include "record.h"
#include "wait_set.h"

/* Of the spans of a site. */
struct stat_times {
	uint64_t cnt, incomplete; /* spans whose times are known; of them, not all */
	struct histogram cpu, off;
	double blocked, ready, preempted;
	struct wait_set waits;
};

/* *times is made if it is NULL. 0 or -ENOMEM. */
int stat_times_add(struct stat_times **times, const struct record_times *record);
void stat_times_free(struct stat_times *times); /* NULL is accepted */

/* Of a thread, from the first to the last that is known of it. */
struct stat_thread {
	uint32_t pid, tid;
	int64_t first_ns, last_ns; /* steady */
	uint64_t cnt;
	double blocked, ready, preempted, open;
	struct wait_set waits;
};

struct stat_threads {
	struct stat_thread *list;
	uint32_t cnt, cap;
	struct hash_index by_tid;
};

int stat_threads_add(struct stat_threads *t, const struct record *off); /* 0 or -ENOMEM */
void stat_threads_sort(struct stat_threads *t); /* most time on the CPU first; then add no more */
double stat_thread_cpu(const struct stat_thread *t);
void stat_threads_fini(struct stat_threads *t);

#endif
