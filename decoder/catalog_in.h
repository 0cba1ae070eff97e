/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalog_in.h - what the numbers of processes, threads and formats mean where a scan is: in a
 * block, or in all that a live view has seen. What they mean is in the pool that all blocks of
 * a file share (catalog_pool.h); a later entry replaces what a number means, for what follows.
 */
#ifndef QSLOG_CATALOG_IN_H
#define QSLOG_CATALOG_IN_H

#include "catalog_pool.h"
#include "hash_index.h"
#include "span_stack.h"

#define CATALOG_LOW 256u

struct in_thread {
	const struct record_thread *thread;
	uint64_t number;
	int64_t first_key, last_key; /* of its rows, for their order; see rows_decode.h */
	bool has_key;
	uint8_t want; /* enum reader_want */
	struct span_stack spans; /* open where the scan is */
};

struct in_format {
	const struct record_format *format;
	uint8_t want[2]; /* enum reader_want of its records, and of those that leave */
};

/* A slot is an index into one of the arrays. */
struct catalog_in {
	struct catalog_pool *pool;
	const struct record_process **processes;
	struct in_thread *threads;
	struct in_format *formats;
	uint32_t process_cnt, thread_cnt, format_cnt;
	uint32_t process_cap, thread_cap, format_cap;
	struct hash_index process_by_number, thread_by_number, format_by_number;
	uint32_t format_low[CATALOG_LOW]; /* slot + 1 of low numbers: most rows look one up */
	size_t bytes;
};

/* Errors are those of catalog_pool.h. */
int catalog_in_process(struct catalog_in *c, const uint8_t *data, uint32_t bytes);
int catalog_in_thread(struct catalog_in *c, const uint8_t *data, uint32_t bytes);
int catalog_in_format(struct catalog_in *c, uint64_t number, uint8_t level, const uint8_t *data,
		      uint32_t bytes);

/* Room for one more on the thread's stack; 0, -E2BIG, -ENOMEM. */
int catalog_in_spans_room(struct catalog_in *c, struct in_thread *t);

/* HASH_INDEX_NONE where the number is not known. */
static inline uint32_t catalog_slot(const struct hash_index *by_number, uint64_t number)
{
	struct hash_index_walk walk;

	return hash_index_first(by_number, number, &walk);
}

static inline uint32_t catalog_format_slot(const struct catalog_in *c, uint64_t number)
{
	return number < CATALOG_LOW ? c->format_low[number] - 1 :
				      catalog_slot(&c->format_by_number, number);
}

/* Forgets all numbers, and keeps its memory for the next block. */
void catalog_in_clear(struct catalog_in *c);
void catalog_in_fini(struct catalog_in *c); /* the pool stays */

#endif
