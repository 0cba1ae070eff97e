/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sched_event.h - what passes between sched.bpf.c and the tracer: one event for each time that a traced
 * thread was off the CPU, submitted when it is back on it.
 */
#ifndef QSLOG_SCHED_EVENT_H
#define QSLOG_SCHED_EVENT_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* Why it left; the values are part of the file format (docs/format.md), append only. */
enum sched_why {
	SCHED_PREEMPTED = 0,	/* it could have gone on, but another thread got the CPU */
	SCHED_SLEEP = 1,	/* interruptible: most waiting */
	SCHED_DISK_SLEEP = 2,	/* uninterruptible */
	SCHED_STOPPED = 3,	/* SIGSTOP and the like */
	SCHED_DEBUGGED = 4,	/* stopped by a debugger (ptrace) */
	SCHED_OTHER = 5		/* parked, frozen */
};

/* Who ended the wait, or took the CPU; likewise. */
enum sched_who {
	SCHED_WHO_UNKNOWN = 0,
	SCHED_WHO_HARDIRQ = 1,	/* an interrupt: timers, devices */
	SCHED_WHO_SOFTIRQ = 2,	/* a softirq: network packets, for the most part */
	SCHED_WHO_THREAD = 3	/* who_tgid, who_tid, who_comm are valid */
};

enum sched_flag {
	SCHED_IO = 1,	  /* it waited for a block device */
	SCHED_EXITING = 2, /* on its way out */
	SCHED_OPEN = 4	  /* it was still off when this was asked for: on_ns is that moment */
};

#define SCHED_COMM_BYTES 16
#define SCHED_NO_SYSCALL (-1)

/* Times are CLOCK_MONOTONIC. */
struct sched_event {
	__u64 off_ns;
	__u64 ready_ns;	 /* when it was woken; 0: it was ready to run all the time */
	__u64 on_ns;
	__u32 process;	 /* struct proc_entry */
	__u32 tid;	 /* in the process's view */
	__u32 who_tgid;	 /* in the kernel's view */
	__u32 who_tid;	 /* in the process's view if who_tgid is traced, else in the kernel's */
	__s32 syscall;	 /* number; SCHED_NO_SYSCALL: it was in none (a page fault, a signal) */
	__u16 cpu;	 /* that it came back to */
	__u8 why;	 /* enum sched_why */
	__u8 who_flags;	 /* enum sched_who, and enum sched_flag from bit SCHED_FLAGS_SHIFT on */
	char who_comm[SCHED_COMM_BYTES]; /* not always terminated */
};
#define SCHED_WHO_MASK 3
#define SCHED_FLAGS_SHIFT 2
_Static_assert(sizeof(struct sched_event) == 64, "sched_event");

/* Set before load. */
struct sched_config {
	__u64 wakeup_bytes; /* wake the tracer when the ring buffer holds this much */
};

/* Events that were lost; a per-CPU counter each. */
enum sched_lost {
	SCHED_LOST_RING_FULL = 0, /* no room in the ring buffer */
	SCHED_LOST_STATE = 1,	  /* no memory for what is kept of a thread */
	SCHED_LOST_COUNT = 2
};

#endif
