/* SPDX-License-Identifier: BSD-2-Clause */
/* columns_choose.h - how a stream of integers is to be stored: between columns_choose.c, which looks
 * at the numbers, and columns_ints.c, which puts them. */
#ifndef QSLOG_COLUMNS_CHOOSE_H
#define QSLOG_COLUMNS_CHOOSE_H

#include "columns_out.h"

#define SCRATCH_PER_DEPTH 3u
#define SAMPLED_BYTES 4096u /* of a plane: whether zstd can do anything about it */

struct choice {
	enum columns_packing packing;
	enum columns_transform transform;
	uint64_t base;
	unsigned shift;
	uint64_t constant; /* of COLUMNS_CONSTANT and COLUMNS_SPARSE */
	double repeats;	   /* 0 to 1: of sequences, what part has been there before */
	double bits;
	const uint64_t *q; /* transformed, if that is done already: in the scratch memory, or as they are */
	uint64_t widest;   /* the bits that occur in any of them */
};

int choose_init(struct streams *s); /* 0 or -ENOMEM: choose_fini() all the same */
void choose_fini(struct streams *s);

/* `estimate`: only what it costs, roughly. `n` is not 0. */
void choose(struct streams *s, const uint64_t *v, uint32_t n, enum numbers_kind kind, unsigned depth,
	    bool estimate, struct choice *c);
/* Transforms by the choice into `q`; returns the bits that occur in any of them. */
uint64_t transform(const uint64_t *v, uint32_t n, const struct choice *c, uint64_t *q);
/* A few different numbers into `list`, indices into `index` (may be NULL); false: there are more. */
bool dictionary_make(struct streams *s, const uint64_t *v, uint32_t n, struct words *list,
		     struct words *index);
/* Of bytes, at most SAMPLED_BYTES: can none be made smaller by an entropy coder? */
bool bytes_are_random(const struct streams *s, const uint8_t *p, uint32_t n);

#endif
