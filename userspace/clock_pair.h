/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_pair.h - from the timestamp counter to the file's time axis (nanosecond ticks since the
 * writer was opened), and the pairs (ticks, CLOCK_REALTIME) by which a reader gets wall time.
 */
#ifndef QSLOG_CLOCK_PAIR_H
#define QSLOG_CLOCK_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "file_format.h"

__extension__ typedef __int128 clock_wide;

struct clock_pair {
	int64_t ticks;
	int64_t realtime_ns;
	uint32_t window_ns; /* the true moment lies within this much around `ticks` */
};

struct clock_scale {
	uint64_t counter0; /* tick 0 */
	uint64_t mult;	   /* ticks per count, 32 fractional bits */
	uint64_t hz;	   /* nominal frequency of the counter */
	uint32_t kind;	   /* enum file_counter_kind: which counter; 0 as COUNTER_KIND */
	/* When it was looked at last, and by how many ticks it has been set back: what is that far
	 * ahead was read before. */
	int64_t seen_ticks, back_by;
	uint64_t seen_ns;  /* CLOCK_MONOTONIC */
};

/* The counter and a clock of the kernel at the same moment. */
struct clock_reading {
	uint64_t counter; /* in the middle */
	uint64_t window;  /* counts between the two reads around that of the clock */
	int64_t ns;
};

/* The best of several tries. 0 or -errno. */
int clock_reading_take(uint32_t kind, clockid_t clock, struct clock_reading *best);

/* Takes tick 0 of the counter `kind` and measures its frequency, for about 2 ms where nobody tells
 * it. An error of the scale does no harm: readers interpolate between pairs. 0 or -errno. */
int clock_scale_init(struct clock_scale *scale, uint32_t kind);

/* Looks whether the counter has been set back since the last time, as a TSC is by suspending to
 * memory or by a virtual machine that goes on elsewhere; then the ticks go on from where they were.
 * `counter` and CLOCK_MONOTONIC `mono_ns` were read together, give or take `slack_ns`. True: it has. */
bool clock_scale_check(struct clock_scale *scale, uint64_t counter, uint64_t mono_ns,
		       uint64_t slack_ns);

/* A pair of now, after such a look. 0 or -errno. */
int clock_pair_take(struct clock_scale *scale, struct clock_pair *pair);

/* Moves tick 0, so that now is `ticks`. */
void clock_scale_shift(struct clock_scale *scale, int64_t ticks);

static inline int64_t clock_ticks(const struct clock_scale *scale, uint64_t counter)
{
	int64_t delta = (int64_t)(counter - scale->counter0);
	clock_wide ticks = (clock_wide)delta * (int64_t)scale->mult >> 32;

	if (__builtin_expect(scale->back_by && ticks - scale->seen_ticks > scale->back_by / 2, 0))
		ticks -= scale->back_by;
	if (__builtin_expect(ticks > FILE_TICKS_MAX || ticks < -FILE_TICKS_MAX, 0))
		return ticks > 0 ? FILE_TICKS_MAX : -FILE_TICKS_MAX;
	return (int64_t)ticks;
}

/* In ticks of `tick_ns` nanoseconds, downwards. */
static inline int64_t clock_coarse(int64_t ns, uint32_t tick_ns)
{
	if (__builtin_expect(tick_ns == 1, 1))
		return ns;
	return ns >= 0 ? ns / tick_ns : -((tick_ns - 1 - ns) / tick_ns);
}

/* The same moment in such ticks: the beginning of one. */
static inline struct clock_pair clock_pair_coarse(const struct clock_pair *pair, uint32_t tick_ns)
{
	struct clock_pair coarse = *pair;

	coarse.ticks = clock_coarse(pair->ticks, tick_ns);
	coarse.realtime_ns -= pair->ticks - coarse.ticks * tick_ns;
	return coarse;
}

#endif
