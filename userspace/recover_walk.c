/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_walk.c - see recover_walk.h. A header counts if its checksum is right, it has the key of
 * the file and a sequence that goes on; where none begins, the next one is looked for by its magic,
 * from the beginning of the payload before, as a reader does. Damage in the middle stays as it is.
 */
#define XXH_INLINE_ALL
#include "recover_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define SCAN_BYTES (256u << 10)

/* Exactly `bytes`, or -EBADMSG where the file ends before. */
static int bytes_read(int fd, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *p = data;

	while (bytes) {
		ssize_t n = pread(fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* 1: a valid header of this file; 0: none; or a negative errno. */
static int header_read(const struct recover_walk *w, int fd, uint64_t limit, uint64_t offset,
		       bool first, struct file_block_header *h)
{
	uint8_t data[FILE_HEADER_BYTES_MAX];
	int err;

	if (limit < sizeof(*h) || offset > limit - sizeof(*h))
		return 0;
	err = bytes_read(fd, data, sizeof(*h), offset);
	if (err)
		return err;
	memcpy(h, data, sizeof(*h));
	if (memcmp(h->magic, FILE_BLOCK_MAGIC, FILE_MAGIC_BYTES) != 0 ||
	    h->header_bytes < sizeof(*h) || h->header_bytes > sizeof(data) ||
	    h->header_bytes > limit - offset)
		return 0;
	err = bytes_read(fd, data, h->header_bytes, offset);
	if (err)
		return err;
	return file_hash_fits(h->checksum, (uint32_t)XXH3_64bits(data + 12, h->header_bytes - 12u)) &&
	       h->stored_bytes <= FILE_RAW_BYTES_MAX && h->raw_bytes <= FILE_RAW_BYTES_MAX &&
	       h->record_cnt <= FILE_RECORDS_MAX &&
	       (first || (h->file_key == w->file_key && h->sequence > w->last_sequence));
}

static int trailer_at(const struct recover_walk *w, int fd, uint64_t limit, uint64_t offset)
{
	struct file_trailer t;
	int err;

	if (limit < sizeof(t) || offset > limit - sizeof(t))
		return 0;
	err = bytes_read(fd, &t, sizeof(t), offset);
	if (err)
		return err;
	return memcmp(t.magic, FILE_END_MAGIC, FILE_MAGIC_BYTES) == 0 && t.file_key == w->file_key &&
	       file_hash_fits(t.checksum,
			      (uint32_t)XXH3_64bits(&t, offsetof(struct file_trailer, checksum)));
}

/* The next header at or after `offset`; 1, 0 where there is none, or a negative errno. */
static int header_find(const struct recover_walk *w, int fd, uint64_t limit, uint64_t offset,
		       uint64_t *found)
{
	uint8_t *data = malloc(SCAN_BYTES);
	int ret = data ? 0 : -ENOMEM;

	while (!ret && offset < limit) {
		size_t want = limit - offset < SCAN_BYTES ? (size_t)(limit - offset) : SCAN_BYTES;
		const uint8_t *p = data, *end = data + want;
		struct file_block_header h;

		if (want < FILE_MAGIC_BYTES)
			break;
		ret = bytes_read(fd, data, want, offset);
		while (!ret && (p = memmem(p, (size_t)(end - p), FILE_BLOCK_MAGIC, FILE_MAGIC_BYTES))) {
			*found = offset + (uint64_t)(p - data);
			ret = header_read(w, fd, limit, *found, false, &h);
			p++;
		}
		/* a magic may lie across the border */
		offset += want < SCAN_BYTES ? want : want - FILE_MAGIC_BYTES + 1;
	}
	free(data);
	return ret;
}

static int entry_add(struct recover_walk *w, const struct file_block_header *h, uint64_t offset)
{
	if (w->entry_cnt == w->entry_cap) {
		uint32_t cap = w->entry_cap ? w->entry_cap * 2 : 256;
		struct file_index_entry *entries = reallocarray(w->entries, cap, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		w->entries = entries;
		w->entry_cap = cap;
	}
	w->entries[w->entry_cnt++] = file_index_entry_of(h, offset);
	return 0;
}

static int block_take(struct recover_walk *w, const struct file_block_header *h, uint64_t offset)
{
	w->last_sequence = h->sequence;
	w->end = offset + h->header_bytes + h->stored_bytes;
	if (!(h->may_ignore & FILE_HINT_RECOVERED)) {
		w->recovered_at = 0;
	} else if (!w->recovered_at) {
		w->recovered_at = offset;
		w->recovered_next = w->end;
		w->recovered_sequence = h->sequence;
		w->recovered_hints = h->may_ignore;
	}
	if (h->kind == FILE_BLOCK_INDEX) {
		w->index_previous = offset;
		w->entry_cnt = 0;
		return 0;
	}
	if (h->clock_ticks || h->clock_realtime_ns) {
		w->clock_ticks = h->clock_ticks;
		w->clock_realtime_ns = h->clock_realtime_ns;
	}
	if (!FILE_BLOCK_HAS_RECORDS(h->kind))
		return 0;
	w->records += h->record_cnt;
	w->lost += h->lost;
	return entry_add(w, h, offset);
}

/* What is behind the last whole block: the beginning of another is cut away by the next write;
 * anything else is nobody's to remove. */
static void rest_judge(struct recover_walk *w, int fd, uint64_t limit)
{
	uint8_t magic[FILE_MAGIC_BYTES];
	struct file_block_header h;
	uint64_t rest = limit - w->end;

	if (rest >= sizeof(magic) &&
	    (bytes_read(fd, magic, sizeof(magic), w->end) != 0 ||
	     memcmp(magic, FILE_BLOCK_MAGIC, FILE_MAGIC_BYTES) != 0)) {
		w->end = limit;
		return;
	}
	/* a whole block that does not fit in here is not torn */
	if (rest && header_read(w, fd, limit, w->end, true, &h) == 1 &&
	    h.stored_bytes <= rest - h.header_bytes) {
		w->end = limit;
		return;
	}
	w->torn_bytes = rest;
	if (rest && header_read(w, fd, limit, w->end, false, &h) == 1)
		w->torn_records = h.record_cnt + h.lost;
}

int recover_walk_read(struct recover_walk *w, int fd, uint64_t limit)
{
	struct file_block_header h;
	uint64_t offset = 0, content = 0;
	bool first = true;
	int ret;

	memset(w, 0, sizeof(*w));
	for (;;) {
		ret = header_read(w, fd, limit, offset, first, &h);
		if (ret < 0)
			return ret;
		if (first) {
			if (!ret || h.sequence)
				return -EBADMSG;
			if (h.version > FILE_VERSION ||
			    h.must_understand & ~FILE_MUST_UNDERSTAND_KNOWN)
				return -EPROTONOSUPPORT;
			w->file_key = h.file_key;
			first = false;
		}
		if (ret && h.stored_bytes <= limit - offset - h.header_bytes) {
			ret = block_take(w, &h, offset);
			if (ret)
				return ret;
			content = offset + h.header_bytes;
			offset = w->end;
			continue;
		}
		ret = trailer_at(w, fd, limit, offset);
		if (ret > 0 && offset + sizeof(struct file_trailer) == limit) {
			w->closed = true;
			w->end = offset; /* should it go on, the trailer goes */
			return 0;
		}
		if (ret >= 0)
			ret = header_find(w, fd, limit, content ? content : offset + 1, &offset);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		if (header_read(w, fd, limit, offset, false, &h) == 1 &&
		    h.stored_bytes > limit - offset - h.header_bytes) {
			/* the torn one itself */
			break;
		}
	}
	rest_judge(w, fd, limit);
	return 0;
}

void recover_walk_fini(struct recover_walk *w)
{
	free(w->entries);
	w->entries = NULL;
}
