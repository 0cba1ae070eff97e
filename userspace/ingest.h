/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ingest.h - batches of arenas become records of a file: overlaps are trimmed, gaps and drops are
 * counted, records that straddle batches are put together, sites are resolved, filters applied.
 * Both transports end here: the tracer's ring buffer and the in-process collector.
 *
 * All bytes are hostile: nothing in a batch can make this crash, hang or grow without bound.
 * Functions return 0 or a negative errno; that of the writer is kept there (writer_totals).
 */
#ifndef QSLOG_INGEST_H
#define QSLOG_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "qslog_abi.h"
#include "writer.h"

struct ingest;
struct ingest_process;

struct ingest_filter {
	uint8_t level_min;	  /* enum qslog_level */
	const char *const *tags; /* fnmatch(3) patterns, NULL-terminated; NULL: all */
	const uint32_t *tids;	 /* in the processes' view, ended by 0; NULL: all */
	uint64_t duration_min_ns; /* spans that are shorter are left out: span_hold.h */
	uint32_t sample;	  /* one in so many: sampling.h; 0 and 1: all */
};

/* Records that filters left out: no losses. */
struct ingest_filtered {
	uint64_t site; /* level, tag */
	uint64_t tid, duration, sample;
};

/* How the records of one process are understood. */
struct ingest_source {
	void *arg;
	uint32_t pid;
	/* Static metadata of the site at `address`; the strings are not used after the next call.
	 * A negative errno: its records are counted as lost, LOSS_UNKNOWN_SITE. */
	int (*site)(void *arg, uint64_t address, struct writer_format *out);
	/* The process registered a site: `bytes` bytes of its memory at `address`, strings included
	 * (see qslog.h). NULL: not wanted. Errors show when the site is asked for. */
	void (*define)(void *arg, uint64_t address, const void *memory, uint32_t bytes);
	/* Name of a thread; "" if unknown. */
	void (*thread_name)(void *arg, uint32_t tid, char name[32]);
};

/* A run of bytes of one arena, as struct chunk of bpf/chunk.h describes it. */
struct ingest_batch {
	uint32_t registry, arena; /* name the arena within the process */
	uint32_t tid;
	uint64_t key;
	uint64_t from;		/* position of data[0]; a multiple of 8 */
	const void *data;	/* aligned to 8 */
	uint32_t bytes;		/* a multiple of 8 */
	bool resync;		/* what is missing before `from` cannot come any more */
	bool baseline;		/* and the first base_records are not a loss */
	uint64_t from_records;	/* with resync: records before `from` */
	uint64_t base_records;	/* with baseline */
	uint64_t dropped;	/* by the owner, so far */
};

/* The writer stays the caller's and outlives the ingest. Filter strings are not copied. */
int ingest_open(struct ingest **out, struct writer *writer, const struct ingest_filter *filter);
void ingest_close(struct ingest *in); /* NULL is accepted */

/* Records with a timestamp counter before `since` belong to an earlier listener and are passed
 * over (see ingest_process_window). `process` is the writer's index; `tag` its sites' default tag, copied. */
int ingest_process_add(struct ingest *in, uint32_t process, const char *tag, uint64_t since,
		       const struct ingest_source *source, struct ingest_process **out);
void ingest_process_remove(struct ingest_process *p); /* NULL is accepted */
uint32_t ingest_process_index(const struct ingest_process *p); /* the writer's */

/* Only records with a timestamp counter from `since` to `until` are taken from now on; others are
 * no loss, neither are gaps before a record that came too early or behind one that came too late.
 * Levels are switched on and off one after the other: within the window all are on. */
void ingest_process_window(struct ingest_process *p, uint64_t since, uint64_t until);

/* -ENOMEM: nothing of it was taken; it may be handed over again. (Single records for which there is
 * no memory are counted as lost, LOSS_UNWRITTEN.) */
int ingest_batch(struct ingest_process *p, const struct ingest_batch *batch);

/* Once no batch comes any more: losses are counted that there was no memory for before. 0, -ENOMEM. */
int ingest_settle(struct ingest_process *p);

/* The arena, last used by the thread `tid` under `key`, ends at position `head`, with these counts:
 * what is missing is lost, for `cause`. */
int ingest_arena_end(struct ingest_process *p, uint32_t registry, uint32_t arena, uint32_t tid,
		     uint64_t key, uint64_t head, uint64_t records, uint64_t dropped,
		     enum loss_cause cause);

/* How far the records of an arena have gone to the writer, exact also within a call of the writer:
 * a whole number of records lies before `pos`. */
struct ingest_position {
	uint64_t pos;
	uint64_t dropped; /* reported as lost */
	uint32_t thread;  /* the writer's number */
};
/* 0; -ENOENT: nothing of the arena has come. */
int ingest_position_get(struct ingest_process *p, uint32_t registry, uint32_t arena,
			struct ingest_position *out);

/* Records of nobody knows which threads, lost for `cause` so far. -ENOMEM: not counted yet, say it
 * again. */
int ingest_process_loss(struct ingest_process *p, enum loss_cause cause, uint64_t lost);

void ingest_filtered_get(const struct ingest *in, struct ingest_filtered *out);

/* The records' counter is at `now`: spans that were held back for their duration go on. */
int ingest_until(struct ingest_process *p, uint64_t now);

/* What was lost so far, by thread and cause; not what the writer could not write. */
struct ingest_losses;
const struct ingest_losses *ingest_losses_get(const struct ingest *in);

/* A library was unloaded: other sites may come to lie where its were. */
void ingest_sites_forget(struct ingest_process *p);

#endif
