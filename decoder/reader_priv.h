/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader_priv.h - what the parts of the reader share. reader.c opens files and picks the next
 * record or line; reader_load.c makes blocks ready for it, in three steps:
 *
 *   scan    read, decompress, find the rows, sort them     any thread
 *   join    what hangs on the blocks before                caller's thread, in order of the file
 *   render  rows become lines, if lines are wanted         any thread
 *
 * As many blocks as the window holds are in these steps at a time ("in flight").
 */
#ifndef QSLOG_READER_PRIV_H
#define QSLOG_READER_PRIV_H

#include "block_in.h"
#include "buffer.h"
#include "parallel.h"
#include "rows_decode.h"
#include "span_times.h"

#define READER_LOADED_BYTES_MAX ((size_t)256 << 20)

/* A block, or the tail. */
struct loaded {
	struct parallel_job job; /* first */
	struct reader *reader;
	struct block_ref ref;
	bool is_tail;
	uint64_t order;
	struct block_buffer buffer;
	const uint8_t *data; /* rows */
	uint32_t bytes;
	struct catalog_in catalog;
	struct clock_map clock; /* its own pairs; once joined, what its rows need */
	struct row_list list;
	bool unreadable;
	bool wanted; /* else a look at it was enough */
	const char *what; /* damage, to be reported */
	int err;
	int64_t head;  /* key of the next row or line */
	uint32_t next; /* row or line */
	void *context; /* of reader_render */
	uint32_t rendered; /* rows */
	struct buffer text;
	struct reader_line *lines;
	uint32_t line_cnt, line_cap;
	size_t counted; /* in reader.loaded_bytes */
	struct loaded *spare;
};

struct thread_key {
	uint64_t number;
	int64_t last;
};

struct reader_classic;

struct reader {
	struct reader_classic *classic; /* a file of the original format: nothing else is used then */
	struct block_in in;
	struct tail_in tail;
	bool tail_pending; /* to be loaded after the last block */
	bool tail_used;
	struct catalog_pool *pool;
	struct clock_map clock;
	struct thread_key *thread_keys; /* newest keys of threads in blocks that were joined */
	uint32_t thread_key_cnt, thread_key_cap;
	struct hash_index thread_key_by_number;
	struct reader_hint hint;
	bool started;
	uint64_t blocks_all;
	int64_t *earliest; /* per ref; of it and all that follow, the tail included */
	/* Blocks by their number, that of the tail being the last: these are in flight. */
	struct parallel *parallel; /* may be NULL */
	struct loaded **flight;	   /* at number % window */
	uint32_t window;
	uint32_t block_cnt, taken, joined, begun; /* taken <= joined <= begun */
	struct loaded **heap;
	uint32_t heap_cnt, heap_cap;
	size_t loaded_bytes;
	struct loaded *spares;
	struct loaded *current; /* top of the heap: what was handed out is of it */
	uint64_t run_cnt;
	struct reader_render render;
	bool renders;
	struct record record;
	struct off_parts off;	  /* of the record, if it is one */
	bool wants_off;		  /* times are asked for, and there is something to take them from */
	struct span_times *times; /* with that, unless the caller has it */
	struct reader_totals totals;
};

/* The next block in the order of the file, joined and with its first lines if lines are wanted.
 * 0; -errno; it may be empty. */
int reader_take(struct reader *r, struct loaded **out);
/* Keeps the threads busy: begins and joins blocks as far as the window goes. */
int reader_pump(struct reader *r);
/* The lines are used up: makes those of the rows that follow, if there are any. */
int reader_render_more(struct reader *r, struct loaded *l);
void reader_give_back(struct reader *r, struct loaded *l); /* NULL is accepted */
void reader_spares_free(struct reader *r);
void reader_load_fini(struct reader *r);

/* reader_classic.c: the parts of the functions in reader.h that are about such files. */
int reader_classic_open(struct reader *r, const char *path, reader_damage_fn *damage, void *arg);
int reader_classic_next(struct reader *r, const struct record **record);
int reader_classic_run(struct reader *r, struct reader_run *run);
void reader_classic_totals(const struct reader *r, struct reader_totals *out);
void reader_classic_close(struct reader *r);

#endif
