/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_out.c - blocks are made and appended to PATH (output_file.c); the tail (tail_out.c) holds the
 * rows of block number `sequence`, the one after the last that was written; the index (index_out.c)
 * gathers until the file is closed.
 */
#define XXH_INLINE_ALL
#include "block_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "index_out.h"
#include "output_file.h"
#include "tail_out.h"

struct block_out {
	int folder;
	char *name; /* in the folder */
	struct output_file file;
	struct tail_out tail;
	struct output_owner owner;
	int zstd_level;
	enum writer_sync sync;
	uint16_t hints; /* FILE_HINT_*, of blocks to come */
	uint8_t file_id[16];
	uint64_t file_key;
	uint64_t block_offset; /* of the newest block */
	uint64_t sequence; /* of the next block */
	ZSTD_CCtx *zstd;
	uint8_t *packed;
	size_t packed_cap;
	struct index_out index;
	int index_error; /* the index is incomplete, hence of no use */
	uint32_t end_bytes; /* of the trailer, if it is there */
	int sync_error;
};

static struct block_out *block_out_new(int zstd_level)
{
	struct block_out *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->folder = o->file.fd = o->tail.file.fd = -1;
	o->tail.sequence = UINT64_MAX;
	o->zstd_level = zstd_level ? zstd_level : 1;
	o->zstd = ZSTD_createCCtx();
	if (o->zstd)
		return o;
	free(o);
	return NULL;
}

static int file_id_make(struct block_out *o)
{
	if (getrandom(o->file_id, sizeof(o->file_id), 0) != (ssize_t)sizeof(o->file_id))
		return -EIO;
	memcpy(&o->file_key, o->file_id, sizeof(o->file_key));
	return 0;
}

static int tail_open(struct block_out *o, bool wanted)
{
	const size_t bytes = strlen(o->name) + sizeof(".tail");
	int err;

	o->tail.name = malloc(bytes);
	if (!o->tail.name)
		return -ENOMEM;
	snprintf(o->tail.name, bytes, "%s.tail", o->name);
	if (wanted && o->file.regular)
		return output_file_open(&o->tail.file, o->folder, o->tail.name, OUTPUT_REPLACE,
					&o->owner);
	/* a tail of the file that was here before is in the way */
	err = o->file.regular && unlinkat(o->folder, o->tail.name, 0) != 0 ? -errno : 0;
	return err == -ENOENT ? 0 : err;
}

int block_out_open(struct block_out **out, const struct writer_options *options)
{
	struct block_out *o = block_out_new(options->zstd_level);
	const char *name;
	int err;

	if (!o)
		return -ENOMEM;
	o->owner = (struct output_owner){ options->own_by_user, options->owner_uid,
					  options->owner_gid };
	o->sync = options->sync;
	err = file_id_make(o);
	if (err)
		goto fail;
	err = o->folder = output_folder_open(options->path, &name);
	if (err < 0)
		goto fail;
	err = -ENOMEM;
	o->name = strdup(name);
	if (!o->name)
		goto fail;
	err = output_file_open(&o->file, o->folder, o->name, OUTPUT_REPLACE, &o->owner);
	if (!err)
		err = tail_open(o, options->tail);
	if (err)
		goto fail;
	*out = o;
	return 0;
fail:
	block_out_abandon(o);
	return err;
}

int block_out_successor(struct block_out **out, const struct block_out *before, const char *name,
			struct output_file *file)
{
	struct block_out *o = block_out_new(before->zstd_level);
	int err;

	if (!o)
		return -ENOMEM;
	o->owner = before->owner;
	o->sync = before->sync;
	err = file_id_make(o);
	o->name = strdup(name);
	if (!err && !o->name)
		err = -ENOMEM;
	o->folder = fcntl(before->folder, F_DUPFD_CLOEXEC, 3);
	if (!err && o->folder < 0)
		err = -errno;
	if (!err && file) {
		o->file = *file;
		file->fd = -1;
	} else if (!err) {
		err = output_file_open(&o->file, o->folder, o->name, OUTPUT_NEW, &o->owner);
	}
	if (err) {
		(void)block_out_close(o);
		return err;
	}
	*out = o;
	return 0;
}

int block_out_tail_anew(struct block_out *o)
{
	(void)output_file_close(&o->tail.file); /* nobody could read it any more */
	o->tail.sequence = UINT64_MAX;
	o->tail.frame_number = 0;
	return output_file_open(&o->tail.file, o->folder, o->tail.name, OUTPUT_REPLACE, &o->owner);
}

void block_out_tail_move(struct block_out *o, struct block_out *from)
{
	o->tail = from->tail;
	from->tail.file.fd = -1;
	from->tail.name = NULL;
	/* what is there is the other file's */
	o->tail.sequence = UINT64_MAX;
	o->tail.frame_number = 0;
}

int block_out_reopen(struct block_out **out, int fd, struct recover_walk *walk)
{
	struct block_out *o = block_out_new(0);
	int err;

	if (!o)
		return -ENOMEM;
	o->file = (struct output_file){ .fd = fd, .regular = true, .borrowed = true,
					.len = walk->end };
	o->hints = FILE_HINT_RECOVERED;
	o->file_key = walk->file_key;
	o->sequence = walk->last_sequence + 1;
	err = index_out_resume(&o->index, walk);
	if (!err && lseek(fd, (off_t)walk->end, SEEK_SET) < 0)
		err = -errno;
	if (err) {
		(void)block_out_close(o);
		return err;
	}
	*out = o;
	return 0;
}

void block_out_hints(struct block_out *o, uint16_t hints)
{
	o->hints = FILE_HINT_RECOVERED | hints;
}

void block_out_next(const struct block_out *o, uint64_t *sequence, uint32_t *frame)
{
	*sequence = o->sequence;
	*frame = o->tail.sequence == o->sequence ? o->tail.frame_number : 0;
}

const uint8_t *block_out_file_id(const struct block_out *o)
{
	return o->file_id;
}

struct output_file *block_out_file(struct block_out *o)
{
	return &o->file;
}

struct output_file *block_out_tail(struct block_out *o)
{
	return &o->tail.file;
}

int block_out_folder(const struct block_out *o)
{
	return o->folder;
}

const char *block_out_name(const struct block_out *o)
{
	return o->name;
}

const char *block_out_tail_name(const struct block_out *o)
{
	return o->tail.name;
}

void block_out_name_take(struct block_out *o, char *name)
{
	free(o->name);
	o->name = name;
}

const struct index_out *block_out_index(const struct block_out *o)
{
	return &o->index;
}

int block_out_cut(struct block_out *o, const struct recover_walk *walk)
{
	const uint64_t text_bytes = o->index.text_bytes;
	int err = output_file_cut(&o->file, walk->end);

	if (!err)
		err = index_out_resume(&o->index, walk);
	o->index.text_bytes = text_bytes; /* an estimate anyway */
	return err;
}

bool block_out_restart(struct block_out *o)
{
	if (!o->file.regular || output_file_cut(&o->file, 0) != 0)
		return false;
	o->block_offset = o->sequence = 0;
	index_out_reset(&o->index);
	return true;
}

bool block_out_has_tail(const struct block_out *o)
{
	return o->tail.file.fd >= 0;
}

uint64_t block_out_bytes(const struct block_out *o)
{
	return o->file.len;
}

static uint32_t checksum(const void *data, size_t bytes)
{
	return (uint32_t)XXH3_64bits(data, bytes);
}

/* Compressed if that is smaller; *payload then points to it. 0 or -errno. */
static int payload_pack(struct block_out *o, struct file_block_header *h, const void **payload)
{
	size_t need = ZSTD_compressBound(h->raw_bytes), n;

	h->stored_bytes = h->raw_bytes;
	if (h->may_ignore & FILE_HINT_HASTY)
		return 0;
	if (need > o->packed_cap) {
		uint8_t *packed = realloc(o->packed, need);

		if (!packed)
			return -ENOMEM;
		o->packed = packed;
		o->packed_cap = need;
	}
	n = ZSTD_compressCCtx(o->zstd, o->packed, o->packed_cap, *payload, h->raw_bytes,
			      o->zstd_level);
	if (!ZSTD_isError(n) && n < h->raw_bytes) {
		h->compression = FILE_COMPRESSION_ZSTD;
		h->stored_bytes = (uint32_t)n;
		*payload = o->packed;
	}
	return 0;
}

static int index_write(struct block_out *o);

int block_out_frames_drop(struct block_out *o)
{
	return tail_out_empty(&o->tail);
}

int block_out_write(struct block_out *o, enum file_block_kind kind,
		    const struct rows_summary *summary, const struct clock_pair *pair,
		    const void *raw, uint32_t raw_bytes)
{
	struct file_block_header h;
	const void *payload = raw;
	struct iovec iov[2];
	int err, try;

	memset(&h, 0, sizeof(h));
	memcpy(h.magic, FILE_BLOCK_MAGIC, FILE_MAGIC_BYTES);
	h.header_bytes = sizeof(h);
	h.version = FILE_VERSION;
	h.kind = (uint8_t)kind;
	h.may_ignore = o->hints;
	h.sequence = o->sequence;
	h.raw_bytes = raw_bytes;
	h.file_key = o->file_key;
	if (pair) {
		h.clock_ticks = pair->ticks;
		h.clock_realtime_ns = pair->realtime_ns;
	}
	if (summary) {
		h.time_min = summary->time_min;
		h.time_max = summary->time_max;
		h.lost = summary->lost;
		h.record_cnt = summary->record_cnt;
		h.level_mask = summary->level_mask;
		if (summary->hasty)
			h.may_ignore |= FILE_HINT_HASTY;
	}
	if (kind == FILE_BLOCK_COLUMNS) { /* its sections are compressed, each on its own */
		h.raw_bytes = summary->rows_bytes;
		h.stored_bytes = raw_bytes;
		err = 0;
	} else {
		err = payload_pack(o, &h, &payload);
	}
	if (!err && FILE_BLOCK_HAS_RECORDS(kind))
		err = index_out_room(&o->index);
	if (err)
		return err;
	h.payload_hash = XXH3_64bits(payload, h.stored_bytes);
	h.checksum = checksum((const uint8_t *)&h + 12, sizeof(h) - 12);
	for (try = 0;; try++) {
		iov[0].iov_base = &h;
		iov[0].iov_len = sizeof(h);
		iov[1].iov_base = (void *)(uintptr_t)payload;
		iov[1].iov_len = h.stored_bytes;
		o->block_offset = o->file.len;
		err = output_file_append(&o->file, iov, 2);
		if (!err)
			break;
		/* the tail may hold the very room that the block, its successor, needs */
		if (try || (err != -ENOSPC && err != -EDQUOT) || !o->tail.file.len ||
		    tail_out_empty(&o->tail))
			return err;
	}
	o->sequence++;
	if (!FILE_BLOCK_HAS_RECORDS(kind))
		return 0;
	if (o->sync == WRITER_SYNC_BLOCK) /* before its rows in the tail are cut away */
		block_out_sync_note(o, output_file_sync(&o->file));
	if (!o->index_error) {
		index_out_add(&o->index, &h, o->block_offset, summary->text_bytes);
		if (index_out_full(&o->index))
			o->index_error = index_write(o);
	}
	return 0;
}

int block_out_frame(struct block_out *o, const struct rows_summary *summary, const void *rows,
		    uint32_t bytes)
{
	return tail_out_frame(&o->tail, o->file_id, o->sequence, summary, rows, bytes);
}

/* Writes the entries so far as an index block, chained to the one before. */
static int index_write(struct block_out *o)
{
	const void *payload;
	uint32_t bytes;
	int err;

	payload = index_out_payload(&o->index, &bytes);
	if (!payload)
		return -ENOMEM;
	err = block_out_write(o, FILE_BLOCK_INDEX, NULL, NULL, payload, bytes);
	if (!err)
		index_out_written(&o->index, o->block_offset);
	return err;
}

static int trailer_write(struct block_out *o)
{
	struct file_trailer t;
	struct iovec iov = { &t, sizeof(t) };
	int err;

	memset(&t, 0, sizeof(t));
	t.index_offset = o->index.previous;
	t.file_key = o->file_key;
	t.checksum = checksum(&t, offsetof(struct file_trailer, checksum));
	memcpy(t.magic, FILE_END_MAGIC, FILE_MAGIC_BYTES);
	err = output_file_append(&o->file, &iov, 1);
	if (!err)
		o->end_bytes = sizeof(t);
	return err;
}

int block_out_finish(struct block_out *o, bool continued)
{
	const uint16_t hints = o->hints;
	int err = o->index_error;

	if (continued)
		o->hints |= FILE_HINT_CONTINUED;
	if (!err)
		err = index_write(o);
	o->hints = hints;
	return err ? err : trailer_write(o);
}

int block_out_unfinish(struct block_out *o)
{
	int err = o->end_bytes ? output_file_cut(&o->file, o->file.len - o->end_bytes) : 0;

	if (!err)
		o->end_bytes = 0;
	return err;
}

void block_out_sync_note(struct block_out *o, int err)
{
	if (err && !o->sync_error)
		o->sync_error = err;
}

int block_out_sync_error(struct block_out *o)
{
	int err = o->sync_error;

	o->sync_error = 0;
	return err;
}

int block_out_sync(struct block_out *o)
{
	int err = output_file_sync(&o->file);

	if (!err && o->tail.file.fd >= 0 && o->tail.file.len)
		err = output_file_sync(&o->tail.file);
	return err;
}

/* Rows that are not in the file would be in the tail only: keep it then. */
static int tail_close(struct block_out *o)
{
	const bool spare = o->tail.sequence == UINT64_MAX || o->tail.sequence < o->sequence;
	const bool there = o->tail.file.fd >= 0 && o->tail.name;
	int err = output_file_close(&o->tail.file);

	if (there && spare && unlinkat(o->folder, o->tail.name, 0) != 0 && errno != ENOENT && !err)
		err = -errno;
	return err;
}

int block_out_close(struct block_out *o)
{
	int err, tail_err;

	if (!o)
		return 0;
	err = output_file_close(&o->file);
	tail_err = tail_close(o);
	if (o->folder >= 0)
		close(o->folder);
	ZSTD_freeCCtx(o->zstd);
	index_out_fini(&o->index);
	free(o->name);
	free(o->tail.name);
	free(o->packed);
	free(o);
	return err ? err : tail_err;
}

void block_out_abandon(struct block_out *o)
{
	if (o && o->file.fd >= 0 && o->file.regular)
		(void)unlinkat(o->folder, o->name, 0); /* the caller has an error to report already */
	(void)block_out_close(o);
}
