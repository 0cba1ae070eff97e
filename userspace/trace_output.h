/* SPDX-License-Identifier: BSD-2-Clause */
/* trace_output.h - the output of the tracer: how it is opened, and what the user is told about it. */
#ifndef QSLOG_TRACE_OUTPUT_H
#define QSLOG_TRACE_OUTPUT_H

#include <stdarg.h>

#include "options.h"
#include "privilege.h"
#include "why.h"
#include "writer.h"

struct trace_output {
	const char *path;
	void (*say)(void *arg, const char *format, va_list args); /* a line */
	void *arg;
	bool quiet; /* errors only */
	/* A dump, under a name of its own: no predecessor, no rotation, no tail. */
	bool dump;
	const struct clock_scale *scale;
	const struct clock_pair *pairs; /* of the time before */
	uint32_t pair_cnt;
	unsigned int (*backlog)(void *arg); /* of `arg` above; see writer_options */
	const struct privilege_user *owner; /* of the file; NULL: who called sudo, or this user */
};

/* `t` and what it points to stay as long as the writer is open. */
int trace_output_open(struct writer **out, struct trace_output *t, const struct options *options,
		      uint32_t counter_kind, struct why *why);

#endif
