/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * span_times.h - where the time of spans went: of records in time order, the intervals in which a
 * thread was off the CPU are added up for the spans that are open on it.
 */
#ifndef QSLOG_SPAN_TIMES_H
#define QSLOG_SPAN_TIMES_H

#include "record.h"

struct span_times;

int span_times_open(struct span_times **out); /* 0 or -ENOMEM */
/* Lets the names of an OFF live as long as this does; those of record->times do anyway. */
int span_times_names(struct span_times *t, struct record_cause *cause);
/* To be called with every record, in their order. Sets record->times of a span that is left, valid
 * until the next call. 0 or -ENOMEM. */
int span_times_add(struct span_times *t, struct record *record);
void span_times_close(struct span_times *t); /* NULL is accepted */

#endif
