/* SPDX-License-Identifier: BSD-2-Clause */
/* target_priv.h - a traced process, for target.c and target_probes.c. */
#ifndef QSLOG_TARGET_PRIV_H
#define QSLOG_TARGET_PRIV_H

#include "dynamic_sites.h"
#include "probed_files.h"
#include "site_resolver.h"
#include "target.h"

#define TARGET_FILES_MAX 256u
#define TARGET_RUNTIMES_MAX 1024u

/* A file with probes, where the process has it mapped. */
struct target_file {
	struct probed_file *file;
	uint64_t bias;
	/* In this process only; NULL: not attached, or in all processes (see struct probed_file). */
	struct probe_link *batch, *module, *levels;
};

/* A copy of the runtime: a library that has one may be unloaded and loaded again. */
struct target_runtime {
	uint32_t file, instance;
};

struct target {
	struct target_options options;
	pid_t pid;
	uint32_t number; /* of the kernel side; 0: not known there yet */
	/* A thread that lives: the process is looked at and attached to through it. The main thread,
	 * as long as that has not ended before the others. */
	pid_t alive;
	int pidfd; /* -1: only what others say of it is known */
	bool gone; /* it could not be opened any more */
	struct proc_facts facts;
	struct site_resolver *resolver;
	struct dynamic_sites *dynamic; /* registered at run time */
	struct ingest_process *process;
	struct target_file *files;
	unsigned int file_cnt, unseen;
	int unseen_error;
	struct target_runtime *runtimes;
	unsigned int runtime_cnt;
	uint64_t since, until; /* counters */
};

/* Opens a process that is known by hearsay only. -ESRCH: it has ended, whoever has its id now. */
int target_hold(struct target *t);
/* A thread of it that lives becomes `alive`. */
int target_thread_find(struct target *t);
bool target_thread_lives(pid_t tid);
/* Words an error of looking at the process. */
int target_process_error(pid_t pid, int err, struct why *why);

/* Where a file is mapped now; NULL: no room. */
struct target_file *target_file_set(struct target *t, struct probed_file *file, uint64_t bias);
void target_links_close(struct target *t);

#endif
