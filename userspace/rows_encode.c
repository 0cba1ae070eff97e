/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_encode.c - from the words of a record to an entry of the block. rows_record() is the writer's
 * inner loop: the arguments go into the columns of the record's format (columns_block.c), and what
 * they take in rows is summed up; what the block does not have yet (thread, process, format) is put
 * before the record.
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

#include "columns_block.h"
#include "rows_direct.h"

#define SMALL_ENTRY_BYTES 64u
#define OPEN_ENTRY_BYTES 40u /* of a line or span that is repeated */

/* How many bits it takes; 1 for 0. */
static inline uint32_t bits_of(uint64_t v)
{
	return 64u - (uint32_t)__builtin_clzll(v | 1);
}

/* Of the varint of a number of so many bits. */
static inline uint32_t varint_bytes(uint32_t bits)
{
	return (bits + 6) * 37 >> 8;
}

/* What a number takes: bytes in rows, and about so many in a text line. */
static const struct number_type {
	uint64_t keep; /* these bits */
	uint64_t sign; /* zigzag: all ones */
	uint8_t shift; /* likewise: 1 */
	uint8_t row_bytes; /* 0: a varint */
	uint8_t text_bytes, text_per_bit; /* the latter / 256 */
} number_types[QSLOG_ARG_TYPE_COUNT] = {
	[QSLOG_ARG_BOOL] = { UINT64_MAX, 0, 0, 1, 5, 0 },
	[QSLOG_ARG_CHAR] = { 0xff, 0, 0, 1, 1, 0 },
	[QSLOG_ARG_UINT8] = { 0xff, 0, 0, 1, 1, 77 },
	[QSLOG_ARG_UINT64] = { UINT64_MAX, 0, 0, 0, 1, 77 },
	[QSLOG_ARG_INT64] = { UINT64_MAX, UINT64_MAX, 1, 0, 1, 77 },
	[QSLOG_ARG_POINTER] = { UINT64_MAX, 0, 0, 0, 2, 65 },
	[QSLOG_ARG_FLOAT] = { UINT32_MAX, 0, 0, 4, 7, 0 },
	[QSLOG_ARG_DOUBLE] = { UINT64_MAX, 0, 0, 8, 8, 0 },
};

static void sizes_make(struct columns_block *b)
{
	uint32_t type, bits;

	for (type = 0; type < QSLOG_ARG_TYPE_COUNT; type++) {
		const struct number_type *t = &number_types[type];

		for (bits = 1; bits <= 64; bits++) {
			const uint32_t shown = bits > t->shift ? bits - t->shift : 1;

			b->sizes[type][bits - 1] =
				(t->row_bytes ? t->row_bytes : varint_bytes(bits)) |
				(uint64_t)(t->text_bytes + (shown * t->text_per_bit >> 8)) << 32;
		}
	}
}

static int verbatim_put(struct rows *r, const uint8_t *entry, const uint8_t *end)
{
	const uint32_t bytes = (uint32_t)(end - entry);
	int err;

	if (r->direct)
		return rows_direct_verbatim(r, entry, bytes);
	err = columns_block_verbatim(r->columns, entry, bytes);
	if (!err)
		r->len += bytes;
	return err;
}

/* For entries that are put then, and for the thread's. */
static int verbatim_room(struct rows *r, uint32_t entries, size_t bytes)
{
	return r->direct ? rows_direct_room(r, bytes + SMALL_ENTRY_BYTES) :
			   columns_block_verbatim_room(r->columns, entries, bytes);
}

static uint8_t *info_head(uint8_t *p, unsigned type, unsigned length)
{
	*p = (uint8_t)(FILE_ENTRY_INFO << FILE_ENTRY_TYPE_SHIFT | type << FILE_INFO_TYPE_SHIFT |
		       length);
	return p + 1;
}

static int entry_append(struct rows *r, const struct out_entry *e)
{
	return verbatim_put(r, e->data, e->data + e->bytes);
}

int rows_clock(struct rows *r, const struct clock_pair *exact)
{
	const struct clock_pair coarse = clock_pair_coarse(exact, r->tick_ns), *pair = &coarse;
	uint8_t entry[SMALL_ENTRY_BYTES], *p;

	p = info_extended_put(entry, FILE_SUB_CLOCK, 20);
	memcpy(p, &pair->ticks, 8);
	memcpy(p + 8, &pair->realtime_ns, 8);
	memcpy(p + 16, &pair->window_ns, 4);
	return verbatim_put(r, entry, p + 20);
}

int rows_begin(struct rows *r, int64_t ticks, const struct clock_pair *pair)
{
	uint8_t entry[SMALL_ENTRY_BYTES], *p;
	int err;

	if (!r->columns) {
		r->columns = columns_block_open();
		if (!r->columns)
			return -ENOMEM;
		sizes_make(r->columns);
	}
	if (!r->direct)
		columns_block_clear(r->columns);
	r->len = 0;
	r->data_len = 0;
	r->generation++;
	r->tick_ns = r->tick_ns ? r->tick_ns : 1;
	ticks = clock_coarse(ticks, r->tick_ns);
	r->ticks = ticks;
	r->thread = NULL;
	memset(&r->block, 0, sizeof(r->block));
	memset(&r->frame, 0, sizeof(r->frame));
	p = info_head(entry, FILE_INFO_TIME, 8);
	memcpy(p, &ticks, 8);
	err = verbatim_put(r, entry, p + 8);
	return err ? err : rows_clock(r, pair);
}

const uint8_t *rows_data(struct rows *r)
{
	struct bytes out = { .p = r->data, .len = r->data_len, .cap = r->data_cap };
	int err;

	if (!out.p || r->data_len < r->len) { /* what is made is as long as has been counted */
		if (!bytes_room(&out, r->len - out.len + 1))
			return NULL;
	}
	err = r->columns && !r->direct ? columns_rows_put(r->columns, &out) : 0;
	r->data = out.p;
	r->data_len = out.len;
	r->data_cap = out.cap;
	return err ? NULL : r->data;
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
static int open_put(struct rows *r, struct span_stack *s)
{
	uint8_t body[OPEN_ENTRY_BYTES], entry[OPEN_ENTRY_BYTES + 2], *end;
	uint32_t i;
	int err = 0;

	s->last = 0;
	for (i = 0; i < s->cnt && !err; i++) {
		const struct span_entry *e = &s->entries[i];

		if (e->depth) {
			end = line_put(body, e->trace_high, e->trace_low, e->id, e->flags);
			end = context_put(entry, FILE_CONTEXT_OPEN_LINE, body, varint_put(end, e->depth));
		} else {
			end = varint_put(body, e->format == SPAN_FORMAT_NONE ? 0 : e->format + 1ull);
			end = zigzag_put(end, (int64_t)(e->id - s->last));
			end = context_put(entry, FILE_CONTEXT_OPEN_SPAN, body, end);
			s->last = e->id;
		}
		err = verbatim_put(r, entry, end);
	}
	if (s->unkept && !err) { /* the reader has no room for it either */
		end = line_put(body, 0, 0, 0, 0);
		end = context_put(entry, FILE_CONTEXT_OPEN_LINE, body, varint_put(end, s->unkept));
		err = verbatim_put(r, entry, end);
	}
	return err;
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
	uint8_t entry[SMALL_ENTRY_BYTES], *p;
	int err;

	err = rows_process(r, c, t->process);
	if (!err && appears)
		err = open_formats(r, c, &t->spans);
	if (!err)
		err = verbatim_room(r, t->spans.cnt + 4, t->entry.bytes +
				    (t->spans.cnt + 2) * (OPEN_ENTRY_BYTES + 2));
	if (!err && appears)
		err = entry_append(r, &t->entry);
	if (!err && (!r->thread || r->thread->process != t->process)) {
		p = info_head(entry, FILE_INFO_PID, 4);
		memcpy(p, &process->pid, 4);
		err = verbatim_put(r, entry, p + 4);
	}
	if (!err)
		err = r->direct ? rows_direct_thread(r, index) :
				  columns_block_thread(r->columns, index, appears);
	if (err)
		return err;
	if (!r->direct)
		r->len += 1 + (uint32_t)(varint_put(entry, index) - entry);
	r->thread = t;
	if (!appears)
		return 0;
	t->entry.seen = r->generation;
	t->block_records = 0;
	return open_put(r, &t->spans);
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

/* What the record at hand takes. */
struct taken {
	uint32_t rows, text; /* rows: none if they are made at once */
	size_t string_bytes; /* of its strings */
};

/* What is kept of a number; what it takes, in rows and << 32 in text, is added to *sizes. */
static inline uint64_t number_take(const struct columns_block *b, uint8_t type, uint64_t v, uint64_t *sizes)
{
	const struct number_type *t = &number_types[type];
	uint64_t put;

	v &= t->keep;
	put = v << t->shift ^ ((uint64_t)((int64_t)v >> 63) & t->sign);
	*sizes += b->sizes[type][63 - __builtin_clzll(put | 1)];
	return v;
}

static inline bool is_string(uint8_t type)
{
	return type == QSLOG_ARG_STR || type == QSLOG_ARG_BYTES;
}

/* Do the slots hold what the format says? The strings' bytes are added up. */
static bool slots_check(const struct out_format *f, const uint64_t *slot, const uint64_t *end,
			size_t *string_bytes)
{
	unsigned i;

	if (!f->string_cnt)
		return end - slot == f->arg_cnt;
	for (i = 0; i < f->arg_cnt; i++) {
		uint32_t stored, real;
		size_t words;

		if (slot >= end)
			return false;
		stored = (uint32_t)*slot;
		real = (uint32_t)(*slot++ >> 32);
		if (!is_string(f->types[i]))
			continue;
		if (real == QSLOG_STR_NULL) {
			if (stored)
				return false;
			continue;
		}
		words = stored / 8 + (stored % 8 != 0);
		if (stored > real || words > (size_t)(end - slot))
			return false;
		slot += words;
		*string_bytes += stored;
	}
	return slot == end;
}

static uint64_t string_take(struct columns_block *b, uint32_t column, uint8_t type,
			    const uint64_t *slot, struct taken *taken)
{
	uint32_t stored = (uint32_t)*slot, real = (uint32_t)(*slot >> 32), missing = 0;

	if (real == QSLOG_STR_NULL) {
		taken->rows++;
		taken->text += 6;
		return strings_add(&b->strings, column, slot, 0, 1);
	}
	taken->rows += varint_bytes(bits_of(((uint64_t)stored << 1 | (stored < real)) + 1)) + stored;
	taken->text += type == QSLOG_ARG_BYTES ? 2 * stored : stored;
	if (stored < real) {
		taken->rows += varint_bytes(bits_of(real));
		missing = real - stored + 1;
		b->unsupported |= real - stored > UINT32_MAX - 2;
	}
	return strings_add(&b->strings, column, slot + 1, stored, missing);
}

/* The arguments into the columns. There is room, and the slots have been checked. */
static void arguments_take(struct rows *r, const struct block_shape *s, const struct out_format *f,
			   const uint64_t *slot, struct taken *taken)
{
	uint64_t *to = columns_block_at(s, 0), sizes = 0;
	unsigned i;

	for (i = 0; i < f->arg_cnt; i++, to += s->cap) {
		const uint64_t v = *slot++;

		if (!is_string(f->types[i])) {
			*to = number_take(r->columns, f->types[i], f->types[i] == QSLOG_ARG_BOOL ? v != 0 : v, &sizes);
			continue;
		}
		*to = string_take(r->columns, s->index * 16 + i, f->types[i], slot - 1, taken);
		if ((uint32_t)(v >> 32) != QSLOG_STR_NULL)
			slot += ((uint32_t)v + UINT64_C(7)) / 8;
	}
	taken->rows += (uint32_t)sizes;
	taken->text += (uint32_t)(sizes >> 32);
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

/* The shape of the format's records, with room for one. NULL: no memory. */
static inline struct block_shape *shape_of(struct columns_block *b, const struct out_format *f,
					   enum columns_shape_kind kind)
{
	struct block_shape *s = columns_block_shape(b, f->id, kind);

	if (__builtin_expect(!s, 0)) {
		if (columns_block_shape_make(b, f->id, kind, f->types, f->arg_cnt))
			return NULL;
		s = columns_block_shape(b, f->id, kind);
	}
	if (__builtin_expect(columns_block_full(b, s), 0) && columns_block_grow(b, s))
		return NULL;
	return s;
}

static inline uint32_t head_bytes(uint32_t id, uint32_t escape, uint64_t time)
{
	return 1 + (id < escape ? 0 : varint_bytes(bits_of(id))) +
	       varint_bytes(bits_of(zigzag((int64_t)time)));
}

/* A log record, or a span that is entered: whether there is anything wrong with it is seen before
 * anything is changed. */
static inline int arguments_record(struct rows *r, const struct out_format *f,
				   enum columns_shape_kind kind, const uint64_t *slot,
				   uint64_t time, struct taken *taken)
{
	struct columns_block *b = r->columns;
	struct block_shape *s;

	if (__builtin_expect(r->direct, 0))
		return rows_direct_arguments(r, f, kind, slot, time, taken->string_bytes, &taken->text);
	s = shape_of(b, f, kind);
	if (!s || (kind == COLUMNS_SHAPE_ENTER && columns_block_enter(b, time)))
		return -ENOMEM;
	taken->rows += head_bytes(f->id, kind == COLUMNS_SHAPE_LOG ? FILE_LOG_ID_ESCAPE :
								    FILE_SPAN_ID_ESCAPE, time);
	arguments_take(r, s, f, slot, taken);
	columns_block_record(b, s, time);
	return 0;
}

static int leave_record(struct rows *r, const struct out_format *f, uint64_t duration, uint64_t time,
			struct taken *taken)
{
	struct columns_block *b = r->columns;
	struct block_shape *s;

	taken->text += 10;
	if (__builtin_expect(r->direct, 0))
		return rows_direct_leave(r, f, duration, time);
	s = shape_of(b, f, COLUMNS_SHAPE_EXIT);
	if (!s)
		return -ENOMEM;
	taken->rows += head_bytes(f->id, FILE_SPAN_ID_ESCAPE, time) + varint_bytes(bits_of(duration));
	*columns_block_at(s, 0) = duration;
	*columns_block_at(s, 1) = duration - columns_block_leave(b, time);
	columns_block_record(b, s, time);
	return 0;
}

/* The record's thread and format are in the block. */
static int introduce(struct rows *r, const struct catalog_out *c, struct out_thread *thread,
		     uint32_t thread_index, struct out_format *format)
{
	int err = 0;

	if (r->thread != thread)
		err = thread_select(r, c, thread, thread_index);
	if (!err && format->entry.seen != r->generation) {
		err = entry_append(r, &format->entry);
		if (!err)
			format->entry.seen = r->generation;
	}
	return err;
}

/* The id of a span, where it is not the one that the reader expects. */
static int span_id_record(struct rows *r, struct span_stack *s, uint64_t id, uint64_t expected)
{
	uint8_t entry[SMALL_ENTRY_BYTES];

	return id == expected ? 0 : verbatim_put(r, entry, span_id_put(entry, s, id));
}

static int span_record(struct rows *r, const struct clock_scale *scale, struct out_thread *thread,
		       const struct out_format *f, const uint64_t *slot, uint64_t id, bool leaves,
		       int64_t ticks, struct taken *taken)
{
	const uint64_t time = (uint64_t)ticks - (uint64_t)r->ticks;
	struct span_stack *s = &thread->spans;
	int err;

	err = id ? stack_room(s) : 0;
	if (err)
		return err;
	if (leaves) {
		err = span_id_record(r, s, id, span_stack_innermost(s, f->id));
		if (!err)
			err = leave_record(r, f, duration_ticks(r, scale, *slot, ticks), time, taken);
		if (!err)
			span_stack_exit(s, id);
		return err;
	}
	err = span_id_record(r, s, id, span_stack_next(s));
	if (!err)
		err = arguments_record(r, f, COLUMNS_SHAPE_ENTER, slot, time, taken);
	if (!err)
		span_stack_enter(s, f->id, id);
	return err;
}

static int context_record(struct rows *r, const struct clock_scale *scale, struct out_thread *thread,
			  const struct out_format *format, const uint64_t *record, uint32_t bytes,
			  int64_t ticks)
{
	uint8_t entry[2 * SMALL_ENTRY_BYTES], *p;
	int err = stack_room(&thread->spans);

	if (!err)
		err = verbatim_room(r, 1, sizeof(entry));
	if (err)
		return err;
	p = line_record_put(entry, r, scale, &thread->spans, format, record, bytes, ticks);
	return p ? verbatim_put(r, entry, p) : -EBADMSG;
}

/* What frame and block say of a record. The frame is a part of the block. */
static inline void summaries_add(struct rows *r, const struct out_format *f, int64_t ticks,
				 uint32_t text)
{
	r->block.text_bytes += text;
	r->block.record_cnt++;
	r->frame.record_cnt++;
	r->block.level_mask |= (uint8_t)(1u << f->level);
	r->frame.level_mask |= (uint8_t)(1u << f->level);
	if (__builtin_expect(r->frame.entry_cnt && ticks >= r->frame.time_min &&
				     ticks <= r->block.time_max, 0) ||
	    !r->frame.entry_cnt || ticks < r->frame.time_min) {
		summary_add(&r->block, ticks);
		summary_add(&r->frame, ticks);
		return;
	}
	/* later than all before, as most are */
	r->block.entry_cnt++;
	r->frame.entry_cnt++;
	r->block.time_max = r->frame.time_max = ticks;
}

static inline void record_done(struct rows *r, struct out_thread *thread, const struct out_format *f,
			       int64_t ns, int64_t ticks, uint32_t row_bytes, uint32_t text)
{
	r->len += row_bytes;
	r->ticks = ticks;
	summaries_add(r, f, ticks, text);
	thread->block_records++;
	thread->last_ticks = ns;
	thread->has_ticks = true;
}

/* Of a format that is plain, with as many slots as it has arguments: nothing can be wrong with it. */
static inline int plain_record(struct rows *r, struct out_thread *thread, const struct out_format *f,
			       const uint64_t *slot, int64_t ns)
{
	const int64_t ticks = clock_coarse(ns, r->tick_ns);
	const uint64_t time = (uint64_t)ticks - (uint64_t)r->ticks;
	struct block_shape *s = shape_of(r->columns, f, COLUMNS_SHAPE_LOG);
	uint64_t *to, sizes = 0;
	unsigned i;

	if (!s)
		return -ENOMEM;
	to = columns_block_at(s, 0);
	for (i = 0; i < f->arg_cnt; i++, to += s->cap)
		*to = number_take(r->columns, f->types[i], slot[i], &sizes);
	columns_block_record(r->columns, s, time);
	record_done(r, thread, f, ns, ticks,
		    (uint32_t)sizes + head_bytes(f->id, FILE_LOG_ID_ESCAPE, time),
		    (uint32_t)(sizes >> 32) + f->text_bytes + thread->text_bytes);
	return 0;
}

static int any_record(struct rows *r, const struct catalog_out *c, const struct clock_scale *scale,
		      struct out_thread *thread, uint32_t thread_index, struct out_format *format,
		      const uint64_t *record, uint32_t bytes, int64_t ns)
{
	const bool leaves = (record[0] & QSLOG_RECORD_EXIT) != 0;
	const bool span = format->kind == QSLOG_SITE_SPAN;
	const int64_t ticks = clock_coarse(ns, r->tick_ns);
	const uint64_t *slot = record + 2, *end = record + bytes / 8;
	struct taken taken = { 0, format->text_bytes + thread->text_bytes, 0 };
	uint64_t id = 0;
	int err;

	if (record[0] & QSLOG_RECORD_SPAN_ID) {
		if (!span || slot == end || !*slot)
			return -EBADMSG;
		id = *slot++;
	}
	if (leaves && (format->kind == QSLOG_SITE_LOG || (span && end - slot != 1)))
		return -EBADMSG;
	if (format->kind != QSLOG_SITE_CONTEXT && !leaves &&
	    !slots_check(format, slot, end, &taken.string_bytes))
		return -EBADMSG;
	if (__builtin_expect(r->thread != thread || format->entry.seen != r->generation, 0)) {
		err = introduce(r, c, thread, thread_index, format);
		if (err)
			return err;
	}
	if (format->string_cnt && !r->direct &&
	    !strings_room(&r->columns->strings, format->string_cnt, taken.string_bytes))
		return -ENOMEM;
	if (format->kind == QSLOG_SITE_LOG)
		err = arguments_record(r, format, COLUMNS_SHAPE_LOG, slot,
				       (uint64_t)ticks - (uint64_t)r->ticks, &taken);
	else if (span)
		err = span_record(r, scale, thread, format, slot, id, leaves, ticks, &taken);
	else
		err = context_record(r, scale, thread, format, record, bytes, ticks);
	if (!err)
		record_done(r, thread, format, ns, ticks, taken.rows, taken.text);
	return err;
}

int rows_record(struct rows *r, const struct catalog_out *c, const struct clock_scale *scale,
		struct out_thread *thread, uint32_t thread_index, struct out_format *format,
		const uint64_t *record, uint32_t bytes)
{
	const int64_t ns = clock_ticks(scale, record[1]);

	if (__builtin_expect(format->plain && !r->direct && r->thread == thread &&
				     format->entry.seen == r->generation &&
				     bytes == QSLOG_RECORD_HEADER_BYTES + 8u * format->arg_cnt &&
				     !(record[0] & (QSLOG_RECORD_EXIT | QSLOG_RECORD_SPAN_ID)), 1))
		return plain_record(r, thread, format, record + 2, ns);
	return any_record(r, c, scale, thread, thread_index, format, record, bytes, ns);
}

int rows_loss(struct rows *r, const struct catalog_out *c, struct out_thread *thread,
	      uint32_t thread_index, unsigned cause, uint64_t count, int64_t ticks)
{
	uint8_t body[3 * VARINT_BYTES_MAX], entry[SMALL_ENTRY_BYTES], *p;
	uint32_t bytes;
	int err;

	if (r->thread != thread) {
		err = thread_select(r, c, thread, thread_index);
		if (err)
			return err;
	}
	ticks = clock_coarse(ticks, r->tick_ns);
	p = zigzag_put(body, ticks - r->ticks);
	p = varint_put(p, cause);
	p = varint_put(p, count);
	bytes = (uint32_t)(p - body);
	p = info_extended_put(entry, FILE_SUB_LOSS, bytes);
	memcpy(p, body, bytes);
	err = verbatim_put(r, entry, p + bytes);
	if (err)
		return err;
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
	uint8_t *entry = malloc(bytes + SMALL_ENTRY_BYTES), *p;
	int err;

	if (!entry)
		return -ENOMEM;
	p = info_extended_put(entry, subtype, bytes);
	memcpy(p, data, bytes);
	err = verbatim_put(r, entry, p + bytes);
	free(entry);
	if (err)
		return err;
	summary_off(&r->block, cnt, lost, min, max);
	summary_off(&r->frame, cnt, lost, min, max);
	return 0;
}

void rows_fini(struct rows *r)
{
	columns_block_close(r->columns);
	free(r->data);
	r->columns = NULL;
	r->data = NULL;
}
