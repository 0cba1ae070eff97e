/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_ints.c - streams of integers: their descriptions go into the plan, their bytes into the
 * data. How each is stored columns_choose.c says.
 */
#include "columns_out.h"

#include <errno.h>

#include "columns_choose.h"

#define LOOSE_BITS_FEW 56u /* of a number: with up to 7 bits from before they fit into a word */

int streams_init(struct streams *s)
{
	s->scratch = calloc(COLUMNS_SCRATCH, sizeof(*s->scratch));
	return s->scratch ? choose_init(s) : -ENOMEM;
}

void streams_clear(struct streams *s)
{
	s->plan.len = s->data.len = 0;
	s->segments.cnt = 0;
}

void streams_fini(struct streams *s)
{
	unsigned i;

	free(s->plan.p);
	free(s->data.p);
	free(s->segments.list);
	for (i = 0; s->scratch && i < COLUMNS_SCRATCH; i++)
		free(s->scratch[i].v);
	free(s->scratch);
	for (i = 0; i < 3; i++)
		free(s->decimals[i].v);
	choose_fini(s);
}

bool streams_failed(const struct streams *s)
{
	bool failed = s->failed || s->plan.failed || s->data.failed || s->segments.failed;
	unsigned i;

	for (i = 0; i < COLUMNS_SCRATCH; i++)
		failed |= s->scratch[i].failed;
	for (i = 0; i < 3; i++)
		failed |= s->decimals[i].failed;
	return failed;
}

void segment_end(struct streams *s, enum segment_kind kind)
{
	struct segments *g = &s->segments;
	struct segment *list;
	uint32_t cap;

	if (g->cnt && g->list[g->cnt - 1].end == s->data.len)
		return;
	if (g->cnt == g->cap) {
		cap = g->cap ? g->cap * 2 : 64;
		list = realloc(g->list, cap * sizeof(*list));
		if (!list) {
			g->failed = true;
			return;
		}
		g->list = list;
		g->cap = cap;
	}
	g->list[g->cnt++] = (struct segment){ s->data.len, kind };
}

/* ---- planes ---- */

/* Eight rows of eight bytes become columns. */
static void transpose(uint64_t x[8])
{
	uint64_t t;
	unsigned i;

	for (i = 0; i < 8; i += 2) {
		t = (x[i] >> 8 ^ x[i + 1]) & UINT64_C(0x00ff00ff00ff00ff);
		x[i] ^= t << 8;
		x[i + 1] ^= t;
	}
	for (i = 0; i < 8; i += i % 4 == 1 ? 3 : 1) { /* 0, 1, 4, 5 */
		t = (x[i] >> 16 ^ x[i + 2]) & UINT64_C(0x0000ffff0000ffff);
		x[i] ^= t << 16;
		x[i + 2] ^= t;
	}
	for (i = 0; i < 4; i++) {
		t = (x[i] >> 32 ^ x[i + 4]) & UINT64_C(0x00000000ffffffff);
		x[i] ^= t << 32;
		x[i + 4] ^= t;
	}
}

/* Byte k of number i to p[k * n + i]. */
static void bytes_split(const uint64_t *q, uint32_t n, unsigned width, uint8_t *p)
{
	uint64_t x[8];
	uint32_t i = 0;
	unsigned k;

	if (width == 1) {
		for (; i + 8 <= n; i += 8) {
			x[0] = q[i] | q[i + 1] << 8 | q[i + 2] << 16 | q[i + 3] << 24 | q[i + 4] << 32 |
			       q[i + 5] << 40 | q[i + 6] << 48 | q[i + 7] << 56;
			memcpy(p + i, x, 8);
		}
	} else {
		for (; i + 8 <= n; i += 8) {
			memcpy(x, q + i, sizeof(x));
			transpose(x);
			for (k = 0; k < width; k++)
				memcpy(p + (size_t)k * n + i, &x[k], 8);
		}
	}
	for (; i < n; i++) {
		for (k = 0; k < width; k++)
			p[(size_t)k * n + i] = (uint8_t)(q[i] >> 8 * k);
	}
}

static void planes_put(struct streams *s, const uint64_t *q, uint32_t n, uint64_t widest,
		       double repeats)
{
	const unsigned bits = widest ? 64u - (unsigned)__builtin_clzll(widest) : 1;
	const unsigned width = (bits + 7) / 8;
	const uint32_t sampled = n < SAMPLED_BYTES ? n : SAMPLED_BYTES;
	uint8_t *p = bytes_room(&s->data, (size_t)n * width);
	unsigned k;

	bytes_byte(&s->plan, width);
	if (!p)
		return;
	bytes_split(q, n, width, p);
	for (k = 0; k < width; k++, p += n) {
		s->data.len += n;
		segment_end(s, repeats > 0.1 || n <= 1024	  ? SEGMENT_REPEATS :
			       bytes_are_random(s, p, sampled) ? SEGMENT_RAW : SEGMENT_ENTROPY);
	}
}

/* ---- classes ---- */

/* Symbols, and behind them loose bits; returns how many bits. There is room for n symbols, and 8 bytes
 * more than the bits take. */
static uint64_t classes_few(const uint64_t *q, uint32_t n, uint8_t *symbols)
{
	uint64_t word = 0;
	uint8_t *p = symbols + n;
	unsigned used = 0, bits;
	uint32_t i;

	for (i = 0; i < n; i++) {
		symbols[i] = (uint8_t)columns_class(q[i], &bits);
		word |= (q[i] - (q[i] >> bits << bits)) << used;
		memcpy(p, &word, 8);
		used += bits;
		p += used / 8;
		word >>= used & 0x38;
		used %= 8;
	}
	memcpy(p, &word, 8);
	return (uint64_t)(p - symbols - n) * 8 + used;
}

static uint64_t classes_any(const uint64_t *q, uint32_t n, uint8_t *symbols)
{
	uint64_t word = 0, total = 0, loose;
	uint8_t *p = symbols + n;
	unsigned used = 0, bits;
	uint32_t i;

	for (i = 0; i < n; i++) {
		symbols[i] = (uint8_t)columns_class(q[i], &bits);
		if (!bits)
			continue;
		total += bits;
		loose = q[i] & ((UINT64_C(1) << bits) - 1);
		word |= loose << used;
		if (used + bits >= 64) {
			memcpy(p, &word, 8);
			p += 8;
			word = used ? loose >> (64 - used) : 0;
			used = used + bits - 64;
		} else {
			used += bits;
		}
	}
	memcpy(p, &word, 8);
	return total;
}

static void classes_put(struct streams *s, const uint64_t *q, uint32_t n, uint64_t widest,
			double repeats)
{
	const unsigned bits = widest ? 64u - (unsigned)__builtin_clzll(widest) : 1;
	uint8_t *symbols = bytes_room(&s->data, n + (size_t)n * bits / 8 + 16);
	uint64_t total;

	if (!symbols)
		return;
	total = bits < LOOSE_BITS_FEW ? classes_few(q, n, symbols) : classes_any(q, n, symbols);
	s->data.len += n;
	segment_end(s, repeats > 0.1 ? SEGMENT_REPEATS : SEGMENT_ENTROPY);
	s->data.len += (size_t)(total + 7) / 8;
	segment_end(s, SEGMENT_RAW);
}

/* ---- streams ---- */

static void ints_put_at(struct streams *s, const uint64_t *v, uint32_t n, enum numbers_kind kind,
			unsigned depth);

static void sparse_put(struct streams *s, const uint64_t *q, uint32_t n, uint64_t constant,
		       unsigned depth)
{
	struct words *gaps = &s->scratch[depth * SCRATCH_PER_DEPTH + 1], *values = gaps + 1;
	uint32_t i, gap = 0;

	gaps->cnt = values->cnt = 0;
	for (i = 0; i < n; i++) {
		if (q[i] == constant) {
			gap++;
			continue;
		}
		words_add(gaps, gap);
		words_add(values, q[i]);
		gap = 0;
	}
	bytes_varint(&s->plan, constant);
	bytes_varint(&s->plan, gaps->cnt);
	ints_put_at(s, gaps->v, gaps->cnt, NUMBERS_UNSIGNED, depth + 1);
	ints_put_at(s, values->v, values->cnt, NUMBERS_UNSIGNED, depth + 1);
}

static void ints_put_at(struct streams *s, const uint64_t *v, uint32_t n, enum numbers_kind kind,
			unsigned depth)
{
	struct words *q = &s->scratch[depth * SCRATCH_PER_DEPTH], *list = q + 1;
	struct choice c;
	unsigned head;

	if (!n)
		return;
	q->cnt = 0;
	choose(s, v, n, kind, depth, false, &c);
	if (c.packing == COLUMNS_DICTIONARY && !dictionary_make(s, v, n, list, q))
		return; /* no memory */
	if (c.packing != COLUMNS_CONSTANT && !c.q)
		return; /* likewise */
	head = c.packing | (unsigned)c.transform << COLUMNS_TRANSFORM_SHIFT |
	       (c.base ? COLUMNS_HAS_BASE : 0) | (c.shift ? COLUMNS_HAS_SHIFT : 0);
	bytes_byte(&s->plan, head);
	if (c.base)
		bytes_varint(&s->plan, zigzag((int64_t)c.base));
	if (c.shift)
		bytes_byte(&s->plan, c.shift);
	switch (c.packing) {
	case COLUMNS_CONSTANT:
		bytes_varint(&s->plan, c.constant);
		break;
	case COLUMNS_PLANES:
		planes_put(s, c.q, n, c.widest, c.repeats);
		break;
	case COLUMNS_CLASSES:
		classes_put(s, c.q, n, c.widest, c.repeats);
		break;
	case COLUMNS_SPARSE:
		sparse_put(s, c.q, n, c.constant, depth);
		break;
	case COLUMNS_DICTIONARY:
		bytes_varint(&s->plan, list->cnt);
		ints_put_at(s, list->v, list->cnt, kind, depth + 1);
		ints_put_at(s, q->v, n, NUMBERS_SYMBOLS, depth + 1);
		break;
	}
}

void ints_put(struct streams *s, const uint64_t *v, uint32_t n, enum numbers_kind kind)
{
	ints_put_at(s, v, n, kind, 0);
}

double ints_cost(struct streams *s, const uint64_t *v, uint32_t n, enum numbers_kind kind)
{
	struct choice c;

	if (!n)
		return 0;
	choose(s, v, n, kind, 0, true, &c);
	return c.bits;
}
