/* SPDX-License-Identifier: BSD-2-Clause */
/* path.h - the functions with one site each. */
#ifndef QSLOG_BENCH_PATH_H
#define QSLOG_BENCH_PATH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void code_a(void);
void code_b(uint64_t value);
void code_c(int i, double real, const char *text);
void code_span(uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
