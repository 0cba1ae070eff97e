/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_ends.h - which BPF programs are hooked to the ends of processes, so that what these had
 * not pushed is copied out of them. By what the kernel has, and what may be done:
 *
 *   early       sched_process_exit and sched_prepare_exec: the memory is still there (6.16)
 *   signal      signal_deliver, and the system calls exit_group and execve; needs tracefs
 *   functions   the kernel functions do_group_exit() and begin_new_exec(); needs neither
 *   signal only what kills is seen, exit_group and execve are not
 */
#ifndef QSLOG_KERNEL_ENDS_H
#define QSLOG_KERNEL_ENDS_H

#include "why.h"

struct qslog_bpf;
struct bpf_link;

#define KERNEL_ENDS_MAX 6 /* programs */

enum kernel_ends_way { ENDS_EARLY, ENDS_SIGNAL, ENDS_FUNCTIONS, ENDS_SIGNAL_ONLY };

struct kernel_ends {
	enum kernel_ends_way way;
	struct bpf_link *links[KERNEL_ENDS_MAX];
};

/* Between open and load of the skeleton. `wanted`: NULL, or for tests the way of an older kernel:
 * "signal", "functions", "signal-only". */
int kernel_ends_choose(struct kernel_ends *ends, struct qslog_bpf *skel, const char *wanted,
		       struct why *why);
/* After load. */
int kernel_ends_attach(struct kernel_ends *ends, struct qslog_bpf *skel, struct why *why);
void kernel_ends_close(struct kernel_ends *ends);

/* What is hooked, for people. */
const char *kernel_ends_text(const struct kernel_ends *ends);
/* What it cannot do, and what helps; NULL: it can do everything. */
const char *kernel_ends_degraded(const struct kernel_ends *ends);

#endif
