/* SPDX-License-Identifier: BSD-2-Clause */
/* rows_direct.c - see rows_direct.h. */
#include "rows_direct.h"

#include <errno.h>
#include <stdlib.h>

#include "rows_put.h"

#define DATA_FIRST (64u << 10)

/* Where the next entry goes, with room for so much; NULL: no memory. */
static uint8_t *room(struct rows *r, size_t bytes)
{
	size_t cap = r->data_cap ? r->data_cap + r->data_cap / 2 : DATA_FIRST;
	uint8_t *data;

	if (__builtin_expect(r->data_cap - r->data_len >= bytes, 1))
		return r->data + r->data_len;
	if (cap - r->data_len < bytes)
		cap = r->data_len + bytes;
	data = realloc(r->data, cap);
	if (!data)
		return NULL;
	r->data = data;
	r->data_cap = cap;
	return data + r->data_len;
}

static void put(struct rows *r, const uint8_t *end)
{
	r->data_len = (size_t)(end - r->data);
	r->len = (uint32_t)r->data_len;
}

int rows_direct_room(struct rows *r, size_t bytes)
{
	return room(r, bytes) ? 0 : -ENOMEM;
}

int rows_direct_verbatim(struct rows *r, const void *entry, uint32_t bytes)
{
	uint8_t *p = room(r, bytes);

	if (!p)
		return -ENOMEM;
	memcpy(p, entry, bytes);
	put(r, p + bytes);
	return 0;
}

int rows_direct_thread(struct rows *r, uint32_t number)
{
	uint8_t *p = room(r, 1 + VARINT_BYTES_MAX), *end;

	if (!p)
		return -ENOMEM;
	end = varint_put(p + 1, number);
	*p = (uint8_t)(FILE_ENTRY_INFO << FILE_ENTRY_TYPE_SHIFT |
		       FILE_INFO_THREAD << FILE_INFO_TYPE_SHIFT | (unsigned)(end - p - 1));
	put(r, end);
	return 0;
}

static bool is_string(uint8_t type)
{
	return type == QSLOG_ARG_STR || type == QSLOG_ARG_BYTES;
}

static uint8_t *argument_put(uint8_t *p, uint8_t type, uint64_t v, uint32_t *text)
{
	const uint64_t size = type == QSLOG_ARG_INT64 ? zigzag((int64_t)v) >> 1 : v;

	*text += 1 + ((64u - (uint32_t)__builtin_clzll(size | 1)) * 77 >> 8); /* digits */
	return number_put(p, type, type == QSLOG_ARG_BOOL ? v != 0 : v);
}

/* Returns the slot behind it. */
static const uint64_t *string_put(uint8_t **at, uint8_t type, const uint64_t *slot, uint32_t *text)
{
	const uint32_t stored = (uint32_t)*slot, real = (uint32_t)(*slot >> 32);
	uint8_t *p = *at;

	if (real == QSLOG_STR_NULL) {
		*p = 0;
		*at = p + 1;
		*text += 6;
		return slot + 1;
	}
	p = varint_put(p, ((uint64_t)stored << 1 | (stored < real)) + 1);
	if (stored < real)
		p = varint_put(p, real);
	memcpy(p, slot + 1, stored);
	*at = p + stored;
	*text += type == QSLOG_ARG_BYTES ? 2 * stored : stored;
	return slot + 1 + (stored + 7ull) / 8;
}

int rows_direct_arguments(struct rows *r, const struct out_format *f, unsigned kind, const uint64_t *slot,
			  uint64_t time, size_t string_bytes, uint32_t *text)
{
	uint8_t *p = room(r, 1 + 2 * VARINT_BYTES_MAX * (f->arg_cnt + 1u) + string_bytes);
	unsigned i;

	if (!p)
		return -ENOMEM;
	p = zigzag_put(head_put(p, kind, f->id), (int64_t)time);
	for (i = 0; i < f->arg_cnt; i++) {
		if (is_string(f->types[i]))
			slot = string_put(&p, f->types[i], slot, text);
		else
			p = argument_put(p, f->types[i], *slot++, text);
	}
	put(r, p);
	return 0;
}

int rows_direct_leave(struct rows *r, const struct out_format *f, uint64_t duration, uint64_t time)
{
	uint8_t *p = room(r, 1 + 3 * VARINT_BYTES_MAX);

	if (!p)
		return -ENOMEM;
	p = zigzag_put(head_put(p, COLUMNS_SHAPE_EXIT, f->id), (int64_t)time);
	put(r, varint_put(p, duration));
	return 0;
}
