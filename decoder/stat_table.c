/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stat_table.c - counts records per site and losses per cause and thread. A site is looked up by
 * (file, format id), which is what a record has at hand; the first time that a pair is seen, by
 * its content, so that the same site of several files or processes is one row.
 */
#include "stat_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "record_text.h"

static uint64_t hash_mix(uint64_t hash, uint64_t v)
{
	hash = (hash ^ v) * 0xff51afd7ed558ccdull;
	return hash ^ hash >> 32;
}

static uint64_t hash_str(uint64_t hash, const char *s)
{
	for (; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 0x100000001b3ull; /* FNV-1a */
	return hash_mix(hash, 0xff);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static char *copy_of(const char *s)
{
	return strdup(or_empty(s));
}

static bool same_site(const struct stat_site *s, const struct record *r)
{
	const struct record_format *f = r->format;

	return s->kind == f->kind && s->level == f->level && s->line == f->line &&
	       !strcmp(s->tag, record_tag(r)) && !strcmp(s->file, or_empty(f->file)) &&
	       !strcmp(s->function, or_empty(f->function)) &&
	       !strcmp(s->format, or_empty(f->format)) && !strcmp(s->name, or_empty(f->name));
}

static void site_fini(struct stat_site *s)
{
	free(s->tag);
	free(s->file);
	free(s->function);
	free(s->format);
	free(s->name);
	histogram_fini(&s->durations);
	stat_times_free(s->times);
}

static int site_new(struct stat_table *t, const struct record *r, uint64_t hash, uint32_t *index)
{
	const struct record_format *f = r->format;
	struct stat_site *s;

	if (!array_room(&t->sites, t->site_cnt, &t->site_cap, sizeof(*t->sites)))
		return -ENOMEM;
	s = &t->sites[t->site_cnt];
	*s = (struct stat_site){ .kind = f->kind, .level = f->level, .line = f->line };
	s->tag = copy_of(record_tag(r));
	s->file = copy_of(f->file);
	s->function = copy_of(f->function);
	s->format = copy_of(f->format);
	s->name = copy_of(f->name);
	if (!s->tag || !s->file || !s->function || !s->format || !s->name ||
	    hash_index_add(&t->by_content, hash, t->site_cnt)) {
		site_fini(s);
		return -ENOMEM;
	}
	*index = t->site_cnt++;
	return 0;
}

static int site_by_content(struct stat_table *t, const struct record *r, uint32_t *index)
{
	const struct record_format *f = r->format;
	struct hash_index_walk walk;
	uint64_t hash = hash_mix((uint64_t)f->kind << 8 | f->level, f->line);

	hash = hash_str(hash, record_tag(r));
	hash = hash_str(hash, or_empty(f->file));
	hash = hash_str(hash, or_empty(f->function));
	hash = hash_str(hash, or_empty(f->format));
	hash = hash_str(hash, or_empty(f->name));
	*index = hash_index_first(&t->by_content, hash, &walk);
	while (*index != HASH_INDEX_NONE) {
		if (same_site(&t->sites[*index], r))
			return 0;
		*index = hash_index_next(&t->by_content, &walk);
	}
	return site_new(t, r, hash, index);
}

static int site_find(struct stat_table *t, const struct record *r, unsigned file, uint32_t *index)
{
	uint64_t key = (uint64_t)file << 32 | r->format->id;
	struct hash_index_walk walk;
	int err;

	*index = hash_index_first(&t->by_id, key, &walk);
	if (*index != HASH_INDEX_NONE)
		return 0;
	err = site_by_content(t, r, index);
	return err ? err : hash_index_add(&t->by_id, key, *index);
}

/* Bytes of the record in the program's memory: header, slots, strings padded to 8. */
static uint64_t record_bytes(const struct record *r)
{
	uint64_t bytes = QSLOG_RECORD_HEADER_BYTES;

	if (r->kind == RECORD_LINE_BEGIN)
		return bytes + 32; /* 40 where the line was open already */
	if (r->kind == RECORD_LINE_END)
		return bytes + 16;
	if (r->kind != RECORD_LOG && r->context.span_id)
		bytes += 8;
	if (r->kind == RECORD_SPAN_EXIT)
		return bytes + 8;
	for (unsigned i = 0; i < r->value_cnt; i++) {
		bytes += 8;
		if (r->values[i].type == QSLOG_ARG_STR || r->values[i].type == QSLOG_ARG_BYTES)
			bytes += (r->values[i].len + 7ull) & ~7ull;
	}
	return bytes;
}

static int loss_add(struct stat_table *t, const struct record *r)
{
	const struct record_thread *thread = r->thread;
	uint32_t tid = thread ? thread->tid : 0;
	uint32_t pid = thread && thread->process ? thread->process->pid : 0;
	uint64_t key = hash_mix((uint64_t)pid << 32 | tid, r->lost_cause);
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&t->loss_index, key, &walk);
	struct stat_loss *l;

	for (; i != HASH_INDEX_NONE; i = hash_index_next(&t->loss_index, &walk)) {
		l = &t->losses[i];
		if (l->pid == pid && l->tid == tid && l->cause == r->lost_cause) {
			l->cnt += r->lost;
			return 0;
		}
	}
	if (!array_room(&t->losses, t->loss_cnt, &t->loss_cap, sizeof(*t->losses)))
		return -ENOMEM;
	l = &t->losses[t->loss_cnt];
	*l = (struct stat_loss){ .cause = r->lost_cause, .pid = pid, .tid = tid, .cnt = r->lost };
	l->thread = copy_of(thread ? thread->name : NULL);
	if (!l->thread || hash_index_add(&t->loss_index, key, t->loss_cnt)) {
		free(l->thread);
		return -ENOMEM;
	}
	t->loss_cnt++;
	return 0;
}

int stat_table_off(struct stat_table *t, const struct record *r)
{
	if (r->kind == RECORD_OFF)
		return stat_threads_add(&t->threads, r);
	t->offs_lost += r->lost;
	return 0;
}

int stat_table_add(struct stat_table *t, const struct record *r, unsigned file)
{
	struct stat_site *s;
	uint32_t index;
	int err;

	if (!t->any || r->time_ns < t->first_ns)
		t->first_ns = r->time_ns;
	if (!t->any || r->time_ns > t->last_ns)
		t->last_ns = r->time_ns;
	t->any = true;
	if (r->kind == RECORD_LOSS || !r->format) {
		t->lost += r->lost;
		return loss_add(t, r);
	}
	t->records++;
	err = site_find(t, r, file, &index);
	if (err)
		return err;
	s = &t->sites[index];
	s->bytes += record_bytes(r);
	if (r->kind == RECORD_SPAN_ENTER || r->kind == RECORD_LINE_BEGIN)
		s->entered++;
	if (r->kind == RECORD_SPAN_EXIT || r->kind == RECORD_LINE_END)
		err = histogram_add(&s->durations, r->duration_ns);
	if (!err && r->times)
		err = stat_times_add(&s->times, r->times);
	if (r->kind == RECORD_LOG)
		s->cnt++;
	else
		s->cnt = s->entered > s->durations.cnt ? s->entered : s->durations.cnt;
	return err;
}

static int site_compare(const void *a, const void *b)
{
	const struct stat_site *x = a, *y = b;
	int order;

	if (x->cnt != y->cnt)
		return x->cnt > y->cnt ? -1 : 1;
	order = strcmp(x->file, y->file);
	if (order)
		return order;
	return (x->line > y->line) - (x->line < y->line);
}

static int loss_compare(const void *a, const void *b)
{
	const struct stat_loss *x = a, *y = b;

	if (x->cnt != y->cnt)
		return x->cnt > y->cnt ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

void stat_table_sort(struct stat_table *t)
{
	for (unsigned i = 0; i < t->site_cnt; i++)
		if (t->sites[i].times)
			wait_set_sort(&t->sites[i].times->waits);
	stat_threads_sort(&t->threads);
	if (t->site_cnt)
		qsort(t->sites, t->site_cnt, sizeof(*t->sites), site_compare);
	if (t->loss_cnt)
		qsort(t->losses, t->loss_cnt, sizeof(*t->losses), loss_compare);
}

double stat_table_rate(const struct stat_table *t, uint64_t cnt)
{
	double seconds = ((double)t->last_ns - (double)t->first_ns) / 1e9;

	return seconds > 0 ? (double)cnt / seconds : 0;
}

void stat_table_fini(struct stat_table *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < t->site_cnt; i++)
		site_fini(&t->sites[i]);
	for (unsigned i = 0; i < t->loss_cnt; i++)
		free(t->losses[i].thread);
	free(t->sites);
	free(t->losses);
	stat_threads_fini(&t->threads);
	hash_index_fini(&t->by_content);
	hash_index_fini(&t->by_id);
	hash_index_fini(&t->loss_index);
	memset(t, 0, sizeof(*t));
}
