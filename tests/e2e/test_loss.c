// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_loss.c - the tracer stands still for a while, or is late, or is not alone: what can be kept
 * is kept, what is lost is counted exactly, and nothing is said to be lost that was not the tracer's.
 * (needs-bpf)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

struct run {
	struct proc app, tracer;
	struct shared *shared;
	const char *file;
};

static void run_start_packed(struct run *r, const char *records, const char *end, const char *pauses,
			     const char *ring, const char *compress)
{
	const char *path = e2e_path("shared");
	char pid[16];
	const char *workload[] = {e2e_build("tests/fixtures/workload"), "-s", path, "-t", "4", "-n",
				  records, "-e", end, "-w", pauses, NULL};
	const char *trace[] = {e2e_build("qslog-trace"), "--ring-size", ring, "--compress", compress, "-v",
			       "-p", pid, "-o", e2e_path("loss.qslog"), NULL};

	r->file = e2e_path("loss.qslog");
	r->shared = shared_open(path);
	(void)unlink(r->file);
	proc_start(&r->app, workload, NULL);
	proc_expect_out(&r->app, "ready");
	snprintf(pid, sizeof(pid), "%d", r->app.pid);
	proc_start(&r->tracer, trace, NULL);
	proc_expect_err(&r->tracer, "attached");
}

static void run_start(struct run *r, const char *records, const char *end, const char *pauses,
		      const char *ring)
{
	run_start_packed(r, records, end, pauses, ring, "default");
}

static void tracer_stop(const struct run *r)
{
	int status;

	assert_int_equal(kill(r->tracer.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(r->tracer.pid, &status, WUNTRACED), r->tracer.pid);
	assert_true(WIFSTOPPED(status));
}

static void issued_await(const struct run *r, uint64_t records)
{
	while (shared_total(r->shared) < records)
		sched_yield();
}

static void run_end(struct run *r, enum expect expect, struct counted *counted)
{
	struct summary summary;

	assert_int_equal(proc_wait(&r->tracer), 0);
	counts_check(r->file, r->shared, THREADS, expect, counted);
	summary_of(&r->tracer, &summary);
	assert_int_equal(summary.records, counted->delivered);
	assert_int_equal(summary.lost, counted->lost);
	print_message("issued %llu, in the file %llu, lost %llu\n",
		      (unsigned long long)shared_total(r->shared),
		      (unsigned long long)counted->delivered, (unsigned long long)counted->lost);
	shared_close(r->shared);
}

/* As much as the ring buffer has room for (three quarters of 32 MiB) comes while the tracer stands
 * still, as fast as four threads can: at 10 M records of 32 bytes a second that is 70 ms. */
static void stall(void **state)
{
	struct counted counted;
	struct run r;

	(void)state;
	run_start(&r, "140000", "join", "-w", "32M");
	tracer_stop(&r);
	proc_write(&r.app, "go\n");
	assert_int_equal(proc_wait(&r.app), 0);
	proc_kill(&r.tracer, SIGCONT);
	run_end(&r, EXPECT_ALL, &counted);
	assert_int_equal(counted.lost, 0);
}

/* What it then finds it does not pack: the blocks say so. */
static void stall_makes_haste(void **state)
{
	const char *check[] = {e2e_build("qslog"), "check", e2e_path("loss.qslog"), NULL};
	struct counted counted;
	struct proc qslog;
	struct run r;

	(void)state;
	run_start_packed(&r, "140000", "join", "-w", "32M", "fast");
	tracer_stop(&r);
	proc_write(&r.app, "go\n");
	assert_int_equal(proc_wait(&r.app), 0);
	proc_kill(&r.tracer, SIGCONT);
	run_end(&r, EXPECT_ALL, &counted);
	assert_int_equal(counted.lost, 0);
	if (!strstr(r.tracer.text_err, " blocks are not packed, since the ring buffer was filling up"))
		fail_msg("nothing of haste in: %s", r.tracer.text_err);
	proc_start(&qslog, check, NULL);
	assert_int_equal(proc_wait(&qslog), 0);
	if (!strstr(qslog.text_out, " not packed: the writer was behind), "))
		fail_msg("nothing of haste in: %s", qslog.text_out);
}

/* More than that: a part is lost, counted, and what comes after the stall is there again; the
 * newest of each thread was still in its arena. */
static void stall_too_long(void **state)
{
	struct counted counted;
	struct run r;

	(void)state;
	run_start(&r, "300000", "return", "-w", "4M");
	tracer_stop(&r);
	proc_write(&r.app, "go\n");
	issued_await(&r, 300000);
	proc_kill(&r.tracer, SIGCONT);
	assert_int_equal(proc_wait(&r.app), 0);
	run_end(&r, EXPECT_ALL, &counted);
	assert_true(counted.lost > 0);
	assert_int_equal(counted.ends, THREADS);
	if (!strstr(r.tracer.text_err, " records: ring full ") ||
	    !strstr(r.tracer.text_err, ", ring full\n"))
		fail_msg("no cause of the loss in: %s", r.tracer.text_err);
}

/* It dies while the tracer stands still and the ring buffer is full: what is in the arenas has
 * room of its own. */
static void harvest_room(void **state)
{
	struct counted counted;
	struct run r;

	(void)state;
	run_start(&r, "100000", "wait", "-w", "4M");
	tracer_stop(&r);
	proc_write(&r.app, "go\n");
	issued_await(&r, 4 * 100000);
	proc_kill(&r.app, SIGKILL);
	assert_int_equal(proc_wait(&r.app), 128 + SIGKILL);
	proc_kill(&r.tracer, SIGCONT);
	run_end(&r, EXPECT_ALL, &counted);
	assert_true(counted.lost > 0); /* or else it was not full */
	assert_int_equal(counted.ends, THREADS);
}

/* Threads that could get no arena: known only to the registry, of a process that is gone. */
static void no_arena(void **state)
{
	const char *file = e2e_path("none.qslog");
	const char *program[] = {e2e_build("tests/fixtures/no_arena"), "1000", NULL};
	const char *trace[] = {e2e_build("qslog-trace"), "--strict", "-p", NULL, "-o", file, NULL};
	struct summary summary;
	struct proc app, tracer;
	char pid[16];

	(void)state;
	proc_start(&app, program, NULL);
	proc_expect_out(&app, "ready");
	snprintf(pid, sizeof(pid), "%d", app.pid);
	trace[3] = pid;
	proc_start(&tracer, trace, NULL);
	proc_expect_err(&tracer, "attached");
	proc_write(&app, "go\n");
	assert_int_equal(proc_wait(&app), 128 + SIGKILL);
	assert_int_equal(proc_wait(&tracer), 3);
	summary_of(&tracer, &summary);
	assert_int_equal(summary.records, 0);
	assert_int_equal(summary.lost, 1000);
	if (!strstr(tracer.text_err, "lost 1000 records: no arena 1000\n"))
		fail_msg("no cause of the loss in: %s", tracer.text_err);
}

/* A program that is being traced already, and logs all the time: others come and go, and find
 * nothing missing that was recorded while they were there. */
static void second_tracer(void **state)
{
	struct run r;
	struct summary summary;
	struct proc second;
	uint64_t issued = 0;
	char pid[16];
	const char *trace[] = {e2e_build("qslog-trace"), "--strict", "-p", pid, "-o",
			       e2e_path("second.qslog"), NULL};
	int round;

	(void)state;
	run_start(&r, "100000000", "wait", "-p", "32M");
	snprintf(pid, sizeof(pid), "%d", r.app.pid);
	proc_write(&r.app, "go\n");
	for (round = 0; round < 4; round++) {
		issued_await(&r, issued + 100000);
		proc_start(&second, trace, NULL);
		proc_expect_err(&second, "attached");
		issued = shared_total(r.shared);
		issued_await(&r, issued + 20000);
		proc_kill(&second, SIGINT);
		if (proc_wait(&second))
			fail_msg("round %d: %s", round, second.text_err);
		summary_of(&second, &summary);
		assert_true(summary.records > 0);
		issued = shared_total(r.shared);
	}
	proc_kill(&r.app, SIGKILL);
	assert_int_equal(proc_wait(&r.app), 128 + SIGKILL);
	assert_int_equal(proc_wait(&r.tracer), 0);
	summary_of(&r.tracer, &summary);
	assert_int_equal(summary.lost, 0);
	shared_close(r.shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stall),	cmocka_unit_test(stall_makes_haste),
		cmocka_unit_test(stall_too_long), cmocka_unit_test(harvest_room), cmocka_unit_test(no_arena),
		cmocka_unit_test(second_tracer),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
