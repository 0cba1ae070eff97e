/* SPDX-License-Identifier: BSD-2-Clause */
/* text.h - records become text lines and NDJSON. */
#ifndef QSLOG_TEXT_H
#define QSLOG_TEXT_H

#include <stddef.h>

#include "record.h"

/* A growing byte buffer. `data` is NULL or from malloc; free with buffer_fini(). Appending
 * aborts nothing: on ENOMEM `failed` is set and further appends do nothing. */
struct buffer {
	char *data;
	size_t len, cap;
	bool failed;
};
void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_fini(struct buffer *b);

/*
 * fmt's replacement of placeholders ("{}", "{name}", "{0}", "{:>8.3f}", "{{") by the values.
 * What cannot be done is shown in place, never dropped: a placeholder without a value as
 * "{missing}", a specification that does not fit the type as "{bad spec: ...}", and surplus
 * values are appended as " [surplus: ...]".
 * Control characters of strings (bytes < 0x20 and 0x7f, C1 codes in UTF-8, invalid UTF-8) are
 * shown as \n, \t, \r, \xNN so that they never reach a terminal raw.
 */
void message_format(struct buffer *out, const char *format, const struct record_value *values,
		    unsigned value_cnt);

/*
 * One line with '\n', exactly:
 *   2025-04-09 16:09:58.156 32638 32638 D example [qslogExample.cpp:38 main] message
 * local time (TZ); the file without its directories. A span enters as "-> name args", leaves as
 * "<- name 12.345us"; a span line opens as "-> trace 4bf9...4736 parent 00f0...02b7" (without the
 * parent if it has none) and closes as "<- trace 4bf9...4736 12.345us"; behind the duration of a span
 * that has times: " | cpu 61.204us | futex 4100.000us 2x, woken by worker 1234 | ready 3.1us"; a loss is a W line of tag qslog: "[-:0 -] 12 records lost: ring full".
 */
void text_line(struct buffer *out, const struct record *record);

/*
 * One JSON object with '\n': time (RFC 3339, UTC, ns), time_ns, pid, tid, thread, level (letter),
 * tag, file (full path), line, function, kind ("log", "span_enter", "span_exit", "loss",
 * "line_begin", "line_end"), in a span line trace_id, span_id and parent_id (see record.h; lower-case
 * hexadecimal, only those that there are), of a span with times cpu_ns, off_ns and more, message,
 * format, args (object: named placeholders by name, others by position "0", "1", ...). Integers
 * are JSON numbers in full precision; NaN and infinities the strings "nan", "inf", "-inf"; bytes
 * hex strings; NULL strings null. Invalid UTF-8 becomes U+FFFD.
 */
void json_line(struct buffer *out, const struct record *record);

/* "V" ... "F"; enum loss_cause as a phrase ("ring full"). */
char level_letter(uint8_t level);
const char *loss_cause_name(uint8_t cause);

#endif
