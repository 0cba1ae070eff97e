/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parallel.h - a pool of threads that run jobs. Who needs a job's result waits for it, and runs
 * other jobs meanwhile: so the caller is one of the threads that work, a pool without threads
 * (jobs 1) does everything in the caller when it is waited for, and nothing can deadlock. Results
 * are in order where they are waited for in order; who starts jobs bounds how many.
 */
#ifndef QSLOG_PARALLEL_H
#define QSLOG_PARALLEL_H

#include <stdbool.h>

struct parallel;

enum parallel_state {
	PARALLEL_IDLE,
	PARALLEL_QUEUED,
	PARALLEL_RUNNING,
	PARALLEL_DONE
};

/* Part of the object that the job works on; zeroed before its first use, and usable again once
 * it is done. */
struct parallel_job {
	void (*run)(struct parallel_job *job);
	struct parallel_job *next;
	enum parallel_state state; /* of the pool */
};

/* `jobs` threads work, the caller included; 0: as many as there are processors for this process.
 * Threads that cannot be had are done without. 0 or -ENOMEM. */
int parallel_open(struct parallel **out, unsigned jobs);
unsigned parallel_jobs(const struct parallel *p);

/* `first`: before all that are queued. */
void parallel_start(struct parallel *p, struct parallel_job *job, bool first);
bool parallel_done(struct parallel *p, struct parallel_job *job);
/* Runs a queued job, `job` itself if it is one, or waits until one that runs is done. */
void parallel_help(struct parallel *p, struct parallel_job *job);
/* Until it is done; one that was never started is. */
void parallel_wait(struct parallel *p, struct parallel_job *job);

/* After all jobs are done. NULL is accepted. */
void parallel_close(struct parallel *p);

#endif
