/* SPDX-License-Identifier: BSD-2-Clause */
/* test_parallel.c - jobs on several threads, and files read by several: the same lines in the same
 * order as with one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "buffer.h"
#include "counter.h"
#include "file_helper.h"
#include "parallel.h"

enum { JOBS = 500 };

struct sum_job {
	struct parallel_job job; /* first */
	unsigned number;
	unsigned square;
};

static atomic_uint started;

static void square(struct parallel_job *job)
{
	struct sum_job *s = (struct sum_job *)job;

	started++;
	s->square = s->number * s->number;
}

static void test_jobs(void **state)
{
	static const unsigned threads[] = { 0, 1, 2, 5 };
	static struct sum_job jobs[JOBS];
	struct parallel *p;
	unsigned i, t;

	(void)state;
	for (t = 0; t < 4; t++) {
		assert_int_equal(parallel_open(&p, threads[t]), 0);
		if (threads[t])
			assert_int_equal(parallel_jobs(p), threads[t]);
		memset(jobs, 0, sizeof(jobs));
		started = 0;
		for (i = 0; i < JOBS; i++) {
			jobs[i].number = i;
			jobs[i].job.run = square;
			parallel_start(p, &jobs[i].job, i % 3 == 0);
		}
		if (threads[t] == 1) /* nobody else is there */
			assert_false(parallel_done(p, &jobs[7].job));
		for (i = JOBS; i-- > 0;) {
			parallel_wait(p, &jobs[i].job);
			assert_true(parallel_done(p, &jobs[i].job));
			assert_int_equal(jobs[i].square, i * i);
		}
		assert_int_equal(started, JOBS);
		parallel_start(p, &jobs[3].job, false); /* a second time */
		parallel_wait(p, &jobs[3].job);
		assert_int_equal(started, JOBS + 1);
		parallel_close(p);
	}
	parallel_close(NULL);
}

/* Threads whose batches overlap, one that is late, one whose counter goes back, and a thread that
 * gets another name; blocks of 4 KiB, the last in the tail. */
static void file_make(struct made_file *f)
{
	enum { THREADS = 5, BATCH = 130, ROUNDS = 30 };
	static const uint8_t types[] = { QSLOG_ARG_UINT64 };
	int threads[THREADS], format, t, i, round;
	uint64_t base, at, n = 0;

	made_file_open(f, "parallel", 4096, true);
	base = counter_now() + BATCH * 1000;
	format = made_format(f, "{}", QSLOG_LEVEL_INFO, 1, types);
	for (t = 0; t < THREADS; t++)
		threads[t] = writer_thread_add(f->w, 0, 1000 + (uint32_t)t, 10 + (uint64_t)t, "t");
	for (round = 0; round < ROUNDS; round++) {
		if (round == 20)
			writer_thread_add(f->w, 0, 1002, 12, "renamed");
		if (round == 12)
			writer_loss(f->w, (uint32_t)threads[1], LOSS_RING_FULL, 5);
		for (t = THREADS - 1; t >= 0; t--) {
			for (i = 0; i < BATCH; i++) {
				at = base + (uint64_t)((round - (t == 4)) * BATCH + i) * 1000;
				if (t == 3 && round % 7 == 6)
					at -= 3 * BATCH * 1000;
				made_u64(f, threads[t], format, at + (uint64_t)t * 10, n++);
			}
		}
	}
	assert_int_equal(writer_flush(f->w), 0);
}

static void *context_open(void *arg)
{
	atomic_int *open = arg;

	++*open;
	return malloc(1);
}

static void context_close(void *arg, void *context)
{
	atomic_int *open = arg;

	--*open;
	free(context);
}

/* Every third record leaves no line; every hundredth a long one. */
static void render(void *context, struct buffer *out, const struct record *record)
{
	uint64_t n = record->kind == RECORD_LOSS ? 1 : record->values[0].u;

	*(char *)context = 1; /* nobody else has it */
	if (n % 3 == 2)
		return;
	buffer_printf(out, "%d %s %u %llu %lld\n", record->kind, record->thread->name,
		      record->thread->tid, (unsigned long long)n, (long long)record->time_ns);
	for (; n % 100 == 0 && n < 100000; n += 100000)
		buffer_printf(out, "%070000d\n", 1);
}

static struct buffer records_read(const char *path, unsigned threads, uint32_t window)
{
	struct parallel *pool = NULL;
	const struct record *record;
	struct buffer out = { 0 };
	struct reader *reader;
	char context;

	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	if (threads)
		assert_int_equal(parallel_open(&pool, threads), 0);
	reader_parallel(reader, pool, window);
	while (reader_next(reader, &record) > 0)
		render(&context, &out, record);
	reader_close(reader);
	parallel_close(pool);
	return out;
}

static struct buffer lines_read(const char *path, unsigned threads, uint32_t window)
{
	atomic_int open = 0;
	struct reader_render how = { .arg = &open, .open = context_open, .record = render,
				     .close = context_close };
	struct parallel *pool = NULL;
	struct buffer out = { 0 };
	struct reader_run run;
	struct reader *reader;
	int err;

	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	if (threads)
		assert_int_equal(parallel_open(&pool, threads), 0);
	reader_parallel(reader, pool, window);
	reader_render(reader, &how);
	while ((err = reader_next_run(reader, &run)) > 0) {
		assert_true(run.cnt > 0);
		buffer_bytes(&out, run.text + run.start, run.lines[run.cnt - 1].end - run.start);
	}
	assert_int_equal(err, 0);
	reader_close(reader);
	parallel_close(pool);
	assert_int_equal(open, 0);
	return out;
}

static void same(struct buffer *a, struct buffer b)
{
	assert_true(a->len > 100000);
	assert_int_equal(a->len, b.len);
	assert_memory_equal(a->data, b.data, a->len);
	buffer_fini(&b);
}

static void test_same_order(void **state)
{
	struct made_file f;
	struct buffer first;

	(void)state;
	file_make(&f);
	first = records_read(f.path, 0, 1);
	same(&first, records_read(f.path, 1, 1));
	same(&first, records_read(f.path, 3, 8));
	same(&first, lines_read(f.path, 0, 1));
	same(&first, lines_read(f.path, 1, 5));
	same(&first, lines_read(f.path, 2, 2));
	same(&first, lines_read(f.path, 4, 9));
	made_file_close(&f);
	same(&first, lines_read(f.path, 2, 6)); /* without the tail */
	buffer_fini(&first);
}

/* Who stops in the middle leaves jobs behind, which are waited for. */
static void test_stop(void **state)
{
	atomic_int open = 0;
	struct reader_render how = { .arg = &open, .open = context_open, .record = render,
				     .close = context_close };
	struct reader_run run;
	struct parallel *pool;
	struct reader *reader;
	struct made_file f;

	(void)state;
	file_make(&f);
	made_file_close(&f);
	assert_int_equal(parallel_open(&pool, 3), 0);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	reader_parallel(reader, pool, 8);
	reader_render(reader, &how);
	assert_int_equal(reader_next_run(reader, &run), 1);
	reader_close(reader);
	assert_int_equal(open, 0);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	reader_parallel(reader, pool, 8);
	reader_close(reader);
	parallel_close(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs),
		cmocka_unit_test(test_same_order),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, helper_setup, helper_teardown);
}
