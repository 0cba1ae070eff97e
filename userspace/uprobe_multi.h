/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uprobe_multi.h - multi-uprobe links, by the system call itself: libbpf has them from 1.3 on.
 *
 * One such link attaches a program to many places of a file in one go, counts their semaphores up,
 * and needs no more than CAP_BPF and CAP_PERFMON, where uprobes by perf_event_open(2) need
 * CAP_SYS_ADMIN. Kernels have it from 6.6 on; its filter by process works from 6.10 on (and in
 * later 6.6.y), before that it ran the program for a single thread.
 */
#ifndef QSLOG_UPROBE_MULTI_H
#define QSLOG_UPROBE_MULTI_H

#include <stdint.h>
#include <sys/types.h>

/* To be set as expected attach type of a program of type kprobe before it is loaded. */
#define UPROBE_MULTI_ATTACH_TYPE 48 /* BPF_TRACE_UPROBE_MULTI of <linux/bpf.h> */

/* Has the kernel links of this kind that filter by process? 0; -ENOTSUP: it has none; -EINTR: it
 * has, but they filter by thread; -EPERM: the capabilities to find out are missing. */
int uprobe_multi_probe(void);

/*
 * Attaches the program to `cnt` places of the file at `path`, in the process `tgid` only (0: all).
 * `semaphores`: where in the file their semaphores are, 0 for none; `cookies` are for
 * bpf_get_attach_cookie(). Returns the link's descriptor: closing it detaches; or a negative errno.
 */
int uprobe_multi_attach(int program_fd, const char *path, pid_t tgid, const uint64_t *offsets,
			const uint64_t *semaphores, const uint64_t *cookies, uint32_t cnt);

#endif
