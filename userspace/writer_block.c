/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer_block.c - the life of a block: rows collect in memory (rows_encode.c) until there are enough
 * of them, and are sealed into the file (block_out.c).
 *
 * When a block cannot be sealed its records are given up and counted, thread by thread; these
 * counts, and the losses that the block itself reported, are carried into the next block.
 */
#include <errno.h>
#include <string.h>

#include "writer_priv.h"

#define ROWS_BYTES_LEAST 16u /* of a record, in a block: shorter ones make it shorter, so that columns are */
#define CARRY_PER_BLOCK 65536u
#define COLUMNS_BYTES_MIN 2048u /* of rows: fewer are smaller as they are */
#define HOLD_BYTES (8u << 20)		/* rows that wait for room to be written */
#define HOLD_JOURNAL_NS 1000000000	/* that long where threads wait for it */

int writer_loss_append(struct writer *w, const struct loss *loss)
{
	struct out_thread *t = w->catalog.threads[loss->thread];
	int64_t ticks = t->has_ticks	? t->last_ticks :
			w->pair_fixed	? w->pair.ticks :
					  writer_ticks_now(w);

	return rows_loss(&w->rows, &w->catalog, t, loss->thread, loss->cause, loss->count, ticks);
}

/* Begins a block if none is being built; what the last could not report comes first. */
int writer_block_begin(struct writer *w, int64_t ticks)
{
	uint32_t n = 0;
	int err;

	if (w->building)
		return 0;
	w->rows.direct = w->haste.on || !w->columns;
	err = writer_pairs_block(w, ticks);
	if (err)
		return err;
	w->building = w->begun = true;
	w->framed = 0;
	w->tapped = 0;
	err = writer_pairs_earlier(w);
	if (err)
		return err;
	w->paired = w->rows.len;
	for (; w->carry.cnt && n < CARRY_PER_BLOCK; n++) {
		struct loss loss = w->carry.list[w->carry.cnt - 1];

		err = losses_add(&w->losses, loss.thread, loss.cause, loss.count);
		if (!err)
			err = writer_loss_append(w, &loss);
		if (err)
			return err;
		w->carry.cnt--;
	}
	return writer_off_begin(w);
}

/* What is to be said of the block if it is not written: what it would have told, and its records. */
int writer_block_lost(const struct writer *w, struct losses *out)
{
	size_t i;
	uint32_t t;
	int err = 0;

	for (i = 0; i < w->losses.cnt && !err; i++)
		err = losses_add(out, w->losses.list[i].thread, w->losses.list[i].cause,
				 w->losses.list[i].count);
	for (t = 0; t < w->catalog.thread_cnt && !err; t++) {
		struct out_thread *thread = w->catalog.threads[t];

		if (thread && thread->entry.seen == w->rows.generation && thread->block_records)
			err = losses_add(out, t, LOSS_UNWRITTEN, thread->block_records);
	}
	return err;
}

void writer_block_given_up(struct writer *w, const struct rows_summary *block, int err)
{
	w->gave_up = true;
	writer_error(w, err);
	losses_merge(&w->carry);
	writer_off_drop(w, block);
	w->unwritten += block->record_cnt;
	w->lost_by[LOSS_UNWRITTEN] += block->record_cnt;
	if (block_out_has_tail(w->out))
		writer_error(w, block_out_frames_drop(w->out));
}

/* Is there something that the last block could not report? */
bool writer_carries(const struct writer *w)
{
	return w->carry.cnt || w->off_carry.cnt;
}

void writer_tap_feed(struct writer *w)
{
	const uint8_t *rows = w->tap && w->tapped < w->rows.len ? rows_data(&w->rows) : NULL;

	if (rows)
		w->tap(w->tap_arg, rows + w->tapped, w->rows.len - w->tapped);
	if (rows || !w->tap) /* without memory, the next time */
		w->tapped = w->rows.len;
}

void writer_journal_begin(struct writer *w, bool frame)
{
	uint64_t sequence;
	uint32_t number;

	if (!w->journal.begin)
		return;
	block_out_next(w->out, &sequence, &number);
	w->journal.begin(w->journal.arg, sequence, frame ? number : WRITER_NO_FRAME);
}

void writer_journal_end(struct writer *w, bool settled)
{
	if (w->journal.end)
		w->journal.end(w->journal.arg, settled);
}

unsigned int writer_backlog(const struct writer *w)
{
	return w->backlog ? w->backlog(w->backlog_arg) : 0;
}

/* Is it to be packed? Few rows are smaller than what describes columns, and there may be no time for it. */
static bool block_packs(struct writer *w)
{
	const bool many = w->columns && w->rows.len >= COLUMNS_BYTES_MIN;

	w->rows.block.hasty = many && (haste_before(&w->haste, writer_backlog(w)) || w->rows.direct);
	return many && !w->rows.block.hasty;
}

int writer_block_put(struct writer *w, struct rows *rows, const struct clock_pair *newest,
		     const uint8_t *payload, uint32_t bytes)
{
	const struct clock_pair pair = clock_pair_coarse(newest, rows->tick_ns);
	const uint8_t *data;

	if (!payload || bytes >= rows->len) {
		data = rows_data(rows);
		return data ? block_out_write(w->out, FILE_BLOCK_ROWS, &rows->block, &pair, data,
					      rows->len) : -ENOMEM;
	}
	rows->block.rows_bytes = rows->len;
	return block_out_write(w->out, FILE_BLOCK_COLUMNS, &rows->block, &pair, payload, bytes);
}

static int block_store(struct writer *w, bool packs)
{
	const uint8_t *payload = NULL;
	uint32_t bytes = 0;

	if (packs) {
		if (columns_encode(w->columns, w->rows.columns, w->rows.len, &payload, &bytes))
			payload = NULL;
		haste_after(&w->haste, writer_backlog(w));
	}
	return writer_block_put(w, &w->rows, &w->pair, payload, bytes);
}

/* A write has failed. True: what was to be written waits, and is tried again. */
bool writer_write_failed(struct writer *w, int err)
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
	    w->rows.block.entry_cnt >= FILE_RECORDS_MAX / 2 ||
	    w->rows.len + (w->sealing.there ? w->sealing.rows.len : 0) >= HOLD_BYTES ||
	    (w->journal.begin && (w->gave_up || now - w->failing_since_ns >= HOLD_JOURNAL_NS)))
		return false;
	/* each time all of it is compressed anew */
	w->seal_at = w->rows.len + (w->rows.len > w->block_bytes ? w->rows.len : w->block_bytes) / 2;
	return true;
}

/* No file has more records than it may. What waits for room is not tried with each record. */
void writer_entries_set(struct writer *w)
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

void writer_block_written(struct writer *w, const struct rows_summary *block)
{
	writer_error(w, block_out_sync_error(w->out));
	w->records_sealed += block->record_cnt;
	w->text_sealed += block->text_bytes;
	w->blocks++;
	w->blocks_hasty += block->hasty;
	write_succeeded(w);
}

/* `later`: it may be packed by another thread, and is not in the file then. */
static int block_write(struct writer *w, bool later)
{
	bool packs;
	int err = 0;

	if (w->paired < w->rows.len)
		err = writer_pair_append(w);
	else if (w->pair.ticks != w->pair_written) /* the header has the rows' last */
		err = writer_pair_put(w);
	writer_tap_feed(w);
	writer_journal_begin(w, false);
	if (!err)
		err = w->gone;
	if (!err) {
		packs = block_packs(w);
		if (packs && later && writer_sealing_begin(w) == 0)
			return 0;
		err = block_store(w, packs);
	}
	if (err && writer_write_failed(w, err)) {
		if (block_out_has_tail(w->out) && !block_out_tail(w->out)->len)
			writer_frames_restart(w); /* it had to make room */
		writer_journal_end(w, false);
		return -EAGAIN;
	}
	if (err) {
		writer_error(w, writer_block_lost(w, &w->carry));
		writer_block_given_up(w, &w->rows.block, err);
	} else {
		w->file_records += w->rows.block.record_cnt;
		w->file_blocks++;
		writer_block_written(w, &w->rows.block);
	}
	writer_journal_end(w, true);
	return err;
}

static int seal(struct writer *w, bool later)
{
	int err = writer_sealing_end(w);

	if (err == -EAGAIN)
		return w->failing;
	if (!w->building)
		return err;
	err = 0;
	if (w->rows.block.entry_cnt) {
		writer_look(w, writer_now_ns(), true);
		err = block_write(w, later && w->threaded && !w->failing && !w->journal.begin);
		if (err == -EAGAIN)
			return w->failing;
	}
	w->losses.cnt = 0;
	w->building = false;
	w->rows.len = 0;
	memset(&w->rows.block, 0, sizeof(w->rows.block));
	return err;
}

int writer_seal(struct writer *w)
{
	return seal(w, false);
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

/* An error of sealing is kept for flush and close. */
void writer_block_full(struct writer *w)
{
	(void)seal(w, true); /* has noted the error */
	writer_rotate_if_due(w, writer_now_ns());
	writer_entries_set(w);
}
