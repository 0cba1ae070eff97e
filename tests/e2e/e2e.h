/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * e2e.h - what the end-to-end tests share: a folder that goes away, processes with deadlines, and
 * the comparison of a file with what the workload fixture says that it issued.
 *
 * Nothing here can wait for ever: every wait has a deadline, and processes that a test starts are
 * killed when the test ends, however it ends.
 */
#ifndef E2E_H
#define E2E_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../fixtures/shared.h"

#define E2E_WAIT_MS 30000

/* Group setup and teardown: e2e_path() names files in a folder of the test's own. */
int e2e_setup(void **state);
int e2e_teardown(void **state);
const char *e2e_path(const char *name);
/* A program of the build: "qslog-trace", "tests/fixtures/workload". */
const char *e2e_build(const char *name);

/* The signal way of harvesting attaches to tracepoints of system calls by their numbers there: where
 * it is not mounted, this process and its children get it in a mount namespace of their own. */
void e2e_tracefs(void);

struct proc {
	pid_t pid;
	int pidfd;
	int in, out, err;	/* pipes to its standard streams; -1: closed */
	char text_out[65536], text_err[16384]; /* what it has printed, as far as it fits */
	int status;		/* of waitpid(2), once it has ended */
};

/* argv ends with NULL; environment: NULL or "NAME=value" strings that are added. Fails the test
 * if it cannot be started. */
void proc_start(struct proc *p, const char *const *argv, const char *const *environment);
/* Waits until `text` was printed on standard error (or output). */
void proc_expect_err(struct proc *p, const char *text);
void proc_expect_out(struct proc *p, const char *text);
void proc_write(struct proc *p, const char *text);
void proc_kill(struct proc *p, int sig);
/* Waits for its end; returns the exit status, or 128 + signal. */
int proc_wait(struct proc *p);

/* The summary line of qslog-trace. */
struct summary {
	uint64_t records, lost;
};
void summary_of(const struct proc *p, struct summary *out);

struct shared *shared_open(const char *path);
void shared_close(struct shared *s);
uint64_t shared_total(const struct shared *s);

enum expect {
	EXPECT_ALL,	 /* delivered + lost == issued */
	EXPECT_SUM,	 /* the same, but a loss may be noted before or after its gap */
	EXPECT_IN_FLIGHT, /* as ALL, or one more, for a call that had not returned */
	EXPECT_CRASH,	 /* as SUM, or one more */
	EXPECT_AT_LEAST, /* at_end <= delivered + lost */
	EXPECT_STOPPED,	 /* the same, but a loss may be noted before or after its gap */
	EXPECT_PART,	 /* some are missing: order, no duplicates, no damage */
	EXPECT_TORN,	 /* likewise, but the writer was killed: the tail may end amid a write */
};
struct counted {
	uint64_t delivered, lost;
	unsigned int ends; /* threads whose last record is there */
};
/*
 * Reads the file, or all of its set, and compares each thread's records with what it issued: strictly increasing
 * sequence, no damage, every gap counted as lost before it ends, and the sums.
 */
void counts_check(const char *file, const struct shared *s, unsigned int threads,
		  enum expect expect, struct counted *out);
/* The same for one process of several in the file. */
void counts_check_of(const char *file, pid_t pid, const struct shared *s, unsigned int threads,
		     enum expect expect, struct counted *out);

#endif
