/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_rows.c - columns_in_rows(): the streams of a plan, and the walk that puts them together
 * to rows again.
 */
#include <errno.h>
#include <stdlib.h>

#include "columns_in.h"
#include "file_format.h"
#include "hash_index.h"
#include "qslog_abi.h"
#include "varint.h"

#define ROW_HEAD_BYTES (1 + 2 * VARINT_BYTES_MAX)
#define MALFORMED_COLUMN "a column of a block is malformed"

struct column {
	unsigned kind; /* enum columns_kind */
	const uint64_t *next;
};

struct shape {
	uint8_t head[1 + VARINT_BYTES_MAX]; /* of its entries */
	uint8_t head_bytes;
	uint8_t kind, arg_cnt;
	const uint8_t *types;
	uint32_t cnt, first_cnt; /* of its entries; of those, behind a switch of threads */
	const uint64_t *times;
	struct column columns[QSLOG_ARGS_MAX];
};

/* References: what has been used so far, and what is predicted. */
struct refs {
	uint32_t *history, cnt;
	uint32_t *table;
	const uint64_t *explicit_refs, *explicit_end;
	uint32_t known; /* entries of the dictionary so far */
	uint32_t entries;
};

struct nest {
	uint64_t entered[COLUMNS_NEST_MAX];
	uint32_t depth;
};

struct rows_out {
	struct columns_in *c;
	uint8_t *p, *end;
	const uint64_t *ops;
	const uint64_t *lengths, *threads, *switch_times, *times;
	const uint8_t *verbatim, *verbatim_end;
	struct shape *shapes;
	const uint64_t *numbers;
	uint64_t number_cnt;
	struct refs number_refs, string_refs;
	struct nest *nests;
	uint32_t nest_cnt, nest_cap;
	struct nest *nest;
	struct hash_index nest_by_thread;
	uint64_t time;
};

/* ---- the streams ---- */

static int shapes_prepare(struct rows_out *o)
{
	static const uint8_t first[] = {
		FILE_ENTRY_LOG << FILE_ENTRY_TYPE_SHIFT,
		FILE_ENTRY_SPAN << FILE_ENTRY_TYPE_SHIFT | FILE_SPAN_ENTER << FILE_SPAN_OP_SHIFT,
		FILE_ENTRY_SPAN << FILE_ENTRY_TYPE_SHIFT | FILE_SPAN_EXIT << FILE_SPAN_OP_SHIFT,
	};
	struct columns_in *c = o->c;
	uint32_t i;
	int err = 0;

	o->shapes = columns_alloc(c, c->shape_cnt, sizeof(*o->shapes), &err);
	for (i = 0; i < c->shape_cnt && !err; i++) {
		const struct columns_shape *from = &c->shapes[i];
		struct shape *s = &o->shapes[i];
		const unsigned escape = from->kind == COLUMNS_SHAPE_LOG ? FILE_LOG_ID_ESCAPE :
									  FILE_SPAN_ID_ESCAPE;

		s->kind = from->kind;
		s->arg_cnt = from->arg_cnt;
		s->types = from->types;
		s->head_bytes = 1;
		s->head[0] = (uint8_t)(first[s->kind] | (from->format < escape ? from->format : escape));
		if (from->format >= escape)
			s->head_bytes = (uint8_t)(varint_put(s->head + 1, from->format) - s->head);
	}
	return err;
}

/* How many there are of each, and of each kind of shape. */
static int ops_count(struct rows_out *o, uint32_t *verbatim, uint32_t *switches, uint32_t *first)
{
	struct columns_in *c = o->c;
	bool switched = false;
	uint32_t i;

	*verbatim = *switches = *first = 0;
	for (i = 0; i < c->op_cnt; i++) {
		const uint64_t op = o->ops[i];

		if (op == COLUMNS_OP_VERBATIM) {
			++*verbatim;
		} else if (op == COLUMNS_OP_THREAD) {
			++*switches;
		} else if (op - COLUMNS_OP_SHAPE < c->shape_cnt) {
			o->shapes[op - COLUMNS_OP_SHAPE].cnt++;
			o->shapes[op - COLUMNS_OP_SHAPE].first_cnt += switched;
			*first += switched;
		} else {
			return columns_refuse(c, "a block has an unknown operation");
		}
		switched = op == COLUMNS_OP_THREAD;
	}
	return 0;
}

static int times_take(struct rows_out *o, uint32_t first, uint32_t all)
{
	struct columns_in *c = o->c;
	struct columns_cursor *at = &c->cursor;
	uint32_t i;
	int err;

	err = columns_ints(c, at, first, (uint64_t **)(uintptr_t)&o->switch_times);
	if (!err && !(c->flags & COLUMNS_PLAN_TIME_BY_SHAPE))
		return columns_ints(c, at, all - first, (uint64_t **)(uintptr_t)&o->times);
	for (i = 0; i < c->shape_cnt && !err; i++) {
		struct shape *s = &o->shapes[i];

		err = columns_ints(c, at, s->cnt - s->first_cnt,
				   (uint64_t **)(uintptr_t)&s->times);
	}
	return err;
}

static int refs_prepare(struct rows_out *o, struct refs *r, uint64_t entries, uint64_t explicit_cnt,
			uint32_t uses)
{
	struct columns_in *c = o->c;
	int err = 0;

	if (entries > uses || explicit_cnt > uses)
		return columns_refuse(c, "a dictionary of a block is longer than it can be");
	r->entries = (uint32_t)entries;
	if (!uses)
		return 0;
	r->history = columns_alloc(c, uses, sizeof(*r->history), &err);
	if (!err)
		r->table = columns_alloc(c, 1u << COLUMNS_REF_TABLE_BITS, sizeof(*r->table), &err);
	return err;
}

static bool is_text(uint8_t type)
{
	return type == QSLOG_ARG_STR || type == QSLOG_ARG_BYTES;
}

/* x / 10^exponent, but for exceptions. */
static int decimal_take(struct columns_in *c, struct columns_cursor *at, uint32_t n, uint8_t type,
			uint64_t **out)
{
	uint64_t cnt, *gaps, *bits, pos = 0;
	unsigned exponent;
	uint32_t i;
	int err;

	if (type != QSLOG_ARG_DOUBLE && type != QSLOG_ARG_FLOAT)
		return columns_refuse(c, MALFORMED_COLUMN);
	err = columns_byte(c, at, &exponent);
	if (!err && exponent > COLUMNS_DECIMAL_MAX)
		err = columns_refuse(c, MALFORMED_COLUMN);
	err = err ? err : columns_ints(c, at, n, out);
	err = err ? err : columns_number(c, at, &cnt);
	if (!err && cnt > n)
		err = columns_refuse(c, MALFORMED_COLUMN);
	err = err ? err : columns_ints(c, at, (uint32_t)cnt, &gaps);
	err = err ? err : columns_ints(c, at, (uint32_t)cnt, &bits);
	if (err)
		return err;
	for (i = 0; i < n; i++)
		(*out)[i] = columns_decimal_bits((int64_t)(*out)[i], exponent,
						 type == QSLOG_ARG_FLOAT);
	for (i = 0; i < cnt; i++) {
		if (gaps[i] >= n - pos)
			return columns_refuse(c, MALFORMED_COLUMN);
		pos += gaps[i];
		(*out)[pos++] = bits[i];
	}
	return 0;
}

/* To the argument `other`, which is an earlier one. */
static int relative_take(struct columns_in *c, struct columns_cursor *at, struct shape *s,
			 unsigned arg, uint64_t **out)
{
	unsigned other;
	uint32_t i;
	int err = columns_byte(c, at, &other);

	if (!err && (other >= arg || is_text(s->types[other]) || is_text(s->types[arg]) ||
		     s->columns[other].kind == COLUMNS_REFS))
		err = columns_refuse(c, MALFORMED_COLUMN);
	err = err ? err : columns_ints(c, at, s->cnt, out);
	for (i = 0; i < s->cnt && !err; i++)
		(*out)[i] += s->columns[other].next[i];
	return err;
}

static int column_take(struct rows_out *o, struct shape *s, unsigned arg)
{
	struct columns_in *c = o->c;
	struct columns_cursor *at = &c->cursor;
	struct column *column = &s->columns[arg];
	const bool exits = s->kind == COLUMNS_SHAPE_EXIT;
	const uint8_t type = exits ? QSLOG_ARG_UINT64 : s->types[arg];
	uint64_t *out = NULL;
	int err = columns_byte(c, at, &column->kind);

	if (err)
		return err;
	if ((is_text(type) && column->kind != COLUMNS_REFS) ||
	    (column->kind == COLUMNS_NESTED && !exits) || (exits && column->kind == COLUMNS_REFS))
		return columns_refuse(c, MALFORMED_COLUMN);
	switch (column->kind) {
	case COLUMNS_INTS:
	case COLUMNS_REFS:
	case COLUMNS_NESTED:
		err = columns_ints(c, at, s->cnt, &out);
		break;
	case COLUMNS_DECIMAL:
		err = decimal_take(c, at, s->cnt, type, &out);
		break;
	case COLUMNS_RELATIVE:
		err = exits ? columns_refuse(c, MALFORMED_COLUMN) :
			      relative_take(c, at, s, arg, &out);
		break;
	default:
		return columns_refuse(c, MALFORMED_COLUMN);
	}
	column->next = out;
	return err;
}

static int streams_take(struct rows_out *o)
{
	struct columns_in *c = o->c;
	struct columns_cursor *at = &c->cursor;
	uint32_t verbatim, switches, first, i, number_uses = 0, string_uses = 0;
	uint64_t numbers, number_explicit = 0, string_explicit = 0;
	unsigned k;
	int err;

	err = columns_number(c, at, &numbers);
	err = err ? err : columns_number(c, at, &number_explicit);
	err = err ? err : columns_number(c, at, &string_explicit);
	err = err ? err : columns_ints(c, at, c->op_cnt, (uint64_t **)(uintptr_t)&o->ops);
	err = err ? err : ops_count(o, &verbatim, &switches, &first);
	err = err ? err : columns_ints(c, at, verbatim, (uint64_t **)(uintptr_t)&o->lengths);
	err = err ? err : columns_ints(c, at, switches, (uint64_t **)(uintptr_t)&o->threads);
	err = err ? err : times_take(o, first, c->op_cnt - verbatim - switches);
	if (!err && (numbers > c->rows_bytes || number_explicit > c->rows_bytes ||
		     string_explicit > c->rows_bytes))
		err = columns_refuse(c, MALFORMED_COLUMN);
	err = err ? err : columns_ints(c, at, (uint32_t)numbers,
				       (uint64_t **)(uintptr_t)&o->numbers);
	err = err ? err : columns_ints(c, at, (uint32_t)number_explicit,
				       (uint64_t **)(uintptr_t)&o->number_refs.explicit_refs);
	err = err ? err : columns_ints(c, at, (uint32_t)string_explicit,
				       (uint64_t **)(uintptr_t)&o->string_refs.explicit_refs);
	o->number_refs.explicit_end = o->number_refs.explicit_refs + number_explicit;
	o->string_refs.explicit_end = o->string_refs.explicit_refs + string_explicit;
	for (i = 0; i < c->shape_cnt && !err; i++) {
		struct shape *s = &o->shapes[i];
		const unsigned columns = s->kind == COLUMNS_SHAPE_EXIT ? 1 : s->arg_cnt;

		/* a value has a byte of rows at least */
		if ((uint64_t)s->cnt * columns > c->rows_bytes)
			return columns_refuse(c, MALFORMED_COLUMN);
		for (k = 0; k < columns && !err; k++) {
			err = column_take(o, s, k);
			if (err || s->columns[k].kind != COLUMNS_REFS)
				continue;
			if (is_text(s->types[k]))
				string_uses += s->cnt;
			else
				number_uses += s->cnt;
		}
	}
	err = err ? err : refs_prepare(o, &o->number_refs, numbers, number_explicit, number_uses);
	return err ? err : refs_prepare(o, &o->string_refs, c->string_cnt, string_explicit,
					string_uses);
}

/* ---- putting together ---- */

/* COLUMNS_REF_NONE: a reference to nothing. */
static inline uint32_t ref_take(struct refs *r, uint64_t symbol, uint32_t column)
{
	const uint32_t slot = columns_ref_slot(r->cnt ? r->history[r->cnt - 1] : COLUMNS_REF_NONE,
					       column);
	uint32_t ref;

	if (symbol == COLUMNS_REF_PREDICTED)
		ref = r->table[slot] - 1;
	else if (symbol == COLUMNS_REF_NEW)
		ref = r->known < r->entries ? r->known++ : COLUMNS_REF_NONE;
	else if (symbol == COLUMNS_REF_EXPLICIT)
		ref = r->explicit_refs < r->explicit_end && *r->explicit_refs < r->known ?
			      (uint32_t)*r->explicit_refs++ : COLUMNS_REF_NONE;
	else
		ref = symbol - COLUMNS_REF_BACK <= r->cnt ?
			      r->history[r->cnt - (uint32_t)(symbol - COLUMNS_REF_BACK)] :
			      COLUMNS_REF_NONE;
	if (ref == COLUMNS_REF_NONE)
		return ref;
	r->table[slot] = ref + 1;
	r->history[r->cnt++] = ref;
	return ref;
}

/* 0: it does not fit, or what is referred to is not there. */
static bool string_write(struct rows_out *o, uint64_t symbol, uint32_t column)
{
	const uint32_t ref = ref_take(&o->string_refs, symbol, column);
	const struct columns_string *s;

	if (ref == COLUMNS_REF_NONE)
		return false;
	s = &o->c->strings[ref];
	if ((size_t)(o->end - o->p) < s->len + 2u * VARINT_BYTES_MAX)
		return false;
	if (s->code == 1) {
		*o->p++ = 0;
		return s->len == 0;
	}
	o->p = varint_put(o->p, ((uint64_t)s->len << 1 | (s->code != 0)) + 1);
	if (s->code)
		o->p = varint_put(o->p, (uint64_t)s->len + s->code - 1);
	memcpy(o->p, s->bytes, s->len);
	o->p += s->len;
	return true;
}

static bool arguments_write(struct rows_out *o, struct shape *s, uint32_t column)
{
	uint64_t v;
	unsigned i;

	for (i = 0; i < s->arg_cnt; i++) {
		v = *s->columns[i].next++;
		if (is_text(s->types[i])) {
			if (!string_write(o, v, column + i))
				return false;
			continue;
		}
		if (o->end - o->p < VARINT_BYTES_MAX)
			return false;
		if (s->columns[i].kind == COLUMNS_REFS) {
			const uint32_t ref = ref_take(&o->number_refs, v, column + i);

			if (ref == COLUMNS_REF_NONE)
				return false;
			v = o->numbers[ref];
		}
		switch ((enum qslog_arg_type)s->types[i]) {
		case QSLOG_ARG_BOOL:
		case QSLOG_ARG_CHAR:
		case QSLOG_ARG_UINT8:
			*o->p++ = (uint8_t)v;
			break;
		case QSLOG_ARG_INT64:
			o->p = zigzag_put(o->p, (int64_t)v);
			break;
		case QSLOG_ARG_FLOAT:
			memcpy(o->p, &v, 4);
			o->p += 4;
			break;
		case QSLOG_ARG_DOUBLE:
			memcpy(o->p, &v, 8);
			o->p += 8;
			break;
		default:
			o->p = varint_put(o->p, v);
			break;
		}
	}
	return true;
}

static uint64_t nest_left(struct rows_out *o)
{
	struct nest *n = o->nest;

	return n->depth ? o->time - n->entered[--n->depth] : 0;
}

static void nest_entered(struct rows_out *o)
{
	struct nest *n = o->nest;

	if (n->depth == COLUMNS_NEST_MAX) {
		memmove(n->entered, n->entered + 1, sizeof(n->entered) - sizeof(n->entered[0]));
		n->depth--;
	}
	n->entered[n->depth++] = o->time;
}

static int nest_select(struct rows_out *o, uint64_t thread)
{
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&o->nest_by_thread, thread, &walk);

	if (i == HASH_INDEX_NONE) {
		if (o->nest_cnt == COLUMNS_THREADS_MAX)
			return columns_refuse(o->c, "a block has more threads than it may");
		if (o->nest_cnt == o->nest_cap) {
			uint32_t cap = o->nest_cap ? o->nest_cap * 2 : 8;
			struct nest *list = realloc(o->nests, cap * sizeof(*list));

			if (!list)
				return -ENOMEM;
			o->nests = list;
			o->nest_cap = cap;
		}
		i = o->nest_cnt++;
		o->nests[i].depth = 0;
		if (hash_index_add(&o->nest_by_thread, thread, i))
			return -ENOMEM;
	}
	o->nest = &o->nests[i];
	return 0;
}

static int thread_write(struct rows_out *o)
{
	const uint64_t thread = *o->threads++;
	uint8_t *head = o->p;

	if (o->end - o->p < 1 + VARINT_BYTES_MAX)
		return columns_refuse(o->c, "a block has more rows than it says");
	o->p = varint_put(head + 1, thread);
	*head = (uint8_t)(FILE_ENTRY_INFO << FILE_ENTRY_TYPE_SHIFT |
			  FILE_INFO_THREAD << FILE_INFO_TYPE_SHIFT | (unsigned)(o->p - head - 1));
	return nest_select(o, thread);
}

static bool verbatim_write(struct rows_out *o)
{
	const uint64_t length = *o->lengths++;

	if (length > (uint64_t)(o->verbatim_end - o->verbatim) || length > (uint64_t)(o->end - o->p))
		return false;
	memcpy(o->p, o->verbatim, length);
	o->p += length;
	o->verbatim += length;
	return true;
}

static bool record_write(struct rows_out *o, uint32_t index, bool switched)
{
	struct shape *s = &o->shapes[index];
	uint64_t time;

	if (!o->nest || o->end - o->p < ROW_HEAD_BYTES + VARINT_BYTES_MAX)
		return false;
	if (switched)
		time = *o->switch_times++;
	else if (o->c->flags & COLUMNS_PLAN_TIME_BY_SHAPE)
		time = *s->times++;
	else
		time = *o->times++;
	memcpy(o->p, s->head, sizeof(s->head));
	o->p = zigzag_put(o->p + s->head_bytes, (int64_t)time);
	o->time += time;
	if (s->kind == COLUMNS_SHAPE_EXIT) {
		const uint64_t left = nest_left(o);

		time = *s->columns[0].next++ + (s->columns[0].kind == COLUMNS_NESTED ? left : 0);
		o->p = varint_put(o->p, time);
		return true;
	}
	if (s->kind == COLUMNS_SHAPE_ENTER)
		nest_entered(o);
	return arguments_write(o, s, index * 16);
}

static int rows_write(struct rows_out *o)
{
	bool switched = false, fine = true;
	uint32_t i;
	int err = 0;

	for (i = 0; i < o->c->op_cnt && fine && !err; i++) {
		const uint64_t op = o->ops[i];

		if (op >= COLUMNS_OP_SHAPE)
			fine = record_write(o, (uint32_t)(op - COLUMNS_OP_SHAPE), switched);
		else if (op == COLUMNS_OP_VERBATIM)
			fine = verbatim_write(o);
		else
			err = thread_write(o);
		switched = op == COLUMNS_OP_THREAD;
	}
	return !fine ? columns_refuse(o->c, "the columns of a block do not make rows") : err;
}

int columns_in_rows(struct columns_in *c, uint8_t *rows)
{
	struct rows_out o = { .c = c };
	int err;

	err = columns_in_shapes(c);
	err = err ? err : columns_in_strings(c);
	err = err ? err : columns_load(c, COLUMNS_VERBATIM, &c->verbatim);
	err = err ? err : columns_load(c, COLUMNS_DATA, &c->data);
	if (err)
		return err;
	c->cursor.data = c->data.p;
	c->cursor.data_end = c->data.p + c->data.bytes;
	o.verbatim = c->verbatim.p;
	o.verbatim_end = o.verbatim + c->verbatim.bytes;
	err = shapes_prepare(&o);
	err = err ? err : streams_take(&o);
	if (!err) {
		o.p = rows;
		o.end = rows + c->rows_bytes + COLUMNS_ROWS_SLACK;
		err = rows_write(&o);
	}
	if (!err && (o.p != rows + c->rows_bytes || o.verbatim != o.verbatim_end))
		err = columns_refuse(c, "a block has not as many rows as it says");
	free(o.nests);
	hash_index_fini(&o.nest_by_thread);
	return err;
}
