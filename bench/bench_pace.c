/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_pace.c - threads that log at a given rate. A thread sleeps until its next burst is due, so
 * that what it uses of the processor is the calls and the sleeping, and the latter can be measured
 * alone and taken away.
 */
#include "bench_pace.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "bench_calls.h"
#include "bench_util.h"

struct paced {
	const struct pace_plan *plan;
	unsigned int index;
	pthread_t thread;
	double ns_per_tick;
	pthread_barrier_t *begin;
	uint64_t calls, sleeps;
	double seconds, cpu_seconds;
};

static double thread_cpu_seconds(void)
{
	return (double)bench_thread_cpu_ns() / 1e9;
}

static void burst(struct paced *p, struct call_values *values)
{
	if (p->plan->empty)
		calls_floor_off(PACE_BURST, values);
	else
		calls_run(CALL_B, PACE_BURST, values);
	p->calls += PACE_BURST;
}

static void *paced_main(void *arg)
{
	struct paced *p = arg;
	const struct pace_plan *plan = p->plan;
	const double share = plan->rate / plan->threads;
	const double burst_ns = plan->rate > 0 ? PACE_BURST / share * 1e9 : 0;
	struct call_values values = { p->index * CALL_THREAD_OFFSET, plan->step };
	uint64_t begin, bursts = 0, bursts_max = UINT64_MAX;
	double now_ns, cpu, give_up_ns = plan->seconds * 1e9;

	/* Otherwise each sleep is 50 us longer. It is a hint. */
	(void)prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
	if (plan->rate > 0) {
		bursts_max = (uint64_t)(share * plan->seconds / PACE_BURST);
		give_up_ns *= 2;
	}
	pthread_barrier_wait(p->begin);
	cpu = thread_cpu_seconds();
	begin = bench_ticks();
	while (bursts < bursts_max) {
		const double due_ns = (double)bursts * burst_ns;

		now_ns = (double)(bench_ticks() - begin) * p->ns_per_tick;
		if (now_ns > give_up_ns)
			break;
		if (now_ns < due_ns) {
			bench_sleep_ns((uint64_t)(due_ns - now_ns));
			p->sleeps++;
		}
		burst(p, &values);
		bursts++;
	}
	p->seconds = (double)(bench_ticks() - begin) * p->ns_per_tick / 1e9;
	p->cpu_seconds = thread_cpu_seconds() - cpu;
	return NULL;
}

int pace_run(const struct pace_plan *plan, double ns_per_tick, struct pace_result *out)
{
	/* Static: where not all threads can be made, the others wait until the process ends. */
	static struct paced threads[PACE_THREADS_MAX];
	static pthread_barrier_t begin;
	unsigned int i;
	int err;

	memset(out, 0, sizeof(*out));
	if (!plan->threads || plan->threads > PACE_THREADS_MAX)
		return -EINVAL;
	memset(threads, 0, sizeof(threads));
	err = -pthread_barrier_init(&begin, NULL, plan->threads);
	if (err)
		return err;
	for (i = 0; i < plan->threads; i++) {
		threads[i].plan = plan;
		threads[i].index = i;
		threads[i].ns_per_tick = ns_per_tick;
		threads[i].begin = &begin;
		err = -pthread_create(&threads[i].thread, NULL, paced_main, &threads[i]);
		if (err)
			return err;
	}
	for (i = 0; i < plan->threads; i++) {
		pthread_join(threads[i].thread, NULL);
		out->calls += threads[i].calls;
		out->sleeps += threads[i].sleeps;
		out->cpu_seconds += threads[i].cpu_seconds;
		if (threads[i].seconds > out->seconds)
			out->seconds = threads[i].seconds;
	}
	pthread_barrier_destroy(&begin);
	return 0;
}
