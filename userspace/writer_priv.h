/* SPDX-License-Identifier: BSD-2-Clause */
/* writer_priv.h - what the parts of the writer share: writer.c and writer_*.c. */
#ifndef QSLOG_WRITER_PRIV_H
#define QSLOG_WRITER_PRIV_H

#include "block_out.h"
#include "columns_encode.h"
#include "file_set.h"
#include "haste.h"
#include "losses.h"
#include "rows_encode.h"
#include "writer.h"

/* A block that is packed by another thread, or waits for room: writer_sealing.c. */
struct writer_sealing {
	bool there;
	struct rows rows; /* while it is not there, its memory is for the next */
	struct clock_pair pair;
	struct losses losses; /* if it cannot be written */
};

/* Of the pairs of a file, those of the last second are told again by the next, for records that have waited
 * as long: two at least, and so many at most. */
#define WRITER_PUT 256u
#define WRITER_PUT_NS 1000000000

/* Intervals off the CPU that could not be stored, until a file can say it. */
struct off_missing {
	uint64_t cnt;
	int64_t from, to;
};

struct writer {
	struct block_out *out;
	struct catalog_out catalog;
	struct clock_scale scale;
	struct clock_pair pair; /* the newest */
	int64_t pair_written;	/* ticks of the newest in the rows */
	bool begun;		/* there has been a block of rows */
	struct rows rows;
	struct columns_encoder *columns; /* NULL: blocks stay rows */
	bool threaded; /* blocks are packed by another thread: */
	struct seal_thread *seal_thread; /* from the first on; NULL: not yet */
	struct writer_sealing sealing;
	bool building;		/* rows has the beginning of a block */
	uint32_t block_bytes;
	uint32_t framed;	/* rows before this are in the tail */
	uint32_t tapped;	/* rows before this have been handed to the tap */
	uint32_t paired;	/* rows before this lie before the newest pair */
	struct losses losses;	/* in the block being built */
	struct losses carry;	/* to be put into the next block */
	uint64_t records_sealed, text_sealed;
	uint64_t lost_by[LOSS_CAUSE_COUNT];
	uint64_t unwritten;
	bool sched;		/* writer_options */
	struct off_missing off_carry;
	uint64_t off_cnt, off_lost; /* intervals taken, and missing */
	int error;
	void (*tap)(void *arg, const void *data, uint32_t bytes);
	void *tap_arg;
	struct writer_journal journal;
	int failing;	 /* of the newest write; 0: it went well */
	int gone;	 /* the file was deleted, and another could not be made for this reason */
	bool gave_up;	 /* something could not be kept since the last that went well */
	bool closing;
	uint32_t seal_at; /* rows at which a block is sealed, or tried again to be */
	uint32_t seal_entries;
	uint64_t failing_since_ns, failing_tried_ns, failing_unwritten;
	struct writer_rotation rotation;
	bool rotates;	 /* by itself */
	uint8_t set_id[FILE_SET_ID_BYTES];
	uint64_t number; /* of the file in its set; 0: none yet */
	uint64_t file_records; /* sealed in this file, or about to be */
	uint64_t file_blocks;
	uint64_t file_begun_ns, rotate_not_before_ns;
	uint64_t bytes_before; /* of files that are complete */
	uint32_t files;
	enum writer_sync sync;
	uint64_t synced_ns, looked_ns;
	struct clock_pair put[WRITER_PUT]; /* the last pairs in rows, the oldest first */
	uint32_t put_cnt;
	uint32_t bridge; /* from this one on they are to be in the first block of this file, if */
	bool bridge_due;
	void (*event)(void *arg, enum writer_event event, int err, uint64_t records, const char *name);
	void *event_arg;
	unsigned int (*backlog)(void *arg);
	void *backlog_arg;
	struct haste haste;
	uint64_t blocks, blocks_hasty; /* sealed, of all files */
	bool pair_fixed; /* the writer of the records is dead: `pair` was its last */
	struct clock_pair *earlier; /* to be put into the first block, which begins with `pair` */
	uint32_t earlier_cnt;
	bool host_given;
	char host[256]; /* of the header, if given */
};

/* The first error is kept for flush and close. Returns `err`. */
static inline int writer_error(struct writer *w, int err)
{
	if (err && !w->error)
		w->error = err;
	return err;
}

uint64_t writer_now_ns(void); /* CLOCK_MONOTONIC */

static inline void writer_event(struct writer *w, enum writer_event event, int err,
				uint64_t records, const char *name)
{
	if (w->event)
		w->event(w->event_arg, event, err, records, name);
}

/* --- writer_pairs.c */

#define WRITER_PAIRS_NS 100000000 /* between pairs that are taken at flushes */

/* The first pair, which goes into the header, and those that follow in the first block. */
int writer_pairs_begin(struct writer *w, const struct writer_options *options);
int writer_pairs_earlier(struct writer *w); /* the latter */
int64_t writer_ticks_now(const struct writer *w);
/* The newest pair, and a new one, behind the newest rows. */
int writer_pair_put(struct writer *w);
int writer_pair_append(struct writer *w);
/* While nothing comes: the newest is not old. */
void writer_pair_note(struct writer *w);
/* This one is in the file. */
void writer_pair_told(struct writer *w, const struct clock_pair *pair);
/* The first of those that the next file is told; the others go into its first block: w->bridge. */
const struct clock_pair *writer_pairs_bridge(struct writer *w);
/* Begins the rows of a block with these, or with the newest. */
int writer_pairs_block(struct writer *w, int64_t ticks);

/* --- writer_block.c */

/* Begins a block if none is being built, and seals it if there is enough in it. */
int writer_block_begin(struct writer *w, int64_t ticks);
void writer_block_full(struct writer *w);

/* After an append: is there enough? */
static inline void writer_block_check(struct writer *w)
{
	if (__builtin_expect(w->rows.len >= w->seal_at ||
				     w->rows.block.entry_cnt >= w->seal_entries, 0))
		writer_block_full(w);
}
/* How many entries a block may have now. */
void writer_entries_set(struct writer *w);
unsigned int writer_backlog(const struct writer *w); /* in percent */
/* Adds what is missing if the block being built cannot be written. 0 or -ENOMEM. */
int writer_block_lost(const struct writer *w, struct losses *out);
/* Writes rows; as columns if there is a payload and it is smaller. 0 or -errno. */
int writer_block_put(struct writer *w, struct rows *rows, const struct clock_pair *newest,
		     const uint8_t *payload, uint32_t bytes);
/* That has failed. True: what was to be written waits, and is tried again. */
bool writer_write_failed(struct writer *w, int err);
/* A block is in the file; or it will not be, for `err`, and what is missing is in w->carry. */
void writer_block_written(struct writer *w, const struct rows_summary *block);
void writer_block_given_up(struct writer *w, const struct rows_summary *block, int err);
int writer_loss_append(struct writer *w, const struct loss *loss);
/* Is there something that the last block could not report? */
bool writer_carries(const struct writer *w);
void writer_tap_feed(struct writer *w);
void writer_journal_begin(struct writer *w, bool frame);
void writer_journal_end(struct writer *w, bool settled);
/* Seals the block being built, if any. 0; -errno: it is held, or given up and counted. */
int writer_seal(struct writer *w);
/* The rows of the block are in no tail any more. */
void writer_frames_restart(struct writer *w);
/* Records, and losses that it told of, that were in the file are not any more. */
void writer_lost_from_file(struct writer *w, uint64_t records, uint64_t losses);

/* --- writer_sealing.c */

/* The block being built is to be packed meanwhile. 0: it is the caller's no more; -errno: it is. */
int writer_sealing_begin(struct writer *w);
/* Waits for it, and writes it. 0: there is none any more; -EAGAIN: it waits for room; other
 * errors: it was given up. */
int writer_sealing_end(struct writer *w);
void writer_sealing_fini(struct writer *w);

/* --- writer_off.c */

/* A block begins: what could not be stored of the one before is said. 0 or -ENOMEM. */
int writer_off_begin(struct writer *w);
/* A block is given up. */
void writer_off_drop(struct writer *w, const struct rows_summary *b);

/* --- writer_header.c */

/* The first block of a file: what there is to know about it; `pair` is its first. 0 or -errno. */
int writer_header_write(struct writer *w, struct block_out *out, const struct clock_pair *pair,
			uint64_t number);

/* --- writer_rotate.c */

/* Before the file is created. 0; -EINVAL: out of range; errors of rotation_begin(). */
int writer_rotation_open(struct writer *w, const struct writer_options *options);
/* Of the set, as many as are too many. */
void writer_old_remove(struct writer *w);
/* After something was sealed, and at flushes. */
void writer_rotate_if_due(struct writer *w, uint64_t now_ns);
/* Ten times a second, or `at_once`: is the file still there, and as long as it was? */
void writer_look(struct writer *w, uint64_t now_ns, bool at_once);

#endif
