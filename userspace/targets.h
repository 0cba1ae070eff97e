/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets.h - the set of traced processes: who they are, those that come while the session runs,
 * attaching to all of them, the end of each, and what is to be accounted for then.
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
	bool follow;   /* children, and what is executed, too */
	bool exes;     /* targets_exe() will be called */
	bool snapshot; /* there is an ingest only while a dump is written */
	/* A line for the user; NULL: nobody listens. */
	void (*say)(void *arg, const char *format, va_list args);
	void *arg;
};

int targets_open(struct targets **out, const struct targets_options *options, struct why *why);
/* Detaches from all that are left. NULL is accepted. */
void targets_close(struct targets *ts);

/* A process that runs. Errors of target_open(). */
int targets_add(struct targets *ts, pid_t pid, struct why *why);
/* A program: who runs it, or will, is to be traced, also when the path (which must stay valid) comes
 * to be another file's. Errors of probed_files_path(). */
int targets_exe(struct targets *ts, const char *path, struct why *why);
/* Looks at the files of all processes. -ENODATA: one has no sites (and none can follow). */
int targets_scan(struct targets *ts, struct why *why);

/* The first that was added and has not ended, or NULL. */
struct target *targets_first(const struct targets *ts);
/* How many there are that have not ended. */
/* Has one ended that is not forgotten yet? */
bool targets_ended(const struct targets *ts);
unsigned int targets_cnt(const struct targets *ts);
/* How many there have been. */
uint64_t targets_ever(const struct targets *ts);
/* May more come, when there are none? */
bool targets_expect_more(const struct targets *ts);

/* May the memory and the mappings of all be read? */
bool targets_readable(const struct targets *ts);

/* Which clock their records have: as target_clock(). */
int targets_clock(const struct targets *ts, enum qslog_clock *clock, struct why *why);
/* The same as enum file_counter_kind; 0: not known yet, so that the file begins with the first
 * record. To be set before targets_ingest(), and when it turns out. */
void targets_counter_set(struct targets *ts, uint32_t kind);
void targets_ingest(struct targets *ts, struct writer *writer, struct ingest *ingest);

/* Takes the batches of all, notes where their arenas are, and switches the levels on. The file
 * begins when this returns. */
int targets_attach(struct targets *ts, struct kernel *k, struct why *why);

/* To be called with what kernel_consume() has: the process of a chunk of records, known to the
 * ingest; NULL: there is no memory. And what happens to a process. */
struct target *targets_of(struct targets *ts, const struct chunk *chunk);
/* A process by its number, known to the ingest; NULL: it is not here yet, or any more. */
struct target *targets_numbered(struct targets *ts, uint32_t number);
void targets_event(struct targets *ts, const struct chunk *chunk, const struct process_event *event,
		   const struct process_program *program);
/* What is left of that when nothing is taken any more. */
void targets_let_go(struct targets *ts, const struct chunk *chunk, const struct process_event *event);

/* Readable when processes have ended, or programs were replaced: then targets_ended_look(). */
int targets_fd(const struct targets *ts);
void targets_ended_look(struct targets *ts);
/* To be called after each kernel_consume(); `drained`: nothing was left. */
void targets_follow(struct targets *ts, bool drained);
/* Now and then: accounts for those that have ended, takes in libraries that were loaded, counts. */
void targets_tick(struct targets *ts, uint64_t now_ms);
/* Was it by executing another program that the last one ended? */
bool targets_executed(const struct targets *ts);

/* The file ends now: levels off, and what processes that go on still have is taken. */
void targets_mute(struct targets *ts);
/* For a dump: what is recorded from now on is not in it. */
void targets_window_end(struct targets *ts);
/* A dump is written: the next one is another file, and has what memory holds then. */
void targets_forget(struct targets *ts);
/* Everything has been consumed: what is missing is counted. */
void targets_settle(struct targets *ts);

#endif
