/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_calls.h - the calls that are measured, and their floors.
 *
 * Kinds: a is a log without arguments, b with one u64, c with an int, a double and a string of 11
 * characters whose length is found out at run time, span a scoped span with one u64 (entering and
 * leaving together are one call and two records).
 *
 * The floor of a call while nobody listens is a loop that keeps its variable alive. While somebody
 * listens it is the least that any recorder does: a bare read of the counter (two for a span), and
 * the same words stored one after the other in a ring of the same size; for c the string is stored
 * as two words, its length known.
 */
#ifndef QSLOG_BENCH_CALLS_H
#define QSLOG_BENCH_CALLS_H

#include <stdint.h>

enum call_kind { CALL_A, CALL_B, CALL_C, CALL_SPAN, CALL_KIND_CNT };

/* Values are value, value + step, ... modulo 2^64: counting, or spread over all 64 bits. */
#define CALL_STEP_COUNT UINT64_C(1)
#define CALL_STEP_SPREAD UINT64_C(0x9e3779b97f4a7c15)

/* Where the values of the nth thread begin: n times this, so that no two threads say the same. */
#define CALL_THREAD_OFFSET UINT64_C(0xd1342543de82ef95)

struct call_values {
	uint64_t value; /* of the next call; moved on by the calls */
	uint64_t step;
};

const char *call_kind_name(enum call_kind kind);
unsigned int call_records(enum call_kind kind); /* per call */
unsigned int call_bytes(enum call_kind kind);	/* of records per call */

/* The ring of the calling thread's floors, which must have one: as large as the arena (a power of
 * two); 0 gives it back. 0 or -errno. */
int calls_floor_ring(uint64_t bytes);

/* `cnt` calls; returns the counter ticks that they took. */
uint64_t calls_run(enum call_kind kind, uint64_t cnt, struct call_values *values);
uint64_t calls_floor_off(uint64_t cnt, struct call_values *values);
uint64_t calls_floor_on(enum call_kind kind, uint64_t cnt, struct call_values *values);
/* `cnt` bare reads of the counter, nothing stored. */
uint64_t calls_counter(uint64_t cnt);
/* Ticks of every single call, the measuring itself included; kind CALL_KIND_CNT: of nothing. */
void calls_each(enum call_kind kind, uint32_t cnt, struct call_values *values, uint32_t *ticks);

/* Whether somebody listens to these calls, in a tracer or in the process. */
int calls_heard(void);

#endif
