/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sdt.c - perf or bpftrace on this process. PEER_TRACER is the shell command that runs it, with
 * PEER_PID set; it listens when it has raised the semaphore and has come to rest. SIGINT ends it.
 */
#include "sdt_calls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_util.h"
#include "peer.h"

#define START_WAIT_NS UINT64_C(90000000000)
#define STOP_WAIT_NS UINT64_C(60000000000)
#define STOP_AGAIN_NS UINT64_C(1000000000)
#define REST_NS UINT64_C(300000000)

#define SEMAPHORE(name)                                                                            \
	volatile unsigned short peers_##name##_semaphore __attribute__((section(".probes")))
SEMAPHORE(call_a);
SEMAPHORE(call_b);
SEMAPHORE(call_c);
SEMAPHORE(span_begin);
SEMAPHORE(span_end);

static pid_t tracer;

/* Its processor time has stood still for a while. */
static int rest_wait(uint64_t until)
{
	struct timespec cpu, last = { 0, 0 };
	uint64_t since = bench_monotonic_ns(), now;
	clockid_t clock;

	if (clock_getcpuclockid(tracer, &clock))
		return -ESRCH;
	while ((now = bench_monotonic_ns()) < until) {
		if (clock_gettime(clock, &cpu))
			return -errno;
		if (cpu.tv_sec != last.tv_sec || cpu.tv_nsec - last.tv_nsec > 100000)
			since = now;
		if (since == now)
			last = cpu;
		if (now - since > REST_NS)
			return 0;
		bench_sleep_ns(10000000);
	}
	return -ETIMEDOUT;
}

static int start(const char *output, pid_t *child)
{
	const uint64_t until = bench_monotonic_ns() + START_WAIT_NS;
	const char *command = getenv("PEER_TRACER");
	char pid[16];

	(void)output;
	if (!command)
		return -EINVAL;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (setenv("PEER_PID", pid, 1))
		return -errno;
	tracer = fork();
	if (tracer < 0)
		return -errno;
	if (tracer == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	*child = tracer;
	while (!calls_heard()) {
		if (waitpid(tracer, NULL, WNOHANG) == tracer)
			return -ECHILD;
		if (bench_monotonic_ns() > until)
			return -ETIMEDOUT;
		bench_sleep_ns(1000000);
	}
	return rest_wait(until);
}

/* bpftrace looks for a signal only where one has ended its waiting: that which comes while it reads
 * is never seen, so it gets another one when it sleeps. */
static int stop(void)
{
	const uint64_t until = bench_monotonic_ns() + STOP_WAIT_NS;
	uint64_t now, next = 0;
	pid_t ended;

	while ((now = bench_monotonic_ns()) < until) {
		if (now >= next && bench_process_state(tracer) == 'S') {
			if (kill(tracer, SIGINT))
				return -errno;
			next = now + STOP_AGAIN_NS;
		}
		ended = waitpid(tracer, NULL, WNOHANG);
		if (ended < 0)
			return -errno;
		if (ended == tracer)
			return 0;
		bench_sleep_ns(5000000);
	}
	kill(tracer, SIGKILL);
	(void)waitpid(tracer, NULL, 0);
	return -ETIMEDOUT;
}

const struct peer peer = { PEER_CONSUMER_CHILD, start, NULL, stop, NULL };
