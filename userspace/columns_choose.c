/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_choose.c - which transform and which packing make a stream of integers small. A sample of the
 * numbers says what each would take, roughly: entropies of bytes and of classes, since what is
 * compressible goes through zstd afterwards. Where sequences come again and again (found by the
 * hashes of some numbers in a row), whole bytes are kept, in which zstd sees that; loose bits would
 * hide it.
 *
 * Streams may be short and many (a block of a program with hundreds of call sites), or few and long:
 * what is done once for each, and what is done for each number, cost about the same.
 */
#include "columns_choose.h"

#include <errno.h>

#define SAMPLE_MAX 512u
#define SAMPLE_CHUNK 32u
#define TABLED 4097u	  /* logarithms in the table */
#define DICTIONARY_MAX 256u
#define TINY 12u	  /* numbers: not worth a thought */
#define RAW_ENTROPY 7.85f /* bits per byte: what zstd cannot make smaller */
#define REPEAT_SAMPLING 15u /* one in 16 hashes is looked up */
#define REPEAT_NUMBERS 16384u /* of the stream, in which repetitions are looked for */

/* Without libm, which an application that links libqslog need not have. */
static double log2_make(double x)
{
	double bits = 0, weight = 0.5;
	unsigned i;

	for (; x >= 2; x /= 2)
		bits++;
	for (i = 0; i < 20; i++, weight /= 2) {
		x *= x;
		if (x >= 2) {
			x /= 2;
			bits += weight;
		}
	}
	return bits;
}

int choose_init(struct streams *s)
{
	unsigned i;

	s->repeat_table = malloc(sizeof(*s->repeat_table) << COLUMNS_REPEAT_BITS);
	s->value_table = malloc(sizeof(*s->value_table) << COLUMNS_VALUE_BITS);
	s->logs = malloc(TABLED * sizeof(*s->logs));
	s->products = malloc(TABLED * sizeof(*s->products));
	if (!s->repeat_table || !s->value_table || !s->logs || !s->products)
		return -ENOMEM;
	s->logs[0] = s->products[0] = 0;
	for (i = 1; i < TABLED; i++) {
		s->logs[i] = i % 2 ? (float)log2_make(i) : s->logs[i / 2] + 1;
		s->products[i] = (float)i * s->logs[i];
	}
	return 0;
}

void choose_fini(struct streams *s)
{
	free(s->repeat_table);
	free(s->value_table);
	free(s->logs);
	free(s->products);
}

/* ---- measuring ---- */

static float log2_of(const struct streams *s, uint32_t n)
{
	unsigned more = 0;

	while (n >= TABLED) {
		n >>= 1;
		more++;
	}
	return s->logs[n] + (float)more;
}

struct histogram {
	uint16_t cnt[256];
};

/* Bits of `total` symbols, as a coder makes of them that spends whole bits on each. */
static float entropy(const struct streams *s, const struct histogram *h, uint32_t total)
{
	const float log_total = log2_of(s, total);
	float products[4] = { 0 }, bits, whole, one;
	uint32_t most = 0, distinct = 0;
	unsigned i, k;

	for (i = 0; i < 256; i += 4) {
		for (k = 0; k < 4; k++) {
			const uint32_t cnt = h->cnt[i + k];

			products[k] += s->products[cnt];
			distinct += cnt != 0;
			most = cnt > most ? cnt : most;
		}
	}
	bits = (float)total * log_total - (products[0] + products[1] + products[2] + products[3]);
	whole = bits;
	one = log_total - log2_of(s, most);
	if (one < 1) /* of no other symbol */
		whole += (float)most * (1 - one);
	if (distinct > 1) { /* a sample looks more orderly than what it is of (Miller, Madow) */
		bits += 0.72f * (float)(distinct - 1);
		whole += 0.72f * (float)(distinct - 1);
	}
	return bits * 1.8f < whole ? bits * 1.8f : whole; /* runs help, but not all the way */
}

bool bytes_are_random(const struct streams *s, const uint8_t *p, uint32_t n)
{
	struct histogram h[2] = { 0 };
	uint32_t i;

	for (i = 0; i + 1 < n; i += 2) { /* two, so that equal bytes need not wait for each other */
		h[0].cnt[p[i]]++;
		h[1].cnt[p[i + 1]]++;
	}
	if (i < n)
		h[0].cnt[p[i]]++;
	for (i = 0; i < 256; i++)
		h[0].cnt[i] = (uint16_t)(h[0].cnt[i] + h[1].cnt[i]);
	return entropy(s, &h[0], n) > RAW_ENTROPY * (float)n;
}

static unsigned bit_length(uint64_t v)
{
	return v ? 64u - (unsigned)__builtin_clzll(v) : 0;
}

static uint64_t transformed(const uint64_t *v, uint32_t i, const struct choice *c)
{
	const uint64_t x = v[i] - c->base;

	if (c->transform == COLUMNS_DELTA)
		return zigzag((int64_t)(i ? v[i] - v[i - 1] : x) >> c->shift);
	if (i > 1)
		return zigzag((int64_t)(v[i] - 2 * v[i - 1] + v[i - 2]) >> c->shift);
	return zigzag((int64_t)(i ? v[i] - v[i - 1] - (v[0] - c->base) : x) >> c->shift);
}

uint64_t transform(const uint64_t *v, uint32_t n, const struct choice *c, uint64_t *q)
{
	const uint64_t base = c->base;
	const unsigned shift = c->shift;
	uint64_t widest = 0;
	uint32_t i;

	switch (c->transform) {
	case COLUMNS_PLAIN:
		for (i = 0; i < n; i++)
			widest |= q[i] = (v[i] - base) >> shift;
		break;
	case COLUMNS_SIGNED:
		for (i = 0; i < n; i++)
			widest |= q[i] = zigzag((int64_t)(v[i] - base) >> shift);
		break;
	case COLUMNS_DELTA:
		widest = q[0] = transformed(v, 0, c);
		for (i = 1; i < n; i++)
			widest |= q[i] = zigzag((int64_t)(v[i] - v[i - 1]) >> shift);
		break;
	case COLUMNS_DELTA2:
		for (i = 0; i < n && i < 2; i++)
			widest |= q[i] = transformed(v, i, c);
		for (; i < n; i++)
			widest |= q[i] = zigzag((int64_t)(v[i] - 2 * v[i - 1] + v[i - 2]) >> shift);
		break;
	}
	return widest;
}

/* What part of the sequences of some numbers has been there before? They are longer where numbers
 * of `range_bits` say less. Of a long stream the beginning is looked at; the rest is taken to be as
 * the second half of that, for which the first is known. */
static double repeats_measure(struct streams *s, const uint64_t *v, uint32_t n, unsigned range_bits)
{
	const uint32_t looked_at = n < REPEAT_NUMBERS ? n : REPEAT_NUMBERS;
	const uint32_t length = range_bits > 16 ? 3 : range_bits > 8 ? 5 : 12;
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	uint32_t *table = s->repeat_table;
	uint32_t i, seen = 0, again = 0, half_seen = 0, half_again = 0;
	uint64_t rolling = 0, out = 1, h;
	double repeats;

	if (n < 64)
		return 0;
	for (i = 0; i < length; i++) {
		rolling = rolling * factor + v[i];
		out *= factor;
	}
	memset(table, 0, sizeof(*table) << COLUMNS_REPEAT_BITS);
	for (; i < looked_at; i++) {
		uint32_t at;

		if (i == REPEAT_NUMBERS / 2) {
			half_seen = seen;
			half_again = again;
		}
		rolling = rolling * factor + v[i] - v[i - length] * out;
		h = rolling * UINT64_C(0xbf58476d1ce4e5b9);
		if (h >> 60 & REPEAT_SAMPLING)
			continue;
		h ^= h >> 31;
		at = (uint32_t)(h >> 20) & ((1u << COLUMNS_REPEAT_BITS) - 1);
		seen++;
		again += table[at] == (uint32_t)(h >> 29) + 1;
		table[at] = (uint32_t)(h >> 29) + 1;
	}
	if (seen < 8)
		return 0;
	repeats = (double)again / seen;
	if (n > looked_at && seen > half_seen)
		repeats += ((double)(again - half_again) / (seen - half_seen) - repeats) *
			   (n - looked_at) / n;
	return repeats;
}

/* ---- samples ---- */

/* Some of the numbers, in chunks over the whole, or all; each with the two before it. */
struct sample {
	uint32_t cnt;
	uint64_t v[SAMPLE_MAX], before[SAMPLE_MAX], before2[SAMPLE_MAX];
	uint64_t q[SAMPLE_MAX]; /* transformed */
};

static void sample_take(struct sample *s, const uint64_t *v, uint32_t n)
{
	const uint32_t chunks = SAMPLE_MAX / SAMPLE_CHUNK;
	const uint64_t step = n > SAMPLE_MAX ? (n - SAMPLE_CHUNK) / (chunks - 1) : SAMPLE_CHUNK;
	uint32_t chunk, i, k = 0;

	s->cnt = n < SAMPLE_MAX ? n : SAMPLE_MAX;
	for (chunk = 0; k < s->cnt; chunk++) {
		const uint64_t *from = v + chunk * step;

		for (i = 0; i < SAMPLE_CHUNK && k < s->cnt; i++, k++) {
			const uint32_t at = chunk || i > 1 ? i : 2; /* the first two have not two before */

			s->v[k] = from[i];
			s->before[k] = from[at] - from[(int32_t)at - 1]; /* the difference */
			s->before2[k] = from[at] - 2 * from[(int32_t)at - 1] + from[(int32_t)at - 2];
		}
	}
}

static void sample_transform(struct sample *s, enum columns_transform transform, uint64_t base,
			     unsigned shift)
{
	uint32_t i;

	switch (transform) {
	case COLUMNS_PLAIN:
		for (i = 0; i < s->cnt; i++)
			s->q[i] = (s->v[i] - base) >> shift;
		break;
	case COLUMNS_SIGNED:
		for (i = 0; i < s->cnt; i++)
			s->q[i] = zigzag((int64_t)s->v[i]);
		break;
	case COLUMNS_DELTA:
		for (i = 0; i < s->cnt; i++)
			s->q[i] = zigzag((int64_t)s->before[i] >> shift);
		break;
	case COLUMNS_DELTA2:
		for (i = 0; i < s->cnt; i++)
			s->q[i] = zigzag((int64_t)s->before2[i] >> shift);
		break;
	}
}

struct measured {
	struct histogram hist;
	uint32_t total;
	float symbol_bits, loose_bits; /* per number */
};

static void classes_measure(const struct streams *s, const struct sample *sample, struct measured *m)
{
	struct histogram other = { 0 };
	uint64_t loose = 0;
	unsigned bits;
	uint32_t i;

	memset(&m->hist, 0, sizeof(m->hist));
	for (i = 0; i + 1 < sample->cnt; i += 2) {
		m->hist.cnt[columns_class(sample->q[i], &bits)]++;
		loose += bits;
		other.cnt[columns_class(sample->q[i + 1], &bits)]++;
		loose += bits;
	}
	if (i < sample->cnt) {
		m->hist.cnt[columns_class(sample->q[i], &bits)]++;
		loose += bits;
	}
	for (i = 0; i < 256; i++)
		m->hist.cnt[i] = (uint16_t)(m->hist.cnt[i] + other.cnt[i]);
	m->total = sample->cnt;
	m->symbol_bits = entropy(s, &m->hist, m->total) / (float)m->total;
	m->loose_bits = (float)loose / (float)m->total;
}

/* ---- choosing ---- */

/* One number, over and over: the most frequent of the small ones, if it is nearly all there is. */
static void sparse_try(const struct streams *s, const struct measured *m, uint32_t n, unsigned depth,
		       struct choice *c)
{
	struct histogram rest;
	unsigned i, best = 0;
	double exceptions, bits;

	for (i = 1; i < COLUMNS_CLASS_SMALL; i++) {
		if (m->hist.cnt[i] > m->hist.cnt[best])
			best = i;
	}
	exceptions = (double)(m->total - m->hist.cnt[best]) / m->total;
	if (depth + 1 >= COLUMNS_DEPTH_MAX || exceptions > 0.3 || n < 32)
		return;
	bits = exceptions * n * (exceptions > 0 ? 1.6 + (double)log2_of(s, (uint32_t)(1 / exceptions)) : 0) + 24;
	if (m->total > m->hist.cnt[best]) {
		rest = m->hist;
		rest.cnt[best] = 0;
		bits += (double)entropy(s, &rest, m->total - m->hist.cnt[best]) / m->total * n +
			(double)m->loose_bits * n;
	}
	bits *= 1 - 0.9 * c->repeats;
	if (bits < c->bits) {
		c->packing = COLUMNS_SPARSE;
		c->constant = best;
		c->bits = bits;
	}
}

static uint32_t value_slot(const uint16_t *table, const uint64_t *list, uint64_t v)
{
	uint32_t at = (uint32_t)(v * UINT64_C(0x9e3779b97f4a7c15) >> (64 - COLUMNS_VALUE_BITS));

	while (table[at] && list[table[at] - 1] != v)
		at = (at + 1) & ((1u << COLUMNS_VALUE_BITS) - 1);
	return at;
}

bool dictionary_make(struct streams *s, const uint64_t *v, uint32_t n, struct words *list,
		     struct words *index)
{
	const uint32_t most = n / 4 < DICTIONARY_MAX ? n / 4 : DICTIONARY_MAX;
	uint32_t i, at;

	memset(s->value_table, 0, sizeof(*s->value_table) << COLUMNS_VALUE_BITS);
	list->cnt = 0;
	if (!words_grow(list, DICTIONARY_MAX) || (index && !words_grow(index, n - index->cnt)))
		return false;
	for (i = 0; i < n; i++) {
		at = value_slot(s->value_table, list->v, v[i]);
		if (!s->value_table[at]) {
			if (list->cnt == most)
				return false;
			list->v[list->cnt++] = v[i];
			s->value_table[at] = (uint16_t)list->cnt;
		}
		if (index)
			index->v[i] = s->value_table[at] - 1u;
	}
	if (index)
		index->cnt = n;
	return true;
}

/* Few different numbers of several bytes: a byte each instead. */
static void dictionary_try(struct streams *s, const uint64_t *v, uint32_t n, const struct sample *sample,
			   struct words *scratch, unsigned depth, struct choice *c)
{
	struct histogram hist = { 0 };
	double bits;
	uint32_t i;

	if (depth + 1 >= COLUMNS_DEPTH_MAX || !dictionary_make(s, v, n, scratch, NULL))
		return;
	for (i = 0; i < sample->cnt; i++)
		hist.cnt[s->value_table[value_slot(s->value_table, scratch->v, sample->v[i])] - 1]++;
	bits = (double)entropy(s, &hist, sample->cnt) / sample->cnt * n * (1 - 0.95 * c->repeats) +
	       24.0 * scratch->cnt;
	if (bits < c->bits) {
		c->packing = COLUMNS_DICTIONARY;
		c->transform = COLUMNS_PLAIN;
		c->base = 0;
		c->shift = 0;
		c->bits = bits;
	}
}

static double planes_cost(const struct streams *s, const struct sample *sample, uint32_t n, unsigned width)
{
	struct histogram hist[8];
	double bits = 0;
	uint32_t i;
	unsigned k;

	memset(hist, 0, width * sizeof(hist[0]));
	for (i = 0; i < sample->cnt; i++) {
		uint64_t x = sample->q[i];

		for (k = 0; k < width; k++, x >>= 8)
			hist[k].cnt[x & 0xff]++;
	}
	for (k = 0; k < width; k++)
		bits += (double)entropy(s, &hist[k], sample->cnt);
	return bits / sample->cnt * n;
}

/* What all have in common. */
struct range {
	uint64_t min, differ, any; /* least; bits in which some differ; bits that occur */
	unsigned shift;		   /* common trailing zeros of the differences */
	bool negative;
};

static inline void range_take_as(struct range *r, const uint64_t *v, uint32_t n, uint64_t flip)
{
	uint64_t low[2] = { v[0] ^ flip, v[0] ^ flip }, any = v[0], all = v[0];
	uint32_t i;

	for (i = 0; i + 1 < n; i += 2) {
		const uint64_t a = v[i] ^ flip, b = v[i + 1] ^ flip;

		low[0] = a < low[0] ? a : low[0];
		low[1] = b < low[1] ? b : low[1];
		any |= v[i] | v[i + 1];
		all &= v[i] & v[i + 1];
	}
	if (i < n) {
		low[0] = (v[i] ^ flip) < low[0] ? v[i] ^ flip : low[0];
		any |= v[i];
		all &= v[i];
	}
	r->min = (low[0] < low[1] ? low[0] : low[1]) ^ flip;
	r->any = any;
	r->differ = any & ~all;
}

static void range_take(struct range *r, const uint64_t *v, uint32_t n, bool is_signed)
{
	if (is_signed)
		range_take_as(r, v, n, UINT64_C(1) << 63);
	else
		range_take_as(r, v, n, 0);
	r->shift = r->differ ? (unsigned)__builtin_ctzll(r->differ) : 0;
	r->negative = is_signed && (int64_t)r->min < 0;
}

/* Which transform gives the smallest classes; `sample` is transformed by it afterwards. */
static void transform_choose(const struct streams *s, struct sample *sample, const uint64_t *v, uint32_t n,
			     const struct range *r, enum numbers_kind kind, struct choice *c,
			     struct measured *best)
{
	struct choice t = { .packing = COLUMNS_CLASSES, .repeats = c->repeats };
	struct measured m;
	unsigned k, last = COLUMNS_PLAIN;
	double bits;

	c->bits = __builtin_inf();
	for (k = 0; k < 4; k++) {
		if ((k == COLUMNS_SIGNED && !r->negative) ||
		    (k == COLUMNS_DELTA2 && c->transform != COLUMNS_DELTA && n > 64) ||
		    (k != COLUMNS_PLAIN && kind == NUMBERS_SYMBOLS))
			continue;
		t.transform = (enum columns_transform)k;
		t.shift = k == COLUMNS_SIGNED ? 0 : r->shift;
		t.base = k == COLUMNS_PLAIN  ? r->min :
			 k == COLUMNS_SIGNED ? 0 :
			 k == COLUMNS_DELTA  ? v[0] - (v[1] - v[0]) : /* an even progression is all the same */
					       v[0];
		sample_transform(sample, t.transform, t.base, t.shift);
		classes_measure(s, sample, &m);
		last = k;
		bits = ((double)m.symbol_bits * (1 - 0.95 * c->repeats) + (double)m.loose_bits) * n + 8;
		if (bits < c->bits) {
			*c = t;
			c->bits = bits;
			*best = m;
		}
	}
	if (last != (unsigned)c->transform)
		sample_transform(sample, c->transform, c->base, c->shift);
}

void choose(struct streams *s, const uint64_t *v, uint32_t n, enum numbers_kind kind, unsigned depth,
	    bool estimate, struct choice *c)
{
	struct words *scratch = &s->scratch[depth * SCRATCH_PER_DEPTH];
	struct sample sample;
	struct measured best;
	struct range range;
	unsigned width;
	double bits;

	range_take(&range, v, n, kind == NUMBERS_SIGNED);
	memset(c, 0, sizeof(*c));
	if (!range.differ) {
		c->packing = COLUMNS_CONSTANT;
		c->constant = v[0];
		c->bits = 16;
		return;
	}
	c->packing = COLUMNS_PLANES;
	c->base = range.min;
	c->shift = range.shift;
	if (n < TINY) {
		if (!words_grow(scratch, n))
			return;
		c->widest = transform(v, n, c, scratch->v);
		c->q = scratch->v;
		c->bits = (bit_length(c->widest) + 7) / 8 * 8.0 * n;
		return;
	}
	c->repeats = estimate ? 0 : repeats_measure(s, v, n, bit_length(range.differ));
	sample_take(&sample, v, n);
	transform_choose(s, &sample, v, n, &range, kind, c, &best);
	if (estimate) {
		sparse_try(s, &best, n, depth, c);
		return;
	}
	/* from here on the transform stays as it is, whatever the packing */
	if (c->transform == COLUMNS_PLAIN && !c->base && !c->shift) {
		c->q = v;
		c->widest = range.any;
	} else {
		if (!words_grow(scratch, n))
			return;
		c->widest = transform(v, n, c, scratch->v);
		c->q = scratch->v;
	}
	width = (bit_length(c->widest) + 7) / 8;
	bits = planes_cost(s, &sample, n, width) * (1 - 0.95 * c->repeats) + 8.0 * width;
	if (bits < c->bits) {
		c->packing = COLUMNS_PLANES;
		c->bits = bits;
	}
	sparse_try(s, &best, n, depth, c);
	if (width > 1)
		dictionary_try(s, v, n, &sample, scratch + 1, depth, c);
}
