// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_inproc.c - in-process mode through its API: options and their errors, start and stop, the
 * environment, fork, and what the collector costs while nothing happens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QSLOG_TAG "inproc"
#include "qslog.h"
#include "reader.h"

static int start(const char *path, int level)
{
	struct qslog_options o = QSLOG_OPTIONS_INIT;

	o.path = path;
	o.level = level;
	return qslog_start(&o);
}

/* How many logs of each level; returns the sum. */
static uint64_t records_count(const char *path, uint64_t levels[QSLOG_LEVEL_COUNT])
{
	const struct record *record;
	struct reader *reader;
	uint64_t sum = 0;
	int more;

	memset(levels, 0, QSLOG_LEVEL_COUNT * sizeof(*levels));
	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	while ((more = reader_next(reader, &record)) > 0) {
		assert_int_equal(record->kind, RECORD_LOG);
		assert_string_equal(record->format->tag, "inproc");
		assert_int_equal(record->thread->process->pid, getpid());
		levels[record->format->level]++;
		sum++;
	}
	assert_int_equal(more, 0);
	reader_close(reader);
	return sum;
}

static void all_levels_log(void)
{
	QSLOGV("v");
	QSLOGD("d");
	QSLOGI("i");
	QSLOGW("w");
	QSLOGE("e");
	QSLOGF("f");
}

static void options_are_checked(void **state)
{
	const char *path = e2e_path("options.qslog");
	struct qslog_options o = QSLOG_OPTIONS_INIT;

	(void)state;
	assert_int_equal(qslog_stop(), -ESRCH);
	assert_int_equal(qslog_start(NULL), -EINVAL); /* no path, no environment */
	assert_int_equal(start("", -1), -EINVAL);
	assert_int_equal(start(path, QSLOG_LEVEL_COUNT + 1), -EINVAL);
	assert_int_equal(start(path, -2), -EINVAL);
	assert_int_equal(start(e2e_path("missing/x.qslog"), -1), -ENOENT);
	o.path = path;
	o.size = sizeof(o) + 8;
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.size = sizeof(o);
	o.flush_ms = 60001;
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.flush_ms = 0;
	o.arena_bytes = 262144 + 4096; /* no power of two */
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.arena_bytes = 131072;
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.arena_bytes = 134217728;
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.arena_bytes = 0;
	o.on_full = 2;
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.on_full = -2;
	assert_int_equal(qslog_start(&o), -EINVAL);
	assert_int_equal(access(path, F_OK), -1); /* none of them left a file */
	assert_int_equal(qslog_stop(), -ESRCH);
}

/* As many bytes as `len` says. */
static const char *long_path(char *path, size_t len)
{
	snprintf(path, len + 1, "%s", e2e_path(""));
	memset(path + strlen(path), 'x', len - strlen(path));
	path[len] = '\0';
	return path;
}

static void paths_are_checked(void **state)
{
	char path[8192];
	const char *fifo = e2e_path("fifo"), *link = e2e_path("link");

	(void)state;
	assert_int_equal(start(e2e_path("."), -1), -EISDIR);
	assert_int_equal(start("/dev/full", -1), -ENOSPC);
	assert_int_equal(start("/proc/no-such-file", -1), -ENOENT);
	assert_int_equal(start("/dev/null/x", -1), -ENOTDIR);
	assert_int_equal(start(long_path(path, 300), -1), -ENAMETOOLONG); /* of a name */
	assert_int_equal(start(long_path(path, 8000), -1), -ENAMETOOLONG);
	assert_int_equal(symlink("nowhere", link), 0);
	assert_int_equal(start(link, -1), -ELOOP); /* none is followed */
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(start(fifo, -1), -ENXIO); /* nobody reads it; it does not wait for one */
	assert_int_equal(qslog_stop(), -ESRCH);
}

static void null_is_checked(void **state)
{
	struct qslog_context context = {{1, 2}, 3, 4};
	struct qslog_value value;
	struct qslog_span span;

	(void)state;
	memset(&value, 0, sizeof(value));
	qslog_stats_get(NULL);
	assert_int_equal(qslog_context_get(NULL), -EINVAL);
	assert_int_equal(qslog_traceparent_parse(NULL, &context), -EINVAL);
	assert_int_equal(qslog_traceparent_parse(
				 "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL),
			 -EINVAL);
	assert_int_equal(context.flags, 4);
	errno = 0;
	assert_null(qslog_site_register(NULL));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(qslog_log_values(NULL, &value, 1), -EINVAL);
	span = qslog_span_enter(NULL, &value, 1);
	assert_null(span.site);
	qslog_span_end(&span);
	assert_int_equal(qslog_set_level("", QSLOG_LEVEL_INFO), -EINVAL);
	assert_int_equal(qslog_set_level(NULL, QSLOG_LEVEL_COUNT + 1), -EINVAL);
	assert_int_equal(qslog_thread_prepare(~0u), -EINVAL);
	/* and where NULL has a meaning */
	{
		QSLOG_LOCAL_PARENT(NULL);
		assert_int_equal(qslog_context_get(&context), 0);
		assert_true(context.trace.high || context.trace.low);
	}
	assert_int_equal(start(e2e_path("null.qslog"), -1), 0);
	QSLOGI("{} {} {}", (const char *)NULL, qslog_strn(NULL, 5), qslog_bytes(NULL, 5));
	assert_int_equal(qslog_stop(), 0);
}

static void environment_is_checked(void **state)
{
	static const char *const bad[][2] = {
		{"QSLOG_LEVEL", "Q"}, {"QSLOG_LEVEL", ""}, {"QSLOG_FLUSH_MS", "0"},
		{"QSLOG_FLUSH_MS", "soon"}, {"QSLOG_FLUSH_MS", "-1"}, {"QSLOG_ARENA_SIZE", "1K"},
		{"QSLOG_ARENA_SIZE", "300K"}, {"QSLOG_ARENA_SIZE", "256X"},
		{"QSLOG_ON_FULL", "wait"}, {"QSLOG_ON_FULL", ""}, {"QSLOG_NICE", "20"},
		{"QSLOG_NICE", "-21"}, {"QSLOG_NICE", ""}, {"QSLOG_NICE", "5x"},
	};
	uint64_t levels[QSLOG_LEVEL_COUNT];
	const char *path = e2e_path("environment.qslog");
	size_t i;

	(void)state;
	setenv("QSLOG_FILE", path, 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv(bad[i][0], bad[i][1], 1);
		if (qslog_start(NULL) != -EINVAL)
			fail_msg("%s=%s was taken", bad[i][0], bad[i][1]);
		unsetenv(bad[i][0]);
	}
	setenv("QSLOG_LEVEL", "error", 1);
	setenv("QSLOG_ARENA_SIZE", "1M", 1);
	setenv("QSLOG_FLUSH_MS", "10", 1);
	assert_int_equal(qslog_start(NULL), 0);
	all_levels_log();
	assert_int_equal(qslog_stop(), 0);
	unsetenv("QSLOG_FILE");
	unsetenv("QSLOG_LEVEL");
	unsetenv("QSLOG_ARENA_SIZE");
	unsetenv("QSLOG_FLUSH_MS");
	assert_int_equal(records_count(path, levels), 2);
	assert_int_equal(levels[QSLOG_LEVEL_ERROR], 1);
	assert_int_equal(levels[QSLOG_LEVEL_FATAL], 1);
}

static void environment_starts_and_exit_stops(void **state)
{
	const char *path = e2e_path("from-environment.qslog"), *shared = e2e_path("shared");
	const char *argv[] = {e2e_build("tests/fixtures/workload.inproc"), "-s", shared, "-t", "3",
			      "-n", "1000", NULL};
	struct shared *s = shared_open(shared);
	struct counted counted;
	char output[4096];
	const char *environment[] = {output, "QSLOG_LEVEL=W", NULL};
	struct proc app;

	(void)state;
	snprintf(output, sizeof(output), "QSLOG_FILE=%s", path);
	proc_start(&app, argv, environment);
	assert_int_equal(proc_wait(&app), 0);
	/* Every 16th record of the workload is a warning. */
	counts_check(path, s, 3, EXPECT_PART, &counted);
	assert_int_equal(counted.delivered, 3 * (1000 / 16));
	assert_int_equal(counted.lost, 0);
	shared_close(s);
}

static void levels_are_off_and_on(void **state)
{
	const char *path = e2e_path("levels.qslog"), *again = e2e_path("again.qslog");
	uint64_t levels[QSLOG_LEVEL_COUNT];
	int i;

	(void)state;
	all_levels_log(); /* nobody listens */
	assert_int_equal(start(path, QSLOG_LEVEL_INFO), 0);
	assert_int_equal(start(again, -1), -EALREADY);
	for (i = 0; i < 1000; i++)
		all_levels_log();
	assert_int_equal(qslog_flush(), 0);
	/* What was flushed can be read while the collector goes on. */
	assert_int_equal(records_count(path, levels), 4000);
	all_levels_log();
	assert_int_equal(qslog_stop(), 0);
	assert_int_equal(qslog_stop(), -ESRCH);
	assert_int_equal(qslog_flush(), 0);
	all_levels_log(); /* nobody listens any more */
	assert_int_equal(records_count(path, levels), 4004);
	assert_int_equal(levels[QSLOG_LEVEL_VERBOSE] + levels[QSLOG_LEVEL_DEBUG], 0);
	assert_int_equal(levels[QSLOG_LEVEL_INFO], 1001);

	/* A second file begins where it begins. */
	assert_int_equal(start(again, -1), 0);
	all_levels_log();
	assert_int_equal(qslog_stop(), 0);
	assert_int_equal(records_count(again, levels), 6);
}

static void errno_is_preserved(void **state)
{
	(void)state;
	errno = 4711;
	assert_int_equal(start(e2e_path("errno.qslog"), -1), 0);
	QSLOGI("first record of a life takes the slow way {}", errno);
	(void)qslog_flush();
	(void)qslog_stop();
	(void)start("", -1);
	assert_int_equal(errno, 4711);
}

static void child_of_a_fork(void **state)
{
	const char *path = e2e_path("fork.qslog"), *own = e2e_path("child.qslog");
	uint64_t levels[QSLOG_LEVEL_COUNT];
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(start(path, -1), 0);
	all_levels_log();
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		/* Nobody collects here, until it says so; flush and stop do not hang. */
		alarm(20);
		all_levels_log();
		if (qslog_flush() || qslog_stop() != -ESRCH)
			_exit(1);
		if (start(own, -1))
			_exit(2);
		QSLOGI("child");
		if (qslog_stop() || records_count(own, levels) != 1)
			_exit(3);
		_exit(0);
	}
	all_levels_log();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	all_levels_log();
	assert_int_equal(qslog_stop(), 0);
	assert_int_equal(records_count(path, levels), 18);
}

/* The collector's time on a CPU, in nanoseconds. */
static uint64_t collector_cpu_ns(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned long long ns = 0;
	bool found = false;

	assert_non_null(tasks);
	while (!found && (entry = readdir(tasks))) {
		char path[320], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
		if (!file)
			continue;
		found = fgets(name, sizeof(name), file) && strcmp(name, "qslog\n") == 0;
		fclose(file);
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", entry->d_name);
		file = found ? fopen(path, "r") : NULL;
		if (file) {
			assert_int_equal(fscanf(file, "%llu", &ns), 1);
			fclose(file);
		}
	}
	closedir(tasks);
	assert_true(found);
	return ns;
}

static void idle_costs_nothing(void **state)
{
	const struct itimerspec second = {.it_value = {.tv_sec = 1}};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct pollfd fd = {timer, POLLIN, 0};
	struct timespec from, to;
	uint64_t cpu, elapsed;

	(void)state;
	assert_true(timer >= 0);
	assert_int_equal(start(e2e_path("idle.qslog"), -1), 0);
	QSLOGI("once");
	assert_int_equal(qslog_flush(), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	cpu = collector_cpu_ns();
	assert_int_equal(timerfd_settime(timer, 0, &second, NULL), 0);
	assert_int_equal(poll(&fd, 1, 10000), 1);
	cpu = collector_cpu_ns() - cpu;
	clock_gettime(CLOCK_MONOTONIC, &to);
	elapsed = (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000u + (uint64_t)to.tv_nsec -
		  (uint64_t)from.tv_nsec;
	print_message("%llu us of CPU in %llu us\n", (unsigned long long)cpu / 1000,
		      (unsigned long long)elapsed / 1000);
	assert_true(cpu < elapsed / 100);
	close(timer);
	assert_int_equal(qslog_stop(), 0);
}

/* The nice value of the thread with this name; -100: there is none. */
static int nice_of(const char *wanted)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	char path[320], name[32];
	int found = -100;
	FILE *file;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file && fscanf(file, "%31s", name) == 1 && strcmp(name, wanted) == 0)
			found = getpriority(PRIO_PROCESS, (id_t)atoi(entry->d_name));
		if (file)
			fclose(file);
	}
	closedir(dir);
	return found;
}

/* Of the collector's thread alone; lowering is always allowed. */
static void nice_is_the_collectors(void **state)
{
	const int own = getpriority(PRIO_PROCESS, 0), lower = own + 3 < 19 ? own + 3 : 19;
	char value[16];

	(void)state;
	assert_int_equal(start(e2e_path("nice.qslog"), -1), 0);
	assert_int_equal(qslog_flush(), 0);
	assert_int_equal(nice_of("qslog"), own);
	assert_int_equal(qslog_stop(), 0);
	snprintf(value, sizeof(value), "%d", lower);
	setenv("QSLOG_NICE", value, 1);
	assert_int_equal(start(e2e_path("nice.qslog"), -1), 0);
	assert_int_equal(qslog_flush(), 0); /* it runs */
	assert_int_equal(nice_of("qslog"), lower);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), own);
	assert_int_equal(qslog_stop(), 0);
	unsetenv("QSLOG_NICE");
}

/* A thread that logs while the collector cannot write: see below. */
struct flood {
	int fifo;      /* that the file goes to */
	uint64_t seed, records;
};

static void flood_records(struct flood *f, uint64_t cnt)
{
	uint64_t i;

	for (i = 0; i < cnt; i++) {
		f->seed = f->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		QSLOGI("{}", f->seed);
	}
	f->records += cnt;
}

static void *flood_main(void *arg)
{
	struct flood *f = arg;
	struct pollfd block = {f->fifo, POLLIN, 0};

	flood_records(f, 1000);
	(void)poll(&block, 1, -1); /* more than the pipe holds: the collector waits now */
	flood_records(f, 550000);
	return NULL;
}

static void *stop_main(void *arg)
{
	*(int *)arg = qslog_stop();
	return NULL;
}

/* The collector is held until most of an arena is full: it does not take the time to pack that. */
static void held_collector_makes_haste(void **state)
{
	const char *fifo = e2e_path("held"), *path = e2e_path("held.qslog");
	struct qslog_options o = QSLOG_OPTIONS_INIT;
	struct flood flood = {.seed = 1};
	struct reader_totals totals;
	const struct record *record;
	struct reader *reader;
	static char data[65536];
	pthread_t thread;
	int out, stopped = 1;
	ssize_t n;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	flood.fifo = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(flood.fifo >= 0);
	assert_true(fcntl(flood.fifo, F_SETPIPE_SZ, 1) >= 0); /* one page */
	out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(out >= 0);
	o.path = fifo;
	o.arena_bytes = 16 << 20;
	assert_int_equal(qslog_start(&o), 0);
	n = read(flood.fifo, data, sizeof(data)); /* what the file begins with */
	assert_true(n > 0);
	assert_int_equal(write(out, data, (size_t)n), n);
	assert_int_equal(pthread_create(&thread, NULL, flood_main, &flood), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, stop_main, &stopped), 0);
	assert_int_equal(fcntl(flood.fifo, F_SETFL, 0), 0);
	while ((n = read(flood.fifo, data, sizeof(data))) > 0)
		assert_int_equal(write(out, data, (size_t)n), n);
	assert_int_equal(n, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(stopped, 0);
	close(flood.fifo);
	close(out);
	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	while (reader_next(reader, &record) > 0)
		;
	reader_totals_get(reader, &totals);
	reader_close(reader);
	assert_int_equal(totals.records, flood.records);
	assert_int_equal(totals.lost, 0);
	assert_true(totals.blocks_hasty > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(paths_are_checked),
		cmocka_unit_test(null_is_checked),
		cmocka_unit_test(environment_is_checked),
		cmocka_unit_test(environment_starts_and_exit_stops),
		cmocka_unit_test(levels_are_off_and_on),
		cmocka_unit_test(errno_is_preserved),
		cmocka_unit_test(child_of_a_fork),
		cmocka_unit_test(idle_costs_nothing), cmocka_unit_test(nice_is_the_collectors),
		cmocka_unit_test(held_collector_makes_haste),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
