/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader.c - blocks in the order of the file become records in the order of time. A block is taken
 * only when it may hold a record that is earlier than all those at hand: block headers give the
 * earliest time of each, and `earliest` the least of these from a block to the end of the file.
 * Blocks that were taken (reader_load.c) are sorted lists; a heap picks the one with the earliest
 * next record. What is loaded at the same time is bounded; a file whose threads are further apart
 * than that is delivered in nearly the right order.
 */
#include "reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "classic_in.h"
#include "reader_priv.h"

#define TICK_NS_MAX 1000000000u
#define RUNS_PER_PUMP 64
#define HINT_SLACK_NS 10000000 /* block headers give wall times less exactly than rows do */

/* ---- heap by (key, order) ---- */

static bool loaded_before(const struct loaded *a, const struct loaded *b)
{
	return a->head < b->head || (a->head == b->head && a->order < b->order);
}

static void heap_down(struct reader *r, uint32_t i)
{
	for (;;) {
		uint32_t child = 2 * i + 1;
		struct loaded *swap;

		if (child >= r->heap_cnt)
			return;
		if (child + 1 < r->heap_cnt &&
		    loaded_before(r->heap[child + 1], r->heap[child]))
			child++;
		if (!loaded_before(r->heap[child], r->heap[i]))
			return;
		swap = r->heap[i];
		r->heap[i] = r->heap[child];
		r->heap[child] = swap;
		i = child;
	}
}

static int heap_push(struct reader *r, struct loaded *l)
{
	uint32_t i = r->heap_cnt;

	if (r->heap_cnt == r->heap_cap) {
		uint32_t cap = r->heap_cap ? r->heap_cap * 2 : 16;
		struct loaded **heap = realloc(r->heap, cap * sizeof(struct loaded *));

		if (!heap)
			return -ENOMEM;
		r->heap = heap;
		r->heap_cap = cap;
	}
	r->heap[r->heap_cnt++] = l;
	while (i && loaded_before(r->heap[i], r->heap[(i - 1) / 2])) {
		struct loaded *swap = r->heap[i];

		r->heap[i] = r->heap[(i - 1) / 2];
		r->heap[(i - 1) / 2] = swap;
		i = (i - 1) / 2;
	}
	return 0;
}

/* ---- which blocks ---- */

/* Can no record of the block be of interest? */
static bool hint_excludes(const struct reader *r, struct clock_map *clock,
			  const struct block_ref *ref)
{
	const struct reader_hint *h = &r->hint;
	int64_t min, max;

	if (ref->level_mask & FILE_LEVEL_MASK_LOSS || !ref->record_cnt)
		return false;
	if (h->level_mask && !(h->level_mask & ref->level_mask) &&
	    !(r->wants_off && ref->level_mask & FILE_LEVEL_MASK_OFF))
		return true;
	if (!h->since_ns && !h->until_ns)
		return false;
	clock_map_range(clock, ref->time_min, ref->time_max, &min, &max);
	/* spans that began before have times too */
	return (h->since_ns && !r->wants_off && max < INT64_MAX - HINT_SLACK_NS &&
		max + HINT_SLACK_NS < h->since_ns) ||
	       (h->until_ns && min > INT64_MIN + HINT_SLACK_NS &&
		min - HINT_SLACK_NS > h->until_ns);
}

/* A map of the pairs in block headers. */
static int headers_clock(const struct reader *r, struct clock_map *clock)
{
	uint32_t i;
	int err = 0;

	memset(clock, 0, sizeof(*clock));
	clock->tick_ns = r->clock.tick_ns;
	for (i = 0; i < r->clock.cnt && !err; i++)
		err = clock_map_add(clock, r->clock.points[i].ticks,
				    r->clock.points[i].realtime_ns, r->clock.points[i].window_ns);
	for (i = 0; i < r->in.ref_cnt && !err; i++)
		err = clock_map_add(clock, r->in.refs[i].clock_ticks,
				    r->in.refs[i].clock_realtime_ns, 0);
	return err;
}

/* Drops excluded blocks and computes `earliest`. */
static int start(struct reader *r)
{
	struct block_ref *refs = r->in.refs;
	struct clock_map clock;
	int64_t early, least;
	uint32_t i, kept = 0, skipped = UINT32_MAX;
	int err;

	r->started = true;
	r->wants_off = r->hint.times && r->totals.has_sched;
	if (r->wants_off && !r->hint.times_apart) {
		err = span_times_open(&r->times);
		if (err)
			return err;
	}
	err = headers_clock(r, &clock);
	r->blocks_all = r->in.ref_cnt;
	for (i = 0; i < r->in.ref_cnt && !err; i++) {
		struct block_ref ref = refs[i];

		if (hint_excludes(r, &clock, &ref)) {
			skipped = i;
			continue;
		}
		if (skipped != UINT32_MAX) {
			ref.skipped = true;
			ref.skipped_ticks = refs[skipped].clock_ticks;
			ref.skipped_realtime_ns = refs[skipped].clock_realtime_ns;
			skipped = UINT32_MAX;
		}
		refs[kept++] = ref;
	}
	clock_map_fini(&clock);
	if (err)
		return err;
	r->in.ref_cnt = kept;
	r->block_cnt = kept + r->tail_pending;
	r->window = r->window ? r->window : 1;
	r->flight = calloc(r->window, sizeof(*r->flight));
	r->earliest = malloc((size_t)kept * sizeof(*r->earliest) + 1);
	if (!r->earliest || !r->flight)
		return -ENOMEM;
	/* Rows of intervals off the CPU come before their times. */
	early = r->wants_off ? OFF_ROW_EARLY_NS / (r->clock.tick_ns ? r->clock.tick_ns : 1) + 1 : 0;
	r->tail.time_min -= early;
	least = r->tail_pending ? r->tail.time_min : INT64_MAX;
	for (i = kept; i-- > 0;) {
		const struct block_ref *ref = &refs[i];

		if (FILE_HAS_TIMES(ref) && ref->time_min - early < least)
			least = ref->time_min - early;
		r->earliest[i] = least;
	}
	return 0;
}

int reader_begin_ns(struct reader *r, int64_t *begin)
{
	struct clock_map clock;
	int64_t min, max;
	uint32_t i;
	int err;

	*begin = INT64_MIN;
	if (r->classic) /* known only when it is read */
		return 0;
	err = headers_clock(r, &clock);
	*begin = INT64_MAX;
	for (i = 0; i < r->in.ref_cnt && !err; i++) {
		const struct block_ref *ref = &r->in.refs[i];

		if (!ref->record_cnt && !ref->lost &&
		    !(r->hint.times && ref->level_mask & FILE_LEVEL_MASK_OFF))
			continue;
		clock_map_range(&clock, ref->time_min, ref->time_max, &min, &max);
		*begin = min < *begin ? min : *begin;
	}
	if (r->tail_pending)
		*begin = INT64_MIN; /* its times are known only when it is read */
	if (*begin > INT64_MIN + HINT_SLACK_NS && *begin != INT64_MAX)
		*begin -= HINT_SLACK_NS;
	clock_map_fini(&clock);
	return err;
}

/* ---- the next of all ---- */

/* The earliest time of what has not been taken yet. */
static int64_t least_to_come(const struct reader *r)
{
	if (r->taken < r->in.ref_cnt)
		return r->earliest[r->taken];
	return r->taken < r->block_cnt ? r->tail.time_min : INT64_MAX;
}

/* False: it is used up. */
static bool head_find(const struct reader *r, struct loaded *l)
{
	const uint32_t cnt = r->renders ? l->line_cnt : l->list.cnt;

	if (l->next < cnt)
		l->head = r->renders ? l->lines[l->next].key : l->list.rows[l->next].key;
	return l->next < cnt;
}

/* What the caller had is of no more use to it. */
static int advance(struct reader *r)
{
	struct loaded *l = r->current;
	int err = 0;

	r->current = NULL;
	if (!l)
		return 0;
	if (r->renders)
		err = reader_render_more(r, l);
	if (!head_find(r, l)) {
		r->heap[0] = r->heap[--r->heap_cnt];
		reader_give_back(r, l);
	}
	heap_down(r, 0);
	return err;
}

/* Takes blocks until the first in the heap is the earliest of all. */
static int take_as_needed(struct reader *r)
{
	struct loaded *l = NULL;
	int err = 0;

	while (!err && r->taken < r->block_cnt) {
		if (r->heap_cnt && (r->heap[0]->head <= least_to_come(r) ||
				    r->loaded_bytes > READER_LOADED_BYTES_MAX))
			break;
		err = reader_take(r, &l);
		if (!err && r->renders)
			err = reader_render_more(r, l);
		if (err || !head_find(r, l))
			reader_give_back(r, l);
		else
			err = heap_push(r, l);
	}
	return err;
}

/* The top of the heap in r->current. As reader_next(). */
static int next(struct reader *r)
{
	int err;

	err = r->started ? advance(r) : start(r);
	if (!err)
		err = take_as_needed(r);
	if (err || !r->heap_cnt)
		return err;
	r->current = r->heap[0];
	return 1;
}

int reader_times_add(struct reader *r, struct span_times *times)
{
	int err = 0;

	if (!r->wants_off)
		return 0;
	if (r->record.kind == RECORD_OFF)
		err = span_times_names(times, &r->off.off.cause);
	return err ? err : span_times_add(times, &r->record);
}

int reader_next(struct reader *r, const struct record **record)
{
	const struct row *row;
	struct loaded *l;
	int err;

	if (r->classic)
		return reader_classic_next(r, record);
	err = next(r);
	if (err <= 0)
		return err;
	l = r->current;
	row = &l->list.rows[l->next++];
	if (row->kind == RECORD_OFF || row->kind == RECORD_OFF_LOST)
		err = row_decode_off(&l->clock, l->data, l->bytes, &l->list, row, &r->off, &r->record);
	else
		err = row_decode(&l->catalog, &l->clock, l->data, l->bytes, &l->list, row,
				 &r->record);
	if (err)
		return err;
	if (r->record.kind == RECORD_LOSS)
		r->totals.lost += r->record.lost;
	else if (r->record.kind == RECORD_OFF_LOST)
		r->totals.offs_lost += r->record.lost;
	else if (r->record.kind == RECORD_OFF)
		r->totals.offs++;
	else
		r->totals.records++;
	err = r->times ? reader_times_add(r, r->times) : 0;
	if (err)
		return err;
	*record = &r->record;
	return 1;
}

int reader_next_run(struct reader *r, struct reader_run *run)
{
	int64_t limit = INT64_MAX;
	struct loaded *l;
	uint32_t i;
	int err;

	if (r->classic)
		return reader_classic_run(r, run);
	err = next(r);
	if (err > 0 && r->run_cnt++ % RUNS_PER_PUMP == 0 && reader_pump(r))
		err = -ENOMEM;
	if (err <= 0)
		return err;
	l = r->current;
	/* up to what is next elsewhere; the first one is, in any case */
	for (i = 1; i < r->heap_cnt && i < 3; i++) {
		int64_t other = r->heap[i]->head;

		if (r->heap[i]->order < l->order)
			other--;
		limit = other < limit ? other : limit;
	}
	if (least_to_come(r) < limit)
		limit = least_to_come(r);
	run->text = l->text.data;
	run->start = l->next ? l->lines[l->next - 1].end : 0;
	run->lines = l->lines + l->next;
	for (i = l->next + 1; i < l->line_cnt && l->lines[i].key <= limit;)
		i++;
	run->cnt = i - l->next;
	l->next = i;
	return 1;
}

void reader_parallel(struct reader *r, struct parallel *pool, uint32_t window)
{
	r->parallel = pool;
	r->window = window;
}

void reader_render(struct reader *r, const struct reader_render *render)
{
	r->render = *render;
	r->renders = true;
}

/* ---- opening ---- */

/* Of the header of the file, only what is about time is needed here. */
static int header_take(struct reader *r)
{
	struct catalog_in catalog = { .pool = r->pool };
	struct row_list list = { 0 };
	struct rows_problem problem = { 0, NULL };
	struct rows_state state;
	int err;

	if (!r->in.header.data)
		return 0;
	rows_state_init(&state);
	err = rows_scan(&state, &catalog, &r->clock, NULL, r->in.header.data, r->in.header.bytes,
			&list, &problem);
	row_list_fini(&list);
	catalog_in_fini(&catalog);
	if (err == -EBADMSG) {
		block_in_damage(&r->in, r->in.path, 0, problem.what);
		err = 0;
	}
	if (!err && state.tick_ns > TICK_NS_MAX)
		err = -EPROTONOSUPPORT;
	r->clock.tick_ns = (uint32_t)state.tick_ns;
	if (!err && state.host)
		err = catalog_pool_host(r->pool, (const char *)state.host, state.host_bytes);
	r->totals.counter_kind = state.counter_kind;
	r->totals.counter_hz = state.counter_hz;
	r->totals.has_sched = state.has_sched;
	return err;
}

/* Are the rows of the tail in the file already, or of another file? */
static void tail_judge(struct reader *r)
{
	struct tail_in *t = &r->tail;
	bool wanted;

	wanted = t->valid && t->file_key == r->in.file_key && t->sequence > r->in.last_sequence;
	if (t->unreadable)
		block_in_damage(&r->in, t->path, 0, strerror(-t->unreadable));
	else if (t->size && !t->valid)
		block_in_damage(&r->in, t->path, 0, "the header of the tail is damaged");
	else if (wanted && t->bad_at != t->size)
		block_in_damage(&r->in, t->path, t->bad_at, "the tail ends within a frame");
	r->tail_pending = wanted && t->bytes;
	/* the block that was being written when the writer died is in the tail as well */
	if (r->in.cut_off && !(wanted && t->sequence == r->in.last_sequence + 1))
		block_in_damage(&r->in, r->in.path, r->in.cut_off_at, "the file ends within a block");
	else if (wanted && t->sequence > r->in.last_sequence + 1)
		block_in_damage(&r->in, r->in.path, r->in.size,
				"blocks are missing between the file and its tail");
}

int reader_open(struct reader **out, const char *path, reader_damage_fn *damage, void *damage_arg)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->in.fd = -1;
	if (classic_in_probe(path) == 1) {
		reader_close(r);
		return reader_open_classic(out, path, damage, damage_arg);
	}
	/* the tail first: see recover_tail.c */
	err = tail_in_read(&r->tail, path);
	if (!err)
		err = catalog_pool_open(&r->pool);
	if (!err)
		err = block_in_open(&r->in, path, damage, damage_arg);
	if (!err)
		err = header_take(r);
	if (err) {
		reader_close(r);
		return err;
	}
	tail_judge(r);
	*out = r;
	return 0;
}

int reader_open_classic(struct reader **out, const char *path, reader_damage_fn *damage,
			void *damage_arg)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->in.fd = -1;
	err = reader_classic_open(r, path, damage, damage_arg);
	if (err)
		reader_close(r);
	else
		*out = r;
	return err;
}

void reader_hint(struct reader *r, const struct reader_hint *hint)
{
	r->hint = *hint;
}

const char *reader_host(const struct reader *r)
{
	return r->classic ? "" : catalog_pool_host_get(r->pool);
}

void reader_totals_get(const struct reader *r, struct reader_totals *out)
{
	if (r->classic) {
		reader_classic_totals(r, out);
		return;
	}
	*out = r->totals;
	out->blocks_damaged = r->in.damaged;
	out->blocks_all = r->started ? r->blocks_all : r->in.ref_cnt;
	out->file_bytes = r->in.size;
	out->read_bytes = r->in.read_bytes;
	out->has_index = r->in.has_index;
	out->has_tail = r->tail_used || r->tail_pending;
}

void reader_rest(struct reader *r)
{
	reader_spares_free(r);
	if (r->in.fd >= 0)
		close(r->in.fd);
	r->in.fd = -1;
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	reader_classic_close(r);
	reader_load_fini(r);
	free(r->heap);
	free(r->earliest);
	span_times_close(r->times);
	catalog_pool_close(r->pool);
	clock_map_fini(&r->clock);
	tail_in_fini(&r->tail);
	block_in_close(&r->in);
	free(r);
}
