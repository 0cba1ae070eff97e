/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_block.h - the entries of the block that is being built, taken apart as they come: their
 * sequence, their differences of time, and the arguments by column. columns_encode() makes a payload
 * of it, columns_rows_put() the rows that it stands for; neither changes what is here, so that both
 * may be called at any time, and more may be added then.
 *
 * Its memory is kept from block to block.
 */
#ifndef QSLOG_COLUMNS_BLOCK_H
#define QSLOG_COLUMNS_BLOCK_H

#include "columns_out.h"
#include "qslog_abi.h"

#define COLUMNS_SHAPE_KINDS 3u

/* The records of a format that were logged, entered or left. */
struct block_shape {
	uint32_t number; /* of the format */
	uint32_t index;	 /* in this block */
	uint32_t cnt, cap;
	uint32_t rows_cnt; /* of the records, in rows so far */
	uint8_t kind;	 /* enum columns_shape_kind */
	uint8_t arg_cnt;
	uint8_t column_cnt;
	bool used; /* in this block */
	uint8_t types[QSLOG_ARGS_MAX];
	uint64_t *values; /* column by column, `cap` each. Of strings: symbols. Of spans that are left:
			   * their durations, and these less the time since they were entered */
};

/* Where rows have been made up to. */
struct block_mark {
	uint32_t op, verbatim_entry, thread, time, switch_time, string;
	size_t verbatim;
};

/* When the spans were entered that are open on a thread. */
struct block_nest {
	uint64_t entered[COLUMNS_NEST_MAX];
	uint32_t depth;
	uint32_t thread;
};
#define BLOCK_NO_NEST UINT32_MAX

struct columns_block {
	struct block_shape **shapes; /* of this block, in the order of appearance */
	uint32_t shape_cnt, shape_cap;
	struct block_shape **all; /* that there ever were */
	uint32_t all_cnt, all_cap;
	struct block_shape *(*by_format)[COLUMNS_SHAPE_KINDS];
	uint32_t format_cap;
	uint32_t *ops;
	uint32_t op_cnt, op_cap; /* there is as much room for times, and for those behind a switch */
	struct words times, switch_times, threads, verbatim_lengths;
	struct bytes verbatim;
	struct strings strings;
	struct block_nest *nests; /* of threads that have entered a span */
	uint32_t nest_cnt, nest_cap;
	uint32_t *nest_of; /* by thread: index + 1 */
	uint32_t nest_of_cap;
	uint32_t nest;	 /* of the thread at hand, or BLOCK_NO_NEST */
	uint32_t thread; /* at hand */
	uint64_t time;	/* sum of the differences that are in columns */
	uint32_t thread_cnt; /* that appear */
	struct block_mark rows;
	bool unsupported; /* rows that columns cannot say */
	/* Of rows_encode.c: what an argument takes in rows and, << 32, about in text, by its type and the
	 * bits of what is put. */
	uint64_t sizes[QSLOG_ARG_TYPE_COUNT][64];
};

struct columns_block *columns_block_open(void); /* NULL: no memory */
void columns_block_clear(struct columns_block *b);
void columns_block_close(struct columns_block *b); /* NULL is accepted */

/* All that may fail return 0 or -ENOMEM, and have added nothing then. */

/* Room for so many entries with so many bytes, which then cannot fail. */
int columns_block_verbatim_room(struct columns_block *b, uint32_t entries, size_t bytes);
int columns_block_verbatim(struct columns_block *b, const void *entry, uint32_t bytes);
/* What follows is the thread's; `appears`: for the first time. */
int columns_block_thread(struct columns_block *b, uint32_t number, bool appears);

int columns_block_shape_make(struct columns_block *b, uint32_t number, enum columns_shape_kind kind,
			     const uint8_t *types, unsigned arg_cnt);
int columns_block_grow(struct columns_block *b, struct block_shape *s);
/* A span is entered, or left, on the thread at hand; `time` as in columns_block_record(), which is to
 * follow. Leaving returns the time since it was entered. */
int columns_block_enter(struct columns_block *b, uint64_t time);
uint64_t columns_block_leave(struct columns_block *b, uint64_t time);

/* The shape of records of the format. NULL: make it. */
static inline struct block_shape *columns_block_shape(const struct columns_block *b, uint32_t number,
						      enum columns_shape_kind kind)
{
	struct block_shape *s = number < b->format_cap ? b->by_format[number][kind] : NULL;

	return s && s->used ? s : NULL;
}

static inline bool columns_block_full(const struct columns_block *b, const struct block_shape *s)
{
	return s->cnt == s->cap || b->op_cnt == b->op_cap;
}

/* The record whose arguments are in column `k` at *columns_block_at(s, k). Not if it is full. */
static inline void columns_block_record(struct columns_block *b, struct block_shape *s, uint64_t time)
{
	struct words *times = b->op_cnt && b->ops[b->op_cnt - 1] == COLUMNS_OP_THREAD ?
				      &b->switch_times : &b->times;

	times->v[times->cnt++] = time;
	b->time += time;
	b->ops[b->op_cnt++] = COLUMNS_OP_SHAPE + s->index;
	s->cnt++;
}

static inline uint64_t *columns_block_at(const struct block_shape *s, unsigned column)
{
	return s->values + (size_t)column * s->cap + s->cnt;
}

static inline const uint64_t *columns_block_column(const struct block_shape *s, unsigned column)
{
	return s->values + (size_t)column * s->cap;
}

/* Appends to `out` the rows that have not been made since columns_block_clear(). 0 or -ENOMEM. */
int columns_rows_put(struct columns_block *b, struct bytes *out);

#endif
