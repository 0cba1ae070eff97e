/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c - one of those that are compared, in a process of its own. It is started once for a kind
 * and a number of threads, and then told on standard input what to do next, so that a script can
 * have several of them take turns:
 *
 *   round            bursts, each next to a burst of its floor, the consumer at rest in between
 *   pace RATE SECS THREADS   calls of kind b at a rate of all together (bench_pace.h)
 *   end              everything is written, and counted
 *
 * Each answer is one line that begins with the command. ns of a round are the median of its bursts;
 * processor time of the application is that of the threads during bursts. The time of the consumer
 * is counted from when it listened until everything was written.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench_pace.h"
#include "bench_util.h"
#include "peer.h"

#define BURST_BYTES (UINT64_C(1048576) / 16 * 13) /* of records of qslog: most of an arena */
#define FLOOR_RING_BYTES (UINT64_C(1) << 20)
#define BURSTS_MAX 1000
#define CONSUMERS_MAX 8
#define THREADS_MAX 2
#define LIMIT_SECONDS 600
#define REST_LOOKS 4
#define REST_WAIT_NS UINT64_C(2000000000)
#define EMPTY_SECONDS 0.1

struct burst {
	uint64_t ticks, floor_ticks, cpu_ns;
};

struct worker {
	enum call_kind kind;
	unsigned int thread_cnt, burst_cnt;
	uint64_t burst_calls, step;
	const char *output;
	double ns_per_tick;
	pid_t consumers[CONSUMERS_MAX];
	unsigned int consumer_cnt;
	double consumer_cpu_us;	/* at first what it had used before */
	double paced_cpu_us;	/* of threads that logged at a rate */
	uint64_t issued;	/* records */
	struct call_values values;
	/* the second thread */
	pthread_t thread;
	pthread_barrier_t barrier;
	struct call_values second_values;
	struct burst second_burst;
	uint64_t second_cpu_ns;
	int second_err, ending;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t = { 0, 0 };

	if (clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t process_ns(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) ? 0 : clock_ns(clock);
}

static double children_us(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_CHILDREN, &usage))
		return 0;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* What the consumer has used until now. */
static double consumer_us(const struct worker *w, int ended)
{
	const uint64_t own_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + w->second_cpu_ns;
	uint64_t ns = 0;
	unsigned int i;

	if (peer.consumer == PEER_CONSUMER_SELF)
		return (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own_ns) / 1e3 -
		       w->paced_cpu_us;
	if (peer.consumer == PEER_CONSUMER_CHILD && ended)
		return children_us();
	for (i = 0; i < w->consumer_cnt; i++)
		ns += process_ns(w->consumers[i]);
	return (double)ns / 1e3;
}

/* One that waits for a processor uses no time either. */
static int consumer_sleeps(const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < w->consumer_cnt; i++)
		if (bench_process_state(w->consumers[i]) == 'R')
			return 0;
	return 1;
}

static void rest_wait(const struct worker *w)
{
	const uint64_t until = bench_monotonic_ns() + REST_WAIT_NS;
	double last = 0, now;
	int looks = 0;

	while (looks < REST_LOOKS && bench_monotonic_ns() < until) {
		bench_sleep_ns(1000000);
		now = consumer_us(w, 0);
		looks = now - last < 100 && consumer_sleeps(w) ? looks + 1 : 0;
		last = now;
	}
}

/* --- Bursts */

static void burst_run(struct worker *w, struct call_values *values, struct burst *b)
{
	uint64_t cpu;

	if (w->thread_cnt > 1)
		pthread_barrier_wait(&w->barrier);
	b->floor_ticks = calls_floor_on(w->kind, w->burst_calls, values);
	if (w->thread_cnt > 1)
		pthread_barrier_wait(&w->barrier);
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	b->ticks = calls_run(w->kind, w->burst_calls, values);
	b->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	if (values == &w->second_values)
		w->second_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (w->thread_cnt > 1)
		pthread_barrier_wait(&w->barrier);
}

static void *second_main(void *arg)
{
	struct worker *w = arg;

	w->second_err = calls_floor_ring(FLOOR_RING_BYTES);
	pthread_barrier_wait(&w->barrier);
	while (!w->second_err) {
		pthread_barrier_wait(&w->barrier);
		if (w->ending)
			return NULL;
		burst_run(w, &w->second_values, &w->second_burst);
	}
	return NULL;
}

/* Both threads; the result is their mean. */
static void burst_both(struct worker *w, struct burst *b)
{
	if (w->thread_cnt > 1)
		pthread_barrier_wait(&w->barrier);
	burst_run(w, &w->values, b);
	if (w->thread_cnt > 1) {
		b->ticks = (b->ticks + w->second_burst.ticks) / 2;
		b->floor_ticks = (b->floor_ticks + w->second_burst.floor_ticks) / 2;
		b->cpu_ns += w->second_burst.cpu_ns;
	}
	w->issued += w->burst_calls * w->thread_cnt * call_records(w->kind);
	if (peer.drain)
		peer.drain();
	else
		rest_wait(w);
}

static void round_run(struct worker *w)
{
	static double ns[BURSTS_MAX], floor_ns[BURSTS_MAX];
	const double scale = w->ns_per_tick / (double)w->burst_calls;
	struct burst b;
	uint64_t cpu_ns = 0;
	unsigned int i;

	for (i = 0; i < w->burst_cnt; i++) {
		burst_both(w, &b);
		ns[i] = (double)b.ticks * scale;
		floor_ns[i] = (double)b.floor_ticks * scale;
		cpu_ns += b.cpu_ns;
	}
	printf("round %.3f %.3f %.5f\n", bench_percentile(ns, w->burst_cnt, 0.5),
	       bench_percentile(floor_ns, w->burst_cnt, 0.5),
	       (double)cpu_ns / 1e3 / (double)w->burst_cnt / (double)w->thread_cnt /
		       (double)w->burst_calls / call_records(w->kind));
}

/* --- At a rate */

/* The application's time is less that of the same pacing without calls. */
static int pace(struct worker *w, double rate, double seconds, unsigned int threads)
{
	struct pace_plan plan = { .threads = threads, .rate = 0, .seconds = EMPTY_SECONDS,
				  .empty = true, .step = w->step };
	struct pace_result loop, empty, paced;
	double per_call, per_sleep = 0, cpu;
	int err;

	err = pace_run(&plan, w->ns_per_tick, &loop);
	if (err)
		return err;
	plan.rate = rate;
	err = pace_run(&plan, w->ns_per_tick, &empty);
	if (err)
		return err;
	plan.empty = false;
	plan.seconds = seconds;
	err = pace_run(&plan, w->ns_per_tick, &paced);
	if (err)
		return err;
	per_call = loop.cpu_seconds / (double)loop.calls;
	if (empty.sleeps)
		per_sleep = (empty.cpu_seconds - per_call * (double)empty.calls) /
			    (double)empty.sleeps;
	cpu = paced.cpu_seconds - per_call * (double)paced.calls - per_sleep * (double)paced.sleeps;
	w->issued += paced.calls;
	w->paced_cpu_us = (loop.cpu_seconds + empty.cpu_seconds + paced.cpu_seconds) * 1e6;
	printf("pace %.0f %.2f %.5f\n", (double)paced.calls / paced.seconds, paced.seconds,
	       cpu * 1e6 / (double)paced.calls);
	return 0;
}

/* --- Begin and end */

static int consumers_find(struct worker *w, pid_t child)
{
	const char *list = getenv("PEER_CONSUMERS");
	char *end;

	switch (peer.consumer) {
	case PEER_CONSUMER_SELF:
		return 0;
	case PEER_CONSUMER_CHILD:
		w->consumers[w->consumer_cnt++] = child;
		return 0;
	case PEER_CONSUMER_PARENT:
		w->consumers[w->consumer_cnt++] = getppid();
		return 0;
	case PEER_CONSUMER_OTHERS:
		break;
	}
	while (list && *list && w->consumer_cnt < CONSUMERS_MAX) {
		w->consumers[w->consumer_cnt++] = (pid_t)strtol(list, &end, 10);
		if (end == list)
			return -EINVAL;
		list = end + strspn(end, " ");
	}
	return w->consumer_cnt ? 0 : -EINVAL;
}

static int begin(struct worker *w, uint64_t warm_bytes)
{
	pid_t child = 0;
	uint64_t bytes;
	struct burst b;
	int err;

	err = calls_floor_ring(FLOOR_RING_BYTES);
	if (!err)
		err = peer.start(w->output, &child);
	if (!err)
		err = consumers_find(w, child);
	if (err)
		return err;
	w->consumer_cpu_us = consumer_us(w, 0);
	if (w->thread_cnt > 1) {
		err = -pthread_barrier_init(&w->barrier, NULL, w->thread_cnt);
		if (!err)
			err = -pthread_create(&w->thread, NULL, second_main, w);
		if (err)
			return err;
		pthread_barrier_wait(&w->barrier);
		if (w->second_err)
			return w->second_err;
	}
	for (bytes = 0; bytes < warm_bytes; bytes += w->burst_calls * call_bytes(w->kind))
		burst_both(w, &b);
	printf("ready\n");
	return 0;
}

static int end(struct worker *w)
{
	struct peer_found found = { -1, -1, -1 };
	int err;

	if (w->thread_cnt > 1) {
		w->ending = 1;
		pthread_barrier_wait(&w->barrier);
		pthread_join(w->thread, NULL);
	}
	err = peer.stop();
	if (err)
		return err;
	w->consumer_cpu_us = consumer_us(w, 1) - w->consumer_cpu_us;
	if (peer.find)
		err = peer.find(w->output, w->kind, w->issued, w->step, &found);
	printf("end %" PRIu64 " %.0f %" PRId64 " %" PRId64 " %" PRId64 "\n", w->issued,
	       w->consumer_cpu_us, found.records, found.lost, found.bytes);
	return err;
}

static int commands(struct worker *w)
{
	double rate, seconds;
	unsigned int threads;
	char line[128];
	int err = 0;

	while (!err && fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "round\n") == 0)
			round_run(w);
		else if (sscanf(line, "pace %lf %lf %u", &rate, &seconds, &threads) == 3)
			err = pace(w, rate, seconds, threads);
		else if (strcmp(line, "end\n") == 0)
			return end(w);
		else
			err = -EINVAL;
	}
	return err ? err : -EPIPE;
}

static int arguments(struct worker *w, char **argv, uint64_t *warm_bytes)
{
	enum call_kind kind;

	w->kind = CALL_KIND_CNT;
	for (kind = CALL_A; kind < CALL_KIND_CNT; kind++)
		if (strcmp(argv[1], call_kind_name(kind)) == 0)
			w->kind = kind;
	w->thread_cnt = (unsigned int)strtoul(argv[2], NULL, 10);
	w->step = strcmp(argv[3], "spread") == 0 ? CALL_STEP_SPREAD : CALL_STEP_COUNT;
	*warm_bytes = strtoull(argv[4], NULL, 10);
	w->burst_cnt = (unsigned int)strtoul(argv[5], NULL, 10);
	w->output = argv[6];
	if (w->kind == CALL_KIND_CNT || !w->thread_cnt || w->thread_cnt > THREADS_MAX ||
	    !w->burst_cnt || w->burst_cnt > BURSTS_MAX)
		return -EINVAL;
	w->burst_calls = BURST_BYTES / call_bytes(w->kind);
	w->values = (struct call_values){ 0, w->step };
	w->second_values = (struct call_values){ CALL_THREAD_OFFSET, w->step };
	return 0;
}

static double ns_per_tick_measure(void)
{
	const uint64_t ns = bench_monotonic_ns(), ticks = bench_ticks();

	bench_sleep_ns(100000000);
	return (double)(bench_monotonic_ns() - ns) / (double)(bench_ticks() - ticks);
}

/* KIND THREADS count|spread WARM_BYTES BURSTS OUTPUT */
int main(int argc, char **argv)
{
	static struct worker w;
	uint64_t warm_bytes;
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 7 || arguments(&w, argv, &warm_bytes)) {
		fprintf(stderr, "worker: not for use by hand, see worker.c\n");
		return 2;
	}
	alarm(LIMIT_SECONDS);
	w.ns_per_tick = ns_per_tick_measure();
	err = begin(&w, warm_bytes);
	if (!err)
		err = commands(&w);
	if (err)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-err));
	return err ? 1 : 0;
}
