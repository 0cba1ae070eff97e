/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * turns.c - for sched.sh: what qslog-trace --sched adds to a switch between threads: two threads on one CPU take
 * turns through pipes, two switches and two wake-ups a turn. Prints the least of several runs, since
 * what else runs on the machine can only make it longer.
 *
 *     turns [TURNS [RUNS]]      waits for a line on standard input before each run, and answers it
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <qslog.h>

static int ping[2], pong[2];
static long turns = 3000;

static void *other(void *arg)
{
	char c;
	long i;

	for (i = 0; i < turns; i++)
		if (read(ping[0], &c, 1) != 1 || write(pong[1], &c, 1) != 1)
			break;
	return arg;
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Nanoseconds a switch. */
static double run(void)
{
	pthread_t thread;
	double start;
	char c = 'x';
	long i;

	if (pthread_create(&thread, NULL, other, NULL))
		exit(1);
	start = now_ns();
	for (i = 0; i < turns; i++)
		if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
			exit(1);
	start = now_ns() - start;
	pthread_join(thread, NULL);
	return start / (2.0 * (double)turns);
}

int main(int argc, char **argv)
{
	int runs = argc > 2 ? atoi(argv[2]) : 25, i;
	char line[64];
	cpu_set_t one;

	if (argc > 1)
		turns = atol(argv[1]);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one) || pipe(ping) || pipe(pong))
		return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		double best = 0;

		for (i = 0; i < runs; i++) {
			double ns = run();

			best = i && best < ns ? best : ns;
		}
		QSLOGI("{} ns", best);
		printf("%.1f\n", best);
		fflush(stdout);
	}
	return 0;
}
