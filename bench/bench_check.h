/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_check.h - reads a file that was measured, and finds out whether everything is in it. */
#ifndef QSLOG_BENCH_CHECK_H
#define QSLOG_BENCH_CHECK_H

#include <stdint.h>

#include "bench_calls.h"

#define CHECK_CAUSES 16

struct check {
	uint64_t records, lost;
	uint64_t lost_by[CHECK_CAUSES]; /* enum loss_cause */
	uint64_t file_bytes;
	double seconds; /* that reading took */
	unsigned int threads; /* that records are of */
	char why[160];	/* what is wrong, where the result is -EBADMSG */
};

/*
 * The file must hold `issued` records of the kind, or say that they were lost. In each thread the
 * values must be those of bench_calls.h in order, each once, with gaps only where some were lost.
 * Kind a has no values; c has 32 bits of them, counting, of at most 8 threads and 2^27 calls each.
 * 0; -EBADMSG: not so; else the reader's error.
 */
int check_file(struct check *out, const char *path, enum call_kind kind, uint64_t issued,
	       uint64_t step);

/* "ring full 12, ..." or "" */
void check_causes(const struct check *c, char *out, unsigned int size);

#endif
