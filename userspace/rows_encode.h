/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_encode.h - the rows of the block that is being built: records, losses and clock pairs
 * become entries (docs/format.md, "Entries"). They are kept by column (columns_block.h); how long
 * the rows are is known at any time, but they are made only where somebody asks for them. Knows
 * nothing of files.
 */
#ifndef QSLOG_ROWS_ENCODE_H
#define QSLOG_ROWS_ENCODE_H

#include <stdbool.h>

#include "catalog_out.h"
#include "clock_pair.h"

/* What a block or frame header says about its rows. */
struct rows_summary {
	int64_t time_min, time_max; /* valid if records or losses */
	uint64_t lost;
	uint64_t text_bytes; /* estimate; of a block only */
	uint32_t record_cnt;
	uint32_t entry_cnt; /* records, losses, intervals off the CPU */
	uint32_t off_cnt;   /* intervals */
	uint64_t off_lost;  /* and how many are missing */
	uint32_t rows_bytes; /* of a columns block: of what it decodes to */
	uint8_t level_mask;
	bool hasty; /* of a block: stored as it is, since there was no time */
};

struct columns_block;

struct rows {
	struct columns_block *columns;
	bool direct;  /* set it before the block begins: it will not be packed (rows_direct.h) */
	uint32_t len; /* of all rows, in bytes */
	uint8_t *data;	     /* as far as they have been made */
	size_t data_len, data_cap;
	uint64_t generation; /* of this block: entries seen in it are tagged with it */
	int64_t ticks;	     /* base of the next difference */
	uint32_t tick_ns;    /* set it before the first: ticks of the file; what comes in is in ns */
	const struct out_thread *thread; /* of the entries that follow; NULL at the start */
	struct rows_summary block;
	struct rows_summary frame; /* since rows_frame_begin() */
};

/* All return 0 or -ENOMEM, rows_record() -EBADMSG too (nothing is appended then). */

/* Empties the buffer; the next append starts a block, which begins at `ticks`. */
int rows_begin(struct rows *r, int64_t ticks, const struct clock_pair *pair);
int rows_record(struct rows *r, const struct catalog_out *c, const struct clock_scale *scale,
		struct out_thread *thread, uint32_t thread_index, struct out_format *format,
		const uint64_t *record, uint32_t bytes);
int rows_loss(struct rows *r, const struct catalog_out *c, struct out_thread *thread,
	      uint32_t thread_index, unsigned cause, uint64_t count, int64_t ticks);
int rows_clock(struct rows *r, const struct clock_pair *pair);
/* What the block says about the process; nothing where it has already. */
int rows_process(struct rows *r, const struct catalog_out *c, uint32_t process);
/* An extended info entry with the data of off_encode.h: `cnt` intervals, or `lost` that are missing,
 * at times from `min` to `max`. */
int rows_off(struct rows *r, unsigned subtype, const uint8_t *data, uint32_t bytes, uint32_t cnt,
	     uint64_t lost, int64_t min, int64_t max);
void rows_frame_begin(struct rows *r);
/* The rows, `len` bytes, until the next append; NULL: no memory. */
const uint8_t *rows_data(struct rows *r);
void rows_fini(struct rows *r);

#endif
