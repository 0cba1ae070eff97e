/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_issued.h - how many records has each thread of this server issued? The answer is kept in a
 * file that is mapped shared, so that it is still there after kill -9, and `make demo` and the
 * tests can compare it with what the tracer wrote down.
 *
 * This is bookkeeping for that proof. A program of yours does not need it: leave out the
 * COUNTED(...) around a record and what remains is ordinary qslog code.
 *
 * Every thread has one line of 64 bytes. A record is counted after the call that issued it has
 * returned, so at any instant a thread has issued as many records as its line says, or one more.
 * Calls are counted whether or not anybody listens. The span of each request carries the count at
 * its beginning: between two such spans of a thread that many records must have been decoded.
 */
#ifndef KVD_ISSUED_H
#define KVD_ISSUED_H

#include <stdatomic.h>
#include <stdint.h>

struct issued_line {
	_Alignas(64) _Atomic uint64_t records;
	_Atomic uint64_t tid; /* 0: the line is not in use */
	char name[16];
};
_Static_assert(sizeof(struct issued_line) == 64, "one cache line per thread");

struct issued;

/* Lines for `threads` threads in `path`, or in private memory where path is NULL. 0 or -errno. */
int issued_open(struct issued **out, const char *path, uint32_t threads);
void issued_close(struct issued *issued);

/* The calling thread counts in this line from now on, and is called `name` (15 characters). */
int issued_thread_begin(struct issued *issued, uint32_t index, const char *name);

/* Prints "tid records name" of every line of a file; 0 or -errno. */
int issued_show(const char *path);

extern _Thread_local struct issued_line *issued_own;

static inline uint64_t issued_count(void)
{
	return atomic_load_explicit(&issued_own->records, memory_order_relaxed);
}

/* Release: the record is in memory before it is counted. No other thread writes the line. */
static inline void issued_add_one(void)
{
	atomic_store_explicit(&issued_own->records, issued_count() + 1, memory_order_release);
}

static inline void issued_scope_end(const char *unused)
{
	(void)unused;
	issued_add_one();
}

#define ISSUED_JOIN2(a, b) a##b
#define ISSUED_JOIN(a, b) ISSUED_JOIN2(a, b)

/* COUNTED(QSLOGI("hello {}", name)); */
#define COUNTED(...)              \
	do {                      \
		__VA_ARGS__;      \
		issued_add_one(); \
	} while (0)

/* COUNTED_SPAN(QSLOG_SPAN("parse")); The guard is declared before the span, so it ends after it:
 * the first count is for the record that enters the span, the guard's for the one that leaves. */
#define COUNTED_SPAN(...)                                    \
	__attribute__((unused, cleanup(issued_scope_end)))   \
	const char ISSUED_JOIN(issued_scope_, __LINE__) = 0; \
	__VA_ARGS__;                                         \
	issued_add_one()

#endif
