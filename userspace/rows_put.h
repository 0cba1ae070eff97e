/* SPDX-License-Identifier: BSD-2-Clause */
/* rows_put.h - the parts of a record in rows (docs/format.md, "Entries"). There is room. */
#ifndef QSLOG_ROWS_PUT_H
#define QSLOG_ROWS_PUT_H

#include <stdint.h>
#include <string.h>

#include "columns_format.h"
#include "file_format.h"
#include "qslog_abi.h"
#include "varint.h"

/* Type, operation and format of a record. */
static inline uint8_t *head_put(uint8_t *p, unsigned kind, uint32_t number)
{
	static const uint8_t heads[] = {
		[COLUMNS_SHAPE_LOG] = FILE_ENTRY_LOG << FILE_ENTRY_TYPE_SHIFT,
		[COLUMNS_SHAPE_ENTER] = FILE_ENTRY_SPAN << FILE_ENTRY_TYPE_SHIFT |
					FILE_SPAN_ENTER << FILE_SPAN_OP_SHIFT,
		[COLUMNS_SHAPE_EXIT] = FILE_ENTRY_SPAN << FILE_ENTRY_TYPE_SHIFT |
				       FILE_SPAN_EXIT << FILE_SPAN_OP_SHIFT,
	};
	const uint32_t escape = kind == COLUMNS_SHAPE_LOG ? FILE_LOG_ID_ESCAPE : FILE_SPAN_ID_ESCAPE;

	*p++ = (uint8_t)(heads[kind] | (number < escape ? number : escape));
	return number < escape ? p : varint_put(p, number);
}

/* Not of strings. There is room. */
static inline uint8_t *number_put(uint8_t *p, uint8_t type, uint64_t v)
{
	switch ((enum qslog_arg_type)type) {
	case QSLOG_ARG_BOOL:
	case QSLOG_ARG_CHAR:
	case QSLOG_ARG_UINT8:
		*p = (uint8_t)v;
		return p + 1;
	case QSLOG_ARG_INT64:
		return zigzag_put(p, (int64_t)v);
	case QSLOG_ARG_FLOAT:
		memcpy(p, &v, 4);
		return p + 4;
	case QSLOG_ARG_DOUBLE:
		memcpy(p, &v, 8);
		return p + 8;
	default:
		return varint_put(p, v);
	}
}

#endif
