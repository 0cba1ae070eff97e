/* SPDX-License-Identifier: BSD-2-Clause */
/* second.h - what a second thread uses: bench_calls.c compiled with other names, for its ring. */
#ifndef QSLOG_BENCH_SECOND_H
#define QSLOG_BENCH_SECOND_H

#include "bench_calls.h"

#ifdef __cplusplus
extern "C" {
#endif

int second_calls_floor_ring(uint64_t bytes);
uint64_t second_calls_floor_on(enum call_kind kind, uint64_t cnt, struct call_values *values);

#ifdef __cplusplus
}
#endif

#endif
