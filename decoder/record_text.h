/* SPDX-License-Identifier: BSD-2-Clause */
/* record_text.h - the fields of a line, as every output with lines shows them; losses included. */
#ifndef QSLOG_RECORD_TEXT_H
#define QSLOG_RECORD_TEXT_H

#include "text.h"

/* The message of text_line(): formatted text, "-> name args", "<- name 12.345us", "-> trace ID parent
 * ID", "<- trace ID 12.345us", or the loss. */
void record_message(struct buffer *out, const struct record *record);

/* What comes before it in text_line(): time, if wanted the host, pid and tid; level, tag and place in the source, of
 * which nothing hangs on the record but its format, where that has a tag. */
void text_line_time(struct buffer *out, const struct record *record, bool host);
void text_line_site(struct buffer *out, const struct record *record);

/* json_line(), with a key "host" where that is wanted. */
void json_line_host(struct buffer *out, const struct record *record, bool host);

/* As lower-case hexadecimal digits, 32 and 16 of them. */
void record_trace_id(struct buffer *out, const struct record_context *context);
void record_span_id(struct buffer *out, uint64_t id);

/* As "12.345us": always microseconds, so that durations compare by eye. */
void record_duration(struct buffer *out, uint64_t ns);

const char *record_tag(const struct record *record); /* never NULL; a loss has "qslog", OFF "sched" */
const char *record_host(const struct record *record); /* "-" if unknown */
uint8_t record_level(const struct record *record);   /* a loss is a warning */

#endif
