/* SPDX-License-Identifier: BSD-2-Clause */
/* catalog_in.c - numbers of processes, threads and formats; see catalog_in.h. */
#include "catalog_in.h"

#include <string.h>

#include "cursor.h"

#define CATALOG_BYTES_MAX ((size_t)256 << 20)

/* Room for one more element of an array. */
static int array_room(struct catalog_in *c, void *array, uint32_t cnt, uint32_t *cap, size_t size)
{
	uint32_t more = *cap ? *cap * 2 : 64;
	size_t cost = (size_t)(more - *cap) * (size + 2 * sizeof(struct hash_index_slot));
	void *p, *bigger;

	if (cnt < *cap)
		return 0;
	if (c->bytes + cost > CATALOG_BYTES_MAX)
		return -E2BIG;
	memcpy(&p, array, sizeof(p));
	bigger = reallocarray(p, more, size);
	if (!bigger)
		return -ENOMEM;
	memcpy(array, &bigger, sizeof(bigger));
	c->bytes += cost;
	*cap = more;
	/* cppcheck-suppress memleak ; the array has it */
	return 0;
}

static int number_set(struct hash_index *h, uint64_t number, uint32_t slot)
{
	struct hash_index_walk walk;

	if (hash_index_first(h, number, &walk) == HASH_INDEX_NONE)
		return hash_index_add(h, number, slot);
	hash_index_set(h, number, slot);
	return 0;
}

int catalog_in_process(struct catalog_in *c, const uint8_t *data, uint32_t bytes)
{
	struct cursor at = { data, data + bytes };
	uint64_t number = cursor_varint(&at, UINT32_MAX);
	const struct record_process *process;
	int err;

	if (!at.p)
		return -EBADMSG;
	err = catalog_pool_process(c->pool, data, bytes, &process);
	if (!err)
		err = array_room(c, &c->processes, c->process_cnt, &c->process_cap,
				 sizeof(*c->processes));
	if (!err)
		err = number_set(&c->process_by_number, number, c->process_cnt);
	if (!err)
		c->processes[c->process_cnt++] = process;
	return err;
}

/* The number meant something already: the same, or a thread that was renamed. */
static void thread_inherit(struct in_thread *new, struct in_thread *old)
{
	new->first_key = old->first_key;
	new->last_key = old->last_key;
	new->has_key = old->has_key;
	new->spans = old->spans;
	memset(&old->spans, 0, sizeof(old->spans));
	span_stack_reset(&new->spans);
}

int catalog_in_thread(struct catalog_in *c, const uint8_t *data, uint32_t bytes)
{
	struct cursor at = { data, data + bytes };
	uint64_t number = cursor_varint(&at, UINT32_MAX);
	uint32_t owner = catalog_slot(&c->process_by_number, cursor_varint(&at, UINT32_MAX)), slot;
	const struct record_thread *thread;
	struct in_thread *new;
	int err;

	if (!at.p || owner == HASH_INDEX_NONE)
		return -EBADMSG;
	err = catalog_pool_thread(c->pool, data, bytes, c->processes[owner], &thread);
	if (err)
		return err;
	slot = catalog_slot(&c->thread_by_number, number);
	if (slot != HASH_INDEX_NONE && c->threads[slot].thread == thread) {
		span_stack_reset(&c->threads[slot].spans);
		return 0;
	}
	err = array_room(c, &c->threads, c->thread_cnt, &c->thread_cap, sizeof(*c->threads));
	if (!err)
		err = number_set(&c->thread_by_number, number, c->thread_cnt);
	if (err)
		return err;
	new = &c->threads[c->thread_cnt++];
	*new = (struct in_thread){ .thread = thread, .number = number };
	if (slot != HASH_INDEX_NONE)
		thread_inherit(new, &c->threads[slot]);
	return 0;
}

int catalog_in_spans_room(struct catalog_in *c, struct in_thread *t)
{
	struct span_stack *s = &t->spans;
	uint32_t cap = s->cap ? s->cap * 2 : SPAN_STACK_FIRST;
	size_t cost = (cap - s->cap) * sizeof(*s->entries);
	struct span_entry *entries;

	if (!span_stack_full(s))
		return 0;
	if (c->bytes + cost > CATALOG_BYTES_MAX)
		return -E2BIG;
	entries = reallocarray(s->entries, cap, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	c->bytes += cost;
	s->entries = entries;
	s->cap = cap;
	return 0;
}

int catalog_in_format(struct catalog_in *c, uint64_t number, uint8_t level, const uint8_t *data,
		      uint32_t bytes)
{
	uint32_t slot = catalog_slot(&c->format_by_number, number);
	const struct record_format *format;
	int err;

	err = catalog_pool_format(c->pool, level, data, bytes, &format);
	if (err || (slot != HASH_INDEX_NONE && c->formats[slot].format == format))
		return err;
	err = array_room(c, &c->formats, c->format_cnt, &c->format_cap, sizeof(*c->formats));
	if (!err)
		err = number_set(&c->format_by_number, number, c->format_cnt);
	if (!err && number < CATALOG_LOW)
		c->format_low[number] = c->format_cnt + 1;
	if (!err)
		c->formats[c->format_cnt++] = (struct in_format){ .format = format };
	return err;
}

void catalog_in_clear(struct catalog_in *c)
{
	uint32_t i;

	for (i = 0; i < c->thread_cnt; i++) {
		c->bytes -= c->threads[i].spans.cap * sizeof(struct span_entry);
		free(c->threads[i].spans.entries);
	}
	memset(c->format_low, 0, sizeof(c->format_low));
	c->process_cnt = c->thread_cnt = c->format_cnt = 0;
	hash_index_clear(&c->process_by_number);
	hash_index_clear(&c->thread_by_number);
	hash_index_clear(&c->format_by_number);
}

void catalog_in_fini(struct catalog_in *c)
{
	catalog_in_clear(c);
	free(c->processes);
	free(c->threads);
	free(c->formats);
	hash_index_fini(&c->process_by_number);
	hash_index_fini(&c->thread_by_number);
	hash_index_fini(&c->format_by_number);
	memset(c, 0, sizeof(*c));
}
