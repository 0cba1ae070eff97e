/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_decode.h - rows become records, in two passes. rows_scan() walks all entries, checks them,
 * takes what they say about processes, threads, formats and clocks, and lists where the records
 * are; row_decode() makes a record of one of them. In between, a list may be put into time order.
 * Which span and trace a record belongs to hangs on the entries of its thread before it, so the
 * scan finds it out; records that follow one another in the same span share a context.
 */
#ifndef QSLOG_ROWS_DECODE_H
#define QSLOG_ROWS_DECODE_H

#include "catalog_in.h"
#include "clock_map.h"
#include "reader.h"

struct row {
	int64_t key;   /* order: the time, but never less than that of the thread's row before */
	int64_t ticks; /* the time */
	uint32_t off;  /* of the arguments, the duration, or cause and count */
	uint32_t thread, format; /* slots of the catalog */
	uint32_t kind : 8; /* enum record_kind */
	uint32_t context : 24; /* of the list's contexts, from 1; 0: none. Of OFF: of its offs */
};

/* An interval off the CPU. Its row's key is earlier than its time, but not more than this. */
#define OFF_ROW_EARLY_NS 50000
struct off_row {
	const struct record_process *process;
	uint64_t off, ready; /* nanoseconds */
	uint32_t tid, cpu;
	int32_t syscall;
	uint32_t syscall_at, who_at; /* where their names are, as strings; 0: none */
	uint32_t who_pid, who_tid;
	uint8_t head; /* of the entry */
};

struct row_list {
	struct row *rows;
	uint32_t cnt, cap;
	struct record_context *contexts;
	uint32_t context_cnt, context_cap;
	struct off_row *offs;
	uint32_t off_cnt, off_cap;
	uint32_t record_cnt; /* records that were scanned, wanted or not */
};

/* What entries leave for the next; carried from frame to frame of a block. */
struct rows_state {
	int64_t ticks;
	uint32_t thread; /* slot; HASH_INDEX_NONE: none yet */
	uint64_t tick_ns; /* of a file header; 0 where it says nothing, likewise: */
	uint64_t counter_kind, counter_hz;
	const uint8_t *host; /* in the data */
	uint32_t host_bytes;
	bool has_sched; /* likewise: intervals off the CPU are recorded */
	bool wants_off; /* set by who wants them: they become rows */
};

struct rows_problem {
	uint32_t off;
	const char *what;
};

void rows_state_init(struct rows_state *state);

/* Which rows get into the list; see reader_render in reader.h. */
struct rows_select {
	const struct reader_render *render;
	void *context;
};

/* Appends to the list. `select` may be NULL: all. -EBADMSG: *problem says why the rest cannot be read; what is before it is
 * in the list. -ENOMEM. */
int rows_scan(struct rows_state *state, struct catalog_in *catalog, struct clock_map *clock,
	      const struct rows_select *select, const uint8_t *data, uint32_t bytes,
	      struct row_list *list, struct rows_problem *problem);

/* Into time order; rows of equal keys keep theirs. 0 or -ENOMEM. */
int rows_sort(struct row_list *list);

/* `data` are the bytes that were scanned; *record points into them and into the catalog. */
int row_decode(const struct catalog_in *catalog, struct clock_map *clock, const uint8_t *data,
	       uint32_t bytes, const struct row_list *list, const struct row *row,
	       struct record *record);

/* What row_decode() needs for an OFF or OFF_LOST, of which the record only points to its parts. */
struct off_parts {
	struct record_off off;
	struct record_thread thread;
};
int row_decode_off(struct clock_map *clock, const uint8_t *data, uint32_t bytes,
		   const struct row_list *list, const struct row *row, struct off_parts *parts,
		   struct record *record);

/* Empties it and keeps its memory. */
void row_list_clear(struct row_list *list);
void row_list_fini(struct row_list *list);

#endif
