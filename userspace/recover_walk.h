/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_walk.h - what a file that was not closed has at its end, and what its index would be:
 * all that a writer has to know to go on with it. Headers are walked, payloads are not read.
 */
#ifndef QSLOG_RECOVER_WALK_H
#define QSLOG_RECOVER_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "file_format.h"

/* What an index block has of a block. */
static inline struct file_index_entry file_index_entry_of(const struct file_block_header *h,
							   uint64_t offset)
{
	const struct file_index_entry e = {
		.offset = offset,
		.sequence = h->sequence,
		.time_min = h->time_min,
		.time_max = h->time_max,
		.clock_ticks = h->clock_ticks,
		.clock_realtime_ns = h->clock_realtime_ns,
		.lost = h->lost,
		.record_cnt = h->record_cnt,
		.stored_bytes = h->stored_bytes,
		.raw_bytes = h->raw_bytes,
		.kind = h->kind,
		.level_mask = h->level_mask,
	};

	return e;
}

struct recover_walk {
	uint64_t file_key;
	bool closed;		/* has its trailer: there is nothing to do */
	uint64_t end;		/* the next block goes here; what follows is the rest of a torn write, or
				 * the trailer */
	uint64_t torn_bytes;
	uint64_t torn_records;	/* as far as its header is there */
	uint64_t last_sequence; /* of any block */
	int64_t clock_ticks, clock_realtime_ns; /* the newest pair of the headers */
	struct file_index_entry *entries; /* since the last index block */
	uint32_t entry_cnt, entry_cap;
	uint64_t index_previous; /* offset of the last index block, 0: none */
	uint64_t records, lost;	 /* of all rows blocks */
	/* The blocks at the end that an unfinished recovery appended. */
	uint64_t recovered_at;	 /* offset of the first, 0: none */
	uint64_t recovered_next; /* of the second, or the end */
	uint64_t recovered_sequence;
	uint16_t recovered_hints; /* of the first */
};

/* Walks [0, limit) of the file, which has to be a regular one. 0; -EBADMSG: no .qslog file;
 * -EPROTONOSUPPORT: of a later version; -ENOMEM; errors of pread. recover_walk_fini() follows. */
int recover_walk_read(struct recover_walk *w, int fd, uint64_t limit);
void recover_walk_fini(struct recover_walk *w);

#endif
