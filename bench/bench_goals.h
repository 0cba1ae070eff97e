/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_goals.h - what a call is to cost, beside what it was found to cost. */
#ifndef QSLOG_BENCH_GOALS_H
#define QSLOG_BENCH_GOALS_H

#include <stdbool.h>

#include "bench_calls.h"
#include "bench_listen.h"

#define GOALS_THREADS 3 /* 1, 2 and 4 threads */

struct figures {
	bool measured;
	double ns;	      /* a call: median of the bursts */
	double floor_ratio;   /* median of the bursts' own ratios to their floor, */
	double first_ratio;   /* the same of threads on the first processor only, */
	double counter_ratio; /* and to bare reads of the counter */
};

struct all_figures {
	struct figures of[LISTEN_MODES][CALL_KIND_CNT][GOALS_THREADS];
};

/* The number of threads of the nth. */
unsigned int goals_threads(unsigned int n);
/* Goal, figure, met or not: text only. What was not measured is left out. */
void goals_print(const struct all_figures *all);

#endif
