/* SPDX-License-Identifier: BSD-2-Clause */
/* lttng_calls.h - the tracepoints that LTTng-UST records: the provider "peers". */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER peers

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "lttng_calls.h"

#if !defined(QSLOG_BENCH_LTTNG_CALLS_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define QSLOG_BENCH_LTTNG_CALLS_H

#include <stdint.h>

#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_EVENT(peers, call_a, LTTNG_UST_TP_ARGS(), LTTNG_UST_TP_FIELDS())

LTTNG_UST_TRACEPOINT_EVENT(peers, call_b, LTTNG_UST_TP_ARGS(uint64_t, v),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint64_t, v, v)))

LTTNG_UST_TRACEPOINT_EVENT(peers, call_c, LTTNG_UST_TP_ARGS(int, i, double, d, const char *, s),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(int, i, i)
		lttng_ust_field_float(double, d, d)
		lttng_ust_field_string(s, s)))

LTTNG_UST_TRACEPOINT_EVENT(peers, span_begin, LTTNG_UST_TP_ARGS(uint64_t, v),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint64_t, v, v)))

LTTNG_UST_TRACEPOINT_EVENT(peers, span_end, LTTNG_UST_TP_ARGS(uint64_t, v),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint64_t, v, v)))

#endif

#include <lttng/tracepoint-event.h>

#ifndef PEER_A
#define PEER_A() lttng_ust_tracepoint(peers, call_a)
#define PEER_B(v) lttng_ust_tracepoint(peers, call_b, v)
#define PEER_C(i, d, s) lttng_ust_tracepoint(peers, call_c, i, d, s)
#define PEER_SPAN_BEGIN(v) lttng_ust_tracepoint(peers, span_begin, v)
#define PEER_SPAN_END(v) lttng_ust_tracepoint(peers, span_end, v)
#define PEER_HEARD                                                                                 \
	(lttng_ust_tracepoint_enabled(peers, call_b) &&                                            \
	 lttng_ust_tracepoint_enabled(peers, span_end))
#endif
