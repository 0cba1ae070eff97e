/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_out.c - appends to PATH and PATH.tail with plain write calls, so that a full disk is an
 * error code. After a failed append the file is cut back to where it was: a reader then sees
 * whole blocks only, and the next append may succeed.
 *
 * The tail holds the rows of block number `sequence`, the one after the last that was written.
 * Its header is written with the first frame of each block, which is also when the frames of the
 * block before are cut away: until then their sequence number says that they are in the file.
 */
#define XXH_INLINE_ALL
#include "block_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

struct block_out {
	int fd, tail_fd;
	int zstd_level;
	bool regular, tail;
	bool fd_borrowed;
	uint16_t hints; /* FILE_HINT_*, of blocks to come */
	char *path, *tail_path;
	uint8_t file_id[16];
	uint64_t file_key;
	uint64_t offset;   /* length of the file */
	uint64_t block_offset; /* of the newest block */
	uint64_t sequence; /* of the next block */
	uint64_t tail_len;
	uint64_t tail_sequence; /* in the tail's header; UINT64_MAX: none written yet */
	uint32_t frame_number;
	uid_t uid;
	gid_t gid;
	bool own_by_user;
	ZSTD_CCtx *zstd;
	uint8_t *packed;
	size_t packed_cap;
	uint8_t *index; /* struct file_index_header and entries */
	uint32_t index_cnt, index_cap;
	uint64_t index_previous;
	int index_error; /* the index is incomplete, hence of no use */
	uint64_t records, lost, text_bytes; /* of all blocks */
};

/* Writes all of it, through short writes and interruptions. */
static int write_all(int fd, struct iovec *iov, int cnt)
{
	while (cnt > 0) {
		ssize_t n;

		if (!iov->iov_len) {
			iov++;
			cnt--;
			continue;
		}
		n = writev(fd, iov, cnt);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			return -EIO;
		while (n > 0) {
			size_t part = (size_t)n < iov->iov_len ? (size_t)n : iov->iov_len;

			iov->iov_base = (uint8_t *)iov->iov_base + part;
			iov->iov_len -= part;
			n -= (ssize_t)part;
			if (!iov->iov_len) {
				iov++;
				cnt--;
			}
		}
	}
	return 0;
}

/* Appends, or leaves the file as it was. *len is its length before and after. */
static int append(int fd, bool regular, uint64_t *len, struct iovec *iov, int cnt)
{
	uint64_t bytes = 0;
	off_t end;
	int i, err;

	for (i = 0; i < cnt; i++)
		bytes += iov[i].iov_len;
	err = write_all(fd, iov, cnt);
	if (!err) {
		*len += bytes;
		return 0;
	}
	if (!regular)
		return err;
	if (ftruncate(fd, (off_t)*len) == 0 && lseek(fd, (off_t)*len, SEEK_SET) >= 0)
		return err;
	/* the half block stays; readers find the next one by its magic */
	end = lseek(fd, 0, SEEK_END);
	if (end >= 0)
		*len = (uint64_t)end;
	return err;
}

/* A lock says that the file has a writer, as long as this process lives: two would destroy each
 * other's blocks, and recovery must not touch it. Where there are no locks it is done without. */
static int file_take(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	if (fcntl(fd, F_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES))
		return -EBUSY;
	return ftruncate(fd, 0) != 0 ? -errno : 0;
}

static int file_create(const char *path, const struct block_out *o)
{
	/* Not blocking in the open: a pipe that nobody reads is an error (ENXIO), not for ever. */
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0644);
	int err;

	if (fd < 0)
		return -errno;
	err = fcntl(fd, F_SETFL, O_WRONLY) ? -errno : file_take(fd);
	if (err) {
		close(fd);
		return err;
	}
	if (o->own_by_user && fchown(fd, o->uid, o->gid) != 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int block_out_open(struct block_out **out, const struct writer_options *options)
{
	struct block_out *o;
	struct stat st;
	int err;

	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->fd = -1;
	o->tail_fd = -1;
	o->tail_sequence = UINT64_MAX;
	o->zstd_level = options->zstd_level ? options->zstd_level : 1;
	o->own_by_user = options->own_by_user;
	o->uid = options->owner_uid;
	o->gid = options->owner_gid;
	err = -EIO;
	if (getrandom(o->file_id, sizeof(o->file_id), 0) != (ssize_t)sizeof(o->file_id))
		goto fail;
	memcpy(&o->file_key, o->file_id, sizeof(o->file_key));
	err = -ENOMEM;
	o->path = strdup(options->path);
	o->tail_path = malloc(strlen(options->path) + sizeof(".tail"));
	o->zstd = ZSTD_createCCtx();
	if (!o->path || !o->tail_path || !o->zstd)
		goto fail;
	strcpy(o->tail_path, options->path);
	strcat(o->tail_path, ".tail");
	o->fd = file_create(o->path, o);
	if (o->fd < 0) {
		err = o->fd;
		goto fail;
	}
	if (fstat(o->fd, &st) != 0) {
		err = -errno;
		goto fail;
	}
	o->regular = S_ISREG(st.st_mode);
	o->tail = options->tail && o->regular;
	if (o->tail) {
		o->tail_fd = file_create(o->tail_path, o);
		if (o->tail_fd < 0) {
			err = o->tail_fd;
			goto fail;
		}
	} else if (o->regular && unlink(o->tail_path) != 0 && errno != ENOENT) {
		err = -errno; /* a tail of the file that was here before is in the way */
		goto fail;
	}
	*out = o;
	return 0;
fail:
	block_out_abandon(o);
	return err;
}

int block_out_reopen(struct block_out **out, int fd, struct recover_walk *walk)
{
	struct block_out *o;
	int err;

	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->fd = fd;
	o->fd_borrowed = true;
	o->tail_fd = -1;
	o->tail_sequence = UINT64_MAX;
	o->zstd_level = 1;
	o->regular = true;
	o->hints = FILE_HINT_RECOVERED;
	o->file_key = walk->file_key;
	o->offset = walk->end;
	o->sequence = walk->last_sequence + 1;
	o->index_previous = walk->index_previous;
	o->records = walk->records;
	o->lost = walk->lost;
	o->zstd = ZSTD_createCCtx();
	err = o->zstd ? 0 : -ENOMEM;
	if (!err && walk->entry_cnt) {
		o->index_cap = walk->entry_cnt;
		o->index = malloc(sizeof(struct file_index_header) +
				  (size_t)o->index_cap * sizeof(struct file_index_entry));
		err = o->index ? 0 : -ENOMEM;
	}
	if (!err && lseek(fd, (off_t)o->offset, SEEK_SET) < 0)
		err = -errno;
	if (err) {
		(void)block_out_close(o);
		return err;
	}
	if (walk->entry_cnt)
		memcpy(o->index + sizeof(struct file_index_header), walk->entries,
		       (size_t)walk->entry_cnt * sizeof(struct file_index_entry));
	o->index_cnt = walk->entry_cnt;
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
	*frame = o->tail_sequence == o->sequence ? o->frame_number : 0;
}

const uint8_t *block_out_file_id(const struct block_out *o)
{
	return o->file_id;
}

bool block_out_restart(struct block_out *o)
{
	if (!o->regular || ftruncate(o->fd, 0) != 0 || lseek(o->fd, 0, SEEK_SET) < 0)
		return false;
	o->offset = o->block_offset = o->sequence = 0;
	o->records = o->lost = o->text_bytes = 0;
	o->index_cnt = 0;
	return true;
}

bool block_out_has_tail(const struct block_out *o)
{
	return o->tail;
}

uint64_t block_out_bytes(const struct block_out *o)
{
	return o->offset;
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

static int index_room(struct block_out *o)
{
	uint32_t cap = o->index_cap ? o->index_cap * 2 : 256;
	uint8_t *index;

	if (o->index_cnt < o->index_cap)
		return 0;
	index = realloc(o->index, sizeof(struct file_index_header) +
					  (size_t)cap * sizeof(struct file_index_entry));
	if (!index)
		return -ENOMEM;
	o->index = index;
	o->index_cap = cap;
	return 0;
}

static void index_add(struct block_out *o, const struct file_block_header *h, uint64_t offset)
{
	struct file_index_entry e;

	memset(&e, 0, sizeof(e));
	e.offset = offset;
	e.sequence = h->sequence;
	e.time_min = h->time_min;
	e.time_max = h->time_max;
	e.clock_ticks = h->clock_ticks;
	e.clock_realtime_ns = h->clock_realtime_ns;
	e.lost = h->lost;
	e.record_cnt = h->record_cnt;
	e.stored_bytes = h->stored_bytes;
	e.raw_bytes = h->raw_bytes;
	e.kind = h->kind;
	e.level_mask = h->level_mask;
	memcpy(o->index + sizeof(struct file_index_header) + o->index_cnt * sizeof(e), &e,
	       sizeof(e));
	o->index_cnt++;
}

static int index_write(struct block_out *o);

/* Gives back what the tail occupies. */
static int tail_empty(struct block_out *o)
{
	if (o->tail_fd < 0 || o->tail_sequence == UINT64_MAX)
		return 0;
	if (ftruncate(o->tail_fd, 0) != 0 || lseek(o->tail_fd, 0, SEEK_SET) < 0)
		return -errno;
	o->tail_len = 0;
	o->tail_sequence = UINT64_MAX;
	o->frame_number = 0;
	return 0;
}

int block_out_frames_drop(struct block_out *o)
{
	return tail_empty(o);
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
	}
	err = payload_pack(o, &h, &payload);
	if (!err && kind == FILE_BLOCK_ROWS)
		err = index_room(o);
	if (err)
		return err;
	h.payload_hash = XXH3_64bits(payload, h.stored_bytes);
	h.checksum = checksum((const uint8_t *)&h + 12, sizeof(h) - 12);
	for (try = 0;; try++) {
		iov[0].iov_base = &h;
		iov[0].iov_len = sizeof(h);
		iov[1].iov_base = (void *)(uintptr_t)payload;
		iov[1].iov_len = h.stored_bytes;
		o->block_offset = o->offset;
		err = append(o->fd, o->regular, &o->offset, iov, 2);
		if (!err)
			break;
		/* the tail may hold the very room that the block, its successor, needs */
		if (try || (err != -ENOSPC && err != -EDQUOT) || !o->tail_len || tail_empty(o))
			return err;
	}
	o->sequence++;
	if (kind != FILE_BLOCK_ROWS || o->index_error)
		return 0;
	o->records += summary->record_cnt;
	o->lost += summary->lost;
	o->text_bytes += summary->text_bytes;
	index_add(o, &h, o->block_offset);
	if (o->index_cnt == FILE_INDEX_ENTRIES_MAX)
		o->index_error = index_write(o);
	return 0;
}

int block_out_frame(struct block_out *o, const struct rows_summary *summary, const void *rows,
		    uint32_t bytes)
{
	struct file_tail_header head;
	struct file_frame_header frame;
	struct iovec iov[3];
	bool first = o->tail_sequence != o->sequence;
	int err;

	if (first) {
		err = tail_empty(o);
		if (err)
			return err;
	}
	memset(&head, 0, sizeof(head));
	memcpy(head.magic, FILE_TAIL_MAGIC, FILE_MAGIC_BYTES);
	head.header_bytes = sizeof(head);
	head.version = FILE_VERSION;
	memcpy(head.file_id, o->file_id, sizeof(head.file_id));
	head.sequence = o->sequence;
	head.checksum = checksum((const uint8_t *)&head + 12, sizeof(head) - 12);
	memset(&frame, 0, sizeof(frame));
	frame.magic = FILE_FRAME_MAGIC;
	frame.number = o->frame_number;
	frame.sequence = o->sequence;
	frame.time_min = summary->time_min;
	frame.time_max = summary->time_max;
	frame.bytes = bytes;
	frame.record_cnt = summary->record_cnt;
	frame.rows_hash = XXH3_64bits(rows, bytes);
	frame.lost = summary->lost;
	frame.level_mask = summary->level_mask;
	frame.checksum = checksum(&frame, offsetof(struct file_frame_header, checksum));
	iov[0].iov_base = &head;
	iov[0].iov_len = first ? sizeof(head) : 0;
	iov[1].iov_base = &frame;
	iov[1].iov_len = sizeof(frame);
	iov[2].iov_base = (void *)(uintptr_t)rows;
	iov[2].iov_len = bytes;
	err = append(o->tail_fd, true, &o->tail_len, iov, 3);
	if (err)
		return err;
	o->tail_sequence = o->sequence;
	o->frame_number++;
	return 0;
}

/* Writes the entries so far as an index block, chained to the one before. */
static int index_write(struct block_out *o)
{
	struct file_index_header h;
	int err;

	err = index_room(o);
	if (err)
		return err;
	memset(&h, 0, sizeof(h));
	h.previous = o->index_previous;
	h.entry_bytes = sizeof(struct file_index_entry);
	h.entry_cnt = o->index_cnt;
	h.records = o->records;
	h.lost = o->lost;
	h.text_bytes = o->text_bytes;
	memcpy(o->index, &h, sizeof(h));
	err = block_out_write(o, FILE_BLOCK_INDEX, NULL, NULL, o->index,
			      (uint32_t)(sizeof(h) + o->index_cnt * sizeof(struct file_index_entry)));
	if (err)
		return err;
	o->index_previous = o->block_offset;
	o->index_cnt = 0;
	return 0;
}

static int trailer_write(struct block_out *o)
{
	struct file_trailer t;
	struct iovec iov = { &t, sizeof(t) };

	memset(&t, 0, sizeof(t));
	t.index_offset = o->index_previous;
	t.file_key = o->file_key;
	t.checksum = checksum(&t, offsetof(struct file_trailer, checksum));
	memcpy(t.magic, FILE_END_MAGIC, FILE_MAGIC_BYTES);
	return append(o->fd, o->regular, &o->offset, &iov, 1);
}

int block_out_finish(struct block_out *o)
{
	int err = o->index_error ? o->index_error : index_write(o);

	return err ? err : trailer_write(o);
}

int block_out_close(struct block_out *o)
{
	int err = 0;

	if (!o)
		return 0;
	if (o->fd >= 0 && !o->fd_borrowed && close(o->fd) != 0)
		err = -errno;
	if (o->tail_fd >= 0) {
		/* rows that are not in the file would be in the tail only: keep it then */
		bool spare = o->tail_sequence == UINT64_MAX || o->tail_sequence < o->sequence;

		if (close(o->tail_fd) != 0 && !err)
			err = -errno;
		if (spare && unlink(o->tail_path) != 0 && errno != ENOENT && !err)
			err = -errno;
	}
	ZSTD_freeCCtx(o->zstd);
	free(o->path);
	free(o->tail_path);
	free(o->packed);
	free(o->index);
	free(o);
	return err;
}

void block_out_abandon(struct block_out *o)
{
	if (o && o->fd >= 0 && o->regular)
		(void)unlink(o->path); /* the caller has an error to report already */
	(void)block_out_close(o);
}
