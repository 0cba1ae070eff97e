/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * safe_memory.h - memory for the arenas of this process that outlives it: a file on tmpfs
 * (safe_layout.h). Where there is none to be had, arenas are anonymous memory as ever, and what the
 * file has not got yet dies with the process.
 */
#ifndef QSLOG_SAFE_MEMORY_H
#define QSLOG_SAFE_MEMORY_H

#include <stdbool.h>

#include "clock_pair.h"
#include "safe_layout.h"
#include "writer.h"

#ifndef SAFE_DIR
#define SAFE_DIR "/dev/shm"
#endif
#define SAFE_BYTES_MAX (UINT64_C(512) << 20) /* of one process; arenas beyond it are not safe */

struct safe_memory;

/* Creates SAFE_DIR/qslog-UID-PID-RANDOM, or else the same beside `output`, locked as long as the
 * process lives. In snapshot mode `output` is the path of a file to come, with %n for the number of
 * the dump, and there is no file_id (NULL). 0 or -errno. */
int safe_memory_open(struct safe_memory **out, const char *output, const uint8_t file_id[16],
		     const struct clock_scale *scale, const struct writer_process *process,
		     uint64_t ring_bytes);
/* Removes the file, unless a forked child closes what it has inherited. Arenas stay mapped. NULL
 * is accepted. */
void safe_memory_close(struct safe_memory *m, bool remove);

/* A place for an arena: `bytes` zeros at *offset of *fd, reserved. -ENOSPC: there is none, which is
 * counted. Uses system calls only. */
int safe_memory_arena(struct safe_memory *m, uint64_t bytes, int *fd, uint64_t *offset);

/* How many arenas found room, and how many did not. */
void safe_memory_counts(const struct safe_memory *m, uint64_t *safe, uint64_t *not_safe);

/* Notes the files that are mapped now, in addition to those before. One call at a time. */
int safe_memory_modules(struct safe_memory *m);

/* Copies what is new in the memory of registered sites. One call at a time. */
int safe_memory_slabs(struct safe_memory *m, const struct qslog_site_slab *newest);

/* The journal: the number of the write that comes next, and its beginning. */
uint64_t safe_memory_write_next(const struct safe_memory *m);
void safe_memory_write_begin(struct safe_memory *m, const struct safe_write *write);
/* The output is about to become another file (`done` false), and then is that. */
void safe_memory_file(struct safe_memory *m, const uint8_t file_id[16], bool done);
/* What time it is; the scale may have been moved. */
void safe_memory_clock(struct safe_memory *m, const struct clock_scale *scale,
		       const struct clock_pair *pair);

/* Snapshot mode. Pairs of the past are kept there. `dumped`: a dump for a fatal signal has what is in the
 * arenas up to their pending_pos. The file is unlinked when nobody will need it any more. */
struct safe_past *safe_memory_past(struct safe_memory *m);
void safe_memory_dumped(struct safe_memory *m, bool dumped);
void safe_memory_unlink(struct safe_memory *m);

void safe_past_add(struct safe_past *past, const struct clock_pair *pair);
/* In increasing order of ticks; returns how many. `past` may be hostile. */
uint32_t safe_past_get(const struct safe_past *past, struct clock_pair pairs[SAFE_PAST]);

static inline struct safe_arena *safe_arena_of(const struct qslog_arena *arena)
{
	return (struct safe_arena *)((uintptr_t)arena + SAFE_ARENA_OFF);
}

#endif
