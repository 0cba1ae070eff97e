/* SPDX-License-Identifier: BSD-2-Clause */
/* trace_report.c - see trace_report.h. */
#include "trace_report.h"

#include <stdio.h>

#include "ingest.h"
#include "ingest_losses.h"
#include "text.h"

/* What to do about it. */
static const char *loss_advice(const struct writer_totals *totals)
{
	if (totals->lost_by[LOSS_RING_FULL])
		return "; a larger --ring-size bridges longer delays, -l W or -t TAG make fewer records";
	if (totals->lost_by[LOSS_UNKNOWN_SITE])
		return "; was a library unloaded, or its file replaced?";
	return "";
}

static void losses_print(const struct writer_totals *totals)
{
	const char *before = ": ";
	unsigned int cause;

	if (!totals->lost)
		return;
	fprintf(stderr, "qslog-trace: lost %llu records", (unsigned long long)totals->lost);
	for (cause = 0; cause < LOSS_CAUSE_COUNT; cause++) {
		if (!totals->lost_by[cause])
			continue;
		fprintf(stderr, "%s%s %llu", before, loss_cause_name((uint8_t)cause),
			(unsigned long long)totals->lost_by[cause]);
		before = ", ";
	}
	fprintf(stderr, "%s\n", loss_advice(totals));
}

static void thread_losses_print(const struct ingest_losses *losses)
{
	uint32_t i;

	for (i = 0; losses && i < losses->cnt; i++) {
		const struct ingest_loss *loss = &losses->list[i];

		fprintf(stderr, "qslog-trace: process %u, ", loss->pid);
		if (loss->tid)
			fprintf(stderr, "thread %u: ", loss->tid);
		else
			fprintf(stderr, "threads that are not known: ");
		fprintf(stderr, "lost %llu, %s\n", (unsigned long long)loss->count,
			loss_cause_name((uint8_t)loss->cause));
	}
}

static void filtered_print(const struct session *s)
{
	struct ingest_filtered f;

	session_filtered(s, &f);
	if (f.site + f.tid + f.duration + f.sample)
		fprintf(stderr, "qslog-trace: left out by filters, no losses: level or tag %llu, thread "
			"%llu, short spans %llu, sampling %llu\n", (unsigned long long)f.site,
			(unsigned long long)f.tid, (unsigned long long)f.duration,
			(unsigned long long)f.sample);
}

/* Not records, so the summary does not count them; but they are not passed over. */
static void sched_lost_print(const struct writer_totals *totals)
{
	if (totals->off_lost)
		fprintf(stderr, "qslog-trace: lost %llu of %llu scheduler events: times of some spans "
			"are incomplete, and marked; a larger --ring-size bridges longer delays\n",
			(unsigned long long)totals->off_lost,
			(unsigned long long)(totals->off_cnt + totals->off_lost));
}

/* No loss, but a file that is larger than it need be. */
static void haste_print(const struct writer_totals *totals)
{
	if (totals->blocks_hasty)
		fprintf(stderr, "qslog-trace: %llu of %llu blocks are not packed, since the ring buffer was filling up; "
			"qslog merge makes the file smaller\n", (unsigned long long)totals->blocks_hasty,
			(unsigned long long)totals->blocks);
}

static void summary_print(const struct session *s, const struct writer_totals *totals)
{
	fprintf(stderr, "records=%llu lost=%llu bytes=%llu ratio=%.1f file=%s\n",
		(unsigned long long)totals->records, (unsigned long long)totals->lost,
		(unsigned long long)totals->file_bytes,
		totals->file_bytes ? (double)totals->text_bytes / (double)totals->file_bytes : 0.0,
		session_output(s));
}

void trace_report(const struct options *o, const struct session *s,
		  const struct writer_totals *totals)
{
	if (o->verbose) {
		session_troubles_print(s);
		thread_losses_print(session_losses(s));
	}
	if (!o->quiet) {
		filtered_print(s);
		losses_print(totals);
		sched_lost_print(totals);
		haste_print(totals);
	}
	summary_print(s, totals);
}
