// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_mono_map.c - CLOCK_MONOTONIC becomes the counter (userspace/mono_map.c): within a microsecond,
 * also where the kernel changes the speed of its clock between two pairs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <time.h>

#include "counter.h"
#include "mono_map.h"

#define MS UINT64_C(1000000)
#define COUNT0 UINT64_C(7000000000000000) /* as large as a TSC gets */

/* A counter of 2.5 GHz, and a clock whose speed changes by `ppm` at `bend_ns` of true time. */
struct clocks {
	double bend_ns, ppm;
};

static uint64_t counter_at(double true_ns)
{
	return COUNT0 + (uint64_t)(true_ns * 2.5);
}

static uint64_t mono_at(const struct clocks *c, double true_ns)
{
	return 1000000 * MS + (uint64_t)(true_ns + (true_ns > c->bend_ns ?
						    (true_ns - c->bend_ns) * c->ppm * 1e-6 : 0));
}

static void take(struct mono_map *m, const struct clocks *c, double true_ns)
{
	assert_int_equal(mono_map_add(m, counter_at(true_ns), mono_at(c, true_ns)), 0);
}

/* By how many nanoseconds the map is wrong at most, over the three intervals. */
static double worst(const struct mono_map *m, const struct clocks *c, double interval)
{
	double t, off, most = 0;

	for (t = 0; t <= 3 * interval; t += interval / 97) {
		off = (double)(int64_t)(mono_map_counter(m, mono_at(c, t)) - counter_at(t)) / 2.5;
		off = off < 0 ? -off : off;
		most = off > most ? off : most;
	}
	return most;
}

static void bends(void **state)
{
	static const double ppms[] = {0, 1, -20, 500, -500, 5000};
	const double interval = 100 * MS;
	size_t i;
	int at;

	(void)state;
	for (i = 0; i < sizeof(ppms) / sizeof(ppms[0]); i++) {
		for (at = 1; at < 20; at++) {
			const struct clocks c = {interval + interval * at / 20, ppms[i]};
			struct mono_map m = {NULL, 0, 0};
			double t;

			for (t = 0; t <= 3 * interval; t += interval)
				take(&m, &c, t);
			/* A clock that runs 0.5 % wrong is taken for one that stood. */
			if (worst(&m, &c, interval) > (ppms[i] > 1000 ? 500000 : 1000))
				fail_msg("%g ppm at %d/20: %.0f ns off", ppms[i], at,
					 worst(&m, &c, interval));
			mono_map_fini(&m);
		}
	}
}

static void settled(void **state)
{
	const double interval = 100 * MS;
	const struct clocks even = {1e18, 0}, bent = {1.5 * interval, 500};
	struct mono_map m = {NULL, 0, 0};

	(void)state;
	assert_false(mono_map_settled(&m, 1));
	take(&m, &even, 0);
	take(&m, &even, interval);
	assert_true(mono_map_settled(&m, mono_at(&even, interval / 2)));
	assert_false(mono_map_settled(&m, mono_at(&even, interval * 1.5)));
	take(&m, &even, 2 * interval);
	assert_true(mono_map_settled(&m, mono_at(&even, interval * 1.5)));
	mono_map_fini(&m);

	/* where there may be a bend, only with the pair behind it */
	take(&m, &bent, 0);
	take(&m, &bent, interval);
	take(&m, &bent, 2 * interval);
	assert_true(mono_map_settled(&m, mono_at(&bent, interval / 2)));
	assert_false(mono_map_settled(&m, mono_at(&bent, interval * 1.7)));
	take(&m, &bent, 3 * interval);
	assert_true(mono_map_settled(&m, mono_at(&bent, interval * 1.7)));
	mono_map_fini(&m);
}

static void odd_pairs(void **state)
{
	struct mono_map m = {NULL, 0, 0};
	uint64_t i;

	(void)state;
	assert_int_equal(mono_map_add(&m, 1000, 1000), 0);
	assert_int_equal(mono_map_add(&m, 999, 2000), 0); /* back: ignored */
	assert_int_equal(mono_map_add(&m, 2000, 1000), 0);
	assert_int_equal(m.cnt, 1);
	assert_int_equal(mono_map_add(&m, 3000, 2000), 0);
	assert_int_equal(mono_map_counter(&m, 1500), 2000);
	assert_int_equal(mono_map_counter(&m, 500), 0);	    /* before all */
	assert_int_equal(mono_map_counter(&m, 3000), 5000); /* behind all */
	/* very many: the old ones get rarer, and say the same */
	for (i = 0; i < 200000; i++)
		assert_int_equal(mono_map_add(&m, 3002 + 2 * i, 2001 + i), 0);
	assert_true(m.cnt <= 65536);
	assert_int_equal(mono_map_counter(&m, 2500), 4000);
	assert_int_equal(mono_map_counter(&m, 201000), 401000);
	mono_map_fini(&m);
}

/* Real clocks: what lies between two pairs is where the counter was. */
static void real(void **state)
{
	struct timespec wait = {0, 5000000};
	struct mono_map m = {NULL, 0, 0};
	uint64_t before, ns, after, got, slack;
	int tries;

	(void)state;
	assert_int_equal(mono_map_take(&m), 0);
	nanosleep(&wait, NULL);
	for (tries = 0;; tries++) { /* unless this thread was off the CPU between the two reads */
		before = counter_now();
		ns = counter_monotonic();
		after = counter_now();
		if (after - before < 20000 || tries == 1000)
			break;
	}
	nanosleep(&wait, NULL);
	assert_int_equal(mono_map_take(&m), 0);
	got = mono_map_counter(&m, ns);
	slack = (m.pairs[1].counter - m.pairs[0].counter) / (m.pairs[1].ns - m.pairs[0].ns) * 1000 + 1000;
	assert_true(got + slack >= before && got <= after + slack);
	mono_map_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bends),
		cmocka_unit_test(settled),
		cmocka_unit_test(odd_pairs),
		cmocka_unit_test(real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
