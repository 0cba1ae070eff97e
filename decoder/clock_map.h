/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_map.h - from the ticks of a file to CLOCK_REALTIME, by its clock pairs: interpolation
 * between two pairs, except where the clock was set between them.
 */
#ifndef QSLOG_CLOCK_MAP_H
#define QSLOG_CLOCK_MAP_H

#include <stddef.h>
#include <stdint.h>

struct clock_map_point {
	int64_t ticks, realtime_ns;
	double drift;	/* of the clock against the ticks, from here to the next point */
	uint32_t window_ns;
};

struct clock_map {
	uint32_t tick_ns; /* 0: 1 */
	struct clock_map_point *points; /* ticks strictly increasing */
	size_t cnt, cap;
	size_t last;		/* found by the lookup before */
	double drift_first, drift_last; /* for times outside of all points */
	int drift_known;
};

/* Points are added in increasing order; one that is not later than the last, or out of range, is
 * ignored. 0 or -ENOMEM. */
int clock_map_add(struct clock_map *m, int64_t ticks, int64_t realtime_ns, uint32_t window_ns);
int64_t clock_map_ns(struct clock_map *m, int64_t ticks);
/* Nanoseconds as the ticks count them, unaffected by what is done to the clock. */
int64_t clock_map_steady(const struct clock_map *m, int64_t ticks);
/* A difference of ticks that ends at `ticks`. */
uint64_t clock_map_duration(struct clock_map *m, int64_t ticks, uint64_t duration);
/* The same of one in nanoseconds as the ticks count them. */
uint64_t clock_map_duration_ns(struct clock_map *m, int64_t ticks, uint64_t ns);
/* All wall times that lie within [from, to]; steps of the clock included. */
void clock_map_range(struct clock_map *m, int64_t from, int64_t to, int64_t *min, int64_t *max);
/* Takes over what is needed of m for times from `from` on. 0 or -ENOMEM. */
int clock_map_cut(struct clock_map *out, struct clock_map *m, int64_t from);
void clock_map_clear(struct clock_map *m); /* keeps its memory and its tick */
void clock_map_fini(struct clock_map *m);

#endif
