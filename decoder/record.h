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
	RECORD_LINE_END,   /* likewise; duration_ns is valid, 0 where it is not known */
	/* Only where a reader_hint asks for times: */
	RECORD_OFF,	   /* a thread comes back to the CPU; off is valid, format is NULL */
	RECORD_OFF_LOST	   /* `lost` of such are missing, in duration_ns from here on, of any thread */
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

/* Not terminated; valid as long as the reader is open. */
struct record_name {
	const char *bytes;
	uint32_t len;
};

/* Why a thread left the CPU, and who got it back there, or took it from it. */
struct record_cause {
	uint8_t why; /* enum file_off_why of userspace/file_format.h */
	uint8_t who; /* enum file_off_who, likewise */
	bool io;     /* it waited for a block device */
	bool exiting;
	int32_t syscall; /* number of that it was in; -1: none */
	struct record_name syscall_name;
	uint32_t who_pid, who_tid; /* valid if `who` is a thread */
	struct record_name who_name;
};

struct record_off {
	struct record_cause cause;
	uint64_t off_ns;   /* how long; the record's time is its end */
	uint64_t ready_ns; /* the last part of it: when it could have run, and waited for a CPU */
	uint32_t cpu;	   /* that it came back to */
	bool open;	   /* it did not, before the recording ended */
};

/* What a span has waited for, by cause. */
struct record_wait {
	struct record_cause cause;
	uint64_t ns; /* until it was woken; of preemptions, until it was back */
	uint64_t cnt;
};

/* Where the time of a span went, spans in it included: duration = cpu + off,
 * off = blocked + ready + preempted. */
struct record_times {
	uint64_t cpu_ns, off_ns;
	uint64_t blocked_ns, ready_ns, preempted_ns;
	uint64_t off_cnt;
	bool incomplete; /* some of it is missing: the CPU's share is too large */
	const struct record_wait *waits; /* longest first */
	uint32_t wait_cnt;
};

struct record {
	enum record_kind kind;
	int64_t time_ns; /* CLOCK_REALTIME, nanoseconds since the epoch */
	int64_t steady_ns; /* the same by a clock that nobody sets, from an origin of no meaning */
	const struct record_thread *thread;
	const struct record_format *format;
	uint64_t duration_ns;
	struct record_context context;
	uint64_t lost;
	uint8_t lost_cause; /* enum loss_cause of userspace/writer.h and docs/format.md; of OFF_LOST,
			     * enum file_off_lost_cause */
	const struct record_off *off;
	/* SPAN_EXIT: NULL if they are not known (no scheduler events, the entering is missing) or
	 * were not asked for. */
	const struct record_times *times;
	uint8_t value_cnt;
	struct record_value values[QSLOG_ARGS_MAX];
};

#endif
