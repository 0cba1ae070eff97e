/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scheduler.h - qslog-trace --sched: when and why the threads of traced processes were off the CPU.
 * BPF programs of their own (bpf/sched.bpf.c) with a ring buffer of their own; what comes out of it
 * gets the times of records and goes to the writer. All of a session's hooks are here.
 */
#ifndef QSLOG_SCHEDULER_H
#define QSLOG_SCHEDULER_H

#include <stdint.h>
#include <sys/types.h>

#include "why.h"
#include "writer.h"

struct scheduler;

struct scheduler_options {
	uint32_t ring_bytes; /* a power of two, of at least a page */
	int procs_fd;	     /* the map of traced processes (kernel.h) */
	/* The writer's index of a process by its number (struct proc_entry), or a negative value: not
	 * known yet, or any more. Asked while its events are taken. */
	int (*process)(void *arg, uint32_t number);
	void *arg;
};

/* Loads and attaches. To be called before levels are switched on, so that no span begins before. */
int scheduler_open(struct scheduler **out, const struct scheduler_options *options, struct why *why);

/* Readable when there is much; otherwise scheduler_consume() is to be called now and then, the more
 * often the sooner a reader knows. */
int scheduler_epoll_fd(const struct scheduler *s);
/* Hands what there is to the writer. 0 or -errno of it, which it keeps. */
int scheduler_consume(struct scheduler *s, struct writer *w);
/* Once no record comes any more: detaches, and takes everything, threads that are off included. */
int scheduler_finish(struct scheduler *s, struct writer *w);

void scheduler_close(struct scheduler *s); /* NULL is accepted */

#endif
