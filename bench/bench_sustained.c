/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_sustained.c - threads that log without pauses, which nobody who writes a file can take: how
 * many calls there are, how many of them arrive, and that the others are counted.
 */
#include "bench_sustained.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bench_calls.h"
#include "bench_check.h"
#include "bench_team.h"

#define SUSTAINED_NS UINT64_C(700000000)
#define SUSTAINED_SLICE 10000u /* calls between two looks at the clock */

struct sustained {
	pthread_t thread;
	struct call_values values;
	uint64_t calls, cpu_ns;
};

static void *sustained_main(void *arg)
{
	const uint64_t until = bench_monotonic_ns() + SUSTAINED_NS;
	const uint64_t cpu_ns = bench_thread_cpu_ns();
	struct sustained *s = arg;

	while (bench_monotonic_ns() < until) {
		(void)calls_run(CALL_B, SUSTAINED_SLICE, &s->values);
		s->calls += SUSTAINED_SLICE;
	}
	s->cpu_ns = bench_thread_cpu_ns() - cpu_ns;
	return NULL;
}

static int sustained_run(struct sustained *threads, unsigned int cnt)
{
	unsigned int i, started;
	int err = 0;

	for (started = 0; started < cnt; started++) {
		threads[started].values.value = started * CALL_THREAD_OFFSET;
		threads[started].values.step = CALL_STEP_COUNT;
		err = -pthread_create(&threads[started].thread, NULL, sustained_main,
				      &threads[started]);
		if (err)
			break;
	}
	for (i = 0; i < started; i++)
		pthread_join(threads[i].thread, NULL);
	return err;
}

void sustained_head(void)
{
	printf("# without pauses, kind b, %.1f s each: what finds no room is dropped, in kernel mode "
	       "overwritten, and counted\n", SUSTAINED_NS / 1e9);
	printf("mode    threads  M calls/s    M recorded/s  ns/call bytes/rec    records       lost\n");
}

void sustained_measure(struct bench *b, enum listen_mode mode, unsigned int cnt)
{
	struct sustained threads[TEAM_MAX] = { 0 };
	uint64_t issued = 0, cpu_ns = 0, begin;
	struct listener listener;
	struct check check;
	char path[PATH_MAX];
	double seconds = 0;
	unsigned int i;
	int err, end_err;

	bench_path(b, path, "sustained.qslog");
	err = listen_begin(&listener, mode, path);
	if (!err) {
		begin = bench_monotonic_ns();
		err = sustained_run(threads, cnt);
		seconds = (double)(bench_monotonic_ns() - begin) / 1e9;
		end_err = listen_end(&listener);
		err = err ? err : end_err;
	}
	if (err) {
		bench_fail(b, "sustained, mode %s, %u threads: %s %s", listen_mode_name(mode), cnt,
			   strerror(-err), listener.tracer.text);
		return;
	}
	for (i = 0; i < cnt; i++) {
		issued += threads[i].calls;
		cpu_ns += threads[i].cpu_ns;
	}
	if (check_file(&check, path, CALL_B, issued, CALL_STEP_COUNT))
		bench_fail(b, "sustained, mode %s, %u threads: the file is wrong: %s",
			   listen_mode_name(mode), cnt, check.why);
	bench_remove(path);
	printf("%-7s %7u %14.2f %14.2f %8.2f %9.2f %10llu %10llu\n", listen_mode_name(mode), cnt,
	       (double)issued / seconds / 1e6, (double)check.records / seconds / 1e6,
	       (double)cpu_ns / (double)issued,
	       check.records ? (double)check.file_bytes / (double)check.records : 0.0,
	       (unsigned long long)check.records, (unsigned long long)check.lost);
	printf("result: bench=record mode=%s kind=b threads=%u rate=%.0f lost=%llu\n",
	       listen_mode_name(mode), cnt, (double)check.records / seconds,
	       (unsigned long long)check.lost);
	fflush(stdout);
}
