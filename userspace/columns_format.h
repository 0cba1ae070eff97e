/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_format.h - constants of a columns block (docs/format.md, "Columns block") and the small
 * functions in which writer and reader must agree bit by bit.
 */
#ifndef QSLOG_COLUMNS_FORMAT_H
#define QSLOG_COLUMNS_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COLUMNS_SECTIONS_MAX 32768u
#define COLUMNS_SECTION_BYTES_MAX (64u << 20) /* all sections of a block together, decompressed */
#define COLUMNS_ROWS_BYTES_MAX (16u << 20)
#define COLUMNS_SHAPES_MAX 65000u
#define COLUMNS_THREADS_MAX 65536u
#define COLUMNS_DEPTH_MAX 4u /* of streams within streams */

enum columns_section {
	COLUMNS_PLAN = 1,	  /* what there is, and how each stream is stored */
	COLUMNS_VERBATIM = 2,	  /* entries that are not split into columns */
	COLUMNS_DATA = 3,	  /* bytes of the plan's streams; several are read as one */
	COLUMNS_STRING_PLAN = 4,  /* the same for the dictionary of strings */
	COLUMNS_STRING_DATA = 5
};

enum columns_codec {
	COLUMNS_CODEC_NONE = 0,
	COLUMNS_CODEC_ZSTD = 1
};

#define COLUMNS_MUST_UNDERSTAND 1u /* flag of a section */

struct columns_header {
	uint32_t section_cnt;
	uint32_t reserved;
};

struct columns_section_entry {
	uint16_t id;
	uint8_t codec;
	uint8_t flags;
	uint32_t raw_bytes;
	uint32_t stored_bytes;
};
_Static_assert(sizeof(struct columns_header) == 8, "columns header");
_Static_assert(sizeof(struct columns_section_entry) == 12, "columns section entry");

/* Operations of the sequence; what follows are shapes. */
enum columns_op {
	COLUMNS_OP_VERBATIM = 0,
	COLUMNS_OP_THREAD = 1,
	COLUMNS_OP_SHAPE = 2 /* the first */
};

enum columns_shape_kind {
	COLUMNS_SHAPE_LOG = 0,
	COLUMNS_SHAPE_ENTER = 1,
	COLUMNS_SHAPE_EXIT = 2
};

#define COLUMNS_PLAN_TIME_BY_SHAPE 1u /* flag of the plan */

/* Head of a stream of integers. */
#define COLUMNS_PACKING_MASK 7u
#define COLUMNS_TRANSFORM_SHIFT 3
#define COLUMNS_TRANSFORM_MASK 3u
#define COLUMNS_HAS_BASE 0x40u
#define COLUMNS_HAS_SHIFT 0x80u

enum columns_packing {
	COLUMNS_CONSTANT = 0,
	COLUMNS_PLANES = 1,
	COLUMNS_CLASSES = 2,
	COLUMNS_SPARSE = 3,
	COLUMNS_DICTIONARY = 4
};

enum columns_transform {
	COLUMNS_PLAIN = 0,
	COLUMNS_DELTA = 1,
	COLUMNS_DELTA2 = 2,
	COLUMNS_SIGNED = 3
};

/* How the column of an argument is stored. */
enum columns_kind {
	COLUMNS_INTS = 0,
	COLUMNS_REFS = 1,     /* of the dictionary of numbers, or of strings by the type */
	COLUMNS_DECIMAL = 2,  /* floating point: an integer / a power of ten */
	COLUMNS_RELATIVE = 3, /* to another argument of the record */
	COLUMNS_NESTED = 4    /* durations: to the time since the span was entered */
};

#define COLUMNS_NEST_MAX 64u /* spans that are open on a thread, for COLUMNS_NESTED */
#define COLUMNS_DECIMAL_MAX 18u

/* ---- classes: small numbers as they are, greater ones by two bits below the top ---- */

#define COLUMNS_CLASS_SMALL 16u

static inline unsigned columns_class(uint64_t q, unsigned *bits)
{
	unsigned top;

	if (q < COLUMNS_CLASS_SMALL) {
		*bits = 0;
		return (unsigned)q;
	}
	top = 63u - (unsigned)__builtin_clzll(q);
	*bits = top - 2;
	return COLUMNS_CLASS_SMALL + (top - 4) * 4 + (unsigned)(q >> (top - 2) & 3);
}

static inline unsigned columns_class_bits(unsigned class)
{
	return class < COLUMNS_CLASS_SMALL ? 0 : (class - COLUMNS_CLASS_SMALL) / 4 + 2;
}

/* The least number of the class. */
static inline uint64_t columns_class_base(unsigned class)
{
	return class < COLUMNS_CLASS_SMALL ?
		       class : (uint64_t)(4 + class % 4) << columns_class_bits(class);
}

/* ---- references into a dictionary ---- */

#define COLUMNS_REF_PREDICTED 0u /* what came last time behind the reference before, in this column */
#define COLUMNS_REF_NEW 1u	 /* the next entry of the dictionary */
#define COLUMNS_REF_EXPLICIT 2u	 /* of the stream of such references */
#define COLUMNS_REF_BACK 2u	 /* + n: the nth reference before this one */
#define COLUMNS_REF_BACK_MAX 253u
#define COLUMNS_REF_TABLE_BITS 16u
#define COLUMNS_REF_NONE UINT32_MAX

/* `column`: 16 * shape + argument. `before`: the reference before, or COLUMNS_REF_NONE. */
static inline uint32_t columns_ref_slot(uint32_t before, uint32_t column)
{
	return ((before + 1) * 0x9e3779b1u + (column + 1) * 0x85ebca6bu) >>
	       (32 - COLUMNS_REF_TABLE_BITS);
}

/* ---- text of a template: bytes, and marks of the numbers in it ---- */

enum columns_mark {
	COLUMNS_MARK_ESCAPE = 0x10,    /* the byte that follows, as it is */
	COLUMNS_MARK_DECIMAL = 0x11,   /* a decimal number without leading zeros */
	COLUMNS_MARK_PADDED = 0x12,    /* a byte n: with leading zeros, n digits, at most 19 */
	COLUMNS_MARK_HEX = 0x13,       /* a byte n: n hexadecimal digits, at most 16, a to f */
	COLUMNS_MARK_HEX_UPPER = 0x14  /* the same with A to F */
};
#define COLUMNS_FIELDS_MAX 32u /* numbers in a template */

static inline double columns_power10(unsigned exponent)
{
	static const double powers[COLUMNS_DECIMAL_MAX + 1] = {
		1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
		1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
	};

	return powers[exponent];
}

/* The bits of a DOUBLE (or FLOAT) that is `x` / 10^exponent. */
static inline uint64_t columns_decimal_bits(int64_t x, unsigned exponent, int is_float)
{
	double d = (double)x / columns_power10(exponent);
	float f;
	uint32_t bits32;
	uint64_t bits;

	if (is_float) {
		f = (float)d;
		memcpy(&bits32, &f, 4);
		return bits32;
	}
	memcpy(&bits, &d, 8);
	return bits;
}

#endif
