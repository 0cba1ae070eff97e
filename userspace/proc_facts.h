/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc_facts.h - what /proc tells about a process and its threads by name: for the process and
 * thread entries of a file, and to tell a process from a later one of the same pid.
 *
 * `pid` and `tid` are as the caller's own PID namespace has them. Names are sanitised for display:
 * control characters become '?'. Errors are negative errnos; -ESRCH: gone.
 */
#ifndef QSLOG_PROC_FACTS_H
#define QSLOG_PROC_FACTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The facts that a file keeps of a process. All strings are owned by the struct. */
struct proc_facts {
	pid_t pid;
	uint64_t start_ticks;	/* since boot, as in /proc/PID/stat: with pid, names the process */
	uint64_t start_time_ns; /* CLOCK_REALTIME, to the resolution of the clock tick (10 ms) */
	char *name;		/* last part of exe; the kernel's comm where exe cannot be read */
	char *exe;		/* path, without " (deleted)"; "" if it cannot be read */
	char *command;		/* arguments joined by spaces; "" if none; ends in " ..." where cut */
};

#define PROC_COMMAND_BYTES_MAX 16384u

int proc_facts_read(struct proc_facts *out, pid_t pid);
void proc_facts_free(struct proc_facts *facts); /* what it points to; NULL is accepted */

struct proc_thread {
	pid_t tid;
	pid_t ns_tid; /* as gettid() says inside the process: differs in a PID namespace */
	char name[32];
};

/* The threads of a process now, without those that end meanwhile; `out` is given to free(). */
int proc_threads_read(pid_t pid, struct proc_thread **out, size_t *cnt);

/* One thread; -ESRCH when it has ended. */
int proc_thread_read(pid_t pid, pid_t tid, struct proc_thread *out);

#endif
