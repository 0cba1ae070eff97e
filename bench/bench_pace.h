/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_pace.h - threads that log at a given rate, and what that costs them. */
#ifndef QSLOG_BENCH_PACE_H
#define QSLOG_BENCH_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_BURST 1000u /* calls between two looks at the clock */
#define PACE_THREADS_MAX 16

struct pace_plan {
	unsigned int threads;
	double rate;	/* calls a second, all threads together; 0: as fast as they can */
	double seconds;
	bool empty;	/* the pacing alone, without the calls */
	uint64_t step;	/* of the values, see bench_calls.h */
};

struct pace_result {
	uint64_t calls;
	uint64_t sleeps;
	double seconds;
	double cpu_seconds; /* of the threads, kernel included */
};

/* Calls of kind b, in bursts that are due at fixed times: a thread that is late catches up. Each
 * thread issues its share of rate * seconds calls, but gives up after twice the time. 0 or -errno. */
int pace_run(const struct pace_plan *plan, double ns_per_tick, struct pace_result *out);

#endif
