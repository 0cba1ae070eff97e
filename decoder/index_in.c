/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * index_in.c - the list of blocks from the index of a closed file. Index blocks are chained from
 * the last to the first: the chain is followed back, then the entries are taken forward. They must
 * describe blocks one behind the other, or none of it is believed.
 */
#define XXH_INLINE_ALL
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "block_in.h"

bool index_in_trailer(struct block_in *in, uint64_t offset, struct file_trailer *t)
{
	return in->size >= sizeof(*t) && offset <= in->size - sizeof(*t) &&
	       block_in_read(in, t, sizeof(*t), offset) == 0 &&
	       memcmp(t->magic, FILE_END_MAGIC, FILE_MAGIC_BYTES) == 0 &&
	       file_hash_fits(t->checksum,
			      (uint32_t)XXH3_64bits(t, offsetof(struct file_trailer, checksum))) &&
	       (!in->key_known || t->file_key == in->file_key);
}

/* Takes the entries of one index block. `after` is where the block before may end at the latest. */
static int index_take(struct block_in *in, const uint8_t *data, uint64_t offset, uint64_t *after)
{
	struct file_index_header ih;
	uint32_t i;
	int err;

	memcpy(&ih, data, sizeof(ih));
	for (i = 0; i < ih.entry_cnt; i++) {
		const uint8_t *p = data + sizeof(ih) + (size_t)i * ih.entry_bytes;
		struct file_index_entry e;
		struct block_ref ref;

		memcpy(&e, p, sizeof(e));
		if (e.offset < *after || e.offset > offset || e.stored_bytes > FILE_RAW_BYTES_MAX ||
		    offset - e.offset < sizeof(struct file_block_header) + e.stored_bytes ||
		    (in->ref_cnt && e.sequence <= in->refs[in->ref_cnt - 1].sequence))
			return -EBADMSG;
		*after = e.offset + sizeof(struct file_block_header) + e.stored_bytes;
		if (!FILE_BLOCK_HAS_RECORDS(e.kind)) {
			if (!in->unknown_at && (e.record_cnt || e.lost))
				in->unknown_at = e.offset;
			continue;
		}
		ref = (struct block_ref){ .offset = e.offset,
					  .sequence = e.sequence,
					  .lost = e.lost,
					  .time_min = e.time_min,
					  .time_max = e.time_max,
					  .clock_ticks = e.clock_ticks,
					  .clock_realtime_ns = e.clock_realtime_ns,
					  .record_cnt = e.record_cnt,
					  .level_mask = e.level_mask };
		err = block_in_ref_add(in, &ref);
		if (err)
			return err;
	}
	return 0;
}

/* Reads an index block. 0, -EBADMSG or -ENOMEM. */
static int index_read(struct block_in *in, uint64_t offset, struct file_block_header *h,
		      struct block_buffer *b)
{
	struct file_index_header ih;
	const char *what;
	int err = 0;

	what = block_in_header(in, offset, h);
	if (!what && (h->kind != FILE_BLOCK_INDEX || h->raw_bytes < sizeof(ih)))
		what = "no index";
	if (!what)
		what = block_in_payload(in, offset, h, b, &err);
	if (what || err)
		return err ? err : -EBADMSG;
	memcpy(&ih, b->data, sizeof(ih));
	if (ih.entry_bytes < sizeof(struct file_index_entry) ||
	    ih.entry_cnt > FILE_INDEX_ENTRIES_MAX || ih.previous >= offset ||
	    (uint64_t)ih.entry_cnt * ih.entry_bytes > h->raw_bytes - sizeof(ih))
		return -EBADMSG;
	return 0;
}

int index_in_load(struct block_in *in, const struct file_trailer *trailer)
{
	uint64_t *chain = NULL, offset = trailer->index_offset, after = 0;
	struct block_buffer b = { 0 };
	uint32_t cnt = 0, cap = 0;
	int err;

	for (;;) {
		struct file_block_header h;
		struct file_index_header ih;

		err = index_read(in, offset, &h, &b);
		if (err)
			goto cleanup;
		memcpy(&ih, b.data, sizeof(ih));
		if (!cnt)
			in->last_sequence = h.sequence;
		if (cnt == cap) {
			uint64_t *bigger;

			cap = cap ? cap * 2 : 16;
			bigger = realloc(chain, cap * sizeof(*chain));
			if (!bigger) {
				err = -ENOMEM;
				goto cleanup;
			}
			chain = bigger;
		}
		chain[cnt++] = offset;
		if (!ih.previous)
			break;
		offset = ih.previous;
	}
	while (cnt) {
		struct file_block_header h;

		offset = chain[--cnt];
		err = index_read(in, offset, &h, &b);
		if (!err)
			err = index_take(in, b.data, offset, &after);
		if (err)
			goto cleanup;
		after = offset + h.header_bytes + h.stored_bytes;
	}
cleanup:
	block_buffer_fini(&b);
	free(chain);
	return err;
}
