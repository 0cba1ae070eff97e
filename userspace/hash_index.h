/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash_index.h - from 64-bit hashes or keys to small indexes: open addressing, linear probing,
 * nothing is ever removed. Several entries may have the same hash; who looks up walks them all
 * and compares. Shared by writer and reader.
 */
#ifndef QSLOG_HASH_INDEX_H
#define QSLOG_HASH_INDEX_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HASH_INDEX_NONE UINT32_MAX

struct hash_index_slot {
	uint64_t hash;
	uint32_t index; /* + 1; 0: empty */
	uint32_t reserved;
};

struct hash_index {
	struct hash_index_slot *slots;
	uint32_t mask; /* slots - 1, where there are any */
	uint32_t cnt;
};

struct hash_index_walk {
	uint64_t hash;
	uint32_t at;
};

/* Depends on the address of the table, so that no file can be made to collide everywhere. */
static inline uint32_t hash_index_home(const struct hash_index *h, uint64_t hash)
{
	uint64_t x = hash ^ (uint64_t)(uintptr_t)h->slots;

	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)(x >> 32) & h->mask;
}

/* The next index that was added with this hash, or HASH_INDEX_NONE. */
static inline uint32_t hash_index_next(const struct hash_index *h, struct hash_index_walk *walk)
{
	for (;;) {
		const struct hash_index_slot *slot = &h->slots[walk->at];

		if (!slot->index)
			return HASH_INDEX_NONE;
		walk->at = (walk->at + 1) & h->mask;
		if (slot->hash == walk->hash)
			return slot->index - 1;
	}
}

static inline uint32_t hash_index_first(const struct hash_index *h, uint64_t hash,
					struct hash_index_walk *walk)
{
	if (!h->slots)
		return HASH_INDEX_NONE;
	walk->hash = hash;
	walk->at = hash_index_home(h, hash);
	return hash_index_next(h, walk);
}

static inline void hash_index_put(struct hash_index *h, uint64_t hash, uint32_t index)
{
	uint32_t at = hash_index_home(h, hash);

	while (h->slots[at].index)
		at = (at + 1) & h->mask;
	h->slots[at].hash = hash;
	h->slots[at].index = index + 1;
	h->cnt++;
}

/* 0 or -ENOMEM */
static inline int hash_index_add(struct hash_index *h, uint64_t hash, uint32_t index)
{
	if (!h->slots || h->cnt >= h->mask - h->mask / 4) {
		uint32_t old_cnt = h->slots ? h->mask + 1 : 0, i;
		uint32_t new_cnt = old_cnt ? old_cnt * 2 : 64;
		struct hash_index bigger = { NULL, new_cnt - 1, 0 };

		bigger.slots = calloc(new_cnt, sizeof(*bigger.slots));
		if (!bigger.slots)
			return -ENOMEM;
		for (i = 0; i < old_cnt; i++) {
			if (h->slots[i].index)
				hash_index_put(&bigger, h->slots[i].hash, h->slots[i].index - 1);
		}
		free(h->slots);
		*h = bigger;
	}
	hash_index_put(h, hash, index);
	return 0;
}

/* Replaces the index of a hash that was added once. */
static inline void hash_index_set(struct hash_index *h, uint64_t hash, uint32_t index)
{
	uint32_t at = hash_index_home(h, hash);

	while (h->slots[at].index && h->slots[at].hash != hash)
		at = (at + 1) & h->mask;
	h->slots[at].hash = hash;
	h->slots[at].index = index + 1;
}

/* Forgets all, and keeps its memory. */
static inline void hash_index_clear(struct hash_index *h)
{
	if (h->cnt)
		memset(h->slots, 0, ((size_t)h->mask + 1) * sizeof(*h->slots));
	h->cnt = 0;
}

static inline void hash_index_fini(struct hash_index *h)
{
	free(h->slots);
	h->slots = NULL;
	h->cnt = 0;
}

#endif
