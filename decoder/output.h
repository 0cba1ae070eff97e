/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * output.h - standard output: lines gather in a large buffer and leave by write(2). A reader that
 * went away (EPIPE: `qslog cat f | head`) is no failure, everything else is.
 */
#ifndef QSLOG_OUTPUT_H
#define QSLOG_OUTPUT_H

#include "buffer.h"

#define OUTPUT_BYTES (256u << 10)

struct output {
	struct buffer buffer; /* append here, then call output_more() */
	int fd;
	const char *name; /* for messages; NULL: standard output */
};

/* Writes what has gathered. 0, -EPIPE, -ENOMEM or another negative errno. */
int output_flush(struct output *o);

/* Instead of appending: what is large is not copied. */
int output_write(struct output *o, const char *data, size_t bytes);

static inline int output_more(struct output *o)
{
	return o->buffer.len >= OUTPUT_BYTES || o->buffer.failed ? output_flush(o) : 0;
}

/* Frees the output, and turns the result `err` of everything before into an exit code: reports
 * it, unless it is -EPIPE. CMD_OK where there was no error. */
int output_finish(struct output *o, int err);

#endif
