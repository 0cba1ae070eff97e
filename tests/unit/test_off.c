// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_off.c - intervals off the CPU from the writer to the times of spans: every field, many in an
 * entry, nesting, what is missing, what must not be believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "counter.h"
#include "file_format.h"
#include "file_helper.h"

/* A file whose counter is in nanoseconds: counts and ticks are the same. */
static uint64_t file_open(struct made_file *f, const char *name, bool tail)
{
	struct writer_options options = {
		.counter_kind = FILE_COUNTER_MONOTONIC, .sched = true, .tail = tail,
	};

	made_file_open_options(f, name, &options);
	return counter_monotonic();
}

static void span_enter(struct made_file *f, int format, uint64_t at)
{
	struct made_record r;

	made_begin(&r, at);
	assert_int_equal(writer_record(f->w, (uint32_t)f->thread, (uint32_t)format, r.words,
				       made_end(&r, false)), 0);
}

static void span_exit(struct made_file *f, int format, uint64_t from, uint64_t at)
{
	struct made_record r;

	made_begin(&r, at);
	made_slot(&r, from);
	assert_int_equal(writer_record(f->w, (uint32_t)f->thread, (uint32_t)format, r.words,
				       made_end(&r, true)), 0);
}

static struct reader *reopen(const char *path)
{
	const struct reader_hint hint = { .times = true };
	struct reader *r;

	assert_int_equal(reader_open(&r, path, NULL, NULL), 0);
	reader_hint(r, &hint);
	return r;
}

static bool name_is(const struct record_name *name, const char *text)
{
	return name->len == strlen(text) && !memcmp(name->bytes, text, name->len);
}

/* The tid of the helper's thread. */
static uint32_t tid_of(const struct made_file *f)
{
	const struct record *record;
	struct reader *r = reopen(f->path);
	uint32_t tid = 0;

	while (reader_next(r, &record) > 0)
		if (record->kind == RECORD_SPAN_ENTER)
			tid = record->thread->tid;
	reader_close(r);
	return tid;
}

static void fields(void **state)
{
	struct made_file f;
	const uint64_t now = file_open(&f, "fields.qslog", false);
	const struct writer_off offs[] = {
		{ .process = (uint32_t)f.process, .tid = 77, .off = now + 1000, .ready = now + 5000,
		  .on = now + 6000, .syscall = 202, .syscall_name = "futex", .cpu = 3,
		  .why = FILE_OFF_SLEEP, .who = FILE_OFF_WHO_THREAD, .who_pid = 9, .who_tid = 10,
		  .who_name = "waker" },
		{ .process = (uint32_t)f.process, .tid = 78, .off = now - 1000, .on = now + 7000,
		  .syscall = -1, .cpu = 4000, .why = FILE_OFF_PREEMPTED, .who = FILE_OFF_WHO_THREAD,
		  .who_pid = 9, .who_tid = 11, .who_name = "" },
		{ .process = (uint32_t)f.process, .tid = 77, .off = now + 7000, .ready = now + 8000,
		  .on = now + 8000, .syscall = 0, .syscall_name = "read", .why = FILE_OFF_DISK_SLEEP,
		  .who = FILE_OFF_WHO_HARDIRQ, .flags = FILE_OFF_IO | FILE_OFF_OPEN },
	};
	const struct record *r;
	struct reader *reader;
	struct writer_totals totals;
	unsigned int n = 0;

	(void)state;
	assert_int_equal(writer_off(f.w, offs, 3), 0);
	assert_int_equal(writer_off(f.w, &(struct writer_off){ .process = 99 }, 1), -EINVAL);
	totals = made_file_close(&f);
	assert_int_equal(totals.off_cnt, 3);
	assert_int_equal(totals.records, 0);
	reader = reopen(f.path);
	for (; reader_next(reader, &r) > 0; n++) {
		const struct record_off *off = r->off;

		assert_int_equal(r->kind, RECORD_OFF);
		assert_non_null(r->thread->process);
		if (n == 1) { /* the other was off longer: its middle is earlier */
			assert_int_equal(r->thread->tid, 77);
			assert_true(name_is(&off->cause.syscall_name, "futex"));
			assert_true(name_is(&off->cause.who_name, "waker"));
			assert_int_equal(off->cause.who_pid, 9);
			assert_int_equal(off->cause.who_tid, 10);
			assert_int_equal(off->off_ns, 5000);
			assert_int_equal(off->ready_ns, 1000);
			assert_int_equal(off->cpu, 3);
			assert_false(off->open);
		} else if (n == 0) {
			assert_int_equal(r->thread->tid, 78);
			assert_int_equal(off->cause.syscall, -1);
			assert_int_equal(off->cpu, 4000);
			assert_int_equal(off->off_ns, 8000);
			assert_int_equal(off->ready_ns, 8000);
			assert_int_equal(off->cause.who_name.len, 0);
		} else {
			assert_true(off->cause.io && off->open);
			assert_int_equal(off->cause.who, FILE_OFF_WHO_HARDIRQ);
			assert_int_equal(off->cause.syscall, 0);
			assert_int_equal(off->ready_ns, 0);
		}
	}
	assert_int_equal(n, 3);
	reader_close(reader);
}

/* A reader that does not ask for times sees nothing of them. */
static void not_asked_for(void **state)
{
	struct read_result result;
	struct made_file f;
	const uint64_t now = file_open(&f, "not.qslog", false);
	const struct writer_off off = { .process = (uint32_t)f.process, .tid = 1, .off = now,
					.on = now + 10, .syscall = -1 };
	const int span = made_span(&f, "s", 0, NULL);

	(void)state;
	span_enter(&f, span, now);
	assert_int_equal(writer_off(f.w, &off, 1), 0);
	assert_int_equal(writer_off_lost(f.w, now, now + 5, FILE_OFF_LOST_RING_FULL, 3), 0);
	span_exit(&f, span, now, now + 100);
	made_file_close(&f);
	file_read(&result, f.path, NULL);
	assert_int_equal(result.cnt, 2);
	assert_int_equal(result.damages, 0);
	assert_int_equal(result.totals.offs, 0);
	assert_true(result.totals.has_sched);
	read_result_fini(&result);
}

/* Intervals come behind the records of their time, in other blocks; from the tail as well. */
static void times_of_spans(void **state, bool tail)
{
	struct made_file f;
	const uint64_t now = file_open(&f, tail ? "tail.qslog" : "spans.qslog", tail);
	const int outer = made_span(&f, "outer", 0, NULL), inner = made_span(&f, "inner", 0, NULL);
	struct writer_off offs[4] = {
		{ .off = now + 100000, .ready = now + 300000, .on = now + 400000, .syscall = 35,
		  .syscall_name = "nanosleep", .why = FILE_OFF_SLEEP, .who = FILE_OFF_WHO_HARDIRQ },
		{ .off = now + 600000, .on = now + 650000, .syscall = -1, .who = FILE_OFF_WHO_THREAD,
		  .who_tid = 5, .who_name = "other" },
		{ .off = now + 800000, .ready = now + 880000, .on = now + 880000, .syscall = 35,
		  .syscall_name = "nanosleep", .why = FILE_OFF_SLEEP, .who = FILE_OFF_WHO_HARDIRQ },
		/* of nobody who has spans */
		{ .tid = 12345, .off = now, .on = now + 900000, .syscall = -1 },
	};
	const struct record *r;
	struct reader *reader;
	unsigned int i, exits = 0;

	(void)state;
	span_enter(&f, outer, now);
	span_enter(&f, inner, now + 50000);
	span_exit(&f, inner, now + 50000, now + 500000);
	span_exit(&f, outer, now, now + 1000000);
	assert_int_equal(writer_flush(f.w), 0); /* without a tail, a block of its own */
	for (i = 0; i < 4; i++) {
		offs[i].process = (uint32_t)f.process;
		if (i < 3)
			offs[i].tid = tid_of(&f);
	}
	assert_int_equal(writer_off(f.w, offs, 4), 0);
	assert_int_equal(writer_flush(f.w), 0);
	if (!tail)
		made_file_close(&f);
	reader = reopen(f.path);
	while (reader_next(reader, &r) > 0) {
		const struct record_times *t = r->times;

		if (r->kind != RECORD_SPAN_EXIT)
			continue;
		exits++;
		assert_non_null(t);
		assert_false(t->incomplete);
		if (r->duration_ns == 450000) {
			assert_int_equal(t->off_ns, 300000);
			assert_int_equal(t->cpu_ns, 150000);
			assert_int_equal(t->blocked_ns, 200000);
			assert_int_equal(t->ready_ns, 100000);
			assert_int_equal(t->off_cnt, 1);
			assert_int_equal(t->wait_cnt, 1);
		} else {
			assert_int_equal(r->duration_ns, 1000000);
			assert_int_equal(t->off_ns, 430000);
			assert_int_equal(t->preempted_ns, 50000);
			assert_int_equal(t->blocked_ns, 280000);
			assert_int_equal(t->off_cnt, 3);
			assert_int_equal(t->wait_cnt, 2);
			assert_true(name_is(&t->waits[0].cause.syscall_name, "nanosleep"));
			assert_int_equal(t->waits[0].ns, 280000);
			assert_int_equal(t->waits[0].cnt, 2);
			assert_true(name_is(&t->waits[1].cause.who_name, "other"));
		}
	}
	assert_int_equal(exits, 2);
	reader_close(reader);
	if (tail)
		made_file_close(&f);
}

static void times_from_blocks(void **state)
{
	times_of_spans(state, false);
}

static void times_from_the_tail(void **state)
{
	times_of_spans(state, true);
}

static void lost(void **state)
{
	struct made_file f;
	const uint64_t now = file_open(&f, "lost.qslog", false);
	const int span = made_span(&f, "s", 0, NULL);
	const struct record *r;
	struct reader_totals totals;
	struct reader *reader;
	unsigned int i = 0;

	(void)state;
	for (; i < 4; i++) {
		span_enter(&f, span, now + i * 1000);
		span_exit(&f, span, now + i * 1000, now + i * 1000 + 900);
	}
	assert_int_equal(writer_off_lost(f.w, now + 1500, now + 2500, FILE_OFF_LOST_RING_FULL, 42), 0);
	assert_int_equal(made_file_close(&f).off_lost, 42);
	reader = reopen(f.path);
	i = 0;
	while (reader_next(reader, &r) > 0) {
		if (r->kind == RECORD_OFF_LOST)
			assert_int_equal(r->lost, 42);
		if (r->kind != RECORD_SPAN_EXIT)
			continue;
		assert_non_null(r->times);
		assert_int_equal(r->times->incomplete, i == 1 || i == 2); /* those around it only */
		i++;
	}
	assert_int_equal(i, 4);
	reader_totals_get(reader, &totals);
	assert_int_equal(totals.offs_lost, 42);
	reader_close(reader);
}

/* More threads, system calls and wakers than one entry introduces. */
static void many(void **state)
{
	enum { CNT = 1000 };
	static struct writer_off offs[CNT];
	static char names[CNT][32];
	static bool seen[CNT];
	struct made_file f;
	const uint64_t now = file_open(&f, "many.qslog", false);
	const struct record *r;
	struct reader *reader;
	unsigned int i, n = 0;

	(void)state;
	for (i = 0; i < CNT; i++) {
		snprintf(names[i], sizeof(names[i]), "name %u", i % 100);
		offs[i] = (struct writer_off){
			.process = (uint32_t)f.process, .tid = 1 + i % 300, .off = now + i * 10,
			.ready = now + i * 10 + 3, .on = now + i * 10 + 5, .syscall = (int)(i % 200),
			.syscall_name = names[i], .why = FILE_OFF_SLEEP, .who = FILE_OFF_WHO_THREAD,
			.who_tid = i % 150, .who_name = names[i], .cpu = (uint16_t)i,
		};
	}
	assert_int_equal(writer_off(f.w, offs, CNT), 0);
	assert_int_equal(made_file_close(&f).off_cnt, CNT);
	reader = reopen(f.path);
	while (reader_next(reader, &r) > 0) {
		i = r->off->cpu;
		assert_true(i < CNT && !seen[i]);
		seen[i] = true;
		assert_int_equal(r->thread->tid, 1 + i % 300);
		assert_int_equal(r->off->cause.syscall, i % 200);
		assert_true(name_is(&r->off->cause.who_name, names[i]));
		assert_int_equal(r->off->off_ns, 5);
		assert_int_equal(r->off->ready_ns, 2);
		n++;
	}
	assert_int_equal(n, CNT);
	reader_close(reader);
}

/* A span that was entered before the file: its times are not known, and not guessed. */
static void without_enter(void **state)
{
	struct made_file f;
	const uint64_t now = file_open(&f, "without.qslog", false);
	const int span = made_span(&f, "s", 0, NULL);
	const struct record *r;
	struct reader *reader;

	(void)state;
	span_exit(&f, span, now - 1000000, now + 10);
	made_file_close(&f);
	reader = reopen(f.path);
	assert_int_equal(reader_next(reader, &r), 1);
	assert_int_equal(r->kind, RECORD_SPAN_EXIT);
	assert_null(r->times);
	reader_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(not_asked_for),
		cmocka_unit_test(times_from_blocks),
		cmocka_unit_test(times_from_the_tail),
		cmocka_unit_test(lost),
		cmocka_unit_test(many),
		cmocka_unit_test(without_enter),
	};

	return cmocka_run_group_tests(tests, helper_setup, helper_teardown);
}
