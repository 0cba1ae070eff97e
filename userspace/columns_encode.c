/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_encode.c - the payload of a columns block: each column becomes a stream of integers
 * (columns_ints.c), or of references into a dictionary of the whole block (columns_numbers.c,
 * columns_templates.c); the streams become sections (columns_pack.c).
 */
#include "columns_encode.h"

#include <errno.h>

#include "columns_numbers.h"

#define TIME_SHAPES_MAX 64u /* with more, differences are not looked at by shape */

struct columns_encoder {
	const struct columns_block *block;
	struct words ops;
	struct words shape_times[TIME_SHAPES_MAX];
	struct numbers numbers;
	struct templates *templates;
	struct streams main, text;
	struct pack pack;
};

struct columns_encoder *columns_encoder_open(int zstd_level)
{
	struct columns_encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->templates = templates_open();
	if (!e->templates || streams_init(&e->main) || streams_init(&e->text) ||
	    numbers_init(&e->numbers) || pack_init(&e->pack, zstd_level)) {
		columns_encoder_close(e);
		return NULL;
	}
	return e;
}

void columns_encoder_close(struct columns_encoder *e)
{
	uint32_t i;

	if (!e)
		return;
	free(e->ops.v);
	for (i = 0; i < TIME_SHAPES_MAX; i++)
		free(e->shape_times[i].v);
	numbers_fini(&e->numbers);
	templates_close(e->templates);
	streams_fini(&e->main);
	streams_fini(&e->text);
	pack_fini(&e->pack);
	free(e);
}

static void number_column_put(struct columns_encoder *e, const struct block_shape *shape,
			      unsigned argument, const struct words *symbols)
{
	const uint8_t type = shape->types[argument];
	const uint64_t *v = columns_block_column(shape, argument);
	struct streams *s = &e->main;

	if (symbols) {
		bytes_byte(&s->plan, COLUMNS_REFS);
		ints_put(s, symbols->v, symbols->cnt, NUMBERS_SYMBOLS);
		return;
	}
	if ((type == QSLOG_ARG_DOUBLE || type == QSLOG_ARG_FLOAT) &&
	    decimal_put(s, v, shape->cnt, type == QSLOG_ARG_FLOAT))
		return;
	bytes_byte(&s->plan, COLUMNS_INTS);
	ints_put(s, v, shape->cnt, type == QSLOG_ARG_INT64 ? NUMBERS_SIGNED : NUMBERS_UNSIGNED);
}

static void shape_put(struct columns_encoder *e, const struct block_shape *shape, uint32_t *next)
{
	struct streams *s = &e->main;
	unsigned i;

	if (shape->kind == COLUMNS_SHAPE_EXIT) {
		bytes_byte(&s->plan, COLUMNS_NESTED);
		ints_put(s, columns_block_column(shape, 1), shape->cnt, NUMBERS_SIGNED);
	}
	for (i = 0; i < shape->arg_cnt; i++) {
		if (shape->types[i] == QSLOG_ARG_STR || shape->types[i] == QSLOG_ARG_BYTES) {
			bytes_byte(&s->plan, COLUMNS_REFS);
			ints_put(s, columns_block_column(shape, i), shape->cnt, NUMBERS_SYMBOLS);
		} else {
			number_column_put(e, shape, i, numbers_symbols(&e->numbers, shape, i, next));
		}
	}
}

static void times_put(struct columns_encoder *e, bool by_shape)
{
	const struct columns_block *b = e->block;
	uint32_t i;

	ints_put(&e->main, b->switch_times.v, b->switch_times.cnt, NUMBERS_SIGNED);
	if (!by_shape)
		ints_put(&e->main, b->times.v, b->times.cnt, NUMBERS_SIGNED);
	for (i = 0; by_shape && i < b->shape_cnt; i++)
		ints_put(&e->main, e->shape_times[i].v, e->shape_times[i].cnt, NUMBERS_SIGNED);
}

/* Do the differences hang on what follows them? */
static bool times_by_shape(struct columns_encoder *e)
{
	const struct columns_block *b = e->block;
	double together, apart = 0;
	uint32_t i, next = 0;
	bool switched = false;

	if (b->shape_cnt < 2 || b->shape_cnt > TIME_SHAPES_MAX)
		return false;
	for (i = 0; i < b->shape_cnt; i++)
		e->shape_times[i].cnt = 0;
	for (i = 0; i < b->op_cnt; i++) {
		if (b->ops[i] >= COLUMNS_OP_SHAPE && !switched)
			words_add(&e->shape_times[b->ops[i] - COLUMNS_OP_SHAPE], b->times.v[next++]);
		switched = b->ops[i] == COLUMNS_OP_THREAD;
	}
	together = ints_cost(&e->main, b->times.v, b->times.cnt, NUMBERS_SIGNED);
	for (i = 0; i < b->shape_cnt; i++)
		apart += ints_cost(&e->main, e->shape_times[i].v, e->shape_times[i].cnt, NUMBERS_SIGNED) + 24;
	return apart < together * 0.98;
}

static void ops_put(struct columns_encoder *e)
{
	const struct columns_block *b = e->block;
	uint32_t i;

	e->ops.cnt = 0;
	if (!words_grow(&e->ops, b->op_cnt))
		return;
	for (i = 0; i < b->op_cnt; i++)
		e->ops.v[i] = b->ops[i];
	ints_put(&e->main, e->ops.v, b->op_cnt, NUMBERS_SYMBOLS);
}

static void plan_put(struct columns_encoder *e)
{
	const struct columns_block *b = e->block;
	const struct words *numbers = &e->numbers.values;
	const struct words *number_refs = &e->numbers.refs.explicit_refs;
	const struct words *string_refs = &b->strings.refs.explicit_refs;
	const bool by_shape = times_by_shape(e);
	struct streams *s = &e->main;
	uint32_t i, next = 0;

	bytes_varint(&s->plan, by_shape ? COLUMNS_PLAN_TIME_BY_SHAPE : 0);
	bytes_varint(&s->plan, b->op_cnt);
	bytes_varint(&s->plan, b->shape_cnt);
	for (i = 0; i < b->shape_cnt; i++) {
		const struct block_shape *shape = b->shapes[i];

		bytes_varint(&s->plan, (uint64_t)shape->number << 2 | shape->kind);
		if (shape->kind != COLUMNS_SHAPE_EXIT) {
			bytes_byte(&s->plan, shape->arg_cnt);
			bytes_put(&s->plan, shape->types, shape->arg_cnt);
		}
	}
	bytes_varint(&s->plan, numbers->cnt);
	bytes_varint(&s->plan, number_refs->cnt);
	bytes_varint(&s->plan, string_refs->cnt);
	ops_put(e);
	ints_put(s, b->verbatim_lengths.v, b->verbatim_lengths.cnt, NUMBERS_UNSIGNED);
	ints_put(s, b->threads.v, b->threads.cnt, NUMBERS_UNSIGNED);
	times_put(e, by_shape);
	ints_put(s, numbers->v, numbers->cnt, NUMBERS_SIGNED);
	ints_put(s, number_refs->v, number_refs->cnt, NUMBERS_UNSIGNED);
	ints_put(s, string_refs->v, string_refs->cnt, NUMBERS_UNSIGNED);
	for (i = 0; i < b->shape_cnt; i++)
		shape_put(e, b->shapes[i], &next);
}

static bool encoder_failed(const struct columns_encoder *e)
{
	bool failed = streams_failed(&e->main) || streams_failed(&e->text) || e->ops.failed;
	uint32_t i;

	for (i = 0; i < TIME_SHAPES_MAX; i++)
		failed |= e->shape_times[i].failed;
	return failed;
}

int columns_encode(struct columns_encoder *e, const struct columns_block *b, uint32_t rows_bytes,
		   const uint8_t **payload, uint32_t *payload_bytes)
{
	int err;

	if (rows_bytes > COLUMNS_ROWS_BYTES_MAX || b->unsupported)
		return -ENOTSUP;
	e->block = b;
	streams_clear(&e->main);
	streams_clear(&e->text);
	pack_clear(&e->pack);
	err = numbers_refer(&e->numbers, b);
	if (err)
		return err;
	plan_put(e);
	err = templates_put(e->templates, &b->strings, &e->text);
	if (err || encoder_failed(e))
		return -ENOMEM;
	pack_section(&e->pack, COLUMNS_PLAN, e->main.plan.p, e->main.plan.len, SEGMENT_REPEATS);
	pack_section(&e->pack, COLUMNS_VERBATIM, b->verbatim.p, b->verbatim.len, SEGMENT_REPEATS);
	pack_section(&e->pack, COLUMNS_STRING_PLAN, e->text.plan.p, e->text.plan.len, SEGMENT_REPEATS);
	pack_streams(&e->pack, COLUMNS_STRING_DATA, &e->text);
	pack_streams(&e->pack, COLUMNS_DATA, &e->main);
	err = pack_finish(&e->pack);
	*payload = e->pack.payload.p;
	*payload_bytes = (uint32_t)e->pack.payload.len;
	return err;
}
