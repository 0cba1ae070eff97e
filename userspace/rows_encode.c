/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_encode.c - from the words of a record to the bytes of an entry. rows_record() is the
 * writer's inner loop: room for the worst case is made once per record, after which nothing checks
 * for room; what the block does not have yet (thread, process, format) is put before the record.
 *
 * Of span lines and of the spans in them each thread has a stack (span_stack.h), which the reader
 * has too: an id is put only where it is another than the reader would expect.
 *
 * The words come out of another process's memory: lengths are checked against the record's own
 * size before anything is copied, and a record that does not end exactly where its arguments end
 * is refused.
 */
#include "rows_encode.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "varint.h"

/* Worst growth: a slot of 8 bytes becomes a varint of 10; head of an entry: id and time. */
#define ENTRY_HEAD_BYTES (1 + 2 * VARINT_BYTES_MAX)
#define SMALL_ENTRY_BYTES 64u
#define OPEN_ENTRY_BYTES 40u /* of a line or span that is repeated */

static int rows_room(struct rows *r, uint32_t bytes)
{
	uint8_t *data;
	uint32_t cap;

	if (__builtin_expect(r->cap - r->len >= bytes, 1))
		return 0;
	cap = r->cap + r->cap / 2;
	if (cap - r->len < bytes)
		cap = r->len + bytes;
	data = realloc(r->data, cap);
	if (!data)
		return -ENOMEM;
	r->data = data;
	r->cap = cap;
	return 0;
}

static uint8_t *info_head(uint8_t *p, unsigned type, unsigned length)
{
	*p = (uint8_t)(FILE_ENTRY_INFO << FILE_ENTRY_TYPE_SHIFT | type << FILE_INFO_TYPE_SHIFT |
		       length);
	return p + 1;
}

static int entry_append(struct rows *r, const struct out_entry *e)
{
	int err = rows_room(r, e->bytes);

	if (err)
		return err;
	memcpy(r->data + r->len, e->data, e->bytes);
	r->len += e->bytes;
	return 0;
}

int rows_clock(struct rows *r, const struct clock_pair *exact)
{
	const struct clock_pair coarse = clock_pair_coarse(exact, r->tick_ns), *pair = &coarse;
	uint8_t *p;
	int err = rows_room(r, SMALL_ENTRY_BYTES);

	if (err)
		return err;
	p = info_extended_put(r->data + r->len, FILE_SUB_CLOCK, 20);
	memcpy(p, &pair->ticks, 8);
	memcpy(p + 8, &pair->realtime_ns, 8);
	memcpy(p + 16, &pair->window_ns, 4);
	r->len = (uint32_t)(p + 20 - r->data);
	return 0;
}

int rows_begin(struct rows *r, int64_t ticks, const struct clock_pair *pair)
{
	uint8_t *p;
	int err;

	r->len = 0;
	err = rows_room(r, SMALL_ENTRY_BYTES);
	if (err)
		return err;
	r->generation++;
	r->tick_ns = r->tick_ns ? r->tick_ns : 1;
	ticks = clock_coarse(ticks, r->tick_ns);
	r->ticks = ticks;
	r->thread = NULL;
	memset(&r->block, 0, sizeof(r->block));
	memset(&r->frame, 0, sizeof(r->frame));
	p = info_head(r->data, FILE_INFO_TIME, 8);
	memcpy(p, &ticks, 8);
	r->len = 9;
	return rows_clock(r, pair);
}

void rows_frame_begin(struct rows *r)
{
	memset(&r->frame, 0, sizeof(r->frame));
}

/* ---- context ---- */

static uint8_t *context_head(uint8_t *p, enum file_context what, uint32_t bytes)
{
	*p++ = (uint8_t)(FILE_ENTRY_SPAN << FILE_ENTRY_TYPE_SHIFT |
			 FILE_SPAN_CONTEXT << FILE_SPAN_OP_SHIFT | what);
	*p++ = (uint8_t)bytes; /* always below 128 */
	return p;
}

/* Trace id as in traceparent, parent, flags. */
static uint8_t *line_put(uint8_t *p, uint64_t trace_high, uint64_t trace_low, uint64_t parent,
			 uint8_t flags)
{
	trace_high = htobe64(trace_high);
	trace_low = htobe64(trace_low);
	memcpy(p, &trace_high, 8);
	memcpy(p + 8, &trace_low, 8);
	memcpy(p + 16, &parent, 8);
	p[24] = flags;
	return p + 25;
}

static uint8_t *context_put(uint8_t *p, enum file_context what, const uint8_t *body,
			    const uint8_t *body_end)
{
	uint32_t bytes = (uint32_t)(body_end - body);

	p = context_head(p, what, bytes);
	memcpy(p, body, bytes);
	return p + bytes;
}

static uint8_t *span_id_put(uint8_t *p, const struct span_stack *s, uint64_t id)
{
	uint8_t body[VARINT_BYTES_MAX];

	return context_put(p, FILE_CONTEXT_SPAN_ID, body,
			   zigzag_put(body, (int64_t)(id - s->last)));
}

/* For the first entry of a thread in a block. There is room. */
static uint8_t *open_put(uint8_t *p, struct span_stack *s)
{
	uint8_t body[OPEN_ENTRY_BYTES], *end;
	uint32_t i;

	s->last = 0;
	for (i = 0; i < s->cnt; i++) {
		const struct span_entry *e = &s->entries[i];

		if (e->depth) {
			end = line_put(body, e->trace_high, e->trace_low, e->id, e->flags);
			p = context_put(p, FILE_CONTEXT_OPEN_LINE, body, varint_put(end, e->depth));
		} else {
			end = varint_put(body, e->format == SPAN_FORMAT_NONE ? 0 : e->format + 1ull);
			end = zigzag_put(end, (int64_t)(e->id - s->last));
			p = context_put(p, FILE_CONTEXT_OPEN_SPAN, body, end);
			s->last = e->id;
		}
	}
	if (s->unkept) { /* the reader has no room for it either */
		end = line_put(body, 0, 0, 0, 0);
		p = context_put(p, FILE_CONTEXT_OPEN_LINE, body, varint_put(end, s->unkept));
	}
	return p;
}

static int stack_room(struct span_stack *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : SPAN_STACK_FIRST;
	struct span_entry *entries;

	if (!span_stack_full(s))
		return 0;
	entries = realloc(s->entries, cap * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	s->entries = entries;
	s->cap = cap;
	return 0;
}

/* The block gets the formats of the thread's open spans. */
static int open_formats(struct rows *r, const struct catalog_out *c, const struct span_stack *s)
{
	uint32_t i;
	int err;

	for (i = 0; i < s->cnt; i++) {
		const struct span_entry *e = &s->entries[i];
		struct out_format *f;

		if (e->depth || e->format == SPAN_FORMAT_NONE)
			continue;
		f = c->formats[e->format];
		if (f->entry.seen == r->generation)
			continue;
		err = entry_append(r, &f->entry);
		if (err)
			return err;
		f->entry.seen = r->generation;
	}
	return 0;
}

int rows_process(struct rows *r, const struct catalog_out *c, uint32_t process)
{
	struct out_process *p = c->processes[process];
	int err;

	if (p->entry.seen == r->generation)
		return 0;
	err = entry_append(r, &p->entry);
	if (!err)
		p->entry.seen = r->generation;
	return err;
}

/* The entries that follow are the thread's. */
static int thread_select(struct rows *r, const struct catalog_out *c, struct out_thread *t,
			 uint32_t index)
{
	struct out_process *process = c->processes[t->process];
	const bool appears = t->entry.seen != r->generation;
	uint8_t *p;
	int err;

	err = rows_process(r, c, t->process);
	if (!err && appears)
		err = open_formats(r, c, &t->spans);
	if (!err)
		err = rows_room(r, t->entry.bytes + (t->spans.cnt + 1) * OPEN_ENTRY_BYTES +
					   SMALL_ENTRY_BYTES);
	if (err)
		return err;
	if (appears) {
		memcpy(r->data + r->len, t->entry.data, t->entry.bytes);
		r->len += t->entry.bytes;
		t->entry.seen = r->generation;
		t->block_records = 0;
	}
	if (!r->thread || r->thread->process != t->process) {
		p = info_head(r->data + r->len, FILE_INFO_PID, 4);
		memcpy(p, &process->pid, 4);
		r->len += 5;
	}
	p = r->data + r->len + 1;
	p = varint_put(p, index);
	info_head(r->data + r->len, FILE_INFO_THREAD, (unsigned)(p - r->data) - r->len - 1);
	if (appears)
		p = open_put(p, &t->spans);
	r->len = (uint32_t)(p - r->data);
	r->thread = t;
	return 0;
}

static void summary_add(struct rows_summary *s, int64_t ticks)
{
	if (!s->entry_cnt++) {
		s->time_min = ticks;
		s->time_max = ticks;
	} else if (ticks < s->time_min) {
		s->time_min = ticks;
	} else if (ticks > s->time_max) {
		s->time_max = ticks;
	}
}

/* Approximately: the number of bits times log10(2). */
static inline uint32_t digits_estimate(uint64_t v)
{
	return ((64u - (uint32_t)__builtin_clzll(v | 1)) * 77 >> 8) + 1;
}

/* Puts the arguments; the end of what was put, or NULL where the slots are not a record. */
static uint8_t *arguments_put(uint8_t *p, const struct out_format *f, const uint64_t *slot,
			      const uint64_t *end, uint32_t *text_bytes)
{
	uint32_t text = 0, stored, real, words;
	unsigned i;
	uint64_t v;

	for (i = 0; i < f->arg_cnt; i++) {
		if (slot >= end)
			return NULL;
		v = *slot++;
		switch ((enum qslog_arg_type)f->types[i]) {
		case QSLOG_ARG_BOOL:
			*p++ = v != 0;
			text += 5;
			break;
		case QSLOG_ARG_CHAR:
			*p++ = (uint8_t)v;
			text++;
			break;
		case QSLOG_ARG_UINT8:
			*p++ = (uint8_t)v;
			text += digits_estimate((uint8_t)v);
			break;
		case QSLOG_ARG_UINT64:
			p = varint_put(p, v);
			text += digits_estimate(v);
			break;
		case QSLOG_ARG_INT64:
			p = zigzag_put(p, (int64_t)v);
			text += (int64_t)v < 0 ? digits_estimate(~v) + 1 : digits_estimate(v);
			break;
		case QSLOG_ARG_POINTER:
			p = varint_put(p, v);
			text += 2 + (67 - (uint32_t)__builtin_clzll(v | 1)) / 4;
			break;
		case QSLOG_ARG_FLOAT:
			memcpy(p, &v, 4);
			p += 4;
			text += 7;
			break;
		case QSLOG_ARG_DOUBLE:
			memcpy(p, &v, 8);
			p += 8;
			text += 8;
			break;
		case QSLOG_ARG_STR:
		case QSLOG_ARG_BYTES:
			stored = (uint32_t)v;
			real = (uint32_t)(v >> 32);
			if (real == QSLOG_STR_NULL) {
				if (stored)
					return NULL;
				*p++ = 0;
				text += 6;
				break;
			}
			words = stored / 8 + (stored % 8 != 0);
			if (stored > real || words > (size_t)(end - slot))
				return NULL;
			p = varint_put(p, ((uint64_t)stored << 1 | (stored < real)) + 1);
			if (stored < real)
				p = varint_put(p, real);
			memcpy(p, slot, stored);
			p += stored;
			slot += words;
			text += f->types[i] == QSLOG_ARG_BYTES ? 2 * stored : stored;
			break;
		case QSLOG_ARG_TYPE_COUNT:
			return NULL; /* not reached: formats are checked when they are added */
		}
	}
	*text_bytes += text;
	return slot == end ? p : NULL;
}

/* What lies between the ticks of both ends, so that it can be told from the times of the records. */
static uint64_t duration_ticks(const struct rows *r, const struct clock_scale *scale, uint64_t start,
			       int64_t ticks)
{
	int64_t start_ticks = clock_coarse(clock_ticks(scale, start), r->tick_ns);

	return start_ticks < ticks ? (uint64_t)ticks - (uint64_t)start_ticks : 0;
}

/* The record that opens or closes a span line; the end of what was put, or NULL: it is none. */
static uint8_t *line_record_put(uint8_t *p, const struct rows *r, const struct clock_scale *scale,
				struct span_stack *s, const struct out_format *format,
				const uint64_t *record, uint32_t bytes, int64_t ticks)
{
	const bool ends = (record[0] & QSLOG_RECORD_EXIT) != 0;
	uint8_t body[OPEN_ENTRY_BYTES + VARINT_BYTES_MAX + 8], *end = body;
	const uint64_t *slot = record + 2;
	struct span_line line;
	uint64_t depth;
	bool again;
	uint32_t slots;

	if (record[0] & QSLOG_RECORD_SPAN_ID || bytes < QSLOG_RECORD_HEADER_BYTES + (ends ? 16 : 32))
		return NULL;
	depth = ends ? slot[1] : slot[3] >> QSLOG_LINE_DEPTH_SHIFT;
	again = !ends && slot[3] & QSLOG_LINE_AGAIN;
	slots = ends ? 2 : again ? 5 : 4;
	if (!depth || depth > FILE_LINE_DEPTH_MAX || bytes != QSLOG_RECORD_HEADER_BYTES + 8 * slots)
		return NULL;
	end = varint_put(end, format->id);
	end = zigzag_put(end, ticks - r->ticks);
	if (ends) {
		end = varint_put(end, *slot ? duration_ticks(r, scale, *slot, ticks) : 0);
		end = varint_put(end, depth);
		span_stack_line_end(s, (uint32_t)depth);
		return context_put(p, FILE_CONTEXT_END, body, end);
	}
	line = (struct span_line){ .trace_high = slot[0], .trace_low = slot[1], .parent = slot[2],
				   .depth = (uint32_t)depth,
				   .flags = (uint8_t)(slot[3] & QSLOG_LINE_FLAGS) };
	end = line_put(end, line.trace_high, line.trace_low, line.parent, line.flags);
	end = varint_put(end, depth << 1 | again);
	if (again) {
		memcpy(end, &slot[4], 8);
		end += 8;
		span_stack_line_again(s, &line, slot[4]);
	} else {
		span_stack_line_begin(s, &line);
	}
	return context_put(p, FILE_CONTEXT_BEGIN, body, end);
}

static uint8_t *format_id_put(uint8_t *p, unsigned head, uint32_t id, uint32_t escape)
{
	*p++ = (uint8_t)(head | (id < escape ? id : escape));
	return id < escape ? p : varint_put(p, id);
}

int rows_record(struct rows *r, const struct catalog_out *c, const struct clock_scale *scale,
		struct out_thread *thread, uint32_t thread_index, struct out_format *format,
		const uint64_t *record, uint32_t bytes)
{
	const bool leaves = (record[0] & QSLOG_RECORD_EXIT) != 0;
	const bool span = format->kind == QSLOG_SITE_SPAN;
	const int64_t ns = clock_ticks(scale, record[1]), ticks = clock_coarse(ns, r->tick_ns);
	const uint64_t *slot = record + 2;
	const uint64_t *end = record + bytes / 8;
	uint32_t text = format->text_bytes + thread->text_bytes;
	uint64_t id = 0, expected;
	uint8_t *p;
	int err;

	if (record[0] & QSLOG_RECORD_SPAN_ID) {
		if (!span || slot == end || !*slot)
			return -EBADMSG;
		id = *slot++;
	}
	if (leaves && (format->kind == QSLOG_SITE_LOG || (span && end - slot != 1)))
		return -EBADMSG;
	if (__builtin_expect(r->thread != thread, 0)) {
		err = thread_select(r, c, thread, thread_index);
		if (err)
			return err;
	}
	if (__builtin_expect(format->entry.seen != r->generation, 0)) {
		err = entry_append(r, &format->entry);
		if (err)
			return err;
		format->entry.seen = r->generation;
	}
	err = rows_room(r, bytes + bytes / 4 + ENTRY_HEAD_BYTES + SMALL_ENTRY_BYTES);
	if (!err && __builtin_expect(id || format->kind == QSLOG_SITE_CONTEXT, 0))
		err = stack_room(&thread->spans);
	if (err)
		return err;
	p = r->data + r->len;
	if (span) {
		expected = leaves ? span_stack_innermost(&thread->spans, format->id) :
				    span_stack_next(&thread->spans);
		if (id != expected)
			p = span_id_put(p, &thread->spans, id);
		p = format_id_put(p, FILE_ENTRY_SPAN << FILE_ENTRY_TYPE_SHIFT |
				  (leaves ? FILE_SPAN_EXIT : FILE_SPAN_ENTER) << FILE_SPAN_OP_SHIFT,
				  format->id, FILE_SPAN_ID_ESCAPE);
		p = zigzag_put(p, ticks - r->ticks);
		if (leaves) {
			p = varint_put(p, duration_ticks(r, scale, *slot, ticks));
			text += 10;
		} else {
			p = arguments_put(p, format, slot, end, &text);
		}
	} else if (format->kind == QSLOG_SITE_LOG) {
		p = format_id_put(p, FILE_ENTRY_LOG << FILE_ENTRY_TYPE_SHIFT, format->id,
				  FILE_LOG_ID_ESCAPE);
		p = zigzag_put(p, ticks - r->ticks);
		p = arguments_put(p, format, slot, end, &text);
	} else {
		p = line_record_put(p, r, scale, &thread->spans, format, record, bytes, ticks);
	}
	if (!p)
		return -EBADMSG;
	if (span && leaves)
		span_stack_exit(&thread->spans, id);
	else if (span)
		span_stack_enter(&thread->spans, format->id, id);
	r->len = (uint32_t)(p - r->data);
	r->ticks = ticks;
	r->block.text_bytes += text;
	r->block.record_cnt++;
	r->frame.record_cnt++;
	r->block.level_mask |= (uint8_t)(1u << format->level);
	r->frame.level_mask |= (uint8_t)(1u << format->level);
	summary_add(&r->block, ticks);
	summary_add(&r->frame, ticks);
	thread->block_records++;
	thread->last_ticks = ns;
	thread->has_ticks = true;
	return 0;
}

int rows_loss(struct rows *r, const struct catalog_out *c, struct out_thread *thread,
	      uint32_t thread_index, unsigned cause, uint64_t count, int64_t ticks)
{
	uint8_t body[3 * VARINT_BYTES_MAX], *p;
	uint32_t bytes;
	int err;

	if (r->thread != thread) {
		err = thread_select(r, c, thread, thread_index);
		if (err)
			return err;
	}
	err = rows_room(r, SMALL_ENTRY_BYTES);
	if (err)
		return err;
	ticks = clock_coarse(ticks, r->tick_ns);
	p = zigzag_put(body, ticks - r->ticks);
	p = varint_put(p, cause);
	p = varint_put(p, count);
	bytes = (uint32_t)(p - body);
	p = info_extended_put(r->data + r->len, FILE_SUB_LOSS, bytes);
	memcpy(p, body, bytes);
	r->len = (uint32_t)(p - r->data) + bytes;
	r->ticks = ticks;
	if (FILE_LOSS_ENDS_LINES(cause))
		span_stack_reset(&thread->spans);
	r->block.lost += count;
	r->frame.lost += count;
	r->block.level_mask |= FILE_LEVEL_MASK_LOSS;
	r->frame.level_mask |= FILE_LEVEL_MASK_LOSS;
	summary_add(&r->block, ticks);
	summary_add(&r->frame, ticks);
	return 0;
}

static void summary_off(struct rows_summary *s, uint32_t cnt, uint64_t lost, int64_t min,
			int64_t max)
{
	summary_add(s, min);
	summary_add(s, max);
	s->entry_cnt += cnt > 2 ? cnt - 2 : 0; /* those two have been counted */
	s->off_cnt += cnt;
	s->off_lost += lost;
	s->level_mask |= FILE_LEVEL_MASK_OFF;
}

int rows_off(struct rows *r, unsigned subtype, const uint8_t *data, uint32_t bytes, uint32_t cnt,
	     uint64_t lost, int64_t min, int64_t max)
{
	uint8_t *p;
	int err = rows_room(r, bytes + SMALL_ENTRY_BYTES);

	if (err)
		return err;
	p = info_extended_put(r->data + r->len, subtype, bytes);
	memcpy(p, data, bytes);
	r->len = (uint32_t)(p - r->data) + bytes;
	summary_off(&r->block, cnt, lost, min, max);
	summary_off(&r->frame, cnt, lost, min, max);
	return 0;
}

void rows_fini(struct rows *r)
{
	free(r->data);
	r->data = NULL;
}
