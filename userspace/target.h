/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.h - one traced process: which of its mapped files have probes, where its registries are,
 * what is attached to it, and how its records are understood.
 */
#ifndef QSLOG_TARGET_H
#define QSLOG_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "elf_cache.h"
#include "ingest.h"
#include "kernel.h"
#include "probed_files.h"
#include "proc_facts.h"
#include "why.h"

struct target;

/* What outlives it. */
struct target_options {
	struct probed_files *files;
	struct elf_cache *cache;
	bool everywhere; /* attach to all processes that have its files, not to it alone */
	uint32_t flags;	 /* enum process_flag */
};

/* Looks at the process and opens what is needed to follow it. -ESRCH: no such process (any more);
 * -EPERM, -EACCES; errors of opening /proc/PID. */
int target_open(struct target **out, const struct target_options *options, pid_t pid,
		struct why *why);

/* One that the kernel side tells of; it may have ended. */
struct target_birth {
	pid_t pid;
	uint32_t number;
	const struct process_event *event;
	const struct target *parent;		/* whose copy it is; or NULL, and then: */
	const struct process_program *program;	/* NULL: nothing is known */
	struct probed_file *file;		/* its program; NULL: has no probes, or is not known */
};
int target_born(struct target **out, const struct target_options *options,
		const struct target_birth *birth);

/* Detaches everything. NULL is accepted. */
void target_close(struct target *t);

pid_t target_pid(const struct target *t);
/* The kernel side's number: 0 before target_attach(). */
uint32_t target_number(const struct target *t);
void target_number_set(struct target *t, uint32_t number);
/* Readable when the process has ended; -1: see target_born(). */
int target_pidfd(const struct target *t);
bool target_lives(const struct target *t);
/* False: it has ended, or executed another program, since it was looked at. */
bool target_current(const struct target *t);
/* False: it is not permitted (any more) to read its memory and mappings. */
bool target_readable(const struct target *t);
const struct proc_facts *target_facts(const struct target *t);

/* Looks for files with qslog probes that were not known yet; returns how many are known. Those that
 * it could not look at are counted: see target_counts_get(). */
int target_scan(struct target *t, struct why *why);
/* The program is this one, whose code begins at `start`. 0, -ENOMEM. */
int target_program(struct target *t, struct probed_file *file, uint64_t start);
/* It says that the file is mapped where its struct qslog_control is at `control`: from now on other
 * records of its than before may come from there. */
void target_mapped(struct target *t, struct probed_file *file, uint64_t control);

/* Makes the kernel take the process's batches. -EEXIST: the kernel side had it before. After that
 * target_listen(). Both may be called again after target_scan() has found more. */
int target_attach(struct target *t, struct kernel *k, struct why *why);
/* Switches levels on, from `level` up, in every file that has sites, and verifies it. */
int target_listen(struct target *t, struct kernel *k, uint8_t level, struct why *why);
/* Where the thread has ended through which the probes are attached: attaches through another one
 * of the process. 0 also where nothing has to be done; -ESRCH: the process ends. */
int target_follow(struct target *t, struct kernel *k, uint8_t level, struct why *why);
/* Switches the levels off; batches are still taken. (Those of all processes: probed_files_mute.) */
void target_mute(struct target *t);

/* Which clock the process's records have. 0; -EAGAIN: no runtime in it is initialised yet; -ENOTSUP:
 * it has two that differ; errors of reading its memory. */
int target_clock(const struct target *t, enum qslog_clock *clock, struct why *why);

/* Only records with counters from `since` to `until` are taken. */
void target_window(struct target *t, uint64_t since, uint64_t until);

/* Adds the process to the writer and the ingest. NULL before. */
int target_ingest(struct target *t, struct writer *writer, struct ingest *ingest);
void target_ingest_end(struct target *t);
struct ingest_process *target_ingest_process(const struct target *t);
/* What the ingest calls the registry: the runtime of a file, that may have been loaded repeatedly. */
uint32_t target_runtime(struct target *t, uint32_t file, uint32_t instance);

/* Takes in sites that were registered at run time; to be called while the process lives, now and
 * then. */
void target_sites_fetch(struct target *t);

struct target_counts {
	unsigned int files, probes; /* files with qslog probes; probes attached to */
	unsigned int unseen;	    /* files that the last scan could not look at, */
	int unseen_error;	    /* and why not: the first such error */
};
void target_counts_get(const struct target *t, struct target_counts *out);

#endif
