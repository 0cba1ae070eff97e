/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_in.h - the file as a list of blocks: from the index where there is a valid one, else by
 * walking the headers and looking for the next magic after damage. Reads with pread only, so that
 * a file that is cut short meanwhile is an error and not a signal.
 */
#ifndef QSLOG_BLOCK_IN_H
#define QSLOG_BLOCK_IN_H

#include <stdatomic.h>
#include <zstd.h>

#include "file_format.h"
#include "reader.h"
#include "recover_tail.h"

struct block_ref {
	uint64_t offset, sequence, lost;
	int64_t time_min, time_max, clock_ticks, clock_realtime_ns;
	uint32_t record_cnt;
	uint8_t level_mask;
	/* The block before was left out; this was its clock pair. (Of the reader.) */
	bool skipped;
	int64_t skipped_ticks, skipped_realtime_ns;
};

/* Where payloads are read and decompressed into; used again for the next. Zeroed at first. */
struct block_buffer {
	ZSTD_DCtx *zstd;
	uint8_t *stored, *raw;
	size_t stored_cap, raw_cap;
	uint16_t hints;	     /* FILE_HINT_*, of its header */
	const uint8_t *data; /* the payload */
	uint32_t bytes;
};

struct block_in {
	int fd;
	_Atomic uint64_t read_bytes; /* of the file, so far */
	char *path;
	uint64_t size;
	bool key_known;
	uint64_t file_key;
	reader_damage_fn *damage;
	void *damage_arg;
	uint64_t damaged; /* reports so far */
	struct block_ref *refs; /* blocks of rows, in the order of the file */
	uint32_t ref_cnt, ref_cap;
	bool has_index;
	uint64_t unknown_at; /* of the first in the index that has records, of an unknown kind; or 0 */
	bool cut_off; /* the file ends within a block; not reported, as the tail may have it */
	uint64_t cut_off_at;
	uint64_t last_sequence; /* of any block of the file */
	struct block_buffer header; /* payload of the first block; no data if unreadable */
};

/* Opens and lists. Errors are those of reader_open(); block_in_close() follows in any case. */
int block_in_open(struct block_in *in, const char *path, reader_damage_fn *damage, void *arg);
void block_in_damage(struct block_in *in, const char *path, uint64_t offset, const char *what);

/*
 * The rows of a block in b->data. Before columns are decoded, `peek` (unless NULL) is asked whether
 * to: *peek_wanted is what it said; it returns 0 or -ENOMEM. NULL: fine, or *err is -ENOMEM; else
 * what is wrong, which is not reported yet. For several threads at once.
 */
struct columns_in;
typedef int block_peek_fn(void *arg, struct columns_in *columns, bool *wanted);
const char *block_in_load(struct block_in *in, const struct block_ref *ref, struct block_buffer *b,
			  block_peek_fn *peek, void *arg, bool *wanted, int *err);
void block_buffer_fini(struct block_buffer *b);
void block_in_close(struct block_in *in);

/* ---- between block_in.c and index_in.c ---- */

/* NULL: a valid header; else what is wrong. Whether the payload is all there is another matter. */
const char *block_in_header(struct block_in *in, uint64_t offset, struct file_block_header *h);
/* The payload, decompressed. NULL: fine, or *err is -ENOMEM; else what is wrong. */
const char *block_in_payload(struct block_in *in, uint64_t offset,
			     const struct file_block_header *h, struct block_buffer *b, int *err);
int block_in_ref_add(struct block_in *in, const struct block_ref *ref);
bool index_in_trailer(struct block_in *in, uint64_t offset, struct file_trailer *t);
/* Fills in->refs. 0; -EBADMSG: not to be believed (refs are to be thrown away); -ENOMEM. */
int index_in_load(struct block_in *in, const struct file_trailer *trailer);

/* pread of exactly `bytes`: 0, -EIO where the file ends before, or -errno. */
int block_in_read(struct block_in *in, void *data, size_t bytes, uint64_t offset);

#endif
