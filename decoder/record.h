/* SPDX-License-Identifier: BSD-2-Clause */
/* record.h - a decoded record, as the reader hands it out and every output takes it. */
#ifndef QSLOG_RECORD_H
#define QSLOG_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "qslog_abi.h"

/* One argument. `type` says which member of the union holds it. */
struct record_value {
	uint8_t type;	   /* enum qslog_arg_type */
	uint32_t len;	   /* STR, BYTES: bytes at `bytes` (not NUL-terminated) */
	uint32_t real_len; /* STR, BYTES: length in the program; > len where it was cut */
	union {
		uint64_t u;	   /* BOOL, CHAR, UINT8, UINT64, POINTER */
		int64_t i;	   /* INT64 */
		float f;	   /* FLOAT */
		double d;	   /* DOUBLE */
		const char *bytes; /* STR, BYTES; NULL: the program passed NULL */
	};
};

struct record_process {
	uint32_t pid;
	uint64_t start_ns; /* CLOCK_REALTIME; 0: unknown */
	const char *name, *exe, *command;
	const char *host; /* of the process, or of the file; "" if unknown */
};

struct record_thread {
	const struct record_process *process;
	uint32_t tid;
	uint64_t key;
	const char *name; /* "" if unknown */
};

struct record_format {
	uint8_t kind;  /* enum qslog_site_kind */
	uint8_t level; /* enum qslog_level */
	uint8_t arg_cnt;
	uint8_t types[QSLOG_ARGS_MAX];
	uint32_t line;
	uint32_t id; /* unique in the reader */
	uint64_t hash;
	const char *tag, *file, *function, *format;
	const char *name; /* span: its name; log: NULL */
};

enum record_kind {
	RECORD_LOG,
	RECORD_SPAN_ENTER,
	RECORD_SPAN_EXIT,  /* duration_ns is valid, values are not */
	RECORD_LOSS,	   /* lost, lost_cause are valid; format is NULL */
	RECORD_LINE_BEGIN, /* a span line opens on the thread; values are not valid */
	RECORD_LINE_END	   /* likewise; duration_ns is valid, 0 where it is not known */
};

/*
 * Where in a trace a record belongs (docs/spans.md). Ids are 0 where there is none, or where it is
 * not known because records are missing.
 */
struct record_context {
	uint64_t trace_high, trace_low;
	/* Of a span its own id and that of its parent; of a log those of the span around it, where
	 * span_id is the line's parent if there is none; of a line 0 and its parent. */
	uint64_t span_id, parent_id;
	bool has_trace; /* the record lies in a span line; a span may have an id without */
	uint8_t trace_flags; /* of W3C trace context */
	/* Of the opening and closing of lines: how many are open, it included; and of an opening
	 * that says again what is open, the innermost span. For those who write them again. */
	bool line_again;
	uint32_t line_depth;
	uint64_t innermost;
};

struct record {
	enum record_kind kind;
	int64_t time_ns; /* CLOCK_REALTIME, nanoseconds since the epoch */
	const struct record_thread *thread;
	const struct record_format *format;
	uint64_t duration_ns;
	struct record_context context;
	uint64_t lost;
	uint8_t lost_cause; /* enum loss_cause of userspace/writer.h and docs/format.md */
	uint8_t value_cnt;
	struct record_value values[QSLOG_ARGS_MAX];
};

#endif
