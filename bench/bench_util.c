/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_util.c - what all benchmarks share. Two benchmarks at once would measure each other, so
 * each holds a lock on one file of the machine while it runs. An alarm ends a run that hangs.
 */
#include "bench_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "counter.h"

#ifndef QSLOG_VERSION
#define QSLOG_VERSION "unknown"
#endif

#define LOCK_NAME "qslog-bench.lock"
#define LOCK_WAIT_NS UINT64_C(900000000000)
#define FILES_MAX 16
#define NS_PER_S UINT64_C(1000000000)

uint64_t bench_ticks(void)
{
	uint64_t value;

#if defined(__x86_64__)
	__builtin_ia32_lfence();
	value = counter_now();
	__builtin_ia32_lfence();
#else
	__asm__ volatile("isb" : : : "memory");
	value = counter_now();
	__asm__ volatile("isb" : : : "memory");
#endif
	return value;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t bench_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t bench_thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void bench_sleep_ns(uint64_t ns)
{
	const struct timespec rest = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

	(void)nanosleep(&rest, NULL); /* callers look at the clock */
}

static double ns_per_tick_measure(void)
{
	uint64_t ns = bench_monotonic_ns(), ticks = bench_ticks(), ns_end;

	do {
		bench_sleep_ns(20000000);
		ns_end = bench_monotonic_ns();
	} while (ns_end - ns < 100000000);
	return (double)(ns_end - ns) / (double)(bench_ticks() - ticks);
}

/* The letter behind the name in /proc/PID/stat. */
char bench_process_state(pid_t pid)
{
	char path[64], text[512], *after;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 'X';
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 'X';
	text[n] = '\0';
	after = strrchr(text, ')');
	return after && after[1] == ' ' ? after[2] : 'X';
}

/* --- Order statistics */

static int double_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int u32_compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static size_t rank_of(size_t cnt, double p)
{
	const size_t rank = (size_t)(p * (double)(cnt - 1) + 0.5);

	return rank < cnt ? rank : cnt - 1;
}

double bench_percentile(double *values, size_t cnt, double p)
{
	if (!cnt)
		return NAN;
	qsort(values, cnt, sizeof(*values), double_compare);
	return values[rank_of(cnt, p)];
}

uint32_t bench_percentile_u32(uint32_t *values, size_t cnt, double p)
{
	if (!cnt)
		return 0;
	qsort(values, cnt, sizeof(*values), u32_compare);
	return values[rank_of(cnt, p)];
}

/* --- Files */

static const char *temporary_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/tmp";
}

/* What a signal handler has to remove: of the one benchmark of this process. */
static struct {
	const char *dir;
	char paths[FILES_MAX][PATH_MAX];
	unsigned int cnt;
} leftovers;

static void leftover_add(const char *path)
{
	unsigned int i;

	for (i = 0; i < leftovers.cnt; i++)
		if (strcmp(leftovers.paths[i], path) == 0)
			return;
	if (i < FILES_MAX && snprintf(leftovers.paths[i], PATH_MAX, "%s", path) < PATH_MAX)
		leftovers.cnt++;
}

static void give_up(int sig)
{
	static const char late[] = "bench: the run takes too long, and is ended\n";
	unsigned int i;

	if (sig == SIGALRM)
		(void)!write(STDERR_FILENO, late, sizeof(late) - 1);
	for (i = 0; i < leftovers.cnt; i++)
		(void)unlink(leftovers.paths[i]);
	if (leftovers.dir)
		(void)rmdir(leftovers.dir);
	_exit(sig == SIGALRM ? 1 : 128 + sig);
}

static int signals_take(void)
{
	static const int signals[] = { SIGALRM, SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	const struct sigaction action = { .sa_handler = give_up };
	unsigned int i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &action, NULL))
			return -errno;
	return 0;
}

void bench_path(const struct bench *b, char *out, const char *name)
{
	char tail[PATH_MAX];

	if (snprintf(out, PATH_MAX, "%s/%s", b->dir, name) >= PATH_MAX) {
		fprintf(stderr, "bench-%s: the path of %s is too long\n", b->name, name);
		exit(1);
	}
	leftover_add(out);
	if (snprintf(tail, sizeof(tail), "%s.tail", out) < (int)sizeof(tail))
		leftover_add(tail);
}

void bench_remove(const char *path)
{
	char tail[PATH_MAX];

	(void)unlink(path); /* both may not exist */
	if (snprintf(tail, sizeof(tail), "%s.tail", path) < (int)sizeof(tail))
		(void)unlink(tail);
}

static void dir_remove(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	if (!d)
		return;
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	if (rmdir(dir))
		fprintf(stderr, "bench: %s is left behind: %s\n", dir, strerror(errno));
}

int bench_build_dir(char out[PATH_MAX])
{
	const char *build = getenv("BUILD");
	ssize_t len;
	int i;

	if (build && *build)
		return snprintf(out, PATH_MAX, "%s", build) < PATH_MAX ? 0 : -ENAMETOOLONG;
	len = readlink("/proc/self/exe", out, PATH_MAX - 1);
	if (len < 0)
		return -errno;
	out[len] = '\0';
	for (i = 0; i < 2; i++) { /* build/bench/NAME */
		char *slash = strrchr(out, '/');

		if (!slash)
			return -ENOENT;
		*slash = '\0';
	}
	return 0;
}

/* --- One at a time */

static int lock_take(struct bench *b)
{
	const uint64_t until = bench_monotonic_ns() + LOCK_WAIT_NS;
	char path[PATH_MAX];
	int said = 0;

	if (snprintf(path, sizeof(path), "%s/" LOCK_NAME, temporary_dir()) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	b->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (b->lock_fd < 0) /* another user's */
		b->lock_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (b->lock_fd < 0)
		return -errno;
	while (flock(b->lock_fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (bench_monotonic_ns() > until)
			return -ETIMEDOUT;
		if (!said++)
			fprintf(stderr, "bench-%s: another benchmark is running, waiting for it\n",
				b->name);
		bench_sleep_ns(200000000);
	}
	return 0;
}

/* --- Header */

static void first_value(char *out, size_t size, const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	char line[4096];

	snprintf(out, size, "unknown");
	while (file && fgets(line, sizeof(line), file)) {
		const char *value = line;

		if (key) {
			if (strncmp(line, key, strlen(key)) != 0)
				continue;
			value = strchr(line, ':');
			value = value ? value + 1 + (value[1] == ' ') : line;
		}
		snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
		break;
	}
	if (file)
		fclose(file);
}

static void header_print(const struct bench *b)
{
	char cpu[256], load[128], flags[4096], build[PATH_MAX], path[PATH_MAX + 16];
	struct utsname system = { .release = "unknown", .machine = "unknown" };
	char *bpf;

	(void)uname(&system);
	first_value(cpu, sizeof(cpu), "/proc/cpuinfo", "model name");
	first_value(load, sizeof(load), "/proc/loadavg", NULL);
	snprintf(flags, sizeof(flags), "unknown");
	if (bench_build_dir(build) == 0) {
		snprintf(path, sizeof(path), "%s/obj/flags", build);
		first_value(flags, sizeof(flags), path, NULL);
	}
	bpf = strstr(flags, " -target bpf");
	if (bpf)
		*bpf = '\0';
	printf("# bench-%s, qslog %s\n", b->name, QSLOG_VERSION);
	printf("# machine   %s, %ld CPUs, counter %.1f MHz, load %s\n", cpu,
	       sysconf(_SC_NPROCESSORS_ONLN), 1e3 / b->ns_per_tick, load);
	printf("# kernel    %s %s\n", system.release, system.machine);
	printf("# compiler  %s %s\n",
#ifdef __clang__
	       "",
#else
	       "gcc",
#endif
	       __VERSION__);
	printf("# flags     %s\n", flags);
	fflush(stdout);
}

int bench_begin(struct bench *b, const char *name, unsigned int limit_seconds)
{
	int err;

	memset(b, 0, sizeof(*b));
	b->name = name;
	err = lock_take(b);
	if (err) {
		fprintf(stderr, "bench-%s: cannot lock out other benchmarks: %s\n", name,
			strerror(-err));
		return err;
	}
	if (snprintf(b->dir, sizeof(b->dir), "%s/qslog-bench.XXXXXX", temporary_dir()) >=
	    (int)sizeof(b->dir))
		return -ENAMETOOLONG;
	if (!mkdtemp(b->dir)) {
		err = -errno;
		fprintf(stderr, "bench-%s: cannot make a folder %s: %s\n", name, b->dir,
			strerror(-err));
		return err;
	}
	leftovers.dir = b->dir;
	err = signals_take();
	if (err)
		return err;
	alarm(limit_seconds);
	b->ns_per_tick = ns_per_tick_measure();
	b->deadline_ns = bench_monotonic_ns() + limit_seconds * NS_PER_S * 8 / 10;
	header_print(b);
	return 0;
}

int bench_end(struct bench *b)
{
	alarm(0);
	dir_remove(b->dir);
	close(b->lock_fd);
	if (fflush(stdout)) {
		fprintf(stderr, "bench-%s: standard output: %s\n", b->name, strerror(errno));
		return 1;
	}
	return b->failures ? 1 : 0;
}

void bench_fail(struct bench *b, const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "bench-%s: ", b->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	b->failures++;
}

uint64_t bench_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}
