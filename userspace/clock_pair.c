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
#define BACK_SLACK_NS 1000000 /* less than this, and than 1/64 of the time, is not going back */
#define NS_PER_S UINT64_C(1000000000)

int clock_reading_take(uint32_t kind, clockid_t clock, struct clock_reading *best)
{
	int i;

	*best = (struct clock_reading){ .window = UINT64_MAX };
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

/* Against CLOCK_MONOTONIC, which nobody sets. */
static int frequency_measure(uint64_t *hz)
{
	struct clock_reading from, to;
	uint64_t counts, ns;
	int err;

	err = clock_reading_take(COUNTER_KIND, CLOCK_MONOTONIC, &from);
	if (err)
		return err;
	do {
		struct timespec rest = { 0, MEASURE_NS };

		(void)nanosleep(&rest, NULL); /* a signal only makes the loop turn once more */
		err = clock_reading_take(COUNTER_KIND, CLOCK_MONOTONIC, &to);
		if (err)
			return err;
	} while (to.ns - from.ns < MEASURE_NS);
	counts = to.counter - from.counter;
	ns = (uint64_t)(to.ns - from.ns);
	*hz = (uint64_t)((double)counts / (double)ns * (double)NS_PER_S);
	return 0;
}

static int frequency_get(uint64_t *hz)
{
	int err = frequency_measure(hz);
#if defined(__aarch64__)
	uint64_t said;

	/* Firmware writes it, not always rightly. */
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(said));
	if (!err && said > *hz - *hz / 128 && said < *hz + *hz / 128)
		*hz = said;
#endif
	return err;
}

int clock_scale_init(struct clock_scale *scale, uint32_t kind)
{
	int err = 0;

	*scale = (struct clock_scale){ .kind = kind, .hz = NS_PER_S };
	scale->counter0 = counter_read(kind);
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

static uint64_t ticks_of(const struct clock_scale *scale, uint64_t counts)
{
	return (uint64_t)((double)counts * (double)scale->mult / 4294967296.0);
}

static uint64_t counts_of(const struct clock_scale *scale, int64_t ticks)
{
	return (uint64_t)(int64_t)((double)ticks * 4294967296.0 / (double)scale->mult);
}

void clock_scale_shift(struct clock_scale *scale, int64_t ticks)
{
	scale->counter0 = counter_read(scale->kind) - counts_of(scale, ticks);
}

bool clock_scale_check(struct clock_scale *scale, uint64_t counter, uint64_t mono_ns,
		       uint64_t slack_ns)
{
	const uint64_t passed = mono_ns - scale->seen_ns;
	const int64_t should = scale->seen_ticks + (int64_t)passed;
	const struct clock_scale first = { .counter0 = scale->counter0, .mult = scale->mult };
	int64_t ticks = clock_ticks(&first, counter);
	bool back = false;

	if (scale->seen_ns && ticks < should) {
		const uint64_t behind = (uint64_t)should - (uint64_t)ticks;

		back = behind > passed / 64 + slack_ns + BACK_SLACK_NS;
		if (back) {
			scale->back_by = (int64_t)behind;
			scale->counter0 -= counts_of(scale, (int64_t)behind);
			ticks = should;
		}
	}
	scale->seen_ticks = ticks;
	scale->seen_ns = mono_ns;
	return back;
}

int clock_pair_take(struct clock_scale *scale, struct clock_pair *pair)
{
	struct clock_reading now;
	uint64_t window;
	int err;

	if (scale->kind != FILE_COUNTER_MONOTONIC) {
		err = clock_reading_take(scale->kind, CLOCK_MONOTONIC, &now);
		if (err)
			return err;
		(void)clock_scale_check(scale, now.counter, (uint64_t)now.ns,
					ticks_of(scale, now.window));
	}
	err = clock_reading_take(scale->kind, CLOCK_REALTIME, &now);
	if (err)
		return err;
	window = ticks_of(scale, now.window) + 1;
	pair->ticks = clock_ticks(scale, now.counter);
	pair->realtime_ns = now.ns;
	pair->window_ns = window < UINT32_MAX ? (uint32_t)window : UINT32_MAX;
	return 0;
}
