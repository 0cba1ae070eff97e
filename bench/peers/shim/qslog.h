/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qslog.h - stands in for usdt/qslog.h when bench_calls.c is compiled for a peer, so that loops,
 * values and floors are the very same source. PEER_CALLS names the header with the peer's calls:
 *
 *   PEER_A() PEER_B(v) PEER_C(i, d, s)            logs of kind a, b, c
 *   PEER_SPAN_BEGIN(v) PEER_SPAN_END(v)           around the body of a span
 *   PEER_HEARD                                    whether somebody listens
 *
 * What a peer does not have is empty there, and not asked for by the script.
 */
#ifndef QSLOG_BENCH_SHIM_H
#define QSLOG_BENCH_SHIM_H

#include <stdint.h>

#include "counter.h"

#include PEER_CALLS

#define QSLOG_ARENA_BYTES_DEFAULT 262144u
#define QSLOG_LEVEL_INFO 0
#define qslog_priv_counter() counter_now()
#define qslog_priv_listeners(level) (PEER_HEARD)

#define PEER_LOG_A(fmt) PEER_A()
#define PEER_LOG_B(fmt, v) PEER_B(v)
#define PEER_LOG_C(fmt, i, d, s) PEER_C(i, d, s)
#define PEER_LOG_NONE(...) peer_has_no_such_log
#define PEER_LOG_PICK(fmt, x, y, z, name, ...) name
#define QSLOGI(...)                                                                                \
	PEER_LOG_PICK(__VA_ARGS__, PEER_LOG_C, PEER_LOG_NONE, PEER_LOG_B, PEER_LOG_A, )            \
	(__VA_ARGS__)

static inline void peer_span_leave(const uint64_t *value)
{
	(void)value;
	PEER_SPAN_END(*value);
}
#define QSLOG_SPAN(name, fmt, v)                                                                   \
	__attribute__((cleanup(peer_span_leave))) const uint64_t peer_span = (v);                  \
	PEER_SPAN_BEGIN(peer_span)

#endif
