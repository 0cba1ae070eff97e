/* SPDX-License-Identifier: BSD-2-Clause */
/* session.h - one run of the tracer, from attaching to the closed file. */
#ifndef QSLOG_SESSION_H
#define QSLOG_SESSION_H

#include <stdbool.h>

#include "options.h"
#include "why.h"
#include "writer.h"

struct session;

enum session_end {
	SESSION_INTERRUPTED, /* SIGINT, SIGTERM, SIGHUP */
	SESSION_DURATION,    /* -d */
	SESSION_TARGET_ENDED,
	SESSION_TARGETS_ENDED, /* more than one */
	SESSION_TARGET_EXECUTED /* another program */
};

/* Everything up to the point where records are being recorded. */
int session_open(struct session **out, const struct options *options, struct why *why);

/* Gives up what is not needed any more: --drop-privs, and a seccomp filter in any case. */
int session_confine(struct session *s, struct why *why);

/* Until the end; what has been recorded is in the file after session_finish(). */
int session_run(struct session *s, enum session_end *end, struct why *why);

/* Detaches, takes what is left, closes the file. The totals are valid in any case. Returns the
 * first error of the output, or 0. */
int session_finish(struct session *s, struct writer_totals *totals, struct why *why);

const char *session_output(const struct session *s);
/* What cannot be done on this kernel, with these capabilities, and what helps; NULL: nothing. */
const char *session_degraded(const struct session *s);
/* Lines for -v: what the kernel side could not do at once. */
void session_troubles_print(const struct session *s);
/* What filters left out. */
struct ingest_filtered;
void session_filtered(const struct session *s, struct ingest_filtered *out);
/* What was lost, by thread and cause; NULL with --snapshot. */
struct ingest_losses;
const struct ingest_losses *session_losses(const struct session *s);

void session_close(struct session *s); /* NULL is accepted */

#endif
