/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.h - durations, counted in buckets of less than 1.6 % width, for percentiles of any
 * number of values in bounded memory. Minimum, maximum and total are exact.
 */
#ifndef QSLOG_HISTOGRAM_H
#define QSLOG_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKET_BITS 6 /* 64 buckets between two powers of two */
#define HISTOGRAM_ROWS (64 - HISTOGRAM_BUCKET_BITS + 1)

struct histogram {
	uint64_t cnt, min, max;
	double total; /* the sum of many 64-bit values does not fit 64 bits */
	uint64_t *rows[HISTOGRAM_ROWS]; /* allocated when the first value falls into one */
};

int histogram_add(struct histogram *h, uint64_t value); /* 0 or -ENOMEM */
/* The value that `fraction` (0 to 1) of all are not above, to half a bucket; 0 if there is none. */
uint64_t histogram_quantile(const struct histogram *h, double fraction);
void histogram_fini(struct histogram *h);

#endif
