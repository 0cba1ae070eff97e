/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counter.h - the timestamp counter that the application side puts into records, read here for
 * clock pairs. It must be the one that usdt/qslog.h reads.
 */
#ifndef QSLOG_COUNTER_H
#define QSLOG_COUNTER_H

#include <stdint.h>
#include <time.h>

#include "file_format.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#define COUNTER_KIND FILE_COUNTER_TSC
static inline uint64_t counter_now(void)
{
	return __rdtsc();
}
#elif defined(__aarch64__)
#define COUNTER_KIND FILE_COUNTER_CNTVCT
static inline uint64_t counter_now(void)
{
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v) : : "memory");
	return v;
}
#else
#define COUNTER_KIND FILE_COUNTER_MONOTONIC
static inline uint64_t counter_now(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
#endif

#endif
