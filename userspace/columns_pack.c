/* SPDX-License-Identifier: BSD-2-Clause */
/* columns_pack.c - growing arrays, and the sections of a columns block: table, compression. */
#include "columns_out.h"

#include <errno.h>
#include <zstd.h>

#define SEGMENT_OWN_BYTES 8192u /* from here on, a section of its own costs less than it saves */
#define SECTION_COMPRESS_MIN 24u

uint8_t *bytes_room(struct bytes *b, size_t n)
{
	size_t cap = b->cap * 2;
	uint8_t *p;

	if (b->cap - b->len >= n)
		return b->p + b->len;
	if (cap < b->len + n)
		cap = b->len + n;
	if (cap < 256)
		cap = 256;
	p = realloc(b->p, cap);
	if (!p) {
		b->failed = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return b->p + b->len;
}

bool words_grow(struct words *w, uint32_t n)
{
	uint32_t cap = w->cap * 2;
	uint64_t *v;

	if (w->cap - w->cnt >= n)
		return true;
	if (cap < w->cnt + n)
		cap = w->cnt + n;
	if (cap < 32)
		cap = 32;
	v = realloc(w->v, (size_t)cap * sizeof(*v));
	if (!v) {
		w->failed = true;
		return false;
	}
	w->v = v;
	w->cap = cap;
	return true;
}

int pack_init(struct pack *p, int level)
{
	p->level = level;
	p->zstd = ZSTD_createCCtx();
	return p->zstd ? 0 : -ENOMEM;
}

void pack_clear(struct pack *p)
{
	p->cnt = 0;
	p->stored.len = 0;
	p->payload.len = 0;
}

void pack_fini(struct pack *p)
{
	free(p->entries);
	free(p->stored.p);
	free(p->payload.p);
	ZSTD_freeCCtx(p->zstd);
}

static struct columns_section_entry *entry_add(struct pack *p)
{
	uint32_t cap = p->cap ? p->cap * 2 : 16;
	struct columns_section_entry *entries;

	if (p->cnt == p->cap) {
		entries = realloc(p->entries, cap * sizeof(*entries));
		if (!entries) {
			p->failed = true;
			return NULL;
		}
		p->entries = entries;
		p->cap = cap;
	}
	return &p->entries[p->cnt++];
}

/* For SEGMENT_ENTROPY zstd takes what matches it finds by the way: of seven bytes or more. */
static size_t compress(struct pack *p, uint8_t *to, size_t room, const uint8_t *data, size_t bytes,
		       enum segment_kind kind)
{
	ZSTD_CCtx_reset(p->zstd, ZSTD_reset_session_and_parameters);
	if (kind == SEGMENT_ENTROPY) {
		ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, 1);
		ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_strategy, ZSTD_fast);
		ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_minMatch, 7);
	} else {
		ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, p->level);
	}
	return ZSTD_compress2(p->zstd, to, room, data, bytes);
}

void pack_section(struct pack *p, enum columns_section id, const uint8_t *data, size_t bytes,
		  enum segment_kind kind)
{
	struct columns_section_entry *e;
	uint8_t *to;
	size_t n;

	if (!bytes)
		return;
	e = entry_add(p);
	to = e ? bytes_room(&p->stored, ZSTD_compressBound(bytes)) : NULL;
	if (!to)
		return;
	memset(e, 0, sizeof(*e));
	e->id = (uint16_t)id;
	e->raw_bytes = (uint32_t)bytes;
	if (kind != SEGMENT_RAW && bytes >= SECTION_COMPRESS_MIN) {
		n = compress(p, to, p->stored.cap - p->stored.len, data, bytes, kind);
		if (!ZSTD_isError(n) && n < bytes) {
			e->codec = COLUMNS_CODEC_ZSTD;
			e->stored_bytes = (uint32_t)n;
			p->stored.len += n;
			return;
		}
	}
	e->codec = COLUMNS_CODEC_NONE;
	e->stored_bytes = (uint32_t)bytes;
	bytes_put(&p->stored, data, bytes);
}

/* Short segments go together, raw ones among them too. */
void pack_streams(struct pack *p, enum columns_section id, const struct streams *s)
{
	size_t begin = 0, at = 0;
	uint32_t i;

	for (i = 0; i < s->segments.cnt; i++) {
		const struct segment *g = &s->segments.list[i];

		if (g->end - at >= SEGMENT_OWN_BYTES) {
			pack_section(p, id, s->data.p + begin, at - begin, SEGMENT_REPEATS);
			pack_section(p, id, s->data.p + at, g->end - at, g->kind);
			begin = g->end;
		}
		at = g->end;
	}
	if (at > begin)
		pack_section(p, id, s->data.p + begin, at - begin, SEGMENT_REPEATS);
}

int pack_finish(struct pack *p)
{
	const struct columns_header h = { .section_cnt = p->cnt };

	bytes_put(&p->payload, &h, sizeof(h));
	bytes_put(&p->payload, p->entries, p->cnt * sizeof(*p->entries));
	bytes_put(&p->payload, p->stored.p, p->stored.len);
	return p->failed || p->stored.failed || p->payload.failed ? -ENOMEM : 0;
}
