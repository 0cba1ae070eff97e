/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.c - bench-record: nanoseconds per call, off, in-process and in kernel mode, on one thread.
 *
 * A round is a burst of calls (13/16 of an arena full of records: several stops, in kernel mode
 * several traps, are among them, and whatever wakes the collector), next to a burst of the same
 * number of its floor (bench_calls.h), so that what the machine does meanwhile hits both. Shown
 * are the median of the bursts, what 5 and 95 of 100 stay below, and the mean, in which everything
 * is that happened to this thread, being preempted too. The ratio is the median of the bursts' own
 * ratios. The next burst begins when the last has been taken over, so nothing is lost for want of
 * room. In kernel mode the ring buffer has been gone through once before: its memory is touched
 * for the first time then, which takes longer (it depends on the machine, most in a virtual one),
 * and is said in a line of its own. What happens without pauses is measured by bench-kernel and
 * the last table here. Percentiles are of single calls between two fenced reads of the counter,
 * less the median of the same around nothing. Every file is read back: what is in it and what it
 * says was lost must be what was issued.
 */
#define QSLOG_TAG "bench"
#include <qslog.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_calls.h"
#include "bench_check.h"
#include "bench_tracer.h"
#include "bench_util.h"

#define LIMIT_SECONDS 180
#define ROUNDS 301
#define OFF_CALLS 100000u
#define EACH_CALLS 200000u
#define ROUNDS_MIN 31
#define BURST_OF_ARENA(bytes) ((bytes) / 16 * 13)
#define WARM_BYTES (20u << 20) /* more than the ring buffer of qslog-trace has */
#define SUSTAINED_NS UINT64_C(700000000)
#define SUSTAINED_SLICE 10000u
#define SUSTAINED_THREADS_MAX 4

enum mode { MODE_OFF, MODE_INPROC, MODE_KERNEL };
static const char *const mode_names[] = { "off", "inproc", "kernel" };

struct series {
	double ns[ROUNDS], floor_ns[ROUNDS], ratio[ROUNDS];
	double sum, floor_sum;
	double first_ns; /* a call, while the ring buffer is touched for the first time */
};

struct run {
	struct bench *bench;
	enum mode mode;
	enum call_kind kind;
	struct tracer tracer;
	struct call_values values;
	struct series series;
	int rounds;
	uint64_t arena_bytes;
	uint32_t *ticks; /* of EACH_CALLS calls */
	uint64_t issued; /* records */
};

/* What was written is somebody else's now. */
static int handed_over(struct run *r)
{
	if (r->mode == MODE_INPROC)
		return qslog_flush();
	if (r->mode == MODE_KERNEL)
		tracer_idle_wait(&r->tracer);
	return 0;
}

static uint32_t burst_calls(const struct run *r)
{
	return r->mode == MODE_OFF ? OFF_CALLS :
				     (uint32_t)(BURST_OF_ARENA(r->arena_bytes) / call_bytes(r->kind));
}

static void issued_count(struct run *r, uint32_t calls)
{
	if (r->mode != MODE_OFF)
		r->issued += (uint64_t)calls * call_records(r->kind);
}

static int round_measure(struct run *r, int round)
{
	const uint32_t calls = burst_calls(r);
	struct series *s = &r->series;
	uint64_t ticks, floor_ticks;

	floor_ticks = r->mode == MODE_OFF ? calls_floor_off(calls, &r->values) :
					    calls_floor_on(r->kind, calls, &r->values);
	ticks = calls_run(r->kind, calls, &r->values);
	issued_count(r, calls);
	s->ns[round] = (double)ticks * r->bench->ns_per_tick / calls;
	s->floor_ns[round] = (double)floor_ticks * r->bench->ns_per_tick / calls;
	s->ratio[round] = s->ns[round] / s->floor_ns[round];
	s->sum += s->ns[round];
	s->floor_sum += s->floor_ns[round];
	return handed_over(r);
}

static int each_measure(struct run *r)
{
	uint32_t done, n;
	int err;

	for (done = 0; done < EACH_CALLS; done += n) {
		n = burst_calls(r);
		if (n > EACH_CALLS - done)
			n = EACH_CALLS - done;
		calls_each(r->kind, n, &r->values, r->ticks + done);
		issued_count(r, n);
		err = handed_over(r);
		if (err)
			return err;
	}
	return 0;
}

static int ring_warm(struct run *r)
{
	const uint32_t burst = burst_calls(r);
	uint64_t ticks = 0;
	uint32_t calls;
	int err;

	for (calls = 0; calls * call_bytes(r->kind) < WARM_BYTES; calls += burst) {
		ticks += calls_run(r->kind, burst, &r->values);
		issued_count(r, burst);
		err = handed_over(r);
		if (err)
			return err;
	}
	r->series.first_ns = (double)ticks * r->bench->ns_per_tick / calls;
	return 0;
}

/* The thread has its arena now. Larger ones are filled less often. */
static int arena_look(struct run *r)
{
	r->rounds = ROUNDS;
	if (r->mode == MODE_OFF)
		return 0;
	r->arena_bytes = qslog_priv_arena->mask + 1;
	if (r->arena_bytes < QSLOG_ARENA_BYTES_MIN)
		return -ENOMEM; /* it could not get one */
	r->rounds = (int)(ROUNDS * UINT64_C(524288) / r->arena_bytes);
	if (r->rounds > ROUNDS)
		r->rounds = ROUNDS;
	if (r->rounds < ROUNDS_MIN)
		r->rounds = ROUNDS_MIN;
	return calls_floor_ring(r->arena_bytes);
}

static int all_measure(struct run *r)
{
	const uint32_t first = 1000;
	int round, err;

	/* The first call of a thread maps its arena. */
	calls_run(r->kind, first, &r->values);
	issued_count(r, first);
	err = handed_over(r);
	if (!err)
		err = arena_look(r);
	if (!err && r->mode == MODE_KERNEL)
		err = ring_warm(r);
	for (round = 0; round < r->rounds && !err; round++)
		err = round_measure(r, round);
	return err ? err : each_measure(r);
}

/* Everything between the start of who listens and its end. */
static int listened_measure(struct run *r, const char *path)
{
	struct qslog_options options = QSLOG_OPTIONS_INIT;
	int err, end_err;

	if (r->mode == MODE_OFF)
		return all_measure(r);
	if (r->mode == MODE_INPROC) {
		options.path = path;
		err = qslog_start(&options);
	} else {
		err = tracer_start(&r->tracer, path);
	}
	if (err)
		return err;
	err = all_measure(r);
	end_err = r->mode == MODE_INPROC ? qslog_stop() : tracer_stop(&r->tracer);
	return err ? err : end_err;
}

static double each_ns(const struct run *r, double p, uint32_t pair_ticks)
{
	uint32_t ticks = bench_percentile_u32(r->ticks, EACH_CALLS, p);

	return ticks > pair_ticks ? (ticks - pair_ticks) * r->bench->ns_per_tick : 0;
}

static void print(struct run *r, uint32_t pair_ticks, const struct check *check)
{
	struct series *s = &r->series;
	const size_t cnt = (size_t)r->rounds;
	const double ns = bench_percentile(s->ns, cnt, 0.5);
	const double floor_ns = bench_percentile(s->floor_ns, cnt, 0.5);
	const double ratio = bench_percentile(s->ratio, cnt, 0.5);
	const double p99 = each_ns(r, 0.99, pair_ticks);

	printf("%-7s %-5s %7.2f [%6.2f-%7.2f] %7.2f | %7.2f [%6.2f-%7.2f] %7.2f | %5.2f | %6.1f %6.1f "
	       "%8.1f | %8llu %5llu\n", mode_names[r->mode], call_kind_name(r->kind), ns,
	       bench_percentile(s->ns, cnt, 0.05), bench_percentile(s->ns, cnt, 0.95),
	       s->sum / (double)cnt, floor_ns, bench_percentile(s->floor_ns, cnt, 0.05),
	       bench_percentile(s->floor_ns, cnt, 0.95), s->floor_sum / (double)cnt, ratio,
	       each_ns(r, 0.5, pair_ticks), p99, each_ns(r, 0.999, pair_ticks),
	       (unsigned long long)check->records, (unsigned long long)check->lost);
	if (r->mode == MODE_KERNEL)
		printf("#       %-5s mean of the first way through the ring buffer: %.2f ns/call\n",
		       call_kind_name(r->kind), s->first_ns);
	printf("result: bench=record mode=%s kind=%s threads=1 ns=%.2f floor_ns=%.2f ratio=%.2f "
	       "p99_ns=%.1f records=%llu lost=%llu\n", mode_names[r->mode],
	       call_kind_name(r->kind), ns, floor_ns, ratio, p99,
	       (unsigned long long)check->records, (unsigned long long)check->lost);
	fflush(stdout);
}

static int kind_measure(struct bench *b, enum mode mode, enum call_kind kind, uint32_t *ticks,
			uint32_t pair_ticks)
{
	struct run r = { .bench = b, .mode = mode, .kind = kind, .ticks = ticks,
			 .values = { 0, CALL_STEP_COUNT } };
	struct check check = { .records = 0 };
	char path[PATH_MAX];
	int err;

	bench_path(b, path, "record.qslog");
	err = listened_measure(&r, path);
	if (err) {
		bench_fail(b, "mode %s, kind %s: %s%s%s", mode_names[mode], call_kind_name(kind),
			   strerror(-err), r.tracer.text[0] ? ": " : "", r.tracer.text);
		return err;
	}
	if (mode != MODE_OFF)
		err = check_file(&check, path, kind, r.issued, r.values.step);
	if (err)
		bench_fail(b, "mode %s, kind %s: the file is wrong: %s", mode_names[mode],
			   call_kind_name(kind), check.why);
	bench_remove(path);
	print(&r, pair_ticks, &check);
	return 0;
}

/* --- Without pauses */

struct sustained {
	pthread_t thread;
	struct call_values values;
	uint64_t calls, ticks;
};

static void *sustained_main(void *arg)
{
	const uint64_t until = bench_monotonic_ns() + SUSTAINED_NS;
	struct sustained *s = arg;

	while (bench_monotonic_ns() < until) {
		s->ticks += calls_run(CALL_B, SUSTAINED_SLICE, &s->values);
		s->calls += SUSTAINED_SLICE;
	}
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

static void sustained_measure(struct bench *b, unsigned int cnt)
{
	struct sustained threads[SUSTAINED_THREADS_MAX] = { 0 };
	struct qslog_options options = QSLOG_OPTIONS_INIT;
	uint64_t issued = 0, ticks = 0, begin;
	struct check check;
	char path[PATH_MAX];
	double seconds;
	unsigned int i;
	int err, stop_err;

	bench_path(b, path, "sustained.qslog");
	options.path = path;
	err = qslog_start(&options);
	if (!err) {
		begin = bench_monotonic_ns();
		err = sustained_run(threads, cnt);
		seconds = (double)(bench_monotonic_ns() - begin) / 1e9;
		stop_err = qslog_stop();
		err = err ? err : stop_err;
	}
	if (err) {
		bench_fail(b, "sustained, %u threads: %s", cnt, strerror(-err));
		return;
	}
	for (i = 0; i < cnt; i++) {
		issued += threads[i].calls;
		ticks += threads[i].ticks;
	}
	if (check_file(&check, path, CALL_B, issued, CALL_STEP_COUNT))
		bench_fail(b, "sustained, %u threads: the file is wrong: %s", cnt, check.why);
	bench_remove(path);
	printf("%7u %14.2f %14.2f %8.2f %9.2f %10llu %10llu\n", cnt, (double)issued / seconds / 1e6,
	       (double)check.records / seconds / 1e6,
	       (double)ticks * b->ns_per_tick / (double)issued,
	       check.records ? (double)check.file_bytes / (double)check.records : 0.0,
	       (unsigned long long)check.records, (unsigned long long)check.lost);
	printf("result: bench=record mode=inproc kind=b threads=%u rate=%.0f lost=%llu\n", cnt,
	       (double)check.records / seconds, (unsigned long long)check.lost);
	fflush(stdout);
}

static void sustained_table(struct bench *b)
{
	unsigned int cnt;

	printf("# in-process without pauses, kind b, %.1f s each: what finds no room is dropped and "
	       "counted\n", SUSTAINED_NS / 1e9);
	printf("threads  M calls/s    M recorded/s  ns/call bytes/rec    records       lost\n");
	for (cnt = 1; cnt <= SUSTAINED_THREADS_MAX; cnt *= 2)
		sustained_measure(b, cnt);
}

/* Of one mode, or all where `only` is NULL. */
static void tables(struct bench *b, uint32_t *ticks, const char *only)
{
	const bool root = geteuid() == 0;
	struct call_values nothing = { 0, CALL_STEP_COUNT };
	enum call_kind kind;
	uint32_t pair_ticks, step;
	int mode;

	calls_each(CALL_KIND_CNT, EACH_CALLS, &nothing, ticks);
	pair_ticks = bench_percentile_u32(ticks, EACH_CALLS, 0.5);
	for (step = 1; step < EACH_CALLS - 1 && ticks[step] == ticks[step - 1];)
		step++; /* they are sorted now */
	printf("# the counter goes on in steps of about %.1f ns: percentiles are no finer\n",
	       (ticks[step] - ticks[step - 1]) * b->ns_per_tick);
	printf("# up to %d bursts of 13/16 of an arena (off: of %u calls) in turn with bursts of the "
	       "floor; single calls: %u, less %.1f ns for measuring\n", ROUNDS, OFF_CALLS, EACH_CALLS,
	       pair_ticks * b->ns_per_tick);
	printf("mode    kind  ns/call [    5%%-    95%%]    mean |   floor [    5%%-    95%%]    mean | "
	       "ratio |    p50    p99    p99.9 |  records  lost\n");
	for (mode = MODE_OFF; mode <= MODE_KERNEL; mode++) {
		if (only && strcmp(only, mode_names[mode]) != 0)
			continue;
		if (mode == MODE_KERNEL && !root) {
			printf("kernel  not measured: needs root\n");
			break;
		}
		for (kind = CALL_A; kind < CALL_KIND_CNT; kind++)
			if (kind_measure(b, (enum mode)mode, kind, ticks, pair_ticks))
				break;
	}
	if (!only)
		sustained_table(b);
}

/* record [off|inproc|kernel] */
int main(int argc, char **argv)
{
	uint32_t *ticks = malloc(EACH_CALLS * sizeof(*ticks));
	struct bench b;

	if (!ticks) {
		fprintf(stderr, "bench-record: no memory\n");
		return 1;
	}
	if (bench_begin(&b, "record", LIMIT_SECONDS)) {
		free(ticks);
		return 1;
	}
	tables(&b, ticks, argc > 1 ? argv[1] : NULL);
	free(ticks);
	return bench_end(&b);
}
