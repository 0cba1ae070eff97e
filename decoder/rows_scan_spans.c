/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_scan_spans.c - which span and trace a record belongs to: the half of the first pass that
 * keeps each thread's stack of spans and lines (span_stack.h). docs/format.md, "Spans".
 */
#include "rows_scan.h"

#include <endian.h>
#include <string.h>

#include "file_format.h"
#include "varint.h"

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

uint32_t scan_context_current(struct scan *s, const struct span_stack *stack)
{
	struct record_context c;

	if (!s->context_known) {
		c = context_in_line(stack);
		c.span_id = c.parent_id;
		c.parent_id = 0;
		if (c.has_trace && stack->line != stack->cnt - 1)
			c.parent_id = stack->entries[stack->cnt - 2].id;
		s->context = scan_context_add(s, &c);
		s->context_known = !s->err;
	}
	return s->context;
}

/* Opens a line or enters a span. */
static const uint8_t *stack_room(struct scan *s, struct in_thread *thread, const uint8_t *next)
{
	s->context_known = false;
	return scan_outcome(s, catalog_in_spans_room(s->catalog, thread), next, "");
}

static const uint8_t *span_enter_scan(struct scan *s, const uint8_t *p, struct in_thread *thread,
				      uint32_t slot, uint64_t id)
{
	struct record_context c = context_in_line(&thread->spans);
	const uint32_t rows = s->list->cnt;

	c.span_id = id;
	if (id && !stack_room(s, thread, p))
		return NULL;
	p = scan_row_add(s, p, slot, RECORD_SPAN_ENTER, scan_context_add(s, &c));
	p = p ? scan_arguments_skip(s, p, slot, rows) : NULL;
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
	p = scan_row_add(s, p, slot, RECORD_SPAN_EXIT, scan_context_add(s, &c));
	if (!p)
		return NULL;
	p = varint_get(p, s->end, &v);
	if (!p)
		return scan_refuse(s, "a duration runs past the end");
	s->context_known = false;
	span_stack_exit(stack, id);
	return p;
}

/* Enter or exit; `id` points to what an entry before said, or is NULL. */
static const uint8_t *span_scan(struct scan *s, const uint8_t *p, unsigned low, const uint64_t *id)
{
	const bool enters = low >> FILE_SPAN_OP_SHIFT == FILE_SPAN_ENTER;
	struct in_thread *thread = scan_thread_current(s);
	const uint32_t rows = s->list->cnt;
	uint64_t expected;
	uint32_t slot;

	p = scan_format_id_take(s, p, low & FILE_SPAN_ID_ESCAPE, FILE_SPAN_ID_ESCAPE, &slot);
	if (!p)
		return NULL;
	if (s->catalog->formats[slot].format->kind != QSLOG_SITE_SPAN)
		return scan_refuse(s, "a span entry with the format of something else");
	p = scan_time_take(s, p);
	if (!p)
		return NULL;
	if (!thread)
		return scan_refuse(s, "a record before the first thread");
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
		return scan_refuse(s, "a malformed entry of a span line");
	if (!stack_room(s, thread, p))
		return NULL;
	line.depth = (uint32_t)(bits >> 1);
	c.has_trace = true;
	c.trace_high = line.trace_high;
	c.trace_low = line.trace_low;
	c.trace_flags = line.flags;
	c.parent_id = line.parent;
	c.line_depth = line.depth;
	c.line_again = bits & 1;
	if (bits & 1) {
		memcpy(&innermost, p, 8);
		c.innermost = innermost;
	}
	if (!scan_row_add(s, p, slot, RECORD_LINE_BEGIN, scan_context_add(s, &c)))
		return NULL;
	if (bits & 1) {
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
		return scan_refuse(s, "a malformed entry of a span line");
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
	c.line_depth = (uint32_t)depth;
	if (!scan_row_add(s, at, slot, RECORD_LINE_END, scan_context_add(s, &c)))
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
		return scan_refuse(s, "a malformed entry of a span line");
	slot = catalog_slot(&s->catalog->format_by_number, number);
	if (slot == HASH_INDEX_NONE ||
	    s->catalog->formats[slot].format->kind != QSLOG_SITE_CONTEXT)
		return scan_refuse(s, "a span line without its format");
	p = scan_time_take(s, p);
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
			return scan_refuse(s, "a malformed entry of an open span line");
		line.depth = (uint32_t)v;
		span_stack_line_begin(stack, &line);
		return end;
	}
	p = varint_get(p, end, &number);
	p = p ? varint_get(p, end, &v) : NULL;
	if (!p)
		return scan_refuse(s, "a malformed entry of an open span");
	slot = SPAN_FORMAT_NONE;
	if (number)
		slot = catalog_slot(&s->catalog->format_by_number, number - 1);
	if (number && slot == HASH_INDEX_NONE)
		return scan_refuse(s, "a format that was not introduced");
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
		return scan_refuse(s, "a malformed span id");
	low = end < s->end ? *end & ((1u << FILE_ENTRY_TYPE_SHIFT) - 1) : 0;
	if (end >= s->end || *end >> FILE_ENTRY_TYPE_SHIFT != FILE_ENTRY_SPAN ||
	    low >> FILE_SPAN_OP_SHIFT > FILE_SPAN_EXIT)
		return scan_refuse(s, "a span id without its span");
	id = thread->spans.last + (uint64_t)unzigzag(v);
	return span_scan(s, end + 1, low, &id);
}

const uint8_t *scan_span_entry(struct scan *s, const uint8_t *p, unsigned low)
{
	const unsigned op = low >> FILE_SPAN_OP_SHIFT, what = low & FILE_SPAN_ID_ESCAPE;
	struct in_thread *thread = scan_thread_current(s);
	const uint8_t *end;
	uint64_t v;

	if (op == FILE_SPAN_ENTER || op == FILE_SPAN_EXIT)
		return span_scan(s, p, low, NULL);
	if (op == FILE_SPAN_COMPLETE && what == FILE_SPAN_ID_ESCAPE)
		p = varint_get(p, s->end, &v);
	p = p ? varint_get(p, s->end, &v) : NULL;
	if (!p || v > (size_t)(s->end - p))
		return scan_refuse(s, "a span entry runs past the end");
	end = p + v;
	if (op == FILE_SPAN_COMPLETE || what > FILE_CONTEXT_OPEN_SPAN)
		return end;
	if (!thread)
		return scan_refuse(s, "a context before the first thread");
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

