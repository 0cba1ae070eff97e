/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * off_encode.h - intervals in which threads were off the CPU become the data of an info entry
 * (docs/format.md, "Off the CPU"). The entry says by itself whose they are and when they were, so
 * that it may stand anywhere in a block.
 */
#ifndef QSLOG_OFF_ENCODE_H
#define QSLOG_OFF_ENCODE_H

#include "clock_pair.h"
#include "writer.h"

#define OFF_ENTRY_BYTES_MAX 16384u

struct off_entry {
	uint8_t data[OFF_ENTRY_BYTES_MAX];
	uint32_t bytes, cnt;
	int64_t time_min, time_max; /* ticks, of the returns to the CPU */
};

/* Takes as many of `offs` into the entry, which is begun anew, as there is room for; at least one.
 * Returns how many. */
uint32_t off_encode(struct off_entry *e, const struct clock_scale *scale,
		    const struct writer_off *offs, uint32_t cnt);
/* The data of an entry that says that `count` are missing; returns its length, of at most 64. */
uint32_t off_lost_encode(uint8_t data[64], int64_t from, int64_t to, unsigned cause, uint64_t count);

#endif
