/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_team.h - threads that do the same burst at the same moment, each on one processor. The
 * calling thread is one of them, so that a team of one is no thread more.
 */
#ifndef QSLOG_BENCH_TEAM_H
#define QSLOG_BENCH_TEAM_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench_calls.h"

#define TEAM_MAX 4

enum team_work {
	TEAM_COUNTER,	/* bare reads of the counter */
	TEAM_FLOOR_OFF, /* the floor of a call while nobody listens */
	TEAM_FLOOR_ON,	/* ... while somebody listens */
	TEAM_CALLS,
	TEAM_EACH, /* calls, each one timed: into `ticks` */
	TEAM_RING, /* of the floor, this many bytes (0: give it back) */
	TEAM_PIN,  /* to the nth processor */
	TEAM_END,
};

/* Each on lines of its own: what a thread writes, no other one reads while a burst runs. */
struct team_member {
	struct team *team;
	pthread_t thread;
	struct call_values values;
	uint32_t *ticks;      /* for TEAM_EACH */
	uint64_t cpu_ns;      /* of the last burst: processor time of the thread, */
	uint64_t ticks_spent; /* and what the counter went on by meanwhile */
	bool on_first;	      /* runs on the same processor as the first */
	int err;
} __attribute__((aligned(128)));

struct team {
	unsigned int cnt;
	enum call_kind kind;
	pthread_mutex_t starting;
	pthread_barrier_t barrier;
	cpu_set_t allowed;   /* of the process */
	enum team_work work; /* set before the barrier */
	uint64_t amount;
	struct team_member members[TEAM_MAX];
	uint32_t ready __attribute__((aligned(128))); /* that are about to begin, ever */
	uint32_t ready_wanted;
};

/* `cnt` threads (<= TEAM_MAX). The values of the nth begin as bench_calls.h says. 0 or -errno. */
int team_begin(struct team *t, unsigned int cnt, enum call_kind kind);
/* Each does `amount` calls; returns when all have. 0 or the -errno of one of them. */
int team_run(struct team *t, enum team_work work, uint64_t amount);
void team_end(struct team *t);

#endif
