/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * row_value.h - an argument of a row (docs/format.md, "Arguments"), as both passes read it. NULL
 * where it runs past `end` or is malformed.
 */
#ifndef QSLOG_ROW_VALUE_H
#define QSLOG_ROW_VALUE_H

#include <stdint.h>
#include <string.h>

#include "file_format.h"
#include "record.h"
#include "varint.h"

/* Length code of a STR or BYTES argument. */
static inline const uint8_t *row_text_take(const uint8_t *p, const uint8_t *end, struct record_value *v)
{
	uint64_t code, len, real;

	p = varint_get(p, end, &code);
	if (!p)
		return NULL;
	v->len = 0;
	v->real_len = 0;
	v->bytes = NULL;
	if (!code)
		return p;
	len = (code - 1) >> 1;
	real = len;
	if ((code - 1) & 1) {
		p = varint_get(p, end, &real);
		if (!p || real <= len || real > UINT32_MAX)
			return NULL;
	}
	if (len > FILE_STRING_BYTES_MAX || len > (size_t)(end - p))
		return NULL;
	v->len = (uint32_t)len;
	v->real_len = (uint32_t)real;
	v->bytes = (const char *)p;
	return p + len;
}

static inline const uint8_t *row_value_take(const uint8_t *p, const uint8_t *end, unsigned type,
				 struct record_value *v)
{
	uint32_t bits;

	v->type = (uint8_t)type;
	switch ((enum qslog_arg_type)type) {
	case QSLOG_ARG_BOOL:
	case QSLOG_ARG_CHAR:
	case QSLOG_ARG_UINT8:
		if (p >= end)
			return NULL;
		v->u = *p;
		return p + 1;
	case QSLOG_ARG_UINT64:
	case QSLOG_ARG_POINTER:
		return varint_get(p, end, &v->u);
	case QSLOG_ARG_INT64:
		p = varint_get(p, end, &v->u);
		v->i = p ? unzigzag(v->u) : 0;
		return p;
	case QSLOG_ARG_FLOAT:
		if (end - p < 4)
			return NULL;
		v->u = 0;
		memcpy(&bits, p, 4);
		memcpy(&v->f, &bits, 4);
		return p + 4;
	case QSLOG_ARG_DOUBLE:
		if (end - p < 8)
			return NULL;
		memcpy(&v->d, p, 8);
		return p + 8;
	case QSLOG_ARG_STR:
	case QSLOG_ARG_BYTES:
		return row_text_take(p, end, v);
	case QSLOG_ARG_TYPE_COUNT:
		break;
	}
	return NULL;
}

/* Behind `cnt` arguments of which nobody wants to know, or NULL. */
static inline const uint8_t *row_values_skip(const uint8_t *p, const uint8_t *end,
					     const uint8_t *types, unsigned cnt)
{
	struct record_value v;
	unsigned i;

	for (i = 0; i < cnt; i++) {
		switch (types[i]) {
		case QSLOG_ARG_UINT64:
		case QSLOG_ARG_INT64:
		case QSLOG_ARG_POINTER:
			if (end - p >= VARINT_BYTES_MAX) {
				unsigned n = 0;

				while (n < VARINT_BYTES_MAX - 1 && p[n] & 0x80)
					n++;
				if (n < VARINT_BYTES_MAX - 1) { /* the longest need a look */
					p += n + 1;
					continue;
				}
			}
			/* fall through */
		default:
			p = row_value_take(p, end, types[i], &v);
			if (!p)
				return NULL;
		}
	}
	return p;
}

#endif
