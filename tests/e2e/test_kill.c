// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_kill.c - SIGKILL at random moments, at full speed. Of the application: every record whose call
 * had returned is in the file. Of the tracer: the application goes on, nobody listens any more, and
 * the file is readable up to what was readable when it died. (needs-bpf)
 *
 * ROUNDS says how many applications are killed (40; `make kill-soak`: 1000), one after the other,
 * some of them under one tracer, and a tenth as many tracers of each kind: while they write, beside an
 * application that pauses and beside one that does not, and while they attach or begin to write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2
#define APPS 20 /* under one tracer */
/* Records, of all threads of an application, when it is killed at the latest; with what they may
 * record until the signal is there, and 20 of them, it is less than the ring buffer holds: nothing
 * may be lost, however busy the machine. */
#define KILL_WITHIN 38000
#define RECORDS "20000" /* of each thread; then it waits */
#define MANY "1000000000000"
#define TRACERS 10 /* of one application, which does not live for long */
/* Tracers are killed within so many records, twice, and so many microseconds. */
#define FULL_SPEED 2000000
#define EARLY_US 1200000 /* loading and attaching, and more */

static unsigned int seed, rounds = 40;

static uint64_t random_below(uint64_t n)
{
	return ((uint64_t)(unsigned int)rand_r(&seed) << 16 ^ (unsigned int)rand_r(&seed)) % n;
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void workload_start(struct proc *app, const char *shared, const char *records,
			   const char *pauses)
{
	const char *workload[] = {e2e_build("tests/fixtures/workload"), "-s", shared, "-t", "2", "-n",
				  records, "-e", "wait", "-w", pauses, NULL};

	proc_start(app, workload, NULL);
	proc_expect_out(app, "ready");
}

/* --- Of the application */

struct victim {
	struct proc app;
	struct shared *shared;
	uint64_t at;
};

static void victims_kill(unsigned int cnt)
{
	const char *trace[] = {NULL, "--ring-size", "64M", "-p", NULL, "-o", NULL, NULL};
	struct victim victims[APPS];
	char name[32], pids[APPS * 12] = "";
	const char *file;
	struct counted counted;
	struct summary summary;
	struct proc tracer;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < cnt; i++) {
		snprintf(name, sizeof(name), "shared.%u", i);
		victims[i].shared = shared_open(e2e_path(name));
		victims[i].at = 1 + random_below(KILL_WITHIN);
		workload_start(&victims[i].app, e2e_path(name), RECORDS, "-w");
		snprintf(pids + strlen(pids), sizeof(pids) - strlen(pids), "%s%d", i ? "," : "",
			 victims[i].app.pid);
	}
	trace[0] = e2e_build("qslog-trace");
	trace[4] = pids;
	trace[6] = file = e2e_path("kill.qslog");
	(void)unlink(file);
	proc_start(&tracer, trace, NULL);
	proc_expect_err(&tracer, "attached");
	for (i = 0; i < cnt; i++) {
		proc_write(&victims[i].app, "go\n");
		while (shared_total(victims[i].shared) < victims[i].at)
			sched_yield();
		proc_kill(&victims[i].app, SIGKILL);
		assert_int_equal(proc_wait(&victims[i].app), 128 + SIGKILL);
	}
	assert_int_equal(proc_wait(&tracer), 0);
	for (i = 0; i < cnt; i++) {
		counts_check_of(file, victims[i].app.pid, victims[i].shared, THREADS,
				EXPECT_IN_FLIGHT, &counted);
		assert_int_equal(counted.lost, 0);
		sum += counted.delivered;
		shared_close(victims[i].shared);
	}
	summary_of(&tracer, &summary);
	assert_int_equal(summary.records, sum);
	assert_int_equal(summary.lost, 0);
	print_message("%u killed, %llu records\n", cnt, (unsigned long long)sum);
}

static void kill_application(void **state)
{
	unsigned int left = rounds, cnt;

	(void)state;
	for (; left; left -= cnt) {
		cnt = left < APPS ? left : APPS;
		victims_kill(cnt);
	}
}

/* --- Of the tracer */

static uint64_t readable(const char *file, const struct shared *s, enum expect expect)
{
	struct counted counted;

	counts_check(file, s, THREADS, expect, &counted);
	return counted.delivered;
}

/* Nobody listens any more, and the application goes on. A deadline: alarm(2). */
static void app_expect_free(const struct shared *s)
{
	uint64_t issued;
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		while (__atomic_load_n(&s->threads[i].listeners, __ATOMIC_RELAXED))
			sched_yield();
	issued = shared_total(s);
	while (shared_total(s) < issued + 1000)
		sched_yield();
}

static void tracer_kill(struct proc *app, const struct shared *s, uint64_t within)
{
	const char *file = e2e_path("kill.qslog");
	char pid[16];
	const char *trace[] = {e2e_build("qslog-trace"), "--flush-ms", "10", "-p", pid, "-o", file,
			       NULL};
	uint64_t before, issued;
	struct proc tracer;

	snprintf(pid, sizeof(pid), "%d", app->pid);
	(void)unlink(file);
	proc_start(&tracer, trace, NULL);
	proc_expect_err(&tracer, "attached");
	issued = shared_total(s) + random_below(within);
	while (shared_total(s) < issued)
		sched_yield();
	before = readable(file, s, EXPECT_TORN); /* while it is being written */
	issued = shared_total(s) + random_below(within);
	while (shared_total(s) < issued)
		sched_yield();
	proc_kill(&tracer, SIGKILL);
	assert_int_equal(proc_wait(&tracer), 128 + SIGKILL);
	assert_true(readable(file, s, EXPECT_TORN) >= before);
	issued = shared_total(s);
	app_expect_free(s);
	print_message("%llu of the %llu records were readable when it was killed\n",
		      (unsigned long long)before, (unsigned long long)issued);
}

/* At any time from its first instruction on. A file that has been begun can be read. */
static void tracer_kill_early(struct proc *app, const struct shared *s, uint64_t within)
{
	const char *file = e2e_path("early.qslog");
	char pid[16];
	const char *trace[] = {e2e_build("qslog-trace"), "--flush-ms", "10", "-p", pid, "-o", file,
			       NULL};
	const int64_t until = now_us() + (int64_t)random_below(within);
	uint64_t delivered = 0;
	struct proc tracer;
	struct stat st;

	snprintf(pid, sizeof(pid), "%d", app->pid);
	(void)unlink(file);
	proc_start(&tracer, trace, NULL);
	while (now_us() < until)
		sched_yield();
	proc_kill(&tracer, SIGKILL);
	assert_int_equal(proc_wait(&tracer), 128 + SIGKILL);
	if (stat(file, &st) == 0 && st.st_size > 0)
		delivered = readable(file, s, EXPECT_TORN);
	app_expect_free(s);
	print_message("killed %s, %llu records\n",
		      strstr(tracer.text_err, "attached") ? "once attached" : "before it was attached",
		      (unsigned long long)delivered);
}

static void tracers_kill(const char *pauses, uint64_t within,
			 void (*one)(struct proc *app, const struct shared *s, uint64_t within))
{
	const char *path = e2e_path("shared");
	unsigned int left = (rounds + 9) / 10, round;
	struct shared *s;
	struct proc app;

	while (left) {
		s = shared_open(path);
		workload_start(&app, path, MANY, pauses);
		proc_write(&app, "go\n");
		for (round = 0; left && round < TRACERS; round++, left--)
			one(&app, s, within);
		proc_kill(&app, SIGKILL);
		assert_int_equal(proc_wait(&app), 128 + SIGKILL);
		shared_close(s);
	}
}

static void kill_tracer(void **state)
{
	(void)state;
	tracers_kill("-p", KILL_WITHIN, tracer_kill);
}

static void kill_tracer_full_speed(void **state)
{
	(void)state;
	tracers_kill("-w", FULL_SPEED, tracer_kill);
}

static void kill_tracer_early(void **state)
{
	(void)state;
	tracers_kill("-p", EARLY_US, tracer_kill_early);
}

int main(void)
{
	const char *given = getenv("TEST_SEED"), *many = getenv("ROUNDS");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kill_application),
		cmocka_unit_test(kill_tracer),
		cmocka_unit_test(kill_tracer_full_speed),
		cmocka_unit_test(kill_tracer_early),
	};

	if (many && *many)
		rounds = (unsigned int)strtoul(many, NULL, 10);
	alarm(170 + 4 * rounds);
	seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);
	print_message("TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
