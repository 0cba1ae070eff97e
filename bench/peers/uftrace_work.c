/* SPDX-License-Identifier: BSD-2-Clause */
/* uftrace_work.c - compiled with -pg: what uftrace records. */
#include "uftrace_calls.h"

void peer_work(uint64_t id)
{
	__asm__ volatile("" : : "r"(id) : "memory");
}
