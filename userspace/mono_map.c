/* SPDX-License-Identifier: BSD-2-Clause */
/* mono_map.c - pairs, and the lines between them; see mono_map.h. */
#include "mono_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock_pair.h"
#include "counter.h"

#define PAIRS_MAX 65536u
#define BEND_NS 400.0	 /* what two pairs may be off by reading them is less */
#define STOP_SHARE 1e-3	 /* no clock is slewed that fast for long: it stood still (suspended) */

static void thin_out(struct mono_map *m)
{
	size_t from, to = 0, half = m->cnt / 2;

	for (from = 0; from < m->cnt; from++)
		if (from >= half || from % 2 == 0)
			m->pairs[to++] = m->pairs[from];
	m->cnt = to;
}

int mono_map_add(struct mono_map *m, uint64_t counter, uint64_t ns)
{
	const struct mono_pair *last = m->cnt ? &m->pairs[m->cnt - 1] : NULL;

	if (last && (ns <= last->ns || counter <= last->counter))
		return 0;
	if (m->cnt == PAIRS_MAX)
		thin_out(m);
	if (m->cnt == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;
		struct mono_pair *pairs = realloc(m->pairs, cap * sizeof(*pairs));

		if (!pairs)
			return -ENOMEM;
		m->pairs = pairs;
		m->cap = cap;
	}
	m->pairs[m->cnt++] = (struct mono_pair){counter, ns};
	return 0;
}

int mono_map_take(struct mono_map *m)
{
	struct clock_reading now;
	int err = clock_reading_take(COUNTER_KIND, CLOCK_MONOTONIC, &now);

	return err ? err : mono_map_add(m, now.counter, (uint64_t)now.ns);
}

/* The pair that a line from which to the next is the one for `ns`; the last line for what is later. */
static size_t line_find(const struct mono_map *m, uint64_t ns)
{
	size_t low = 0, high = m->cnt - 1, middle;

	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (m->pairs[middle].ns <= ns)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Counts per nanosecond. */
static double slope(const struct mono_map *m, size_t i)
{
	return (double)(m->pairs[i + 1].counter - m->pairs[i].counter) /
	       (double)(m->pairs[i + 1].ns - m->pairs[i].ns);
}

/* By how many nanoseconds the line ends elsewhere than the one before it would. */
static double bend(const struct mono_map *m, size_t i)
{
	double before, here;

	if (!i)
		return 0;
	before = slope(m, i - 1);
	here = slope(m, i);
	return (here > before ? here - before : before - here) / before *
	       (double)(m->pairs[i + 1].ns - m->pairs[i].ns);
}

bool mono_map_settled(const struct mono_map *m, uint64_t ns)
{
	size_t i;

	if (m->cnt < 2 || ns > m->pairs[m->cnt - 1].ns)
		return false;
	i = line_find(m, ns);
	return i + 2 < m->cnt || bend(m, i) <= BEND_NS;
}

/* Counts from the pair `i` on, `x` ns behind it, where the clock changed its speed once. */
static double bent(const struct mono_map *m, size_t i, double x)
{
	const double ns = (double)(m->pairs[i + 1].ns - m->pairs[i].ns);
	const double counts = (double)(m->pairs[i + 1].counter - m->pairs[i].counter);
	const double before = slope(m, i - 1);
	double after, at, y;

	if (bend(m, i) > ns * STOP_SHARE) { /* it stood: nobody knows when, nobody ran either */
		y = before * x;
		return y < counts ? y : counts;
	}
	after = i + 2 < m->cnt ? slope(m, i + 1) : before;
	at = before == after ? -1 : (counts - after * ns) / (before - after);
	if (at < 0 || at > ns)
		return counts / ns * x;
	return x < at ? before * x : counts - after * (ns - x);
}

uint64_t mono_map_counter(const struct mono_map *m, uint64_t ns)
{
	const size_t i = line_find(m, ns);
	const struct mono_pair *from = &m->pairs[i];
	const double x = (double)(int64_t)(ns - from->ns);
	const bool inside = x >= 0 && ns <= m->pairs[i + 1].ns;

	return from->counter + (uint64_t)(int64_t)(inside && bend(m, i) > BEND_NS ?
						   bent(m, i, x) : slope(m, i) * x);
}

void mono_map_fini(struct mono_map *m)
{
	free(m->pairs);
	memset(m, 0, sizeof(*m));
}
