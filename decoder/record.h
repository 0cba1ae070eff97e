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
	const char *name, *exe, *command;
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
	RECORD_SPAN_EXIT, /* duration_ns is valid, values are not */
	RECORD_LOSS	  /* lost, lost_cause are valid; format is NULL */
};

struct record {
	enum record_kind kind;
	int64_t time_ns; /* CLOCK_REALTIME, nanoseconds since the epoch */
	const struct record_thread *thread;
	const struct record_format *format;
	uint64_t duration_ns;
	uint64_t lost;
	uint8_t lost_cause; /* enum loss_cause of userspace/writer.h and docs/format.md */
	uint8_t value_cnt;
	struct record_value values[QSLOG_ARGS_MAX];
};

#endif
