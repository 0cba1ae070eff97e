/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_store.h - the key-value store: a hash table in shards, each with its own lock, its own
 * list of least recently used entries and its own share of the memory. When a share is used up
 * the oldest entries of the shard make room. Every function may be called from any thread.
 */
#ifndef KVD_STORE_H
#define KVD_STORE_H

#include <stdint.h>

#include "kvd_proto.h"

#define STORE_SHARDS 16u

struct store;

struct store_stats {
	uint64_t entries, bytes, evictions;
};

/* What an entry costs besides its key and value; a share must hold at least one entry. */
#define STORE_ENTRY_BYTES 64u

/* 0 or -errno. */
int store_open(struct store **out, uint64_t memory_bytes);
void store_close(struct store *store);

/* 1: found, after `found` was called with the value under the shard's lock and returned 0;
 * 0: not there; else what `found` returned. */
int store_get(struct store *store, struct proto_slice key,
              int (*found)(void *arg, struct proto_slice value), void *arg);

/* 0; -E2BIG: larger than a shard's share; -ENOMEM. What was there before stays on an error. */
int store_set(struct store *store, struct proto_slice key, struct proto_slice value);

/* 1: deleted, 0: was not there. */
int store_del(struct store *store, struct proto_slice key);

void store_stats_get(struct store *store, struct store_stats *out);

#endif
