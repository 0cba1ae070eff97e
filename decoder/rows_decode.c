/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_decode.c - lists of rows, their order, and the second pass, which makes a record of one row.
 * It checks every length again; nothing here trusts that the first pass has been there.
 */
#include "rows_decode.h"

#include <stdlib.h>
#include <string.h>

#include "file_format.h"
#include "row_value.h"
#include "varint.h"

void rows_state_init(struct rows_state *state)
{
	state->ticks = 0;
	state->thread = HASH_INDEX_NONE;
	state->tick_ns = 0;
	state->host = NULL;
	state->host_bytes = 0;
	state->counter_kind = state->counter_hz = 0;
	state->has_sched = state->wants_off = false;
}

void row_list_fini(struct row_list *list)
{
	free(list->rows);
	free(list->contexts);
	free(list->offs);
	memset(list, 0, sizeof(*list));
}

void row_list_clear(struct row_list *list)
{
	list->cnt = 0;
	list->context_cnt = 0;
	list->record_cnt = 0;
	list->off_cnt = 0;
}

/* Merges neighbouring sorted runs until one is left. Rows come thread by thread, so that there
 * are few. */
int rows_sort(struct row_list *list)
{
	struct row *from = list->rows, *to = NULL, *swap;
	uint32_t n = list->cnt, start, runs;

	for (;;) {
		runs = 0;
		for (start = 0; start < n;) {
			uint32_t middle = start + 1, end, a, b, out;

			while (middle < n && from[middle].key >= from[middle - 1].key)
				middle++;
			if (middle == n && !start)
				goto done;
			if (!to) {
				to = malloc((size_t)n * sizeof(*to));
				if (!to)
					return -ENOMEM;
			}
			end = middle < n ? middle + 1 : n;
			while (end < n && from[end].key >= from[end - 1].key)
				end++;
			for (a = start, b = middle, out = start; out < end; out++) {
				if (b >= end || (a < middle && from[a].key <= from[b].key))
					to[out] = from[a++];
				else
					to[out] = from[b++];
			}
			start = end;
			runs++;
		}
		if (!runs)
			goto done;
		swap = from;
		from = to;
		to = swap;
	}
done:
	if (from != list->rows) {
		swap = list->rows;
		list->rows = from;
		list->cap = n;
		to = swap;
	}
	free(to);
	return 0;
}

int row_decode(const struct catalog_in *catalog, struct clock_map *clock, const uint8_t *data,
	       uint32_t bytes, const struct row_list *list, const struct row *row,
	       struct record *record)
{
	static const struct record_context none;
	const uint8_t *p = data + row->off, *end = data + bytes;
	const struct record_format *f = NULL;
	uint64_t v;
	unsigned i;

	record->kind = (enum record_kind)row->kind;
	record->time_ns = clock_map_ns(clock, row->ticks);
	record->steady_ns = clock_map_steady(clock, row->ticks);
	record->thread = catalog->threads[row->thread].thread;
	record->duration_ns = 0;
	record->context = row->context ? list->contexts[row->context - 1] : none;
	record->lost = 0;
	record->lost_cause = 0;
	record->off = NULL;
	record->times = NULL;
	record->value_cnt = 0;
	if (row->kind != RECORD_LOSS)
		f = catalog->formats[row->format].format;
	record->format = f;
	if (row->kind == RECORD_LOSS) {
		p = varint_get(p, end, &v);
		record->lost_cause = p ? (uint8_t)v : 0;
		p = p ? varint_get(p, end, &record->lost) : NULL;
	} else if (row->kind == RECORD_SPAN_EXIT || row->kind == RECORD_LINE_END) {
		p = varint_get(p, end, &v);
		record->duration_ns = p ? clock_map_duration(clock, row->ticks, v) : 0;
	} else if (row->kind != RECORD_LINE_BEGIN) {
		for (i = 0; p && i < f->arg_cnt; i++)
			p = row_value_take(p, end, f->types[i], &record->values[i]);
		record->value_cnt = f->arg_cnt;
	}
	return p ? 0 : -EBADMSG;
}
