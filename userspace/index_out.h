/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * index_out.h - the index of a file that is being written: an entry per block, kept in the form in
 * which they are written at last.
 */
#ifndef QSLOG_INDEX_OUT_H
#define QSLOG_INDEX_OUT_H

#include "file_format.h"
#include "recover_walk.h"

struct index_out {
	uint8_t *data; /* struct file_index_header and entries */
	uint32_t cnt, cap;
	uint64_t previous; /* offset of the index block before; 0: none */
	uint64_t records, lost, text_bytes; /* of all blocks */
};

/* Entries of a file that was not closed are taken over. 0 or -ENOMEM. */
int index_out_resume(struct index_out *x, const struct recover_walk *walk);
/* Room for one more entry: 0 or -ENOMEM. */
int index_out_room(struct index_out *x);
/* There is room. */
void index_out_add(struct index_out *x, const struct file_block_header *h, uint64_t offset,
		   uint64_t text_bytes);
static inline bool index_out_full(const struct index_out *x)
{
	return x->cnt == FILE_INDEX_ENTRIES_MAX;
}
/* The payload of an index block; *bytes of it. Valid until the next call. NULL: -ENOMEM. */
const void *index_out_payload(struct index_out *x, uint32_t *bytes);
/* That has been written, at `offset`. */
void index_out_written(struct index_out *x, uint64_t offset);
void index_out_reset(struct index_out *x);
void index_out_fini(struct index_out *x);

#endif
