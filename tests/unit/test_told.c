// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_told.c - qslog:record: the probe is passed after each record, with what it says of it, while
 * its semaphore is up, and leaves the arena as records do. The probe's place in the module is taken
 * by a function of the test's own; e2e/probes.sh attaches a tool to the real one.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/time.h>

#define QSLOG_TAG "told"
#include "qslog.h"

static struct {
	uint64_t main_hits, main_last, handler_hits, spans, wrong;
} told;
static const char main_format[] = "main {}";

static void hit(const char *format, const char *file, uint32_t line, int level, const void *record,
		uint32_t bytes)
{
	const uint64_t *words = record;

	told.wrong += strstr(file, "test_told.c") == NULL || !line || level != QSLOG_LEVEL_INFO ||
		      bytes < 16;
	if (strcmp(format, main_format) == 0) {
		told.main_hits++;
		told.wrong += bytes != 24 || words[2] != told.main_last + 1;
		told.main_last = words[2];
	} else if (strcmp(format, "handler {}") == 0) {
		told.handler_hits++;
	} else {
		told.spans++;
	}
}

/* As an attached tool counts the semaphore up. */
static int listen(void **state)
{
	(void)state;
	memset(&told, 0, sizeof(told));
	qslog_priv_control.record_probe = (void (*)(void))(uintptr_t)hit;
	qslog_priv_control.words[QSLOG_WORD_RECORD]++;
	return 0;
}

static int unlisten(void **state)
{
	(void)state;
	qslog_priv_control.words[QSLOG_WORD_RECORD]--;
	return 0;
}

static uint64_t *at(uint64_t pos)
{
	return (uint64_t *)((char *)qslog_priv_arena + QSLOG_ARENA_HEADER_BYTES +
			    (pos & qslog_priv_arena->mask));
}

/* Records in [from, head): all is made of them and of empty definitions. */
static uint64_t records_walk(uint64_t from)
{
	const uint64_t head = qslog_priv_arena->head;
	uint64_t cnt = 0, bytes;

	assert_int_equal(head, qslog_priv_arena->reserve);
	for (; from < head; from += bytes) {
		bytes = (*at(from) >> QSLOG_RECORD_SIZE_SHIFT & QSLOG_RECORD_SIZE_MASK) * 8;
		assert_true(bytes >= QSLOG_RECORD_HEADER_BYTES && bytes <= 64);
		cnt += (*at(from) & QSLOG_RECORD_SITE_MASK) != 0;
	}
	assert_int_equal(from, head);
	return cnt;
}

static void each_record_is_told(void **state)
{
	uint64_t i, from, records;

	(void)state;
	QSLOGI("main {}", (uint64_t)1);
	from = qslog_priv_arena->head;
	records = qslog_priv_arena->records;
	for (i = 2; i <= 1000; i++)
		QSLOGI("main {}", i);
	assert_int_equal(told.main_hits, 1000);
	{
		QSLOG_SPAN("a span", "id={}", 7);
		assert_int_equal(told.spans, 1);
	}
	assert_int_equal(told.spans, 2);
	assert_int_equal(told.wrong, 0);
	assert_int_equal(qslog_priv_arena->records - records, 1001);
	assert_int_equal(records_walk(from), 1001);

	unlisten(NULL); /* and at once no more */
	QSLOGI("main {}", (uint64_t)1001);
	assert_int_equal(told.main_hits, 1000);
	listen(NULL);
}

static volatile sig_atomic_t handler_calls;

static void handler(int sig)
{
	(void)sig;
	handler_calls++;
	QSLOGI("handler {}", (int)handler_calls);
}

/* Signals come at any instruction; each of their records is told of as well. */
static void handlers_amid_records(void **state)
{
	const struct itimerval often = {{0, 20}, {0, 20}}, never = {{0, 0}, {0, 0}};
	struct sigaction sa = {.sa_handler = handler};
	uint64_t i, records;

	(void)state;
	QSLOGI("main {}", (uint64_t)1);
	records = qslog_priv_arena->records;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (i = 2; handler_calls < 5000; i++)
		QSLOGI("main {}", i);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
	assert_int_equal(told.wrong, 0);
	assert_int_equal(told.main_hits, i - 1);
	assert_int_equal(told.handler_hits, handler_calls);
	assert_int_equal(qslog_priv_arena->records - records, i - 2 + (uint64_t)handler_calls);
	assert_int_equal(qslog_priv_arena->head, qslog_priv_arena->reserve);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_record_is_told, listen, unlisten),
		cmocka_unit_test_setup_teardown(handlers_amid_records, listen, unlisten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
