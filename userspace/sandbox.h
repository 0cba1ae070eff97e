/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox.h - a seccomp filter for the tracer's loop, which reads what hostile processes have
 * written. What the loop never does fails with EPERM: executing programs, starting processes,
 * sending signals, tracing or writing to other processes, sockets, mounts, namespaces, other ids,
 * modules, key rings, io_uring. The loop still opens and writes files, reads processes, and attaches
 * to what comes later (bpf(2), perf_event_open(2)).
 */
#ifndef QSLOG_SANDBOX_H
#define QSLOG_SANDBOX_H

#include <stdbool.h>

#include "why.h"

/* For all threads, for good. `dropped`: after privilege_drop(), when loading BPF programs, making
 * maps and perf_event_open(2) are over as well. `continues`: processes that were stopped for it to
 * look at are to be let go: SIGCONT may be sent. -ENOTSUP: not in this kernel. */
int sandbox_enter(bool dropped, bool continues, struct why *why);

#endif
