/* SPDX-License-Identifier: BSD-2-Clause */
/* uftrace_calls.h - for uftrace a call of a function is a span, its argument is recorded. */
#ifndef QSLOG_BENCH_UFTRACE_CALLS_H
#define QSLOG_BENCH_UFTRACE_CALLS_H

#include <stdint.h>

void peer_work(uint64_t id); /* the only function that is compiled with -pg */

#define PEER_A() (void)0
#define PEER_B(v) (void)(v)
#define PEER_C(i, d, s) ((void)(i), (void)(d), (void)(s))
#define PEER_SPAN_BEGIN(v) peer_work(v)
#define PEER_SPAN_END(v) (void)(v)
#define PEER_HEARD 1

#endif
