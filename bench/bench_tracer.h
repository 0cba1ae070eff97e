/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_tracer.h - qslog-trace attached to the benchmark's own process. */
#ifndef QSLOG_BENCH_TRACER_H
#define QSLOG_BENCH_TRACER_H

#include <stdint.h>
#include <sys/types.h>

/* Of the ring buffer between the kernel and it. The first way through it is slower: its memory is
 * touched for the first time. */
#define TRACER_RING_TEXT "32M"
#define TRACER_RING_BYTES (32u << 20)

struct tracer {
	pid_t pid;
	int stderr_fd;
	char text[8192]; /* what it said, NUL-terminated */
	unsigned int text_len;
	uint64_t cpu_at_start_ns;
	/* after tracer_stop() */
	uint64_t cpu_ns;	/* used since it was attached, its last block included */
	uint64_t records, lost; /* of its summary */
};

/* Returns when it listens to this process. 0 or a negative errno; `text` then says why. */
int tracer_start(struct tracer *t, const char *output);
/* Waits until it has nothing to do, at most a second. (What it had not taken then may be lost,
 * which is counted.) */
void tracer_idle_wait(const struct tracer *t);
/* SIGINT, as a user ends it, and its summary. */
int tracer_stop(struct tracer *t);

#endif
