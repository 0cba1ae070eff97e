/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mono_map.h - from CLOCK_MONOTONIC, which is the clock that BPF programs have, to the counter that
 * records have their times from, by pairs of both that are taken now and then.
 *
 * Between two pairs the clock is taken to run evenly. It does not where the kernel was told to run
 * it faster or slower in between (NTP slews it, by 500 ppm and more): that shows as a bend, which
 * is put where the lines before and behind meet. For this the next pair is waited for.
 */
#ifndef QSLOG_MONO_MAP_H
#define QSLOG_MONO_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mono_pair {
	uint64_t counter, ns;
};

struct mono_map {
	struct mono_pair *pairs; /* both members increase */
	size_t cnt, cap;
};

/* A pair that is not later than the last is ignored. Where there are very many, every other one of
 * the older half goes. 0 or -ENOMEM. */
int mono_map_add(struct mono_map *m, uint64_t counter, uint64_t ns);
/* Takes one now, of the CPU's counter. 0 or -errno. */
int mono_map_take(struct mono_map *m);

/* No later pair would change what mono_map_counter() says about this moment. */
bool mono_map_settled(const struct mono_map *m, uint64_t ns);
/* There must be two pairs. */
uint64_t mono_map_counter(const struct mono_map *m, uint64_t ns);

void mono_map_fini(struct mono_map *m);

#endif
