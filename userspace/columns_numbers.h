/* SPDX-License-Identifier: BSD-2-Clause */
/* columns_numbers.h - the dictionary of wide numbers of a block, and the columns that refer to it. */
#ifndef QSLOG_COLUMNS_NUMBERS_H
#define QSLOG_COLUMNS_NUMBERS_H

#include "columns_block.h"

/* A column that consists of references. */
struct number_column {
	const struct block_shape *shape;
	unsigned argument;
	struct words symbols;
};

struct numbers {
	struct words values; /* the dictionary */
	struct words last;   /* of refs_put(), for each */
	uint32_t *slots;     /* index + 1 */
	uint32_t mask;
	struct refs refs;
	struct number_column *columns;
	uint32_t column_cnt, column_cap;
	uint32_t *first_column; /* of each shape */
	uint64_t *sample;
	bool failed;
};

int numbers_init(struct numbers *n); /* 0 or -ENOMEM: numbers_fini() all the same */
void numbers_fini(struct numbers *n);
/* Makes it of the block's columns. 0 or -ENOMEM. */
int numbers_refer(struct numbers *n, const struct columns_block *b);
/* The references of a column, or NULL: it has none. To be called in the order of shapes and
 * arguments, with *next 0 at first. */
const struct words *numbers_symbols(const struct numbers *n, const struct block_shape *s,
				    unsigned argument, uint32_t *next);

#endif
