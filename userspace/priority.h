/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * priority.h - the tracer gets a processor when it needs one, so that on a busy machine records are
 * not lost.
 *
 * Where the kernel groups processes by session (sysctl kernel.sched_autogroup_enabled, on by default
 * in most distributions; since 2.6.38), a nice value counts among the processes of a session only,
 * and what is traced is usually of another one. So the session has to get the value too
 * (/proc/PID/autogroup, see sched(7)), which is for the tracer to do where the session has nothing
 * but the tracer and what it was started from. It is given back in the end.
 */
#ifndef QSLOG_PRIORITY_H
#define QSLOG_PRIORITY_H

#include <stdbool.h>

struct priority {
	int group; /* /proc/self/autogroup, open; -1: nothing to give back */
	int group_nice; /* what it was */
};

/* As far as it is allowed, of the calling thread and those that it starts. False: the nice value does
 * not count against processes of other sessions, since the caller's has other processes too. */
bool priority_set(struct priority *p, int nice_value);
void priority_give_back(struct priority *p);
/* Does the kernel group processes by session? */
bool priority_groups(void);

#endif
