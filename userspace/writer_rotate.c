/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer_rotate.c - the file under a writer changes: it is completed and another one follows, or
 * somebody has deleted or truncated it.
 *
 * Blocks stand alone, so that a file needs nothing of the one before: each block tells again of its
 * processes, threads, formats and of what is open on its threads. Times go on on the same axis, and
 * the newest clock pairs are told again, so that what lies at the border has the same wall time in
 * both files.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "rotation.h"
#include "writer_priv.h"

#define RETRY_NS UINT64_C(1000000000)
#define LOOK_NS UINT64_C(100000000)
#define RATIO_GUESS 4 /* rows to stored bytes, before there was a block */

uint64_t writer_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int writer_rotation_open(struct writer *w, const struct writer_options *options)
{
	const struct writer_rotation *r = &options->rotation;

	w->rotation = *r;
	w->rotates = r->bytes || r->seconds || r->records || r->max_files;
	w->file_begun_ns = writer_now_ns();
	w->files = 1;
	if (r->bytes && r->bytes < WRITER_ROTATE_BYTES_MIN)
		return -EINVAL;
	if (w->rotates)
		return rotation_begin(options->path, w->set_id, &w->number);
	return getrandom(w->set_id, sizeof(w->set_id), 0) == (ssize_t)sizeof(w->set_id) ? 0 : -EIO;
}

void writer_old_remove(struct writer *w)
{
	int err = 0;

	if (w->rotation.max_files)
		err = file_set_trim(block_out_folder(w->out), block_out_name(w->out), w->set_id,
				    w->rotation.max_files - 1);
	if (err < 0)
		writer_event(w, WRITER_ROTATE_FAILED, err, 0, NULL);
}

/* `next` is the file from now on. */
static void file_change(struct writer *w, struct block_out *next, uint64_t number)
{
	struct block_out *before = w->out;

	w->bytes_before += block_out_bytes(before);
	w->files++;
	w->out = next;
	w->number = number;
	w->file_records = w->file_blocks = 0;
	w->file_begun_ns = writer_now_ns();
	w->bridge_due = w->put_cnt != 0;
	writer_error(w, block_out_close(before));
}

static void journal_file(struct writer *w, const struct block_out *next, bool done)
{
	if (w->journal.file)
		w->journal.file(w->journal.arg, block_out_file_id(next), done);
}

static int rotate(struct writer *w, uint64_t *done)
{
	struct block_out *next = NULL;
	int err;

	err = rotation_number(w->out, w->number, done);
	if (!err)
		err = rotation_prepare(&next, w->out);
	if (!err)
		err = writer_seal(w);
	/* Behind that: records that are still to come may be older than its last pair, and need the same ones. */
	if (!err)
		err = writer_header_write(w, next, writer_pairs_bridge(w), *done + 1);
	if (!err) {
		journal_file(w, next, false);
		err = rotation_switch(w->out, next, *done, w->sync != WRITER_SYNC_NONE);
	}
	if (err) {
		block_out_abandon(next);
		return err;
	}
	journal_file(w, next, true);
	file_change(w, next, *done + 1);
	return 0;
}

int writer_rotate(struct writer *w)
{
	char name[NAME_MAX + 1] = "";
	enum output_state state;
	uint64_t done, bytes;
	int err;

	if (!block_out_file(w->out)->regular)
		return -ESPIPE;
	state = output_file_state(block_out_file(w->out), block_out_folder(w->out),
				  block_out_name(w->out), &bytes);
	if (!w->file_blocks && !w->rows.block.entry_cnt && state == OUTPUT_THERE)
		return 0;
	err = rotate(w, &done);
	if (err) {
		w->rotate_not_before_ns = writer_now_ns() + RETRY_NS;
		writer_event(w, WRITER_ROTATE_FAILED, err, 0, NULL);
		return err;
	}
	if (state == OUTPUT_THERE) /* else it has that which somebody gave it */
		(void)file_set_name(name, sizeof(name), block_out_name(w->out), done); /* it could be given */
	writer_event(w, WRITER_ROTATED, 0, 0, name);
	writer_old_remove(w);
	return 0;
}

/* What the file would have if it were completed now, or with one more block such as those before. */
static uint64_t bytes_expected(const struct writer *w)
{
	const uint64_t bytes = block_out_bytes(w->out), index = (w->file_blocks + 2) * 72 + 512;
	const uint64_t blocks = w->file_blocks - (w->sealing.there && w->file_blocks ? 1 : 0);
	const uint64_t block = blocks ? bytes / blocks : w->block_bytes / RATIO_GUESS;
	const uint64_t sealing = w->sealing.there ? block : 0;
	const uint64_t rows = w->building ? w->rows.len : 0;
	const uint64_t now = block * rows / w->block_bytes;

	/* At a flush (rows != 0) the next will come before the estimate is twice as much. */
	return bytes + sealing + index + (rows ? 2 * now : block);
}

void writer_rotate_if_due(struct writer *w, uint64_t now_ns)
{
	const struct writer_rotation *r = &w->rotation;

	if (!w->rotates || w->failing || w->gone || now_ns < w->rotate_not_before_ns ||
	    (!w->file_blocks && !(w->building && w->rows.block.entry_cnt)))
		return;
	if ((r->bytes && bytes_expected(w) > r->bytes) ||
	    (r->records && w->file_records + w->rows.block.record_cnt >= r->records) ||
	    (r->seconds && now_ns - w->file_begun_ns >= r->seconds * 1000000000u))
		(void)writer_rotate(w); /* has said why not */
}

/* --- What others do to it. */

/* A new file takes the place of one that is gone, or of which nothing is left (`file`: it is that). */
static int file_anew(struct writer *w, struct output_file *file)
{
	struct block_out *next = NULL;
	char *name = strdup(block_out_name(w->out));
	int err = name ? 0 : -ENOMEM;

	if (!err)
		err = block_out_successor(&next, w->out, name, file);
	if (!err)
		err = writer_header_write(w, next, writer_pairs_bridge(w), w->number);
	if (err) {
		if (next && file) { /* to be tried again */
			*file = *block_out_file(next);
			block_out_file(next)->fd = -1;
		}
		block_out_abandon(next);
		free(name);
		return err;
	}
	free(name);
	journal_file(w, next, false);
	block_out_tail_move(next, w->out);
	writer_frames_restart(w);
	journal_file(w, next, true);
	file_change(w, next, w->number);
	w->files--;
	return 0;
}

static void file_gone(struct writer *w, struct output_file *file, enum writer_event event)
{
	const struct index_out *index = block_out_index(w->out);
	const uint64_t records = index->records, losses = index->lost;
	const bool first = !w->gone;

	w->gone = file_anew(w, file);
	if (w->gone)
		w->rotate_not_before_ns = writer_now_ns() + RETRY_NS;
	if (!first)
		return;
	w->bytes_before = 0;
	writer_lost_from_file(w, records, losses);
	writer_event(w, event, w->gone, records, block_out_name(w->out));
}

/* What is left of the file stays, the rest is counted. */
static void file_truncated(struct writer *w, uint64_t bytes)
{
	const struct index_out *index = block_out_index(w->out);
	const uint64_t records = index->records, losses = index->lost;
	struct output_file *file = block_out_file(w->out);
	struct recover_walk walk;
	int err;

	err = recover_walk_read(&walk, file->fd, bytes);
	if (!err && !walk.closed)
		err = block_out_cut(w->out, &walk);
	else if (!err)
		err = -EBADMSG;
	if (!err) {
		writer_lost_from_file(w, records - walk.records, losses - walk.lost);
		writer_event(w, WRITER_TRUNCATED, 0, records - walk.records, block_out_name(w->out));
	} else if (output_file_cut(file, 0) == 0) {
		file_gone(w, file, WRITER_TRUNCATED);
	}
	recover_walk_fini(&walk);
}

static void tail_look(struct writer *w)
{
	struct output_file *tail = block_out_tail(w->out);
	uint64_t bytes;

	switch (output_file_state(tail, block_out_folder(w->out), block_out_tail_name(w->out), &bytes)) {
	case OUTPUT_THERE:
		return;
	case OUTPUT_TRUNCATED:
		if (block_out_frames_drop(w->out))
			return;
		break;
	case OUTPUT_MOVED:
	case OUTPUT_DELETED:
		(void)block_out_tail_anew(w->out); /* without one, blocks are sealed instead */
		break;
	}
	writer_frames_restart(w);
}

void writer_look(struct writer *w, uint64_t now_ns, bool at_once)
{
	uint64_t bytes;

	if ((!at_once && now_ns - w->looked_ns < LOOK_NS) || w->pair_fixed ||
	    !block_out_file(w->out)->regular)
		return;
	w->looked_ns = now_ns;
	switch (output_file_state(block_out_file(w->out), block_out_folder(w->out),
				  block_out_name(w->out), &bytes)) {
	case OUTPUT_THERE:
	case OUTPUT_MOVED: /* it is still somewhere; writer_rotate() begins another one */
		break;
	case OUTPUT_DELETED:
		if (now_ns >= w->rotate_not_before_ns || w->closing)
			file_gone(w, NULL, WRITER_DELETED);
		break;
	case OUTPUT_TRUNCATED:
		file_truncated(w, bytes);
		break;
	}
	if (block_out_has_tail(w->out))
		tail_look(w);
}
