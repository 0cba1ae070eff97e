/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.c - row 0 holds the values below 64, one bucket each; row r those from 2^(r+5) up to
 * 2^(r+6), in 64 buckets of equal width. Programs use few rows, so only these have memory.
 */
#include "histogram.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS (1u << HISTOGRAM_BUCKET_BITS)

int histogram_add(struct histogram *h, uint64_t value)
{
	unsigned row = 0, shift = 0;

	if (value >= BUCKETS) {
		row = 64 - (unsigned)__builtin_clzll(value) - HISTOGRAM_BUCKET_BITS;
		shift = row - 1;
	}
	if (!h->rows[row]) {
		h->rows[row] = calloc(BUCKETS, sizeof(uint64_t));
		if (!h->rows[row])
			return -ENOMEM;
	}
	h->rows[row][(value >> shift) & (BUCKETS - 1)]++;
	h->min = h->cnt && h->min < value ? h->min : value;
	h->max = h->max > value ? h->max : value;
	h->total += (double)value;
	h->cnt++;
	return 0;
}

static uint64_t bucket_middle(unsigned row, unsigned bucket)
{
	if (!row)
		return bucket;
	return ((uint64_t)(BUCKETS + bucket) << (row - 1)) + ((1ull << (row - 1)) >> 1);
}

uint64_t histogram_quantile(const struct histogram *h, double fraction)
{
	double rank = ceil(fraction * (double)h->cnt);
	uint64_t seen = 0, value;

	for (unsigned row = 0; row < HISTOGRAM_ROWS; row++) {
		for (unsigned i = 0; h->rows[row] && i < BUCKETS; i++) {
			seen += h->rows[row][i];
			if (!h->rows[row][i] || (double)seen < rank)
				continue;
			value = bucket_middle(row, i);
			return value < h->min ? h->min : value > h->max ? h->max : value;
		}
	}
	return h->max;
}

void histogram_fini(struct histogram *h)
{
	if (!h)
		return;
	for (unsigned row = 0; row < HISTOGRAM_ROWS; row++)
		free(h->rows[row]);
	memset(h, 0, sizeof(*h));
}
