/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * span_hold.h - leaves out spans that were shorter than a minimum (--min-duration), of one thread's
 * records. The record that enters a span is held back, and all behind it, until the span is known to
 * be long enough; so at most the minimum's worth of records is held.
 */
#ifndef QSLOG_SPAN_HOLD_H
#define QSLOG_SPAN_HOLD_H

#include <stdbool.h>
#include <stdint.h>

struct span_hold;

/* A record that stays, in the order in which they came. 0 or a negative errno. */
typedef int span_hold_emit(void *arg, uint32_t format, const uint64_t *record, uint32_t bytes);

/* NULL: no memory. `min`: ticks of the records' counter. */
struct span_hold *span_hold_new(uint64_t min);
void span_hold_free(struct span_hold *h); /* NULL is accepted */

/*
 * Takes over a record (of a span, or another one). The return value is that of emit(), of which the
 * first error is kept and the rest is called all the same; *left_out grows by the records that are
 * left out. -ENOMEM: emitted at once, the order may be wrong then.
 */
int span_hold_record(struct span_hold *h, bool span, uint32_t format, const uint64_t *record,
		     uint32_t bytes, span_hold_emit *emit, void *arg, uint64_t *left_out);
/* The counter is at `now`: spans that have been open for long enough stay. UINT64_MAX: all do, since
 * nothing comes any more, or records are missing. */
int span_hold_until(struct span_hold *h, uint64_t now, span_hold_emit *emit, void *arg);

#endif
