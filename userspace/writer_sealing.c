/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer_sealing.c - a block that has all of its rows is packed by another thread (seal_thread.h) while
 * the next is being built; the writer's own thread writes it.
 *
 * There is one at a time. Nothing that comes behind it may be written before it is: not the next block, and
 * no frame of the next block's rows, since a tail has the rows of one block only. Its own frames stay
 * in the tail until then. So files and tails look as they do without, at every moment; whoever
 * flushes, seals, rotates or closes waits for it first. A block that waits for room stays here, packed.
 */
#include <errno.h>
#include <stdlib.h>

#include "seal_thread.h"
#include "writer_priv.h"

bool writer_sealing(const struct writer *w)
{
	return w->sealing.there && !w->failing && seal_thread_busy(w->seal_thread);
}

int writer_sealing_begin(struct writer *w)
{
	struct writer_sealing *s = &w->sealing;
	const struct rows spare = s->rows;
	int err;

	if (!w->seal_thread) {
		err = seal_thread_open(&w->seal_thread, w->columns);
		w->threaded = !err;
		if (err)
			return err;
	}
	s->losses.cnt = 0;
	err = writer_block_lost(w, &s->losses);
	if (err)
		return err;
	s->rows = w->rows;
	s->pair = w->pair;
	s->there = true;
	w->rows.columns = spare.columns;
	w->rows.data = spare.data;
	w->rows.data_cap = spare.data_cap;
	w->rows.data_len = 0;
	w->file_records += s->rows.block.record_cnt;
	w->file_blocks++;
	seal_thread_begin(w->seal_thread, s->rows.columns, s->rows.len);
	return 0;
}

static int sealing_write(struct writer *w)
{
	struct writer_sealing *s = &w->sealing;
	const uint8_t *payload;
	uint32_t bytes;
	int err = seal_thread_end(w->seal_thread, &payload, &bytes);

	haste_after(&w->haste, writer_backlog(w));
	writer_look(w, writer_now_ns(), true);
	if (w->gone)
		return w->gone;
	return writer_block_put(w, &s->rows, &s->pair, err ? NULL : payload, bytes);
}

int writer_sealing_end(struct writer *w)
{
	struct writer_sealing *s = &w->sealing;
	size_t i;
	int err, drop_err = 0;

	if (!s->there)
		return 0;
	err = sealing_write(w);
	if (err && writer_write_failed(w, err))
		return -EAGAIN;
	s->there = false;
	if (!err) {
		writer_block_written(w, &s->rows.block);
		return 0;
	}
	for (i = 0; i < s->losses.cnt && !drop_err; i++)
		drop_err = losses_add(&w->carry, s->losses.list[i].thread, s->losses.list[i].cause,
				      s->losses.list[i].count);
	writer_block_given_up(w, &s->rows.block, err);
	writer_error(w, drop_err);
	return err;
}

void writer_sealing_fini(struct writer *w)
{
	seal_thread_close(w->seal_thread);
	rows_fini(&w->sealing.rows);
	free(w->sealing.losses.list);
}
