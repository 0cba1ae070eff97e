/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_numbers.c - the dictionary of wide numbers: ids, addresses, hashes that come again. A column
 * that has them becomes references, numbered over the whole block in the order of the records.
 */
#include "columns_numbers.h"

#include <errno.h>

#define NUMBER_BITS 13u		/* table of wide numbers, for counting */
#define WIDE_RANGE (1u << 20)	/* a column that spans less needs no dictionary */
#define WIDE_LEAST 16u		/* numbers in a column */
#define WIDE_SAMPLE 128u	/* of them, at first */
#define WIDE_NUMBERS 65536u	/* of them, to see whether they come again */

int numbers_init(struct numbers *n)
{
	n->sample = malloc(sizeof(*n->sample) << NUMBER_BITS);
	return n->sample ? refs_init(&n->refs) : -ENOMEM;
}

void numbers_fini(struct numbers *n)
{
	uint32_t i;

	for (i = 0; i < n->column_cap; i++)
		free(n->columns[i].symbols.v);
	free(n->columns);
	free(n->values.v);
	free(n->last.v);
	free(n->slots);
	free(n->sample);
	refs_fini(&n->refs);
}

static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return v ^ v >> 29;
}

static bool is_number(uint8_t type)
{
	return type == QSLOG_ARG_UINT64 || type == QSLOG_ARG_INT64 || type == QSLOG_ARG_POINTER ||
	       type == QSLOG_ARG_DOUBLE || type == QSLOG_ARG_FLOAT;
}

static bool is_small(uint64_t v)
{
	return v + WIDE_RANGE / 2 < WIDE_RANGE;
}

/* By a few of them: are most far from 0, and from each other? */
static bool wide_looks(const uint64_t *v, uint32_t cnt)
{
	const uint32_t step = cnt / WIDE_SAMPLE + 1;
	uint64_t low = UINT64_MAX, high = 0;
	uint32_t i, small = 0, seen = 0;

	for (i = 0; i < cnt; i += step, seen++) {
		const uint64_t x = v[i] ^ UINT64_C(1) << 63;

		small += is_small(v[i]);
		low = x < low ? x : low;
		high = x > high ? x : high;
	}
	return high - low >= WIDE_RANGE && small * 8 < seen * 5;
}

/* Numbers far apart that come again. Of all, only those are looked at whose hash ends in zeros: all
 * occurrences of one are, or none. */
static bool wide_choose(struct numbers *n, const uint64_t *v, uint32_t cnt, uint8_t type)
{
	const uint32_t skip = cnt >= 4096 ? 7 : cnt >= 512 ? 1 : 0;
	uint32_t i, seen = 0, again = 0, small = 0;

	if (cnt < WIDE_LEAST || !wide_looks(v, cnt))
		return false;
	if ((type == QSLOG_ARG_DOUBLE || type == QSLOG_ARG_FLOAT) &&
	    decimal_fits(v, cnt, type == QSLOG_ARG_FLOAT))
		return false;
	cnt = cnt < WIDE_NUMBERS ? cnt : WIDE_NUMBERS;
	for (i = 0; i < cnt; i++) {
		const uint64_t h = mix(v[i]);
		uint64_t *at = &n->sample[h >> 8 & ((1u << NUMBER_BITS) - 1)];

		if (h & skip)
			continue;
		if (is_small(v[i])) {
			small++;
			continue;
		}
		seen++;
		again += *at == h;
		*at = h;
	}
	return again * 4 >= seen && again && small < seen;
}

/* Room for so many more references. */
static bool numbers_room(struct numbers *n, uint32_t cnt)
{
	uint32_t size = n->slots ? n->mask + 1 : 2048, i, at;
	uint32_t *slots;

	if (n->slots && n->values.cnt + cnt < n->mask - n->mask / 4)
		return true;
	do
		size *= 2;
	while (n->values.cnt + cnt >= size - 1 - size / 4);
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return false;
	free(n->slots);
	n->slots = slots;
	n->mask = size - 1;
	for (i = 0; i < n->values.cnt; i++) {
		for (at = (uint32_t)mix(n->values.v[i]) & n->mask; slots[at];)
			at = (at + 1) & n->mask;
		slots[at] = i + 1;
	}
	return true;
}

static unsigned number_add(struct numbers *n, uint32_t column, uint64_t v)
{
	uint32_t slot, at, ref = refs_predict(&n->refs, column, &slot), last;
	unsigned symbol;

	if (ref == COLUMNS_REF_NONE || n->values.v[ref] != v) {
		if (!numbers_room(n, 1)) {
			n->failed = true;
			return 0;
		}
		for (at = (uint32_t)mix(v) & n->mask; n->slots[at];) {
			if (n->values.v[n->slots[at] - 1] == v)
				break;
			at = (at + 1) & n->mask;
		}
		if (!n->slots[at]) {
			words_add(&n->values, v);
			words_add(&n->last, 0);
			n->slots[at] = n->values.cnt;
			if (n->values.failed || n->last.failed) {
				n->failed = true;
				return 0;
			}
		}
		ref = n->slots[at] - 1;
	}
	last = (uint32_t)n->last.v[ref];
	symbol = refs_put(&n->refs, slot, ref, &last);
	n->last.v[ref] = last;
	return symbol;
}

static void column_note(struct numbers *n, struct block_shape *s, unsigned argument)
{
	struct number_column *list;
	uint32_t cap = n->column_cap ? n->column_cap * 2 : 8;

	if (n->column_cnt == n->column_cap) {
		list = realloc(n->columns, cap * sizeof(*list));
		if (!list) {
			n->failed = true;
			return;
		}
		memset(list + n->column_cap, 0, (cap - n->column_cap) * sizeof(*list));
		n->columns = list;
		n->column_cap = cap;
	}
	list = &n->columns[n->column_cnt++];
	list->shape = s;
	list->argument = argument;
	list->symbols.cnt = 0;
	n->failed |= !words_grow(&list->symbols, s->cnt);
}

/* Which columns become references; in the order of shapes and arguments. */
static void columns_choose(struct numbers *n, const struct columns_block *b)
{
	uint32_t i, k;

	memset(n->sample, 0, sizeof(*n->sample) << NUMBER_BITS);
	for (i = 0; i < b->shape_cnt && !n->failed; i++) {
		struct block_shape *s = b->shapes[i];

		n->first_column[i] = n->column_cnt;
		for (k = 0; k < s->arg_cnt; k++) {
			if (is_number(s->types[k]) &&
			    wide_choose(n, columns_block_column(s, k), s->cnt, s->types[k]))
				column_note(n, s, k);
		}
	}
	n->first_column[i] = n->column_cnt;
}

static void symbols_make(struct numbers *n, const struct columns_block *b)
{
	uint32_t i, k;

	for (i = 0; i < b->op_cnt && !n->failed; i++) {
		const uint32_t op = b->ops[i], at = op - COLUMNS_OP_SHAPE;

		if (op < COLUMNS_OP_SHAPE)
			continue;
		for (k = n->first_column[at]; k < n->first_column[at + 1]; k++) {
			struct number_column *c = &n->columns[k];

			c->symbols.v[c->symbols.cnt] =
				number_add(n, at * 16 + c->argument,
					   columns_block_column(c->shape, c->argument)[c->symbols.cnt]);
			c->symbols.cnt++;
		}
	}
}

int numbers_refer(struct numbers *n, const struct columns_block *b)
{
	n->column_cnt = n->values.cnt = n->last.cnt = 0;
	n->failed = false;
	refs_clear(&n->refs);
	if (n->slots)
		memset(n->slots, 0, (n->mask + 1u) * sizeof(*n->slots));
	n->first_column = malloc((b->shape_cnt + 1u) * sizeof(*n->first_column));
	if (!n->first_column)
		return -ENOMEM;
	columns_choose(n, b);
	if (n->column_cnt)
		symbols_make(n, b);
	free(n->first_column);
	n->first_column = NULL;
	return n->failed || n->refs.failed || n->refs.explicit_refs.failed ? -ENOMEM : 0;
}

const struct words *numbers_symbols(const struct numbers *n, const struct block_shape *s,
				    unsigned argument, uint32_t *next)
{
	const struct number_column *c = *next < n->column_cnt ? &n->columns[*next] : NULL;

	if (!c || c->shape != s || c->argument != argument)
		return NULL;
	++*next;
	return &c->symbols;
}
