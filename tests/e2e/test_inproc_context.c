/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_inproc_context.c - spans in lines, recorded by the in-process collector: each says in its
 * arguments what its context is, and the reader has to come to the same, whoever began to listen
 * when, and with records dropped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define QSLOG_TAG "context"
#include "qslog.h"
#include "reader.h"

static int start(const char *path, size_t arena_bytes)
{
	struct qslog_options o = QSLOG_OPTIONS_INIT;

	o.path = path;
	o.arena_bytes = arena_bytes;
	o.on_full = QSLOG_ON_FULL_DROP;
	return qslog_start(&o);
}

static struct qslog_context now(void)
{
	struct qslog_context c = { .span = 0 };

	(void)qslog_context_get(&c);
	return c;
}

static void nest(unsigned levels)
{
	const uint64_t parent = now().span;

	if (!levels)
		return;
	QSLOG_SPAN("nested", "trace={} parent={}", now().trace.high, parent);
	QSLOGI("trace={} span={}", now().trace.high, now().span);
	nest(levels - 1);
}

static void request(unsigned n)
{
	QSLOG_LOCAL_PARENT(NULL);
	nest(n % 5 + 1);
	if (n % 3 == 0) {
		const struct qslog_context other = { { n + 1, n + 1 }, n + 7, 1 };

		QSLOG_LOCAL_PARENT(&other);
		nest(n % 2 + 1);
	}
	nest(1);
}

static void *requests(void *arg)
{
	const unsigned cnt = *(unsigned *)arg;
	unsigned n;

	for (n = 0; n < cnt; n++)
		request(n);
	return NULL;
}

struct found {
	uint64_t spans, left, logs, lines, lost, without_trace, logs_elsewhere;
};

static struct found check(const char *path)
{
	const struct record *r;
	struct reader *reader;
	struct found found = { 0 };
	int more;

	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	while ((more = reader_next(reader, &r)) > 0) {
		const struct record_context *c = &r->context;

		switch (r->kind) {
		case RECORD_SPAN_ENTER:
			assert_int_not_equal(c->span_id, 0);
			assert_true(c->has_trace);
			assert_int_equal(c->trace_high, r->values[0].u);
			assert_int_equal(c->parent_id, r->values[1].u);
			found.spans++;
			break;
		case RECORD_SPAN_EXIT:
			assert_int_not_equal(c->span_id, 0);
			found.left++;
			break;
		case RECORD_LOG:
			found.logs++;
			found.without_trace += !c->has_trace;
			found.logs_elsewhere += c->has_trace && (c->trace_high != r->values[0].u ||
								 c->span_id != r->values[1].u);
			break;
		case RECORD_LOSS:
			found.lost += r->lost;
			break;
		case RECORD_LINE_BEGIN:
		case RECORD_LINE_END:
			found.lines++;
			break;
		case RECORD_OFF:
		case RECORD_OFF_LOST:
			fail();
		}
	}
	assert_int_equal(more, 0);
	reader_close(reader);
	return found;
}

static void requests_on_two_threads(void **state)
{
	const char *path = e2e_path("two.qslog");
	struct found found;
	pthread_t thread[2];
	unsigned cnt = 300, i;

	(void)state;
	assert_int_equal(start(path, 1u << 20), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, requests, &cnt), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(qslog_stop(), 0);
	found = check(path);
	assert_int_equal(found.lost, 0);
	assert_int_equal(found.lines, 2 * 2 * (300 + 100));
	/* 1 to 5 levels, then 1 or 2 every third time, then 1 */
	assert_int_equal(found.spans, 2 * (300 * 3 + 100 * 3 / 2 + 300));
	assert_int_equal(found.left, found.spans);
	assert_int_equal(found.logs, found.spans);
	assert_int_equal(found.without_trace + found.logs_elsewhere, 0);
}

/* A listener that comes amid lines is told of each that is innermost at its next span. */
static void listener_comes_late(void **state)
{
	const char *path = e2e_path("late.qslog");
	struct found found;

	(void)state;
	{
		QSLOG_LOCAL_PARENT(NULL);
		QSLOG_SPAN("unseen");
		{
			QSLOG_LOCAL_PARENT(NULL);
			QSLOG_SPAN("unseen");
			assert_int_equal(start(path, 0), 0);
			nest(3);
		}
		nest(2);
		assert_int_equal(qslog_stop(), 0);
		nest(2);
		assert_int_equal(start(e2e_path("later.qslog"), 0), 0);
		nest(4);
	}
	assert_int_equal(qslog_stop(), 0);
	found = check(path);
	assert_int_equal(found.spans, 5);
	assert_int_equal(found.left, 5);
	assert_int_equal(found.logs, 5);
	assert_int_equal(found.lines, 3); /* told of, closed, told of */
	assert_int_equal(found.without_trace + found.logs_elsewhere, 0);
	found = check(e2e_path("later.qslog"));
	assert_int_equal(found.spans, 4);
	assert_int_equal(found.lines, 2);
	assert_int_equal(found.without_trace + found.logs_elsewhere, 0);
}

/* Faster than the collector: what is dropped is made good for at the next span. */
static void records_dropped(void **state)
{
	const char *path = e2e_path("dropped.qslog");
	struct qslog_stats before, after;
	struct found found;
	pthread_t thread[4];
	unsigned cnt = 30000, i;

	(void)state;
	qslog_stats_get(&before);
	assert_int_equal(start(path, QSLOG_ARENA_BYTES_MIN), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, requests, &cnt), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(qslog_stop(), 0);
	qslog_stats_get(&after);
	found = check(path);
	assert_int_equal(found.lost, after.lost - before.lost);
	assert_int_equal(found.spans + found.left + found.logs + found.lines,
			 after.recorded - before.recorded);
	print_message("%llu records, %llu lost, %llu of %llu logs shown elsewhere\n",
		      (unsigned long long)(after.recorded - before.recorded),
		      (unsigned long long)found.lost, (unsigned long long)found.logs_elsewhere,
		      (unsigned long long)found.logs);
	assert_true(found.logs_elsewhere <= found.lost);
}

/* A child has ids of its own, and goes on in the line. */
static void over_fork(void **state)
{
	const char *path = e2e_path("child.qslog");
	uint64_t mine, trace;
	struct found found;
	int status;
	pid_t pid;

	(void)state;
	{
		QSLOG_LOCAL_PARENT(NULL);
		QSLOG_SPAN("parent");
		trace = now().trace.high;
		mine = now().span;
		pid = fork();
		if (!pid) {
			if (start(path, 0) || now().trace.high != trace || now().span != mine)
				_exit(1);
			nest(2);
			_exit(qslog_stop() ? 2 : 0);
		}
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	found = check(path);
	assert_int_equal(found.spans, 2);
	assert_int_equal(found.without_trace + found.logs_elsewhere, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_on_two_threads),
		cmocka_unit_test(listener_comes_late),
		cmocka_unit_test(records_dropped),
		cmocka_unit_test(over_fork),
	};

	alarm(100);
	return cmocka_run_group_tests_name("inproc_context", tests, e2e_setup, e2e_teardown);
}
