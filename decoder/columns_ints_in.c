/* SPDX-License-Identifier: BSD-2-Clause */
/* columns_ints_in.c - streams of integers, the reading side of userspace/columns_ints.c. */
#include <errno.h>

#include "columns_in.h"
#include "varint.h"

int columns_number(struct columns_in *c, struct columns_cursor *at, uint64_t *v)
{
	const uint8_t *p = varint_get(at->plan, at->plan_end, v);

	if (!p)
		return columns_refuse(c, "the plan of a block ends too early");
	at->plan = p;
	return 0;
}

int columns_byte(struct columns_in *c, struct columns_cursor *at, unsigned *v)
{
	if (at->plan >= at->plan_end)
		return columns_refuse(c, "the plan of a block ends too early");
	*v = *at->plan++;
	return 0;
}

static const uint8_t *data_take(struct columns_cursor *at, uint64_t bytes)
{
	const uint8_t *p = at->data;

	if (bytes > (uint64_t)(at->data_end - at->data))
		return NULL;
	at->data += bytes;
	return p;
}

static int planes_take(struct columns_in *c, struct columns_cursor *at, uint32_t n, uint64_t *q)
{
	const uint8_t *p;
	unsigned width = 0, k;
	uint32_t i;
	int err = columns_byte(c, at, &width);

	if (err)
		return err;
	p = width && width <= 8 ? data_take(at, (uint64_t)width * n) : NULL;
	if (!p)
		return columns_refuse(c, "a stream of a block ends too early");
	for (i = 0; i < n; i++)
		q[i] = p[i];
	for (k = 1; k < width; k++) {
		p += n;
		for (i = 0; i < n; i++)
			q[i] |= (uint64_t)p[i] << 8 * k;
	}
	return 0;
}

/* 1 to 60 bits from bit `pos` on; `bytes` long. */
static uint64_t bits_take(const uint8_t *p, uint64_t bytes, uint64_t pos, unsigned bits)
{
	const uint64_t first = pos >> 3;
	const unsigned shift = pos & 7;
	uint64_t word = 0, next;

	if (__builtin_expect(bytes - first >= 9, 1)) {
		memcpy(&word, p + first, 8);
		word >>= shift;
		next = p[first + 8];
	} else {
		uint64_t i, left = bytes - first < 8 ? bytes - first : 8;

		for (i = 0; i < left; i++)
			word |= (uint64_t)p[first + i] << 8 * i;
		word >>= shift;
		next = bytes - first > 8 ? p[first + 8] : 0;
	}
	if (shift)
		word |= next << (64 - shift);
	return word & ((UINT64_C(1) << bits) - 1);
}

static int classes_take(struct columns_in *c, struct columns_cursor *at, uint32_t n, uint64_t *q)
{
	const uint8_t *symbols = data_take(at, n), *loose;
	uint64_t total = 0, pos = 0, bytes;
	uint32_t i;

	if (!symbols)
		return columns_refuse(c, "a stream of a block ends too early");
	for (i = 0; i < n; i++)
		total += columns_class_bits(symbols[i]);
	bytes = (total + 7) / 8;
	loose = data_take(at, bytes);
	if (!loose)
		return columns_refuse(c, "a stream of a block ends too early");
	for (i = 0; i < n; i++) {
		const unsigned bits = columns_class_bits(symbols[i]);

		q[i] = columns_class_base(symbols[i]);
		if (bits) {
			q[i] += bits_take(loose, bytes, pos, bits);
			pos += bits;
		}
	}
	return 0;
}

static int ints_at(struct columns_in *c, struct columns_cursor *at, uint32_t n, unsigned depth,
		   uint64_t **out);

static int sparse_take(struct columns_in *c, struct columns_cursor *at, uint32_t n, unsigned depth,
		       uint64_t *q)
{
	uint64_t constant, cnt, *gaps, *values, pos = 0;
	uint32_t i;
	int err;

	err = columns_number(c, at, &constant);
	err = err ? err : columns_number(c, at, &cnt);
	if (!err && cnt > n)
		err = columns_refuse(c, "a stream of a block is longer than it can be");
	err = err ? err : ints_at(c, at, (uint32_t)cnt, depth + 1, &gaps);
	err = err ? err : ints_at(c, at, (uint32_t)cnt, depth + 1, &values);
	if (err)
		return err;
	for (i = 0; i < n; i++)
		q[i] = constant;
	for (i = 0; i < cnt; i++) {
		if (gaps[i] >= n - pos)
			return columns_refuse(c, "a stream of a block is longer than it can be");
		pos += gaps[i];
		q[pos++] = values[i];
	}
	return 0;
}

static int dictionary_take(struct columns_in *c, struct columns_cursor *at, uint32_t n,
			   unsigned depth, uint64_t *q)
{
	uint64_t cnt, *list, *index;
	uint32_t i;
	int err;

	err = columns_number(c, at, &cnt);
	if (!err && (cnt > n || !cnt))
		err = columns_refuse(c, "a dictionary of a block is longer than it can be");
	err = err ? err : ints_at(c, at, (uint32_t)cnt, depth + 1, &list);
	err = err ? err : ints_at(c, at, n, depth + 1, &index);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		if (index[i] >= cnt)
			return columns_refuse(c, "a reference to nothing");
		q[i] = list[index[i]];
	}
	return 0;
}

static void transform_undo(uint64_t *q, uint32_t n, unsigned transform, uint64_t base, unsigned shift)
{
	uint64_t x = 0, d = 0;
	uint32_t i;

	switch ((enum columns_transform)transform) {
	case COLUMNS_PLAIN:
		if (!base && !shift)
			return;
		for (i = 0; i < n; i++)
			q[i] = base + (q[i] << shift);
		return;
	case COLUMNS_DELTA:
		for (i = 0; i < n; i++) {
			x += (uint64_t)unzigzag(q[i]);
			q[i] = base + (x << shift);
		}
		return;
	case COLUMNS_DELTA2:
		for (i = 0; i < n; i++) {
			d += (uint64_t)unzigzag(q[i]);
			x += d;
			q[i] = base + (x << shift);
		}
		return;
	case COLUMNS_SIGNED:
		for (i = 0; i < n; i++)
			q[i] = base + ((uint64_t)unzigzag(q[i]) << shift);
		return;
	}
}

static int ints_at(struct columns_in *c, struct columns_cursor *at, uint32_t n, unsigned depth,
		   uint64_t **out)
{
	uint64_t base = 0, constant, *q;
	unsigned head = 0, shift = 0;
	uint32_t i;
	int err;

	*out = NULL;
	if (!n)
		return 0;
	if (depth >= COLUMNS_DEPTH_MAX)
		return columns_refuse(c, "streams of a block lie too deep in each other");
	err = columns_byte(c, at, &head);
	if (err)
		return err;
	if (head & COLUMNS_HAS_BASE) {
		err = columns_number(c, at, &base);
		base = err ? 0 : (uint64_t)unzigzag(base);
	}
	if (!err && head & COLUMNS_HAS_SHIFT)
		err = columns_byte(c, at, &shift);
	if (!err && shift > 63)
		err = columns_refuse(c, "a stream of a block is stored in an unknown way");
	q = err ? NULL : columns_alloc(c, n, sizeof(*q), &err);
	if (!q)
		return err;
	switch (head & COLUMNS_PACKING_MASK) {
	case COLUMNS_CONSTANT:
		err = columns_number(c, at, &constant);
		for (i = 0; i < n && !err; i++)
			q[i] = constant;
		break;
	case COLUMNS_PLANES:
		err = planes_take(c, at, n, q);
		break;
	case COLUMNS_CLASSES:
		err = classes_take(c, at, n, q);
		break;
	case COLUMNS_SPARSE:
		err = sparse_take(c, at, n, depth, q);
		break;
	case COLUMNS_DICTIONARY:
		err = dictionary_take(c, at, n, depth, q);
		break;
	default:
		err = columns_refuse(c, "a stream of a block is stored in an unknown way");
		break;
	}
	if (err)
		return err;
	transform_undo(q, n, head >> COLUMNS_TRANSFORM_SHIFT & COLUMNS_TRANSFORM_MASK, base, shift);
	*out = q;
	return 0;
}

int columns_ints(struct columns_in *c, struct columns_cursor *at, uint32_t n, uint64_t **out)
{
	return ints_at(c, at, n, 0, out);
}
