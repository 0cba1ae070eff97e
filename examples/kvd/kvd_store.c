/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_store.c - the sharded hash table. Chained buckets that double when there are as many
 * entries as buckets; entries are one allocation each: links, key, value.
 */
#define QSLOG_TAG "store"
#define _GNU_SOURCE
#include "kvd_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <qslog.h>

#include "kvd_issued.h"

#define BUCKETS_FIRST 64u

struct entry {
	struct entry *chain;
	struct entry *newer, *older; /* in the order of use */
	uint64_t hash;
	size_t key_len, value_len;
	char data[]; /* key, value */
};
_Static_assert(sizeof(struct entry) <= STORE_ENTRY_BYTES, "what kvd_store.h says it costs");

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct entry **buckets;
	size_t bucket_cnt; /* power of two */
	struct entry *newest, *oldest;
	uint64_t entries, bytes, bytes_max, evictions;
};

struct store {
	struct shard shards[STORE_SHARDS];
	uint64_t seed;
};

/* FNV-1a and a finaliser; seeded, so that nobody can choose keys that collide by heart. */
static uint64_t key_hash(const struct store *store, struct proto_slice key)
{
	uint64_t hash = 0xcbf29ce484222325ull ^ store->seed;
	size_t i;

	for (i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.data[i]) * 0x100000001b3ull;
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdull;
	return hash ^ (hash >> 33);
}

static struct shard *shard_of(struct store *store, uint64_t hash)
{
	return &store->shards[(hash >> 58) % STORE_SHARDS];
}

static uint64_t entry_bytes(const struct entry *entry)
{
	return STORE_ENTRY_BYTES + entry->key_len + entry->value_len;
}

/* The link that points at the entry, or at NULL where it would be. */
static struct entry **entry_find(struct shard *shard, uint64_t hash, struct proto_slice key)
{
	struct entry **link = &shard->buckets[hash & (shard->bucket_cnt - 1)];

	while (*link && !((*link)->hash == hash && (*link)->key_len == key.len &&
	                  memcmp((*link)->data, key.data, key.len) == 0))
		link = &(*link)->chain;
	return link;
}

static void use_remove(struct shard *shard, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &shard->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &shard->oldest) = entry->newer;
}

static void use_add(struct shard *shard, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = shard->newest;
	*(shard->newest ? &shard->newest->newer : &shard->oldest) = entry;
	shard->newest = entry;
}

static void entry_remove(struct shard *shard, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->chain;
	use_remove(shard, entry);
	shard->entries--;
	shard->bytes -= entry_bytes(entry);
	free(entry);
}

static void entry_evict_oldest(struct shard *shard)
{
	struct entry *entry = shard->oldest;
	struct proto_slice key = { entry->data, entry->key_len };

	COUNTED(QSLOGI("evict key={key} value_bytes={value_bytes} entries={entries}",
	               qslog_strn(key.data, key.len), entry->value_len, shard->entries));
	entry_remove(shard, entry_find(shard, entry->hash, key));
	shard->evictions++;
}

/* Longer chains are slower, not wrong: without memory for more buckets the old ones stay. */
static void buckets_grow(struct shard *shard)
{
	size_t i, cnt = shard->bucket_cnt * 2;
	struct entry **buckets = calloc(cnt, sizeof(struct entry *));

	if (!buckets) {
		COUNTED(QSLOGE("no memory for {buckets} buckets", cnt));
		return;
	}
	for (i = 0; i < shard->bucket_cnt; i++) {
		struct entry *entry = shard->buckets[i], *next;

		for (; entry; entry = next) {
			struct entry **head = &buckets[entry->hash & (cnt - 1)];

			next = entry->chain;
			entry->chain = *head;
			*head = entry;
		}
	}
	free(shard->buckets);
	shard->buckets = buckets;
	shard->bucket_cnt = cnt;
	COUNTED(QSLOGD("grown to {buckets} buckets", cnt));
}

int store_open(struct store **out, uint64_t memory_bytes)
{
	struct store *store = aligned_alloc(64, sizeof(*store));
	int err = 0;
	size_t i;

	if (!store)
		return -ENOMEM;
	memset(store, 0, sizeof(*store));
	if (getrandom(&store->seed, sizeof(store->seed), 0) != (ssize_t)sizeof(store->seed)) {
		free(store);
		return -EIO;
	}
	for (i = 0; i < STORE_SHARDS; i++) {
		struct shard *shard = &store->shards[i];

		pthread_mutex_init(&shard->lock, NULL); /* cannot fail without attributes */
		shard->bytes_max = memory_bytes / STORE_SHARDS;
		shard->bucket_cnt = BUCKETS_FIRST;
		shard->buckets = calloc(BUCKETS_FIRST, sizeof(struct entry *));
		if (!shard->buckets)
			err = -ENOMEM;
	}
	if (err) {
		store_close(store);
		return err;
	}
	*out = store;
	return 0;
}

void store_close(struct store *store)
{
	size_t i;

	if (!store)
		return;
	for (i = 0; i < STORE_SHARDS; i++) {
		struct entry *entry = store->shards[i].newest, *older;

		for (; entry; entry = older) {
			older = entry->older;
			free(entry);
		}
		free(store->shards[i].buckets);
		pthread_mutex_destroy(&store->shards[i].lock);
	}
	free(store);
}

int store_get(struct store *store, struct proto_slice key,
              int (*found)(void *arg, struct proto_slice value), void *arg)
{
	uint64_t hash = key_hash(store, key);
	struct shard *shard = shard_of(store, hash);
	struct entry *entry;
	int ret = 0;

	COUNTED_SPAN(QSLOG_SPAN("lookup"));
	pthread_mutex_lock(&shard->lock);
	entry = *entry_find(shard, hash, key);
	if (entry) {
		use_remove(shard, entry);
		use_add(shard, entry);
		ret = found(arg,
		            (struct proto_slice){ entry->data + entry->key_len, entry->value_len });
		ret = ret ? ret : 1;
	}
	pthread_mutex_unlock(&shard->lock);
	return ret;
}

int store_set(struct store *store, struct proto_slice key, struct proto_slice value)
{
	uint64_t hash = key_hash(store, key);
	struct shard *shard = shard_of(store, hash);
	struct entry *entry, **link;

	COUNTED_SPAN(QSLOG_SPAN("store", "value_bytes={value_bytes}", value.len));
	if (STORE_ENTRY_BYTES + key.len + value.len > shard->bytes_max)
		return -E2BIG;
	entry = malloc(sizeof(*entry) + key.len + value.len);
	if (!entry)
		return -ENOMEM;
	*entry = (struct entry){ .hash = hash, .key_len = key.len, .value_len = value.len };
	memcpy(entry->data, key.data, key.len);
	if (value.len > 0)
		memcpy(entry->data + key.len, value.data, value.len);

	pthread_mutex_lock(&shard->lock);
	link = entry_find(shard, hash, key);
	if (*link)
		entry_remove(shard, link);
	while (shard->bytes + entry_bytes(entry) > shard->bytes_max)
		entry_evict_oldest(shard);
	if (shard->entries >= shard->bucket_cnt)
		buckets_grow(shard);
	link = &shard->buckets[hash & (shard->bucket_cnt - 1)];
	entry->chain = *link;
	*link = entry;
	use_add(shard, entry);
	shard->entries++;
	shard->bytes += entry_bytes(entry);
	pthread_mutex_unlock(&shard->lock);
	return 0;
}

int store_del(struct store *store, struct proto_slice key)
{
	uint64_t hash = key_hash(store, key);
	struct shard *shard = shard_of(store, hash);
	struct entry **link;
	int found;

	COUNTED_SPAN(QSLOG_SPAN("delete"));
	pthread_mutex_lock(&shard->lock);
	link = entry_find(shard, hash, key);
	found = *link != NULL;
	if (found)
		entry_remove(shard, link);
	pthread_mutex_unlock(&shard->lock);
	return found;
}

void store_stats_get(struct store *store, struct store_stats *out)
{
	size_t i;

	*out = (struct store_stats){ 0 };
	for (i = 0; i < STORE_SHARDS; i++) {
		struct shard *shard = &store->shards[i];

		pthread_mutex_lock(&shard->lock);
		out->entries += shard->entries;
		out->bytes += shard->bytes;
		out->evictions += shard->evictions;
		pthread_mutex_unlock(&shard->lock);
	}
}
