/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader_load.c - blocks are made ready, several at a time: see reader_priv.h. What a block says
 * about itself it says within itself, so it can be scanned alone. What it takes from the blocks
 * before is the time: pairs of the clock for records that are older than the block's own first
 * pair, and the newest key of each thread, whose records stay in their order even where the
 * counter went back. Both are exchanged when blocks are joined, one after the other.
 */
#include "reader_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block_peek.h"
#include "reader.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20) /* of lines made at a time: formats can be long */
#define LINE_FIRST 4096u

/* ---- any thread ---- */

static int peek(void *arg, struct columns_in *columns, bool *wanted)
{
	struct loaded *l = arg;
	const struct rows_select select = { &l->reader->render, l->context };

	return block_peek(columns, &l->catalog, &l->clock, &select, wanted);
}

/* Losses are shown in any case. */
static bool peeks(const struct loaded *l)
{
	return l->reader->render.formats && !(l->ref.level_mask & FILE_LEVEL_MASK_LOSS);
}

static void scan(struct loaded *l)
{
	const struct rows_select select = { &l->reader->render, l->context };
	struct rows_problem problem = { 0, NULL };
	struct rows_state state;

	if (!l->is_tail) {
		l->what = block_in_load(&l->reader->in, &l->ref, &l->buffer,
					peeks(l) ? peek : NULL, l, &l->wanted, &l->err);
		l->unreadable = l->what;
		if (l->what || l->err || !l->wanted)
			return;
		l->data = l->buffer.data;
		l->bytes = l->buffer.bytes;
	}
	rows_state_init(&state);
	state.wants_off = l->reader->wants_off;
	l->err = rows_scan(&state, &l->catalog, &l->clock,
			   l->reader->render.format ? &select : NULL, l->data, l->bytes, &l->list,
			   &problem);
	if (l->err == -EBADMSG) {
		l->what = problem.what;
		l->err = 0;
	} else if (!l->err && !l->is_tail && l->list.record_cnt != l->ref.record_cnt) {
		l->what = "a block has not as many records as it says";
	}
	if (!l->err)
		l->err = rows_sort(&l->list);
}

static int line_add(struct loaded *l, const struct row *row, int64_t time_ns)
{
	if (l->line_cnt == l->line_cap) {
		uint32_t cap = l->line_cap ? l->line_cap * 2 : LINE_FIRST;
		struct reader_line *lines = reallocarray(l->lines, cap, sizeof(*lines));

		if (!lines)
			return -ENOMEM;
		l->lines = lines;
		l->line_cap = cap;
	}
	l->lines[l->line_cnt++] = (struct reader_line){ row->key, time_ns, (uint32_t)l->text.len };
	return 0;
}

static void render(struct loaded *l)
{
	const struct reader *r = l->reader;
	struct record record;

	l->text.len = 0;
	l->line_cnt = 0;
	l->next = 0;
	while (!l->err && l->rendered < l->list.cnt && l->text.len < TEXT_BYTES_MAX) {
		const struct row *row = &l->list.rows[l->rendered++];
		const size_t before = l->text.len;

		l->err = row_decode(&l->catalog, &l->clock, l->data, l->bytes, &l->list, row,
				    &record);
		if (l->err)
			return;
		r->render.record(l->context, &l->text, &record);
		if (l->text.failed)
			l->err = -ENOMEM;
		else if (l->text.len > before)
			l->err = line_add(l, row, record.time_ns);
	}
}

static void scan_run(struct parallel_job *job)
{
	scan((struct loaded *)job);
}

static void render_run(struct parallel_job *job)
{
	render((struct loaded *)job);
}

/* ---- the caller's thread ---- */

static void job_start(struct reader *r, struct loaded *l, void (*run)(struct parallel_job *),
		      bool first)
{
	l->job.run = run;
	if (r->parallel) {
		parallel_start(r->parallel, &l->job, first);
	} else {
		run(&l->job);
		l->job.state = PARALLEL_DONE;
	}
}

static bool job_done(struct reader *r, struct loaded *l)
{
	return r->parallel ? parallel_done(r->parallel, &l->job) : true;
}

static void count(struct reader *r, struct loaded *l)
{
	r->loaded_bytes -= l->counted;
	l->counted = l->bytes + l->list.cap * sizeof(struct row) +
		     l->list.context_cap * sizeof(struct record_context) +
		     l->list.off_cap * sizeof(struct off_row) + l->text.cap +
		     l->line_cap * sizeof(struct reader_line);
	r->loaded_bytes += l->counted;
}

static void loaded_free(struct reader *r, struct loaded *l)
{
	if (!l)
		return;
	if (l->context)
		r->render.close(r->render.arg, l->context);
	block_buffer_fini(&l->buffer);
	catalog_in_fini(&l->catalog);
	clock_map_fini(&l->clock);
	row_list_fini(&l->list);
	buffer_fini(&l->text);
	free(l->lines);
	free(l);
}

void reader_give_back(struct reader *r, struct loaded *l)
{
	if (!l)
		return;
	r->loaded_bytes -= l->counted;
	l->counted = 0;
	l->spare = r->spares;
	r->spares = l;
}

static struct loaded *loaded_get(struct reader *r)
{
	struct loaded *l = r->spares;

	if (l) {
		r->spares = l->spare;
	} else {
		l = calloc(1, sizeof(*l));
		if (!l)
			return NULL;
		l->reader = r;
		l->catalog.pool = r->pool;
		if (r->renders) {
			l->context = r->render.open(r->render.arg);
			if (!l->context) {
				free(l);
				return NULL;
			}
		}
	}
	catalog_in_clear(&l->catalog);
	clock_map_clear(&l->clock);
	row_list_clear(&l->list);
	l->is_tail = l->unreadable = false;
	l->wanted = true;
	l->what = NULL;
	l->err = 0;
	l->bytes = 0;
	l->next = l->rendered = l->line_cnt = 0;
	return l;
}

static int block_begin(struct reader *r)
{
	struct loaded *l = loaded_get(r);

	if (!l)
		return -ENOMEM;
	l->order = r->begun;
	if (r->begun < r->in.ref_cnt) {
		l->ref = r->in.refs[r->begun];
	} else {
		l->is_tail = true;
		l->data = r->tail.rows;
		l->bytes = r->tail.bytes;
	}
	r->flight[r->begun++ % r->window] = l;
	job_start(r, l, scan_run, false);
	return 0;
}

/* The newest key of the thread before this block in *key; false: it is the first. */
static bool thread_key(const struct reader *r, uint64_t number, int64_t *key)
{
	uint32_t i = catalog_slot(&r->thread_key_by_number, number);

	if (i != HASH_INDEX_NONE)
		*key = r->thread_keys[i].last;
	return i != HASH_INDEX_NONE;
}

static int thread_key_set(struct reader *r, uint64_t number, int64_t key)
{
	uint32_t i = catalog_slot(&r->thread_key_by_number, number);
	int err;

	if (i != HASH_INDEX_NONE) {
		if (key > r->thread_keys[i].last)
			r->thread_keys[i].last = key;
		return 0;
	}
	if (r->thread_key_cnt == r->thread_key_cap) {
		uint32_t cap = r->thread_key_cap ? r->thread_key_cap * 2 : 64;
		struct thread_key *keys = reallocarray(r->thread_keys, cap, sizeof(*keys));

		if (!keys)
			return -ENOMEM;
		r->thread_keys = keys;
		r->thread_key_cap = cap;
	}
	err = hash_index_add(&r->thread_key_by_number, number, r->thread_key_cnt);
	if (!err)
		r->thread_keys[r->thread_key_cnt++] = (struct thread_key){ number, key };
	return err;
}

/* Rows are not before those of their thread in the blocks before. */
static int keys_join(struct reader *r, struct loaded *l)
{
	bool behind = false;
	int64_t floor;
	uint32_t i;
	int err = 0;

	for (i = 0; i < l->catalog.thread_cnt; i++) {
		const struct in_thread *t = &l->catalog.threads[i];

		if (t->has_key && thread_key(r, t->number, &floor) && floor > t->first_key)
			behind = true;
	}
	for (i = 0; behind && i < l->list.cnt; i++) {
		struct row *row = &l->list.rows[i];

		if (row->thread != HASH_INDEX_NONE && /* intervals off the CPU are no thread's */
		    thread_key(r, l->catalog.threads[row->thread].number, &floor) && floor > row->key)
			row->key = floor;
	}
	if (behind)
		err = rows_sort(&l->list);
	for (i = 0; !err && i < l->catalog.thread_cnt; i++) {
		const struct in_thread *t = &l->catalog.threads[i];

		if (t->has_key)
			err = thread_key_set(r, t->number, t->last_key);
	}
	return err;
}

static int clock_join(struct reader *r, struct loaded *l)
{
	int64_t from = INT64_MAX;
	uint32_t i;
	int err = 0;

	if (l->ref.skipped)
		err = clock_map_add(&r->clock, l->ref.skipped_ticks, l->ref.skipped_realtime_ns, 0);
	if (l->unreadable && !err)
		err = clock_map_add(&r->clock, l->ref.clock_ticks, l->ref.clock_realtime_ns, 0);
	for (i = 0; i < l->clock.cnt && !err; i++)
		err = clock_map_add(&r->clock, l->clock.points[i].ticks,
				    l->clock.points[i].realtime_ns, l->clock.points[i].window_ns);
	for (i = 0; i < l->list.cnt; i++)
		from = l->list.rows[i].ticks < from ? l->list.rows[i].ticks : from;
	return err || !l->list.cnt ? err : clock_map_cut(&l->clock, &r->clock, from);
}

static int join(struct reader *r, struct loaded *l)
{
	int err = l->err;

	if (l->what && !err)
		block_in_damage(&r->in, l->is_tail ? r->tail.path : r->in.path,
				l->is_tail ? 0 : l->ref.offset, l->what);
	if (!err)
		err = clock_join(r, l);
	if (!err)
		err = keys_join(r, l);
	if (err)
		return err;
	r->joined++;
	if (l->is_tail)
		r->tail_used = true;
	else if (!l->unreadable)
		r->totals.blocks++;
	if (!l->is_tail && !l->unreadable && l->wanted) {
		r->totals.blocks_decoded++;
		r->totals.blocks_hasty += (l->buffer.hints & FILE_HINT_HASTY) != 0;
	}
	count(r, l);
	if (r->renders)
		job_start(r, l, render_run, true);
	return 0;
}

int reader_pump(struct reader *r)
{
	int err = 0;

	while (!err && r->joined < r->begun && job_done(r, r->flight[r->joined % r->window]))
		err = join(r, r->flight[r->joined % r->window]);
	while (!err && r->begun < r->block_cnt && r->begun - r->taken < r->window &&
	       (r->begun == r->taken || r->loaded_bytes < READER_LOADED_BYTES_MAX))
		err = block_begin(r);
	return err;
}

int reader_take(struct reader *r, struct loaded **out)
{
	const uint32_t at = r->taken % r->window;
	int err;

	for (;;) {
		err = reader_pump(r);
		if (err)
			return err;
		if (r->joined > r->taken && job_done(r, r->flight[at]))
			break;
		if (r->parallel)
			parallel_help(r->parallel, &r->flight[at]->job);
	}
	*out = r->flight[at];
	r->flight[at] = NULL;
	r->taken++;
	count(r, *out);
	return (*out)->err;
}

int reader_render_more(struct reader *r, struct loaded *l)
{
	while (!l->err && l->next == l->line_cnt && l->rendered < l->list.cnt) {
		job_start(r, l, render_run, true);
		if (r->parallel)
			parallel_wait(r->parallel, &l->job);
	}
	count(r, l);
	return l->err;
}

void reader_spares_free(struct reader *r)
{
	struct loaded *l;

	while ((l = r->spares)) {
		r->spares = l->spare;
		loaded_free(r, l);
	}
}

void reader_load_fini(struct reader *r)
{
	struct loaded *l;

	for (; r->taken < r->begun; r->taken++) {
		l = r->flight[r->taken % r->window];
		if (r->parallel)
			parallel_wait(r->parallel, &l->job);
		loaded_free(r, l);
	}
	for (; r->heap_cnt; r->heap_cnt--)
		loaded_free(r, r->heap[r->heap_cnt - 1]);
	reader_spares_free(r);
	free(r->flight);
	free(r->thread_keys);
	hash_index_fini(&r->thread_key_by_number);
}
