/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_snapshot.h - the dumps of qslog-trace --snapshot: their names, and what time it was, for records
 * that are older than their file.
 */
#ifndef QSLOG_TRACE_SNAPSHOT_H
#define QSLOG_TRACE_SNAPSHOT_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "clock_pair.h"
#include "safe_memory.h"
#include "trace_output.h"
#include "writer.h"

struct trace_snapshot {
	const char *pattern; /* with %n and %p */
	pid_t pid;	     /* for %p */
	int number;	     /* of the dump that is being written, or comes next */
	struct clock_scale scale;
	struct safe_past past;
	struct clock_pair pairs[SAFE_PAST];
	char path[PATH_MAX], beside[PATH_MAX + 16];
	struct writer_totals totals; /* of all dumps */
};

/* `counter_kind`: enum file_counter_kind. 0, or errors of the clock. */
int trace_snapshot_open(struct trace_snapshot *sn, const char *pattern, pid_t pid,
			uint32_t counter_kind);
/* Once a second or so: what time it is. */
void trace_snapshot_note(struct trace_snapshot *sn);
/* The next dump goes to sn->beside; `output` is told how to write it. -ENAMETOOLONG. */
int trace_snapshot_begin(struct trace_snapshot *sn, struct trace_output *output);
/* It is there and closed, or `err` says why it is not: gets its name, or goes. */
int trace_snapshot_end(struct trace_snapshot *sn, int err, const struct writer_totals *totals);

#endif
