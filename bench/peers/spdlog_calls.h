/* SPDX-License-Identifier: BSD-2-Clause */
/* spdlog_calls.h - spdlog's calls are C++: functions in spdlog.cpp, a nanosecond more. */
#ifndef QSLOG_BENCH_SPDLOG_CALLS_H
#define QSLOG_BENCH_SPDLOG_CALLS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void peer_spdlog_a(void);
void peer_spdlog_b(uint64_t v);
void peer_spdlog_c(int i, double d, const char *s);

#ifdef __cplusplus
}
#endif

#define PEER_A() peer_spdlog_a()
#define PEER_B(v) peer_spdlog_b(v)
#define PEER_C(i, d, s) peer_spdlog_c(i, d, s)
#define PEER_SPAN_BEGIN(v) (void)(v)
#define PEER_SPAN_END(v) (void)(v)
#define PEER_HEARD 1

#endif
