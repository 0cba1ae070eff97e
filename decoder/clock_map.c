/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock_map.c - piecewise linear, one piece per two neighbouring pairs. Where the clock differs
 * from the ticks by more than a clock can drift it was set: such a piece goes on from its
 * first pair at the rate of the last piece before it that had one, and the second pair is where the
 * new time begins.
 */
#include "clock_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_MAX (4u << 20)
#define RANGE_MAX (INT64_C(1) << 62)
#define DRIFT_MAX 0.001	       /* kernel clocks are slewed by 0.0005 at most */
#define SLACK_NS 1000	       /* two pairs can be this far off, and say so in their windows */
#define WINDOW_MAX_NS 1000000  /* a longer window says nothing about the clock */
#define DRIFT_SPAN_NS 10000000 /* shorter pieces tell nothing about the times outside */

__extension__ typedef __int128 wide;

static int64_t clamp(wide v)
{
	return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

static uint32_t window_min(uint32_t window)
{
	return window < WINDOW_MAX_NS ? window : WINDOW_MAX_NS;
}

static wide ticks_ns(const struct clock_map *m, int64_t from, int64_t to)
{
	return ((wide)to - from) * (m->tick_ns ? m->tick_ns : 1);
}

/* Looks at the piece that ends with the newest point. */
static void piece_add(struct clock_map *m)
{
	struct clock_map_point *a = &m->points[m->cnt - 2], *b = a + 1;
	wide steady = ticks_ns(m, a->ticks, b->ticks);
	double ns = (double)steady;
	double more = (double)((wide)b->realtime_ns - a->realtime_ns - steady);
	double limit = ns * DRIFT_MAX + SLACK_NS + window_min(a->window_ns) +
		       window_min(b->window_ns);

	a->drift = m->drift_last;
	if (more > limit || more < -limit)
		return;
	a->drift = more / ns;
	if (ns < DRIFT_SPAN_NS)
		return;
	m->drift_last = a->drift;
	if (!m->drift_known)
		m->drift_first = a->drift;
	m->drift_known = 1;
}

int clock_map_add(struct clock_map *m, int64_t ticks, int64_t realtime_ns, uint32_t window_ns)
{
	struct clock_map_point *points;
	size_t cap;

	if (ticks < -RANGE_MAX || ticks > RANGE_MAX || realtime_ns < -RANGE_MAX ||
	    realtime_ns > RANGE_MAX || m->cnt >= POINTS_MAX ||
	    (m->cnt && ticks <= m->points[m->cnt - 1].ticks))
		return 0;
	if (m->cnt == m->cap) {
		cap = m->cap ? m->cap * 2 : 64;
		points = realloc(m->points, cap * sizeof(*points));
		if (!points)
			return -ENOMEM;
		m->points = points;
		m->cap = cap;
	}
	m->points[m->cnt++] = (struct clock_map_point){ ticks, realtime_ns, 0, window_ns };
	if (m->cnt > 1)
		piece_add(m);
	return 0;
}

/* Index of the piece: the last point that is not later than `ticks`; cnt: before all of them. */
static size_t piece_find(struct clock_map *m, int64_t ticks)
{
	size_t low = 0, high = m->cnt, i = m->last;

	if (i < m->cnt && m->points[i].ticks <= ticks &&
	    (i + 1 == m->cnt || ticks < m->points[i + 1].ticks))
		return i;
	if (!m->cnt || ticks < m->points[0].ticks)
		return m->cnt;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (m->points[middle].ticks <= ticks)
			low = middle;
		else
			high = middle;
	}
	m->last = low;
	return low;
}

static double piece_drift(const struct clock_map *m, size_t i)
{
	if (i == m->cnt)
		return m->drift_first;
	return i + 1 == m->cnt ? m->drift_last : m->points[i].drift;
}

int64_t clock_map_ns(struct clock_map *m, int64_t ticks)
{
	size_t i = piece_find(m, ticks);
	const struct clock_map_point *p;
	wide since;

	if (!m->cnt)
		return clamp(ticks_ns(m, 0, ticks));
	p = &m->points[i == m->cnt ? 0 : i];
	since = ticks_ns(m, p->ticks, ticks);
	return clamp(p->realtime_ns + since + (wide)((double)since * piece_drift(m, i)));
}

int64_t clock_map_steady(const struct clock_map *m, int64_t ticks)
{
	int64_t ns;

	if (__builtin_mul_overflow(ticks, (int64_t)(m->tick_ns ? m->tick_ns : 1), &ns))
		return ticks < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

uint64_t clock_map_duration(struct clock_map *m, int64_t ticks, uint64_t duration)
{
	if (__builtin_mul_overflow(duration, m->tick_ns ? m->tick_ns : 1, &duration))
		return UINT64_MAX;
	return clock_map_duration_ns(m, ticks, duration);
}

uint64_t clock_map_duration_ns(struct clock_map *m, int64_t ticks, uint64_t duration)
{
	const double more = (double)duration * piece_drift(m, piece_find(m, ticks));

	/* beyond that it is no duration, and shown as it is */
	if (duration > (uint64_t)RANGE_MAX || more > (double)RANGE_MAX)
		return duration;
	return more < -(double)duration ? 0 : duration + (uint64_t)(int64_t)more;
}

void clock_map_range(struct clock_map *m, int64_t from, int64_t to, int64_t *min, int64_t *max)
{
	size_t i = piece_find(m, from), k;

	*min = clock_map_ns(m, from);
	*max = *min;
	for (k = i == m->cnt ? 0 : i + 1; k < m->cnt && m->points[k].ticks <= to; k++) {
		int64_t at = m->points[k].realtime_ns;
		int64_t before = clock_map_ns(m, m->points[k].ticks - 1);

		*min = at < *min ? at : *min;
		*max = at > *max ? at : *max;
		*min = before < *min ? before : *min;
		*max = before > *max ? before : *max;
	}
	{
		int64_t end = clock_map_ns(m, to);

		*min = end < *min ? end : *min;
		*max = end > *max ? end : *max;
	}
}

int clock_map_cut(struct clock_map *out, struct clock_map *m, int64_t from)
{
	struct clock_map_point *points = out->points;
	size_t i = piece_find(m, from), cnt, cap = out->cap;

	i = i == m->cnt ? 0 : i;
	cnt = m->cnt - i;
	if (cnt > cap) {
		points = reallocarray(points, cnt, sizeof(*points));
		if (!points)
			return -ENOMEM;
		cap = cnt;
	}
	if (cnt)
		memcpy(points, m->points + i, cnt * sizeof(*points));
	*out = *m;
	out->points = points;
	out->cnt = cnt;
	out->cap = cap;
	out->last = 0;
	return 0;
}

void clock_map_clear(struct clock_map *m)
{
	m->cnt = m->last = 0;
	m->drift_first = m->drift_last = 0;
	m->drift_known = 0;
}

void clock_map_fini(struct clock_map *m)
{
	free(m->points);
	m->points = NULL;
	m->cnt = 0;
	m->cap = 0;
}
