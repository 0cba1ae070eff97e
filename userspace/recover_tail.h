/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_tail.h - PATH.tail: the rows that a writer had made readable, but not sealed into a
 * block. The reader shows them, recovery seals them.
 */
#ifndef QSLOG_RECOVER_TAIL_H
#define QSLOG_RECOVER_TAIL_H

#include <stdbool.h>
#include <stdint.h>

struct tail_in {
	char *path;
	bool valid;
	int unreadable; /* -errno of opening it, where that says more than that there is none */
	uint64_t file_key, sequence;
	uint8_t *rows; /* of all whole frames, one behind the other */
	uint32_t bytes;
	uint32_t frame_cnt;
	int64_t time_min; /* INT64_MAX without frames */
	/* for the header of a block of these rows */
	int64_t entry_min, entry_max; /* times; 0 where there are no entries */
	uint64_t lost;
	uint32_t record_cnt;
	uint8_t level_mask;
	uint64_t bad_at; /* offset of the first byte that is no frame; == size: none */
	uint64_t size;
};

/* 0 also where there is no tail or it is of no use (see the fields); -errno, -ENOMEM. */
int tail_in_read(struct tail_in *tail, const char *path);
void tail_in_fini(struct tail_in *tail);

#endif
