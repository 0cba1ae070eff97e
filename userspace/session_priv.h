/* SPDX-License-Identifier: BSD-2-Clause */
/* session_priv.h - what session.c, and session_snapshot.c for --snapshot, share. */
#ifndef QSLOG_SESSION_PRIV_H
#define QSLOG_SESSION_PRIV_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "ingest.h"
#include "kernel.h"
#include "launch.h"
#include "priority.h"
#include "privilege.h"
#include "session.h"
#include "trace_output.h"
#include "trace_snapshot.h"

#define FINISH_ROUNDS 64 /* pulls, with what they bring taken in between */

struct session {
	const struct options *options;
	struct kernel *kernel;
	struct targets *targets;
	struct launch launch;
	struct privilege_user user; /* with --drop-privs */
	bool launched;
	struct priority priority;
	struct writer *writer;
	struct trace_snapshot snapshot;
	uint64_t chosen_missed; /* hits of chosen sites that the last dump for one came after */
	uint32_t harvests;	/* that it came after */
	struct ingest *ingest;
	struct live *live;
	struct scheduler *scheduler; /* NULL: not asked for */
	struct writer_totals totals;
	int epoll, timer, signals;
	sigset_t signals_before;
	bool terminal; /* it had one at the beginning */
	uint64_t started_ms, status_ms;
	uint32_t counter_kind; /* enum file_counter_kind of the file's times; 0: not known yet */
	bool status_shown, clock_said;
	bool closing; /* nothing is taken any more */
	bool flush_due; /* the last was put off */
	struct trace_output trace_output;
	char output[PATH_MAX];
};

uint64_t session_monotonic_ms(void);
/* The status line goes, something else is about to be printed. */
void session_status_clear(struct session *s);
/* Records become those of the writer that has just been opened. */
int session_ingest_begin(struct session *s);
/* All that waits in the ring buffer. */
void session_consume_all(struct session *s);
/* All processes have ended. */
enum session_end session_ended_how(const struct session *s);

/* session_run() and session_finish() of --snapshot. */
int session_snapshot_run(struct session *s, enum session_end *end, struct why *why);
void session_snapshot_finish(struct session *s, struct writer_totals *totals);

#endif
