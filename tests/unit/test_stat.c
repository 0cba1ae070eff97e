/* SPDX-License-Identifier: BSD-2-Clause */
/* test_stat.c - what qslog stat counts: percentiles, sites of several files, losses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "histogram.h"
#include "stat_table.h"

static const struct record_process process = { .pid = 10, .name = "app" };
static const struct record_thread thread_a = { .process = &process, .tid = 11, .name = "a" };
static const struct record_thread thread_b = { .process = &process, .tid = 12, .name = "b" };

static void test_histogram(void **state)
{
	struct histogram h = { 0 };

	(void)state;
	assert_int_equal(histogram_quantile(&h, 0.5), 0);
	for (uint64_t i = 1; i <= 100000; i++)
		assert_int_equal(histogram_add(&h, i), 0);
	assert_int_equal(h.cnt, 100000);
	assert_int_equal(h.min, 1);
	assert_int_equal(h.max, 100000);
	assert_true(h.total == 5000050000.0);
	/* within 1 % */
	assert_in_range(histogram_quantile(&h, 0.5), 49500, 50500);
	assert_in_range(histogram_quantile(&h, 0.9), 89100, 90900);
	assert_in_range(histogram_quantile(&h, 0.99), 98010, 99990);
	assert_int_equal(histogram_quantile(&h, 0), 1);
	assert_in_range(histogram_quantile(&h, 1), 99000, 100000);
	histogram_fini(&h);
	histogram_fini(NULL);
}

/* Every value comes back as itself or within its bucket, at all powers of two. */
static void test_histogram_ends(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int delta = -1; delta <= 1; delta++) {
			uint64_t value = (1ull << bit) + (uint64_t)(int64_t)delta;
			struct histogram h = { 0 };

			assert_int_equal(histogram_add(&h, value), 0);
			assert_int_equal(histogram_quantile(&h, 0.5), value);
			assert_int_equal(histogram_add(&h, UINT64_MAX), 0);
			assert_int_equal(histogram_add(&h, 0), 0);
			/* no longer held by minimum and maximum: half a bucket, 1/128 */
			assert_in_range(histogram_quantile(&h, 0.5), value - value / 128,
					value + (value < UINT64_MAX - value / 128 ? value / 128 : 0));
			histogram_fini(&h);
		}
	}
}

static struct record make(enum record_kind kind, const struct record_format *f, int64_t time_ns)
{
	return (struct record){ .kind = kind, .time_ns = time_ns, .thread = &thread_a, .format = f };
}

static void test_sites(void **state)
{
	struct record_format one = { .level = 1, .line = 1, .id = 0, .tag = "t", .file = "f.c",
				     .function = "f", .format = "{}", .arg_cnt = 1 };
	struct record_format two = one, again = one;
	struct stat_table t = { 0 };
	struct record r;

	(void)state;
	two.id = 1;
	two.line = 2;
	again.id = 1; /* in another file */
	r = make(RECORD_LOG, &one, 1000000000);
	r.value_cnt = 1;
	r.values[0] = (struct record_value){ .type = QSLOG_ARG_STR, .len = 9, .real_len = 9,
					     .bytes = "123456789" };
	assert_int_equal(stat_table_add(&t, &r, 0), 0);
	r = make(RECORD_LOG, &two, 2000000000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stat_table_add(&t, &r, 0), 0);
	r = make(RECORD_LOG, &again, 3000000000);
	assert_int_equal(stat_table_add(&t, &r, 1), 0);
	stat_table_sort(&t);
	assert_int_equal(t.records, 5);
	assert_int_equal(t.site_cnt, 2);
	assert_int_equal(t.sites[0].line, 2);
	assert_int_equal(t.sites[0].cnt, 3);
	assert_int_equal(t.sites[0].bytes, 3 * 16);
	assert_int_equal(t.sites[1].line, 1);
	assert_int_equal(t.sites[1].cnt, 2);
	assert_int_equal(t.sites[1].bytes, 16 + 8 + 16 + 16);
	assert_true(stat_table_rate(&t, 4) == 2.0); /* in two seconds */
	stat_table_fini(&t);
}

static void test_spans(void **state)
{
	struct record_format f = { .kind = QSLOG_SITE_SPAN, .name = "work" };
	struct stat_table t = { 0 };
	struct record r = make(RECORD_SPAN_ENTER, &f, 1);

	(void)state;
	assert_int_equal(stat_table_add(&t, &r, 0), 0);
	assert_int_equal(stat_table_add(&t, &r, 0), 0);
	r = make(RECORD_SPAN_EXIT, &f, 2);
	r.duration_ns = 42;
	assert_int_equal(stat_table_add(&t, &r, 0), 0);
	assert_int_equal(t.site_cnt, 1);
	assert_string_equal(t.sites[0].name, "work");
	assert_int_equal(t.sites[0].cnt, 2); /* one is open */
	assert_int_equal(t.sites[0].durations.cnt, 1);
	assert_int_equal(t.sites[0].durations.max, 42);
	assert_int_equal(t.sites[0].bytes, 16 + 16 + 24);
	stat_table_fini(&t);
	assert_true(stat_table_rate(&t, 5) == 0.0); /* no time has passed */
}

static void test_losses(void **state)
{
	struct stat_table t = { 0 };
	struct record r = make(RECORD_LOSS, NULL, 5);

	(void)state;
	r.lost = 3;
	r.lost_cause = 1;
	assert_int_equal(stat_table_add(&t, &r, 0), 0);
	assert_int_equal(stat_table_add(&t, &r, 0), 0);
	r.lost_cause = 2;
	assert_int_equal(stat_table_add(&t, &r, 0), 0);
	r.thread = &thread_b;
	r.lost = 100;
	assert_int_equal(stat_table_add(&t, &r, 0), 0);
	stat_table_sort(&t);
	assert_int_equal(t.records, 0);
	assert_int_equal(t.lost, 109);
	assert_int_equal(t.loss_cnt, 3);
	assert_int_equal(t.losses[0].tid, 12);
	assert_int_equal(t.losses[0].cnt, 100);
	assert_int_equal(t.losses[1].cnt, 6);
	assert_int_equal(t.losses[1].cause, 1);
	assert_string_equal(t.losses[1].thread, "a");
	stat_table_fini(&t);
}

/* More than the tables have room for at first. */
static void test_many(void **state)
{
	struct record_format f = { .tag = "t" };
	struct stat_table t = { 0 };
	struct record r = make(RECORD_LOG, &f, 0);

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		f.id = f.line = i % 10000;
		assert_int_equal(stat_table_add(&t, &r, 0), 0);
	}
	assert_int_equal(t.site_cnt, 10000);
	stat_table_sort(&t);
	for (uint32_t i = 0; i < 10000; i++) {
		assert_int_equal(t.sites[i].line, i);
		assert_int_equal(t.sites[i].cnt, 2);
	}
	stat_table_fini(&t);
	stat_table_fini(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histogram), cmocka_unit_test(test_histogram_ends),
		cmocka_unit_test(test_sites),	  cmocka_unit_test(test_spans),
		cmocka_unit_test(test_losses),	  cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
