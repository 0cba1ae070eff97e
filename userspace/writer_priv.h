/* SPDX-License-Identifier: BSD-2-Clause */
/* writer_priv.h - what the parts of the writer share: writer.c and writer_*.c. */
#ifndef QSLOG_WRITER_PRIV_H
#define QSLOG_WRITER_PRIV_H

#include "block_out.h"
#include "columns_encode.h"
#include "losses.h"
#include "rows_encode.h"
#include "writer.h"

struct writer {
	struct block_out *out;
	struct catalog_out catalog;
	struct clock_scale scale;
	struct clock_pair pair; /* the newest */
	int64_t pair_written;	/* ticks of the newest in the rows */
	bool begun;		/* there has been a block of rows */
	struct rows rows;
	struct columns_encoder *columns; /* NULL: blocks stay rows */
	bool building;		/* rows has the beginning of a block */
	uint32_t block_bytes;
	uint32_t framed;	/* rows before this are in the tail */
	uint32_t tapped;	/* rows before this have been handed to the tap */
	uint32_t paired;	/* rows before this lie before the newest pair */
	struct losses losses;	/* in the block being built */
	struct losses carry;	/* to be put into the next block */
	uint64_t records_sealed, text_sealed;
	uint64_t lost_by[LOSS_CAUSE_COUNT];
	uint64_t unwritten;
	int error;
	void (*tap)(void *arg, const void *data, uint32_t bytes);
	void *tap_arg;
	struct writer_journal journal;
	bool pair_fixed; /* the writer of the records is dead: `pair` was its last */
	struct clock_pair *earlier; /* to be put into the first block, which begins with `pair` */
	uint32_t earlier_cnt;
};

/* The first error is kept for flush and close. Returns `err`. */
static inline int writer_error(struct writer *w, int err)
{
	if (err && !w->error)
		w->error = err;
	return err;
}

/* The first block of a file: what there is to know about it. 0 or -errno. */
int writer_header_write(struct writer *w, struct block_out *out);

#endif
