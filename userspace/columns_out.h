/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_out.h - what the parts of the columns encoder share: growing arrays, streams of integers
 * (columns_ints.c), dictionaries (columns_strings.c, columns_numbers.c) and sections (columns_pack.c).
 * An array that could not grow says so once, at the end: `failed`.
 */
#ifndef QSLOG_COLUMNS_OUT_H
#define QSLOG_COLUMNS_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "columns_format.h"
#include "varint.h"

struct bytes {
	uint8_t *p;
	size_t len, cap;
	bool failed;
};

struct words {
	uint64_t *v;
	uint32_t cnt, cap;
	bool failed;
};

/* Room for `n` more; NULL after a failure. */
uint8_t *bytes_room(struct bytes *b, size_t n);
bool words_grow(struct words *w, uint32_t n);

static inline void bytes_put(struct bytes *b, const void *data, size_t n)
{
	uint8_t *p = bytes_room(b, n);

	if (p && n) {
		memcpy(p, data, n);
		b->len += n;
	}
}

static inline void bytes_varint(struct bytes *b, uint64_t v)
{
	uint8_t *p = bytes_room(b, VARINT_BYTES_MAX);

	if (p)
		b->len = (size_t)(varint_put(p, v) - b->p);
}

static inline void bytes_byte(struct bytes *b, unsigned v)
{
	uint8_t byte = (uint8_t)v;

	bytes_put(b, &byte, 1);
}

static inline void words_add(struct words *w, uint64_t v)
{
	if (__builtin_expect(w->cnt < w->cap || words_grow(w, 1), 1))
		w->v[w->cnt++] = v;
}

/* ---- streams ---- */

/* A part of `data` that is compressed on its own, if it is long enough. */
enum segment_kind {
	SEGMENT_REPEATS, /* sequences come again, or may do */
	SEGMENT_ENTROPY, /* only some bytes are more frequent than others: looking for matches harms */
	SEGMENT_RAW	 /* cannot be made smaller */
};

struct segment {
	size_t end; /* it begins where the one before ends */
	enum segment_kind kind;
};

struct segments {
	struct segment *list;
	uint32_t cnt, cap;
	bool failed;
};

/* A plan and the data of its streams. */
struct streams {
	struct bytes plan, data;
	struct segments segments;
	struct words *scratch; /* COLUMNS_SCRATCH of them */
	struct words decimals[3]; /* of columns_decimal.c: numbers, exceptions */
	uint32_t *repeat_table; /* for the search of repetitions */
	uint16_t *value_table;	/* for small dictionaries */
	float *logs;		/* of small numbers, to base 2 */
	float *products;	/* of them and their logarithms */
	bool failed;
};
#define COLUMNS_SCRATCH 12u
#define COLUMNS_REPEAT_BITS 13u
#define COLUMNS_VALUE_BITS 10u

int streams_init(struct streams *s);
void streams_clear(struct streams *s);
void streams_fini(struct streams *s);
bool streams_failed(const struct streams *s);
/* What has been appended to the data since the segment before. */
void segment_end(struct streams *s, enum segment_kind kind);

enum numbers_kind {
	NUMBERS_UNSIGNED,
	NUMBERS_SIGNED, /* they are int64_t */
	NUMBERS_SYMBOLS /* unsigned, and differences between them mean nothing */
};

/* One stream of `n` numbers, its description into the plan. */
void ints_put(struct streams *s, const uint64_t *v, uint32_t n, enum numbers_kind kind);
/* Bits that ints_put() would take, about. */
double ints_cost(struct streams *s, const uint64_t *v, uint32_t n, enum numbers_kind kind);

/* A column of floating-point numbers that are decimal fractions, most of them. False: they are not,
 * and nothing has been put. */
bool decimal_fits(const uint64_t *v, uint32_t n, bool is_float);
bool decimal_put(struct streams *s, const uint64_t *v, uint32_t n, bool is_float);

/* ---- references ---- */

struct refs {
	uint32_t *history;
	uint32_t cnt, cap;
	uint32_t *table; /* by columns_ref_slot(): reference + 1 */
	struct words explicit_refs;
	bool failed;
};

int refs_init(struct refs *r);
void refs_clear(struct refs *r);
void refs_fini(struct refs *r);
bool refs_grow(struct refs *r, uint32_t n); /* room for so many more */

/* What is predicted for the column, or COLUMNS_REF_NONE; *slot is for refs_put(). */
static inline uint32_t refs_predict(const struct refs *r, uint32_t column, uint32_t *slot)
{
	*slot = columns_ref_slot(r->cnt ? r->history[r->cnt - 1] : COLUMNS_REF_NONE, column);
	return r->table[*slot] - 1;
}

/* The symbol for `ref`. `last` is where it was used last (index + 1; 0: it is new), and changes. */
static inline unsigned refs_put(struct refs *r, uint32_t slot, uint32_t ref, uint32_t *last)
{
	unsigned symbol;
	uint32_t back;

	if (__builtin_expect(r->cnt == r->cap && !refs_grow(r, 1), 0))
		return 0;
	back = r->cnt + 1 - *last;
	if (r->table[slot] == ref + 1) {
		symbol = COLUMNS_REF_PREDICTED;
	} else if (!*last) {
		symbol = COLUMNS_REF_NEW;
	} else if (back <= COLUMNS_REF_BACK_MAX) {
		symbol = COLUMNS_REF_BACK + back;
	} else {
		symbol = COLUMNS_REF_EXPLICIT;
		words_add(&r->explicit_refs, ref);
	}
	r->table[slot] = ref + 1;
	r->history[r->cnt++] = ref;
	*last = r->cnt;
	return symbol;
}

/* ---- dictionary of strings ---- */

struct string_entry {
	uint64_t words[2]; /* its first 16 bytes, or what there is and zeros */
	uint32_t off;	   /* in `texts` */
	uint32_t len;
	uint32_t code; /* 0; 1: NULL; else it was cut, and 2 + how many bytes are missing - 1 */
	uint32_t last; /* of refs_put() */
};

struct string_slot {
	uint32_t hash;
	uint32_t index; /* + 1; 0: empty */
};

struct strings {
	struct string_entry *list;
	uint32_t cnt, cap;
	struct string_slot *slots;
	uint32_t mask;
	struct bytes texts;
	struct refs refs;
};

int strings_init(struct strings *s);
void strings_clear(struct strings *s);
void strings_fini(struct strings *s);
bool strings_grow(struct strings *s, uint32_t cnt, size_t bytes);
/* Room for `cnt` more of `bytes` together. False: no memory. */
static inline bool strings_room(struct strings *s, uint32_t cnt, size_t bytes)
{
	return __builtin_expect(s->cap - s->cnt >= cnt && s->cnt + cnt < s->mask - s->mask / 4 &&
					s->texts.cap - s->texts.len > bytes &&
					s->refs.cap - s->refs.cnt >= cnt &&
					s->refs.explicit_refs.cap - s->refs.explicit_refs.cnt >= cnt, 1) ||
	       strings_grow(s, cnt, bytes);
}
/* The symbol for a string in `column`. There is room, and `text` can be read in words of 8 bytes. */
unsigned strings_add(struct strings *s, uint32_t column, const uint64_t *text, uint32_t len,
		     uint32_t code);

/* Makes streams of it (columns_templates.c). */
struct templates *templates_open(void); /* NULL: no memory */
void templates_close(struct templates *t); /* NULL is accepted */
int templates_put(struct templates *t, const struct strings *s, struct streams *out); /* 0 or -ENOMEM */

/* ---- sections ---- */

struct pack {
	struct columns_section_entry *entries;
	uint32_t cnt, cap;
	struct bytes stored;  /* of all sections */
	struct bytes payload; /* what pack_finish() makes */
	struct ZSTD_CCtx_s *zstd;
	int level;
	bool failed;
};

int pack_init(struct pack *p, int level);
void pack_clear(struct pack *p);
void pack_fini(struct pack *p);
void pack_section(struct pack *p, enum columns_section id, const uint8_t *data, size_t bytes,
		  enum segment_kind kind);
/* The data of the streams, in as many sections as their segments make worth while. */
void pack_streams(struct pack *p, enum columns_section id, const struct streams *s);
int pack_finish(struct pack *p); /* 0 or -ENOMEM */

#endif
