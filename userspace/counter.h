/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counter.h - the timestamp counters that the application side puts into records (enum
 * qslog_clock), read here for clock pairs. They must be those that usdt/ reads.
 */
#ifndef QSLOG_COUNTER_H
#define QSLOG_COUNTER_H

#include <stdint.h>
#include <time.h>

#include "file_format.h"
#include "qslog_abi.h"

/* The CPU's. */
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
#error "no counter is known for this architecture"
#endif

static inline uint64_t counter_monotonic(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* `kind`: COUNTER_KIND or FILE_COUNTER_MONOTONIC. */
static inline uint64_t counter_read(uint32_t kind)
{
	return kind == FILE_COUNTER_MONOTONIC ? counter_monotonic() : counter_now();
}

/* What a process has that says enum qslog_clock. */
static inline uint32_t counter_kind_of(uint32_t clock)
{
	return clock == QSLOG_CLOCK_MONOTONIC ? FILE_COUNTER_MONOTONIC : COUNTER_KIND;
}

#endif
