/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.c - bench-kernel: records a second that arrive in the file, and what they cost, with
 * qslog-trace attached to this process; beside it the same with the in-process collector.
 *
 * Threads log kind b (one u64, in steps of a constant that spreads it over all 64 bits: columns find the
 * step, so the size is no worst case; that is bench-size's) at a given rate (bench_pace.h). The processor time of the application is that
 * of these threads, traps included, less that of the same pacing without calls, measured just
 * before; the total adds the tracer's time since it was attached, its last block and the closing of
 * the file included (in-process: that of the collector). The application's share is per issued
 * record, the tracer's per record in the file. Every file is read back: what is in it and what it
 * says was lost must be what was issued.
 */
#include <qslog.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench_calls.h"
#include "bench_check.h"
#include "bench_pace.h"
#include "bench_tracer.h"
#include "bench_util.h"

#define LIMIT_SECONDS 480
#define SUSTAINED_SECONDS 60 /* and at which rate: */
#define SUSTAINED_RATE 10e6
#define SWEEP_SECONDS 1.5
#define SEARCH_SECONDS 0.7
#define EMPTY_SECONDS 0.1
#define SEARCH_TRIES 2
#define RATE_REACHED 0.95 /* of the rate asked for */

enum mode { MODE_KERNEL, MODE_INPROC };

struct measured {
	struct pace_result paced;
	struct check check;
	double rate; /* issued, a second */
	double app_cpu_us, total_cpu_us, bytes;
};

static double process_cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		return 0;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* What the pacing itself costs: a sleep, and the loop around a call. */
struct empty_cost {
	double per_sleep, per_call;
};

static int empty_measure(struct bench *b, const struct pace_plan *plan, struct empty_cost *out)
{
	struct pace_plan empty = *plan;
	struct pace_result loop, paced;
	int err;

	memset(out, 0, sizeof(*out));
	empty.empty = true;
	empty.seconds = EMPTY_SECONDS;
	empty.rate = 0;
	err = pace_run(&empty, b->ns_per_tick, &loop);
	if (err)
		return err;
	out->per_call = loop.cpu_seconds / (double)loop.calls;
	if (plan->rate <= 0)
		return 0;
	empty.rate = plan->rate;
	err = pace_run(&empty, b->ns_per_tick, &paced);
	if (err)
		return err;
	if (paced.sleeps)
		out->per_sleep = (paced.cpu_seconds - out->per_call * (double)paced.calls) /
				 (double)paced.sleeps;
	return 0;
}

/* Attached or collecting; `listener_cpu` gets the seconds that the listener used. */
static int listened_run(struct bench *b, enum mode mode, const struct pace_plan *plan,
			const char *path, struct pace_result *paced, double *listener_cpu)
{
	struct qslog_options options = QSLOG_OPTIONS_INIT;
	struct tracer tracer = { .pid = 0 };
	double cpu = 0;
	int err, end_err;

	if (mode == MODE_KERNEL) {
		err = tracer_start(&tracer, path);
	} else {
		options.path = path;
		cpu = process_cpu_seconds();
		err = qslog_start(&options);
	}
	if (err)
		goto out;
	err = pace_run(plan, b->ns_per_tick, paced);
	if (mode == MODE_KERNEL) {
		end_err = tracer_stop(&tracer);
		*listener_cpu = (double)tracer.cpu_ns / 1e9;
	} else {
		end_err = qslog_stop();
		*listener_cpu = process_cpu_seconds() - cpu - paced->cpu_seconds;
	}
	err = err ? err : end_err;
out:
	if (err)
		bench_fail(b, "%s: %s %s", mode == MODE_KERNEL ? "qslog-trace" : "collector",
			   strerror(-err), tracer.text);
	return err;
}

static int measure(struct bench *b, enum mode mode, const struct pace_plan *plan,
		   struct measured *out)
{
	struct empty_cost empty;
	double listener_cpu = 0, app_cpu;
	char path[PATH_MAX];
	int err;

	memset(out, 0, sizeof(*out));
	bench_path(b, path, "kernel.qslog");
	err = empty_measure(b, plan, &empty);
	if (!err)
		err = listened_run(b, mode, plan, path, &out->paced, &listener_cpu);
	if (err)
		return err;
	err = check_file(&out->check, path, CALL_B, out->paced.calls, plan->step);
	if (err)
		bench_fail(b, "%u threads, %.0f a second: the file is wrong: %s", plan->threads,
			   plan->rate, out->check.why);
	bench_remove(path);
	app_cpu = out->paced.cpu_seconds - empty.per_sleep * (double)out->paced.sleeps -
		  empty.per_call * (double)out->paced.calls;
	out->rate = (double)out->paced.calls / out->paced.seconds;
	out->app_cpu_us = app_cpu * 1e6 / (double)out->paced.calls;
	out->total_cpu_us = out->app_cpu_us;
	if (out->check.records) {
		out->total_cpu_us += listener_cpu * 1e6 / (double)out->check.records;
		out->bytes = (double)out->check.file_bytes / (double)out->check.records;
	}
	return err;
}

/* --- Tables */

static void row_print(enum mode mode, const struct pace_plan *plan, const struct measured *m)
{
	char asked[32] = "full speed", causes[160];

	if (plan->rate > 0)
		snprintf(asked, sizeof(asked), "%.2f", plan->rate / 1e6);
	check_causes(&m->check, causes, sizeof(causes));
	printf("%-7s %7u %10s %10.2f %10.2f %8.2f %9.4f %9.4f %9.2f %10llu %s\n",
	       mode == MODE_KERNEL ? "kernel" : "inproc", plan->threads, asked, m->rate / 1e6,
	       (double)m->check.records / m->paced.seconds / 1e6, m->paced.seconds, m->app_cpu_us,
	       m->total_cpu_us, m->bytes, (unsigned long long)m->check.lost, causes);
}

static void result_print(enum mode mode, const struct pace_plan *plan, const struct measured *m)
{
	if (mode == MODE_KERNEL)
		printf("result: bench=kernel tracer=qslog threads=%u rate=%.0f seconds=%.2f "
		       "app_cpu_us_per_record=%.4f total_cpu_us_per_record=%.4f "
		       "bytes_per_record=%.2f lost=%llu\n", plan->threads, m->rate,
		       m->paced.seconds, m->app_cpu_us, m->total_cpu_us, m->bytes,
		       (unsigned long long)m->check.lost);
	else
		printf("result: bench=record mode=inproc kind=b threads=%u rate=%.0f lost=%llu\n",
		       plan->threads, m->rate, (unsigned long long)m->check.lost);
	fflush(stdout);
}

static void head_print(const char *what)
{
	printf("# %s\n", what);
	printf("mode    threads asked M/s  issued M/s in file M/s seconds app us/rec  total us bytes/rec"
	       "       lost\n");
}

static void sweep(struct bench *b, enum mode mode)
{
	static const double rates[] = { 1e6, 2e6, 5e6, 10e6, 15e6, 20e6, 0 };
	struct pace_plan plan = { .threads = 1, .seconds = SWEEP_SECONDS, .step = CALL_STEP_SPREAD };
	struct measured m;
	size_t i;

	head_print("one thread, one u64 spread over 64 bits");
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		if (bench_monotonic_ns() > b->deadline_ns)
			return bench_fail(b, "no time left for the other rates");
		plan.rate = rates[i];
		if (measure(b, mode, &plan, &m))
			return;
		row_print(mode, &plan, &m);
		result_print(mode, &plan, &m);
	}
	/* The size of counting values is another one, for comparison. Not a result. */
	plan.rate = 5e6;
	plan.step = CALL_STEP_COUNT;
	printf("# the same with a value that counts up\n");
	if (measure(b, mode, &plan, &m) == 0)
		row_print(mode, &plan, &m);
}

/* Whether all of it arrived, in one of a few tries: other load on the machine also makes losses. */
static bool arrives(struct bench *b, enum mode mode, const struct pace_plan *plan,
		    struct measured *m)
{
	int i;

	for (i = 0; i < SEARCH_TRIES && bench_monotonic_ns() < b->deadline_ns; i++) {
		if (measure(b, mode, plan, m))
			return false;
		row_print(mode, plan, m);
		fflush(stdout);
		if (!m->check.lost && m->rate >= RATE_REACHED * plan->rate)
			return true;
		if (!m->check.lost)
			return false; /* the threads themselves are not faster */
	}
	return false;
}

static void search(struct bench *b, enum mode mode, unsigned int threads)
{
	static const double steps[] = { 0.5e6, 1e6,  2e6,  3e6,	 4e6,  5e6,  6e6,  7e6,
					8e6,   10e6, 12e6, 14e6, 16e6, 20e6, 25e6, 30e6 };
	struct pace_plan plan = { .threads = threads, .seconds = SEARCH_SECONDS,
				  .step = CALL_STEP_SPREAD };
	struct measured m, best = { .rate = 0 };
	size_t low = 0, high = sizeof(steps) / sizeof(steps[0]);

	while (low < high) { /* all below low arrive, none from high on */
		size_t middle = (low + high) / 2;

		plan.rate = steps[middle];
		if (arrives(b, mode, &plan, &m)) {
			best = m;
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (!low) {
		printf("# %u threads: losses at every rate\n", threads);
		return;
	}
	printf("# %u thread%s: highest rate without loss %.1f M/s\n", threads,
	       threads > 1 ? "s" : "", steps[low - 1] / 1e6);
	result_print(mode, &plan, &best);
}

static void searches(struct bench *b, enum mode mode)
{
	unsigned int threads;

	head_print("the highest rate without loss, by halving; a rate counts if one of two tries has "
		   "no loss");
	for (threads = 1; threads <= 4; threads *= 2)
		search(b, mode, threads);
}

/* As long as it takes for whatever is not sustained to show. */
static void sustained(struct bench *b)
{
	struct pace_plan plan = { .threads = 1, .seconds = SUSTAINED_SECONDS,
				  .rate = SUSTAINED_RATE, .step = CALL_STEP_SPREAD };
	struct measured m;

	head_print("one thread, for a minute");
	if (measure(b, MODE_KERNEL, &plan, &m))
		return;
	row_print(MODE_KERNEL, &plan, &m);
	result_print(MODE_KERNEL, &plan, &m);
}

/* kernel [kernel|sustained|inproc] */
int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	struct bench b;

	if (bench_begin(&b, "kernel", LIMIT_SECONDS))
		return 1;
	if (geteuid() != 0)
		printf("# kernel mode is not measured: needs root\n");
	if (geteuid() == 0 && (!only || strcmp(only, "kernel") == 0)) {
		sweep(&b, MODE_KERNEL);
		searches(&b, MODE_KERNEL);
	}
	if (geteuid() == 0 && (!only || strcmp(only, "sustained") == 0))
		sustained(&b);
	if (!only || strcmp(only, "inproc") == 0)
		searches(&b, MODE_INPROC);
	return bench_end(&b);
}
