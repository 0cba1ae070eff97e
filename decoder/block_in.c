/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_in.c - headers, payloads and the walk over them. Everything is checked before it is
 * believed: magic and checksum of a header, the key that all blocks of one file share (so that a
 * copy of some other file inside a payload is not taken for a block), lengths against the limits of
 * the format and the size of the file, the hash of a payload before it is decompressed.
 */
#define XXH_INLINE_ALL
#include "block_in.h"
#include "columns_in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SCAN_BYTES (256u << 10)
#define FIRST_HEADER_WITHIN ((uint64_t)64 << 20) /* else it is some other kind of file */

int block_in_read(struct block_in *in, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *p = data;

	in->read_bytes += bytes;
	while (bytes) {
		ssize_t n = pread(in->fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

void block_in_damage(struct block_in *in, const char *path, uint64_t offset, const char *what)
{
	in->damaged++;
	if (in->damage)
		in->damage(in->damage_arg, path, offset, what);
}

const char *block_in_header(struct block_in *in, uint64_t offset, struct file_block_header *h)
{
	uint8_t data[FILE_HEADER_BYTES_MAX];

	if (in->size < sizeof(*h) || offset > in->size - sizeof(*h))
		return "the file ends within a block header";
	if (block_in_read(in, data, sizeof(*h), offset) != 0)
		return "a block header cannot be read";
	memcpy(h, data, sizeof(*h));
	if (memcmp(h->magic, FILE_BLOCK_MAGIC, FILE_MAGIC_BYTES) != 0)
		return "no block begins here";
	if (h->header_bytes < sizeof(*h) || h->header_bytes > sizeof(data) ||
	    h->header_bytes > in->size - offset ||
	    block_in_read(in, data + sizeof(*h), h->header_bytes - sizeof(*h),
			  offset + sizeof(*h)) != 0 ||
	    !file_hash_fits(h->checksum, (uint32_t)XXH3_64bits(data + 12, h->header_bytes - 12u)))
		return "a block header is damaged";
	if (h->stored_bytes > FILE_RAW_BYTES_MAX || h->raw_bytes > FILE_RAW_BYTES_MAX ||
	    h->record_cnt > FILE_RECORDS_MAX)
		return "a block is larger than the format allows";
	if (in->key_known && h->file_key != in->file_key)
		return "a block of another file";
	return NULL;
}

/* NULL: no memory. */
static uint8_t *buffer_room(uint8_t **data, size_t *cap, size_t bytes)
{
	if (!*data || *cap < bytes) {
		free(*data);
		*data = malloc(bytes + 1);
		*cap = bytes;
	}
	return *data;
}

void block_buffer_fini(struct block_buffer *b)
{
	ZSTD_freeDCtx(b->zstd);
	free(b->stored);
	free(b->raw);
	memset(b, 0, sizeof(*b));
}

const char *block_in_payload(struct block_in *in, uint64_t offset,
			     const struct file_block_header *h, struct block_buffer *b, int *err)
{
	size_t n;

	*err = 0;
	if (h->version > FILE_VERSION || h->must_understand & ~FILE_MUST_UNDERSTAND_KNOWN)
		return "a block needs a later version of this program";
	if (h->compression > FILE_COMPRESSION_ZSTD)
		return "a block is compressed in a way that this program does not know";
	if (h->kind == FILE_BLOCK_COLUMNS ?
		    h->compression != FILE_COMPRESSION_NONE || h->raw_bytes > COLUMNS_ROWS_BYTES_MAX :
		    h->compression == FILE_COMPRESSION_NONE && h->stored_bytes != h->raw_bytes)
		return "a block contradicts itself about its length";
	if (h->stored_bytes > in->size - offset - h->header_bytes)
		return "the file ends within a block";
	if (!b->zstd)
		b->zstd = ZSTD_createDCtx();
	if (!b->zstd || !buffer_room(&b->stored, &b->stored_cap, h->stored_bytes)) {
		*err = -ENOMEM;
		return NULL;
	}
	if (block_in_read(in, b->stored, h->stored_bytes, offset + h->header_bytes) != 0)
		return "a block cannot be read";
	if (!file_hash_fits(h->payload_hash, XXH3_64bits(b->stored, h->stored_bytes)))
		return "the content of a block is damaged";
	b->data = b->stored;
	b->bytes = h->raw_bytes;
	if (h->compression == FILE_COMPRESSION_NONE)
		return NULL;
	if (!buffer_room(&b->raw, &b->raw_cap, h->raw_bytes)) {
		*err = -ENOMEM;
		return NULL;
	}
	b->data = b->raw;
	n = ZSTD_decompressDCtx(b->zstd, b->raw, h->raw_bytes, b->stored, h->stored_bytes);
	return ZSTD_isError(n) || n != h->raw_bytes ? "a block cannot be decompressed" : NULL;
}

/* The payload of a columns block becomes rows. NULL: fine, or *err is -ENOMEM; else what is wrong. */
static const char *columns_rows(const struct file_block_header *h, struct block_buffer *b,
				block_peek_fn *peek, void *arg, bool *wanted, int *err)
{
	struct columns_in columns;
	uint8_t *rows = buffer_room(&b->raw, &b->raw_cap, (size_t)h->raw_bytes + COLUMNS_ROWS_SLACK);

	if (!rows) {
		*err = -ENOMEM;
		return NULL;
	}
	*err = columns_in_open(&columns, b->zstd, b->stored, h->stored_bytes, h->raw_bytes);
	if (!*err && peek)
		*err = peek(arg, &columns, wanted);
	if (!*err && *wanted)
		*err = columns_in_rows(&columns, rows);
	columns_in_close(&columns);
	b->data = rows;
	if (*err != -EBADMSG)
		return NULL;
	*err = 0;
	return columns.what;
}

const char *block_in_load(struct block_in *in, const struct block_ref *ref, struct block_buffer *b,
			  block_peek_fn *peek, void *arg, bool *wanted, int *err)
{
	struct file_block_header h;
	const char *what;

	*err = 0;
	*wanted = true;
	what = block_in_header(in, ref->offset, &h);
	if (!what && (!FILE_BLOCK_HAS_RECORDS(h.kind) || h.sequence != ref->sequence))
		what = "the index speaks of another block";
	if (!what) {
		b->hints = h.may_ignore;
		what = block_in_payload(in, ref->offset, &h, b, err);
	}
	if (!what && !*err && h.kind == FILE_BLOCK_COLUMNS)
		what = columns_rows(&h, b, peek, arg, wanted, err);
	return what;
}

int block_in_ref_add(struct block_in *in, const struct block_ref *ref)
{
	if (in->ref_cnt == in->ref_cap) {
		uint32_t cap = in->ref_cap ? in->ref_cap * 2 : 64;
		struct block_ref *refs;

		if (cap < in->ref_cap)
			return -EFBIG;
		refs = realloc(in->refs, (size_t)cap * sizeof(*refs));
		if (!refs)
			return -ENOMEM;
		in->refs = refs;
		in->ref_cap = cap;
	}
	in->refs[in->ref_cnt++] = *ref;
	return 0;
}

/* ---- walk ---- */

/* The next place at or after `offset`, before `limit`, where a valid header is; or in->size. */
static uint64_t resync(struct block_in *in, uint64_t offset, uint64_t limit, uint64_t sequence_min)
{
	uint8_t *data = malloc(SCAN_BYTES);
	uint64_t found = in->size;

	while (data && offset < limit) {
		size_t want = in->size - offset < SCAN_BYTES ? (size_t)(in->size - offset) :
							       SCAN_BYTES;
		const uint8_t *p = data, *end = data + want;

		if (want < FILE_MAGIC_BYTES || block_in_read(in, data, want, offset) != 0)
			break;
		while ((p = memmem(p, (size_t)(end - p), FILE_BLOCK_MAGIC, FILE_MAGIC_BYTES))) {
			struct file_block_header h;
			uint64_t at = offset + (uint64_t)(p - data);

			if (!block_in_header(in, at, &h) && h.sequence >= sequence_min) {
				found = at;
				goto done;
			}
			p++;
		}
		/* a magic may lie across the border */
		offset += want < SCAN_BYTES ? want : want - FILE_MAGIC_BYTES + 1;
	}
done:
	free(data);
	return found;
}

static int first_header(struct block_in *in, uint64_t *start)
{
	struct file_block_header h;
	struct file_trailer t;
	uint64_t limit;
	const char *what;

	if (in->size >= sizeof(t) && index_in_trailer(in, in->size - sizeof(t), &t)) {
		in->file_key = t.file_key;
		in->key_known = true;
	}
	*start = 0;
	what = block_in_header(in, 0, &h);
	if (what) {
		limit = in->size < FIRST_HEADER_WITHIN ? in->size : FIRST_HEADER_WITHIN;
		*start = resync(in, 0, limit, 0);
		if (*start == in->size || block_in_header(in, *start, &h))
			return -EBADMSG;
		block_in_damage(in, in->path, 0, what);
	} else if (h.version > FILE_VERSION || h.must_understand & ~FILE_MUST_UNDERSTAND_KNOWN) {
		return -EPROTONOSUPPORT;
	}
	in->file_key = h.file_key;
	in->key_known = true;
	return 0;
}

static void unknown_kind(struct block_in *in, uint64_t offset)
{
	block_in_damage(in, in->path, offset,
			"a block has records of a kind that this program cannot read");
}

/* Takes a block with a valid header into the list. */
static int block_take(struct block_in *in, uint64_t offset, const struct file_block_header *h)
{
	struct block_ref ref = { .offset = offset,
				 .sequence = h->sequence,
				 .lost = h->lost,
				 .time_min = h->time_min,
				 .time_max = h->time_max,
				 .clock_ticks = h->clock_ticks,
				 .clock_realtime_ns = h->clock_realtime_ns,
				 .record_cnt = h->record_cnt,
				 .level_mask = h->level_mask };
	struct block_buffer index = { 0 };
	const char *what;
	int err = 0;

	in->last_sequence = h->sequence;
	if (FILE_BLOCK_HAS_RECORDS(h->kind))
		return block_in_ref_add(in, &ref);
	if (h->kind == FILE_BLOCK_INDEX) {
		/* not needed in a walk, but its damage is damage of the file */
		what = block_in_payload(in, offset, h, &index, &err);
		block_buffer_fini(&index);
		if (what)
			block_in_damage(in, in->path, offset, what);
	} else if (h->kind != FILE_BLOCK_HEADER && (h->record_cnt || h->lost)) {
		unknown_kind(in, offset);
	}
	return err;
}

static int walk(struct block_in *in, uint64_t offset)
{
	uint64_t content = 0; /* where the payload of the block before begins */
	bool first = true;
	struct file_trailer t;
	int err;

	while (offset < in->size) {
		struct file_block_header h;
		const char *what = block_in_header(in, offset, &h);
		char text[96];
		uint64_t next;

		if (!what && !first && h.sequence <= in->last_sequence) {
			what = "a block is here a second time";
		} else if (!what && !first && h.sequence != in->last_sequence + 1) {
			snprintf(text, sizeof(text), "%llu blocks are missing before this one",
				 (unsigned long long)(h.sequence - in->last_sequence - 1));
			block_in_damage(in, in->path, offset, text);
		}
		if (!what) {
			if (h.stored_bytes > in->size - offset - h.header_bytes) {
				in->cut_off = true;
				in->cut_off_at = offset;
				return 0;
			}
			err = block_take(in, offset, &h);
			if (err)
				return err;
			first = false;
			content = offset + h.header_bytes;
			offset = content + h.stored_bytes;
			continue;
		}
		if (index_in_trailer(in, offset, &t)) {
			offset += sizeof(t);
			continue;
		}
		/* the block before may be shorter than it says: look into it, too */
		next = resync(in, content ? content : offset + 1, in->size,
			      first ? 0 : in->last_sequence + 1);
		if (next == in->size) {
			in->cut_off = true;
			in->cut_off_at = offset;
			return 0;
		}
		block_in_damage(in, in->path, offset, what);
		if (!block_in_header(in, next, &h))
			in->last_sequence = h.sequence - 1; /* the gap is reported already */
		offset = next;
	}
	return 0;
}

static int header_load(struct block_in *in)
{
	struct file_block_header h;
	const char *what;
	int err = 0;

	what = block_in_header(in, 0, &h);
	if (what)
		return 0; /* reported by first_header() */
	if (h.kind != FILE_BLOCK_HEADER)
		what = "the first block is not the header of a file";
	else
		what = block_in_payload(in, 0, &h, &in->header, &err);
	if (what) {
		block_in_damage(in, in->path, 0, what);
		in->header.data = NULL;
	}
	return err;
}

int block_in_open(struct block_in *in, const char *path, reader_damage_fn *damage, void *arg)
{
	struct file_trailer t;
	struct stat st;
	uint64_t start;
	int err;

	memset(in, 0, sizeof(*in));
	in->damage = damage;
	in->damage_arg = arg;
	in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (in->fd < 0)
		return -errno;
	if (fstat(in->fd, &st) != 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ESPIPE;
	in->size = (uint64_t)st.st_size;
	in->path = strdup(path);
	if (!in->path)
		return -ENOMEM;
	err = first_header(in, &start);
	if (err)
		return err;
	err = header_load(in);
	if (err)
		return err;
	if (index_in_trailer(in, in->size - sizeof(t), &t)) {
		err = index_in_load(in, &t);
		if (!err) {
			in->has_index = true;
			if (in->unknown_at)
				unknown_kind(in, in->unknown_at);
			return 0;
		}
		if (err != -EBADMSG)
			return err;
		in->ref_cnt = 0;
		in->last_sequence = 0;
		block_in_damage(in, in->path, t.index_offset, "the index is damaged");
	}
	return walk(in, start);
}

void block_in_close(struct block_in *in)
{
	if (in->fd >= 0)
		close(in->fd);
	block_buffer_fini(&in->header);
	free(in->path);
	free(in->refs);
}
