/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_in.c - the sections of a columns block, its plan, and the rows that it stands for: one
 * walk over the sequence of entries takes the next value of each column that the entry needs.
 */
#include "columns_in.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "file_format.h"
#include "hash_index.h"
#include "qslog_abi.h"
#include "varint.h"

#define BUDGET_FIXED (4u << 20)
#define BUDGET_PER_BYTE 32u
#define MALFORMED_PLAN "the plan of a block is malformed"

struct columns_chunk {
	struct columns_chunk *next;
};

int columns_refuse(struct columns_in *c, const char *what)
{
	c->what = what;
	return -EBADMSG;
}

/* Zeroed. A value takes a byte of rows at least and eight here, and streams may lie in others. */
void *columns_alloc(struct columns_in *c, uint64_t cnt, size_t size, int *err)
{
	struct columns_chunk *chunk;

	if (cnt > c->budget / size) {
		*err = columns_refuse(c, "a block needs more memory than it can");
		return NULL;
	}
	chunk = calloc(1, sizeof(*chunk) + 8 + cnt * size);
	if (!chunk) {
		*err = -ENOMEM;
		return NULL;
	}
	c->budget -= cnt * size;
	chunk->next = c->chunks;
	c->chunks = chunk;
	return chunk + 1;
}

int columns_in_open(struct columns_in *c, struct ZSTD_DCtx_s *zstd, const uint8_t *payload,
		    uint32_t bytes, uint32_t rows_bytes)
{
	struct columns_header h;
	uint64_t at, raw = 0;
	uint32_t i;
	int err = 0;

	memset(c, 0, sizeof(*c));
	c->payload = payload;
	c->bytes = bytes;
	c->rows_bytes = rows_bytes;
	c->zstd = zstd;
	c->budget = BUDGET_FIXED + BUDGET_PER_BYTE * (uint64_t)rows_bytes;
	if (bytes < sizeof(h) || rows_bytes > COLUMNS_ROWS_BYTES_MAX)
		return columns_refuse(c, "a columns block without its table");
	memcpy(&h, payload, sizeof(h));
	at = sizeof(h) + (uint64_t)h.section_cnt * sizeof(*c->sections);
	if (h.section_cnt > COLUMNS_SECTIONS_MAX || at > bytes)
		return columns_refuse(c, "a columns block without its table");
	c->sections = columns_alloc(c, h.section_cnt, sizeof(*c->sections), &err);
	if (!c->sections)
		return err;
	memcpy(c->sections, payload + sizeof(h), h.section_cnt * sizeof(*c->sections));
	c->section_cnt = h.section_cnt;
	for (i = 0; i < h.section_cnt; i++) {
		const struct columns_section_entry *s = &c->sections[i];
		const bool known = s->id >= COLUMNS_PLAN && s->id <= COLUMNS_STRING_DATA;

		if ((!known || s->flags & ~COLUMNS_MUST_UNDERSTAND ||
		     s->codec > COLUMNS_CODEC_ZSTD) && (known || s->flags & COLUMNS_MUST_UNDERSTAND))
			return columns_refuse(c, "a block needs a later version of this program");
		if (s->stored_bytes > bytes - at ||
		    (s->codec == COLUMNS_CODEC_NONE && s->stored_bytes != s->raw_bytes))
			return columns_refuse(c, "a section of a block contradicts itself about its length");
		at += s->stored_bytes;
		raw += s->raw_bytes;
	}
	if (at != bytes || raw > COLUMNS_SECTION_BYTES_MAX)
		return columns_refuse(c, "a columns block contradicts itself about its length");
	c->budget += raw;
	return 0;
}

int columns_load(struct columns_in *c, enum columns_section id, struct columns_buffer *out)
{
	const uint8_t *p = c->payload + sizeof(struct columns_header) +
			   c->section_cnt * sizeof(*c->sections);
	const struct columns_section_entry *s;
	size_t bytes = 0, n;
	uint32_t i;
	int err = 0;

	for (i = 0; i < c->section_cnt; i++)
		bytes += c->sections[i].id == id ? c->sections[i].raw_bytes : 0;
	out->p = columns_alloc(c, bytes, 1, &err);
	if (!out->p)
		return err;
	out->bytes = 0;
	for (i = 0; i < c->section_cnt; p += s->stored_bytes, i++) {
		s = &c->sections[i];
		if (s->id != id)
			continue;
		if (s->codec == COLUMNS_CODEC_NONE) {
			memcpy(out->p + out->bytes, p, s->raw_bytes);
		} else {
			n = ZSTD_decompressDCtx(c->zstd, out->p + out->bytes, s->raw_bytes, p,
						s->stored_bytes);
			if (ZSTD_isError(n) || n != s->raw_bytes)
				return columns_refuse(c, "a section of a block cannot be decompressed");
		}
		out->bytes += s->raw_bytes;
	}
	return 0;
}

static int shape_take(struct columns_in *c, struct columns_cursor *at, struct columns_shape *s)
{
	uint64_t number;
	unsigned kind, i;
	int err = columns_number(c, at, &number);

	if (err)
		return err;
	kind = number & 3;
	s->kind = (uint8_t)kind;
	s->format = number >> 2;
	if (kind == COLUMNS_SHAPE_EXIT)
		return 0;
	err = columns_byte(c, at, &i);
	if (err)
		return err;
	if (kind > COLUMNS_SHAPE_EXIT || i > QSLOG_ARGS_MAX || i > (size_t)(at->plan_end - at->plan))
		return columns_refuse(c, MALFORMED_PLAN);
	s->arg_cnt = (uint8_t)i;
	s->types = at->plan;
	at->plan += i;
	for (i = 0; i < s->arg_cnt; i++) {
		if (s->types[i] >= QSLOG_ARG_TYPE_COUNT)
			return columns_refuse(c, MALFORMED_PLAN);
	}
	return 0;
}

int columns_in_shapes(struct columns_in *c)
{
	struct columns_cursor *at = &c->cursor;
	uint64_t flags, ops, shapes;
	uint32_t i;
	int err;

	if (c->shapes_known)
		return 0;
	err = columns_load(c, COLUMNS_PLAN, &c->plan);
	if (err)
		return err;
	at->plan = c->plan.p;
	at->plan_end = at->plan + c->plan.bytes;
	err = columns_number(c, at, &flags);
	err = err ? err : columns_number(c, at, &ops);
	err = err ? err : columns_number(c, at, &shapes);
	if (err)
		return err;
	if (flags & ~COLUMNS_PLAN_TIME_BY_SHAPE)
		return columns_refuse(c, "a block needs a later version of this program");
	if (ops > c->rows_bytes || shapes > ops || shapes > COLUMNS_SHAPES_MAX)
		return columns_refuse(c, MALFORMED_PLAN);
	c->flags = (uint32_t)flags;
	c->op_cnt = (uint32_t)ops;
	c->shapes = columns_alloc(c, shapes, sizeof(*c->shapes), &err);
	for (i = 0; i < shapes && !err; i++)
		err = shape_take(c, at, &c->shapes[i]);
	c->shape_cnt = (uint32_t)shapes;
	c->shapes_known = !err;
	return err;
}

void columns_in_close(struct columns_in *c)
{
	struct columns_chunk *chunk;

	while ((chunk = c->chunks)) {
		c->chunks = chunk->next;
		free(chunk);
	}
}
