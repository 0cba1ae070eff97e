/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector_dump.h - dumps of snapshot mode: what the arenas of this process hold becomes a file.
 * All of it belongs to one thread, the collector's, but for opening and closing. What it needs of
 * malloc(3) comes from that thread's own arena then, which no crashed thread has locked, as long as
 * the allocator has one for it.
 */
#ifndef QSLOG_COLLECTOR_DUMP_H
#define QSLOG_COLLECTOR_DUMP_H

#include <limits.h>
#include <stdbool.h>

#include "clock_pair.h"
#include "proc_facts.h"
#include "safe_memory.h"
#include "snapshot_sites.h"

struct qslog_arena;

struct dumper {
	char path[PATH_MAX]; /* from the root, with %n; the rest is taken as it is up to `name` */
	size_t name;
	struct proc_facts facts;
	struct clock_scale scale;
	struct safe_past *past, own_past;
	struct safe_memory *memory; /* not the dumper's; NULL: there is none */
	struct snapshot_sites *sites;
	uint64_t lost_before; /* by threads without an arena, before the mode began */
	uint32_t written;
	uint32_t notes;
	/* of the record that is being taken: */
	struct qslog_arena *arena;
	uint64_t key;
};

/* `path` as in struct qslog_options. Arenas begin where they are now. 0; errors of
 * snapshot_path_resolve(), /proc and the clock; -ENOMEM. dumper_close() follows in any case. */
int dumper_open(struct dumper *d, const char *path);
void dumper_close(struct dumper *d);
/* From now on, what is noted goes there. */
void dumper_memory(struct dumper *d, struct safe_memory *memory);
struct writer_process dumper_process(const struct dumper *d);

/* Now and then: the time, and the names of threads, which may have ended at the next dump. */
void dumper_note(struct dumper *d);

/* `path` NULL: that of dumper_open(). `fatal`: it may be the last one. Errors as those of
 * qslog_snapshot_dump(). */
int dumper_write(struct dumper *d, const char *path, bool fatal);

/* A library is about to go. 0 or -ENOMEM. */
int dumper_keep_sites(struct dumper *d);

#endif
