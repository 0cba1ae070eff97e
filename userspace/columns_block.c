/* SPDX-License-Identifier: BSD-2-Clause */
/* columns_block.c - see columns_block.h: what grows, and what is kept from block to block. */
#include "columns_block.h"

#include <errno.h>

#define SHAPE_FIRST 32u /* records */
#define SHAPE_KEPT 1024u /* records: room for fewer is kept, whatever the next block needs */

struct columns_block *columns_block_open(void)
{
	struct columns_block *b = calloc(1, sizeof(*b));

	if (!b || strings_init(&b->strings)) {
		columns_block_close(b);
		return NULL;
	}
	return b;
}

void columns_block_close(struct columns_block *b)
{
	uint32_t i;

	if (!b)
		return;
	for (i = 0; i < b->all_cnt; i++) {
		free(b->all[i]->values);
		free(b->all[i]);
	}
	free(b->all);
	free(b->shapes);
	free(b->by_format);
	free(b->ops);
	free(b->times.v);
	free(b->switch_times.v);
	free(b->threads.v);
	free(b->verbatim_lengths.v);
	free(b->verbatim.p);
	free(b->nests);
	free(b->nest_of);
	strings_fini(&b->strings);
	free(b);
}

/* Of shapes that the block did not have, or had few records of, the memory is given back. */
static void shapes_clear(struct columns_block *b)
{
	uint32_t i;

	for (i = 0; i < b->all_cnt; i++) {
		struct block_shape *s = b->all[i];

		if (s->cap > SHAPE_KEPT && (!s->used || s->cnt < s->cap / 4)) {
			free(s->values);
			s->values = NULL;
			s->cap = 0;
		}
		s->used = false;
		s->cnt = s->rows_cnt = 0;
	}
	b->shape_cnt = 0;
}

void columns_block_clear(struct columns_block *b)
{
	uint32_t i;

	shapes_clear(b);
	for (i = 0; i < b->nest_cnt; i++)
		b->nest_of[b->nests[i].thread] = 0;
	b->nest_cnt = b->thread_cnt = b->thread = 0;
	b->nest = BLOCK_NO_NEST;
	b->op_cnt = 0;
	b->times.cnt = b->switch_times.cnt = b->threads.cnt = b->verbatim_lengths.cnt = 0;
	b->verbatim.len = 0;
	b->time = 0;
	memset(&b->rows, 0, sizeof(b->rows));
	b->unsupported = false;
	strings_clear(&b->strings);
}

/* Room for one more of `size` bytes. */
static int list_room(void *list, uint32_t cnt, uint32_t *cap, size_t size)
{
	uint32_t more = *cap ? *cap * 2 : 64;
	void *grown;

	if (cnt < *cap)
		return 0;
	grown = realloc(*(void **)list, more * size);
	if (!grown)
		return -ENOMEM;
	*(void **)list = grown;
	*cap = more;
	return 0;
}

/* Of those behind a switch of threads there are few in most blocks: memory that is not touched. */
static int ops_room(struct columns_block *b, uint32_t n)
{
	uint32_t cap = b->op_cap ? b->op_cap * 2 : 1024;
	uint32_t *ops;

	if (b->op_cap - b->op_cnt >= n)
		return 0;
	while (cap - b->op_cnt < n)
		cap *= 2;
	if (!words_grow(&b->times, cap - b->times.cnt) ||
	    !words_grow(&b->switch_times, cap - b->switch_times.cnt))
		return -ENOMEM;
	ops = realloc(b->ops, cap * sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	b->ops = ops;
	b->op_cap = cap;
	return 0;
}

int columns_block_verbatim_room(struct columns_block *b, uint32_t entries, size_t bytes)
{
	if (ops_room(b, entries) || !words_grow(&b->verbatim_lengths, entries) ||
	    !bytes_room(&b->verbatim, bytes))
		return -ENOMEM;
	return 0;
}

int columns_block_verbatim(struct columns_block *b, const void *entry, uint32_t bytes)
{
	int err = columns_block_verbatim_room(b, 1, bytes);

	if (err)
		return err;
	b->ops[b->op_cnt++] = COLUMNS_OP_VERBATIM;
	words_add(&b->verbatim_lengths, bytes);
	bytes_put(&b->verbatim, entry, bytes);
	return 0;
}

int columns_block_thread(struct columns_block *b, uint32_t number, bool appears)
{
	if (ops_room(b, 1) || !words_grow(&b->threads, 1))
		return -ENOMEM;
	b->ops[b->op_cnt++] = COLUMNS_OP_THREAD;
	words_add(&b->threads, number);
	b->thread = number;
	b->nest = number < b->nest_of_cap ? b->nest_of[number] - 1 : BLOCK_NO_NEST;
	b->thread_cnt += appears;
	b->unsupported |= b->thread_cnt > COLUMNS_THREADS_MAX;
	return 0;
}

/* ---- shapes ---- */

static int formats_room(struct columns_block *b, uint32_t number)
{
	uint32_t cap = b->format_cap ? b->format_cap : 64, i;
	void *by_format;

	if (number < b->format_cap)
		return 0;
	while (cap <= number)
		cap = cap < UINT32_MAX / 2 ? cap * 2 : UINT32_MAX;
	by_format = realloc(b->by_format, cap * sizeof(*b->by_format));
	if (!by_format)
		return -ENOMEM;
	b->by_format = by_format;
	for (i = b->format_cap; i < cap; i++)
		memset(b->by_format[i], 0, sizeof(b->by_format[i]));
	b->format_cap = cap;
	return 0;
}

int columns_block_shape_make(struct columns_block *b, uint32_t number, enum columns_shape_kind kind,
			     const uint8_t *types, unsigned arg_cnt)
{
	const bool leaves = kind == COLUMNS_SHAPE_EXIT;
	struct block_shape *s;

	if (formats_room(b, number) || list_room(&b->shapes, b->shape_cnt, &b->shape_cap, sizeof(*b->shapes)) ||
	    list_room(&b->all, b->all_cnt, &b->all_cap, sizeof(*b->all)))
		return -ENOMEM;
	s = b->by_format[number][kind];
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->number = number;
		s->kind = (uint8_t)kind;
		s->arg_cnt = leaves ? 0 : (uint8_t)arg_cnt;
		s->column_cnt = leaves ? 2 : s->arg_cnt;
		memcpy(s->types, types, s->arg_cnt);
		b->by_format[number][kind] = s;
		b->all[b->all_cnt++] = s;
	}
	s->used = true;
	s->index = b->shape_cnt;
	b->shapes[b->shape_cnt++] = s;
	b->unsupported |= b->shape_cnt > COLUMNS_SHAPES_MAX;
	return 0;
}

static int values_grow(struct block_shape *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : SHAPE_FIRST;
	uint64_t *values;
	unsigned k;

	if (s->column_cnt) {
		values = malloc((size_t)cap * s->column_cnt * sizeof(*values));
		if (!values)
			return -ENOMEM;
		for (k = 0; k < s->column_cnt && s->cnt; k++)
			memcpy(values + (size_t)k * cap, s->values + (size_t)k * s->cap,
			       s->cnt * sizeof(*values));
		free(s->values);
		s->values = values;
	}
	s->cap = cap;
	return 0;
}

int columns_block_grow(struct columns_block *b, struct block_shape *s)
{
	if (ops_room(b, 1))
		return -ENOMEM;
	return s->cnt == s->cap ? values_grow(s) : 0;
}

/* ---- spans that are open ---- */

static int nest_make(struct columns_block *b)
{
	uint32_t cap = b->nest_of_cap ? b->nest_of_cap : 16;
	uint32_t *nest_of;

	if (list_room(&b->nests, b->nest_cnt, &b->nest_cap, sizeof(*b->nests)))
		return -ENOMEM;
	if (b->thread >= b->nest_of_cap) {
		while (cap <= b->thread)
			cap = cap < UINT32_MAX / 2 ? cap * 2 : UINT32_MAX;
		nest_of = realloc(b->nest_of, cap * sizeof(*nest_of));
		if (!nest_of)
			return -ENOMEM;
		memset(nest_of + b->nest_of_cap, 0, (cap - b->nest_of_cap) * sizeof(*nest_of));
		b->nest_of = nest_of;
		b->nest_of_cap = cap;
	}
	b->nest = b->nest_cnt++;
	b->nests[b->nest].depth = 0;
	b->nests[b->nest].thread = b->thread;
	b->nest_of[b->thread] = b->nest_cnt;
	return 0;
}

int columns_block_enter(struct columns_block *b, uint64_t time)
{
	struct block_nest *n;

	if (b->nest == BLOCK_NO_NEST && nest_make(b))
		return -ENOMEM;
	n = &b->nests[b->nest];
	if (n->depth == COLUMNS_NEST_MAX) { /* the outermost is forgotten */
		memmove(n->entered, n->entered + 1, sizeof(n->entered) - sizeof(n->entered[0]));
		n->depth--;
	}
	n->entered[n->depth++] = b->time + time;
	return 0;
}

uint64_t columns_block_leave(struct columns_block *b, uint64_t time)
{
	struct block_nest *n = b->nest == BLOCK_NO_NEST ? NULL : &b->nests[b->nest];

	return n && n->depth ? b->time + time - n->entered[--n->depth] : 0;
}
