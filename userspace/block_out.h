/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_out.h - blocks, index and tail on their way to disk: headers, checksums, compression and
 * the handling of write errors. Knows nothing of what is in the rows.
 */
#ifndef QSLOG_BLOCK_OUT_H
#define QSLOG_BLOCK_OUT_H

#include "clock_pair.h"
#include "file_format.h"
#include "index_out.h"
#include "output_file.h"
#include "recover_walk.h"
#include "rows_encode.h"
#include "writer.h"

struct block_out;

/* Creates PATH (and, at the first frame, PATH.tail). 0 or -errno. */
int block_out_open(struct block_out **out, const struct writer_options *options);
/* Goes on with a file that was not closed, through a descriptor that stays the caller's; `walk` is
 * of this file, and its entries move over. Nothing is written yet; blocks get FILE_HINT_RECOVERED.
 * There is no tail. 0 or -errno. */
int block_out_reopen(struct block_out **out, int fd, struct recover_walk *walk);
/* The file after `before`, in the same folder: `name` must not be taken; or `file` moves over, and is
 * empty. It has no tail before block_out_tail_move(). Not removed by block_out_close(). */
int block_out_successor(struct block_out **out, const struct block_out *before, const char *name,
			struct output_file *file);
/* The tail was deleted: another one. 0 or -errno: there is none any more. */
int block_out_tail_anew(struct block_out *o);
void block_out_tail_move(struct block_out *o, struct block_out *from);
/* Further FILE_HINT_* flags of the blocks that are written from now on. */
void block_out_hints(struct block_out *o, uint16_t hints);
const uint8_t *block_out_file_id(const struct block_out *o); /* 16 bytes */
struct output_file *block_out_file(struct block_out *o);
struct output_file *block_out_tail(struct block_out *o); /* fd -1: there is none */
int block_out_folder(const struct block_out *o);
const char *block_out_name(const struct block_out *o); /* in the folder, as that of the tail */
const char *block_out_tail_name(const struct block_out *o);
void block_out_name_take(struct block_out *o, char *name); /* from malloc */
const struct index_out *block_out_index(const struct block_out *o);
/* The file was truncated, to what `walk` has found in it. Sequence numbers go on. */
int block_out_cut(struct block_out *o, const struct recover_walk *walk);
/* Forgets the blocks that were written, so that the file begins anew. False where that cannot be:
 * it is a pipe, or its length cannot be changed. Not for a file that has an index block. */
bool block_out_restart(struct block_out *o);
bool block_out_has_tail(const struct block_out *o);
uint64_t block_out_bytes(const struct block_out *o); /* length of the file */
/* The numbers that the next block, and the next frame of the tail, will have. */
void block_out_next(const struct block_out *o, uint64_t *sequence, uint32_t *frame);

/*
 * Appends a block. When this fails (-errno), the file is as it was, as far as the system allows,
 * and the next block gets the sequence number of this one. A frame of the tail that has the same
 * rows becomes void as soon as the block is in the file.
 */
int block_out_write(struct block_out *o, enum file_block_kind kind,
		    const struct rows_summary *summary, const struct clock_pair *pair,
		    const void *raw, uint32_t raw_bytes);

/* Appends rows of the block being built to the tail. */
int block_out_frame(struct block_out *o, const struct rows_summary *summary, const void *rows,
		    uint32_t bytes);
/* Empties the tail: its rows could not be sealed and will not be. */
int block_out_frames_drop(struct block_out *o);

/* Index and trailer: the last writes. 0 or -errno; without them a reader walks the headers.
 * `continued`: they say that another file of the set follows. */
int block_out_finish(struct block_out *o, bool continued);
/* And yet it goes on: the trailer is cut off. */
int block_out_unfinish(struct block_out *o);

/* What has been written, to the device. */
int block_out_sync(struct block_out *o);
/* What was written may not be there: the first such error since the last call, 0: none. */
int block_out_sync_error(struct block_out *o);
void block_out_sync_note(struct block_out *o, int err);

/* Removal of the tail, close, free. NULL is accepted. */
int block_out_close(struct block_out *o);
/* The same for a file that is not worth keeping: it is removed, if it is a regular file. */
void block_out_abandon(struct block_out *o);

#endif
