/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_strings.c - references into a dictionary, and the dictionary of the strings of a block,
 * each different one once. It grows as records come: most strings have been there before, and what
 * it takes to find one is what a record with strings costs.
 */
#define XXH_INLINE_ALL
#include "columns_out.h"

#include <errno.h>
#include <xxhash.h>

#define SLOTS_FIRST 1024u

/* ---- references ---- */

int refs_init(struct refs *r)
{
	r->table = calloc(1u << COLUMNS_REF_TABLE_BITS, sizeof(*r->table));
	return r->table ? 0 : -ENOMEM;
}

void refs_clear(struct refs *r)
{
	if (r->cnt)
		memset(r->table, 0, sizeof(*r->table) << COLUMNS_REF_TABLE_BITS);
	r->cnt = 0;
	r->explicit_refs.cnt = 0;
}

void refs_fini(struct refs *r)
{
	free(r->history);
	free(r->table);
	free(r->explicit_refs.v);
}

bool refs_grow(struct refs *r, uint32_t n)
{
	uint32_t cap = r->cap ? r->cap * 2 : 1024;
	uint32_t *history;

	if (r->cap - r->cnt >= n)
		return true;
	while (cap - r->cnt < n)
		cap *= 2;
	history = realloc(r->history, cap * sizeof(*history));

	if (!history) {
		r->failed = true;
		return false;
	}
	r->history = history;
	r->cap = cap;
	return true;
}

/* ---- strings ---- */

int strings_init(struct strings *s)
{
	s->slots = calloc(SLOTS_FIRST, sizeof(*s->slots));
	s->mask = SLOTS_FIRST - 1;
	return s->slots ? refs_init(&s->refs) : -ENOMEM;
}

void strings_clear(struct strings *s)
{
	if (s->cnt)
		memset(s->slots, 0, (s->mask + 1u) * sizeof(*s->slots));
	s->cnt = 0;
	s->texts.len = 0;
	refs_clear(&s->refs);
}

void strings_fini(struct strings *s)
{
	free(s->list);
	free(s->slots);
	free(s->texts.p);
	refs_fini(&s->refs);
}

static bool slots_grow(struct strings *s)
{
	const uint32_t size = s->mask + 1, mask = 2 * size - 1;
	struct string_slot *slots = calloc(2 * (size_t)size, sizeof(*slots));
	uint32_t i, at;

	if (!slots)
		return false;
	for (i = 0; i < size; i++) {
		if (!s->slots[i].index)
			continue;
		for (at = s->slots[i].hash & mask; slots[at].index; at = (at + 1) & mask)
			;
		slots[at] = s->slots[i];
	}
	free(s->slots);
	s->slots = slots;
	s->mask = mask;
	return true;
}

bool strings_grow(struct strings *s, uint32_t cnt, size_t bytes)
{
	uint32_t cap = s->cap ? s->cap : 512;
	struct string_entry *list;

	if (s->cap - s->cnt < cnt) {
		while (cap - s->cnt < cnt)
			cap *= 2;
		list = realloc(s->list, cap * sizeof(*list));
		if (!list)
			return false;
		s->list = list;
		s->cap = cap;
	}
	while (s->cnt + cnt >= s->mask - s->mask / 4) {
		if (!slots_grow(s))
			return false;
	}
	return bytes_room(&s->texts, bytes + 1) && refs_grow(&s->refs, cnt) &&
	       words_grow(&s->refs.explicit_refs, cnt);
}

/* The first `len` bytes, at most 8, of a word. */
static inline uint64_t word_head(uint64_t word, uint32_t len)
{
	return len >= 8 ? word : word & ((UINT64_C(1) << 8 * len) - 1);
}

static inline bool same(const struct strings *s, const struct string_entry *e,
			const struct string_entry *one, const uint64_t *text)
{
	if (((e->words[0] ^ one->words[0]) | (e->words[1] ^ one->words[1]) | (e->len ^ one->len) |
	     (e->code ^ one->code)) != 0)
		return false;
	return e->len <= 16 || memcmp(s->texts.p + e->off + 16, text + 2, e->len - 16) == 0;
}

static uint32_t string_find(struct strings *s, struct string_entry *one, const uint64_t *text)
{
	const uint32_t hash = (uint32_t)XXH3_64bits_withSeed(text, one->len, one->code);
	uint32_t at;

	for (at = hash & s->mask; s->slots[at].index; at = (at + 1) & s->mask) {
		if (s->slots[at].hash == hash && same(s, &s->list[s->slots[at].index - 1], one, text))
			return s->slots[at].index - 1;
	}
	one->off = (uint32_t)s->texts.len;
	one->last = 0;
	bytes_put(&s->texts, text, one->len);
	s->list[s->cnt++] = *one;
	s->slots[at] = (struct string_slot){ hash, s->cnt };
	return s->cnt - 1;
}

unsigned strings_add(struct strings *s, uint32_t column, const uint64_t *text, uint32_t len,
		     uint32_t code)
{
	uint32_t slot, ref = refs_predict(&s->refs, column, &slot);
	struct string_entry one = { .len = len, .code = code };

	one.words[0] = len ? word_head(text[0], len) : 0;
	one.words[1] = len > 8 ? word_head(text[1], len - 8) : 0;
	if (ref == COLUMNS_REF_NONE || !same(s, &s->list[ref], &one, text))
		ref = string_find(s, &one, text);
	return refs_put(&s->refs, slot, ref, &s->list[ref].last);
}
