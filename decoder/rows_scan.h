/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_scan.h - what the two halves of the first pass share: rows_scan.c walks the entries, and
 * rows_scan_spans.c knows about spans and the lines that they are in. Functions return the position
 * behind what they read, or NULL after setting `err` (and `what`).
 */
#ifndef QSLOG_ROWS_SCAN_H
#define QSLOG_ROWS_SCAN_H

#include <stdbool.h>

#include "rows_decode.h"

/* The walk over one buffer. */
struct scan {
	struct rows_state *state;
	struct catalog_in *catalog;
	struct clock_map *clock;
	const struct rows_select *select;
	const uint8_t *data, *end;
	struct row_list *list;
	uint32_t context; /* of logs of the current thread, while context_known */
	bool context_known;
	const char *what;
	int err;
};

/* -EBADMSG with a reason. */
const uint8_t *scan_refuse(struct scan *s, const char *what);
/* `next` where err is 0. -ENOMEM stops the reader; anything else is the fault of the rows. */
const uint8_t *scan_outcome(struct scan *s, int err, const uint8_t *next, const char *what);
/* NULL before the first thread. */
struct in_thread *scan_thread_current(const struct scan *s);
/* A zigzag difference of times. */
const uint8_t *scan_time_take(struct scan *s, const uint8_t *p);
const uint8_t *scan_format_id_take(struct scan *s, const uint8_t *p, unsigned id, unsigned escape,
				   uint32_t *slot);
/* Behind the arguments of the row that was added last, if it was: `rows` is what the list had
 * before, and has again where their values are not wanted or the arguments are malformed. */
const uint8_t *scan_arguments_skip(struct scan *s, const uint8_t *p, uint32_t format, uint32_t rows);
/* `context`: of scan_context_add(). Not to the list, if the row is not wanted. */
const uint8_t *scan_row_add(struct scan *s, const uint8_t *at, uint32_t format, unsigned kind,
			    uint32_t context);
/* A row that is not any thread's, to be filled in; NULL after setting `err`. */
struct row *scan_row_room(struct scan *s);
/* The data of intervals off the CPU; the position behind them is `end`. */
const uint8_t *scan_off(struct scan *s, const uint8_t *p, const uint8_t *end);
const uint8_t *scan_off_lost(struct scan *s, const uint8_t *p, const uint8_t *end);
/* Index from 1; 0 where the context says nothing, or after setting `err`. At most one is added
 * per row, of which there is a limit. */
uint32_t scan_context_add(struct scan *s, const struct record_context *context);
/* Of what has no id of its own: the span around it. */
uint32_t scan_context_current(struct scan *s, const struct span_stack *stack);
/* A span entry, behind its first byte, of which `low` are the bits below the type. */
const uint8_t *scan_span_entry(struct scan *s, const uint8_t *p, unsigned low);

#endif
