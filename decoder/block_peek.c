/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_peek.c - see block_peek.h. Formats and threads are introduced by verbatim entries, so that
 * all that the block's records can have are found there, and so are clock pairs.
 */
#include "block_peek.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "file_format.h"

static bool format_take(struct catalog_in *catalog, struct cursor *at, unsigned level)
{
	const uint64_t number = cursor_varint(at, UINT64_MAX);
	const uint64_t length = cursor_varint(at, FILE_ENTRY_BYTES_MAX);

	if (!at->p || length > (size_t)(at->end - at->p) ||
	    catalog_in_format(catalog, number, (uint8_t)level, at->p, (uint32_t)length))
		return false;
	at->p += length;
	return true;
}

static bool info_take(struct catalog_in *catalog, struct clock_map *clock, struct cursor *at,
		      unsigned low)
{
	uint64_t length = low & FILE_INFO_LENGTH_ESCAPE;
	int64_t ticks, realtime_ns;
	uint32_t window_ns;
	const uint8_t *p;

	if (length == FILE_INFO_LENGTH_ESCAPE)
		length = cursor_varint(at, FILE_ENTRY_BYTES_MAX);
	if (!at->p || length > (size_t)(at->end - at->p))
		return false;
	p = at->p;
	at->p += length;
	if (low >> FILE_INFO_TYPE_SHIFT != FILE_INFO_EXTENDED || !length)
		return true;
	if (*p == FILE_SUB_PROCESS)
		return catalog_in_process(catalog, p + 1, (uint32_t)length - 1) == 0;
	if (*p == FILE_SUB_THREAD)
		return catalog_in_thread(catalog, p + 1, (uint32_t)length - 1) == 0;
	if (*p != FILE_SUB_CLOCK || length < 21)
		return true;
	memcpy(&ticks, p + 1, 8);
	memcpy(&realtime_ns, p + 9, 8);
	memcpy(&window_ns, p + 17, 4);
	return clock_map_add(clock, ticks, realtime_ns, window_ns) == 0;
}

/* False: there is something that is not understood here. */
static bool verbatim_walk(const struct columns_buffer *verbatim, struct catalog_in *catalog,
			  struct clock_map *clock)
{
	struct cursor at = { verbatim->p, verbatim->p + verbatim->bytes };

	while (at.p < at.end) {
		const unsigned low = *at.p & ((1u << FILE_ENTRY_TYPE_SHIFT) - 1);
		uint64_t length;

		switch (*at.p++ >> FILE_ENTRY_TYPE_SHIFT) {
		case FILE_ENTRY_FORMAT:
			if (!format_take(catalog, &at, low))
				return false;
			break;
		case FILE_ENTRY_INFO:
			if (!info_take(catalog, clock, &at, low))
				return false;
			break;
		case FILE_ENTRY_SPAN: /* contexts: lengths say how long they are */
			if (low >> FILE_SPAN_OP_SHIFT != FILE_SPAN_CONTEXT)
				return false;
			length = cursor_varint(&at, FILE_ENTRY_BYTES_MAX);
			if (!at.p || length > (size_t)(at.end - at.p))
				return false;
			at.p += length;
			break;
		default:
			return false;
		}
	}
	return true;
}

static bool threads_wanted(const struct catalog_in *catalog, const struct rows_select *select)
{
	uint32_t i;

	for (i = 0; i < catalog->thread_cnt; i++) {
		if (select->render->thread(select->context, catalog->threads[i].thread))
			return true;
	}
	return false;
}

static int strings_wanted(struct columns_in *c, const struct rows_select *select, bool *wanted)
{
	struct record_value v = { .type = QSLOG_ARG_STR };
	uint32_t i;
	int err = columns_in_strings(c);

	if (err)
		return err;
	for (i = 0; i < c->string_cnt; i++) {
		const struct columns_string *s = &c->strings[i];

		v.bytes = s->code == 1 ? NULL : (const char *)s->bytes;
		v.len = v.real_len = s->len;
		if (s->code > 1)
			v.real_len += s->code - 1;
		if (select->render->string(select->context, &v))
			return 0;
	}
	*wanted = false;
	return 0;
}

int block_peek(struct columns_in *c, struct catalog_in *catalog, struct clock_map *clock,
	       const struct rows_select *select, bool *wanted)
{
	struct columns_buffer verbatim;
	enum reader_peek peek;
	int err;

	*wanted = true;
	err = columns_load(c, COLUMNS_VERBATIM, &verbatim);
	/* no format: then what are its records? To be read, and the damage reported */
	if (!err && verbatim_walk(&verbatim, catalog, clock) && catalog->format_cnt) {
		peek = select->render->formats(select->context, catalog->formats,
					       catalog->format_cnt);
		*wanted = peek != READER_PEEK_NONE && threads_wanted(catalog, select);
		if (*wanted && peek == READER_PEEK_STRINGS)
			err = strings_wanted(c, select, wanted);
	}
	if (*wanted)
		clock_map_clear(clock);
	catalog_in_clear(catalog);
	return err == -ENOMEM ? err : 0;
}
