/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_ints.c - a stream of integers: which transform and which packing make it small. A sample
 * of the numbers says what each would take, roughly: entropies of bytes and of classes, since what
 * is compressible goes through zstd afterwards. Where sequences come again and again (found by the
 * hashes of three numbers in a row), whole bytes are kept, in which zstd sees that; loose bits
 * would hide it.
 */
#include "columns_out.h"

#include <errno.h>

#define SAMPLE_MAX 512u
#define SAMPLE_CHUNK 32u
#define TABLED 4097u	  /* logarithms in the table */
#define DICTIONARY_MAX 256u
#define TINY 12u	  /* numbers: not worth a thought */
#define RAW_ENTROPY 7.85  /* bits per byte: what zstd cannot make smaller */
#define REPEAT_SAMPLING 15u /* one in 16 hashes is looked up */
#define SCRATCH_PER_DEPTH 3u

struct choice {
	enum columns_packing packing;
	enum columns_transform transform;
	uint64_t base;
	unsigned shift;
	uint64_t constant; /* of COLUMNS_CONSTANT and COLUMNS_SPARSE */
	double repeats;	   /* 0 to 1 */
	double bits;
	uint64_t widest;   /* of what is transformed already, into the scratch memory */
	bool transformed;
};

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

int streams_init(struct streams *s)
{
	unsigned i;

	s->scratch = calloc(COLUMNS_SCRATCH, sizeof(*s->scratch));
	s->repeat_table = malloc(sizeof(*s->repeat_table) << COLUMNS_REPEAT_BITS);
	s->value_table = malloc(sizeof(*s->value_table) << COLUMNS_VALUE_BITS);
	s->logs = malloc(TABLED * sizeof(*s->logs));
	if (!s->scratch || !s->repeat_table || !s->value_table || !s->logs)
		return -ENOMEM;
	s->logs[0] = 0;
	for (i = 1; i < TABLED; i++)
		s->logs[i] = (float)log2_make(i);
	return 0;
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
	free(s->repeat_table);
	free(s->value_table);
	free(s->logs);
}

bool streams_failed(const struct streams *s)
{
	bool failed = s->failed || s->plan.failed || s->data.failed || s->segments.failed;
	unsigned i;

	for (i = 0; i < COLUMNS_SCRATCH; i++)
		failed |= s->scratch[i].failed;
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

/* ---- measuring ---- */

static double log2_of(const struct streams *s, uint32_t n)
{
	unsigned more = 0;

	while (n >= TABLED) {
		n >>= 1;
		more++;
	}
	return s->logs[n] + more;
}

/* Bits of `total` symbols, as a coder makes of them that spends whole bits on each. */
static double entropy(const struct streams *s, const uint32_t *hist, unsigned symbols, uint32_t total)
{
	const double log_total = log2_of(s, total);
	double bits = 0, whole = 0, one;
	unsigned i, distinct = 0;

	for (i = 0; i < symbols; i++) {
		if (hist[i]) {
			one = log_total - log2_of(s, hist[i]);
			distinct++;
			bits += hist[i] * one;
			whole += hist[i] * (one < 1 ? 1 : one);
		}
	}
	if (distinct > 1) { /* a sample looks more orderly than what it is of (Miller, Madow) */
		bits += 0.72 * (distinct - 1);
		whole += 0.72 * (distinct - 1);
	}
	return bits * 1.8 < whole ? bits * 1.8 : whole; /* runs help, but not all the way */
}

static unsigned bit_length(uint64_t v)
{
	return v ? 64u - (unsigned)__builtin_clzll(v) : 0;
}

static uint64_t transformed(const uint64_t *v, uint32_t i, const struct choice *c)
{
	const uint64_t x = v[i] - c->base;

	switch (c->transform) {
	case COLUMNS_PLAIN:
		return x >> c->shift;
	case COLUMNS_SIGNED:
		return zigzag((int64_t)x >> c->shift);
	case COLUMNS_DELTA:
		return zigzag((int64_t)(i ? v[i] - v[i - 1] : x) >> c->shift);
	case COLUMNS_DELTA2:
		if (i > 1)
			return zigzag((int64_t)(v[i] - 2 * v[i - 1] + v[i - 2]) >> c->shift);
		return zigzag((int64_t)(i ? v[i] - v[i - 1] - (v[0] - c->base) : x) >> c->shift);
	}
	return 0;
}

/* The bits that occur in any of them. */
static uint64_t transform(const uint64_t *v, uint32_t n, const struct choice *c, uint64_t *q)
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

/* Where the sample has its numbers: in chunks over the whole, or everywhere. */
static uint32_t sample_index(uint32_t n, uint32_t i)
{
	const uint32_t chunks = SAMPLE_MAX / SAMPLE_CHUNK;
	uint64_t step;

	if (n <= SAMPLE_MAX)
		return i;
	step = (n - SAMPLE_CHUNK) / (chunks - 1);
	return (uint32_t)(i / SAMPLE_CHUNK * step) + i % SAMPLE_CHUNK;
}

/* What part of the sequences of some numbers has been there before? They are longer where numbers
 * of `range_bits` say less. */
static double repeats_measure(struct streams *s, const uint64_t *v, uint32_t n, unsigned range_bits)
{
	const uint32_t length = range_bits > 16 ? 3 : range_bits > 8 ? 5 : 12;
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	uint32_t *table = s->repeat_table;
	uint32_t i, seen = 0, again = 0;
	uint64_t rolling = 0, out = 1, h;

	if (n < 64)
		return 0;
	for (i = 0; i < length; i++) {
		rolling = rolling * factor + v[i];
		out *= factor;
	}
	memset(table, 0, sizeof(*table) << COLUMNS_REPEAT_BITS);
	for (; i < n; i++) {
		uint32_t at;

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
	return seen < 8 ? 0 : (double)again / seen;
}

/* ---- choosing ---- */

struct measured {
	uint32_t hist[256];
	uint32_t total;
	double symbol_bits, loose_bits; /* per number */
};

static void classes_measure(const struct streams *s, const uint64_t *v, uint32_t n, const struct choice *c,
			    struct measured *m)
{
	const uint32_t total = n < SAMPLE_MAX ? n : SAMPLE_MAX;
	uint64_t loose = 0;
	unsigned bits;
	uint32_t i;

	memset(m->hist, 0, sizeof(m->hist));
	for (i = 0; i < total; i++) {
		m->hist[columns_class(transformed(v, sample_index(n, i), c), &bits)]++;
		loose += bits;
	}
	m->total = total;
	m->symbol_bits = entropy(s, m->hist, 256, total) / total;
	m->loose_bits = (double)loose / total;
}

/* One number, over and over: the most frequent of the small ones, if it is nearly all there is. */
static void sparse_try(const struct streams *s, const struct measured *m, uint32_t n, unsigned depth, struct choice *c)
{
	struct measured rest = *m;
	unsigned i, best = 0;
	double exceptions, bits;

	for (i = 1; i < COLUMNS_CLASS_SMALL; i++) {
		if (m->hist[i] > m->hist[best])
			best = i;
	}
	exceptions = (double)(m->total - m->hist[best]) / m->total;
	if (depth + 1 >= COLUMNS_DEPTH_MAX || exceptions > 0.3 || n < 32)
		return;
	rest.hist[best] = 0;
	bits = exceptions * n * (exceptions > 0 ? 1.6 + log2_of(s, (uint32_t)(1 / exceptions)) : 0) + 24;
	if (m->total > m->hist[best])
		bits += entropy(s, rest.hist, 256, m->total - m->hist[best]) / m->total * n +
			m->loose_bits * n;
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

/* At most DICTIONARY_MAX different numbers into `list`, indices into `index`; false: more. */
static bool dictionary_make(struct streams *s, const uint64_t *v, uint32_t n, struct words *list,
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
static void dictionary_try(struct streams *s, const uint64_t *v, uint32_t n, struct words *scratch,
			   unsigned depth, struct choice *c)
{
	const uint32_t total = n < SAMPLE_MAX ? n : SAMPLE_MAX;
	uint32_t hist[DICTIONARY_MAX] = { 0 };
	double bits;
	uint32_t i;

	if (depth + 1 >= COLUMNS_DEPTH_MAX || !dictionary_make(s, v, n, scratch, NULL))
		return;
	for (i = 0; i < total; i++)
		hist[s->value_table[value_slot(s->value_table, scratch->v,
					       v[sample_index(n, i)])] - 1]++;
	bits = entropy(s, hist, DICTIONARY_MAX, total) / total * n * (1 - 0.95 * c->repeats) +
	       24.0 * scratch->cnt;
	if (bits < c->bits) {
		c->packing = COLUMNS_DICTIONARY;
		c->transform = COLUMNS_PLAIN;
		c->base = 0;
		c->shift = 0;
		c->bits = bits;
	}
}

static double planes_cost(const struct streams *s, const uint64_t *q, uint32_t n, unsigned width)
{
	const uint32_t total = n < SAMPLE_MAX ? n : SAMPLE_MAX;
	uint32_t hist[8][256] = { { 0 } };
	double bits = 0;
	uint32_t i;
	unsigned k;

	for (i = 0; i < total; i++) {
		uint64_t x = q[sample_index(n, i)];

		for (k = 0; k < width; k++, x >>= 8)
			hist[k][x & 0xff]++;
	}
	for (k = 0; k < width; k++)
		bits += entropy(s, hist[k], 256, total);
	return bits / total * n;
}

/* Range and common trailing zeros. */
static uint64_t plain_range(const uint64_t *v, uint32_t n, bool is_signed, uint64_t *min,
			unsigned *shift, bool *negative)
{
	uint64_t low = v[0], differ = 0;
	const uint64_t flip = is_signed ? UINT64_C(1) << 63 : 0;
	uint32_t i;

	low ^= flip;
	for (i = 0; i < n; i++) {
		uint64_t x = v[i] ^ flip;

		low = x < low ? x : low;
		differ |= v[i] ^ v[0];
	}
	*min = low ^ flip;
	*shift = differ ? (unsigned)__builtin_ctzll(differ) : 0;
	*negative = is_signed && (int64_t)*min < 0;
	return differ;
}

/* `estimate`: only what it costs, roughly. */
static void choose(struct streams *s, const uint64_t *v, uint32_t n, bool is_signed, unsigned depth,
		   bool estimate, struct choice *c)
{
	struct choice t = { .packing = COLUMNS_CLASSES };
	struct measured best = { .total = 0 }, m;
	struct words *scratch = &s->scratch[depth * SCRATCH_PER_DEPTH];
	uint64_t min, widest = 0, differ;
	unsigned shift, k, width;
	bool negative;
	double bits;
	uint32_t i;

	differ = plain_range(v, n, is_signed, &min, &shift, &negative);
	memset(c, 0, sizeof(*c));
	if (!differ) {
		c->packing = COLUMNS_CONSTANT;
		c->constant = v[0];
		c->bits = 16;
		return;
	}
	c->packing = COLUMNS_PLANES;
	c->base = min;
	c->shift = shift;
	if (n < TINY) {
		for (i = 0; i < n; i++)
			widest |= (v[i] - min) >> shift;
		c->bits = (bit_length(widest) + 7) / 8 * 8.0 * n;
		return;
	}
	c->repeats = estimate ? 0 : repeats_measure(s, v, n, bit_length(differ));
	c->bits = __builtin_inf();
	for (k = 0; k < 4; k++) {
		t.transform = (enum columns_transform)k;
		t.shift = shift;
		t.base = k == COLUMNS_PLAIN ? min : v[0];
		if (k == COLUMNS_SIGNED) {
			t.base = 0;
			t.shift = 0;
			if (!negative)
				continue;
		}
		if (k == COLUMNS_DELTA2 && c->transform != COLUMNS_DELTA && n > 64)
			continue;
		if (k == COLUMNS_DELTA) /* so that an even progression is all the same */
			t.base = v[0] - (v[1] - v[0]);
		classes_measure(s, v, n, &t, &m);
		bits = (m.symbol_bits * (1 - 0.95 * c->repeats) + m.loose_bits) * n + 8;
		if (bits < c->bits) {
			t.repeats = c->repeats;
			*c = t;
			c->bits = bits;
			best = m;
		}
	}
	/* from here on `t` is the transform, whatever the packing */
	t = *c;
	if (estimate) {
		sparse_try(s, &best, n, depth, c);
		return;
	}
	if (!words_grow(scratch, n))
		return;
	widest = transform(v, n, &t, scratch->v);
	c->widest = widest;
	c->transformed = true;
	width = (bit_length(widest) + 7) / 8;
	bits = planes_cost(s, scratch->v, n, width) * (1 - 0.95 * c->repeats) + 8.0 * width;
	if (bits < c->bits) {
		c->packing = COLUMNS_PLANES;
		c->bits = bits;
	}
	sparse_try(s, &best, n, depth, c);
	if (width > 1)
		dictionary_try(s, v, n, scratch + 1, depth, c);
}

/* ---- putting ---- */

static void planes_put(struct streams *s, const uint64_t *q, uint32_t n, uint64_t widest,
		       double repeats)
{
	uint32_t hist[256], i;
	unsigned k, width;
	uint8_t *p;

	width = (bit_length(widest) + 7) / 8;
	width = width ? width : 1;
	bytes_byte(&s->plan, width);
	for (k = 0; k < width; k++) {
		p = bytes_room(&s->data, n);
		if (!p)
			return;
		for (i = 0; i < n; i++)
			p[i] = (uint8_t)(q[i] >> 8 * k);
		s->data.len += n;
		memset(hist, 0, sizeof(hist));
		for (i = 0; i < n && i < 4096; i++)
			hist[p[i]]++;
		segment_end(s, repeats > 0.1 || n <= 1024 ? SEGMENT_REPEATS :
			       entropy(s, hist, 256, i) > RAW_ENTROPY * i ? SEGMENT_RAW : SEGMENT_ENTROPY);
	}
}

static void classes_put(struct streams *s, const uint64_t *q, uint32_t n, double repeats)
{
	uint8_t *symbols = bytes_room(&s->data, (size_t)n * 9 + 16), *p;
	uint64_t word = 0, total = 0;
	unsigned used = 0, bits;
	uint32_t i;

	if (!symbols)
		return;
	p = symbols + n;
	for (i = 0; i < n; i++) {
		uint64_t loose;

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
	s->data.len += n;
	segment_end(s, repeats > 0.1 ? SEGMENT_REPEATS : SEGMENT_ENTROPY);
	s->data.len += (size_t)(total + 7) / 8;
	segment_end(s, SEGMENT_RAW);
}

static void ints_put_at(struct streams *s, const uint64_t *v, uint32_t n, bool is_signed,
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
	ints_put_at(s, gaps->v, gaps->cnt, false, depth + 1);
	ints_put_at(s, values->v, values->cnt, false, depth + 1);
}

static void ints_put_at(struct streams *s, const uint64_t *v, uint32_t n, bool is_signed,
			unsigned depth)
{
	struct words *q = &s->scratch[depth * SCRATCH_PER_DEPTH], *list = q + 1;
	uint64_t widest = 0;
	struct choice c;
	unsigned head;

	if (!n)
		return;
	q->cnt = 0;
	if (!words_grow(q, n))
		return;
	choose(s, v, n, is_signed, depth, false, &c);
	if (c.packing == COLUMNS_DICTIONARY && !dictionary_make(s, v, n, list, q))
		return; /* no memory */
	head = c.packing | (unsigned)c.transform << COLUMNS_TRANSFORM_SHIFT |
	       (c.base ? COLUMNS_HAS_BASE : 0) | (c.shift ? COLUMNS_HAS_SHIFT : 0);
	bytes_byte(&s->plan, head);
	if (c.base)
		bytes_varint(&s->plan, zigzag((int64_t)c.base));
	if (c.shift)
		bytes_byte(&s->plan, c.shift);
	widest = c.widest;
	if (!c.transformed && c.packing == COLUMNS_PLANES)
		widest = transform(v, n, &c, q->v);
	switch (c.packing) {
	case COLUMNS_CONSTANT:
		bytes_varint(&s->plan, c.constant);
		break;
	case COLUMNS_PLANES:
		planes_put(s, q->v, n, widest, c.repeats);
		break;
	case COLUMNS_CLASSES:
		classes_put(s, q->v, n, c.repeats);
		break;
	case COLUMNS_SPARSE:
		sparse_put(s, q->v, n, c.constant, depth);
		break;
	case COLUMNS_DICTIONARY:
		bytes_varint(&s->plan, list->cnt);
		ints_put_at(s, list->v, list->cnt, is_signed, depth + 1);
		ints_put_at(s, q->v, n, false, depth + 1);
		break;
	}
}

void ints_put(struct streams *s, const uint64_t *v, uint32_t n, bool is_signed)
{
	ints_put_at(s, v, n, is_signed, 0);
}

double ints_cost(struct streams *s, const uint64_t *v, uint32_t n, bool is_signed)
{
	struct choice c;

	if (!n)
		return 0;
	choose(s, v, n, is_signed, 0, true, &c);
	return c.bits;
}
