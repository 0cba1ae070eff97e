/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tail_out.h - PATH.tail: rows of the block that is being built, in frames. Its header is written
 * with the first frame of each block, which is also when the frames of the block before are cut
 * away: until then their sequence number says that they are in the file.
 */
#ifndef QSLOG_TAIL_OUT_H
#define QSLOG_TAIL_OUT_H

#include "output_file.h"
#include "rows_encode.h"

struct tail_out {
	struct output_file file;
	char *name; /* in the folder of its file; NULL: there is no tail */
	uint64_t sequence; /* in its header; UINT64_MAX: none written yet */
	uint32_t frame_number; /* of the next frame of this sequence */
};

/* Rows of block `sequence` of the file `file_id`. 0 or -errno: it is as it was. */
int tail_out_frame(struct tail_out *t, const uint8_t file_id[16], uint64_t sequence,
		   const struct rows_summary *summary, const void *rows, uint32_t bytes);
/* Gives back what it occupies. 0 or -errno. */
int tail_out_empty(struct tail_out *t);

#endif
