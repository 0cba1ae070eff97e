/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalog_pool.c - entries become the structs that records point to. What is the same is found by
 * a hash of the entry's bytes, which are kept to compare with. Everything lives in chunks that are
 * freed together; the total is bounded, whatever a file says.
 */
#define XXH_INLINE_ALL
#include "catalog_pool.h"

#include <pthread.h>
#include <string.h>
#include <xxhash.h>

#include "cursor.h"
#include "file_format.h"
#include "hash_index.h"

#define POOL_BYTES_MAX ((size_t)512 << 20)
#define CHUNK_BYTES ((size_t)64 << 10)

struct pool_chunk {
	struct pool_chunk *next;
	size_t used, cap;
	uint64_t data[];
};

/* Of all three kinds; what it is follows. */
struct pooled {
	const void *owner; /* of a thread its process; of a format NULL */
	const uint8_t *raw;
	uint32_t raw_bytes;
	uint8_t kind, level;
};

enum { POOL_PROCESS, POOL_THREAD, POOL_FORMAT };

struct pooled_process {
	struct pooled pooled;
	struct record_process process;
};

struct pooled_thread {
	struct pooled pooled;
	struct record_thread thread;
};

struct pooled_format {
	struct pooled pooled;
	struct record_format format;
};

struct catalog_pool {
	pthread_mutex_t lock;
	struct pooled **all;
	uint32_t cnt, cap, format_cnt;
	struct hash_index by_content;
	struct pool_chunk *chunks;
	size_t bytes;
	char *host; /* NULL: not known */
};

int catalog_pool_open(struct catalog_pool **out)
{
	struct catalog_pool *p = calloc(1, sizeof(*p));

	*out = p;
	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	return 0;
}

void catalog_pool_close(struct catalog_pool *p)
{
	struct pool_chunk *chunk, *next;

	if (!p)
		return;
	for (chunk = p->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	hash_index_fini(&p->by_content);
	pthread_mutex_destroy(&p->lock);
	free(p->all);
	free(p->host);
	free(p);
}

const char *catalog_pool_host_get(const struct catalog_pool *p)
{
	return p->host ? p->host : "";
}

int catalog_pool_host(struct catalog_pool *p, const char *host, uint32_t bytes)
{
	free(p->host);
	p->host = malloc((size_t)bytes + 1); /* strndup() may look behind the bytes, in some builds */
	if (!p->host)
		return -ENOMEM;
	memcpy(p->host, host, bytes);
	p->host[bytes] = '\0';
	return 0;
}

static int room(struct catalog_pool *p, size_t bytes, void *out)
{
	struct pool_chunk *chunk = p->chunks;
	uint8_t *at;

	bytes = (bytes + 7) & ~(size_t)7;
	if (!chunk || chunk->cap - chunk->used < bytes) {
		size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

		if (p->bytes + cap > POOL_BYTES_MAX)
			return -E2BIG;
		chunk = malloc(sizeof(*chunk) + cap);
		if (!chunk)
			return -ENOMEM;
		chunk->next = p->chunks;
		chunk->used = 0;
		chunk->cap = cap;
		p->chunks = chunk;
		p->bytes += cap;
	}
	at = (uint8_t *)chunk->data + chunk->used;
	chunk->used += bytes;
	memset(at, 0, bytes);
	memcpy(out, &at, sizeof(at));
	return 0;
}

/* Room in the list and in its index. */
static int list_room(struct catalog_pool *p)
{
	uint32_t cap = p->cap ? p->cap * 2 : 64;
	struct pooled **all;

	if (p->cnt < p->cap)
		return 0;
	/* two hash slots of 16 bytes come with each pointer */
	if (p->bytes + (size_t)(cap - p->cap) * 40 > POOL_BYTES_MAX)
		return -E2BIG;
	all = realloc(p->all, cap * sizeof(*all));
	if (!all)
		return -ENOMEM;
	p->all = all;
	p->bytes += (size_t)(cap - p->cap) * 40;
	p->cap = cap;
	return 0;
}

static uint64_t content_hash(const struct pooled *key)
{
	const uint64_t more = (uint64_t)(uintptr_t)key->owner ^ (uint64_t)key->kind << 56 ^
			      (uint64_t)key->level << 48;

	return XXH3_64bits_withSeed(key->raw, key->raw_bytes, more);
}

static struct pooled *find(const struct catalog_pool *p, const struct pooled *key, uint64_t hash)
{
	struct hash_index_walk walk;
	uint32_t i;

	for (i = hash_index_first(&p->by_content, hash, &walk); i != HASH_INDEX_NONE;
	     i = hash_index_next(&p->by_content, &walk)) {
		struct pooled *have = p->all[i];

		if (have->owner == key->owner && have->kind == key->kind &&
		    have->level == key->level && have->raw_bytes == key->raw_bytes &&
		    memcmp(have->raw, key->raw, key->raw_bytes) == 0)
			return have;
	}
	return NULL;
}

/* Puts what has been made of `key` into the list. `text_bytes` more are for its strings. */
static int add(struct catalog_pool *p, const struct pooled *key, uint64_t hash, size_t size,
	       size_t text_bytes, struct pooled **out, char **strings)
{
	struct pooled *new;
	uint8_t *raw;
	int err;

	err = list_room(p);
	if (!err)
		err = room(p, size, &new);
	if (!err)
		err = room(p, key->raw_bytes, &raw);
	if (!err)
		err = room(p, text_bytes, strings);
	if (!err)
		err = hash_index_add(&p->by_content, hash, p->cnt);
	if (err)
		return err;
	memcpy(raw, key->raw, key->raw_bytes);
	*new = *key;
	new->raw = raw;
	p->all[p->cnt++] = new;
	*out = new;
	return 0;
}

/* Copies texts behind each other as C strings. */
static const char *text_keep(char **at, struct text t)
{
	char *s = *at;

	if (t.len)
		memcpy(s, t.p, t.len);
	s[t.len] = '\0';
	*at += t.len + 1;
	return s;
}

/* What has that content; if it is not there yet, `make` adds it. */
static int pooled_get(struct catalog_pool *p, const struct pooled *key,
		      int (*make)(struct catalog_pool *p, const struct pooled *key, uint64_t hash,
				  struct pooled **out),
		      struct pooled **out)
{
	const uint64_t hash = content_hash(key);
	int err = 0;

	pthread_mutex_lock(&p->lock);
	*out = find(p, key, hash);
	if (!*out)
		err = make(p, key, hash, out);
	pthread_mutex_unlock(&p->lock);
	return err;
}

/* ---- processes ---- */

static int process_make(struct catalog_pool *p, const struct pooled *key, uint64_t hash,
			struct pooled **out)
{
	struct cursor at = { key->raw, key->raw + key->raw_bytes };
	struct record_process made = { 0 };
	struct text name, exe, command, host = { NULL, 0 };
	char *strings;
	int err;

	cursor_varint(&at, UINT32_MAX); /* its number */
	made.pid = (uint32_t)cursor_varint(&at, UINT32_MAX);
	made.start_ns = cursor_varint(&at, UINT64_MAX);
	name = cursor_text(&at);
	exe = cursor_text(&at);
	command = cursor_text(&at);
	if (!at.p)
		return -EBADMSG;
	if (at.p < at.end)
		host = cursor_text(&at); /* what is not one is of a later version */
	err = add(p, key, hash, sizeof(struct pooled_process), name.len + exe.len + command.len + host.len + 4,
		  out, &strings);
	if (err)
		return err;
	made.name = text_keep(&strings, name);
	made.exe = text_keep(&strings, exe);
	made.command = text_keep(&strings, command);
	made.host = text_keep(&strings, host);
	if (!*made.host && p->host)
		made.host = p->host;
	((struct pooled_process *)*out)->process = made;
	return 0;
}

int catalog_pool_process(struct catalog_pool *p, const uint8_t *data, uint32_t bytes,
			 const struct record_process **out)
{
	const struct pooled key = { .raw = data, .raw_bytes = bytes, .kind = POOL_PROCESS };
	struct pooled *have;
	int err = pooled_get(p, &key, process_make, &have);

	if (!err)
		*out = &((struct pooled_process *)have)->process;
	return err;
}

/* ---- threads ---- */

static int thread_make(struct catalog_pool *p, const struct pooled *key, uint64_t hash,
		       struct pooled **out)
{
	struct cursor at = { key->raw, key->raw + key->raw_bytes };
	struct record_thread made = { .process = key->owner };
	struct text name;
	char *strings;
	int err;

	cursor_varint(&at, UINT32_MAX); /* its number, and that of its process */
	cursor_varint(&at, UINT32_MAX);
	made.tid = (uint32_t)cursor_varint(&at, UINT32_MAX);
	made.key = cursor_varint(&at, UINT64_MAX);
	name = cursor_text(&at);
	if (!at.p)
		return -EBADMSG;
	err = add(p, key, hash, sizeof(struct pooled_thread), name.len + 1, out, &strings);
	if (err)
		return err;
	made.name = text_keep(&strings, name);
	((struct pooled_thread *)*out)->thread = made;
	return 0;
}

int catalog_pool_thread(struct catalog_pool *p, const uint8_t *data, uint32_t bytes,
			const struct record_process *owner, const struct record_thread **out)
{
	const struct pooled key = { .owner = owner, .raw = data, .raw_bytes = bytes,
				    .kind = POOL_THREAD };
	struct pooled *have;
	int err = pooled_get(p, &key, thread_make, &have);

	if (!err)
		*out = &((struct pooled_thread *)have)->thread;
	return err;
}

/* ---- formats ---- */

/* Parses into *f; the strings are pointed to by texts[] until there is room for them. */
static bool format_parse(struct record_format *f, struct text texts[5], const uint8_t *data,
			 uint32_t bytes)
{
	struct cursor at = { data, data + bytes };
	unsigned i;

	if (bytes < 10)
		return false;
	memcpy(&f->hash, data, 8);
	f->kind = data[8];
	f->arg_cnt = data[9];
	if (f->level >= QSLOG_LEVEL_COUNT || f->kind >= QSLOG_SITE_KIND_COUNT ||
	    f->arg_cnt > QSLOG_ARGS_MAX || bytes < 10u + f->arg_cnt ||
	    !file_hash_fits(f->hash, XXH3_64bits_withSeed(data + 8, bytes - 8, f->level)))
		return false;
	memcpy(f->types, data + 10, f->arg_cnt);
	for (i = 0; i < f->arg_cnt; i++) {
		if (f->types[i] >= QSLOG_ARG_TYPE_COUNT)
			return false;
	}
	at.p = data + 10 + f->arg_cnt;
	f->line = (uint32_t)cursor_varint(&at, UINT32_MAX);
	for (i = 0; i < 5; i++)
		texts[i] = cursor_text(&at);
	return at.p != NULL;
}

static int format_make(struct catalog_pool *p, const struct pooled *key, uint64_t hash,
		       struct pooled **out)
{
	struct record_format made = { .level = key->level };
	struct text texts[5];
	size_t len = 5;
	char *strings;
	unsigned i;
	int err;

	if (!format_parse(&made, texts, key->raw, key->raw_bytes))
		return -EBADMSG;
	for (i = 0; i < 5; i++)
		len += texts[i].len;
	err = add(p, key, hash, sizeof(struct pooled_format), len, out, &strings);
	if (err)
		return err;
	made.id = p->format_cnt++;
	made.tag = text_keep(&strings, texts[0]);
	made.file = text_keep(&strings, texts[1]);
	made.function = text_keep(&strings, texts[2]);
	made.format = text_keep(&strings, texts[3]);
	made.name = text_keep(&strings, texts[4]);
	if (made.kind != QSLOG_SITE_SPAN)
		made.name = NULL;
	((struct pooled_format *)*out)->format = made;
	return 0;
}

int catalog_pool_format(struct catalog_pool *p, uint8_t level, const uint8_t *data, uint32_t bytes,
			const struct record_format **out)
{
	const struct pooled key = { .raw = data, .raw_bytes = bytes, .kind = POOL_FORMAT,
				    .level = level };
	struct pooled *have;
	int err = pooled_get(p, &key, format_make, &have);

	if (!err)
		*out = &((struct pooled_format *)have)->format;
	return err;
}
