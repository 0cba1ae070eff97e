/* SPDX-License-Identifier: BSD-2-Clause */
/* test_context.c - trace context in the application: traceparent, ids, lines and what is handed
 * on. Nobody listens here: that must make no difference to any of it. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define QSLOG_TAG "context"
#include "qslog.h"

static struct qslog_context some(uint64_t trace, uint64_t span)
{
	return (struct qslog_context){ .trace = { trace, trace + 1 }, .span = span, .flags = 1 };
}

static uint64_t span_now(void)
{
	struct qslog_context c;

	assert_int_equal(qslog_context_get(&c), 0);
	return c.span;
}

/* ---- traceparent ---- */

static void traceparent_valid(void **state)
{
	static const char *const texts[] = {
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-be",
		"fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	};
	struct qslog_context c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(&c, 0x55, sizeof(c));
		assert_int_equal(qslog_traceparent_parse(texts[i], &c), 0);
		assert_int_equal(c.trace.high, 0x0af7651916cd43ddu);
		assert_int_equal(c.trace.low, 0x8448eb211c80319cu);
		assert_int_equal(c.span, 0xb7ad6b7169203331u);
		assert_int_equal(c.flags, 1);
	}
	/* one half of an id may be 0; every digit counts */
	assert_int_equal(qslog_traceparent_parse("00-0000000000000000000000000000000a-0000000000000001-ff",
						 &c), 0);
	assert_int_equal(c.trace.high, 0);
	assert_int_equal(c.trace.low, 10);
	assert_int_equal(c.flags, 0xff);
	assert_int_equal(qslog_traceparent_parse("00-f0000000000000000000000000000000-1000000000000000-00",
						 &c), 0);
	assert_int_equal(c.trace.high, 0xf000000000000000u);
	assert_int_equal(c.span, 0x1000000000000000u);
}

static void traceparent_invalid(void **state)
{
	static const char *const texts[] = {
		"",
		"00",
		"00-",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.x",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A",
		"0X-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333.-01",
		"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
		" 0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
		"00-0af7651916cd43dd8448eb211c80319cb7ad6b7169203331-01-01",
	};
	struct qslog_context c, before;
	size_t i;

	(void)state;
	memset(&before, 0x55, sizeof(before));
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		/* nothing behind the NUL is read: a sanitizer sees it */
		char *copy = strdup(texts[i]);

		assert_non_null(copy);
		c = before;
		assert_int_equal(qslog_traceparent_parse(copy, &c), -EINVAL);
		assert_memory_equal(&c, &before, sizeof(c));
		free(copy);
	}
	assert_int_equal(qslog_traceparent_parse(NULL, &c), -EINVAL);
}

static void traceparent_there_and_back(void **state)
{
	const char *text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	char out[QSLOG_TRACEPARENT_BYTES];
	struct qslog_context c, back;

	(void)state;
	assert_int_equal(qslog_traceparent_parse(text, &c), 0);
	qslog_traceparent_format(&c, out);
	assert_string_equal(out, text);
	c = some(0xfedcba9876543210u, 1);
	c.flags = 0xff; /* of which version 00 defines two */
	memset(out, 'x', sizeof(out));
	qslog_traceparent_format(&c, out);
	assert_string_equal(out, "00-fedcba9876543210fedcba9876543211-0000000000000001-03");
	assert_int_equal(qslog_traceparent_parse(out, &back), 0);
	assert_int_equal(back.trace.low, c.trace.low);
	assert_int_equal(back.flags, 3);
}

/* ---- lines ---- */

static void outside_of_a_line(void **state)
{
	struct qslog_context c = some(7, 7), before = c;

	(void)state;
	assert_int_equal(qslog_context_get(&c), -ENOENT);
	assert_memory_equal(&c, &before, sizeof(c));
	{
		QSLOG_SPAN_BEGIN(span, "fast", "n={}", 1);

		assert_int_equal(qslog_context_get(&c), -ENOENT);
		assert_int_equal(span.id, 0);
		QSLOG_SPAN_END(span);
	}
	assert_int_equal(qslog_context_get(&c), -ENOENT);
}

static void spans_nest(void **state)
{
	const struct qslog_context parent = some(1, 77);
	struct qslog_context c;
	uint64_t outer, inner;

	(void)state;
	{
		QSLOG_LOCAL_PARENT(&parent);
		assert_int_equal(qslog_context_get(&c), 0);
		assert_int_equal(c.trace.high, 1);
		assert_int_equal(c.trace.low, 2);
		assert_int_equal(c.span, 77);
		assert_int_equal(c.flags, 1);
		{
			QSLOG_SPAN("outer");
			outer = span_now();
			assert_int_not_equal(outer, 0);
			assert_int_not_equal(outer, 77);
			{
				QSLOG_SPAN("inner", "n={}", 1);
				inner = span_now();
				assert_int_equal(inner, outer + 1); /* a line counts its spans */
				QSLOGI("a log changes nothing");
				assert_int_equal(span_now(), inner);
			}
			assert_int_equal(span_now(), outer);
			QSLOG_SPAN("another");
			assert_int_equal(span_now(), inner + 1);
		}
		assert_int_equal(span_now(), 77);
		assert_int_equal(qslog_context_get(&c), 0);
		assert_int_equal(c.trace.high, 1);
	}
	assert_int_equal(qslog_context_get(&c), -ENOENT);
}

static void lines_nest(void **state)
{
	const struct qslog_context a = some(1, 10), b = some(2, 20);
	struct qslog_context c;
	uint64_t span;

	(void)state;
	{
		QSLOG_LOCAL_PARENT(&a);
		QSLOG_SPAN("in a");
		span = span_now();
		{
			QSLOG_LOCAL_PARENT(&b);
			assert_int_equal(qslog_context_get(&c), 0);
			assert_int_equal(c.trace.high, 2);
			assert_int_equal(c.span, 20);
			QSLOG_SPAN("in b");
			assert_int_not_equal(span_now(), 20);
		}
		assert_int_equal(qslog_context_get(&c), 0);
		assert_int_equal(c.trace.high, 1);
		assert_int_equal(c.span, span);
	}
	assert_int_equal(qslog_context_get(&c), -ENOENT);
}

static void lines_by_hand(void **state)
{
	const struct qslog_context a = some(1, 10), b = some(2, 20);
	struct qslog_local_parent outer, inner, stale;
	struct qslog_context c;

	(void)state;
	outer = qslog_set_local_parent(&a);
	inner = qslog_set_local_parent(&b);
	qslog_local_parent_end(&inner);
	assert_int_equal(span_now(), 10);
	qslog_local_parent_end(&inner); /* a second time: nothing */
	assert_int_equal(span_now(), 10);
	/* the outer one ends the inner one too, whose own end does nothing then */
	inner = qslog_set_local_parent(&b);
	stale = inner;
	qslog_local_parent_end(&outer);
	assert_int_equal(qslog_context_get(&c), -ENOENT);
	qslog_local_parent_end(&inner);
	assert_int_equal(qslog_context_get(&c), -ENOENT);
	outer = qslog_set_local_parent(&a);
	qslog_local_parent_end(&stale);
	assert_int_equal(span_now(), 10);
	qslog_local_parent_end(&outer);
	assert_int_equal(qslog_context_get(&c), -ENOENT);
}

static void new_traces(void **state)
{
	const struct qslog_context none = { .span = 5 };
	struct qslog_context first, second;

	(void)state;
	{
		QSLOG_LOCAL_PARENT(NULL);
		assert_int_equal(qslog_context_get(&first), 0);
	}
	{
		QSLOG_LOCAL_PARENT(&none);
		assert_int_equal(qslog_context_get(&second), 0);
	}
	assert_true(first.trace.high || first.trace.low);
	assert_true(first.trace.high != second.trace.high || first.trace.low != second.trace.low);
	assert_int_equal(first.span, 0);
	assert_int_equal(second.span, 0); /* a parent in no trace is none */
	assert_int_equal(first.flags, QSLOG_TRACE_SAMPLED | QSLOG_TRACE_RANDOM);
}

/* A span that outlives its line, or is left late, does not come back as anybody's parent. */
static void spans_left_late(void **state)
{
	const struct qslog_context a = some(1, 10), b = some(2, 20);
	struct qslog_local_parent line = qslog_set_local_parent(&a);

	(void)state;
	QSLOG_SPAN_BEGIN(first, "first");
	QSLOG_SPAN_BEGIN(second, "second");
	QSLOG_SPAN_END(first);
	assert_int_equal(span_now(), second.id);
	qslog_local_parent_end(&line);
	line = qslog_set_local_parent(&b);
	QSLOG_SPAN_END(second);
	assert_int_equal(span_now(), 20);
	qslog_local_parent_end(&line);
}

static void nothing_is_recorded(void **state)
{
	struct qslog_stats before, after;

	(void)state;
	qslog_stats_get(&before);
	{
		QSLOG_LOCAL_PARENT(NULL);
		QSLOG_SPAN("span");
	}
	qslog_stats_get(&after);
	assert_int_equal(after.recorded, before.recorded);
	assert_int_equal(after.lost, before.lost);
}

static void *handed_over(void *arg)
{
	const struct qslog_context *given = arg;
	struct qslog_context c;

	if (qslog_context_get(&c) != -ENOENT) /* lines are a thread's own */
		return NULL;
	QSLOG_LOCAL_PARENT(given);
	QSLOG_SPAN("over there");
	if (qslog_context_get(&c) || c.trace.high != given->trace.high ||
	    c.trace.low != given->trace.low || c.span == given->span)
		return NULL;
	return arg;
}

static void to_another_thread(void **state)
{
	struct qslog_context c;
	uint64_t span;
	pthread_t thread;
	void *result;

	(void)state;
	QSLOG_LOCAL_PARENT(NULL);
	QSLOG_SPAN("here");
	span = span_now();
	assert_int_equal(qslog_context_get(&c), 0);
	assert_int_equal(pthread_create(&thread, NULL, handed_over, &c), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, &c);
	assert_int_equal(span_now(), span);
}

/* ---- ids ---- */

#define THREADS 64u
#define IDS 100000u

static int compare_u64(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void all_different(uint64_t *ids, size_t cnt)
{
	size_t i;

	qsort(ids, cnt, sizeof(*ids), compare_u64);
	assert_int_not_equal(ids[0], 0);
	for (i = 1; i < cnt; i++)
		assert_true(ids[i] != ids[i - 1]);
}

static void *ids_take(void *arg)
{
	uint64_t *ids = arg;
	unsigned i;

	for (i = 0; i < IDS; i++)
		ids[i] = qslog_span_id_new();
	return NULL;
}

static void ids_over_threads(void **state)
{
	uint64_t *ids = malloc(THREADS * IDS * sizeof(*ids));
	pthread_t threads[THREADS];
	unsigned i;

	(void)state;
	assert_non_null(ids);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ids_take, ids + i * IDS), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	all_different(ids, THREADS * IDS);
	free(ids);
}

/* One thread goes through several blocks. */
static void ids_over_blocks(void **state)
{
	const size_t cnt = 3u << 20;
	uint64_t *ids = malloc(cnt * sizeof(*ids));
	size_t i;

	(void)state;
	assert_non_null(ids);
	for (i = 0; i < cnt; i++)
		ids[i] = qslog_span_id_new();
	all_different(ids, cnt);
	free(ids);
}

static void ids_over_fork(void **state)
{
	const size_t bytes = 2 * IDS * sizeof(uint64_t);
	uint64_t *ids = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct qslog_trace_id *trace;
	uint64_t seeds[2];
	int status;
	pid_t pid;

	(void)state;
	assert_true(ids != MAP_FAILED);
	trace = mmap(NULL, sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(trace != MAP_FAILED);
	seeds[0] = qslog_span_id_new();
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		ids_take(ids + IDS);
		*trace = qslog_trace_id_new();
		_exit(0);
	}
	ids_take(ids);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	seeds[1] = ids[IDS];
	all_different(ids, 2 * IDS);
	assert_true(seeds[0] >> 32 != seeds[1] >> 32); /* begun anew, not counted on */
	assert_true(qslog_trace_id_new().high != trace->high);
	munmap(ids, bytes);
	munmap(trace, sizeof(*trace));
}

static void trace_ids(void **state)
{
	uint64_t *halves = malloc(2 * IDS * sizeof(*halves));
	uint64_t set = 0, clear = 0;
	unsigned i;

	(void)state;
	assert_non_null(halves);
	for (i = 0; i < IDS; i++) {
		struct qslog_trace_id id = qslog_trace_id_new();

		halves[i] = id.high;
		halves[IDS + i] = id.low;
		set |= id.high & id.low;
		clear |= ~id.high & ~id.low;
	}
	all_different(halves, IDS);
	all_different(halves + IDS, IDS);
	assert_int_equal(set, UINT64_MAX); /* every bit is in use */
	assert_int_equal(clear, UINT64_MAX);
	free(halves);
}

/* A signal handler takes ids, and opens lines of its own, wherever it interrupts. */
static uint64_t *handler_ids;
static unsigned handler_id_cnt, handler_wrong;

static void handler(int signal)
{
	struct qslog_context before, after;
	int had = qslog_context_get(&before);

	(void)signal;
	{
		QSLOG_LOCAL_PARENT(NULL);
		QSLOG_SPAN("handler");
		if (handler_id_cnt < IDS && !qslog_context_get(&after))
			handler_ids[handler_id_cnt++] = after.span;
	}
	if (qslog_context_get(&after) != had ||
	    (!had && (after.span != before.span || after.trace.low != before.trace.low)))
		handler_wrong++;
}

static void ids_in_signal_handlers(void **state)
{
	struct sigaction action = { .sa_handler = handler };
	uint64_t *ids = malloc(2 * IDS * sizeof(*ids));
	struct itimerspec often = { .it_interval.tv_nsec = 20000, .it_value.tv_nsec = 20000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	unsigned i, wrong = 0;
	timer_t timer;

	(void)state;
	assert_non_null(ids);
	handler_ids = ids + IDS;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
	for (i = 0; i < IDS; i++) {
		const struct qslog_context parent = some(i + 1, i + 1);
		struct qslog_context c;

		QSLOG_LOCAL_PARENT(&parent);
		QSLOG_SPAN("span");
		wrong += qslog_context_get(&c) || c.trace.low != i + 2;
		ids[i] = c.span;
	}
	assert_int_equal(timer_delete(timer), 0);
	assert_int_equal(wrong, 0);
	assert_int_equal(handler_wrong, 0);
	assert_int_not_equal(raise(SIGALRM), -1); /* at least once, however slow the timer is */
	memmove(ids + IDS, handler_ids, handler_id_cnt * sizeof(*ids));
	all_different(ids, IDS + handler_id_cnt);
	free(ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traceparent_valid),
		cmocka_unit_test(traceparent_invalid),
		cmocka_unit_test(traceparent_there_and_back),
		cmocka_unit_test(outside_of_a_line),
		cmocka_unit_test(spans_nest),
		cmocka_unit_test(lines_nest),
		cmocka_unit_test(lines_by_hand),
		cmocka_unit_test(new_traces),
		cmocka_unit_test(spans_left_late),
		cmocka_unit_test(nothing_is_recorded),
		cmocka_unit_test(to_another_thread),
		cmocka_unit_test(ids_over_threads),
		cmocka_unit_test(ids_over_blocks),
		cmocka_unit_test(ids_over_fork),
		cmocka_unit_test(trace_ids),
		cmocka_unit_test(ids_in_signal_handlers),
	};

	return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
