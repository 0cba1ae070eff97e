// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_counts.c - what threads log at full speed is in the file, or counted as lost, exactly:
 * attached to (-p), started (-- command) and in-process. Below the rate at which something is
 * lost, everything is there. (needs-bpf)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum mode { ATTACH, COMMAND, INPROC };

struct counts {
	enum mode mode;
	const char *threads, *records;
	const char *ring; /* of the kernel's ring buffer, or the arenas' size in-process */
	bool lossless;
};

static void run_attached(const struct counts *c, struct proc *tracer, const char *file,
			 const char *shared)
{
	const char *workload[] = {e2e_build("tests/fixtures/workload"), "-s", shared, "-t",
				  c->threads, "-n", c->records, "-e", "join", "-w", NULL};
	const char *trace[] = {e2e_build("qslog-trace"), "--ring-size", c->ring, "-p", NULL, "-o",
			       file, NULL};
	struct proc app;
	char pid[16];

	proc_start(&app, workload, NULL);
	proc_expect_out(&app, "ready");
	snprintf(pid, sizeof(pid), "%d", app.pid);
	trace[4] = pid;
	proc_start(tracer, trace, NULL);
	proc_expect_err(tracer, "attached");
	proc_write(&app, "go\n");
	assert_int_equal(proc_wait(&app), 0);
	assert_int_equal(proc_wait(tracer), 0);
}

static void run_command(const struct counts *c, struct proc *tracer, const char *file,
			const char *shared)
{
	const char *trace[] = {e2e_build("qslog-trace"), "--ring-size", c->ring, "-o", file, "--",
			       e2e_build("tests/fixtures/workload"), "-s", shared, "-t",
			       c->threads, "-n", c->records, "-e", "join", NULL};

	proc_start(tracer, trace, NULL);
	assert_int_equal(proc_wait(tracer), 0);
}

static void run_inproc(const struct counts *c, const char *file, const char *shared)
{
	const char *workload[] = {e2e_build("tests/fixtures/workload.inproc"), "-s", shared, "-t",
				  c->threads, "-n", c->records, "-e", "join", NULL};
	char output[4096], arena[64];
	const char *environment[] = {output, arena, NULL};
	struct proc app;

	snprintf(output, sizeof(output), "QSLOG_FILE=%s", file);
	snprintf(arena, sizeof(arena), "QSLOG_ARENA_SIZE=%s", c->ring);
	proc_start(&app, workload, environment);
	assert_int_equal(proc_wait(&app), 0);
}

static void counts_run(void **state)
{
	const struct counts *c = *state;
	const char *file = e2e_path("counts.qslog"), *shared = e2e_path("shared");
	unsigned int threads;
	struct shared *s = shared_open(shared);
	struct summary summary;
	struct counted counted;
	unsigned long long records;
	struct proc tracer;

	assert_int_equal(sscanf(c->threads, "%u", &threads), 1);
	assert_int_equal(sscanf(c->records, "%llu", &records), 1);
	(void)unlink(file);
	if (c->mode == ATTACH)
		run_attached(c, &tracer, file, shared);
	else if (c->mode == COMMAND)
		run_command(c, &tracer, file, shared);
	else
		run_inproc(c, file, shared);
	assert_int_equal(shared_total(s), records * threads);
	counts_check(file, s, threads, c->mode == INPROC ? EXPECT_SUM : EXPECT_ALL, &counted);
	print_message("issued %llu, in the file %llu, lost %llu\n",
		      (unsigned long long)shared_total(s), (unsigned long long)counted.delivered,
		      (unsigned long long)counted.lost);
	if (c->mode != INPROC) {
		summary_of(&tracer, &summary);
		assert_int_equal(summary.records, counted.delivered);
		assert_int_equal(summary.lost, counted.lost);
	}
	assert_true(counted.delivered > 0);
	if (c->lossless)
		assert_int_equal(counted.lost, 0);
	shared_close(s);
}

#define CASE(name, ...)                                                                            \
	{name, counts_run, NULL, NULL, &(struct counts){__VA_ARGS__}}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* less than the ring buffer, or the arena, holds: nothing can be lost */
		CASE("lossless -p, 1 thread", ATTACH, "1", "200000", "32M", true),
		CASE("lossless -p, 16 threads", ATTACH, "16", "20000", "32M", true),
		CASE("lossless command, 4 threads", COMMAND, "4", "50000", "32M", true),
		CASE("lossless command, 16 threads", COMMAND, "16", "20000", "32M", true),
		CASE("lossless in-process, 1 thread", INPROC, "1", "200000", "16M", true),
		CASE("lossless in-process, 16 threads", INPROC, "16", "20000", "4M", true),
		/* at full speed */
		CASE("full speed -p, 1 thread", ATTACH, "1", "2000000", "16M", false),
		CASE("full speed -p, 4 threads", ATTACH, "4", "500000", "16M", false),
		CASE("full speed -p, 16 threads", ATTACH, "16", "150000", "16M", false),
		CASE("full speed command, 1 thread", COMMAND, "1", "2000000", "16M", false),
		CASE("full speed command, 4 threads", COMMAND, "4", "500000", "16M", false),
		CASE("full speed command, 16 threads", COMMAND, "16", "150000", "16M", false),
		CASE("full speed in-process, 1 thread", INPROC, "1", "2000000", "256K", false),
		CASE("full speed in-process, 4 threads", INPROC, "4", "500000", "256K", false),
		CASE("full speed in-process, 16 threads", INPROC, "16", "150000", "256K", false),
		/* a ring buffer that cannot hold it */
		CASE("small ring -p, 1 thread", ATTACH, "1", "2000000", "1M", false),
		CASE("small ring -p, 16 threads", ATTACH, "16", "150000", "1M", false),
		CASE("small ring command, 4 threads", COMMAND, "4", "500000", "1M", false),
	};

	alarm(170);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
