/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader.c - blocks in the order of the file become records in the order of time. A block is loaded
 * only when it may hold a record that is earlier than all those at hand: block headers give the
 * earliest time of each, and `earliest` the least of these from a block to the end of the file.
 * Loaded blocks are sorted lists; a heap picks the one with the earliest next record. What is
 * loaded at the same time is bounded; a file whose threads are further apart than that is
 * delivered in nearly the right order.
 */
#include "reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block_in.h"
#include "rows_decode.h"

#define LOADED_BYTES_MAX ((size_t)256 << 20)
#define TICK_NS_MAX 1000000000u
#define HINT_SLACK_NS 10000000 /* block headers give wall times less exactly than rows do */

struct loaded {
	uint8_t *data;
	uint32_t bytes;
	uint32_t next; /* row */
	struct row_list list;
	uint64_t order;
};

struct reader {
	struct block_in in;
	struct tail_in tail;
	bool tail_pending; /* to be loaded after the last block */
	bool tail_used;
	struct catalog_in catalog;
	struct clock_map clock;
	struct reader_hint hint;
	bool started;
	uint32_t next_ref;
	int64_t *earliest; /* per ref; of it and all that follow, the tail included */
	struct loaded **heap;
	uint32_t heap_cnt, heap_cap;
	size_t loaded_bytes;
	uint64_t next_order;
	struct loaded *spent; /* empty, but the last record points into it */
	struct record record;
	struct reader_totals totals;
};

static size_t loaded_size(const struct loaded *l)
{
	return l->bytes + l->list.cap * sizeof(struct row) +
	       l->list.context_cap * sizeof(struct record_context);
}

static void loaded_free(struct reader *r, struct loaded *l)
{
	if (!l)
		return;
	r->loaded_bytes -= loaded_size(l);
	free(l->data);
	row_list_fini(&l->list);
	free(l);
}

/* ---- heap by (key, order) ---- */

static bool loaded_before(const struct loaded *a, const struct loaded *b)
{
	int64_t x = a->list.rows[a->next].key, y = b->list.rows[b->next].key;

	return x < y || (x == y && a->order < b->order);
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

/* ---- loading ---- */

/* Takes over `data`. Damage in the rows is reported, what comes before it is kept. */
static int rows_load(struct reader *r, uint8_t *data, uint32_t bytes, const char *path,
		     uint64_t offset, uint32_t expected)
{
	struct loaded *l = calloc(1, sizeof(*l));
	struct rows_problem problem = { 0, NULL };
	struct rows_state state;
	uint32_t i, records = 0;
	int err;

	if (!l) {
		free(data);
		return -ENOMEM;
	}
	l->data = data;
	l->bytes = bytes;
	l->order = r->next_order++;
	rows_state_init(&state);
	err = rows_scan(&state, &r->catalog, &r->clock, data, bytes, &l->list, &problem);
	for (i = 0; i < l->list.cnt; i++)
		records += l->list.rows[i].kind != RECORD_LOSS;
	if (err == -EBADMSG) {
		block_in_damage(&r->in, path, offset, problem.what);
		err = 0;
	} else if (!err && expected != UINT32_MAX && records != expected) {
		block_in_damage(&r->in, path, offset, "a block has not as many records as it says");
	}
	if (!err)
		err = rows_sort(&l->list);
	r->loaded_bytes += loaded_size(l);
	if (!err && l->list.cnt) {
		err = heap_push(r, l);
		if (!err)
			return 0;
	}
	loaded_free(r, l);
	return err;
}

/* Can no record of the block be of interest? */
static bool hint_excludes(const struct reader *r, struct clock_map *clock,
			  const struct block_ref *ref)
{
	const struct reader_hint *h = &r->hint;
	int64_t min, max;

	if (ref->level_mask & FILE_LEVEL_MASK_LOSS || !ref->record_cnt)
		return false;
	if (h->level_mask && !(h->level_mask & ref->level_mask))
		return true;
	if (!h->since_ns && !h->until_ns)
		return false;
	clock_map_range(clock, ref->time_min, ref->time_max, &min, &max);
	return (h->since_ns && max < INT64_MAX - HINT_SLACK_NS &&
		max + HINT_SLACK_NS < h->since_ns) ||
	       (h->until_ns && min > INT64_MIN + HINT_SLACK_NS &&
		min - HINT_SLACK_NS > h->until_ns);
}

static int block_load(struct reader *r)
{
	const struct block_ref *ref = &r->in.refs[r->next_ref++];
	uint8_t *data;
	uint32_t bytes;
	int err;

	err = block_in_rows(&r->in, ref, &data, &bytes);
	if (err == -EBADMSG)
		return clock_map_add(&r->clock, ref->clock_ticks, ref->clock_realtime_ns, 0);
	if (err)
		return err;
	r->totals.blocks++;
	return rows_load(r, data, bytes, r->in.path, ref->offset, ref->record_cnt);
}

static int tail_load(struct reader *r)
{
	uint8_t *data = r->tail.rows;

	r->tail_pending = false;
	r->tail.rows = NULL;
	r->tail_used = true;
	return rows_load(r, data, r->tail.bytes, r->tail.path, 0, UINT32_MAX);
}

/* Drops excluded blocks and computes `earliest`. */
static int start(struct reader *r)
{
	struct clock_map clock;
	int64_t least = r->tail_pending ? r->tail.time_min : INT64_MAX;
	uint32_t i, kept = 0;
	int err = 0;

	r->started = true;
	memset(&clock, 0, sizeof(clock));
	clock.tick_ns = r->clock.tick_ns;
	for (i = 0; i < r->clock.cnt && !err; i++)
		err = clock_map_add(&clock, r->clock.points[i].ticks,
				    r->clock.points[i].realtime_ns, r->clock.points[i].window_ns);
	for (i = 0; i < r->in.ref_cnt && !err; i++)
		err = clock_map_add(&clock, r->in.refs[i].clock_ticks,
				    r->in.refs[i].clock_realtime_ns, 0);
	for (i = 0; i < r->in.ref_cnt && !err; i++) {
		if (!hint_excludes(r, &clock, &r->in.refs[i]))
			r->in.refs[kept++] = r->in.refs[i];
	}
	clock_map_fini(&clock);
	if (err)
		return err;
	r->in.ref_cnt = kept;
	r->earliest = malloc((size_t)kept * sizeof(*r->earliest) + 1);
	if (!r->earliest)
		return -ENOMEM;
	for (i = kept; i-- > 0;) {
		const struct block_ref *ref = &r->in.refs[i];

		if ((ref->record_cnt || ref->lost) && ref->time_min < least)
			least = ref->time_min;
		r->earliest[i] = least;
	}
	return 0;
}

/* Loads until the first in the heap is the earliest of all. */
static int load_as_needed(struct reader *r)
{
	int err = 0;

	while (!err) {
		bool more = r->next_ref < r->in.ref_cnt || r->tail_pending;
		int64_t least;

		if (!more)
			break;
		least = r->next_ref < r->in.ref_cnt ? r->earliest[r->next_ref] : r->tail.time_min;
		if (r->heap_cnt && (r->heap[0]->list.rows[r->heap[0]->next].key <= least ||
				    r->loaded_bytes > LOADED_BYTES_MAX))
			break;
		err = r->next_ref < r->in.ref_cnt ? block_load(r) : tail_load(r);
	}
	return err;
}

int reader_next(struct reader *r, const struct record **record)
{
	struct loaded *l;
	struct row *row;
	int err;

	loaded_free(r, r->spent);
	r->spent = NULL;
	err = r->started ? 0 : start(r);
	if (!err)
		err = load_as_needed(r);
	if (err || !r->heap_cnt)
		return err;
	l = r->heap[0];
	row = &l->list.rows[l->next++];
	err = row_decode(&r->catalog, &r->clock, l->data, l->bytes, &l->list, row, &r->record);
	if (l->next == l->list.cnt) {
		r->spent = l;
		r->heap[0] = r->heap[--r->heap_cnt];
	}
	heap_down(r, 0);
	if (err)
		return err;
	if (r->record.kind == RECORD_LOSS)
		r->totals.lost += r->record.lost;
	else
		r->totals.records++;
	*record = &r->record;
	return 1;
}

/* ---- opening ---- */

/* Of the header of the file, only what is about time is needed here. */
static int header_take(struct reader *r)
{
	struct row_list list = { 0 };
	struct rows_problem problem = { 0, NULL };
	struct rows_state state;
	int err;

	if (!r->in.header_data)
		return 0;
	rows_state_init(&state);
	err = rows_scan(&state, &r->catalog, &r->clock, r->in.header_data, r->in.header_bytes,
			&list, &problem);
	row_list_fini(&list);
	if (err == -EBADMSG) {
		block_in_damage(&r->in, r->in.path, 0, problem.what);
		err = 0;
	}
	if (!err && state.tick_ns > TICK_NS_MAX)
		err = -EPROTONOSUPPORT;
	r->clock.tick_ns = (uint32_t)state.tick_ns;
	r->totals.counter_kind = state.counter_kind;
	r->totals.counter_hz = state.counter_hz;
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
}

int reader_open(struct reader **out, const char *path, reader_damage_fn *damage, void *damage_arg)
{
	struct reader *r = calloc(1, sizeof(*r));
	int err;

	*out = NULL;
	if (!r)
		return -ENOMEM;
	r->in.fd = -1;
	/* the tail first: see recover_tail.c */
	err = tail_in_read(&r->tail, path);
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

void reader_hint(struct reader *r, const struct reader_hint *hint)
{
	r->hint = *hint;
}

void reader_totals_get(const struct reader *r, struct reader_totals *out)
{
	*out = r->totals;
	out->blocks_damaged = r->in.damaged;
	out->file_bytes = r->in.size;
	out->has_index = r->in.has_index;
	out->has_tail = r->tail_used || r->tail_pending;
}

void reader_close(struct reader *r)
{
	uint32_t i;

	if (!r)
		return;
	for (i = 0; i < r->heap_cnt; i++)
		loaded_free(r, r->heap[i]);
	loaded_free(r, r->spent);
	free(r->heap);
	free(r->earliest);
	catalog_in_fini(&r->catalog);
	clock_map_fini(&r->clock);
	tail_in_fini(&r->tail);
	block_in_close(&r->in);
	free(r);
}
