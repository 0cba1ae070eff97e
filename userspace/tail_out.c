/* SPDX-License-Identifier: BSD-2-Clause */
/* tail_out.c - see tail_out.h; docs/format.md, "Tail". */
#define XXH_INLINE_ALL
#include "tail_out.h"

#include <string.h>
#include <xxhash.h>

static uint32_t checksum(const void *data, size_t bytes)
{
	return (uint32_t)XXH3_64bits(data, bytes);
}

int tail_out_empty(struct tail_out *t)
{
	int err;

	if (t->file.fd < 0)
		return 0;
	err = t->file.len ? output_file_cut(&t->file, 0) : 0;
	if (err)
		return err;
	t->sequence = UINT64_MAX;
	t->frame_number = 0;
	return 0;
}

static void head_make(struct file_tail_header *h, const uint8_t file_id[16], uint64_t sequence)
{
	memset(h, 0, sizeof(*h));
	memcpy(h->magic, FILE_TAIL_MAGIC, FILE_MAGIC_BYTES);
	h->header_bytes = sizeof(*h);
	h->version = FILE_VERSION;
	memcpy(h->file_id, file_id, sizeof(h->file_id));
	h->sequence = sequence;
	h->checksum = checksum((const uint8_t *)h + 12, sizeof(*h) - 12);
}

int tail_out_frame(struct tail_out *t, const uint8_t file_id[16], uint64_t sequence,
		   const struct rows_summary *summary, const void *rows, uint32_t bytes)
{
	struct file_tail_header head;
	struct file_frame_header frame;
	struct iovec iov[3];
	const bool first = t->sequence != sequence;
	int err;

	if (first) {
		err = tail_out_empty(t);
		if (err)
			return err;
	}
	head_make(&head, file_id, sequence);
	memset(&frame, 0, sizeof(frame));
	frame.magic = FILE_FRAME_MAGIC;
	frame.number = t->frame_number;
	frame.sequence = sequence;
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
	err = output_file_append(&t->file, iov, 3);
	if (err)
		return err;
	t->sequence = sequence;
	t->frame_number++;
	return 0;
}
