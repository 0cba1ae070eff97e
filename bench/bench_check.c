/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_check.c - reads a file that was measured with the reader that everybody uses. The value of
 * call i of thread n is n * CALL_THREAD_OFFSET + i * step; step is odd, so i comes back by
 * multiplying with its inverse. Which n a thread is shows in its first value: only for the right
 * one i is small. Of kind c only the low 32 bits are there, in which fewer threads can be told apart.
 */
#include "bench_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench_util.h"
#include "reader.h"
#include "text.h"

#define THREADS_MAX 64
#define CALLS_MAX (UINT64_C(1) << 40)
#define C_THREADS_MAX 8
#define C_CALLS_MAX (UINT64_C(1) << 27)

struct progress {
	uint32_t tid;
	uint64_t from; /* value of its call 0 */
	uint64_t next; /* index of the call that is expected */
	bool begun;
};

struct checking {
	struct check *out;
	enum call_kind kind;
	uint64_t inverse; /* of the step */
	struct progress threads[THREADS_MAX];
	unsigned int thread_cnt;
	uint64_t gaps; /* calls that are not there */
};

/* Newton: each step doubles the number of right bits, of which an odd number has three. */
static uint64_t inverse_of(uint64_t odd)
{
	uint64_t x = odd;
	int i;

	for (i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

static void damage_print(void *arg, const char *path, uint64_t offset, const char *what)
{
	(void)arg;
	fprintf(stderr, "bench: %s: at %llu: %s\n", path, (unsigned long long)offset, what);
}

static int wrong(struct checking *c, const char *what, uint64_t got, uint64_t expected)
{
	snprintf(c->out->why, sizeof(c->out->why), "%s: %llu, expected %llu", what,
		 (unsigned long long)got, (unsigned long long)expected);
	return -EBADMSG;
}

static struct progress *progress_of(struct checking *c, uint32_t tid)
{
	unsigned int i;

	for (i = 0; i < c->thread_cnt; i++)
		if (c->threads[i].tid == tid)
			return &c->threads[i];
	if (c->thread_cnt == THREADS_MAX)
		return NULL;
	c->threads[c->thread_cnt] = (struct progress){ .tid = tid };
	return &c->threads[c->thread_cnt++];
}

/* How many steps it is from `from` to `value`, both as far as the kind has them. */
static uint64_t steps_between(const struct checking *c, uint64_t from, uint64_t value)
{
	const uint64_t steps = (value - from) * c->inverse;

	return c->kind == CALL_C ? (uint32_t)steps : steps;
}

static bool from_find(struct checking *c, struct progress *p, uint64_t value)
{
	const uint64_t threads = c->kind == CALL_C ? C_THREADS_MAX : THREADS_MAX;
	const uint64_t calls = c->kind == CALL_C ? C_CALLS_MAX : CALLS_MAX;
	uint64_t n;

	for (n = 0; n < threads && !p->begun; n++) {
		p->from = n * CALL_THREAD_OFFSET;
		p->begun = steps_between(c, p->from, value) < calls;
	}
	return p->begun;
}

static int value_check(struct checking *c, struct progress *p, const struct record *r)
{
	const struct record_value *v = &r->values[0];
	const unsigned int cnt = c->kind == CALL_A ? 0 : c->kind == CALL_C ? 3 : 1;
	uint64_t i;

	if (r->value_cnt != cnt)
		return wrong(c, "number of arguments", r->value_cnt, cnt);
	if (c->kind == CALL_A)
		return 0;
	if (c->kind == CALL_C &&
	    (v[0].type != QSLOG_ARG_INT64 || v[1].type != QSLOG_ARG_DOUBLE ||
	     v[1].d != (double)v[0].i * 0.5 || v[2].type != QSLOG_ARG_STR || v[2].len != 11 ||
	     memcmp(v[2].bytes + 5, "-01234", 6) != 0))
		return wrong(c, "an argument of c", (uint64_t)v[0].i, 0);
	if (!p->begun && !from_find(c, p, v->u))
		return wrong(c, "no thread's value", v->u, 0);
	i = steps_between(c, p->from, v->u);
	if (i < p->next)
		return wrong(c, "a call again, or out of order", i, p->next);
	c->gaps += i - p->next;
	p->next = i + 1;
	return 0;
}

static int record_check(struct checking *c, const struct record *r)
{
	struct progress *p;

	if (r->kind == RECORD_LOSS) {
		c->out->lost += r->lost;
		if (r->lost_cause < CHECK_CAUSES)
			c->out->lost_by[r->lost_cause] += r->lost;
		return 0;
	}
	c->out->records++;
	p = progress_of(c, r->thread->tid);
	if (!p)
		return wrong(c, "too many threads", r->thread->tid, 0);
	if ((c->kind == CALL_SPAN) != (r->format->kind == QSLOG_SITE_SPAN))
		return wrong(c, "kind of a site", r->format->kind, c->kind == CALL_SPAN);
	return r->kind == RECORD_SPAN_EXIT ? 0 : value_check(c, p, r);
}

int check_file(struct check *out, const char *path, enum call_kind kind, uint64_t issued,
	       uint64_t step)
{
	struct checking c = { .out = out, .kind = kind, .inverse = inverse_of(step) };
	const uint64_t begin = bench_monotonic_ns();
	const struct record *record;
	struct reader_totals totals;
	struct reader *reader;
	int err;

	memset(out, 0, sizeof(*out));
	err = reader_open(&reader, path, damage_print, NULL);
	if (err) {
		snprintf(out->why, sizeof(out->why), "cannot read it: %s", strerror(-err));
		return err;
	}
	while ((err = reader_next(reader, &record)) > 0) {
		err = record_check(&c, record);
		if (err)
			break;
	}
	reader_totals_get(reader, &totals);
	reader_close(reader);
	out->file_bytes = totals.file_bytes;
	out->threads = c.thread_cnt;
	out->seconds = (double)(bench_monotonic_ns() - begin) / 1e9;
	if (err)
		return err;
	if (totals.blocks_damaged)
		return wrong(&c, "damaged blocks", totals.blocks_damaged, 0);
	if (out->records + out->lost != issued)
		return wrong(&c, "records in the file and lost", out->records + out->lost, issued);
	if (c.gaps > out->lost)
		return wrong(&c, "missing calls", c.gaps, out->lost);
	return 0;
}

void check_causes(const struct check *c, char *out, unsigned int size)
{
	unsigned int len = 0;
	uint8_t i;

	out[0] = '\0';
	for (i = 0; i < CHECK_CAUSES; i++)
		if (c->lost_by[i] && len < size)
			len += (unsigned int)snprintf(out + len, size - len, "%s%s %llu",
						      len ? ", " : "", loss_cause_name(i),
						      (unsigned long long)c->lost_by[i]);
}
