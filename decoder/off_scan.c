/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * off_scan.c - intervals in which threads were off the CPU (docs/format.md, "Off the CPU"): both
 * passes over their entries. An interval is a row of its own, which belongs to no thread of the
 * catalog: it says its process and thread id.
 *
 * Such a row is to come between what its thread recorded before it left and after it was back.
 * Its times may be some hundred nanoseconds off those of records, so it is sorted by a moment in
 * the middle of the interval.
 */
#include <stddef.h>
#include <string.h>

#include "file_format.h"
#include "rows_scan.h"
#include "varint.h"

/* What has been introduced so far in an entry: positions in it. */
struct known {
	uint32_t at[FILE_OFF_NAMES_MAX];
	uint32_t cnt;
};

struct off_scan {
	struct scan *scan;
	const uint8_t *end;
	struct known threads, syscalls, whos;
	int64_t on_ns;
};

/* The reference at `p`, less `first`, is to something in `known`, or what follows is new: *at is where
 * to read it. *next is where to go on, NULL: behind it. */
static bool known_take(const struct off_scan *o, const uint8_t *p, uint64_t first,
		       struct known *known, const uint8_t **at, const uint8_t **next)
{
	uint64_t i;

	p = varint_get(p, o->end, &i);
	i -= first; /* 0 would be a very large one */
	if (!p || i > known->cnt || i >= FILE_OFF_NAMES_MAX)
		return false;
	*at = i < known->cnt ? o->scan->data + known->at[i] : p;
	*next = i < known->cnt ? p : NULL;
	if (i == known->cnt)
		known->at[known->cnt++] = (uint32_t)(p - o->scan->data);
	return true;
}

static const uint8_t *u32_take(const uint8_t *p, const uint8_t *end, uint32_t *out)
{
	uint64_t v = 0;

	p = p ? varint_get(p, end, &v) : NULL;
	*out = (uint32_t)v;
	return v <= UINT32_MAX ? p : NULL;
}

/* Behind the string at `p`. */
static const uint8_t *string_skip(const uint8_t *p, const uint8_t *end)
{
	uint64_t len;

	p = p ? varint_get(p, end, &len) : NULL;
	return p && len <= (size_t)(end - p) ? p + len : NULL;
}

static const uint8_t *thread_take(struct off_scan *o, const uint8_t *p, struct off_row *off)
{
	const uint8_t *at, *behind, *next;
	uint32_t process, slot;

	if (!known_take(o, p, 0, &o->threads, &at, &next))
		return NULL;
	behind = u32_take(u32_take(at, o->end, &process), o->end, &off->tid);
	if (!behind)
		return NULL;
	slot = catalog_slot(&o->scan->catalog->process_by_number, process);
	if (slot == HASH_INDEX_NONE)
		return NULL;
	off->process = o->scan->catalog->processes[slot];
	return next ? next : behind;
}

static const uint8_t *syscall_take(struct off_scan *o, const uint8_t *p, struct off_row *off)
{
	const uint8_t *at, *behind, *next;
	uint32_t number;

	off->syscall = -1;
	off->syscall_at = 0;
	if (p < o->end && !*p)
		return p + 1;
	if (!known_take(o, p, 1, &o->syscalls, &at, &next))
		return NULL;
	at = u32_take(at, o->end, &number);
	behind = string_skip(at, o->end);
	if (!behind || number > INT32_MAX)
		return NULL;
	off->syscall = (int32_t)number;
	off->syscall_at = (uint32_t)(at - o->scan->data);
	return next ? next : behind;
}

static const uint8_t *who_take(struct off_scan *o, const uint8_t *p, struct off_row *off)
{
	const uint8_t *at, *behind, *next;

	off->who_pid = off->who_tid = off->who_at = 0;
	if ((off->head >> FILE_OFF_WHO_SHIFT & FILE_OFF_WHO_MASK) != FILE_OFF_WHO_THREAD)
		return p;
	if (!known_take(o, p, 0, &o->whos, &at, &next))
		return NULL;
	at = u32_take(u32_take(at, o->end, &off->who_pid), o->end, &off->who_tid);
	behind = string_skip(at, o->end);
	if (!behind)
		return NULL;
	off->who_at = (uint32_t)(at - o->scan->data);
	return next ? next : behind;
}

static const uint8_t *interval_take(struct off_scan *o, const uint8_t *p, struct off_row *off)
{
	uint64_t difference;

	off->head = *p;
	p = thread_take(o, p + 1, off);
	p = p ? varint_get(p, o->end, &difference) : NULL;
	if (!p || __builtin_add_overflow(o->on_ns, unzigzag(difference), &o->on_ns) ||
	    o->on_ns > FILE_TICKS_MAX || o->on_ns < -FILE_TICKS_MAX)
		return NULL;
	p = varint_get(p, o->end, &off->off);
	off->ready = off->off;
	if (p && (off->head & FILE_OFF_WHY_MASK) != FILE_OFF_PREEMPTED)
		p = varint_get(p, o->end, &off->ready);
	if (!p || off->off > (uint64_t)FILE_TICKS_MAX || off->ready > off->off)
		return NULL;
	p = u32_take(p, o->end, &off->cpu);
	p = p ? syscall_take(o, p, off) : NULL;
	return p ? who_take(o, p, off) : NULL;
}

static bool off_room(struct scan *s)
{
	struct row_list *l = s->list;
	uint32_t cap = l->off_cap ? l->off_cap * 2 : 1024;
	struct off_row *offs;

	if (l->off_cnt < l->off_cap)
		return true;
	offs = realloc(l->offs, cap * sizeof(*offs));
	if (!offs) {
		s->err = -ENOMEM;
		return false;
	}
	l->offs = offs;
	l->off_cap = cap;
	return true;
}

static bool row_add(struct scan *s, unsigned kind, int64_t ns, int64_t key_ns, uint32_t off,
		    uint32_t context)
{
	const int64_t tick_ns = s->clock->tick_ns ? s->clock->tick_ns : 1;
	struct row *row = scan_row_room(s);

	if (!row)
		return false;
	*row = (struct row){ .key = key_ns / tick_ns, .ticks = ns / tick_ns, .off = off,
			     .thread = HASH_INDEX_NONE, .format = HASH_INDEX_NONE,
			     .kind = kind & 0xff, .context = context & 0xffffff };
	return true;
}

const uint8_t *scan_off(struct scan *s, const uint8_t *p, const uint8_t *end)
{
	struct off_scan o = { .scan = s, .end = end };
	struct off_row *off;
	uint64_t early;

	while (p < end) {
		if (!off_room(s))
			return NULL;
		off = &s->list->offs[s->list->off_cnt];
		p = interval_take(&o, p, off);
		if (!p)
			return scan_refuse(s, "a malformed interval off the CPU");
		early = off->off / 2 < OFF_ROW_EARLY_NS ? off->off / 2 : OFF_ROW_EARLY_NS;
		if (!row_add(s, RECORD_OFF, o.on_ns, o.on_ns - (int64_t)early, 0,
			     s->list->off_cnt + 1))
			return NULL;
		s->list->off_cnt++;
	}
	return end;
}

const uint8_t *scan_off_lost(struct scan *s, const uint8_t *p, const uint8_t *end)
{
	const uint32_t at = (uint32_t)(p - s->data);
	uint64_t from, v;
	int i;

	p = varint_get(p, end, &from);
	for (i = 0; p && i < 3; i++) /* how long, cause, count */
		p = varint_get(p, end, &v);
	if (!p || unzigzag(from) > FILE_TICKS_MAX || unzigzag(from) < -FILE_TICKS_MAX)
		return scan_refuse(s, "a malformed loss of intervals off the CPU");
	return row_add(s, RECORD_OFF_LOST, unzigzag(from), unzigzag(from), at, 0) ? end : NULL;
}

/* ---- the second pass ---- */

static struct record_name name_at(const uint8_t *data, uint32_t bytes, uint32_t at)
{
	struct record_name name = { NULL, 0 };
	const uint8_t *p;
	uint64_t len;

	p = at ? varint_get(data + at, data + bytes, &len) : NULL;
	if (p && len <= (size_t)(data + bytes - p)) {
		name.bytes = (const char *)p;
		name.len = (uint32_t)len;
	}
	return name;
}

static int lost_decode(struct clock_map *clock, const uint8_t *data, uint32_t bytes,
		       const struct row *row, struct record *record)
{
	const uint8_t *p = data + row->off, *end = data + bytes;
	uint64_t v, cause = 0;

	p = varint_get(p, end, &v);
	p = p ? varint_get(p, end, &v) : NULL;
	if (p)
		record->duration_ns = clock_map_duration_ns(clock, row->ticks, v);
	p = p ? varint_get(p, end, &cause) : NULL;
	p = p ? varint_get(p, end, &record->lost) : NULL;
	record->lost_cause = cause <= UINT8_MAX ? (uint8_t)cause : UINT8_MAX;
	return p ? 0 : -EBADMSG;
}

int row_decode_off(struct clock_map *clock, const uint8_t *data, uint32_t bytes,
		   const struct row_list *list, const struct row *row, struct off_parts *parts,
		   struct record *record)
{
	struct record_cause *cause = &parts->off.cause;
	const struct off_row *off;
	unsigned flags;

	memset(record, 0, offsetof(struct record, values));
	memset(parts, 0, sizeof(*parts));
	record->kind = (enum record_kind)row->kind;
	record->time_ns = clock_map_ns(clock, row->ticks);
	record->steady_ns = clock_map_steady(clock, row->ticks);
	parts->thread.name = "";
	record->thread = &parts->thread;
	if (row->kind == RECORD_OFF_LOST)
		return lost_decode(clock, data, bytes, row, record);
	if (!row->context || row->context > list->off_cnt)
		return -EBADMSG;
	off = &list->offs[row->context - 1];
	flags = off->head >> FILE_OFF_FLAGS_SHIFT;
	cause->why = off->head & FILE_OFF_WHY_MASK;
	cause->who = off->head >> FILE_OFF_WHO_SHIFT & FILE_OFF_WHO_MASK;
	cause->io = flags & FILE_OFF_IO;
	cause->exiting = flags & FILE_OFF_EXITING;
	cause->syscall = off->syscall;
	cause->syscall_name = name_at(data, bytes, off->syscall_at);
	cause->who_pid = off->who_pid;
	cause->who_tid = off->who_tid;
	cause->who_name = name_at(data, bytes, off->who_at);
	parts->off.off_ns = clock_map_duration_ns(clock, row->ticks, off->off);
	parts->off.ready_ns = clock_map_duration_ns(clock, row->ticks, off->ready);
	parts->off.cpu = off->cpu;
	parts->off.open = flags & FILE_OFF_OPEN;
	parts->thread.process = off->process;
	parts->thread.tid = off->tid;
	record->duration_ns = parts->off.off_ns;
	record->off = &parts->off;
	return 0;
}
