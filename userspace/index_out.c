/* SPDX-License-Identifier: BSD-2-Clause */
/* index_out.c - see index_out.h; docs/format.md, "Index and trailer". */
#include "index_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int cap_set(struct index_out *x, uint32_t cap)
{
	uint8_t *data = realloc(x->data, sizeof(struct file_index_header) +
						 (size_t)cap * sizeof(struct file_index_entry));

	if (!data)
		return -ENOMEM;
	x->data = data;
	x->cap = cap;
	return 0;
}

int index_out_resume(struct index_out *x, const struct recover_walk *walk)
{
	int err = walk->entry_cnt ? cap_set(x, walk->entry_cnt) : 0;

	if (err)
		return err;
	if (walk->entry_cnt)
		memcpy(x->data + sizeof(struct file_index_header), walk->entries,
		       (size_t)walk->entry_cnt * sizeof(struct file_index_entry));
	x->cnt = walk->entry_cnt;
	x->previous = walk->index_previous;
	x->records = walk->records;
	x->lost = walk->lost;
	return 0;
}

int index_out_room(struct index_out *x)
{
	return x->cnt < x->cap ? 0 : cap_set(x, x->cap ? x->cap * 2 : 256);
}

void index_out_add(struct index_out *x, const struct file_block_header *h, uint64_t offset,
		   uint64_t text_bytes)
{
	const struct file_index_entry e = file_index_entry_of(h, offset);

	memcpy(x->data + sizeof(struct file_index_header) + x->cnt * sizeof(e), &e, sizeof(e));
	x->cnt++;
	x->records += h->record_cnt;
	x->lost += h->lost;
	x->text_bytes += text_bytes;
}

const void *index_out_payload(struct index_out *x, uint32_t *bytes)
{
	struct file_index_header h;

	if (index_out_room(x))
		return NULL;
	memset(&h, 0, sizeof(h));
	h.previous = x->previous;
	h.entry_bytes = sizeof(struct file_index_entry);
	h.entry_cnt = x->cnt;
	h.records = x->records;
	h.lost = x->lost;
	h.text_bytes = x->text_bytes;
	memcpy(x->data, &h, sizeof(h));
	*bytes = (uint32_t)(sizeof(h) + x->cnt * sizeof(struct file_index_entry));
	return x->data;
}

void index_out_written(struct index_out *x, uint64_t offset)
{
	x->previous = offset;
	x->cnt = 0;
}

void index_out_reset(struct index_out *x)
{
	x->cnt = 0;
	x->previous = x->records = x->lost = x->text_bytes = 0;
}

void index_out_fini(struct index_out *x)
{
	free(x->data);
	x->data = NULL;
}
