/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sites.c - one site in one function, as an application has it; SITE_A, SITE_B, SITE_C or SITE_SPAN
 * says of which kind (bench_calls.h), with none of them there is nothing but what the header brings
 * into every file. C and C++.
 */
#include <qslog.h>

#include "path.h"

#ifdef SITE_A
void code_a(void)
{
	QSLOGI("nothing to say");
}
#endif

#ifdef SITE_B
void code_b(uint64_t value)
{
	QSLOGI("value {}", value);
}
#endif

#ifdef SITE_C
void code_c(int i, double real, const char *text)
{
	QSLOGI("int {} double {} string {}", i, real, text);
}
#endif

#ifdef SITE_SPAN
void code_span(uint64_t value)
{
	QSLOG_SPAN("work", "id={}", value);
	__asm__ volatile("" : : : "memory");
}
#endif
