/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_pair.c - measuring the counter against the clocks of the kernel. A pair is the best of
 * several tries: the clock is read between two reads of the counter, and the try where these lie
 * closest together wins, so that being preempted in one of them does no harm.
 */
#include "clock_pair.h"

#include <errno.h>
#include <time.h>

#include "counter.h"

#define TRIES 12
#define MEASURE_NS 2000000
#define NS_PER_S UINT64_C(1000000000)

struct reading {
	uint64_t counter; /* in the middle */
	uint64_t window;  /* counts between the two reads */
	int64_t ns;
};

static int reading_take(uint32_t kind, clockid_t clock, struct reading *best)
{
	int i;

	*best = (struct reading){ .window = UINT64_MAX };
	for (i = 0; i < TRIES; i++) {
		struct timespec ts;
		uint64_t before = counter_read(kind), window;

		if (clock_gettime(clock, &ts) != 0)
			return -errno;
		window = counter_read(kind) - before;
		if (window >= best->window)
			continue;
		best->window = window;
		best->counter = before + window / 2;
		best->ns = (int64_t)ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec;
	}
	return 0;
}

#if defined(__aarch64__)
static int frequency_get(uint64_t *hz)
{
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(*hz));
	return 0;
}
#else
/* Against CLOCK_MONOTONIC, which nobody sets. */
static int frequency_get(uint64_t *hz)
{
	struct reading from, to;
	uint64_t counts, ns;
	int err;

	err = reading_take(COUNTER_KIND, CLOCK_MONOTONIC, &from);
	if (err)
		return err;
	do {
		struct timespec rest = { 0, MEASURE_NS };

		(void)nanosleep(&rest, NULL); /* a signal only makes the loop turn once more */
		err = reading_take(COUNTER_KIND, CLOCK_MONOTONIC, &to);
		if (err)
			return err;
	} while (to.ns - from.ns < MEASURE_NS);
	counts = to.counter - from.counter;
	ns = (uint64_t)(to.ns - from.ns);
	*hz = (uint64_t)((double)counts / (double)ns * (double)NS_PER_S);
	return 0;
}
#endif

int clock_scale_init(struct clock_scale *scale, uint32_t kind)
{
	int err = 0;

	scale->kind = kind;
	scale->counter0 = counter_read(kind);
	scale->mult = 0;
	scale->hz = NS_PER_S;
	if (kind != FILE_COUNTER_MONOTONIC)
		err = frequency_get(&scale->hz);
	if (err)
		return err;
	/* below 1 MHz or above 100 GHz nothing is a working counter */
	if (scale->hz < 1000000 || scale->hz > 100 * NS_PER_S)
		return -ERANGE;
	scale->mult = (uint64_t)((double)NS_PER_S / (double)scale->hz * 4294967296.0);
	return 0;
}

void clock_scale_shift(struct clock_scale *scale, int64_t ticks)
{
	double counts = (double)ticks * 4294967296.0 / (double)scale->mult;

	scale->counter0 = counter_read(scale->kind) - (uint64_t)(int64_t)counts;
}

int clock_pair_take(const struct clock_scale *scale, struct clock_pair *pair)
{
	struct reading now;
	uint64_t window;
	int err;

	err = reading_take(scale->kind, CLOCK_REALTIME, &now);
	if (err)
		return err;
	window = (uint64_t)((double)now.window * (double)scale->mult / 4294967296.0) + 1;
	pair->ticks = clock_ticks(scale, now.counter);
	pair->realtime_ns = now.ns;
	pair->window_ns = window < UINT32_MAX ? (uint32_t)window : UINT32_MAX;
	return 0;
}
