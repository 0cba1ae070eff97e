/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.h - one traced process: which of its mapped files have probes, where its registries are,
 * and what is attached to it.
 */
#ifndef QSLOG_TARGET_H
#define QSLOG_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ingest.h"
#include "kernel.h"
#include "proc_facts.h"
#include "why.h"

struct target;

/* Looks at the process and opens what is needed to follow it. -ESRCH: no such process (any more);
 * -EPERM, -EACCES; errors of opening /proc/PID. */
int target_open(struct target **out, pid_t pid, struct why *why);
/* Detaches everything. NULL is accepted. */
void target_close(struct target *t);

pid_t target_pid(const struct target *t);
/* Readable when the process has ended. */
int target_pidfd(const struct target *t);
bool target_lives(const struct target *t);
/* False: it is not permitted (any more) to read its memory and mappings. */
bool target_readable(const struct target *t);
const struct proc_facts *target_facts(const struct target *t);

/* Looks for files with qslog probes that were not known yet; returns how many are known. */
int target_scan(struct target *t, struct why *why);

/* Makes the kernel take the process's batches, and notes where its arenas are. To be called once;
 * after that target_listen(). */
int target_attach(struct target *t, struct kernel *k, struct why *why);
/* Switches levels on, from `level` up, in every file that has sites, and verifies it. May be called
 * again after target_scan() has found more. */
int target_listen(struct target *t, struct kernel *k, uint8_t level, struct why *why);
/* Where the thread has ended through which the probes are attached: attaches through another one
 * of the process. 0 also where nothing has to be done; -ESRCH: the process ends. */
int target_follow(struct target *t, struct kernel *k, uint8_t level, struct why *why);
/* Switches the levels off; batches are still taken. */
void target_mute(struct target *t);

/* The file begins, or ends, at this moment: what was recorded outside is not taken. */
void target_window_begin(struct target *t);
void target_window_end(struct target *t);

/* Which clock the process's records have. 0; -EAGAIN: no runtime in it is initialised yet; -ENOTSUP:
 * it has two that differ; errors of reading its memory. */
int target_clock(const struct target *t, enum qslog_clock *clock, struct why *why);
/* The same as enum file_counter_kind; 0: not known yet, so that the file begins with the first
 * record. To be set before target_ingest(), and when it turns out. */
void target_counter_set(struct target *t, uint32_t kind);

/* That counter now; 0: not known yet. */
uint64_t target_counter(const struct target *t);

/* Adds the process to the writer and the ingest. */
int target_ingest(struct target *t, struct writer *writer, struct ingest *ingest);
struct ingest_process *target_ingest_process(const struct target *t);

/* Takes in sites that were registered at run time; to be called while the process lives, now and
 * then. */
void target_sites_fetch(struct target *t);

struct target_counts {
	unsigned int files, probes; /* files with qslog probes; probes attached to */
};
void target_counts_get(const struct target *t, struct target_counts *out);

#endif
