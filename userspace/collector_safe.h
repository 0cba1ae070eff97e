/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector_safe.h - what the collector does so that records survive the death of the process:
 * arenas are backed by a file (safe_memory.h), and `collected`, which gives an owner its room back,
 * moves on only when the records are in the output. recover.c puts the others there.
 */
#ifndef QSLOG_COLLECTOR_SAFE_H
#define QSLOG_COLLECTOR_SAFE_H

#include <pthread.h>

#include "ingest.h"
#include "safe_memory.h"

struct collector_safe {
	struct safe_memory *memory; /* NULL: there is none; the rest is not used then */
	struct writer *writer;
	struct ingest_process *process;
	struct qslog_arena *listed;  /* with records or drops that are not in the file yet */
	struct qslog_arena *visited; /* the ingest is at work on it */
	uint64_t unflushed_bytes;
};

/* Sets the hooks of the runtime and the writer's journal. 0 or -errno: there is none. */
int collector_safe_begin(struct collector_safe *s, struct writer *writer,
			 struct ingest_process *process, const char *path,
			 const struct writer_process *facts, uint64_t ring_bytes);
/* The hooks alone, in snapshot mode, where nothing is written and there is no journal. `s` is zeros. */
void collector_safe_hook(struct collector_safe *s, struct safe_memory *memory);
/* How many arenas found no room, up to now. */
uint64_t collector_safe_missed(const struct collector_safe *s);
/* Before the ingest is removed: the journal ends. What the writer has by now has to be flushed. */
void collector_safe_journal_end(struct collector_safe *s);
/* After the file is closed; `remove` false in a forked child, to which nothing of it belongs. */
void collector_safe_end(struct collector_safe *s, bool remove);

/* The arena is where `batch` begins; nothing before is of interest. */
void collector_safe_arena_begin(struct qslog_arena *arena, const struct ingest_batch *batch);
/* Around the ingest of a batch that ends at `head`. */
void collector_safe_take(struct collector_safe *s, struct qslog_arena *arena,
			 const struct ingest_batch *batch, uint64_t head);
void collector_safe_taken(struct collector_safe *s, struct qslog_arena *arena,
			  const struct ingest_batch *batch, uint64_t head);
/* In place of the latter: the ingest has not taken it. */
void collector_safe_refused(struct collector_safe *s, struct qslog_arena *arena,
			    const struct ingest_batch *batch);
/* The ingest has asked for the name of the thread. */
void collector_safe_name(struct collector_safe *s, const char name[32]);
/* Notes the time, which is that of the last records should the process die before the next. */
void collector_safe_clock(struct collector_safe *s);

#endif
