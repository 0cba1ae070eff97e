/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.c - the calls of writer.h: opening and closing, records and losses into the rows of the block
 * that is being built (writer_block.c), flushes that make them readable (a frame in the tail).
 */
#include "writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seal_thread.h"
#include "writer_priv.h"
#include "writer_state.h"

#define NS_PER_SECOND 1000000000u
#define BLOCK_BYTES_REOPENED (1u << 20)
#define BLOCK_BYTES_MIN (4u << 10)
#define BLOCK_BYTES_MAX (16u << 20)
#define RETRY_NS 100000000
#define SYNC_NS 1000000000

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
	if (!block_bytes) {
		block_bytes = profiles[profile].block_bytes;
		if (options->seal_thread) /* there are two of them, and 64 MiB are enough */
			block_bytes -= block_bytes / 4;
	}
	if (!options->path || block_bytes < BLOCK_BYTES_MIN || block_bytes > BLOCK_BYTES_MAX ||
	    options->tick_ns > NS_PER_SECOND)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->rows.tick_ns = options->tick_ns ? options->tick_ns : 1;
	w->event = options->event;
	w->event_arg = options->event_arg;
	w->backlog = options->backlog;
	w->backlog_arg = options->backlog_arg;
	w->sync = options->sync;
	w->host_given = options->host;
	snprintf(w->host, sizeof(w->host), "%s", options->host ? options->host : "");
	w->sched = options->sched;
	w->threaded = options->seal_thread && seal_thread_worth();
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
	err = writer_pairs_begin(w, options);
	if (!err)
		err = writer_header_write(w, w->out, &w->pair, w->number);
	if (!err)
		writer_old_remove(w);
	if (err)
		goto fail;
	*out = w;
	return 0;
fail:
	writer_sealing_fini(w);
	block_out_abandon(w->out);
	columns_encoder_close(w->columns);
	free(w->earlier);
	free(w);
	return err;
}

int writer_counter_set(struct writer *w, uint32_t counter_kind)
{
	const int64_t now = writer_ticks_now(w);
	struct clock_scale scale;
	int err;

	if (w->records_sealed || w->rows.block.record_cnt || w->unwritten || w->sealing.there)
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
	writer_sealing_fini(w);
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
	err = writer_loss_append(w, &loss);
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
		return writer_pair_append(w);
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
	const uint8_t *rows;
	int err = 0;

	if (w->paired < w->rows.len && writer_ticks_now(w) - w->pair_written >= WRITER_PAIRS_NS)
		err = writer_pair_append(w);
	writer_tap_feed(w);
	writer_journal_begin(w, true);
	if (!err)
		err = w->gone;
	rows = rows_data(&w->rows);
	if (!err)
		err = rows ? block_out_frame(w->out, &w->rows.frame, rows + w->framed,
					     w->rows.len - w->framed) : -ENOMEM;
	if (!err) {
		w->framed = w->rows.len;
		rows_frame_begin(&w->rows);
	}
	writer_journal_end(w, !err);
	if (err) /* there may be room for what is smaller */
		(void)writer_seal(w);
}

int writer_flush(struct writer *w)
{
	const uint64_t now = writer_now_ns();
	int err = 0;

	writer_look(w, now, false);
	if (!w->failing)
		(void)writer_sealing_end(w); /* has noted the error */
	else if ((w->building || w->sealing.there) && now - w->failing_tried_ns >= RETRY_NS)
		(void)writer_seal(w);
	if (w->sealing.there) /* nothing goes before it */
		return flush_result(w);
	writer_rotate_if_due(w, now);
	writer_entries_set(w);
	/* what could not be reported goes before a tail that stays empty for long */
	if (!w->building && writer_carries(w))
		err = writer_error(w, writer_block_begin(w, w->pair.ticks));
	if (err || !w->building || w->framed >= w->rows.len || !w->rows.block.entry_cnt)
		writer_pair_note(w);
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
	out->records = w->records_sealed + w->rows.block.record_cnt +
		       (w->sealing.there ? w->sealing.rows.block.record_cnt : 0);
	for (i = 0; i < LOSS_CAUSE_COUNT; i++) {
		out->lost_by[i] = w->lost_by[i];
		out->lost += w->lost_by[i];
	}
	out->records_unwritten = w->unwritten;
	out->off_cnt = w->off_cnt;
	out->off_lost = w->off_lost;
	out->file_bytes = w->bytes_before + block_out_bytes(w->out);
	out->files = w->files;
	out->blocks = w->blocks;
	out->blocks_hasty = w->blocks_hasty;
	out->failing = w->failing;
	out->text_bytes = w->text_sealed + w->rows.block.text_bytes +
			  (w->sealing.there ? w->sealing.rows.block.text_bytes : 0);
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
	while (writer_carries(w)) {
		if (writer_error(w, writer_block_begin(w, w->pair.ticks)) || writer_seal(w))
			break; /* counted in the totals, but the file cannot say it */
	}
	if (!writer_carries(w)) /* else it would say that nothing else is missing */
		writer_error(w, block_out_finish(w->out, false));
	if (w->sync != WRITER_SYNC_NONE)
		writer_error(w, block_out_sync(w->out));
	if (totals)
		writer_totals_get(w, totals);
	writer_error(w, block_out_close(w->out));
	if (totals)
		totals->error = w->error;
	err = w->error;
	writer_sealing_fini(w);
	catalog_out_fini(&w->catalog);
	rows_fini(&w->rows);
	columns_encoder_close(w->columns);
	free(w->earlier);
	free(w->losses.list);
	free(w->carry.list);
	free(w);
	return err;
}
