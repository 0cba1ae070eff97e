/* SPDX-License-Identifier: BSD-2-Clause */
/* stat_print.c - the counts of qslog stat as tables for people and as one JSON object. */
#include "stat_print.h"

#include <string.h>

#include "buffer.h"
#include "escape.h"
#include "file_format.h"
#include "stat_times_print.h"
#include "timestamp.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Text from the file, escaped, padded with spaces to `width`. */
void stat_column(struct buffer *out, const char *s, size_t width)
{
	size_t start = out->len, cps;

	escape_text(out, s, strlen(s));
	if (out->failed)
		return;
	for (cps = utf8_count(out->data + start, out->len - start); cps < width; cps++)
		buffer_char(out, ' ');
}

/* "file.c:12 function" */
void stat_site_column(struct buffer *out, const struct stat_site *s, size_t width)
{
	struct buffer text = { 0 };

	buffer_str(&text, base_name(s->file));
	buffer_char(&text, ':');
	buffer_u64(&text, s->line);
	buffer_char(&text, ' ');
	buffer_str(&text, s->function);
	buffer_char(&text, '\0');
	if (text.failed)
		out->failed = true;
	else
		stat_column(out, text.data, width);
	buffer_fini(&text);
}

/* A space, and a number with its unit in 9 columns. */
void stat_duration_column(struct buffer *out, double ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned unit = 0;

	for (; unit < 3 && ns >= 1000; unit++)
		ns /= 1000;
	if (!unit)
		buffer_printf(out, " %7.0fns", ns);
	else
		buffer_printf(out, " %*.2f%s", unit < 3 ? 7 : 8, ns, units[unit]);
}

static const char *clock_name(const struct reader_totals *t)
{
	switch (t->counter_kind) {
	case FILE_COUNTER_TSC:
		return "tsc";
	case FILE_COUNTER_CNTVCT:
		return "cntvct";
	case FILE_COUNTER_MONOTONIC:
		return "monotonic";
	default:
		return "unknown";
	}
}

static void print_files(struct buffer *out, const struct merge *merge)
{
	for (unsigned i = 0; i < merge_file_cnt(merge); i++) {
		const struct merge_file *f = merge_file(merge, i);

		if (f->error)
			continue;
		stat_column(out, f->path, 0);
		buffer_printf(out, ": %llu bytes, %llu blocks",
			      (unsigned long long)f->totals.file_bytes,
			      (unsigned long long)f->totals.blocks);
		if (f->totals.blocks_damaged)
			buffer_printf(out, " (%llu damaged)",
				      (unsigned long long)f->totals.blocks_damaged);
		if (f->totals.blocks_hasty)
			buffer_printf(out, " (%llu not packed: the writer was behind)",
				      (unsigned long long)f->totals.blocks_hasty);
		if (f->totals.has_tail)
			buffer_str(out, ", with a tail");
		buffer_str(out, f->totals.has_index ? ", closed" : ", not closed");
		if (f->totals.counter_kind)
			buffer_printf(out, ", clock %s %.6g MHz", clock_name(&f->totals),
				      (double)f->totals.counter_hz / 1e6);
		buffer_char(out, '\n');
	}
}

static void print_totals(struct buffer *out, const struct stat_table *t)
{
	char time[TIMESTAMP_LOCAL_LEN];

	buffer_printf(out, "%llu records, %llu lost", (unsigned long long)t->records,
		      (unsigned long long)t->lost);
	if (t->any) {
		buffer_str(out, "; ");
		timestamp_local(time, t->first_ns);
		buffer_bytes(out, time, sizeof(time));
		buffer_str(out, " to ");
		timestamp_local(time, t->last_ns);
		buffer_bytes(out, time, sizeof(time));
		buffer_printf(out, " (%.3f s, %.1f records/s)",
			      ((double)t->last_ns - (double)t->first_ns) / 1e9,
			      stat_table_rate(t, t->records));
	}
	buffer_char(out, '\n');
}

static void print_sites(struct buffer *out, const struct stat_table *t)
{
	buffer_printf(out, "\n%12s %12s %14s L %-12s %-32s %s\n", "COUNT", "RATE/S", "BYTES", "TAG",
		      "SITE", "FORMAT");
	for (unsigned i = 0; i < t->site_cnt; i++) {
		const struct stat_site *s = &t->sites[i];

		buffer_printf(out, "%12llu %12.1f %14llu %c ", (unsigned long long)s->cnt,
			      stat_table_rate(t, s->cnt), (unsigned long long)s->bytes,
			      level_letter(s->level));
		stat_column(out, s->tag, 12);
		buffer_char(out, ' ');
		stat_site_column(out, s, 32);
		buffer_char(out, ' ');
		if (s->kind == QSLOG_SITE_SPAN) {
			buffer_str(out, "span ");
			stat_column(out, s->name, 0);
			buffer_char(out, ' ');
		} else if (s->kind == QSLOG_SITE_CONTEXT) {
			buffer_str(out, "span line");
		}
		stat_column(out, s->format, 0);
		buffer_char(out, '\n');
	}
}

static void print_spans(struct buffer *out, const struct stat_table *t)
{
	bool heading = false;

	for (unsigned i = 0; i < t->site_cnt; i++) {
		const struct stat_site *s = &t->sites[i];
		const struct histogram *h = &s->durations;

		if (s->kind != QSLOG_SITE_SPAN)
			continue;
		if (!heading)
			buffer_printf(out, "\n%12s %8s %9s %9s %9s %9s %9s %9s %-20s %s\n", "SPANS",
				      "OPEN", "MIN", "P50", "P90", "P99", "MAX", "TOTAL", "NAME",
				      "SITE");
		heading = true;
		buffer_printf(out, "%12llu %8llu", (unsigned long long)h->cnt,
			      (unsigned long long)(s->cnt - h->cnt));
		stat_duration_column(out, (double)h->min);
		stat_duration_column(out, (double)histogram_quantile(h, 0.5));
		stat_duration_column(out, (double)histogram_quantile(h, 0.9));
		stat_duration_column(out, (double)histogram_quantile(h, 0.99));
		stat_duration_column(out, (double)h->max);
		stat_duration_column(out, h->total);
		buffer_char(out, ' ');
		stat_column(out, s->name, 20);
		buffer_char(out, ' ');
		stat_site_column(out, s, 0);
		buffer_char(out, '\n');
	}
}

static void print_losses(struct buffer *out, const struct stat_table *t)
{
	if (t->loss_cnt)
		buffer_printf(out, "\n%12s %-24s %8s %8s %s\n", "LOST", "CAUSE", "PID", "TID",
			      "THREAD");
	for (unsigned i = 0; i < t->loss_cnt; i++) {
		const struct stat_loss *l = &t->losses[i];

		buffer_printf(out, "%12llu %-24s %8u %8u ", (unsigned long long)l->cnt,
			      loss_cause_name(l->cause), l->pid, l->tid);
		stat_column(out, l->thread, 0);
		buffer_char(out, '\n');
	}
}

void stat_print_text(struct buffer *out, const struct stat_table *t, const struct merge *merge)
{
	print_files(out, merge);
	print_totals(out, t);
	if (t->site_cnt)
		print_sites(out, t);
	print_spans(out, t);
	stat_times_print(out, t);
	print_losses(out, t);
}

static void json_key(struct buffer *out, const char *key)
{
	buffer_printf(out, "\"%s\":", key);
}

static void json_text(struct buffer *out, const char *key, const char *value)
{
	json_key(out, key);
	buffer_char(out, '"');
	escape_json(out, value, strlen(value));
	buffer_char(out, '"');
}

static void json_u64(struct buffer *out, const char *key, uint64_t value)
{
	json_key(out, key);
	buffer_u64(out, value);
}

static const char *kind_name(uint8_t kind)
{
	return kind == QSLOG_SITE_SPAN ? "span" : kind == QSLOG_SITE_CONTEXT ? "line" : "log";
}

static void json_site(struct buffer *out, const struct stat_table *t, const struct stat_site *s)
{
	const struct histogram *h = &s->durations;

	buffer_printf(out, "{\"kind\":\"%s\",\"level\":\"%c\",",
		      kind_name(s->kind), level_letter(s->level));
	json_text(out, "tag", s->tag);
	buffer_char(out, ',');
	json_text(out, "file", s->file);
	buffer_printf(out, ",\"line\":%u,", s->line);
	json_text(out, "function", s->function);
	buffer_char(out, ',');
	json_text(out, "format", s->format);
	buffer_char(out, ',');
	json_u64(out, "count", s->cnt);
	buffer_printf(out, ",\"rate\":%.3f,", stat_table_rate(t, s->cnt));
	json_u64(out, "bytes", s->bytes);
	if (s->kind == QSLOG_SITE_SPAN) {
		buffer_char(out, ',');
		json_text(out, "name", s->name);
		buffer_str(out, ",\"durations_ns\":{");
		json_u64(out, "count", h->cnt);
		buffer_char(out, ',');
		json_u64(out, "open", s->cnt - h->cnt);
		buffer_char(out, ',');
		json_u64(out, "min", h->min);
		buffer_char(out, ',');
		json_u64(out, "p50", histogram_quantile(h, 0.5));
		buffer_char(out, ',');
		json_u64(out, "p90", histogram_quantile(h, 0.9));
		buffer_char(out, ',');
		json_u64(out, "p99", histogram_quantile(h, 0.99));
		buffer_char(out, ',');
		json_u64(out, "max", h->max);
		buffer_printf(out, ",\"total\":%.0f}", h->total);
		if (s->times)
			stat_times_json(out, s->times);
	}
	buffer_char(out, '}');
}

static void json_losses(struct buffer *out, const struct stat_table *t)
{
	for (unsigned i = 0; i < t->loss_cnt; i++) {
		const struct stat_loss *l = &t->losses[i];

		buffer_str(out, i ? ",{" : "{");
		json_text(out, "cause", loss_cause_name(l->cause));
		buffer_printf(out, ",\"pid\":%u,\"tid\":%u,", l->pid, l->tid);
		json_text(out, "thread", l->thread);
		buffer_char(out, ',');
		json_u64(out, "count", l->cnt);
		buffer_char(out, '}');
	}
}

static void json_files(struct buffer *out, const struct merge *merge)
{
	const char *separator = "{";

	for (unsigned i = 0; i < merge_file_cnt(merge); i++) {
		const struct merge_file *f = merge_file(merge, i);

		if (f->error)
			continue;
		buffer_str(out, separator);
		json_text(out, "path", f->path);
		buffer_char(out, ',');
		json_u64(out, "bytes", f->totals.file_bytes);
		buffer_char(out, ',');
		json_u64(out, "blocks", f->totals.blocks);
		buffer_char(out, ',');
		json_u64(out, "blocks_damaged", f->totals.blocks_damaged);
		buffer_char(out, ',');
		json_u64(out, "blocks_not_packed", f->totals.blocks_hasty);
		buffer_printf(out, ",\"clock\":\"%s\",\"clock_hz\":%llu", clock_name(&f->totals),
			      (unsigned long long)f->totals.counter_hz);
		buffer_printf(out, ",\"closed\":%s,\"tail\":%s}",
			      f->totals.has_index ? "true" : "false",
			      f->totals.has_tail ? "true" : "false");
		separator = ",{";
	}
}

void stat_print_json(struct buffer *out, const struct stat_table *t, const struct merge *merge)
{
	buffer_char(out, '{');
	json_u64(out, "records", t->records);
	buffer_char(out, ',');
	json_u64(out, "lost", t->lost);
	if (t->any) {
		buffer_str(out, ",\"first\":\"");
		timestamp_utc(out, t->first_ns);
		buffer_str(out, "\",\"last\":\"");
		timestamp_utc(out, t->last_ns);
		buffer_printf(out, "\",\"first_ns\":%lld,\"last_ns\":%lld", (long long)t->first_ns,
			      (long long)t->last_ns);
	}
	buffer_printf(out, ",\"rate\":%.3f,\"files\":[", stat_table_rate(t, t->records));
	json_files(out, merge);
	buffer_str(out, "],\"sites\":[");
	for (unsigned i = 0; i < t->site_cnt; i++) {
		if (i)
			buffer_char(out, ',');
		json_site(out, t, &t->sites[i]);
	}
	buffer_str(out, "],\"losses\":[");
	json_losses(out, t);
	buffer_char(out, ']');
	stat_threads_json(out, t);
	buffer_str(out, "}\n");
}
