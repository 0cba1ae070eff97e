/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets.h - the set of traced processes: who they are, attaching to all of them, the end of each,
 * and what is still to be accounted for when one has ended.
 */
#ifndef QSLOG_TARGETS_H
#define QSLOG_TARGETS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ingest.h"
#include "kernel.h"
#include "target.h"
#include "why.h"

struct targets;

struct targets_options {
	uint8_t level; /* enum qslog_level: lowest recorded */
	/* A line for the user; NULL: nobody listens. */
	void (*say)(void *arg, const char *format, va_list args);
	void *arg;
};

int targets_open(struct targets **out, const struct targets_options *options, struct why *why);
/* Detaches from all that are left. NULL is accepted. */
void targets_close(struct targets *ts);

/* A process that runs. Errors of target_open(); -EEXIST is none: it is there already. */
int targets_add(struct targets *ts, pid_t pid, struct why *why);
/* Looks at the files of all processes. -ENODATA: one has no sites. */
int targets_scan(struct targets *ts, struct why *why);

/* The first that was added and has not ended, or NULL. */
struct target *targets_first(const struct targets *ts);
struct target *targets_find(const struct targets *ts, uint32_t tgid);
/* How many there are that have not ended. */
unsigned int targets_cnt(const struct targets *ts);
/* How many there have been. */
uint64_t targets_ever(const struct targets *ts);

/* May the memory and the mappings of all be read? */
bool targets_readable(const struct targets *ts);

/* Which clock their records have: as target_clock(). */
int targets_clock(const struct targets *ts, enum qslog_clock *clock, struct why *why);
void targets_counter_set(struct targets *ts, uint32_t kind);
int targets_ingest(struct targets *ts, struct writer *writer, struct ingest *ingest);

/* Takes the batches of all, notes where their arenas are, and switches the levels on. The file
 * begins when this returns. */
int targets_attach(struct targets *ts, struct kernel *k, struct why *why);

/* Readable when processes have ended: then targets_ended_look(). */
int targets_fd(const struct targets *ts);
void targets_ended_look(struct targets *ts);
/* What the kernel side noticed: processes that execute another program, threads that ended through
 * which probes were attached. To be called after each kernel_consume(); `drained`: nothing was
 * left. */
void targets_follow(struct targets *ts, bool drained);
/* Now and then: accounts for those that have ended, takes in libraries that were loaded, counts. */
void targets_tick(struct targets *ts, uint64_t now_ms);
/* Was it by executing another program that the last one ended? */
bool targets_executed(const struct targets *ts);

/* The file ends now: levels off, and what processes that go on still have is taken. */
void targets_mute(struct targets *ts);
/* Everything has been consumed: what is missing is counted. */
void targets_settle(struct targets *ts);

#endif
