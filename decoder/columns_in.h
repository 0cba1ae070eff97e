/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_in.h - a columns block on its way back to rows (docs/format.md, "Columns block"). What is
 * asked for is decoded, and what that needs: the formats of a block without its arguments, its
 * strings without its numbers. Everything is checked; counts are bounded by the rows that the
 * block claims to have before anything is allocated.
 */
#ifndef QSLOG_COLUMNS_IN_H
#define QSLOG_COLUMNS_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "columns_format.h"

struct columns_string {
	const uint8_t *bytes;
	uint32_t len;
	uint32_t code; /* 0: all of it; 1: NULL; else it was cut: 1 + how many bytes are missing */
};

struct columns_shape {
	uint64_t format; /* number */
	uint8_t kind;	 /* enum columns_shape_kind */
	uint8_t arg_cnt;
	const uint8_t *types;
};

struct columns_buffer {
	uint8_t *p;
	size_t bytes;
};

/* Where the next stream is described, and where its bytes are. */
struct columns_cursor {
	const uint8_t *plan, *plan_end;
	const uint8_t *data, *data_end;
};

struct columns_chunk;

struct columns_in {
	const uint8_t *payload;
	uint32_t bytes, rows_bytes;
	struct columns_section_entry *sections;
	uint32_t section_cnt;
	struct ZSTD_DCtx_s *zstd;
	struct columns_buffer plan, verbatim, data, string_plan, string_data;
	uint64_t budget; /* bytes that may still be allocated */
	struct columns_chunk *chunks; /* what alloc() gave away */
	struct columns_cursor cursor; /* of the plan, behind the shapes */
	uint32_t flags, op_cnt;
	struct columns_shape *shapes;
	uint32_t shape_cnt;
	bool shapes_known, strings_known;
	struct columns_string *strings;
	uint32_t string_cnt;
	const char *what; /* after -EBADMSG */
};

/* All return 0, -ENOMEM, or -EBADMSG with `what`. `payload` stays the caller's, and must stay.
 * `zstd` may be shared by one after the other. */
int columns_in_open(struct columns_in *c, struct ZSTD_DCtx_s *zstd, const uint8_t *payload,
		    uint32_t bytes, uint32_t rows_bytes);
/* The formats that the records have: c->shapes. */
int columns_in_shapes(struct columns_in *c);
/* All strings of the arguments, each once: c->strings. */
int columns_in_strings(struct columns_in *c);
/* The rows, rows_bytes of them; there must be room for COLUMNS_ROWS_SLACK more. */
#define COLUMNS_ROWS_SLACK 64u
int columns_in_rows(struct columns_in *c, uint8_t *rows);
void columns_in_close(struct columns_in *c);

/* ---- between the parts ---- */

int columns_refuse(struct columns_in *c, const char *what);
/* NULL: no memory, or more than the block may need: *err says. */
void *columns_alloc(struct columns_in *c, uint64_t cnt, size_t size, int *err);
/* The sections of this id, one behind the other. */
int columns_load(struct columns_in *c, enum columns_section id, struct columns_buffer *out);
int columns_number(struct columns_in *c, struct columns_cursor *at, uint64_t *v);
int columns_byte(struct columns_in *c, struct columns_cursor *at, unsigned *v);
/* A stream of `n` numbers; *out is from columns_alloc(), NULL if n is 0. */
int columns_ints(struct columns_in *c, struct columns_cursor *at, uint32_t n, uint64_t **out);

#endif
