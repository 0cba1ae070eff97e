/* SPDX-License-Identifier: BSD-2-Clause */
/* trace_report.h - what qslog-trace says on standard error when it has ended. */
#ifndef QSLOG_TRACE_REPORT_H
#define QSLOG_TRACE_REPORT_H

#include "options.h"
#include "session.h"

/* What was lost and why (with -v: by which thread), what the kernel side could not do at once
 * (-v), and, as the last line, the summary. */
void trace_report(const struct options *o, const struct session *s,
		  const struct writer_totals *totals);

#endif
