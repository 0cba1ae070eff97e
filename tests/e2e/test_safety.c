// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_safety.c - recording is safe wherever a program goes: the safety_* fixtures go there, and
 * here the file is compared with what they issued. Each record is there once, whole and in order,
 * or counted as lost. In both modes. (needs-bpf)
 *
 * With SOAK=1 (make soak) the same at greater length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../fixtures/safety.h"
#include "reader.h"
#include "recover.h"

struct result {
	struct safety *shared;
	uint64_t issued, delivered, lost, others, spans;
	bool stays;	  /* the program says that it is done, and ends after the tracer */
	bool cut;	  /* the last call of a source may have been cut, and be there */
	uint64_t sources; /* those below are this process's, what others issued is not here */
};

static bool soak;

static struct safety *safety_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	struct safety *s;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*s)), 0);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(s, MAP_FAILED);
	close(fd);
	return s;
}

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	(void)arg;
	fail_msg("%s: damaged at byte %llu: %s", path, (unsigned long long)offset, what);
}

static void record_take(const struct record *r, struct result *out, uint64_t *next)
{
	uint64_t source, seq;

	if (r->kind == RECORD_LOSS) {
		out->lost += r->lost;
		return;
	}
	if (r->kind != RECORD_LOG || strcmp(r->format->tag, SAFETY_TAG) != 0 ||
	    r->format->arg_cnt != 3) {
		out->spans += r->kind != RECORD_LOG;
		out->others++;
		return;
	}
	source = r->values[0].u;
	seq = r->values[1].u;
	if (source >= SAFETY_SOURCES || r->values[2].u != safety_sum(source, seq))
		fail_msg("a damaged record: source %llu, sequence %llu, sum %llx",
			 (unsigned long long)source, (unsigned long long)seq,
			 (unsigned long long)r->values[2].u);
	if (seq < next[source])
		fail_msg("source %llu: %llu came behind %llu: a duplicate, or out of order",
			 (unsigned long long)source, (unsigned long long)seq,
			 (unsigned long long)next[source] - 1);
	next[source] = seq + 1;
	out->delivered++;
}

static void file_take(const char *file, struct result *out)
{
	uint64_t *next = calloc(SAFETY_SOURCES, sizeof(*next));
	const struct record *record;
	struct reader *reader;
	uint32_t i;
	int more;

	assert_non_null(next);
	assert_int_equal(reader_open(&reader, file, damage, NULL), 0);
	while ((more = reader_next(reader, &record)) > 0)
		record_take(record, out, next);
	assert_int_equal(more, 0);
	reader_close(reader);
	for (i = 0; i < SAFETY_SOURCES; i++) {
		if (out->sources && i >= out->sources) {
			if (next[i])
				fail_msg("a record of source %u, another process", i);
			continue;
		}
		out->issued += out->shared->issued[i];
		if (next[i] > out->shared->issued[i] + out->cut)
			fail_msg("source %u: %llu is there, but only %llu were issued", i,
				 (unsigned long long)next[i] - 1,
				 (unsigned long long)out->shared->issued[i]);
	}
	free(next);
}

static void account(const struct result *r, const char *what)
{
	print_message("%s: %llu issued, %llu in the file, %llu lost, %llu other; %llu interruptions\n",
		      what, (unsigned long long)r->issued, (unsigned long long)r->delivered,
		      (unsigned long long)r->lost, (unsigned long long)r->others,
		      (unsigned long long)r->shared->interruptions);
	assert_true(r->issued > 0);
	if (r->delivered + r->lost != r->issued)
		fail_msg("%s: %llu are missing", what,
			 (unsigned long long)(r->issued - r->delivered - r->lost));
}

static void result_free(struct result *r)
{
	munmap(r->shared, sizeof(*r->shared));
}

/* As proc_wait(), for programs that may take longer and print little. */
static int long_wait(struct proc *p)
{
	struct pollfd fd = {p->pidfd, POLLIN, 0};

	if (poll(&fd, 1, soak ? 1200000 : 150000) != 1) {
		kill(p->pid, SIGKILL);
		fail_msg("process %d does not end", p->pid);
	}
	return proc_wait(p);
}

/* Runs FIXTURE SHARED MODE [NUMBERS...] with the in-process collector. */
static void inproc_run(struct result *out, const char *fixture, const char *mode,
		       const char *const *more, const char *full)
{
	const char *file = e2e_path("inproc.qslog"), *shared = e2e_path("shared");
	char program[256], output[4096], on_full[64];
	const char *argv[12] = {NULL, shared, mode};
	const char *environment[] = {output, on_full, NULL};
	struct proc app;
	int i;

	snprintf(program, sizeof(program), "tests/fixtures/%s.inproc", fixture);
	argv[0] = e2e_build(program);
	for (i = 0; more && more[i] && i < 8; i++)
		argv[3 + i] = more[i];
	snprintf(output, sizeof(output), "QSLOG_FILE=%s", file);
	snprintf(on_full, sizeof(on_full), "QSLOG_ON_FULL=%s", full);
	*out = (struct result){.sources = out->sources, .cut = out->cut};
	(void)unlink(file);
	out->shared = safety_map(shared);
	proc_start(&app, argv, environment);
	if (long_wait(&app))
		fail_msg("%s %s: status %x: %s%s", fixture, mode, (unsigned int)app.status,
			 app.text_out, app.text_err);
	file_take(file, out);
}

/* The same with the tracer, from before the first record. */
static void kernel_run(struct result *out, const char *fixture, const char *mode,
		       const char *const *more, int status)
{
	const char *file = e2e_path("kernel.qslog"), *shared = e2e_path("shared");
	char program[256], pid[16];
	const char *argv[12] = {NULL, shared, mode};
	const char *trace[] = {e2e_build("qslog-trace"), "--ring-size", "64M", "-p", pid, "-o", file,
			       NULL};
	struct summary summary;
	struct proc app, tracer;
	int i;

	snprintf(program, sizeof(program), "tests/fixtures/%s", fixture);
	argv[0] = e2e_build(program);
	for (i = 0; more && more[i] && i < 7; i++)
		argv[3 + i] = more[i];
	argv[3 + i] = "wait";
	*out = (struct result){.sources = out->sources, .cut = out->cut, .stays = out->stays};
	(void)unlink(file);
	out->shared = safety_map(shared);
	proc_start(&app, argv, NULL);
	proc_expect_out(&app, "ready");
	snprintf(pid, sizeof(pid), "%d", app.pid);
	proc_start(&tracer, trace, NULL);
	proc_expect_err(&tracer, "attached");
	proc_write(&app, "go\n");
	if (out->stays) {
		proc_expect_out(&app, "done");
		proc_kill(&tracer, SIGINT);
		assert_int_equal(long_wait(&tracer), 0);
		proc_write(&app, "end\n");
	}
	if (long_wait(&app) != status)
		fail_msg("%s %s: status %x: %s%s", fixture, mode, (unsigned int)app.status,
			 app.text_out, app.text_err);
	if (!out->stays)
		assert_int_equal(long_wait(&tracer), 0);
	file_take(file, out);
	summary_of(&tracer, &summary);
	assert_int_equal(summary.records, out->delivered + out->others);
	assert_int_equal(summary.lost, out->lost);
}

static const char *rounds(const char *few, const char *many)
{
	return soak ? many : few;
}

/* --- Signals */

#define TRAP_SOURCE 8

static void storm_inproc(void **state)
{
	const char *more[] = {soak ? "3000000" : "50000", soak ? "3" : "1", NULL};
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_signals", "storm", more, "block");
	account(&r, "storm, in-process");
	result_free(&r);
}

static void storm_kernel(void **state)
{
	const char *more[] = {soak ? "3000000" : "50000", soak ? "3" : "1", NULL};
	struct result r = {.sources = 0};

	(void)state;
	kernel_run(&r, "safety_signals", "storm", more, 0);
	account(&r, "storm, kernel");
	result_free(&r);
}

static void trap_check(const struct result *r, const char *what, uint64_t steps)
{
	account(r, what);
	if (r->shared->facts[4]) {
		print_message("no single steps on this architecture\n");
		return;
	}
	assert_true(r->shared->interruptions >= steps);
	assert_true(r->shared->issued[TRAP_SOURCE] > 0);
	assert_true(r->shared->issued[TRAP_SOURCE + 1] > steps / 100);
}

static void trap_inproc(void **state)
{
	const char *more[] = {rounds("100000", "5000000"), NULL};
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_signals", "trap", more, "block");
	trap_check(&r, "a handler behind every instruction, in-process", strtoull(more[0], NULL, 10));
	result_free(&r);
}

static void trap_kernel(void **state)
{
	const char *more[] = {rounds("100000", "5000000"), NULL};
	struct result r = {.sources = 0};

	(void)state;
	kernel_run(&r, "safety_signals", "trap", more, 0);
	trap_check(&r, "a handler behind every instruction, kernel", strtoull(more[0], NULL, 10));
	result_free(&r);
}

/* The child of the fixture has a file of its own. */
static void step_run(const char *clock)
{
	const char *file = e2e_path("step.qslog");
	const char *more[] = {file, soak ? "1" : "9", NULL};
	const char *argv[] = {e2e_build("tests/fixtures/safety_signals.inproc"),
			      e2e_path("shared"), "step", more[0], more[1], NULL};
	const char *environment[] = {clock, NULL};
	struct result r = {.sources = 0};
	struct proc app;

	(void)unlink(file);
	r.shared = safety_map(argv[1]);
	proc_start(&app, argv, environment);
	if (long_wait(&app))
		fail_msg("step: status %x: %s", (unsigned int)app.status, app.text_err);
	print_message("%s", app.text_err);
	if (r.shared->facts[4]) {
		print_message("no single steps on this architecture\n");
		result_free(&r);
		return;
	}
	file_take(file, &r);
	account(&r, "step");
	assert_int_equal(r.lost, 0);
	assert_int_equal(r.spans, 4); /* two, entered and left */
	assert_true(r.shared->facts[0] > 100);
	assert_true(r.shared->facts[3] >= r.shared->facts[0] / 10);
	result_free(&r);
}

static void step_inproc(void **state)
{
	(void)state;
	step_run("QSLOG_CLOCK=tsc");
}

/* Every record takes the way through the cold function. */
static void step_monotonic(void **state)
{
	(void)state;
	step_run("QSLOG_CLOCK=monotonic");
}

/* --- Fork */

#define CHILD_SOURCE 16
#define CHILD_RECORDS 2000

static void fork_inproc(void **state)
{
	const char *const modes[] = {"fork", "exec", "vfork"};
	const char *more[] = {rounds("30", "1000"), NULL};
	struct result r = {.sources = CHILD_SOURCE};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		inproc_run(&r, "safety_fork", modes[i], more, "block");
		account(&r, modes[i]);
		assert_int_equal(r.lost, 0);
		assert_int_equal(r.shared->issued[CHILD_SOURCE], i < 2 ? CHILD_RECORDS : 0);
		result_free(&r);
	}
}

static void fork_kernel(void **state)
{
	const char *const modes[] = {"fork", "exec", "bare", "vfork"};
	const char *more[] = {rounds("30", "1000"), NULL};
	struct result r = {.sources = CHILD_SOURCE};
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		kernel_run(&r, "safety_fork", modes[i], more, 0);
		account(&r, modes[i]);
		assert_int_equal(r.shared->issued[CHILD_SOURCE], i < 3 ? CHILD_RECORDS : 0);
		result_free(&r);
	}
}

/* Executed by the process itself, while its threads log: each of the two may be amid a call. */
#define SELF_CUT 2

static void self_check(const struct result *r, uint64_t issued, const char *what)
{
	print_message("%s: %llu issued before, %llu in the file, %llu lost\n", what,
		      (unsigned long long)issued, (unsigned long long)r->delivered,
		      (unsigned long long)r->lost);
	assert_true(issued > 10000);
	assert_true(r->delivered + r->lost >= issued);
	assert_true(r->delivered + r->lost <= issued + SELF_CUT);
}

/* What is executed finds that its predecessor has died, and keeps its file as FILE.1. */
static void self_inproc(void **state)
{
	struct result r = {.cut = true}, before = {.cut = true};
	char file[4096];

	(void)state;
	snprintf(file, sizeof(file), "%s", e2e_path("inproc.qslog.1"));
	(void)unlink(file);
	inproc_run(&r, "safety_fork", "self", NULL, "block");
	assert_int_equal(r.delivered, CHILD_RECORDS);
	assert_int_equal(r.lost, 0);
	before.shared = r.shared;
	file_take(file, &before);
	self_check(&before, r.issued - CHILD_RECORDS, "self, in-process");
	assert_int_equal(before.lost, 0);
	result_free(&r);
}

/* The tracer's process ends there. */
static void self_kernel(void **state)
{
	struct result r = {.cut = true};

	(void)state;
	kernel_run(&r, "safety_fork", "self", NULL, 0);
	self_check(&r, r.issued - CHILD_RECORDS, "self, kernel");
	result_free(&r);
	/* as on kernels before 6.16 */
	setenv("QSLOG_TRACE_HARVEST", "signal", 1);
	kernel_run(&r, "safety_fork", "self", NULL, 0);
	unsetenv("QSLOG_TRACE_HARVEST");
	self_check(&r, r.issued - CHILD_RECORDS, "self, kernel, by signal");
	result_free(&r);
}

/* Children that start collectors of their own, in files of their own. */
static void fork_restart(void **state)
{
	const char *more[] = {rounds("10", "200"), e2e_path("child.%p"), NULL};
	struct result r = {.sources = CHILD_SOURCE}, child;
	unsigned int children = 0;
	struct dirent *entry;
	DIR *dir;

	(void)state;
	inproc_run(&r, "safety_fork", "restart", more, "block");
	account(&r, "restart");
	dir = opendir(e2e_path("."));
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "child.", 6) != 0)
			continue;
		memset(&child, 0, sizeof(child));
		child.shared = r.shared;
		file_take(e2e_path(entry->d_name), &child);
		assert_int_equal(child.delivered, CHILD_RECORDS);
		assert_int_equal(child.lost, 0);
		children++;
	}
	closedir(dir);
	assert_int_equal(children, r.shared->facts[0]);
	result_free(&r);
}

/* The process that goes on is another one: what it logs has to be nowhere, and it has to end. */
static void fork_daemon(void **state)
{
	struct result r = {.sources = CHILD_SOURCE};

	(void)state;
	inproc_run(&r, "safety_fork", "daemon", NULL, "block");
	result_free(&r);
}

/* --- Threads */

static void short_check(const struct result *r, uint64_t threads)
{
	const uint64_t *facts = r->shared->facts;

	print_message("%llu arenas, RSS %llu KiB after the first batch, %llu KiB at the end; stats: "
		      "%llu recorded, %llu lost\n", (unsigned long long)facts[0],
		      (unsigned long long)facts[1], (unsigned long long)facts[2],
		      (unsigned long long)facts[3], (unsigned long long)facts[4]);
	assert_int_equal(r->issued, 5 * threads);
	assert_int_equal(facts[3] + facts[4], r->issued);
}

static void short_inproc(void **state)
{
	const uint64_t threads = soak ? 100000 : 20000;
	const char *more[] = {rounds("20000", "100000"), "200", NULL};
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_threads", "short", more, "block");
	account(&r, "short threads, in-process");
	short_check(&r, threads);
	assert_int_equal(r.lost, 0);
	assert_true(r.shared->facts[0] < threads / 20);
	result_free(&r);
}

static void short_kernel(void **state)
{
	const uint64_t threads = soak ? 100000 : 20000;
	const char *more[] = {rounds("20000", "100000"), "200", NULL};
	struct result r = {.sources = 0};

	(void)state;
	kernel_run(&r, "safety_threads", "short", more, 0);
	account(&r, "short threads, kernel");
	short_check(&r, threads);
	result_free(&r);
}

static void live_check(const struct result *r)
{
	const uint64_t *facts = r->shared->facts;

	print_message("%llu threads at once, %llu arenas, RSS %llu KiB\n",
		      (unsigned long long)facts[0], (unsigned long long)facts[1],
		      (unsigned long long)facts[2]);
	assert_true(facts[0] >= 1000);
	assert_true(facts[1] >= facts[0]);
	assert_int_equal(r->issued, 6 * facts[0]);
	assert_int_equal(r->lost, 0);
}

static void live_inproc(void **state)
{
	const char *more[] = {"5000", NULL};
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_threads", "live", more, "block");
	account(&r, "live threads, in-process");
	live_check(&r);
	result_free(&r);
}

static void live_kernel(void **state)
{
	const char *more[] = {"5000", NULL};
	struct result r = {.sources = 0};

	(void)state;
	kernel_run(&r, "safety_threads", "live", more, 0);
	account(&r, "live threads, kernel");
	live_check(&r);
	result_free(&r);
}

/* An arena never grows; what comes beside it are the threads' stacks and the collector's buffers. */
#define LIMIT_THREADS 16
#define LIMIT_OTHER_KIB 12288

static void limit_check(const struct result *r, uint64_t ring, const char *what)
{
	const uint64_t *facts = r->shared->facts;

	account(r, what);
	print_message("%llu arenas, %llu KiB of memory, the program grew by %llu KiB\n",
		      (unsigned long long)facts[0], (unsigned long long)facts[1] / 1024,
		      (unsigned long long)facts[2]);
	assert_int_equal(facts[0], LIMIT_THREADS + 1);
	assert_int_equal(facts[1], facts[0] * (ring + 4096));
	assert_true(facts[2] < facts[1] / 1024 + LIMIT_OTHER_KIB);
}

static void limit(void **state)
{
	const char *more[] = {"16", NULL};
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_threads", "limit", more, "block");
	limit_check(&r, 1u << 20, "hard limit per thread, in-process");
	result_free(&r);
	kernel_run(&r, "safety_threads", "limit", more, 0);
	limit_check(&r, 1u << 18, "hard limit per thread, kernel");
	result_free(&r);
}

/* A call in which its thread was cancelled is not counted as issued, and may be there. */
static void ends_check(const struct result *r, const char *what, uint64_t arenas_max)
{
	print_message("%s: %llu issued, %llu in the file, %llu lost, %llu arenas\n", what,
		      (unsigned long long)r->issued, (unsigned long long)r->delivered,
		      (unsigned long long)r->lost, (unsigned long long)r->shared->facts[1]);
	assert_true(r->delivered + r->lost >= r->issued);
	assert_true(r->delivered + r->lost <= r->issued + r->shared->facts[0]);
	assert_true(r->shared->facts[1] < arenas_max);
}

static void ends_inproc(void **state)
{
	const char *more[] = {rounds("200", "10000"), NULL};
	struct result r = {.sources = 0, .cut = true};

	(void)state;
	inproc_run(&r, "safety_threads", "ends", more, "block");
	ends_check(&r, "ends, in-process", 256);
	result_free(&r);
}

static void ends_kernel(void **state)
{
	const char *more[] = {rounds("200", "10000"), NULL};
	struct result r = {.sources = 0, .cut = true};

	(void)state;
	kernel_run(&r, "safety_threads", "ends", more, 0);
	/* Under a tracer an arena rests for a second before it is used again. */
	ends_check(&r, "ends, kernel", 10000);
	result_free(&r);
}

static void stacks(void **state)
{
	const char *more[] = {"8", NULL};
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_threads", "stack", more, "block");
	account(&r, "small stacks, in-process");
	result_free(&r);
	kernel_run(&r, "safety_threads", "stack", more, 0);
	account(&r, "small stacks, kernel");
	result_free(&r);
}

static void at_exit(void **state)
{
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_threads", "exit", NULL, "block");
	account(&r, "exit, in-process");
	assert_int_equal(r.issued, 4);
	result_free(&r);
	kernel_run(&r, "safety_threads", "exit", NULL, 0);
	account(&r, "exit, kernel");
	assert_int_equal(r.delivered, 4);
	result_free(&r);
}

/* --- Denied */

static void denied_check(const struct result *r)
{
	assert_int_equal(r->lost, r->shared->facts[0]);
	assert_int_equal(r->shared->facts[1], r->lost);
	assert_int_equal(r->shared->facts[2], r->delivered);
}

static void denied_inproc(void **state)
{
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_denied", "seccomp", NULL, "block");
	account(&r, "seccomp, in-process");
	denied_check(&r);
	result_free(&r);
}

static void denied_kernel(void **state)
{
	struct result r = {.stays = true};

	(void)state;
	kernel_run(&r, "safety_denied", "seccomp", NULL, 0);
	account(&r, "seccomp, kernel");
	denied_check(&r);
	result_free(&r);
	kernel_run(&r, "safety_denied", "memory", NULL, 0);
	account(&r, "no memory, kernel");
	denied_check(&r);
	result_free(&r);
}

/* --- Sandboxes */

#define SANDBOXED 3

/* Lines say again what was dropped of them, so there may be some more. */
static void sandbox_check(const struct result *r, const char *what, uint64_t ended)
{
	const uint64_t *facts = r->shared->facts;

	print_message("%s: %llu issued and %llu others, %llu and %llu in the file, %llu lost\n", what,
		      (unsigned long long)r->issued, (unsigned long long)facts[3],
		      (unsigned long long)r->delivered, (unsigned long long)r->others,
		      (unsigned long long)r->lost);
	assert_int_equal(facts[0], ended);
	assert_int_equal(facts[1], r->lost);
	assert_int_equal(facts[2], r->delivered + r->others);
	assert_true(r->delivered + r->others + r->lost >= r->issued + facts[3]);
	if (!r->lost)
		assert_int_equal(r->delivered, r->issued);
}

static void strict_inproc(void **state)
{
	const char *const full[] = {"drop", "block"};
	struct result r = {.sources = 0};
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		inproc_run(&r, "safety_sandbox", "strict", NULL, full[i]);
		sandbox_check(&r, "strict, in-process", SANDBOXED);
		assert_true(r.delivered > 1000);
		result_free(&r);
	}
}

/* Nobody listens when the threads go into their sandboxes. */
static void strict_kernel(void **state)
{
	struct result r = {.stays = true};

	(void)state;
	kernel_run(&r, "safety_sandbox", "strict", NULL, 0);
	sandbox_check(&r, "strict, kernel", SANDBOXED);
	assert_int_equal(r.lost, 0);
	result_free(&r);
}

/* What docs/safety.md names between backquotes in its table of system calls of threads. */
static void allowed_set(void)
{
	FILE *file = fopen("docs/safety.md", "re");
	char line[1024], names[1024] = "";
	bool inside = false;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *at = line, *end;

		if (strncmp(line, "| when a thread", 15) == 0)
			inside = true;
		else if (line[0] != '|')
			inside = false;
		while (inside && (at = strchr(at, '`')) && (end = strchr(at + 1, '`'))) {
			*end = '\0';
			if (!strstr(names, at + 1)) {
				assert_true(strlen(names) + strlen(at + 1) + 2 < sizeof(names));
				strcat(strcat(names, " "), at + 1);
			}
			at = end + 1;
		}
	}
	fclose(file);
	assert_string_not_equal(names, "");
	print_message("allowed:%s\n", names);
	setenv("SAFETY_ALLOWED", names + 1, 1);
}

static void listed(void **state)
{
	struct result r = {.sources = 0};

	(void)state;
	allowed_set();
	inproc_run(&r, "safety_sandbox", "listed", NULL, "block");
	sandbox_check(&r, "listed calls, in-process", 2);
	assert_int_equal(r.lost, 0);
	result_free(&r);
	r.stays = true;
	kernel_run(&r, "safety_sandbox", "listed", NULL, 0);
	sandbox_check(&r, "listed calls, kernel", 2);
	result_free(&r);
	unsetenv("SAFETY_ALLOWED");
}

/* Without memory the collector leaves the file as a death would. */
static void process_confined(void **state)
{
	struct result r = {.sources = 0}, again;
	struct recover_result recovered;
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		inproc_run(&r, "safety_sandbox", "process", NULL, "block");
		again = r;
		again.issued = again.delivered = again.lost = again.others = again.spans = 0;
		assert_int_equal(recover_file(e2e_path("inproc.qslog"), NULL, &recovered), 0);
		file_take(e2e_path("inproc.qslog"), &again);
		print_message("%s, %llu recovered\n", recovered.was_closed ? "closed" : "left",
			      (unsigned long long)recovered.records);
		if (!recovered.was_closed) { /* how often there was no arena is not in that memory */
			assert_true(again.lost <= r.shared->facts[1]);
			again.lost = r.shared->facts[1];
		}
		sandbox_check(&again, "process in a sandbox, in-process", SANDBOXED);
		result_free(&r);
	}
	r.stays = true;
	kernel_run(&r, "safety_sandbox", "process", NULL, 0);
	sandbox_check(&r, "process in a sandbox, kernel", SANDBOXED);
	result_free(&r);
}

static void errno_kept(void **state)
{
	struct result r = {.sources = 0};

	(void)state;
	inproc_run(&r, "safety_denied", "errno", NULL, "drop");
	assert_int_equal(r.shared->issued[0], 2);
	result_free(&r);
	r.stays = true;
	kernel_run(&r, "safety_denied", "errno", NULL, 0);
	assert_int_equal(r.shared->issued[0], 2);
	result_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storm_inproc),
		cmocka_unit_test(storm_kernel),
		cmocka_unit_test(trap_inproc),
		cmocka_unit_test(trap_kernel),
		cmocka_unit_test(step_inproc),
		cmocka_unit_test(step_monotonic),
		cmocka_unit_test(fork_inproc),
		cmocka_unit_test(fork_kernel),
		cmocka_unit_test(self_inproc),
		cmocka_unit_test(self_kernel),
		cmocka_unit_test(fork_restart),
		cmocka_unit_test(fork_daemon),
		cmocka_unit_test(short_inproc),
		cmocka_unit_test(short_kernel),
		cmocka_unit_test(live_inproc),
		cmocka_unit_test(live_kernel),
		cmocka_unit_test(limit),
		cmocka_unit_test(ends_inproc),
		cmocka_unit_test(ends_kernel),
		cmocka_unit_test(stacks),
		cmocka_unit_test(at_exit),
		cmocka_unit_test(denied_inproc),
		cmocka_unit_test(denied_kernel),
		cmocka_unit_test(strict_inproc),
		cmocka_unit_test(strict_kernel),
		cmocka_unit_test(listed),
		cmocka_unit_test(process_confined),
		cmocka_unit_test(errno_kept),
	};

	soak = getenv("SOAK") != NULL;
	if (getenv("CMOCKA_FILTER"))
		cmocka_set_test_filter(getenv("CMOCKA_FILTER"));
	e2e_tracefs();
	alarm(soak ? 3000 : 450);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
