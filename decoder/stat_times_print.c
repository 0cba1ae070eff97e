/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stat_times_print.c - a line per span with the sums, below it what it waited for; and a line per
 * thread. Reasons are in one line each, with who ended most of the waiting.
 */
#include "stat_times_print.h"

#include <string.h>

#include "buffer.h"
#include "file_format.h"
#include "stat_print.h"
#include "times_text.h"

#define REASONS_SHOWN 8u

struct reason {
	uint32_t first; /* the longest of its waits */
	double ns;
	uint64_t cnt;
	uint32_t others; /* who else ended some */
};

/* The reasons of a sorted set, in its order; returns how many there are. */
static uint32_t reasons_find(const struct wait_set *set, struct reason reasons[WAIT_SET_MAX * 2])
{
	uint32_t cnt = 0, i, k;

	for (i = 0; i < set->cnt; i++) {
		for (k = 0; k < cnt; k++)
			if (cause_same_reason(&set->waits[reasons[k].first].cause,
					      &set->waits[i].cause))
				break;
		if (k == WAIT_SET_MAX * 2)
			break;
		if (k == cnt)
			reasons[cnt++] = (struct reason){ .first = i };
		reasons[k].ns += (double)set->waits[i].ns;
		reasons[k].cnt += set->waits[i].cnt;
		reasons[k].others += i != reasons[k].first;
	}
	return cnt;
}

static void reason_line(struct buffer *out, const struct wait_set *set, const struct reason *r)
{
	const struct record_cause *cause = &set->waits[r->first].cause;

	buffer_printf(out, "%12llux", (unsigned long long)r->cnt);
	stat_duration_column(out, r->ns);
	buffer_str(out, "   ");
	cause_reason(out, cause);
	if (cause->who != FILE_OFF_WHO_UNKNOWN) {
		buffer_str(out, cause->why == FILE_OFF_PREEMPTED ? ", by " : ", woken by ");
		cause_who(out, cause);
		if (r->others)
			buffer_printf(out, " (%.0f%%) and %u others",
				      r->ns > 0 ? 100.0 * (double)set->waits[r->first].ns / r->ns : 0,
				      r->others);
	}
	buffer_char(out, '\n');
}

static void reason_lines(struct buffer *out, const struct wait_set *set)
{
	struct reason reasons[WAIT_SET_MAX * 2];
	uint32_t cnt = reasons_find(set, reasons), i;

	for (i = 0; i < cnt && i < REASONS_SHOWN; i++)
		reason_line(out, set, &reasons[i]);
	if (cnt > REASONS_SHOWN)
		buffer_printf(out, "%26s %u other reasons: see --json\n", "", cnt - REASONS_SHOWN);
}

static void print_spans(struct buffer *out, const struct stat_table *t)
{
	bool heading = false;

	for (unsigned i = 0; i < t->site_cnt; i++) {
		const struct stat_site *s = &t->sites[i];
		const struct stat_times *times = s->times;

		if (!times)
			continue;
		if (!heading)
			buffer_printf(out, "\n%12s %9s %4s %9s %9s %9s %9s %9s %9s %9s %-20s %s\n",
				      "TIMES", "ON CPU", "", "BLOCKED", "READY", "PREEMPTED", "CPU P50",
				      "CPU P99", "OFF P50", "OFF P99", "NAME", "SITE");
		heading = true;
		buffer_printf(out, "%12llu", (unsigned long long)times->cnt);
		stat_duration_column(out, times->cpu.total);
		buffer_printf(out, " %3.0f%%", 100 * times->cpu.total /
						       (times->cpu.total + times->off.total + 1e-9));
		stat_duration_column(out, times->blocked);
		stat_duration_column(out, times->ready);
		stat_duration_column(out, times->preempted);
		stat_duration_column(out, (double)histogram_quantile(&times->cpu, 0.5));
		stat_duration_column(out, (double)histogram_quantile(&times->cpu, 0.99));
		stat_duration_column(out, (double)histogram_quantile(&times->off, 0.5));
		stat_duration_column(out, (double)histogram_quantile(&times->off, 0.99));
		buffer_char(out, ' ');
		stat_column(out, s->name, 20);
		buffer_char(out, ' ');
		stat_site_column(out, s, 0);
		buffer_char(out, '\n');
		reason_lines(out, &times->waits);
		if (times->incomplete)
			buffer_printf(out, "%12llu  of them with scheduler events lost\n",
				      (unsigned long long)times->incomplete);
	}
}

static void print_threads(struct buffer *out, const struct stat_threads *threads)
{
	struct reason reasons[WAIT_SET_MAX * 2];

	if (threads->cnt)
		buffer_printf(out, "\n%12s %9s %4s %9s %9s %9s %8s %8s %s\n", "SWITCHES", "ON CPU", "",
			      "BLOCKED", "READY", "PREEMPTED", "PID", "TID", "MOST WAITING");
	for (uint32_t i = 0; i < threads->cnt; i++) {
		const struct stat_thread *th = &threads->list[i];
		const double cpu = stat_thread_cpu(th), all = (double)(th->last_ns - th->first_ns);

		buffer_printf(out, "%12llu", (unsigned long long)th->cnt);
		stat_duration_column(out, cpu);
		buffer_printf(out, " %3.0f%%", all > 0 ? 100 * cpu / all : 0);
		stat_duration_column(out, th->blocked + th->open);
		stat_duration_column(out, th->ready);
		stat_duration_column(out, th->preempted);
		buffer_printf(out, " %8u %8u ", th->pid, th->tid);
		if (reasons_find(&th->waits, reasons))
			cause_reason(out, &th->waits.waits[reasons[0].first].cause);
		buffer_char(out, '\n');
	}
}

void stat_times_print(struct buffer *out, const struct stat_table *t)
{
	print_spans(out, t);
	print_threads(out, &t->threads);
	if (t->offs_lost)
		buffer_printf(out, "\n%12llu scheduler events lost\n",
			      (unsigned long long)t->offs_lost);
}

/* ---- JSON ---- */

static void json_histogram(struct buffer *out, const char *key, const struct histogram *h)
{
	buffer_printf(out, "\"%s\":{\"min\":%llu,\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"max\":%llu,"
		      "\"total\":%.0f},", key, (unsigned long long)h->min,
		      (unsigned long long)histogram_quantile(h, 0.5),
		      (unsigned long long)histogram_quantile(h, 0.9),
		      (unsigned long long)histogram_quantile(h, 0.99), (unsigned long long)h->max,
		      h->total);
}

static void json_waits(struct buffer *out, const struct wait_set *set)
{
	buffer_str(out, "\"waits\":");
	waits_json(out, set->waits, set->cnt);
}

void stat_times_json(struct buffer *out, const struct stat_times *times)
{
	buffer_printf(out, ",\"times\":{\"count\":%llu,\"incomplete\":%llu,",
		      (unsigned long long)times->cnt, (unsigned long long)times->incomplete);
	json_histogram(out, "cpu_ns", &times->cpu);
	json_histogram(out, "off_ns", &times->off);
	buffer_printf(out, "\"blocked_ns\":%.0f,\"ready_ns\":%.0f,\"preempted_ns\":%.0f,",
		      times->blocked, times->ready, times->preempted);
	json_waits(out, &times->waits);
	buffer_char(out, '}');
}

void stat_threads_json(struct buffer *out, const struct stat_table *t)
{
	if (!t->threads.cnt && !t->offs_lost)
		return;
	buffer_printf(out, ",\"sched_lost\":%llu,\"threads\":[", (unsigned long long)t->offs_lost);
	for (uint32_t i = 0; i < t->threads.cnt; i++) {
		const struct stat_thread *th = &t->threads.list[i];

		buffer_printf(out, "%s{\"pid\":%u,\"tid\":%u,\"switches\":%llu,\"cpu_ns\":%.0f,"
			      "\"blocked_ns\":%.0f,\"ready_ns\":%.0f,\"preempted_ns\":%.0f,",
			      i ? "," : "", th->pid, th->tid, (unsigned long long)th->cnt,
			      stat_thread_cpu(th), th->blocked + th->open, th->ready, th->preempted);
		json_waits(out, &th->waits);
		buffer_char(out, '}');
	}
	buffer_char(out, ']');
}
