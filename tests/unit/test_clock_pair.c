// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_clock_pair.c - the counter becomes ticks and pairs (userspace/clock_pair.c): its scale, what
 * a pair is worth, and a counter that is set back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "clock_pair.h"
#include "counter.h"

#define S INT64_C(1000000000)

/* Half a ns per count, from count 10 s on. */
static const struct clock_scale half = { .counter0 = 20 * (uint64_t)S, .mult = UINT64_C(1) << 31,
					 .hz = 2 * (uint64_t)S, .kind = COUNTER_KIND };

static uint64_t count_at(int64_t seconds)
{
	return (uint64_t)(seconds * 2 * S);
}

static int64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * S + now.tv_nsec;
}

static void test_ticks(void **state)
{
	(void)state;
	assert_int_equal(clock_ticks(&half, count_at(10)), 0);
	assert_int_equal(clock_ticks(&half, count_at(13)), 3 * S);
	assert_int_equal(clock_ticks(&half, count_at(9)), -S);
	/* a counter that has nothing to do with it */
	assert_int_equal(clock_ticks(&half, count_at(10) + INT64_MAX), FILE_TICKS_MAX - 1);
	assert_true(clock_ticks(&half, count_at(10) + (UINT64_C(1) << 63)) >= -FILE_TICKS_MAX);
}

static void pair_check(uint32_t kind)
{
	struct clock_pair pair, later;
	struct clock_scale scale;
	int64_t before, after;

	assert_int_equal(clock_scale_init(&scale, kind), 0);
	assert_int_equal(scale.kind, kind);
	assert_int_equal(scale.hz == (uint64_t)S, kind == FILE_COUNTER_MONOTONIC);
	before = realtime_ns();
	assert_int_equal(clock_pair_take(&scale, &pair), 0);
	after = realtime_ns();
	assert_in_range(pair.realtime_ns, before, after);
	assert_true(pair.ticks >= 0 && pair.ticks < 60 * S);
	assert_in_range(pair.window_ns, 1, 1000000);
	do
		assert_int_equal(clock_pair_take(&scale, &later), 0);
	while (later.ticks - pair.ticks < S / 100);
	/* 10 ms by one clock are 10 ms by the other, to 1 per mille and what pairs are inexact */
	assert_true(llabs((later.ticks - pair.ticks) - (later.realtime_ns - pair.realtime_ns)) <
		    (later.ticks - pair.ticks) / 1000 + pair.window_ns + later.window_ns);
	assert_int_equal(scale.back_by, 0);
	clock_scale_shift(&scale, 5 * S);
	assert_in_range(clock_ticks(&scale, counter_read(kind)), 5 * S, 6 * S);
}

static void test_pairs(void **state)
{
	(void)state;
	pair_check(COUNTER_KIND);
	pair_check(FILE_COUNTER_MONOTONIC);
}

/* It runs for an hour and is set back to nothing. */
static void test_set_back(void **state)
{
	struct clock_scale scale = half;
	const uint64_t mono = 1000 * (uint64_t)S;

	(void)state;
	assert_false(clock_scale_check(&scale, count_at(10), mono, 100));
	assert_false(clock_scale_check(&scale, count_at(3610), mono + 3600 * (uint64_t)S, 100));
	/* a tenth of a second later it has been counting for 50 ms */
	assert_true(clock_scale_check(&scale, count_at(1) / 20, mono + 3600 * (uint64_t)S + S / 10,
				      100));
	assert_int_equal(clock_ticks(&scale, count_at(1) / 20), 3600 * S + S / 10);
	/* what was recorded after, and what was recorded before but comes only now */
	assert_int_equal(clock_ticks(&scale, count_at(1) / 40), 3600 * S + S / 10 - S / 40);
	assert_int_equal(clock_ticks(&scale, count_at(2)), 3602 * S + S / 20);
	assert_int_equal(clock_ticks(&scale, count_at(3609)), 3599 * S);
	assert_int_equal(clock_ticks(&scale, count_at(3610) + 2), 3600 * S + 1);
	/* it goes on from there, and when it is as late as it was, nothing is taken for old */
	assert_false(clock_scale_check(&scale, count_at(3700), mono + (uint64_t)(2 * 3600 + 100) * S,
				       100));
	assert_int_equal(clock_ticks(&scale, count_at(3700)), 7300 * S + S / 20);
	assert_int_equal(clock_ticks(&scale, count_at(3701)), 7301 * S + S / 20);
	/* once more */
	assert_true(clock_scale_check(&scale, 0, mono + 7310 * (uint64_t)S, 100));
	assert_int_equal(clock_ticks(&scale, 0), 7310 * S + S / 20);
	assert_int_equal(clock_ticks(&scale, count_at(1)), 7311 * S + S / 20);
}

static void test_not_set_back(void **state)
{
	struct clock_scale scale = half;
	uint64_t mono = 1000 * (uint64_t)S;

	(void)state;
	assert_false(clock_scale_check(&scale, count_at(10), mono, 100));
	/* some ppm slower than it was measured, read inexactly, or faster, or stepped on */
	assert_false(clock_scale_check(&scale, count_at(20) - 2 * S / 1000, mono + 10 * (uint64_t)S,
				       100));
	assert_false(clock_scale_check(&scale, count_at(21) - 2 * S / 1000 * 5,
				       mono + 11 * (uint64_t)S, S / 100));
	assert_false(clock_scale_check(&scale, count_at(32), mono + 21 * (uint64_t)S, 100));
	assert_false(clock_scale_check(&scale, count_at(99), mono + 22 * (uint64_t)S, 100));
	assert_int_equal(scale.counter0, half.counter0);
	assert_int_equal(scale.back_by, 0);
	assert_int_equal(clock_ticks(&scale, count_at(500)), 490 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticks),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_set_back),
		cmocka_unit_test(test_not_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
