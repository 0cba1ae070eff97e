/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_util.h - what all benchmarks share: one at a time, a header, the clock, order statistics. */
#ifndef QSLOG_BENCH_UTIL_H
#define QSLOG_BENCH_UTIL_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Keeps a value, or what is in memory, alive at no cost. */
#define BENCH_KEEP(x) __asm__ volatile("" : "+r"(x))
#define BENCH_BARRIER() __asm__ volatile("" : : : "memory")

struct bench {
	const char *name;
	double ns_per_tick;
	uint64_t deadline_ns; /* of the whole run; nothing new begins after it */
	char dir[PATH_MAX];   /* for files, removed by bench_end() */
	int lock_fd;
	int failures;
};

/*
 * Waits until no other benchmark runs on this machine, prints the header (machine, kernel,
 * compiler, flags) and makes a folder for files. Ends the process when the run takes longer than
 * `limit_seconds`. 0 or a negative errno, which has been reported.
 */
int bench_begin(struct bench *b, const char *name, unsigned int limit_seconds);
/* Removes the files; the exit code of the process. */
int bench_end(struct bench *b);
/* Reports on stderr, and makes the exit code 1. */
void bench_fail(struct bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Path of a file in the benchmark's folder; `out` has PATH_MAX bytes. */
void bench_path(const struct bench *b, char *out, const char *name);
/* A file that is not needed any more, and its tail. */
void bench_remove(const char *path);

/* The timestamp counter, with nothing before or after it moving across. */
uint64_t bench_ticks(void);
uint64_t bench_monotonic_ns(void);
/* Processor time of the calling thread, the kernel's share included. */
uint64_t bench_thread_cpu_ns(void);
void bench_sleep_ns(uint64_t ns);
/* Of its first thread: 'R' runs or waits for a processor, 'S' sleeps, ... 'X' there is none. */
char bench_process_state(pid_t pid);

/* Sorts in place. `p` in 0..1; the value at that rank. NaN and 0 of nothing. */
double bench_percentile(double *values, size_t cnt, double p);
uint32_t bench_percentile_u32(uint32_t *values, size_t cnt, double p);

/* The folder of this build's programs: BUILD, or where this program is. */
int bench_build_dir(char out[PATH_MAX]);

/* A number from the environment. */
uint64_t bench_number(const char *name, uint64_t otherwise);

#endif
