/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot_ring.h - what an arena that nobody drains holds: whole records, from the oldest that is
 * not overwritten, of the thread that has it and of the one that had it before. Of this process,
 * while owners go on writing, and of one that is dead.
 */
#ifndef QSLOG_SNAPSHOT_RING_H
#define QSLOG_SNAPSHOT_RING_H

#include <stdint.h>

#include "qslog_abi.h"

/* A run of whole records that one thread has made. */
struct snapshot_part {
	uint64_t key;
	uint64_t from, to; /* positions */
	uint32_t tid;
};

struct snapshot_ring {
	unsigned int cnt; /* 0: there is nothing */
	struct snapshot_part parts[2]; /* oldest first; the second begins where the first ends */
	uint64_t dropped; /* by the owners, ever */
	uint64_t *data;	  /* of parts[0].from; snapshot_ring_copy() */
};

/* `arena` does not change, and its ring holds what was written from the position `valid` on.
 * Records before `since`, where one begins, are not wanted. `data` is left alone. */
void snapshot_ring_find(const struct qslog_arena *arena, uint64_t valid, uint64_t since,
			struct snapshot_ring *out);

/* Once, before the first copy. */
void snapshot_ring_prepare(void);

/*
 * Copies what an arena of this process holds at the moment of the call, and its owner does not
 * overwrite before it is copied. `to` has room for the ring (mask + 1 bytes), and is aligned to 8.
 * 0; -EAGAIN: the arena was changing hands all the time.
 */
int snapshot_ring_copy(const struct qslog_arena *arena, uint64_t since, void *to,
		       struct snapshot_ring *out);

#endif
