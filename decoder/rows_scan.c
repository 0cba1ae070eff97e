/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_scan.c - the first pass over rows, the reading side of docs/format.md, "Entries". It checks
 * every length against the end of the rows.
 */
#include "rows_scan.h"

#include <string.h>

#include "file_format.h"
#include "row_value.h"
#include "varint.h"

const uint8_t *scan_refuse(struct scan *s, const char *what)
{
	s->err = -EBADMSG;
	s->what = what;
	return NULL;
}

const uint8_t *scan_outcome(struct scan *s, int err, const uint8_t *next, const char *what)
{
	if (!err)
		return next;
	if (err == -ENOMEM) {
		s->err = err;
		return NULL;
	}
	return scan_refuse(s, err == -E2BIG ? "more processes, threads and formats than are kept" : what);
}

uint32_t scan_context_add(struct scan *s, const struct record_context *context)
{
	struct row_list *l = s->list;

	if (!context->has_trace && !context->span_id && !context->line_depth)
		return 0;
	if (l->context_cnt == l->context_cap) {
		uint32_t cap = l->context_cap ? l->context_cap * 2 : 64;
		struct record_context *contexts;

		contexts = realloc(l->contexts, cap * sizeof(*contexts));
		if (!contexts) {
			s->err = -ENOMEM;
			return 0;
		}
		l->contexts = contexts;
		l->context_cap = cap;
	}
	l->contexts[l->context_cnt] = *context;
	return ++l->context_cnt;
}

/* Of all records of the format (that leave a span, or do not). */
static uint8_t format_want(struct scan *s, uint32_t slot, bool leaves)
{
	struct in_format *f = &s->catalog->formats[slot];
	uint8_t *want = &f->want[leaves];

	if (!*want)
		*want = (uint8_t)s->select->render->format(s->select->context, f->format, leaves);
	return *want;
}

static bool row_wanted(struct scan *s, struct in_thread *thread, uint32_t format, unsigned kind)
{
	if (!thread->want)
		thread->want = s->select->render->thread(s->select->context, thread->thread) ?
				       READER_WANT_ALL : READER_WANT_NONE;
	return thread->want != READER_WANT_NONE &&
	       (format == HASH_INDEX_NONE ||
		format_want(s, format, kind == RECORD_SPAN_EXIT || kind == RECORD_LINE_END) !=
			READER_WANT_NONE);
}

/* The time of a row, but never less than that of the thread's row before. */
static int64_t row_key(const struct scan *s, struct in_thread *thread)
{
	int64_t key = s->state->ticks;

	if (thread->has_key && thread->last_key > key)
		key = thread->last_key;
	if (!thread->has_key)
		thread->first_key = key;
	thread->last_key = key;
	thread->has_key = true;
	return key;
}

struct row *scan_row_room(struct scan *s)
{
	struct row_list *l = s->list;
	struct row *rows;

	if (l->cnt == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 4096;

		if (l->cnt >= FILE_RECORDS_MAX) {
			(void)scan_refuse(s, "more records than a block may have");
			return NULL;
		}
		rows = realloc(l->rows, cap * sizeof(*rows));
		if (!rows) {
			s->err = -ENOMEM;
			return NULL;
		}
		l->rows = rows;
		l->cap = cap;
	}
	return &l->rows[l->cnt++];
}

const uint8_t *scan_row_add(struct scan *s, const uint8_t *at, uint32_t format, unsigned kind,
			    uint32_t context)
{
	struct in_thread *thread;
	struct row *row;
	int64_t key;

	if (s->state->thread == HASH_INDEX_NONE)
		return scan_refuse(s, "a record before the first thread");
	thread = &s->catalog->threads[s->state->thread];
	key = row_key(s, thread);
	s->list->record_cnt += kind != RECORD_LOSS;
	if (s->select && !row_wanted(s, thread, format, kind))
		return s->err ? NULL : at;
	row = scan_row_room(s);
	if (!row)
		return NULL;
	row->ticks = s->state->ticks;
	row->key = key;
	row->off = (uint32_t)(at - s->data);
	row->thread = s->state->thread;
	row->format = format;
	row->kind = kind & 0xff;
	row->context = context & 0xffffff;
	return s->err ? NULL : at;
}

struct in_thread *scan_thread_current(const struct scan *s)
{
	return s->state->thread == HASH_INDEX_NONE ? NULL : &s->catalog->threads[s->state->thread];
}

static const uint8_t *row_add_current(struct scan *s, const uint8_t *at, uint32_t format,
				      unsigned kind)
{
	const struct in_thread *thread = scan_thread_current(s);

	return scan_row_add(s, at, format, kind,
			    thread && thread->spans.cnt ? scan_context_current(s, &thread->spans) : 0);
}

const uint8_t *scan_time_take(struct scan *s, const uint8_t *p)
{
	uint64_t v;
	int64_t ticks;

	p = varint_get(p, s->end, &v);
	if (!p)
		return scan_refuse(s, "a time difference runs past the end");
	if (__builtin_add_overflow(s->state->ticks, unzigzag(v), &ticks) ||
	    ticks > FILE_TICKS_MAX || ticks < -FILE_TICKS_MAX)
		return scan_refuse(s, "a time out of range");
	s->state->ticks = ticks;
	return p;
}

static const uint8_t *arguments_malformed(struct scan *s, uint32_t rows)
{
	s->list->cnt = rows;
	s->list->record_cnt--;
	return scan_refuse(s, "an argument runs past the end or is malformed");
}

const uint8_t *scan_arguments_skip(struct scan *s, const uint8_t *p, uint32_t format, uint32_t rows)
{
	const struct in_format *in = &s->catalog->formats[format];
	const struct record_format *f = in->format;
	struct record_value v[QSLOG_ARGS_MAX];
	unsigned i;

	if (!s->select || s->list->cnt == rows || in->want[0] != READER_WANT_SOME) {
		p = row_values_skip(p, s->end, f->types, f->arg_cnt);
		return p ? p : arguments_malformed(s, rows);
	}
	for (i = 0; i < f->arg_cnt; i++) {
		p = row_value_take(p, s->end, f->types[i], &v[i]);
		if (!p)
			return arguments_malformed(s, rows);
	}
	if (!s->select->render->values(s->select->context, f, v))
		s->list->cnt = rows;
	return p;
}

const uint8_t *scan_format_id_take(struct scan *s, const uint8_t *p, unsigned id, unsigned escape,
				   uint32_t *slot)
{
	uint64_t number = id;

	if (id == escape) {
		p = varint_get(p, s->end, &number);
		if (!p)
			return scan_refuse(s, "a format id runs past the end");
	}
	*slot = catalog_format_slot(s->catalog, number);
	return *slot == HASH_INDEX_NONE ? scan_refuse(s, "a format that was not introduced") : p;
}

static const uint8_t *log_scan(struct scan *s, const uint8_t *p, unsigned low)
{
	const uint32_t rows = s->list->cnt;
	uint32_t slot;

	p = scan_format_id_take(s, p, low, FILE_LOG_ID_ESCAPE, &slot);
	if (!p)
		return NULL;
	if (s->catalog->formats[slot].format->kind != QSLOG_SITE_LOG)
		return scan_refuse(s, "a log entry with the format of a span");
	p = scan_time_take(s, p);
	if (!p || !row_add_current(s, p, slot, RECORD_LOG))
		return NULL;
	return scan_arguments_skip(s, p, slot, rows);
}

static const uint8_t *format_scan(struct scan *s, const uint8_t *p, unsigned level)
{
	uint64_t number, length;

	p = varint_get(p, s->end, &number);
	p = p ? varint_get(p, s->end, &length) : NULL;
	if (!p || length > FILE_ENTRY_BYTES_MAX || length > (size_t)(s->end - p))
		return scan_refuse(s, "a format entry runs past the end");
	return scan_outcome(s,
			    catalog_in_format(s->catalog, number, (uint8_t)level, p, (uint32_t)length),
			    p + length, "a malformed format entry");
}

static const uint8_t *loss_scan(struct scan *s, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *body, *rest;
	uint64_t cause, count;

	body = scan_time_take(s, p);
	if (!body)
		return NULL;
	rest = varint_get(body, end, &cause);
	rest = rest ? varint_get(rest, end, &count) : NULL;
	if (!rest || cause > UINT8_MAX)
		return scan_refuse(s, "a malformed loss entry");
	body = row_add_current(s, body, HASH_INDEX_NONE, RECORD_LOSS);
	if (body && FILE_LOSS_ENDS_LINES(cause)) {
		s->context_known = false;
		span_stack_reset(&scan_thread_current(s)->spans);
	}
	return body;
}

/* What it says anew of the thread that is current holds for the entries that follow. */
static const uint8_t *thread_scan(struct scan *s, const uint8_t *p, uint32_t bytes)
{
	const struct hash_index *numbers = &s->catalog->thread_by_number;
	const uint8_t *next;
	uint64_t number;
	bool current;

	if (!varint_get(p, p + bytes, &number))
		return scan_refuse(s, "a malformed thread entry");
	current = s->state->thread != HASH_INDEX_NONE &&
		  catalog_slot(numbers, number) == s->state->thread;
	next = scan_outcome(s, catalog_in_thread(s->catalog, p, bytes), p + bytes,
			    "a malformed thread entry");
	if (next && current)
		s->state->thread = catalog_slot(numbers, number);
	s->context_known = false;
	return next;
}

static const uint8_t *extended_scan(struct scan *s, const uint8_t *p, uint32_t length)
{
	const uint8_t *end = p + length;
	int64_t ticks, realtime;
	uint32_t window, bytes;
	uint64_t subtype;

	p = varint_get(p, end, &subtype);
	if (!p)
		return scan_refuse(s, "an info entry without its subtype");
	bytes = (uint32_t)(end - p);
	switch (subtype) {
	case FILE_SUB_CLOCK:
		if (bytes < 20)
			return scan_refuse(s, "a malformed clock entry");
		memcpy(&ticks, p, 8);
		memcpy(&realtime, p + 8, 8);
		memcpy(&window, p + 16, 4);
		return scan_outcome(s, clock_map_add(s->clock, ticks, realtime, window), end, "");
	case FILE_SUB_PROCESS:
		return scan_outcome(s, catalog_in_process(s->catalog, p, bytes), end,
				    "a malformed process entry");
	case FILE_SUB_THREAD:
		return thread_scan(s, p, bytes);
	case FILE_SUB_TICK:
		if (bytes < 8)
			return scan_refuse(s, "a malformed tick entry");
		memcpy(&s->state->tick_ns, p, 8);
		if (!s->state->tick_ns)
			s->state->tick_ns = UINT64_MAX; /* out of range, as what is too large */
		return end;
	case FILE_SUB_COUNTER:
		p = varint_get(p, end, &s->state->counter_kind);
		if (!p || !varint_get(p, end, &s->state->counter_hz))
			return scan_refuse(s, "a malformed counter entry");
		return end;
	case FILE_SUB_HOST:
		s->state->host = p;
		s->state->host_bytes = bytes;
		return end;
	case FILE_SUB_SCHED:
		s->state->has_sched = true;
		return end;
	case FILE_SUB_OFF:
		return s->state->wants_off ? scan_off(s, p, end) : end;
	case FILE_SUB_OFF_LOST:
		return s->state->wants_off ? scan_off_lost(s, p, end) : end;
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
			return scan_refuse(s, "the length of an info entry runs past the end");
	}
	if (length > FILE_ENTRY_BYTES_MAX || length > (size_t)(s->end - p))
		return scan_refuse(s, "an info entry runs past the end");
	switch (type) {
	case FILE_INFO_PID:
		break; /* the process of the thread says it too */
	case FILE_INFO_TIME:
		if (length < 8)
			return scan_refuse(s, "a malformed timestamp entry");
		memcpy(&ticks, p, 8);
		if (ticks > FILE_TICKS_MAX || ticks < -FILE_TICKS_MAX)
			return scan_refuse(s, "a time out of range");
		s->state->ticks = ticks;
		break;
	case FILE_INFO_THREAD:
		if (!varint_get(p, p + length, &number))
			return scan_refuse(s, "a malformed thread switch");
		s->state->thread = catalog_slot(&s->catalog->thread_by_number, number);
		if (s->state->thread == HASH_INDEX_NONE)
			return scan_refuse(s, "a thread that was not introduced");
		s->context_known = false;
		break;
	default:
		return extended_scan(s, p, (uint32_t)length);
	}
	return p + length;
}

int rows_scan(struct rows_state *state, struct catalog_in *catalog, struct clock_map *clock,
	      const struct rows_select *select, const uint8_t *data, uint32_t bytes,
	      struct row_list *list, struct rows_problem *problem)
{
	struct scan s = { state, catalog, clock, select, data, data + bytes, list, 0, false, NULL, 0 };
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
			p = scan_span_entry(&s, p + 1, low);
			break;
		}
	}
	if (s.err == -EBADMSG) {
		problem->off = (uint32_t)(entry - data);
		problem->what = s.what;
	}
	return s.err;
}

