// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_ends.c - however a program ends, what its threads had logged is in the file: records lie in
 * the arenas when it dies, and nothing may be missing whose call had returned. The volume stays
 * below what the ring buffer holds, so nothing may be lost either. (needs-bpf)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define RECORDS 40000 /* per thread; 4 * 40000 * about 35 bytes are in no danger of 64 MB */
#define RING "64M"

struct end {
	const char *name;
	int status; /* of the program */
	int rounds;
	/* NULL, or as on kernels before 6.16 (see kernel_ends.h); in-process: of the environment */
	const char *way;
	/* Through the main thread the probes are attached: when it ends before the others, the
	 * tracer moves on to another one, and what is overwritten meanwhile is counted as lost. */
	bool may_lose;
	unsigned int records; /* per thread */
};

static unsigned int seed;

static uint64_t random_below(uint64_t n)
{
	return ((uint64_t)(unsigned int)rand_r(&seed) << 16 ^ (unsigned int)rand_r(&seed)) % n;
}

/* --- A cgroup with little memory, of version 2 or 1 */

#define MEMORY_LIMIT "67108864"
static char cgroup[256];

static bool file_write(const char *folder, const char *name, const char *text)
{
	char path[512];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (!file)
		return false;
	ok = fputs(text, file) >= 0;
	return fclose(file) == 0 && ok;
}

static void cgroup_remove(void)
{
	/* The killed process may still be leaving it. */
	while (cgroup[0] && rmdir(cgroup) && errno == EBUSY)
		sched_yield();
	cgroup[0] = '\0';
}

static bool cgroup_make(const char *parent, const char *limit, const char *pid)
{
	snprintf(cgroup, sizeof(cgroup), "%s/qslog-test-%d", parent, (int)getpid());
	if (mkdir(cgroup, 0755) == 0 && file_write(cgroup, limit, MEMORY_LIMIT) &&
	    file_write(cgroup, "cgroup.procs", pid))
		return true;
	cgroup_remove();
	return false;
}

static void memory_limit(pid_t app)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", app);
	(void)file_write("/sys/fs/cgroup", "cgroup.subtree_control", "+memory");
	if (!cgroup_make("/sys/fs/cgroup/memory", "memory.limit_in_bytes", pid) &&
	    !cgroup_make("/sys/fs/cgroup", "memory.max", pid))
		fail_msg("no cgroup that limits memory can be made in /sys/fs/cgroup");
}

static void kernel_round(const struct end *end, uint64_t at, enum expect expect)
{
	const char *file = e2e_path("end.qslog"), *path = e2e_path("shared");
	struct shared *s = shared_open(path);
	const bool outside = strcmp(end->name, "wait") == 0;
	char way[64];
	const char *environment[] = {way, NULL};
	char threads[16], records[16], total[32], pid[16];
	const char *workload[] = {e2e_build("tests/fixtures/workload"), "-s", path, "-t", threads,
				  "-n", records, "-k", total, "-e", end->name, "-w", NULL};
	const char *trace[] = {e2e_build("qslog-trace"), "--ring-size", RING, "-p", pid, "-o", file,
			       NULL};
	struct counted counted;
	struct summary summary;
	struct proc app, tracer;

	snprintf(way, sizeof(way), "QSLOG_TRACE_HARVEST=%s", end->way ? end->way : "");
	snprintf(threads, sizeof(threads), "%d", THREADS);
	snprintf(records, sizeof(records), "%u", end->records);
	snprintf(total, sizeof(total), "%llu", (unsigned long long)at);
	(void)unlink(file);
	proc_start(&app, workload, NULL);
	proc_expect_out(&app, "ready");
	snprintf(pid, sizeof(pid), "%d", app.pid);
	proc_start(&tracer, trace, end->way ? environment : NULL);
	proc_expect_err(&tracer, "attached");
	if (strcmp(end->name, "oom") == 0)
		memory_limit(app.pid);
	proc_write(&app, "go\n");
	if (outside) {
		while (shared_total(s) < at)
			sched_yield();
		proc_kill(&app, SIGKILL);
	}
	assert_int_equal(proc_wait(&app), end->status);
	assert_int_equal(proc_wait(&tracer), 0);
	if (strcmp(end->name, "oom") == 0)
		cgroup_remove();
	counts_check(file, s, THREADS, end->may_lose ? EXPECT_PART : expect, &counted);
	summary_of(&tracer, &summary);
	assert_int_equal(summary.records, counted.delivered);
	assert_int_equal(summary.lost, counted.lost);
	if (end->may_lose) /* and by which thread may be mistaken */
		assert_int_equal(counted.delivered + counted.lost, shared_total(s));
	else
		assert_int_equal(counted.lost, 0);
	assert_true(counted.delivered + counted.lost >= at);
	shared_close(s);
}

/* At a random moment, and once when all threads have issued everything and stand still. */
static void kernel_end(void **state)
{
	const struct end *end = *state;
	const unsigned int first_seed = seed;
	const char *most = getenv("TEST_ROUNDS");
	int round;

	for (round = 0; round < end->rounds && (!most || round < atoi(most)); round++) {
		const uint64_t all = (uint64_t)THREADS * end->records;
		const uint64_t at = round ? 1 + random_below(all) : all;

		print_message("round %d, seed %u, end at record %llu\n", round, first_seed,
			      (unsigned long long)at);
		kernel_round(end, at, round ? EXPECT_IN_FLIGHT : EXPECT_ALL);
	}
}

/* --- In-process */

static void inproc_end(void **state)
{
	const struct end *end = *state;
	int round;

	/* Not all of it, where that is more than fits. */
	for (round = end->may_lose; round < end->rounds; round++) {
		const char *file = e2e_path("inproc.qslog"), *path = e2e_path("shared");
		const uint64_t at = round ? 1 + random_below((uint64_t)THREADS * RECORDS) : 0;
		struct shared *s = shared_open(path);
		char threads[16], records[16], total[32], output[4096];
		const char *workload[] = {e2e_build("tests/fixtures/workload.inproc"), "-s", path,
					  "-t", threads, "-n", records, "-k", total, "-e",
					  end->name, NULL};
		const char *environment[] = {output, "QSLOG_ARENA_SIZE=8M", end->way, NULL};
		struct counted counted;
		struct proc app;

		snprintf(threads, sizeof(threads), "%d", THREADS);
		snprintf(records, sizeof(records), "%u", end->records);
		snprintf(total, sizeof(total), "%llu", (unsigned long long)at);
		snprintf(output, sizeof(output), "QSLOG_FILE=%s", file);
		(void)unlink(file);
		proc_start(&app, workload, environment);
		assert_int_equal(proc_wait(&app), end->status);
		print_message("round %d, end at record %llu\n", round, (unsigned long long)at);
		/* After a stop, calls return without a record. */
		counts_check(file, s, THREADS, end->may_lose ? EXPECT_STOPPED :
			     round ? EXPECT_AT_LEAST : EXPECT_ALL, &counted);
		if (!end->may_lose)
			assert_int_equal(counted.lost, 0);
		assert_int_equal(s->ending, 1);
		shared_close(s);
	}
}

#define KERNEL(name, ...)                                                                          \
	{"kernel mode: " name, kernel_end, NULL, NULL,                                             \
	 &(struct end){name, __VA_ARGS__, NULL, false, RECORDS}}
#define BY_SIGNAL(name, ...)                                                                       \
	{"kernel mode, by signal: " name, kernel_end, NULL, NULL,                                  \
	 &(struct end){name, __VA_ARGS__, "signal", false, RECORDS}}
#define INPROC(name, ...)                                                                          \
	{"in-process: " name, inproc_end, NULL, NULL,                                              \
	 &(struct end){name, __VA_ARGS__, NULL, false, RECORDS}}

int main(void)
{
	const char *given = getenv("TEST_SEED"), *only = getenv("TEST_ONLY");
	const struct CMUnitTest tests[] = {
		KERNEL("wait", 128 + SIGKILL, 8),
		KERNEL("kill", 128 + SIGKILL, 2),
		KERNEL("segv", 128 + SIGSEGV, 2),
		KERNEL("abort", 128 + SIGABRT, 2),
		KERNEL("_exit", 0, 2),
		KERNEL("exit", 0, 2),
		KERNEL("return", 0, 2),
		KERNEL("other-thread", 0, 2),
		KERNEL("exec", 0, 2),
		KERNEL("exec-thread", 0, 2),
		KERNEL("overflow", 128 + SIGSEGV, 1),
		KERNEL("overflow-alt", 128 + SIGSEGV, 1),
		KERNEL("handler-exit", 0, 2),
		KERNEL("oom", 128 + SIGKILL, 2),
		/* less than an arena each, and at full speed */
		{"kernel mode: main-thread, little", kernel_end, NULL, NULL,
		 &(struct end){"main-thread", 0, 1, NULL, false, 5000}},
		{"kernel mode: main-thread", kernel_end, NULL, NULL,
		 &(struct end){"main-thread", 0, 1, NULL, true, RECORDS}},
		KERNEL("join", 0, 1),
		BY_SIGNAL("wait", 128 + SIGKILL, 3),
		BY_SIGNAL("segv", 128 + SIGSEGV, 2),
		BY_SIGNAL("_exit", 0, 2),
		BY_SIGNAL("other-thread", 0, 2),
		BY_SIGNAL("overflow", 128 + SIGSEGV, 1),
		BY_SIGNAL("handler-exit", 0, 1),
		INPROC("return", 0, 3),
		INPROC("exit", 0, 3),
		INPROC("join", 0, 1),
		INPROC("stop-kill", 128 + SIGKILL, 3),
		INPROC("flush-kill", 128 + SIGKILL, 8),
		/* The stop comes amid a flush, as a rule, which must not switch levels on again; there
		 * is more to record then, and arenas may be full. */
		{"in-process: stop-kill, flushing", inproc_end, NULL, NULL,
		 &(struct end){"stop-kill", 128 + SIGKILL, 12, "QSLOG_FLUSH_MS=1", true, 4000000}},
	};

	e2e_tracefs();
	alarm(getenv("TEST_WAIT_MS") ? 600 : 170);
	seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);
	print_message("TEST_SEED=%u\n", seed);
	if (only) /* a pattern of names */
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
