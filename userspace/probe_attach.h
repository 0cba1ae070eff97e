/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe_attach.h - attaches the BPF programs to the probes of one file in one process: by a
 * multi-uprobe link where that works (one system call for all levels), else as libbpf does it for
 * USDT, by perf_event_open(2).
 */
#ifndef QSLOG_PROBE_ATTACH_H
#define QSLOG_PROBE_ATTACH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "elf_notes.h"
#include "qslog_abi.h"
#include "why.h"

struct bpf_program;
struct probe_link;

#define PROBE_PLACES_MAX 16 /* of one probe in one file; our headers make one */

/* Where a probe is, in the file. */
struct probe_place {
	uint64_t file_off, semaphore_file_off;
};

struct probe_places {
	struct probe_place place[PROBE_PLACES_MAX];
	uint32_t cnt;
};

/* The probes of a file that the tracer attaches to. */
struct probe_file {
	struct probe_places batch, module, record, level[QSLOG_LEVEL_COUNT];
	bool args_known; /* those of `batch`, `module` and `record` are where a BPF program finds them */
	bool many;	 /* there are more than PROBE_PLACES_MAX places of one */
};

void probe_file_init(struct probe_file *file, const struct elf_notes *notes);

/* Where to attach. */
struct probe_target {
	int fd;	     /* the file, open: the kernel attaches to this one, whatever its name is now */
	pid_t tgid;  /* the process; 0: all that map the file, now and later */
	pid_t alive; /* a thread of it that lives; perf_event_open(2) goes by that one's memory */
	const struct probe_file *probes;
};

/* The programs to attach; for a multi-uprobe link they are others than for libbpf. */
struct probe_programs {
	struct bpf_program *batch_multi, *module_multi, *record_multi, *level_multi;
	struct bpf_program *batch, *module, *record, *level;
	bool each_record; /* qslog:record is attached with the levels */
	bool multi; /* such links work */
};

/* qslog:batch and qslog:module (which older runtimes do not have): the programs get `cookie`. */
int probe_attach_batch(const struct probe_programs *programs, const struct probe_target *target,
		       uint64_t cookie, struct probe_link **out, struct why *why);
int probe_attach_module(const struct probe_programs *programs, const struct probe_target *target,
			uint64_t cookie, struct probe_link **out, struct why *why);
/* qslog:level_X of every level from `level_min` on. */
int probe_attach_levels(const struct probe_programs *programs, const struct probe_target *target,
			uint8_t level_min, struct probe_link **out, struct why *why);

/* qslog:record, which all levels hit then. */
int probe_attach_record(const struct probe_programs *programs, const struct probe_target *target,
			struct probe_link **out, struct why *why);

/* Detaches; NULL is accepted. */
void probe_link_close(struct probe_link *link);
/* How many probes it is attached to. */
unsigned int probe_link_cnt(const struct probe_link *link);
/* Does it go on when the thread ends through which it was attached? */
bool probe_link_stays(const struct probe_link *link);

#endif
