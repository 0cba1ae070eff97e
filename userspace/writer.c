/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.c - the life of a block: rows collect in memory (rows_encode.c), are made readable by
 * flushes (a frame in the tail) and sealed into the file when there are enough (block_out.c).
 *
 * When a block cannot be sealed its records are given up and counted, thread by thread; these
 * counts, and the losses that the block itself reported, are carried into the next block.
 */
#include "writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counter.h"
#include "writer_priv.h"
#include "writer_state.h"

#define NS_PER_SECOND 1000000000u
#define BLOCK_BYTES_REOPENED (1u << 20)
#define ROWS_BYTES_LEAST 16u /* of a record, in a block: shorter ones make it shorter, so that columns are */
#define BLOCK_BYTES_MIN (4u << 10)
#define BLOCK_BYTES_MAX (16u << 20)
#define CLOCK_INTERVAL_NS 100000000 /* of pairs taken at flushes */
#define CARRY_PER_BLOCK 65536u
#define COLUMNS_BYTES_MIN 2048u /* of rows: fewer are smaller as they are */
#define HOLD_BYTES (8u << 20)		/* rows that wait for room to be written */
#define HOLD_JOURNAL_NS 1000000000	/* that long where threads wait for it */
#define RETRY_NS 100000000
#define SYNC_NS 1000000000

static int64_t ticks_now(const struct writer *w)
{
	return clock_ticks(&w->scale, counter_read(w->scale.kind));
}

static void pair_told(struct writer *w, const struct clock_pair *pair)
{
	if (pair->ticks == w->put[1].ticks && w->put[1].realtime_ns)
		return;
	w->put[0] = w->put[1];
	w->put[1] = *pair;
}

static int pair_put(struct writer *w)
{
	int err = rows_clock(&w->rows, &w->pair);

	if (!err) {
		w->paired = w->rows.len;
		w->pair_written = w->pair.ticks;
		pair_told(w, &w->pair);
	}
	return err;
}

/* Behind the newest rows. The one before may have been taken since the rows before these: what
 * happened to the clock in a long pause does not concern them then. */
static int pair_append(struct writer *w)
{
	int err = 0;

	if (w->pair.ticks - w->pair_written >= CLOCK_INTERVAL_NS)
		err = pair_put(w);
	if (!err && !w->pair_fixed)
		err = clock_pair_take(&w->scale, &w->pair);
	return err ? err : pair_put(w);
}

/* While nothing comes. */
static void pair_note(struct writer *w)
{
	if (!w->pair_fixed && !w->earlier_cnt && ticks_now(w) - w->pair.ticks >= CLOCK_INTERVAL_NS)
		(void)clock_pair_take(&w->scale, &w->pair); /* the one before will do */
}

static int loss_append(struct writer *w, const struct loss *loss)
{
	struct out_thread *t = w->catalog.threads[loss->thread];
	int64_t ticks = t->has_ticks	? t->last_ticks :
			w->pair_fixed	? w->pair.ticks :
					  ticks_now(w);

	return rows_loss(&w->rows, &w->catalog, t, loss->thread, loss->cause, loss->count, ticks);
}

static int earlier_append(struct writer *w)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < w->earlier_cnt && !err; i++) {
		err = rows_clock(&w->rows, &w->earlier[i]);
		pair_told(w, &w->earlier[i]);
	}
	if (i && !err)
		w->pair = w->earlier[i - 1];
	w->pair_written = w->pair.ticks;
	w->earlier_cnt = 0;
	return err;
}

/* Begins a block if none is being built; what the last could not report comes first. */
int writer_block_begin(struct writer *w, int64_t ticks)
{
	struct clock_pair first = w->pair;
	uint32_t n = 0;
	int err;

	if (w->building)
		return 0;
	/* The first of a file begins where the file before ended. */
	if (w->bridge_due && w->put[1].ticks < w->pair.ticks)
		first = w->put[1];
	err = rows_begin(&w->rows, ticks, &first);
	if (!err && first.ticks != w->pair.ticks)
		err = rows_clock(&w->rows, &w->pair);
	if (err)
		return err;
	w->bridge_due = false;
	pair_told(w, &w->pair);
	w->building = w->begun = true;
	w->framed = 0;
	w->tapped = 0;
	err = earlier_append(w);
	if (err)
		return err;
	w->paired = w->rows.len;
	for (; w->carry.cnt && n < CARRY_PER_BLOCK; n++) {
		struct loss loss = w->carry.list[w->carry.cnt - 1];

		err = losses_add(&w->losses, loss.thread, loss.cause, loss.count);
		if (!err)
			err = loss_append(w, &loss);
		if (err)
			return err;
		w->carry.cnt--;
	}
	return writer_off_begin(w);
}

/* The block is given up: its records are lost, its losses are still to be reported. */
static int block_drop(struct writer *w)
{
	size_t i;
	uint32_t t;
	int err = 0;

	for (i = 0; i < w->losses.cnt && !err; i++)
		err = losses_add(&w->carry, w->losses.list[i].thread, w->losses.list[i].cause,
				 w->losses.list[i].count);
	for (t = 0; t < w->catalog.thread_cnt && !err; t++) {
		struct out_thread *thread = w->catalog.threads[t];

		if (thread && thread->entry.seen == w->rows.generation && thread->block_records)
			err = losses_add(&w->carry, t, LOSS_UNWRITTEN, thread->block_records);
	}
	losses_merge(&w->carry);
	writer_off_drop(w);
	w->unwritten += w->rows.block.record_cnt;
	w->lost_by[LOSS_UNWRITTEN] += w->rows.block.record_cnt;
	if (block_out_has_tail(w->out)) {
		int drop_err = block_out_frames_drop(w->out);

		err = err ? err : drop_err;
	}
	return err;
}

/* Is there something that the last block could not report? */
static bool carries(const struct writer *w)
{
	return w->carry.cnt || w->off_carry.cnt;
}

static void tap_feed(struct writer *w)
{
	if (w->tap && w->tapped < w->rows.len)
		w->tap(w->tap_arg, w->rows.data + w->tapped, w->rows.len - w->tapped);
	w->tapped = w->rows.len;
}

static void journal_begin(struct writer *w, bool frame)
{
	uint64_t sequence;
	uint32_t number;

	if (!w->journal.begin)
		return;
	block_out_next(w->out, &sequence, &number);
	w->journal.begin(w->journal.arg, sequence, frame ? number : WRITER_NO_FRAME);
}

static void journal_end(struct writer *w, bool settled)
{
	if (w->journal.end)
		w->journal.end(w->journal.arg, settled);
}

/* As columns, unless rows that are few are smaller than what describes columns. */
static int block_store(struct writer *w)
{
	const uint8_t *payload;
	struct clock_pair pair = clock_pair_coarse(&w->pair, w->rows.tick_ns);
	uint32_t bytes;
	int err = -ENOTSUP;

	if (w->columns && w->rows.len >= COLUMNS_BYTES_MIN)
		err = columns_encode(w->columns, w->rows.data, w->rows.len, &payload, &bytes);
	if (err || bytes >= w->rows.len)
		return block_out_write(w->out, FILE_BLOCK_ROWS, &w->rows.block, &pair,
				       w->rows.data, w->rows.len);
	w->rows.block.rows_bytes = w->rows.len;
	return block_out_write(w->out, FILE_BLOCK_COLUMNS, &w->rows.block, &pair, payload, bytes);
}

/* A write has failed. True: what was to be written waits, and is tried again. */
static bool write_failed(struct writer *w, int err)
{
	const uint64_t now = writer_now_ns();

	if (!w->failing) {
		w->failing_since_ns = now;
		w->failing_unwritten = w->unwritten;
		writer_event(w, WRITER_FAILING, err, 0, block_out_name(w->out));
	}
	w->failing = err;
	w->failing_tried_ns = now;
	if (w->closing || w->pair_fixed || !block_out_file(w->out)->regular ||
	    w->rows.block.entry_cnt >= FILE_RECORDS_MAX / 2 || w->rows.len >= HOLD_BYTES ||
	    (w->journal.begin && (w->gave_up || now - w->failing_since_ns >= HOLD_JOURNAL_NS)))
		return false;
	/* each time all of it is compressed anew */
	w->seal_at = w->rows.len + (w->rows.len > w->block_bytes ? w->rows.len : w->block_bytes) / 2;
	return true;
}

/* No file has more records than it may. What waits for room is not tried with each record. */
static void writer_entries_set(struct writer *w)
{
	const uint64_t most = w->rotation.records;
	const uint32_t waiting = w->failing ? w->rows.block.entry_cnt : 0;

	w->seal_entries = w->block_bytes / ROWS_BYTES_LEAST;
	if (most && w->file_records < most && most - w->file_records < w->seal_entries)
		w->seal_entries = (uint32_t)(most - w->file_records);
	if (waiting >= w->seal_entries / 2)
		w->seal_entries = waiting + waiting / 2 + 1;
}

static void write_succeeded(struct writer *w)
{
	w->seal_at = w->block_bytes;
	w->gave_up = false;
	if (!w->failing)
		return;
	w->failing = 0;
	writer_entries_set(w);
	writer_event(w, WRITER_WORKING, 0, w->unwritten - w->failing_unwritten,
		     block_out_name(w->out));
}

static int block_write(struct writer *w)
{
	int err = 0;

	if (w->paired < w->rows.len)
		err = pair_append(w);
	else if (w->pair.ticks != w->pair_written) /* the header has the rows' last */
		err = pair_put(w);
	tap_feed(w);
	journal_begin(w, false);
	if (!err)
		err = w->gone;
	if (!err)
		err = block_store(w);
	if (err && write_failed(w, err)) {
		if (block_out_has_tail(w->out) && !block_out_tail(w->out)->len)
			writer_frames_restart(w); /* it had to make room */
		journal_end(w, false);
		return -EAGAIN;
	}
	if (err) {
		w->gave_up = true;
		writer_error(w, err);
		writer_error(w, block_drop(w));
	} else {
		writer_error(w, block_out_sync_error(w->out));
		w->records_sealed += w->rows.block.record_cnt;
		w->text_sealed += w->rows.block.text_bytes;
		w->file_records += w->rows.block.record_cnt;
		w->file_blocks++;
		write_succeeded(w);
	}
	journal_end(w, true);
	return err;
}

int writer_seal(struct writer *w)
{
	int err = 0;

	if (!w->building)
		return 0;
	if (w->rows.block.entry_cnt) {
		writer_look(w, writer_now_ns(), true);
		err = block_write(w);
		if (err == -EAGAIN)
			return w->failing;
	}
	w->losses.cnt = 0;
	w->building = false;
	w->rows.len = 0;
	memset(&w->rows.block, 0, sizeof(w->rows.block));
	return err;
}

void writer_frames_restart(struct writer *w)
{
	w->framed = 0;
	w->rows.frame = w->rows.block;
}

void writer_lost_from_file(struct writer *w, uint64_t records, uint64_t losses)
{
	int thread;

	w->records_sealed -= records;
	w->unwritten += records;
	w->lost_by[LOSS_UNWRITTEN] += records;
	if (records)
		writer_error(w, -EIO);
	if (!(records + losses) || !w->catalog.process_cnt)
		return;
	/* whose they were, the file knew */
	thread = writer_thread_add(w, 0, 0, UINT64_MAX, "");
	if (thread >= 0)
		thread = losses_add(&w->carry, (uint32_t)thread, LOSS_UNWRITTEN, records + losses);
	if (thread < 0)
		writer_error(w, thread);
}

/* After an append: is there enough? An error of sealing is kept for flush and close. */
void writer_block_check(struct writer *w)
{
	if (__builtin_expect(w->rows.len >= w->seal_at ||
				     w->rows.block.entry_cnt >= w->seal_entries, 0)) {
		(void)writer_seal(w); /* has noted the error */
		writer_rotate_if_due(w, writer_now_ns());
		writer_entries_set(w);
	}
}

/* The first pair, which goes into the header, and those that follow in the first block. */
static int clocks_begin(struct writer *w, const struct writer_options *options)
{
	const uint32_t cnt = options->pair_cnt;
	int err = 0;

	if (options->scale)
		w->scale = *options->scale;
	else
		err = clock_scale_init(&w->scale, options->counter_kind ? options->counter_kind :
									   COUNTER_KIND);
	if (err || !cnt)
		return err ? err : clock_pair_take(&w->scale, &w->pair);
	w->pair = options->pairs[0];
	w->pair_fixed = options->pairs_only;
	w->earlier = calloc(cnt, sizeof(*w->earlier));
	if (!w->earlier)
		return -ENOMEM;
	w->earlier_cnt = cnt - 1;
	memcpy(w->earlier, options->pairs + 1, w->earlier_cnt * sizeof(*w->earlier));
	return 0;
}

int writer_open(struct writer **out, const struct writer_options *options)
{
	static const struct {
		uint32_t block_bytes;
		int zstd_level;
	} profiles[] = {
		[WRITER_COMPRESS_DEFAULT] = { 4u << 20, 1 },
		[WRITER_COMPRESS_FAST] = { 1u << 20, 1 },
		[WRITER_COMPRESS_MAX] = { 8u << 20, 19 },
	};
	const uint32_t profile = options->compress;
	uint32_t block_bytes = options->block_bytes;
	struct writer *w;
	int err;

	*out = NULL;
	if (profile >= sizeof(profiles) / sizeof(profiles[0]))
		return -EINVAL;
	if (!block_bytes)
		block_bytes = profiles[profile].block_bytes;
	if (!options->path || block_bytes < BLOCK_BYTES_MIN || block_bytes > BLOCK_BYTES_MAX ||
	    options->tick_ns > NS_PER_SECOND)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->rows.tick_ns = options->tick_ns ? options->tick_ns : 1;
	w->event = options->event;
	w->event_arg = options->event_arg;
	w->sync = options->sync;
	w->host_given = options->host;
	snprintf(w->host, sizeof(w->host), "%s", options->host ? options->host : "");
	w->sched = options->sched;
	err = writer_rotation_open(w, options);
	if (err)
		goto fail;
	if (w->rotation.bytes && block_bytes > w->rotation.bytes / 4)
		block_bytes = (uint32_t)(w->rotation.bytes / 4);
	w->block_bytes = w->seal_at = block_bytes;
	writer_entries_set(w);
	err = block_out_open(&w->out, options);
	if (err)
		goto fail;
	w->columns = columns_encoder_open(options->zstd_level ? options->zstd_level : profiles[profile].zstd_level);
	if (!w->columns) {
		err = -ENOMEM;
		goto fail;
	}
	err = clocks_begin(w, options);
	if (!err)
		err = writer_header_write(w, w->out, &w->pair, w->number);
	if (!err)
		writer_old_remove(w);
	if (err)
		goto fail;
	*out = w;
	return 0;
fail:
	block_out_abandon(w->out);
	columns_encoder_close(w->columns);
	free(w->earlier);
	free(w);
	return err;
}

int writer_counter_set(struct writer *w, uint32_t counter_kind)
{
	const int64_t now = ticks_now(w);
	struct clock_scale scale;
	int err;

	if (w->records_sealed || w->rows.block.record_cnt || w->unwritten)
		return -EBUSY;
	err = clock_scale_init(&scale, counter_kind);
	if (err)
		return err;
	clock_scale_shift(&scale, now); /* the first pair, and times of losses, stay true */
	w->scale = scale;
	err = clock_pair_take(&w->scale, &w->pair);
	if (err || w->begun || !block_out_restart(w->out))
		return err;
	return writer_error(w, writer_header_write(w, w->out, &w->pair, w->number));
}

void writer_journal(struct writer *w, const struct writer_journal *journal)
{
	memset(&w->journal, 0, sizeof(w->journal));
	if (journal)
		w->journal = *journal;
}

void writer_state_get(const struct writer *w, struct writer_state *out)
{
	out->thread_cnt = w->catalog.thread_cnt;
	out->format_cnt = w->catalog.format_cnt;
	memcpy(out->file_id, block_out_file_id(w->out), sizeof(out->file_id));
	out->scale = w->scale;
	out->pair = w->pair;
}

int writer_reopen(struct writer **out, int fd, struct recover_walk *walk,
		  const struct writer_state *state)
{
	struct writer *w = calloc(1, sizeof(*w));
	int err;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	w->block_bytes = w->seal_at = BLOCK_BYTES_REOPENED;
	w->files = 1;
	writer_entries_set(w);
	w->rows.tick_ns = 1; /* of `walk` and `state` */
	w->pair_fixed = true;
	w->pair.ticks = walk->clock_ticks;
	w->pair.realtime_ns = walk->clock_realtime_ns;
	if (state) {
		w->scale = state->scale;
		w->pair = state->pair;
	}
	err = block_out_reopen(&w->out, fd, walk);
	if (!err && state)
		err = catalog_out_reserve(&w->catalog, state->thread_cnt, state->format_cnt);
	if (err) {
		(void)block_out_close(w->out);
		catalog_out_fini(&w->catalog);
		free(w);
		return err;
	}
	*out = w;
	return 0;
}

void writer_abandon(struct writer *w)
{
	if (!w)
		return;
	(void)block_out_close(w->out); /* nothing is open: the descriptor is the caller's */
	catalog_out_fini(&w->catalog);
	rows_fini(&w->rows);
	columns_encoder_close(w->columns);
	free(w->earlier);
	free(w->losses.list);
	free(w->carry.list);
	free(w);
}

int writer_tail_seal(struct writer *w, const struct tail_in *tail)
{
	struct rows_summary summary = { .time_min = tail->entry_min, .time_max = tail->entry_max,
					.lost = tail->lost, .record_cnt = tail->record_cnt,
					.level_mask = tail->level_mask };
	int err;

	block_out_hints(w->out, FILE_HINT_RECOVERED_TAIL);
	err = writer_error(w, block_out_write(w->out, FILE_BLOCK_ROWS, &summary, &w->pair, tail->rows,
					    tail->bytes));
	block_out_hints(w->out, 0);
	if (!err)
		w->records_sealed += tail->record_cnt;
	return err;
}

int writer_thread_at(struct writer *w, uint32_t number, uint32_t process, uint32_t tid, uint64_t key,
		     const char *name)
{
	return catalog_out_thread_at(&w->catalog, number, process, tid, key, name);
}

int writer_process_add(struct writer *w, const struct writer_process *process)
{
	return catalog_out_process(&w->catalog, process);
}

int writer_thread_add(struct writer *w, uint32_t process, uint32_t tid, uint64_t key, const char *name)
{
	return catalog_out_thread(&w->catalog, process, tid, key, name);
}

int writer_format_add(struct writer *w, uint32_t process, const struct writer_format *format)
{
	return catalog_out_format(&w->catalog, process, format);
}

int writer_record(struct writer *w, uint32_t thread, uint32_t format, const uint64_t *record,
		  uint32_t bytes)
{
	int err;

	if (thread >= w->catalog.thread_cnt || format >= w->catalog.format_cnt)
		return -EINVAL;
	if (bytes < QSLOG_RECORD_HEADER_BYTES || bytes % 8 || bytes > FILE_STRING_BYTES_MAX)
		return -EBADMSG;
	if (!w->building) {
		err = writer_block_begin(w, clock_ticks(&w->scale, record[1]));
		if (err)
			return err;
	}
	err = rows_record(&w->rows, &w->catalog, &w->scale, w->catalog.threads[thread], thread,
			  w->catalog.formats[format], record, bytes);
	if (err)
		return err;
	writer_block_check(w);
	return 0;
}

int writer_loss(struct writer *w, uint32_t thread, enum loss_cause cause, uint64_t count)
{
	struct loss loss = { thread, (uint32_t)cause, count };
	int err;

	if (thread >= w->catalog.thread_cnt || (unsigned)cause >= LOSS_CAUSE_COUNT)
		return -EINVAL;
	if (!count)
		return 0;
	err = writer_block_begin(w, w->pair.ticks);
	if (err)
		return err;
	err = losses_add(&w->losses, thread, loss.cause, count);
	if (err)
		return err;
	err = loss_append(w, &loss);
	if (err) {
		w->losses.cnt--;
		return err;
	}
	w->lost_by[cause] += count;
	writer_block_check(w);
	return 0;
}

int writer_loss_time(struct writer *w, uint32_t thread, uint64_t counter)
{
	struct out_thread *t;

	if (thread >= w->catalog.thread_cnt)
		return -EINVAL;
	t = w->catalog.threads[thread];
	t->last_ticks = clock_ticks(&w->scale, counter);
	t->has_ticks = true;
	return 0;
}

int writer_clock(struct writer *w)
{
	if (w->building)
		return pair_append(w);
	return w->pair_fixed ? 0 : clock_pair_take(&w->scale, &w->pair);
}

static int flush_result(const struct writer *w)
{
	return w->error ? w->error : w->failing;
}

static void sync_if_due(struct writer *w, uint64_t now)
{
	if (w->sync != WRITER_SYNC_INTERVAL || now - w->synced_ns < SYNC_NS)
		return;
	w->synced_ns = now;
	writer_error(w, block_out_sync(w->out));
}

/* Rows that are in no frame yet become one. */
static void frame_write(struct writer *w)
{
	int err = 0;

	if (w->paired < w->rows.len && ticks_now(w) - w->pair_written >= CLOCK_INTERVAL_NS)
		err = pair_append(w);
	tap_feed(w);
	journal_begin(w, true);
	if (!err)
		err = w->gone;
	if (!err)
		err = block_out_frame(w->out, &w->rows.frame, w->rows.data + w->framed,
				      w->rows.len - w->framed);
	if (!err) {
		w->framed = w->rows.len;
		rows_frame_begin(&w->rows);
	}
	journal_end(w, !err);
	if (err) /* there may be room for what is smaller */
		(void)writer_seal(w);
}

int writer_flush(struct writer *w)
{
	const uint64_t now = writer_now_ns();
	int err = 0;

	writer_look(w, now, false);
	if (w->failing && w->building && now - w->failing_tried_ns >= RETRY_NS)
		(void)writer_seal(w);
	writer_rotate_if_due(w, now);
	writer_entries_set(w);
	/* what could not be reported goes before a tail that stays empty for long */
	if (!w->building && carries(w))
		err = writer_error(w, writer_block_begin(w, w->pair.ticks));
	if (err || !w->building || w->framed >= w->rows.len || !w->rows.block.entry_cnt)
		pair_note(w);
	else if (w->failing && now - w->failing_tried_ns < RETRY_NS)
		; /* soon */
	else if (!block_out_has_tail(w->out))
		(void)writer_seal(w); /* has noted the error */
	else
		frame_write(w);
	sync_if_due(w, now);
	return flush_result(w);
}

void writer_totals_get(const struct writer *w, struct writer_totals *out)
{
	unsigned i;

	memset(out, 0, sizeof(*out));
	out->records = w->records_sealed + w->rows.block.record_cnt;
	for (i = 0; i < LOSS_CAUSE_COUNT; i++) {
		out->lost_by[i] = w->lost_by[i];
		out->lost += w->lost_by[i];
	}
	out->records_unwritten = w->unwritten;
	out->off_cnt = w->off_cnt;
	out->off_lost = w->off_lost;
	out->file_bytes = w->bytes_before + block_out_bytes(w->out);
	out->files = w->files;
	out->failing = w->failing;
	out->text_bytes = w->text_sealed + w->rows.block.text_bytes;
	out->error = w->error;
}

void writer_tap(struct writer *w, void (*rows)(void *arg, const void *data, uint32_t bytes), void *arg)
{
	w->tap = rows;
	w->tap_arg = arg;
	w->tapped = 0; /* the block from its start, without which the rest could not be decoded */
}

int writer_close(struct writer *w, struct writer_totals *totals)
{
	int err;

	if (!w)
		return 0;
	w->closing = true;
	writer_look(w, writer_now_ns(), true);
	(void)writer_seal(w); /* has noted the error */
	while (carries(w)) {
		if (writer_error(w, writer_block_begin(w, w->pair.ticks)) || writer_seal(w))
			break; /* counted in the totals, but the file cannot say it */
	}
	if (!carries(w)) /* else it would say that nothing else is missing */
		writer_error(w, block_out_finish(w->out, false));
	if (w->sync != WRITER_SYNC_NONE)
		writer_error(w, block_out_sync(w->out));
	if (totals)
		writer_totals_get(w, totals);
	writer_error(w, block_out_close(w->out));
	if (totals)
		totals->error = w->error;
	err = w->error;
	catalog_out_fini(&w->catalog);
	rows_fini(&w->rows);
	columns_encoder_close(w->columns);
	free(w->earlier);
	free(w->losses.list);
	free(w->carry.list);
	free(w);
	return err;
}
