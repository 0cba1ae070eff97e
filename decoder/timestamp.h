/* SPDX-License-Identifier: BSD-2-Clause */
/* timestamp.h - wall clock nanoseconds to text and back. */
#ifndef QSLOG_TIMESTAMP_H
#define QSLOG_TIMESTAMP_H

#include <stdint.h>

#include "text.h"

#define TIMESTAMP_LOCAL_LEN 23 /* 2025-04-09 16:09:58.156 */

/* Local time (TZ) to the millisecond, rounded down; writes TIMESTAMP_LOCAL_LEN bytes. */
void timestamp_local(char *p, int64_t time_ns);

/* RFC 3339 in UTC: 2025-04-09T14:09:58.156123456Z */
void timestamp_utc(struct buffer *out, int64_t time_ns);

/*
 * A point in time as a user writes it:
 *   2025-04-09 16:09:58.156   local time; shorter forms end with the minute or the day; T for ' '
 *   2025-04-09T14:09:58Z      or +02:00: RFC 3339
 *   16:09:58.156, 16:09       today
 *   -10s                      before `now_ns`; ns us ms s m h d
 *   @1744207798.156           seconds since the epoch
 * *first and *last are the first and last nanosecond of the unit that was written last: a day, a
 * minute, a millisecond. 0, or -EINVAL.
 */
int timestamp_parse(const char *text, int64_t now_ns, int64_t *first, int64_t *last);

#endif
