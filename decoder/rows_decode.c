/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_decode.c - the reading side of docs/format.md, "Entries". Both passes check every length
 * against the end of the rows; nothing here trusts that the first pass has been there.
 */
#include "rows_decode.h"

#include <string.h>

#include "file_format.h"
#include "varint.h"

/* The walk over one buffer. Functions return the position behind what they read, or NULL after
 * setting `what`. */
struct scan {
	struct rows_state *state;
	struct catalog_in *catalog;
	struct clock_map *clock;
	const uint8_t *data, *end;
	struct row_list *list;
	const char *what;
	int err;
};

static const uint8_t *refuse(struct scan *s, const char *what)
{
	s->err = -EBADMSG;
	s->what = what;
	return NULL;
}

/* -ENOMEM stops the reader; anything else is the fault of the rows. */
static const uint8_t *outcome(struct scan *s, int err, const uint8_t *next, const char *what)
{
	if (!err)
		return next;
	if (err == -ENOMEM) {
		s->err = err;
		return NULL;
	}
	return refuse(s, err == -E2BIG ? "more processes, threads and formats than are kept" : what);
}

void rows_state_init(struct rows_state *state)
{
	state->ticks = 0;
	state->thread = HASH_INDEX_NONE;
	state->tick_ns = 0;
}

void row_list_fini(struct row_list *list)
{
	free(list->rows);
	list->rows = NULL;
	list->cnt = 0;
	list->cap = 0;
}

static const uint8_t *row_add(struct scan *s, const uint8_t *at, uint32_t format, unsigned kind)
{
	struct row_list *l = s->list;
	struct in_thread *thread;
	struct row *row;

	if (s->state->thread == HASH_INDEX_NONE)
		return refuse(s, "a record before the first thread");
	if (l->cnt == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 4096;

		if (l->cnt >= FILE_RECORDS_MAX)
			return refuse(s, "more records than a block may have");
		row = realloc(l->rows, cap * sizeof(*row));
		if (!row) {
			s->err = -ENOMEM;
			return NULL;
		}
		l->rows = row;
		l->cap = cap;
	}
	thread = s->catalog->threads[s->state->thread];
	row = &l->rows[l->cnt++];
	row->ticks = s->state->ticks;
	row->key = row->ticks;
	if (thread->has_key && thread->last_key > row->key)
		row->key = thread->last_key;
	thread->last_key = row->key;
	thread->has_key = true;
	row->off = (uint32_t)(at - s->data);
	row->thread = s->state->thread;
	row->format = format;
	row->kind = kind;
	return at;
}

/* A zigzag difference of times. */
static const uint8_t *time_take(struct scan *s, const uint8_t *p)
{
	uint64_t v;
	int64_t ticks;

	p = varint_get(p, s->end, &v);
	if (!p)
		return refuse(s, "a time difference runs past the end");
	if (__builtin_add_overflow(s->state->ticks, unzigzag(v), &ticks) ||
	    ticks > FILE_TICKS_MAX || ticks < -FILE_TICKS_MAX)
		return refuse(s, "a time out of range");
	s->state->ticks = ticks;
	return p;
}

/* Length code of a STR or BYTES argument. */
static const uint8_t *text_take(const uint8_t *p, const uint8_t *end, struct record_value *v)
{
	uint64_t code, len, real;

	p = varint_get(p, end, &code);
	if (!p)
		return NULL;
	v->len = 0;
	v->real_len = 0;
	v->bytes = NULL;
	if (!code)
		return p;
	len = (code - 1) >> 1;
	real = len;
	if ((code - 1) & 1) {
		p = varint_get(p, end, &real);
		if (!p || real <= len || real > UINT32_MAX)
			return NULL;
	}
	if (len > FILE_STRING_BYTES_MAX || len > (size_t)(end - p))
		return NULL;
	v->len = (uint32_t)len;
	v->real_len = (uint32_t)real;
	v->bytes = (const char *)p;
	return p + len;
}

static const uint8_t *value_take(const uint8_t *p, const uint8_t *end, unsigned type,
				 struct record_value *v)
{
	uint32_t bits;

	v->type = (uint8_t)type;
	switch ((enum qslog_arg_type)type) {
	case QSLOG_ARG_BOOL:
	case QSLOG_ARG_CHAR:
	case QSLOG_ARG_UINT8:
		if (p >= end)
			return NULL;
		v->u = *p;
		return p + 1;
	case QSLOG_ARG_UINT64:
	case QSLOG_ARG_POINTER:
		return varint_get(p, end, &v->u);
	case QSLOG_ARG_INT64:
		p = varint_get(p, end, &v->u);
		v->i = p ? unzigzag(v->u) : 0;
		return p;
	case QSLOG_ARG_FLOAT:
		if (end - p < 4)
			return NULL;
		v->u = 0;
		memcpy(&bits, p, 4);
		memcpy(&v->f, &bits, 4);
		return p + 4;
	case QSLOG_ARG_DOUBLE:
		if (end - p < 8)
			return NULL;
		memcpy(&v->d, p, 8);
		return p + 8;
	case QSLOG_ARG_STR:
	case QSLOG_ARG_BYTES:
		return text_take(p, end, v);
	case QSLOG_ARG_TYPE_COUNT:
		break;
	}
	return NULL;
}

static const uint8_t *arguments_skip(struct scan *s, const uint8_t *p,
				     const struct record_format *f)
{
	struct record_value v;
	unsigned i;

	v.u = 0;
	for (i = 0; i < f->arg_cnt; i++) {
		p = value_take(p, s->end, f->types[i], &v);
		if (!p)
			return refuse(s, "an argument runs past the end or is malformed");
	}
	return p;
}

static const uint8_t *format_id_take(struct scan *s, const uint8_t *p, unsigned id, unsigned escape,
				     uint32_t *slot)
{
	uint64_t number = id;

	if (id == escape) {
		p = varint_get(p, s->end, &number);
		if (!p)
			return refuse(s, "a format id runs past the end");
	}
	*slot = catalog_slot(&s->catalog->format_by_number, number);
	return *slot == HASH_INDEX_NONE ? refuse(s, "a format that was not introduced") : p;
}

static const uint8_t *log_scan(struct scan *s, const uint8_t *p, unsigned low)
{
	const struct record_format *f;
	uint32_t slot;

	p = format_id_take(s, p, low, FILE_LOG_ID_ESCAPE, &slot);
	if (!p)
		return NULL;
	f = &s->catalog->formats[slot]->format;
	if (f->kind != QSLOG_SITE_LOG)
		return refuse(s, "a log entry with the format of a span");
	p = time_take(s, p);
	if (!p || !row_add(s, p, slot, RECORD_LOG))
		return NULL;
	p = arguments_skip(s, p, f);
	if (!p)
		s->list->cnt--;
	return p;
}

static const uint8_t *span_scan(struct scan *s, const uint8_t *p, unsigned low)
{
	unsigned op = low >> FILE_SPAN_OP_SHIFT;
	const struct record_format *f;
	uint64_t v;
	uint32_t slot;

	if (op == FILE_SPAN_COMPLETE || op == FILE_SPAN_CONTEXT) {
		if ((low & FILE_SPAN_ID_ESCAPE) == FILE_SPAN_ID_ESCAPE)
			p = varint_get(p, s->end, &v);
		p = p ? varint_get(p, s->end, &v) : NULL;
		if (!p || v > (size_t)(s->end - p))
			return refuse(s, "a span entry runs past the end");
		return p + v;
	}
	p = format_id_take(s, p, low & FILE_SPAN_ID_ESCAPE, FILE_SPAN_ID_ESCAPE, &slot);
	if (!p)
		return NULL;
	f = &s->catalog->formats[slot]->format;
	if (f->kind != QSLOG_SITE_SPAN)
		return refuse(s, "a span entry with the format of a log");
	p = time_take(s, p);
	if (!p)
		return NULL;
	if (op == FILE_SPAN_ENTER) {
		if (!row_add(s, p, slot, RECORD_SPAN_ENTER))
			return NULL;
		p = arguments_skip(s, p, f);
	} else {
		if (!row_add(s, p, slot, RECORD_SPAN_EXIT))
			return NULL;
		p = varint_get(p, s->end, &v);
		if (!p)
			refuse(s, "a duration runs past the end");
	}
	if (!p)
		s->list->cnt--;
	return p;
}

static const uint8_t *format_scan(struct scan *s, const uint8_t *p, unsigned level)
{
	uint64_t number, length;

	p = varint_get(p, s->end, &number);
	p = p ? varint_get(p, s->end, &length) : NULL;
	if (!p || length > FILE_ENTRY_BYTES_MAX || length > (size_t)(s->end - p))
		return refuse(s, "a format entry runs past the end");
	return outcome(s,
		       catalog_in_format(s->catalog, number, (uint8_t)level, p, (uint32_t)length),
		       p + length, "a malformed format entry");
}

static const uint8_t *loss_scan(struct scan *s, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *body, *rest;
	uint64_t cause, count;

	body = time_take(s, p);
	if (!body)
		return NULL;
	rest = varint_get(body, end, &cause);
	rest = rest ? varint_get(rest, end, &count) : NULL;
	if (!rest || cause > UINT8_MAX)
		return refuse(s, "a malformed loss entry");
	return row_add(s, body, HASH_INDEX_NONE, RECORD_LOSS);
}

static const uint8_t *extended_scan(struct scan *s, const uint8_t *p, uint32_t length)
{
	const uint8_t *end = p + length;
	int64_t ticks, realtime;
	uint32_t window, bytes;
	uint64_t subtype;

	p = varint_get(p, end, &subtype);
	if (!p)
		return refuse(s, "an info entry without its subtype");
	bytes = (uint32_t)(end - p);
	switch (subtype) {
	case FILE_SUB_CLOCK:
		if (bytes < 20)
			return refuse(s, "a malformed clock entry");
		memcpy(&ticks, p, 8);
		memcpy(&realtime, p + 8, 8);
		memcpy(&window, p + 16, 4);
		return outcome(s, clock_map_add(s->clock, ticks, realtime, window), end, "");
	case FILE_SUB_PROCESS:
		return outcome(s, catalog_in_process(s->catalog, p, bytes), end,
			       "a malformed process entry");
	case FILE_SUB_THREAD:
		return outcome(s, catalog_in_thread(s->catalog, p, bytes), end,
			       "a malformed thread entry");
	case FILE_SUB_TICK:
		if (bytes < 8)
			return refuse(s, "a malformed tick entry");
		memcpy(&s->state->tick_ns, p, 8);
		return end;
	case FILE_SUB_LOSS:
		return loss_scan(s, p, end) ? end : NULL;
	default:
		return end; /* of a later version, or about the file as a whole */
	}
}

static const uint8_t *info_scan(struct scan *s, const uint8_t *p, unsigned low)
{
	unsigned type = low >> FILE_INFO_TYPE_SHIFT;
	uint64_t length = low & FILE_INFO_LENGTH_ESCAPE, number;
	int64_t ticks;

	if (length == FILE_INFO_LENGTH_ESCAPE) {
		p = varint_get(p, s->end, &length);
		if (!p)
			return refuse(s, "the length of an info entry runs past the end");
	}
	if (length > FILE_ENTRY_BYTES_MAX || length > (size_t)(s->end - p))
		return refuse(s, "an info entry runs past the end");
	switch (type) {
	case FILE_INFO_PID:
		break; /* the process of the thread says it too */
	case FILE_INFO_TIME:
		if (length < 8)
			return refuse(s, "a malformed timestamp entry");
		memcpy(&ticks, p, 8);
		if (ticks > FILE_TICKS_MAX || ticks < -FILE_TICKS_MAX)
			return refuse(s, "a time out of range");
		s->state->ticks = ticks;
		break;
	case FILE_INFO_THREAD:
		if (!varint_get(p, p + length, &number))
			return refuse(s, "a malformed thread switch");
		s->state->thread = catalog_slot(&s->catalog->thread_by_number, number);
		if (s->state->thread == HASH_INDEX_NONE)
			return refuse(s, "a thread that was not introduced");
		break;
	default:
		return extended_scan(s, p, (uint32_t)length);
	}
	return p + length;
}

int rows_scan(struct rows_state *state, struct catalog_in *catalog, struct clock_map *clock,
	      const uint8_t *data, uint32_t bytes, struct row_list *list,
	      struct rows_problem *problem)
{
	struct scan s = { state, catalog, clock, data, data + bytes, list, NULL, 0 };
	const uint8_t *p = data, *entry = data;

	while (p && p < s.end) {
		unsigned low = *p & ((1u << FILE_ENTRY_TYPE_SHIFT) - 1);

		entry = p;
		switch (*p >> FILE_ENTRY_TYPE_SHIFT) {
		case FILE_ENTRY_LOG:
			p = log_scan(&s, p + 1, low);
			break;
		case FILE_ENTRY_FORMAT:
			p = format_scan(&s, p + 1, low);
			break;
		case FILE_ENTRY_INFO:
			p = info_scan(&s, p + 1, low);
			break;
		default:
			p = span_scan(&s, p + 1, low);
			break;
		}
	}
	if (s.err == -EBADMSG) {
		problem->off = (uint32_t)(entry - data);
		problem->what = s.what;
	}
	return s.err;
}

/* Merges neighbouring sorted runs until one is left. Rows come thread by thread, so that there
 * are few. */
int rows_sort(struct row_list *list)
{
	struct row *from = list->rows, *to = NULL, *swap;
	uint32_t n = list->cnt, start, runs;

	for (;;) {
		runs = 0;
		for (start = 0; start < n;) {
			uint32_t middle = start + 1, end, a, b, out;

			while (middle < n && from[middle].key >= from[middle - 1].key)
				middle++;
			if (middle == n && !start)
				goto done;
			if (!to) {
				to = malloc((size_t)n * sizeof(*to));
				if (!to)
					return -ENOMEM;
			}
			end = middle < n ? middle + 1 : n;
			while (end < n && from[end].key >= from[end - 1].key)
				end++;
			for (a = start, b = middle, out = start; out < end; out++) {
				if (b >= end || (a < middle && from[a].key <= from[b].key))
					to[out] = from[a++];
				else
					to[out] = from[b++];
			}
			start = end;
			runs++;
		}
		if (!runs)
			goto done;
		swap = from;
		from = to;
		to = swap;
	}
done:
	if (from != list->rows) {
		swap = list->rows;
		list->rows = from;
		list->cap = n;
		to = swap;
	}
	free(to);
	return 0;
}

int row_decode(const struct catalog_in *catalog, struct clock_map *clock, const uint8_t *data,
	       uint32_t bytes, const struct row *row, struct record *record)
{
	const uint8_t *p = data + row->off, *end = data + bytes;
	const struct record_format *f = NULL;
	uint64_t v;
	unsigned i;

	record->kind = (enum record_kind)row->kind;
	record->time_ns = clock_map_ns(clock, row->ticks);
	record->thread = &catalog->threads[row->thread]->thread;
	record->duration_ns = 0;
	record->lost = 0;
	record->lost_cause = 0;
	record->value_cnt = 0;
	if (row->kind != RECORD_LOSS)
		f = &catalog->formats[row->format]->format;
	record->format = f;
	if (row->kind == RECORD_LOSS) {
		p = varint_get(p, end, &v);
		record->lost_cause = p ? (uint8_t)v : 0;
		p = p ? varint_get(p, end, &record->lost) : NULL;
	} else if (row->kind == RECORD_SPAN_EXIT) {
		p = varint_get(p, end, &v);
		record->duration_ns = p ? clock_map_duration(clock, row->ticks, v) : 0;
	} else {
		for (i = 0; p && i < f->arg_cnt; i++)
			p = value_take(p, end, f->types[i], &record->values[i]);
		record->value_cnt = f->arg_cnt;
	}
	return p ? 0 : -EBADMSG;
}
