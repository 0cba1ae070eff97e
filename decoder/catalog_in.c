/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalog_in.c - entries become the structs that records point to. Everything lives in chunks
 * that are freed together; the total is bounded, whatever a file says.
 */
#define XXH_INLINE_ALL
#include "catalog_in.h"

#include <string.h>
#include <xxhash.h>

#include "file_format.h"
#include "varint.h"

#define CATALOG_BYTES_MAX ((size_t)512 << 20)
#define CHUNK_BYTES ((size_t)64 << 10)

struct catalog_chunk {
	struct catalog_chunk *next;
	size_t used, cap;
	uint64_t data[];
};

static int room(struct catalog_in *c, size_t bytes, void *out)
{
	struct catalog_chunk *chunk = c->chunks;
	uint8_t *p;

	bytes = (bytes + 7) & ~(size_t)7;
	if (!chunk || chunk->cap - chunk->used < bytes) {
		size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

		if (c->bytes + cap > CATALOG_BYTES_MAX)
			return -E2BIG;
		chunk = malloc(sizeof(*chunk) + cap);
		if (!chunk)
			return -ENOMEM;
		chunk->next = c->chunks;
		chunk->used = 0;
		chunk->cap = cap;
		c->chunks = chunk;
		c->bytes += cap;
	}
	p = (uint8_t *)chunk->data + chunk->used;
	chunk->used += bytes;
	memset(p, 0, bytes);
	memcpy(out, &p, sizeof(p));
	return 0;
}

static int pointers_room(struct catalog_in *c, void *array, uint32_t cnt, uint32_t *cap)
{
	uint32_t more = *cap ? *cap * 2 : 64;
	void **p, **bigger;

	if (cnt < *cap)
		return 0;
	/* two hash slots of 16 bytes come with each pointer */
	if (c->bytes + (size_t)(more - *cap) * 40 > CATALOG_BYTES_MAX)
		return -E2BIG;
	memcpy(&p, array, sizeof(p));
	bigger = realloc(p, more * sizeof(*p));
	if (!bigger)
		return -ENOMEM;
	memcpy(array, &bigger, sizeof(bigger));
	c->bytes += (size_t)(more - *cap) * 40;
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

/* A cursor over untrusted bytes; once `p` is NULL it stays so. */
struct cursor {
	const uint8_t *p, *end;
};

static uint64_t take_varint(struct cursor *c, uint64_t max)
{
	uint64_t v = 0;

	if (c->p)
		c->p = varint_get(c->p, c->end, &v);
	if (v > max)
		c->p = NULL;
	return c->p ? v : 0;
}

struct text {
	const uint8_t *p;
	size_t len;
};

static struct text take_text(struct cursor *c)
{
	struct text t = { NULL, 0 };
	uint64_t len = take_varint(c, UINT32_MAX);

	if (!c->p || len > (size_t)(c->end - c->p) || memchr(c->p, 0, len)) {
		c->p = NULL;
		return t;
	}
	t.p = c->p;
	t.len = len;
	c->p += len;
	return t;
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

int catalog_in_process(struct catalog_in *c, const uint8_t *data, uint32_t bytes)
{
	struct cursor at = { data, data + bytes };
	uint64_t number = take_varint(&at, UINT32_MAX);
	uint32_t pid = (uint32_t)take_varint(&at, UINT32_MAX), slot;
	uint64_t start = take_varint(&at, UINT64_MAX);
	struct text name = take_text(&at), exe = take_text(&at), command = take_text(&at);
	struct in_process *new;
	char *strings;
	uint8_t *raw;
	int err;

	(void)start; /* part of the process's identity, which `raw` compares */
	if (!at.p)
		return -EBADMSG;
	slot = catalog_slot(&c->process_by_number, number);
	if (slot != HASH_INDEX_NONE && c->processes[slot]->raw_bytes == bytes &&
	    memcmp(c->processes[slot]->raw, data, bytes) == 0)
		return 0;
	err = pointers_room(c, &c->processes, c->process_cnt, &c->process_cap);
	if (!err)
		err = room(c, sizeof(*new), &new);
	if (!err)
		err = room(c, bytes, &raw);
	if (!err)
		err = room(c, name.len + exe.len + command.len + 3, &strings);
	if (!err)
		err = number_set(&c->process_by_number, number, c->process_cnt);
	if (err)
		return err;
	memcpy(raw, data, bytes);
	new->raw = raw;
	new->raw_bytes = bytes;
	new->process.pid = pid;
	new->process.name = text_keep(&strings, name);
	new->process.exe = text_keep(&strings, exe);
	new->process.command = text_keep(&strings, command);
	c->processes[c->process_cnt++] = new;
	return 0;
}

int catalog_in_thread(struct catalog_in *c, const uint8_t *data, uint32_t bytes)
{
	struct cursor at = { data, data + bytes };
	uint64_t number = take_varint(&at, UINT32_MAX);
	uint32_t process = catalog_slot(&c->process_by_number, take_varint(&at, UINT32_MAX));
	uint32_t tid = (uint32_t)take_varint(&at, UINT32_MAX), slot;
	uint64_t key = take_varint(&at, UINT64_MAX);
	struct text name = take_text(&at);
	const struct record_process *owner;
	struct in_thread *new, *old = NULL;
	char *strings;
	uint8_t *raw;
	int err;

	if (!at.p || process == HASH_INDEX_NONE)
		return -EBADMSG;
	owner = &c->processes[process]->process;
	slot = catalog_slot(&c->thread_by_number, number);
	if (slot != HASH_INDEX_NONE) {
		old = c->threads[slot];
		if (old->raw_bytes == bytes && memcmp(old->raw, data, bytes) == 0 &&
		    old->thread.process == owner) {
			span_stack_reset(&old->spans);
			return 0;
		}
	}
	err = pointers_room(c, &c->threads, c->thread_cnt, &c->thread_cap);
	if (!err)
		err = room(c, sizeof(*new), &new);
	if (!err)
		err = room(c, bytes, &raw);
	if (!err)
		err = room(c, name.len + 1, &strings);
	if (!err)
		err = number_set(&c->thread_by_number, number, c->thread_cnt);
	if (err)
		return err;
	memcpy(raw, data, bytes);
	new->raw = raw;
	new->raw_bytes = bytes;
	new->thread.process = owner;
	new->thread.tid = tid;
	new->thread.key = key;
	new->thread.name = text_keep(&strings, name);
	if (old) {
		new->last_key = old->last_key;
		new->has_key = old->has_key;
		new->spans = old->spans;
		span_stack_reset(&new->spans);
	}
	c->threads[c->thread_cnt++] = new;
	return 0;
}

int catalog_in_spans_room(struct catalog_in *c, struct in_thread *t)
{
	struct span_stack *s = &t->spans;
	uint32_t cap = s->cap ? s->cap * 2 : SPAN_STACK_FIRST;
	struct span_entry *entries;
	int err;

	if (!span_stack_full(s))
		return 0;
	err = room(c, cap * sizeof(*entries), &entries);
	if (err)
		return err;
	if (s->cnt)
		memcpy(entries, s->entries, s->cnt * sizeof(*entries));
	s->entries = entries;
	s->cap = cap;
	return 0;
}

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
	f->line = (uint32_t)take_varint(&at, UINT32_MAX);
	for (i = 0; i < 5; i++)
		texts[i] = take_text(&at);
	return at.p != NULL;
}

int catalog_in_format(struct catalog_in *c, uint64_t number, uint8_t level, const uint8_t *data,
		      uint32_t bytes)
{
	uint32_t slot = catalog_slot(&c->format_by_number, number);
	struct record_format parsed;
	struct in_format *new;
	struct text texts[5];
	size_t len = 5;
	char *strings;
	uint8_t *raw;
	unsigned i;
	int err;

	if (slot != HASH_INDEX_NONE && c->formats[slot]->raw_bytes == bytes &&
	    c->formats[slot]->format.level == level &&
	    memcmp(c->formats[slot]->raw, data, bytes) == 0)
		return 0;
	memset(&parsed, 0, sizeof(parsed));
	parsed.level = level;
	if (!format_parse(&parsed, texts, data, bytes))
		return -EBADMSG;
	for (i = 0; i < 5; i++)
		len += texts[i].len;
	err = pointers_room(c, &c->formats, c->format_cnt, &c->format_cap);
	if (!err)
		err = room(c, sizeof(*new), &new);
	if (!err)
		err = room(c, bytes, &raw);
	if (!err)
		err = room(c, len, &strings);
	if (!err)
		err = number_set(&c->format_by_number, number, c->format_cnt);
	if (err)
		return err;
	memcpy(raw, data, bytes);
	new->raw = raw;
	new->raw_bytes = bytes;
	new->format = parsed;
	new->format.id = c->format_cnt;
	new->format.tag = text_keep(&strings, texts[0]);
	new->format.file = text_keep(&strings, texts[1]);
	new->format.function = text_keep(&strings, texts[2]);
	new->format.format = text_keep(&strings, texts[3]);
	new->format.name = text_keep(&strings, texts[4]);
	if (parsed.kind != QSLOG_SITE_SPAN)
		new->format.name = NULL;
	c->formats[c->format_cnt++] = new;
	return 0;
}

void catalog_in_fini(struct catalog_in *c)
{
	struct catalog_chunk *chunk, *next;

	for (chunk = c->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(c->processes);
	free(c->threads);
	free(c->formats);
	hash_index_fini(&c->process_by_number);
	hash_index_fini(&c->thread_by_number);
	hash_index_fini(&c->format_by_number);
	memset(c, 0, sizeof(*c));
}
