/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sampling.h - one in N (--sample): what belongs together stays together. A span line is taken or not by
 * its trace id, the same in every process and thread; outside of lines a span with all that is in it,
 * and a log that is in no span, by counting at its site.
 */
#ifndef QSLOG_SAMPLING_H
#define QSLOG_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

#include "qslog_abi.h"

/* Of a thread; zeroed at the beginning, and where records are missing. */
struct sampling {
	uint64_t lines_taken; /* bit depth - 1 */
	uint32_t lines, spans; /* that are open; spans only outside of lines */
	bool span_taken;
};

#define SAMPLING_DEPTH_MAX 64u

static inline bool sampling_trace(uint64_t high, uint64_t low, uint32_t n)
{
	uint64_t x = high * 0x9e3779b97f4a7c15u ^ low;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return (x ^ x >> 31) % n == 0;
}

static inline uint32_t sampling_depth(uint64_t depth)
{
	return depth > SAMPLING_DEPTH_MAX ? SAMPLING_DEPTH_MAX : (uint32_t)depth;
}

static inline bool sampling_line(struct sampling *s, const uint64_t *record, uint32_t n)
{
	const bool closes = record[0] & QSLOG_RECORD_EXIT;
	const uint32_t depth = sampling_depth(closes ? record[3] :
						       record[5] >> QSLOG_LINE_DEPTH_SHIFT);
	uint64_t bit;

	if (!depth)
		return true; /* a hostile process's own */
	bit = 1ull << (depth - 1);
	if (!closes)
		s->lines_taken = sampling_trace(record[2], record[3], n) ? s->lines_taken | bit :
									   s->lines_taken & ~bit;
	s->lines = closes ? depth - 1 : depth;
	return s->lines_taken & bit;
}

/* Is the record taken? `bytes`: of it; `seen`: records so far of its site. */
static inline bool sampling_takes(struct sampling *s, uint32_t n, enum qslog_site_kind kind,
				  const uint64_t *record, uint32_t bytes, uint32_t *seen)
{
	const bool exits = record[0] & QSLOG_RECORD_EXIT;

	if (kind == QSLOG_SITE_CONTEXT)
		return bytes < (exits ? 4u : 6u) * 8 || sampling_line(s, record, n);
	if (s->lines)
		return s->lines_taken >> (s->lines - 1) & 1;
	if (kind != QSLOG_SITE_SPAN)
		return s->spans ? s->span_taken : (*seen)++ % n == 0;
	if (exits) {
		if (!s->spans) /* where it was entered is lost, or was before the tracer */
			return false;
		s->spans--;
		return s->span_taken;
	}
	if (!s->spans++)
		s->span_taken = (*seen)++ % n == 0;
	return s->span_taken;
}

#endif
