/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_decode.c - the reading side of docs/format.md, "Entries". Both passes check every length
 * against the end of the rows; nothing here trusts that the first pass has been there.
 */
#include "rows_decode.h"

#include <endian.h>
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
	uint32_t context; /* of logs of the current thread, while context_known */
	bool context_known;
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
	free(list->contexts);
	memset(list, 0, sizeof(*list));
}

void row_list_clear(struct row_list *list)
{
	list->cnt = 0;
	list->context_cnt = 0;
}

/* ---- context ---- */

/* Index from 1; 0 where the context says nothing, or after setting `err`. At most one is added
 * per row, of which there is a limit. */
static uint32_t context_add(struct scan *s, const struct record_context *context)
{
	struct row_list *l = s->list;

	if (!context->has_trace && !context->span_id)
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

/* The trace of the innermost line, and `parent`. */
static struct record_context context_in_line(const struct span_stack *stack)
{
	struct record_context c = { 0 };
	const struct span_entry *line;

	if (span_stack_in_line(stack)) {
		line = &stack->entries[stack->line];
		c.has_trace = true;
		c.trace_high = line->trace_high;
		c.trace_low = line->trace_low;
		c.trace_flags = line->flags;
		c.parent_id = stack->entries[stack->cnt - 1].id;
	}
	return c;
}

/* Of what has no id of its own: the span around it. */
static uint32_t context_current(struct scan *s, const struct span_stack *stack)
{
	struct record_context c;

	if (!s->context_known) {
		c = context_in_line(stack);
		c.span_id = c.parent_id;
		c.parent_id = 0;
		if (c.has_trace && stack->line != stack->cnt - 1)
			c.parent_id = stack->entries[stack->cnt - 2].id;
		s->context = context_add(s, &c);
		s->context_known = !s->err;
	}
	return s->context;
}

/* Opens a line or enters a span. */
static const uint8_t *stack_room(struct scan *s, struct in_thread *thread, const uint8_t *next)
{
	s->context_known = false;
	return outcome(s, catalog_in_spans_room(s->catalog, thread), next, "");
}

static const uint8_t *row_add(struct scan *s, const uint8_t *at, uint32_t format, unsigned kind,
			      uint32_t context)
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
	row->kind = kind & 0xff;
	row->context = context & 0xffffff;
	return s->err ? NULL : at;
}

/* NULL before the first thread. */
static struct in_thread *thread_current(const struct scan *s)
{
	return s->state->thread == HASH_INDEX_NONE ? NULL : s->catalog->threads[s->state->thread];
}

static const uint8_t *row_add_current(struct scan *s, const uint8_t *at, uint32_t format,
				      unsigned kind)
{
	const struct in_thread *thread = thread_current(s);

	return row_add(s, at, format, kind,
		       thread && thread->spans.cnt ? context_current(s, &thread->spans) : 0);
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
	if (!p || !row_add_current(s, p, slot, RECORD_LOG))
		return NULL;
	p = arguments_skip(s, p, f);
	if (!p)
		s->list->cnt--;
	return p;
}

static const uint8_t *span_enter_scan(struct scan *s, const uint8_t *p, struct in_thread *thread,
				      uint32_t slot, uint64_t id)
{
	struct record_context c = context_in_line(&thread->spans);

	c.span_id = id;
	if (id && !stack_room(s, thread, p))
		return NULL;
	p = row_add(s, p, slot, RECORD_SPAN_ENTER, context_add(s, &c));
	p = p ? arguments_skip(s, p, &s->catalog->formats[slot]->format) : NULL;
	if (p) {
		s->context_known = false;
		span_stack_enter(&thread->spans, slot, id);
	}
	return p;
}

static const uint8_t *span_exit_scan(struct scan *s, const uint8_t *p, struct in_thread *thread,
				     uint32_t slot, uint64_t id)
{
	struct span_stack *stack = &thread->spans;
	struct record_context c = context_in_line(stack);
	uint32_t at = span_stack_find(stack, id);
	uint64_t v;

	c.span_id = id;
	if (id)
		c.parent_id = at < stack->cnt ? stack->entries[at - 1].id : 0;
	p = row_add(s, p, slot, RECORD_SPAN_EXIT, context_add(s, &c));
	if (!p)
		return NULL;
	p = varint_get(p, s->end, &v);
	if (!p)
		return refuse(s, "a duration runs past the end");
	s->context_known = false;
	span_stack_exit(stack, id);
	return p;
}

/* Enter or exit; `id` points to what an entry before said, or is NULL. */
static const uint8_t *span_scan(struct scan *s, const uint8_t *p, unsigned low, const uint64_t *id)
{
	const bool enters = low >> FILE_SPAN_OP_SHIFT == FILE_SPAN_ENTER;
	struct in_thread *thread = thread_current(s);
	const uint32_t rows = s->list->cnt;
	uint64_t expected;
	uint32_t slot;

	p = format_id_take(s, p, low & FILE_SPAN_ID_ESCAPE, FILE_SPAN_ID_ESCAPE, &slot);
	if (!p)
		return NULL;
	if (s->catalog->formats[slot]->format.kind != QSLOG_SITE_SPAN)
		return refuse(s, "a span entry with the format of something else");
	p = time_take(s, p);
	if (!p)
		return NULL;
	if (!thread)
		return refuse(s, "a record before the first thread");
	if (!id) {
		expected = enters ? span_stack_next(&thread->spans) :
				    span_stack_innermost(&thread->spans, slot);
		id = &expected;
	}
	p = enters ? span_enter_scan(s, p, thread, slot, *id) :
		     span_exit_scan(s, p, thread, slot, *id);
	if (!p)
		s->list->cnt = rows;
	return p;
}

/* Trace id, parent, flags; NULL where they are not all there. */
static const uint8_t *line_take(const uint8_t *p, const uint8_t *end, struct span_line *line)
{
	if (!p || end - p < FILE_TRACE_ID_BYTES + 9)
		return NULL;
	memcpy(&line->trace_high, p, 8);
	memcpy(&line->trace_low, p + 8, 8);
	line->trace_high = be64toh(line->trace_high);
	line->trace_low = be64toh(line->trace_low);
	memcpy(&line->parent, p + 16, 8);
	line->flags = p[24];
	return p + FILE_TRACE_ID_BYTES + 9;
}

static bool depth_valid(uint64_t depth)
{
	return depth && depth <= FILE_LINE_DEPTH_MAX;
}

static const uint8_t *line_begin_scan(struct scan *s, const uint8_t *p, const uint8_t *end,
				      struct in_thread *thread, uint32_t slot)
{
	struct record_context c = { 0 };
	struct span_line line;
	uint64_t bits, innermost;

	p = line_take(p, end, &line);
	p = p ? varint_get(p, end, &bits) : NULL;
	if (!p || !depth_valid(bits >> 1) || (bits & 1 && end - p < 8))
		return refuse(s, "a malformed entry of a span line");
	if (!stack_room(s, thread, p))
		return NULL;
	line.depth = (uint32_t)(bits >> 1);
	c.has_trace = true;
	c.trace_high = line.trace_high;
	c.trace_low = line.trace_low;
	c.trace_flags = line.flags;
	c.parent_id = line.parent;
	if (!row_add(s, p, slot, RECORD_LINE_BEGIN, context_add(s, &c)))
		return NULL;
	if (bits & 1) {
		memcpy(&innermost, p, 8);
		span_stack_line_again(&thread->spans, &line, innermost);
	} else {
		span_stack_line_begin(&thread->spans, &line);
	}
	return end;
}

static const uint8_t *line_end_scan(struct scan *s, const uint8_t *p, const uint8_t *end,
				    struct in_thread *thread, uint32_t slot)
{
	struct span_stack *stack = &thread->spans;
	struct record_context c = { 0 };
	const struct span_entry *line;
	const uint8_t *at = p;
	uint64_t duration, depth;
	uint32_t i;

	p = varint_get(p, end, &duration);
	p = p ? varint_get(p, end, &depth) : NULL;
	if (!p || !depth_valid(depth))
		return refuse(s, "a malformed entry of a span line");
	for (i = stack->line; stack->cnt && i && stack->entries[i].depth > depth;)
		i = stack->entries[i].format;
	line = stack->cnt ? &stack->entries[i] : NULL;
	if (line && line->depth == depth) {
		c.has_trace = true;
		c.trace_high = line->trace_high;
		c.trace_low = line->trace_low;
		c.trace_flags = line->flags;
		c.parent_id = line->id;
	}
	if (!row_add(s, at, slot, RECORD_LINE_END, context_add(s, &c)))
		return NULL;
	s->context_known = false;
	span_stack_line_end(stack, (uint32_t)depth);
	return end;
}

/* Opening or closing a line: format, time, and the rest. */
static const uint8_t *line_scan(struct scan *s, const uint8_t *p, const uint8_t *end,
				struct in_thread *thread, unsigned what)
{
	uint64_t number;
	uint32_t slot;

	p = varint_get(p, end, &number);
	if (!p)
		return refuse(s, "a malformed entry of a span line");
	slot = catalog_slot(&s->catalog->format_by_number, number);
	if (slot == HASH_INDEX_NONE ||
	    s->catalog->formats[slot]->format.kind != QSLOG_SITE_CONTEXT)
		return refuse(s, "a span line without its format");
	p = time_take(s, p);
	if (!p)
		return NULL;
	return what == FILE_CONTEXT_BEGIN ? line_begin_scan(s, p, end, thread, slot) :
					    line_end_scan(s, p, end, thread, slot);
}

/* What is open where the thread appears in the block. */
static const uint8_t *open_scan(struct scan *s, const uint8_t *p, const uint8_t *end,
				struct in_thread *thread, unsigned what)
{
	struct span_stack *stack = &thread->spans;
	struct span_line line;
	uint64_t number, v;
	uint32_t slot;

	if (!stack_room(s, thread, p))
		return NULL;
	if (what == FILE_CONTEXT_OPEN_LINE) {
		p = line_take(p, end, &line);
		p = p ? varint_get(p, end, &v) : NULL;
		if (!p || !depth_valid(v))
			return refuse(s, "a malformed entry of an open span line");
		line.depth = (uint32_t)v;
		span_stack_line_begin(stack, &line);
		return end;
	}
	p = varint_get(p, end, &number);
	p = p ? varint_get(p, end, &v) : NULL;
	if (!p)
		return refuse(s, "a malformed entry of an open span");
	slot = SPAN_FORMAT_NONE;
	if (number)
		slot = catalog_slot(&s->catalog->format_by_number, number - 1);
	if (number && slot == HASH_INDEX_NONE)
		return refuse(s, "a format that was not introduced");
	span_stack_enter(stack, slot, stack->last + (uint64_t)unzigzag(v));
	return end;
}

/* The id of the span entry that follows right behind. */
static const uint8_t *span_id_scan(struct scan *s, const uint8_t *p, const uint8_t *end,
				   const struct in_thread *thread)
{
	uint64_t v, id;
	unsigned low;

	if (!varint_get(p, end, &v))
		return refuse(s, "a malformed span id");
	low = end < s->end ? *end & ((1u << FILE_ENTRY_TYPE_SHIFT) - 1) : 0;
	if (end >= s->end || *end >> FILE_ENTRY_TYPE_SHIFT != FILE_ENTRY_SPAN ||
	    low >> FILE_SPAN_OP_SHIFT > FILE_SPAN_EXIT)
		return refuse(s, "a span id without its span");
	id = thread->spans.last + (uint64_t)unzigzag(v);
	return span_scan(s, end + 1, low, &id);
}

static const uint8_t *span_entry_scan(struct scan *s, const uint8_t *p, unsigned low)
{
	const unsigned op = low >> FILE_SPAN_OP_SHIFT, what = low & FILE_SPAN_ID_ESCAPE;
	struct in_thread *thread = thread_current(s);
	const uint8_t *end;
	uint64_t v;

	if (op == FILE_SPAN_ENTER || op == FILE_SPAN_EXIT)
		return span_scan(s, p, low, NULL);
	if (op == FILE_SPAN_COMPLETE && what == FILE_SPAN_ID_ESCAPE)
		p = varint_get(p, s->end, &v);
	p = p ? varint_get(p, s->end, &v) : NULL;
	if (!p || v > (size_t)(s->end - p))
		return refuse(s, "a span entry runs past the end");
	end = p + v;
	if (op == FILE_SPAN_COMPLETE || what > FILE_CONTEXT_OPEN_SPAN)
		return end;
	if (!thread)
		return refuse(s, "a context before the first thread");
	switch ((enum file_context)what) {
	case FILE_CONTEXT_BEGIN:
	case FILE_CONTEXT_END:
		return line_scan(s, p, end, thread, what);
	case FILE_CONTEXT_SPAN_ID:
		return span_id_scan(s, p, end, thread);
	case FILE_CONTEXT_OPEN_LINE:
	case FILE_CONTEXT_OPEN_SPAN:
		return open_scan(s, p, end, thread, what);
	}
	return end;
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
	body = row_add_current(s, body, HASH_INDEX_NONE, RECORD_LOSS);
	if (body && FILE_LOSS_ENDS_LINES(cause)) {
		s->context_known = false;
		span_stack_reset(&thread_current(s)->spans);
	}
	return body;
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
		s->context_known = false;
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
		s->context_known = false;
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
	struct scan s = { state, catalog, clock, data, data + bytes, list, 0, false, NULL, 0 };
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
			p = span_entry_scan(&s, p + 1, low);
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
	       uint32_t bytes, const struct row_list *list, const struct row *row,
	       struct record *record)
{
	static const struct record_context none;
	const uint8_t *p = data + row->off, *end = data + bytes;
	const struct record_format *f = NULL;
	uint64_t v;
	unsigned i;

	record->kind = (enum record_kind)row->kind;
	record->time_ns = clock_map_ns(clock, row->ticks);
	record->thread = &catalog->threads[row->thread]->thread;
	record->duration_ns = 0;
	record->context = row->context ? list->contexts[row->context - 1] : none;
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
	} else if (row->kind == RECORD_SPAN_EXIT || row->kind == RECORD_LINE_END) {
		p = varint_get(p, end, &v);
		record->duration_ns = p ? clock_map_duration(clock, row->ticks, v) : 0;
	} else if (row->kind != RECORD_LINE_BEGIN) {
		for (i = 0; p && i < f->arg_cnt; i++)
			p = value_take(p, end, f->types[i], &record->values[i]);
		record->value_cnt = f->arg_cnt;
	}
	return p ? 0 : -EBADMSG;
}
