/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_in.h - the file as a list of blocks: from the index where there is a valid one, else by
 * walking the headers and looking for the next magic after damage. Reads with pread only, so that
 * a file that is cut short meanwhile is an error and not a signal.
 */
#ifndef QSLOG_BLOCK_IN_H
#define QSLOG_BLOCK_IN_H

#include <zstd.h>

#include "file_format.h"
#include "reader.h"
#include "recover_tail.h"

struct block_ref {
	uint64_t offset, sequence, lost;
	int64_t time_min, time_max, clock_ticks, clock_realtime_ns;
	uint32_t record_cnt;
	uint8_t level_mask;
};

struct block_in {
	int fd;
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
	uint8_t *header_data;	/* payload of the first block, NULL if unreadable */
	uint32_t header_bytes;
	ZSTD_DCtx *zstd;
};

/* Opens and lists. Errors are those of reader_open(); block_in_close() follows in any case. */
int block_in_open(struct block_in *in, const char *path, reader_damage_fn *damage, void *arg);
void block_in_damage(struct block_in *in, const char *path, uint64_t offset, const char *what);

/* The rows of a block, from malloc. -EBADMSG: damaged, and reported. */
int block_in_rows(struct block_in *in, const struct block_ref *ref, uint8_t **rows,
		  uint32_t *bytes);
void block_in_close(struct block_in *in);

/* ---- between block_in.c and index_in.c ---- */

/* NULL: a valid header; else what is wrong. Whether the payload is all there is another matter. */
const char *block_in_header(struct block_in *in, uint64_t offset, struct file_block_header *h);
/* The payload, decompressed, from malloc. NULL: fine, or *err is -ENOMEM; else what is wrong. */
const char *block_in_payload(struct block_in *in, uint64_t offset,
			     const struct file_block_header *h, uint8_t **out, int *err);
int block_in_ref_add(struct block_in *in, const struct block_ref *ref);
bool index_in_trailer(struct block_in *in, uint64_t offset, struct file_trailer *t);
/* Fills in->refs. 0; -EBADMSG: not to be believed (refs are to be thrown away); -ENOMEM. */
int index_in_load(struct block_in *in, const struct file_trailer *trailer);

/* pread of exactly `bytes`: 0, -EIO where the file ends before, or -errno. */
int read_exactly(int fd, void *data, size_t bytes, uint64_t offset);

#endif
