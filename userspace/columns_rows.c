/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_rows.c - columns_rows_put(): the rows of what has been taken apart, for those who need them
 * before the block is sealed (the tail, a live view), or instead of columns.
 */
#include "columns_block.h"

#include <errno.h>

#include "rows_put.h"

static int string_put(struct columns_block *b, struct bytes *out)
{
	const struct string_entry *e = &b->strings.list[b->strings.refs.history[b->rows.string++]];
	uint8_t *p = bytes_room(out, 2 * VARINT_BYTES_MAX + (size_t)e->len);

	if (!p)
		return -ENOMEM;
	if (e->code == 1) {
		*p++ = 0;
	} else {
		p = varint_put(p, ((uint64_t)e->len << 1 | (e->code != 0)) + 1);
		if (e->code)
			p = varint_put(p, (uint64_t)e->len + e->code - 1);
		if (e->len)
			memcpy(p, b->strings.texts.p + e->off, e->len);
		p += e->len;
	}
	out->len = (size_t)(p - out->p);
	return 0;
}

static int record_put(struct columns_block *b, struct bytes *out, struct block_shape *s, uint64_t time)
{
	const uint32_t i = s->rows_cnt++;
	const size_t most = (3 + (size_t)s->arg_cnt) * VARINT_BYTES_MAX + 1; /* without strings */
	const uint64_t *column = s->values + i;
	uint8_t *p = bytes_room(out, most);
	unsigned k;

	if (!p)
		return -ENOMEM;
	p = zigzag_put(head_put(p, s->kind, s->number), (int64_t)time);
	if (s->kind == COLUMNS_SHAPE_EXIT)
		p = varint_put(p, *column);
	for (k = 0; k < s->arg_cnt; k++, column += s->cap) {
		if (s->types[k] != QSLOG_ARG_STR && s->types[k] != QSLOG_ARG_BYTES) {
			p = number_put(p, s->types[k], *column);
			continue;
		}
		out->len = (size_t)(p - out->p);
		if (string_put(b, out))
			return -ENOMEM;
		p = bytes_room(out, most);
		if (!p)
			return -ENOMEM;
	}
	out->len = (size_t)(p - out->p);
	return 0;
}

static int thread_put(struct bytes *out, uint64_t number)
{
	uint8_t *p = bytes_room(out, 1 + VARINT_BYTES_MAX), *end;

	if (!p)
		return -ENOMEM;
	end = varint_put(p + 1, number);
	*p = (uint8_t)(FILE_ENTRY_INFO << FILE_ENTRY_TYPE_SHIFT |
		       FILE_INFO_THREAD << FILE_INFO_TYPE_SHIFT | (unsigned)(end - p - 1));
	out->len += (size_t)(end - p);
	return 0;
}

static int op_put(struct columns_block *b, struct bytes *out)
{
	struct block_mark *at = &b->rows;
	const uint32_t i = at->op++, op = b->ops[i];
	size_t length;

	if (op == COLUMNS_OP_VERBATIM) {
		length = b->verbatim_lengths.v[at->verbatim_entry++];
		bytes_put(out, b->verbatim.p + at->verbatim, length);
		at->verbatim += length;
		return 0;
	}
	if (op == COLUMNS_OP_THREAD)
		return thread_put(out, b->threads.v[at->thread++]);
	return record_put(b, out, b->shapes[op - COLUMNS_OP_SHAPE],
			  i && b->ops[i - 1] == COLUMNS_OP_THREAD ? b->switch_times.v[at->switch_time++] :
								   b->times.v[at->time++]);
}

int columns_rows_put(struct columns_block *b, struct bytes *out)
{
	int err = 0;

	while (b->rows.op < b->op_cnt && !err)
		err = op_put(b, out);
	return err || out->failed ? -ENOMEM : 0;
}
