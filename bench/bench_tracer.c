/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_tracer.c - starts qslog-trace of this build on the benchmark's own process, the way a user
 * does (the size of the ring buffer is its default, but has to be known here), and ends it the way a
 * user does. Its messages come through a pipe: the line that says that it is attached, and the
 * summary. Every wait has an end.
 */
#include "bench_tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_calls.h"
#include "bench_util.h"

#define START_WAIT_NS UINT64_C(15000000000)
#define STOP_WAIT_NS UINT64_C(30000000000)
#define IDLE_WAIT_NS UINT64_C(1000000000)
#define IDLE_LOOKS 3

/* Reads what it says until `wanted` appears (0), it has ended (-ESRCH) or the time is over. */
static int listen_until(struct tracer *t, const char *wanted, uint64_t wait_ns)
{
	const uint64_t until = bench_monotonic_ns() + wait_ns;

	for (;;) {
		struct pollfd ready = { .fd = t->stderr_fd, .events = POLLIN };
		uint64_t now = bench_monotonic_ns();
		unsigned int room = (unsigned int)sizeof(t->text) - 1 - t->text_len;
		ssize_t n;

		if (wanted && strstr(t->text, wanted))
			return 0;
		if (now >= until)
			return -ETIMEDOUT;
		if (!room) {
			t->text_len = 0;
			continue;
		}
		if (poll(&ready, 1, (int)((until - now) / 1000000 + 1)) <= 0)
			continue;
		n = read(t->stderr_fd, t->text + t->text_len, room);
		if (n == 0)
			return -ESRCH;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			t->text_len += (unsigned int)n;
		t->text[t->text_len] = '\0';
	}
}

static int cpu_read(const struct tracer *t, uint64_t *ns)
{
	struct timespec cpu;
	clockid_t clock;
	int err = clock_getcpuclockid(t->pid, &clock);

	if (err)
		return -err;
	if (clock_gettime(clock, &cpu))
		return -errno;
	*ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	return 0;
}

/* Ends it for sure, and collects it. */
static void tracer_end(struct tracer *t, struct rusage *usage)
{
	memset(usage, 0, sizeof(*usage));
	while (wait4(t->pid, NULL, 0, usage) < 0 && errno == EINTR)
		;
	close(t->stderr_fd);
	t->pid = 0;
	t->stderr_fd = -1;
}

static void run(const char *output, pid_t target, int stderr_fd)
{
	char build[PATH_MAX], path[PATH_MAX + 16], pid[16];

	if (bench_build_dir(build))
		_exit(127);
	snprintf(path, sizeof(path), "%s/qslog-trace", build);
	snprintf(pid, sizeof(pid), "%d", (int)target);
	if (dup2(stderr_fd, STDERR_FILENO) < 0)
		_exit(127);
	execl(path, "qslog-trace", "-p", pid, "-o", output, "--ring-size", TRACER_RING_TEXT,
	      (char *)NULL);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", path, strerror(errno));
	_exit(127);
}

int tracer_start(struct tracer *t, const char *output)
{
	const pid_t target = getpid();
	struct rusage usage;
	int fds[2], err;

	memset(t, 0, sizeof(*t));
	t->stderr_fd = -1;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	fflush(stdout);
	t->pid = fork();
	if (t->pid == 0)
		run(output, target, fds[1]);
	err = t->pid < 0 ? -errno : 0;
	close(fds[1]);
	t->stderr_fd = fds[0];
	if (err) {
		close(fds[0]);
		return err;
	}
	err = listen_until(t, "attached", START_WAIT_NS);
	if (!err && !calls_heard())
		err = -ENODATA;
	if (!err)
		err = cpu_read(t, &t->cpu_at_start_ns);
	if (err) {
		kill(t->pid, SIGKILL);
		tracer_end(t, &usage);
	}
	return err;
}

void tracer_idle_wait(const struct tracer *t)
{
	const uint64_t until = bench_monotonic_ns() + IDLE_WAIT_NS;
	int idle = 0;

	while (idle < IDLE_LOOKS && bench_monotonic_ns() < until) {
		bench_sleep_ns(500000);
		idle = bench_process_state(t->pid) == 'S' ? idle + 1 : 0;
	}
}

int tracer_stop(struct tracer *t)
{
	unsigned long long records, lost;
	struct rusage usage;
	const char *summary;
	uint64_t used;
	int err;

	kill(t->pid, SIGINT);
	err = listen_until(t, NULL, STOP_WAIT_NS);
	if (err == -ESRCH)
		err = 0;
	else
		kill(t->pid, SIGKILL);
	tracer_end(t, &usage);
	if (err)
		return err;
	used = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
	t->cpu_ns = used > t->cpu_at_start_ns ? used - t->cpu_at_start_ns : 0;
	summary = strstr(t->text, "records=");
	if (!summary || sscanf(summary, "records=%llu lost=%llu", &records, &lost) != 2)
		return -EPROTO;
	t->records = records;
	t->lost = lost;
	return 0;
}
