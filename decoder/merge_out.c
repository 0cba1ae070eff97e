/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge_out.c - a record goes through the writer as an application would have left it, its counter
 * being the wall time. The writer keeps the stacks of spans and lines as it does for applications.
 */
#include "merge_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock_pair.h"
#include "file_format.h"
#include "hash_index.h"
#include "writer.h"

/* Of one of the files: what its objects are in the writer, + 1; 0: not there yet. */
struct known {
	uint32_t *formats; /* by id */
	uint32_t format_cnt;
	struct hash_index threads; /* by address */
};

struct merge_out {
	struct writer *w;
	bool hosts;
	struct known *files;
	unsigned file_cnt;
	uint64_t *words;
	size_t cap;
};

int merge_out_open(struct merge_out **out, const char *path, unsigned file_cnt, bool hosts,
		   const char *host, bool sched, int64_t first_ns)
{
	const struct clock_scale scale = { .mult = 1ull << 32, .hz = 1000000000,
					   .kind = FILE_COUNTER_REALTIME };
	const struct clock_pair pair = { first_ns, first_ns, 0 };
	const struct writer_options options = { .path = path, .scale = &scale, .pairs = &pair,
						.pair_cnt = 1, .pairs_only = true, .sched = sched,
						.host = hosts ? "" : host };
	struct merge_out *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;

	*out = m;
	if (!m)
		return err;
	m->hosts = hosts;
	m->file_cnt = file_cnt;
	m->files = calloc(file_cnt, sizeof(*m->files));
	if (m->files)
		err = writer_open(&m->w, &options);
	if (err) {
		m->w = NULL;
		merge_out_close(m, NULL, NULL);
		*out = NULL;
	}
	return err;
}

int merge_out_close(struct merge_out *m, uint64_t *records, uint64_t *lost)
{
	struct writer_totals totals;
	unsigned i;
	int err = 0;

	if (!m)
		return 0;
	if (m->w) {
		err = writer_close(m->w, &totals);
		if (records)
			*records = totals.records;
		if (lost)
			*lost = totals.lost;
	}
	for (i = 0; m->files && i < m->file_cnt; i++) {
		free(m->files[i].formats);
		hash_index_fini(&m->files[i].threads);
	}
	free(m->files);
	free(m->words);
	free(m);
	return err;
}

/* ---- what records point to: an index of the writer, or -errno ---- */

static int process_get(struct merge_out *m, const struct record_process *p)
{
	const struct writer_process process = { .pid = p->pid, .start_time_ns = p->start_ns,
						.name = p->name, .exe = p->exe,
						.command = p->command,
						.host = m->hosts ? p->host : NULL };

	return writer_process_add(m->w, &process);
}

static int thread_get(struct merge_out *m, struct known *known, const struct record_thread *t)
{
	const uint64_t address = (uint64_t)(uintptr_t)t;
	struct hash_index_walk walk;
	uint32_t have = hash_index_first(&known->threads, address, &walk);
	int owner, number, err;

	if (have != HASH_INDEX_NONE)
		return (int)have;
	owner = process_get(m, t->process);
	if (owner < 0)
		return owner;
	number = writer_thread_add(m->w, (uint32_t)owner, t->tid, t->key, t->name);
	if (number < 0)
		return number;
	err = hash_index_add(&known->threads, address, (uint32_t)number);
	return err ? err : number;
}

static int format_get(struct merge_out *m, struct known *known,
		      const struct record_format *f)
{
	struct writer_format format = { .kind = f->kind, .level = f->level, .arg_cnt = f->arg_cnt,
					.line = f->line, .tag = f->tag, .file = f->file,
					.function = f->function, .format = f->format,
					.name = f->name };
	uint32_t *bigger, cnt;
	int number;

	if (f->id < known->format_cnt && known->formats[f->id])
		return (int)known->formats[f->id] - 1;
	if (f->id >= known->format_cnt) {
		cnt = f->id * 2 + 64;
		bigger = reallocarray(known->formats, cnt, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		memset(bigger + known->format_cnt, 0, (cnt - known->format_cnt) * sizeof(*bigger));
		known->formats = bigger;
		known->format_cnt = cnt;
	}
	memcpy(format.types, f->types, f->arg_cnt);
	number = writer_format_add(m->w, 0, &format);
	if (number >= 0)
		known->formats[f->id] = (uint32_t)number + 1;
	return number;
}

/* ---- records ---- */

static size_t words_needed(const struct record *r)
{
	size_t n = 16 + r->value_cnt;
	unsigned i;

	for (i = 0; i < r->value_cnt; i++) {
		if (r->values[i].type == QSLOG_ARG_STR || r->values[i].type == QSLOG_ARG_BYTES)
			n += r->values[i].len / 8 + 1;
	}
	return n;
}

static uint64_t *value_put(uint64_t *p, const struct record_value *v)
{
	uint32_t words;

	switch ((enum qslog_arg_type)v->type) {
	case QSLOG_ARG_STR:
	case QSLOG_ARG_BYTES:
		if (!v->bytes) {
			*p++ = (uint64_t)QSLOG_STR_NULL << 32;
			break;
		}
		words = v->len / 8 + (v->len % 8 != 0);
		*p++ = (uint64_t)v->real_len << 32 | v->len;
		if (words)
			p[words - 1] = 0;
		memcpy(p, v->bytes, v->len);
		p += words;
		break;
	case QSLOG_ARG_FLOAT:
		*p = 0;
		memcpy(p++, &v->f, 4);
		break;
	case QSLOG_ARG_DOUBLE:
		memcpy(p++, &v->d, 8);
		break;
	default:
		*p++ = v->u;
	}
	return p;
}

static uint64_t *line_put(uint64_t *p, const struct record *r)
{
	const struct record_context *c = &r->context;

	if (r->kind == RECORD_LINE_END) {
		*p++ = r->duration_ns ? (uint64_t)r->time_ns - r->duration_ns : 0;
		*p++ = c->line_depth;
		return p;
	}
	*p++ = c->trace_high;
	*p++ = c->trace_low;
	*p++ = c->parent_id;
	*p++ = (uint64_t)c->line_depth << QSLOG_LINE_DEPTH_SHIFT | c->trace_flags |
	       (c->line_again ? QSLOG_LINE_AGAIN : 0);
	if (c->line_again)
		*p++ = c->innermost;
	return p;
}

static uint32_t words_put(uint64_t *words, const struct record *r)
{
	const bool span = r->kind == RECORD_SPAN_ENTER || r->kind == RECORD_SPAN_EXIT;
	const bool leaves = r->kind == RECORD_SPAN_EXIT || r->kind == RECORD_LINE_END;
	uint64_t *p = words + 2, flags = leaves ? QSLOG_RECORD_EXIT : 0;
	unsigned i;

	words[1] = (uint64_t)r->time_ns;
	if (span && r->context.span_id) {
		flags |= QSLOG_RECORD_SPAN_ID;
		*p++ = r->context.span_id;
	}
	if (r->kind == RECORD_LINE_BEGIN || r->kind == RECORD_LINE_END)
		p = line_put(p, r);
	else if (r->kind == RECORD_SPAN_EXIT)
		*p++ = (uint64_t)r->time_ns - r->duration_ns;
	else
		for (i = 0; i < r->value_cnt; i++)
			p = value_put(p, &r->values[i]);
	words[0] = (uint64_t)(p - words) << QSLOG_RECORD_SIZE_SHIFT | flags;
	return (uint32_t)(p - words) * 8;
}

static void name_copy(char *out, size_t size, const struct record_name *name)
{
	const size_t len = name->len < size ? name->len : size - 1;

	if (len)
		memcpy(out, name->bytes, len);
	out[len] = '\0';
}

static int off_put(struct merge_out *m, const struct record *r)
{
	const struct record_cause *cause = &r->off->cause;
	const int process = process_get(m, r->thread->process);
	char syscall[64], who[64];
	struct writer_off off = {
		.tid = r->thread->tid,
		.off = (uint64_t)r->time_ns - r->off->off_ns,
		.ready = (uint64_t)r->time_ns - r->off->ready_ns,
		.on = (uint64_t)r->time_ns,
		.syscall = cause->syscall, .syscall_name = syscall, .cpu = (uint16_t)r->off->cpu,
		.why = cause->why, .who = cause->who, .who_pid = cause->who_pid,
		.who_tid = cause->who_tid, .who_name = who,
		.flags = (uint8_t)((cause->io ? FILE_OFF_IO : 0) |
				   (cause->exiting ? FILE_OFF_EXITING : 0) |
				   (r->off->open ? FILE_OFF_OPEN : 0)),
	};

	if (process < 0)
		return process;
	off.process = (uint32_t)process;
	if (off.why > FILE_OFF_OTHER) /* of a later version */
		off.why = FILE_OFF_OTHER;
	name_copy(syscall, sizeof(syscall), &cause->syscall_name);
	name_copy(who, sizeof(who), &cause->who_name);
	return writer_off(m->w, &off, 1);
}

int merge_out_record(struct merge_out *m, unsigned file, const struct record *r)
{
	struct known *known = &m->files[file];
	int thread, format, err;
	size_t need = words_needed(r);

	if (r->kind == RECORD_OFF)
		return off_put(m, r);
	if (r->kind == RECORD_OFF_LOST)
		return writer_off_lost(m->w, (uint64_t)r->time_ns,
				       (uint64_t)r->time_ns + r->duration_ns,
				       r->lost_cause < FILE_OFF_LOST_CAUSE_COUNT ?
					       r->lost_cause : FILE_OFF_LOST_UNWRITTEN, r->lost);
	thread = thread_get(m, known, r->thread);
	if (thread < 0)
		return thread;
	if (r->kind == RECORD_LOSS) {
		err = writer_loss_time(m->w, (uint32_t)thread, (uint64_t)r->time_ns);
		return err ? err : writer_loss(m->w, (uint32_t)thread,
					       (enum loss_cause)r->lost_cause, r->lost);
	}
	format = format_get(m, known, r->format);
	if (format < 0)
		return format;
	if (need > m->cap) {
		free(m->words);
		m->words = malloc(need * 2 * sizeof(*m->words));
		m->cap = m->words ? need * 2 : 0;
		if (!m->words)
			return -ENOMEM;
	}
	return writer_record(m->w, (uint32_t)thread, (uint32_t)format, m->words,
			     words_put(m->words, r));
}
