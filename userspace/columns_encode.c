/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_encode.c - from rows to columns. One walk over the rows takes them apart: the sequence of
 * entries, by shape (operation and format); the differences of time; each argument into the column
 * of its shape. Entries that are few are kept as they are. Then each column becomes a stream of
 * integers (columns_ints.c), or references into a dictionary of the whole block.
 */
#include "columns_encode.h"

#include <errno.h>

#include "columns_out.h"
#include "file_format.h"
#include "hash_index.h"
#include "qslog_abi.h"

#define SPARE_LEAST 1024u /* numbers: a column with more is long */
#define SPARE_MAX 256u	  /* columns */
#define NEAR_NUMBERS 1024u
#define TIME_SHAPES_MAX 64u /* with more, differences are not looked at by shape */
#define NUMBER_BITS 13u		/* table of wide numbers, for counting */
#define WIDE_RANGE (1u << 20)	/* a column that spans less needs no dictionary */
#define WIDE_LEAST 16u		/* numbers in a column */

struct column {
	struct words values; /* or symbols, of strings */
	bool refs;	     /* to the dictionary of numbers */
};

struct shape {
	enum columns_shape_kind kind;
	uint64_t number; /* of its format */
	uint8_t arg_cnt;
	uint8_t types[QSLOG_ARGS_MAX];
	struct words times; /* filled where they are stored by shape */
	struct column *columns; /* arg_cnt of them; of an exit one: durations */
};

struct format {
	uint64_t number;
	uint8_t kind, arg_cnt;
	uint8_t types[QSLOG_ARGS_MAX];
	uint32_t shapes[3]; /* index + 1, by kind */
};

struct nest {
	uint64_t entered[COLUMNS_NEST_MAX];
	uint32_t depth;
};

struct columns_encoder {
	struct format *formats;
	uint32_t format_cnt, format_cap;
	struct hash_index format_by_number;
	uint32_t near[NEAR_NUMBERS]; /* index + 1 of the format with this number */
	struct shape *shapes;
	uint32_t shape_cnt, shape_cap;
	struct words *spare; /* memory of columns of the block before */
	uint32_t spare_cnt, spare_cap;
	struct words ops, verbatim_lengths, threads, switch_times, all_times;
	struct bytes verbatim;
	struct nest *nests; /* by order of appearance of threads */
	uint32_t nest_cnt, nest_cap, nest;
	struct hash_index nest_by_thread;
	uint64_t time; /* sum of the differences that are in columns */
	struct words numbers; /* dictionary of wide integers */
	struct words number_last;
	uint32_t *number_slots;
	uint32_t number_mask;
	struct refs number_refs;
	struct strings strings;
	struct streams main, text;
	struct pack pack;
	uint64_t *sample; /* of wide integers */
	bool failed;
};

struct columns_encoder *columns_encoder_open(int zstd_level)
{
	struct columns_encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->sample = malloc(sizeof(*e->sample) << NUMBER_BITS);
	if (!e->sample || streams_init(&e->main) || streams_init(&e->text) ||
	    refs_init(&e->number_refs) || strings_init(&e->strings) ||
	    pack_init(&e->pack, zstd_level)) {
		columns_encoder_close(e);
		return NULL;
	}
	return e;
}

/* Memory that a column has grown is kept for one of the next block: given back and taken again it
 * would be new pages each time. */
static void words_spare(struct columns_encoder *e, struct words *w)
{
	uint32_t cap = e->spare_cap ? e->spare_cap * 2 : 64;
	struct words *list;

	if (e->spare_cnt == e->spare_cap && w->v && cap <= SPARE_MAX) {
		list = realloc(e->spare, cap * sizeof(*list));
		if (list) {
			e->spare = list;
			e->spare_cap = cap;
		}
	}
	if (!w->v || w->cap < SPARE_LEAST || e->spare_cnt == e->spare_cap) {
		free(w->v);
		return;
	}
	w->cnt = 0;
	w->failed = false;
	e->spare[e->spare_cnt++] = *w;
}

/* A column that has become long takes over what one of the block before had. */
static void column_add(struct columns_encoder *e, struct words *w, uint64_t v)
{
	if (__builtin_expect(w->cnt == SPARE_LEAST && w->cap == SPARE_LEAST && e->spare_cnt, 0)) {
		struct words *from = &e->spare[--e->spare_cnt];

		memcpy(from->v, w->v, w->cnt * sizeof(*w->v));
		from->cnt = w->cnt;
		free(w->v);
		*w = *from;
	}
	words_add(w, v);
}

static void shapes_clear(struct columns_encoder *e)
{
	uint32_t i, k;

	for (i = 0; i < e->shape_cnt; i++) {
		struct shape *s = &e->shapes[i];

		for (k = 0; s->columns && k < (s->arg_cnt ? s->arg_cnt : 1u); k++)
			words_spare(e, &s->columns[k].values);
		free(s->columns);
		words_spare(e, &s->times);
	}
	e->shape_cnt = 0;
}

void columns_encoder_close(struct columns_encoder *e)
{
	if (!e)
		return;
	shapes_clear(e);
	while (e->spare_cnt)
		free(e->spare[--e->spare_cnt].v);
	free(e->spare);
	free(e->shapes);
	free(e->formats);
	hash_index_fini(&e->format_by_number);
	free(e->ops.v);
	free(e->verbatim_lengths.v);
	free(e->threads.v);
	free(e->switch_times.v);
	free(e->all_times.v);
	free(e->verbatim.p);
	free(e->nests);
	hash_index_fini(&e->nest_by_thread);
	free(e->numbers.v);
	free(e->number_last.v);
	free(e->number_slots);
	refs_fini(&e->number_refs);
	strings_fini(&e->strings);
	streams_fini(&e->main);
	streams_fini(&e->text);
	pack_fini(&e->pack);
	free(e->sample);
	free(e);
}

static void encoder_clear(struct columns_encoder *e)
{
	shapes_clear(e);
	e->format_cnt = e->nest_cnt = 0;
	memset(e->near, 0, sizeof(e->near));
	hash_index_fini(&e->format_by_number);
	hash_index_fini(&e->nest_by_thread);
	e->ops.cnt = e->verbatim_lengths.cnt = e->threads.cnt = e->switch_times.cnt = 0;
	e->all_times.cnt = e->numbers.cnt = e->number_last.cnt = 0;
	e->verbatim.len = 0;
	e->time = 0;
	refs_clear(&e->number_refs);
	strings_clear(&e->strings);
	streams_clear(&e->main);
	streams_clear(&e->text);
	pack_clear(&e->pack);
	e->failed = false;
}

/* ---- the walk ---- */

/* A varint in its shortest form: another one would not come out the same. */
static const uint8_t *number_take(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
	const uint8_t *next = varint_get(p, end, v);

	return next && (next - p == 1 || next[-1]) ? next : NULL;
}

static void *grown(void *list, uint32_t cnt, uint32_t *cap, size_t size)
{
	uint32_t more = *cap ? *cap * 2 : 32;

	if (cnt < *cap)
		return list;
	list = realloc(list, more * size);
	if (list)
		*cap = more;
	return list;
}

static const struct format *format_of(const struct columns_encoder *e, uint64_t number)
{
	struct hash_index_walk walk;
	uint32_t i;

	if (number < NEAR_NUMBERS)
		return e->near[number] ? &e->formats[e->near[number] - 1] : NULL;
	i = hash_index_first(&e->format_by_number, number, &walk);
	return i == HASH_INDEX_NONE ? NULL : &e->formats[i];
}

/* A format entry, behind its first byte: which arguments do its records have? */
static int format_take(struct columns_encoder *e, const uint8_t *body, uint32_t bytes, uint64_t number)
{
	struct format *f, *list;

	if (bytes < 10 || body[9] > QSLOG_ARGS_MAX || bytes < 10u + body[9])
		return -ENOTSUP;
	if (format_of(e, number))
		return -ENOTSUP; /* a number that changes its meaning: not by this writer */
	list = grown(e->formats, e->format_cnt, &e->format_cap, sizeof(*list));
	if (!list)
		return -ENOMEM;
	e->formats = list;
	f = &list[e->format_cnt];
	memset(f, 0, sizeof(*f));
	f->number = number;
	f->kind = body[8];
	f->arg_cnt = body[9];
	memcpy(f->types, body + 10, f->arg_cnt);
	e->format_cnt++;
	if (number < NEAR_NUMBERS) {
		e->near[number] = e->format_cnt;
		return 0;
	}
	return hash_index_add(&e->format_by_number, number, e->format_cnt - 1);
}

static struct shape *shape_of(struct columns_encoder *e, uint64_t number,
			      enum columns_shape_kind kind, int *err)
{
	struct format *f = (struct format *)format_of(e, number);
	struct shape *s, *list;
	unsigned columns;

	*err = -ENOTSUP;
	if (!f)
		return NULL;
	if (__builtin_expect(f->shapes[kind], 1))
		return &e->shapes[f->shapes[kind] - 1];
	if (e->shape_cnt == COLUMNS_SHAPES_MAX)
		return NULL;
	*err = -ENOMEM;
	list = grown(e->shapes, e->shape_cnt, &e->shape_cap, sizeof(*list));
	if (!list)
		return NULL;
	e->shapes = list;
	s = &list[e->shape_cnt];
	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->number = number;
	if (kind != COLUMNS_SHAPE_EXIT) {
		s->arg_cnt = f->arg_cnt;
		memcpy(s->types, f->types, f->arg_cnt);
	}
	columns = s->arg_cnt ? s->arg_cnt : 1;
	s->columns = calloc(columns, sizeof(*s->columns));
	if (!s->columns)
		return NULL;
	f->shapes[kind] = ++e->shape_cnt;
	return s;
}

static const uint8_t *string_take(struct columns_encoder *e, const uint8_t *p, const uint8_t *end,
				  struct column *column, uint32_t id)
{
	uint64_t code, len, real;
	uint32_t missing = 0;

	p = number_take(p, end, &code);
	if (!p)
		return NULL;
	if (!code) {
		column_add(e, &column->values, strings_add(&e->strings, id, p, 0, 1));
		return p;
	}
	len = (code - 1) >> 1;
	if ((code - 1) & 1) {
		p = number_take(p, end, &real);
		if (!p || real <= len || real - len > UINT32_MAX - 2)
			return NULL;
		missing = (uint32_t)(real - len) + 1;
	}
	if (len > (size_t)(end - p))
		return NULL;
	column_add(e, &column->values, strings_add(&e->strings, id, p, (uint32_t)len, missing));
	return p + len;
}

static const uint8_t *arguments_take(struct columns_encoder *e, const uint8_t *p,
				     const uint8_t *end, struct shape *s, uint32_t id)
{
	uint64_t v;
	unsigned i;

	for (i = 0; i < s->arg_cnt && p; i++) {
		struct column *c = &s->columns[i];

		switch ((enum qslog_arg_type)s->types[i]) {
		case QSLOG_ARG_BOOL:
		case QSLOG_ARG_CHAR:
		case QSLOG_ARG_UINT8:
			if (p >= end)
				return NULL;
			column_add(e, &c->values, *p++);
			break;
		case QSLOG_ARG_UINT64:
		case QSLOG_ARG_POINTER:
			p = number_take(p, end, &v);
			column_add(e, &c->values, v);
			break;
		case QSLOG_ARG_INT64:
			p = number_take(p, end, &v);
			column_add(e, &c->values, (uint64_t)unzigzag(v));
			break;
		case QSLOG_ARG_FLOAT:
		case QSLOG_ARG_DOUBLE:
			v = 0;
			if (end - p < (s->types[i] == QSLOG_ARG_FLOAT ? 4 : 8))
				return NULL;
			memcpy(&v, p, s->types[i] == QSLOG_ARG_FLOAT ? 4 : 8);
			p += s->types[i] == QSLOG_ARG_FLOAT ? 4 : 8;
			column_add(e, &c->values, v);
			break;
		case QSLOG_ARG_STR:
		case QSLOG_ARG_BYTES:
			p = string_take(e, p, end, c, id + i);
			break;
		default:
			return NULL;
		}
	}
	return p;
}

static uint64_t nest_left(struct columns_encoder *e)
{
	struct nest *n = &e->nests[e->nest];

	return n->depth ? e->time - n->entered[--n->depth] : 0;
}

static void nest_entered(struct columns_encoder *e)
{
	struct nest *n = &e->nests[e->nest];

	if (n->depth == COLUMNS_NEST_MAX) { /* the outermost is forgotten */
		memmove(n->entered, n->entered + 1, sizeof(n->entered) - sizeof(n->entered[0]));
		n->depth--;
	}
	n->entered[n->depth++] = e->time;
}

static int nest_select(struct columns_encoder *e, uint64_t thread)
{
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&e->nest_by_thread, thread, &walk);
	struct nest *list;

	if (i == HASH_INDEX_NONE) {
		if (e->nest_cnt == COLUMNS_THREADS_MAX)
			return -ENOTSUP;
		list = grown(e->nests, e->nest_cnt, &e->nest_cap, sizeof(*list));
		if (!list)
			return -ENOMEM;
		e->nests = list;
		i = e->nest_cnt++;
		list[i].depth = 0;
		if (hash_index_add(&e->nest_by_thread, thread, i))
			return -ENOMEM;
	}
	e->nest = i;
	return 0;
}

/* Behind the first byte of a log entry, or of a span that is entered or left. */
static const uint8_t *record_take(struct columns_encoder *e, const uint8_t *p, const uint8_t *end,
				  unsigned id, unsigned escape, enum columns_shape_kind kind,
				  int *err)
{
	uint64_t number = id, time, duration;
	struct shape *s;
	uint32_t index;

	*err = -ENOTSUP;
	if (id == escape) {
		p = number_take(p, end, &number);
		if (!p || number < escape)
			return NULL;
	}
	s = shape_of(e, number, kind, err);
	if (!s)
		return NULL;
	*err = -ENOTSUP;
	p = number_take(p, end, &time);
	if (!p || !e->nest_cnt)
		return NULL;
	index = (uint32_t)(s - e->shapes);
	time = (uint64_t)unzigzag(time);
	e->time += time;
	if (e->ops.cnt && e->ops.v[e->ops.cnt - 1] == COLUMNS_OP_THREAD) {
		words_add(&e->switch_times, time);
	} else {
		words_add(&e->all_times, time);
	}
	words_add(&e->ops, COLUMNS_OP_SHAPE + index);
	if (kind == COLUMNS_SHAPE_EXIT) {
		p = number_take(p, end, &duration);
		column_add(e, &s->columns[0].values, duration - nest_left(e));
		return p;
	}
	if (kind == COLUMNS_SHAPE_ENTER)
		nest_entered(e);
	return arguments_take(e, p, end, s, index * 16);
}

/* An info entry, behind its first byte: a switch of threads, or something to be kept as it is. */
static const uint8_t *info_take(struct columns_encoder *e, const uint8_t *entry, const uint8_t *end,
				int *err)
{
	const unsigned type = *entry >> FILE_INFO_TYPE_SHIFT & 3;
	uint64_t length = *entry & FILE_INFO_LENGTH_ESCAPE, thread;
	const uint8_t *p = entry + 1, *after;

	*err = -ENOTSUP;
	if (length == FILE_INFO_LENGTH_ESCAPE)
		p = varint_get(p, end, &length);
	if (!p || length > (size_t)(end - p))
		return NULL;
	if (type == FILE_INFO_THREAD) {
		after = number_take(p, p + length, &thread);
		*err = after ? nest_select(e, thread) : -ENOTSUP;
		if (*err)
			return NULL;
		if (after == p + length && p == entry + 1) {
			words_add(&e->ops, COLUMNS_OP_THREAD);
			words_add(&e->threads, thread);
			return after;
		}
		*err = -ENOTSUP;
		return NULL;
	}
	words_add(&e->ops, COLUMNS_OP_VERBATIM);
	words_add(&e->verbatim_lengths, (uint64_t)(p + length - entry));
	bytes_put(&e->verbatim, entry, (size_t)(p + length - entry));
	return p + length;
}

static const uint8_t *verbatim_take(struct columns_encoder *e, const uint8_t *entry,
				    const uint8_t *p, const uint8_t *end)
{
	uint64_t length;

	p = p ? varint_get(p, end, &length) : NULL;
	if (!p || length > (size_t)(end - p))
		return NULL;
	words_add(&e->ops, COLUMNS_OP_VERBATIM);
	words_add(&e->verbatim_lengths, (uint64_t)(p + length - entry));
	bytes_put(&e->verbatim, entry, (size_t)(p + length - entry));
	return p + length;
}

static const uint8_t *format_entry_take(struct columns_encoder *e, const uint8_t *entry,
					const uint8_t *end, int *err)
{
	uint64_t number = 0, length;
	const uint8_t *p = varint_get(entry + 1, end, &number), *body, *next;

	*err = -ENOTSUP;
	next = verbatim_take(e, entry, p, end);
	body = next ? varint_get(p, end, &length) : NULL;
	if (!body)
		return NULL;
	*err = format_take(e, body, (uint32_t)length, number);
	return *err ? NULL : next;
}

static const uint8_t *span_take(struct columns_encoder *e, const uint8_t *entry, const uint8_t *end,
				int *err)
{
	const unsigned op = *entry >> FILE_SPAN_OP_SHIFT & 3, id = *entry & FILE_SPAN_ID_ESCAPE;
	const uint8_t *p = entry + 1;
	uint64_t number;

	if (op == FILE_SPAN_ENTER || op == FILE_SPAN_EXIT)
		return record_take(e, p, end, id, FILE_SPAN_ID_ESCAPE,
				   op == FILE_SPAN_ENTER ? COLUMNS_SHAPE_ENTER : COLUMNS_SHAPE_EXIT,
				   err);
	*err = -ENOTSUP;
	if (op == FILE_SPAN_COMPLETE && id == FILE_SPAN_ID_ESCAPE)
		p = varint_get(p, end, &number);
	return verbatim_take(e, entry, p, end);
}

static int rows_take_apart(struct columns_encoder *e, const uint8_t *rows, uint32_t bytes)
{
	const uint8_t *p = rows, *end = rows + bytes;
	int err = 0;

	while (p && p < end) {
		switch (*p >> FILE_ENTRY_TYPE_SHIFT) {
		case FILE_ENTRY_LOG:
			p = record_take(e, p + 1, end, *p & FILE_LOG_ID_ESCAPE, FILE_LOG_ID_ESCAPE,
					COLUMNS_SHAPE_LOG, &err);
			break;
		case FILE_ENTRY_FORMAT:
			p = format_entry_take(e, p, end, &err);
			break;
		case FILE_ENTRY_INFO:
			p = info_take(e, p, end, &err);
			break;
		default:
			p = span_take(e, p, end, &err);
			break;
		}
	}
	return p ? 0 : err;
}

/* ---- the dictionary of numbers ---- */

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

/* Numbers far apart that come again. Of all, only those are looked at whose hash ends in zeros: all
 * occurrences of one are, or none. */
static void wide_choose(struct columns_encoder *e, struct column *c, uint8_t type)
{
	const struct words *w = &c->values;
	uint64_t low = UINT64_MAX, high = 0;
	const uint32_t skip = w->cnt >= 4096 ? 7 : w->cnt >= 512 ? 1 : 0;
	uint32_t i, seen = 0, again = 0, small = 0;

	if (w->cnt < WIDE_LEAST)
		return;
	for (i = 0; i < w->cnt; i++) {
		uint64_t v = w->v[i] ^ UINT64_C(1) << 63;

		low = v < low ? v : low;
		high = v > high ? v : high;
	}
	if (high - low < WIDE_RANGE)
		return;
	if ((type == QSLOG_ARG_DOUBLE || type == QSLOG_ARG_FLOAT) &&
	    decimal_fits(w, type == QSLOG_ARG_FLOAT))
		return;
	for (i = 0; i < w->cnt; i++) {
		const uint64_t h = mix(w->v[i]);
		uint64_t *at = &e->sample[h >> 8 & ((1u << NUMBER_BITS) - 1)];

		if (h & skip)
			continue;
		if (w->v[i] + WIDE_RANGE / 2 < WIDE_RANGE) {
			small++;
			continue;
		}
		seen++;
		again += *at == h;
		*at = h;
	}
	c->refs = again * 4 >= seen && again && small < seen;
}

static bool numbers_room(struct columns_encoder *e)
{
	uint32_t size = e->number_slots ? (e->number_mask + 1) * 2 : 4096, i, at;
	uint32_t *slots;

	if (e->number_slots && e->numbers.cnt + 1 < e->number_mask - e->number_mask / 4)
		return true;
	slots = calloc(size, sizeof(*slots));
	if (!slots)
		return false;
	free(e->number_slots);
	e->number_slots = slots;
	e->number_mask = size - 1;
	for (i = 0; i < e->numbers.cnt; i++) {
		for (at = (uint32_t)mix(e->numbers.v[i]) & e->number_mask; slots[at];)
			at = (at + 1) & e->number_mask;
		slots[at] = i + 1;
	}
	return true;
}

static unsigned number_add(struct columns_encoder *e, uint32_t column, uint64_t v)
{
	uint32_t slot, at, ref = refs_predict(&e->number_refs, column, &slot), last;
	unsigned symbol;

	if (ref == COLUMNS_REF_NONE || e->numbers.v[ref] != v) {
		if (!numbers_room(e)) {
			e->failed = true;
			return 0;
		}
		for (at = (uint32_t)mix(v) & e->number_mask; e->number_slots[at];) {
			if (e->numbers.v[e->number_slots[at] - 1] == v)
				break;
			at = (at + 1) & e->number_mask;
		}
		if (!e->number_slots[at]) {
			words_add(&e->numbers, v);
			words_add(&e->number_last, 0);
			e->number_slots[at] = e->numbers.cnt;
			if (e->numbers.failed || e->number_last.failed) {
				e->failed = true;
				return 0;
			}
		}
		ref = e->number_slots[at] - 1;
	}
	last = (uint32_t)e->number_last.v[ref];
	symbol = refs_put(&e->number_refs, slot, ref, &last);
	e->number_last.v[ref] = last;
	return symbol;
}

/* Columns whose numbers come again get references, numbered over the whole block in the order of
 * the records. */
static void numbers_refer(struct columns_encoder *e)
{
	uint32_t i, k, n;
	uint32_t *next;
	bool any = false;

	if (e->number_slots)
		memset(e->number_slots, 0, (e->number_mask + 1u) * sizeof(*e->number_slots));
	memset(e->sample, 0, sizeof(*e->sample) << NUMBER_BITS);
	for (i = 0; i < e->shape_cnt; i++) {
		for (k = 0; k < e->shapes[i].arg_cnt; k++) {
			if (is_number(e->shapes[i].types[k]))
				wide_choose(e, &e->shapes[i].columns[k],
					    e->shapes[i].types[k]);
			any |= e->shapes[i].columns[k].refs;
		}
	}
	if (!any)
		return;
	next = calloc(e->shape_cnt, sizeof(*next));
	if (!next) {
		e->failed = true;
		return;
	}
	for (n = 0; n < e->ops.cnt; n++) {
		struct shape *s;

		if (e->ops.v[n] < COLUMNS_OP_SHAPE)
			continue;
		i = (uint32_t)(e->ops.v[n] - COLUMNS_OP_SHAPE);
		s = &e->shapes[i];
		for (k = 0; k < s->arg_cnt; k++) {
			if (s->columns[k].refs)
				s->columns[k].values.v[next[i]] =
					number_add(e, i * 16 + k, s->columns[k].values.v[next[i]]);
		}
		next[i]++;
	}
	free(next);
}

/* ---- putting ---- */

static void number_column_put(struct columns_encoder *e, const struct column *c, uint8_t type)
{
	struct streams *s = &e->main;
	const bool is_signed = type == QSLOG_ARG_INT64;

	if (c->refs) {
		bytes_byte(&s->plan, COLUMNS_REFS);
		ints_put(s, c->values.v, c->values.cnt, false);
		return;
	}
	if ((type == QSLOG_ARG_DOUBLE || type == QSLOG_ARG_FLOAT) &&
	    decimal_put(s, &c->values, type == QSLOG_ARG_FLOAT))
		return;
	bytes_byte(&s->plan, COLUMNS_INTS);
	ints_put(s, c->values.v, c->values.cnt, is_signed);
}

static void shape_put(struct columns_encoder *e, const struct shape *shape)
{
	struct streams *s = &e->main;
	unsigned i;

	if (shape->kind == COLUMNS_SHAPE_EXIT) {
		bytes_byte(&s->plan, COLUMNS_NESTED);
		ints_put(s, shape->columns[0].values.v, shape->columns[0].values.cnt, true);
	}
	for (i = 0; i < shape->arg_cnt; i++) {
		const struct column *c = &shape->columns[i];

		if (shape->types[i] == QSLOG_ARG_STR || shape->types[i] == QSLOG_ARG_BYTES) {
			bytes_byte(&s->plan, COLUMNS_REFS);
			ints_put(s, c->values.v, c->values.cnt, false);
		} else {
			number_column_put(e, c, shape->types[i]);
		}
	}
}

static void times_put(struct columns_encoder *e, bool by_shape)
{
	uint32_t i;

	ints_put(&e->main, e->switch_times.v, e->switch_times.cnt, true);
	if (!by_shape)
		ints_put(&e->main, e->all_times.v, e->all_times.cnt, true);
	for (i = 0; by_shape && i < e->shape_cnt; i++)
		ints_put(&e->main, e->shapes[i].times.v, e->shapes[i].times.cnt, true);
}

/* Do the differences hang on what follows them? */
static bool times_by_shape(struct columns_encoder *e)
{
	double together, apart = 0;
	uint32_t i, next = 0;
	bool switched = false;

	if (e->shape_cnt < 2 || e->shape_cnt > TIME_SHAPES_MAX)
		return false;
	for (i = 0; i < e->ops.cnt; i++) {
		if (e->ops.v[i] >= COLUMNS_OP_SHAPE && !switched)
			column_add(e, &e->shapes[e->ops.v[i] - COLUMNS_OP_SHAPE].times,
				  e->all_times.v[next++]);
		switched = e->ops.v[i] == COLUMNS_OP_THREAD;
	}
	together = ints_cost(&e->main, e->all_times.v, e->all_times.cnt, true);
	for (i = 0; i < e->shape_cnt; i++)
		apart += ints_cost(&e->main, e->shapes[i].times.v, e->shapes[i].times.cnt, true) + 24;
	return apart < together * 0.98;
}

static void plan_put(struct columns_encoder *e)
{
	struct streams *s = &e->main;
	const bool by_shape = times_by_shape(e);
	uint32_t i;

	bytes_varint(&s->plan, by_shape ? COLUMNS_PLAN_TIME_BY_SHAPE : 0);
	bytes_varint(&s->plan, e->ops.cnt);
	bytes_varint(&s->plan, e->shape_cnt);
	for (i = 0; i < e->shape_cnt; i++) {
		const struct shape *shape = &e->shapes[i];

		bytes_varint(&s->plan, shape->number << 2 | shape->kind);
		if (shape->kind != COLUMNS_SHAPE_EXIT) {
			bytes_byte(&s->plan, shape->arg_cnt);
			bytes_put(&s->plan, shape->types, shape->arg_cnt);
		}
	}
	bytes_varint(&s->plan, e->numbers.cnt);
	bytes_varint(&s->plan, e->number_refs.explicit_refs.cnt);
	bytes_varint(&s->plan, e->strings.refs.explicit_refs.cnt);
	ints_put(s, e->ops.v, e->ops.cnt, false);
	ints_put(s, e->verbatim_lengths.v, e->verbatim_lengths.cnt, false);
	ints_put(s, e->threads.v, e->threads.cnt, false);
	times_put(e, by_shape);
	ints_put(s, e->numbers.v, e->numbers.cnt, true);
	ints_put(s, e->number_refs.explicit_refs.v, e->number_refs.explicit_refs.cnt, false);
	ints_put(s, e->strings.refs.explicit_refs.v, e->strings.refs.explicit_refs.cnt, false);
	for (i = 0; i < e->shape_cnt; i++)
		shape_put(e, &e->shapes[i]);
}

static bool encoder_failed(const struct columns_encoder *e)
{
	bool failed = e->failed || e->strings.failed || e->strings.refs.failed ||
		      e->number_refs.failed || streams_failed(&e->main) ||
		      streams_failed(&e->text) || e->ops.failed || e->verbatim_lengths.failed ||
		      e->threads.failed || e->switch_times.failed || e->all_times.failed ||
		      e->verbatim.failed || e->strings.refs.explicit_refs.failed ||
		      e->number_refs.explicit_refs.failed;
	uint32_t i, k;

	for (i = 0; i < e->shape_cnt; i++) {
		failed |= e->shapes[i].times.failed;
		for (k = 0; k < e->shapes[i].arg_cnt; k++)
			failed |= e->shapes[i].columns[k].values.failed;
	}
	return failed;
}

int columns_encode(struct columns_encoder *e, const uint8_t *rows, uint32_t bytes,
		   const uint8_t **payload, uint32_t *payload_bytes)
{
	int err;

	if (bytes > COLUMNS_ROWS_BYTES_MAX)
		return -ENOTSUP;
	encoder_clear(e);
	err = rows_take_apart(e, rows, bytes);
	if (err)
		return err;
	if (encoder_failed(e))
		return -ENOMEM;
	numbers_refer(e);
	plan_put(e);
	strings_put(&e->strings, &e->text);
	if (encoder_failed(e))
		return -ENOMEM;
	pack_section(&e->pack, COLUMNS_PLAN, e->main.plan.p, e->main.plan.len, SEGMENT_REPEATS);
	pack_section(&e->pack, COLUMNS_VERBATIM, e->verbatim.p, e->verbatim.len, SEGMENT_REPEATS);
	pack_section(&e->pack, COLUMNS_STRING_PLAN, e->text.plan.p, e->text.plan.len, SEGMENT_REPEATS);
	pack_streams(&e->pack, COLUMNS_STRING_DATA, &e->text);
	pack_streams(&e->pack, COLUMNS_DATA, &e->main);
	err = pack_finish(&e->pack);
	*payload = e->pack.payload.p;
	*payload_bytes = (uint32_t)e->pack.payload.len;
	return err;
}
