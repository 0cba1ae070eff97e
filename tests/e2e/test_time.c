// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_time.c - decoded times against CLOCK_REALTIME as the program itself read it, just before and
 * just after each record (fixtures/clocks.c): in both modes, with both clocks, and over steps of
 * the clock. The machine's clock is not touched: fixtures/libclockstep.c. (needs-bpf)
 *
 * With SOAK=1 (make soak) a minute each.
 *
 *     test_time FILE NS   only checks a file that the fixture has made elsewhere, to NS nanoseconds
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file_format.h"
#include "reader.h"

/* A record that comes less than this after a step may have the old time: the step lies somewhere
 * between two clock pairs (docs/time.md). Ten times what it should be, for busy machines. */
#define STEP_KNOWN_NS 1000000000
#define THREADS 4
#define STEPS_MAX 8

static bool soak;
static int64_t tolerance_ns = 1000;

struct sample {
	int64_t time, mono, before, after;
	uint64_t n;
};

struct samples {
	uint32_t tid;
	struct sample *list;
	size_t cnt, cap;
};

struct step {
	int64_t ns, from, to; /* by how much, and between which times of CLOCK_MONOTONIC */
	bool silent;
};

struct times {
	struct samples threads[THREADS];
	unsigned int thread_cnt, step_cnt;
	struct step steps[STEPS_MAX];
	uint64_t counter_kind;
};

/* --- What is in the file */

static struct samples *samples_of(struct times *t, uint32_t tid)
{
	unsigned int i;

	for (i = 0; i < t->thread_cnt && t->threads[i].tid != tid; i++)
		;
	assert_true(i < THREADS);
	t->threads[i].tid = tid;
	t->thread_cnt = i == t->thread_cnt ? i + 1 : t->thread_cnt;
	return &t->threads[i];
}

static void sample_take(struct times *t, const struct record *r)
{
	struct samples *s = samples_of(t, r->thread->tid);

	if (s->cnt == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 4096;
		s->list = realloc(s->list, s->cap * sizeof(*s->list));
		assert_non_null(s->list);
	}
	if (s->cnt)
		s->list[s->cnt - 1].after = r->values[3].i;
	s->list[s->cnt++] = (struct sample){.time = r->time_ns, .n = r->values[0].u,
					    .mono = r->values[1].i, .before = r->values[2].i};
}

static void times_read(struct times *t, const char *file)
{
	const struct record *r;
	struct reader_totals totals;
	struct reader *reader;
	unsigned int i;
	int more;

	memset(t, 0, sizeof(*t));
	assert_int_equal(reader_open(&reader, file, NULL, NULL), 0);
	while ((more = reader_next(reader, &r)) > 0) {
		assert_int_equal(r->kind, RECORD_LOG); /* and no losses */
		if (r->format->level == QSLOG_LEVEL_INFO) {
			sample_take(t, r);
			continue;
		}
		assert_true(t->step_cnt < STEPS_MAX);
		t->steps[t->step_cnt++] = (struct step){r->values[0].i, r->values[1].i,
							r->values[2].i, r->values[3].i != 0};
	}
	assert_int_equal(more, 0);
	reader_totals_get(reader, &totals);
	reader_close(reader);
	t->counter_kind = totals.counter_kind;
	assert_int_equal(t->thread_cnt, THREADS);
	for (i = 0; i < THREADS; i++) {
		assert_true(t->threads[i].cnt > 100);
		t->threads[i].cnt--; /* nobody says what came after the last */
	}
}

static void times_free(struct times *t)
{
	unsigned int i;

	for (i = 0; i < t->thread_cnt; i++)
		free(t->threads[i].list);
}

/* --- Is it right? */

static int64_t outside_ns(const struct sample *s, int64_t time)
{
	return time < s->before ? s->before - time : time > s->after ? time - s->after : 0;
}

static bool straddles(const struct times *t, const struct sample *s)
{
	unsigned int i;

	/* `after` was read before the next record's `mono`. */
	for (i = 0; i < t->step_cnt; i++)
		if (s->mono <= t->steps[i].to && s[1].mono >= t->steps[i].from)
			return true;
	return false;
}

/* Has it the time from before a step that came just before it? */
static bool old_time(const struct times *t, const struct sample *s)
{
	unsigned int i;

	for (i = 0; i < t->step_cnt; i++) {
		const struct step *step = &t->steps[i];

		if (!step->silent && s->mono > step->from && s->mono < step->to + STEP_KNOWN_NS &&
		    outside_ns(s, s->time + step->ns) <= tolerance_ns)
			return true;
	}
	return false;
}

struct verdict {
	uint64_t samples, old, straddling;
	int64_t worst;
	int64_t *off; /* from the middle, of each sample that is neither of the above; absolute */
	size_t off_cnt;
};

static void sample_check(const struct times *t, const struct sample *s, struct verdict *v)
{
	const int64_t outside = outside_ns(s, s->time), off = s->time - (s->before + s->after) / 2;

	v->samples++;
	if (straddles(t, s)) {
		v->straddling++;
		return;
	}
	if (outside > tolerance_ns) {
		if (!old_time(t, s))
			fail_msg("thread %u, record %llu: decoded %lld, but it was between %lld and "
				 "%lld: %lld ns off", t->threads[0].tid, (unsigned long long)s->n,
				 (long long)s->time, (long long)s->before, (long long)s->after,
				 (long long)outside);
		v->old++;
		return;
	}
	v->worst = outside > v->worst ? outside : v->worst;
	v->off[v->off_cnt++] = off < 0 ? -off : off;
}

/* Times of a thread go on, but for a step back. */
static void order_check(const struct times *t, const struct samples *s)
{
	unsigned int k, back = 0, back_max = 0;
	int64_t most = 0;
	size_t i;

	for (k = 0; k < t->step_cnt; k++) {
		back_max += t->steps[k].ns < 0;
		most = t->steps[k].ns < most ? t->steps[k].ns : most;
	}
	for (i = 1; i < s->cnt; i++) {
		assert_int_equal(s->list[i].n, s->list[i - 1].n + 1);
		if (s->list[i].time >= s->list[i - 1].time)
			continue;
		back++;
		if (s->list[i].time - s->list[i - 1].time < most - tolerance_ns || back > back_max)
			fail_msg("thread %u, record %llu: %lld ns before the record before it", s->tid,
				 (unsigned long long)s->list[i].n,
				 (long long)(s->list[i - 1].time - s->list[i].time));
	}
}

static int off_compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void times_check(const struct times *t, const char *what)
{
	struct verdict v = {.samples = 0};
	size_t cnt = 0, i;
	unsigned int k;

	for (k = 0; k < THREADS; k++)
		cnt += t->threads[k].cnt;
	v.off = malloc(cnt * sizeof(*v.off));
	assert_non_null(v.off);
	for (k = 0; k < THREADS; k++) {
		order_check(t, &t->threads[k]);
		for (i = 0; i < t->threads[k].cnt; i++)
			sample_check(t, &t->threads[k].list[i], &v);
	}
	qsort(v.off, v.off_cnt, sizeof(*v.off), off_compare);
	assert_true(v.off_cnt > v.samples / 2);
	print_message("%s: %llu records; from the middle of the two readings: median %lld ns, 99 %% "
		      "%lld ns; at most %lld ns outside of them; %llu with the time from before a "
		      "step, %llu amid one\n", what, (unsigned long long)v.samples,
		      (long long)v.off[v.off_cnt / 2], (long long)v.off[v.off_cnt * 99 / 100],
		      (long long)v.worst, (unsigned long long)v.old,
		      (unsigned long long)v.straddling);
	assert_true(v.off[v.off_cnt / 2] < tolerance_ns);
	assert_int_equal(v.old && !t->step_cnt, 0);
	free(v.off);
}

/* --- Running */

static void long_wait(struct proc *p)
{
	struct pollfd fd = {p->pidfd, POLLIN, 0};

	if (poll(&fd, 1, 200000) != 1) {
		kill(p->pid, SIGKILL);
		fail_msg("process %d does not end", p->pid);
	}
	if (proc_wait(p))
		fail_msg("process %d: status %x: %s%s", p->pid, (unsigned int)p->status, p->text_out,
			 p->text_err);
}

enum how { INPROC, ATTACHED, LAUNCHED };

#define ARGS_MAX 24

/* The command line of the fixture, behind what is there already. */
static void fixture_argv(const char **argv, const char *name, bool wait, const char *seconds,
			 const char *clock, const char *const *steps)
{
	int i = 0;

	argv[i++] = e2e_build(name);
	if (wait)
		argv[i++] = "-w";
	argv[i++] = "-t";
	argv[i++] = "4";
	argv[i++] = "-s";
	argv[i++] = seconds;
	if (steps) {
		argv[i++] = "--"; /* steps may be negative */
		argv[i++] = clock;
	}
	while (steps && *steps)
		argv[i++] = *steps++;
	argv[i] = NULL;
}

/* `environment` ends with NULL and is for both. */
static void run(enum how how, const char *file, const char *seconds, const char *clock,
		const char *const *steps, const char *const *environment)
{
	const char *argv[ARGS_MAX] = {e2e_build("qslog-trace"), "-o", file, "--"};
	char pid[16], output[4096];
	const char *with_file[] = {output, environment[0], environment[1], environment[2], NULL};
	const char *attach[] = {argv[0], "-o", file, "-p", pid, NULL};
	struct proc app, tracer;

	(void)unlink(file);
	switch (how) {
	case INPROC:
		snprintf(output, sizeof(output), "QSLOG_FILE=%s", file);
		fixture_argv(argv, "tests/fixtures/clocks.inproc", false, seconds, clock, steps);
		proc_start(&app, argv, with_file);
		long_wait(&app);
		break;
	case LAUNCHED:
		fixture_argv(argv + 4, "tests/fixtures/clocks", false, seconds, clock, steps);
		proc_start(&tracer, argv, environment);
		long_wait(&tracer);
		break;
	case ATTACHED:
		fixture_argv(argv, "tests/fixtures/clocks", true, seconds, clock, steps);
		proc_start(&app, argv, environment);
		proc_expect_out(&app, "ready");
		snprintf(pid, sizeof(pid), "%d", app.pid);
		proc_start(&tracer, attach, environment);
		proc_expect_err(&tracer, "attached");
		proc_write(&app, "go\n");
		long_wait(&app);
		long_wait(&tracer);
		break;
	}
}

static uint64_t cpu_counter(void)
{
#if defined(__x86_64__)
	return FILE_COUNTER_TSC;
#else
	return FILE_COUNTER_CNTVCT;
#endif
}

/* --- Tests */

static void error_check(enum how how, bool monotonic, const char *what)
{
	const char *environment[] = {monotonic ? "QSLOG_CLOCK=monotonic" : "QSLOG_CLOCK=tsc", NULL,
				     NULL};
	const char *file = e2e_path("error.qslog");
	struct times t;

	run(how, file, soak ? "60" : "2", NULL, NULL, environment);
	times_read(&t, file);
	assert_int_equal(t.counter_kind, monotonic ? FILE_COUNTER_MONOTONIC : cpu_counter());
	assert_int_equal(t.step_cnt, 0);
	times_check(&t, what);
	times_free(&t);
}

static void error_inproc(void **state)
{
	(void)state;
	error_check(INPROC, false, "in-process");
}

static void error_kernel(void **state)
{
	(void)state;
	error_check(ATTACHED, false, "kernel");
}

static void error_monotonic_inproc(void **state)
{
	(void)state;
	error_check(INPROC, true, "CLOCK_MONOTONIC, in-process");
}

static void error_monotonic_attached(void **state)
{
	(void)state;
	error_check(ATTACHED, true, "CLOCK_MONOTONIC, kernel");
}

/* The tracer learns of the clock after it has begun the file. */
static void error_monotonic_launched(void **state)
{
	(void)state;
	error_check(LAUNCHED, true, "CLOCK_MONOTONIC, launched");
}

static void step_check(enum how how, bool monotonic, const char *what)
{
	/* An hour on, two back, a second on in silence, half of one on and back. */
	static const char *const steps[] = {"3600000000000", "-7200000000000", "q1000000000",
					    "500000000", "q-500000000", NULL};
	const char *file = e2e_path("step.qslog"), *clock = e2e_path("clock");
	char preload[4096], variable[4096];
	const char *environment[] = {preload, variable,
				     monotonic ? "QSLOG_CLOCK=monotonic" : "QSLOG_CLOCK=tsc", NULL};
	const int64_t zero = 0;
	struct times t;
	int fd = open(clock, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, &zero, sizeof(zero)), sizeof(zero));
	close(fd);
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s",
		 e2e_build("tests/fixtures/libclockstep.so"));
	snprintf(variable, sizeof(variable), "CLOCK_STEP=%s", clock);
	run(how, file, soak ? "60" : "5", clock, steps, environment);
	times_read(&t, file);
	assert_int_equal(t.step_cnt, 5);
	times_check(&t, what);
	times_free(&t);
}

static void step_inproc(void **state)
{
	(void)state;
	step_check(INPROC, false, "steps, in-process");
}

static void step_monotonic(void **state)
{
	(void)state;
	step_check(INPROC, true, "steps, CLOCK_MONOTONIC");
}

static void step_kernel(void **state)
{
	(void)state;
	step_check(ATTACHED, false, "steps, kernel");
}

static const char *file_given;

static void file_check(void **state)
{
	struct times t;

	(void)state;
	times_read(&t, file_given);
	times_check(&t, file_given);
	times_free(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest one[] = {cmocka_unit_test(file_check)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_inproc),
		cmocka_unit_test(error_kernel),
		cmocka_unit_test(error_monotonic_inproc),
		cmocka_unit_test(error_monotonic_attached),
		cmocka_unit_test(error_monotonic_launched),
		cmocka_unit_test(step_inproc),
		cmocka_unit_test(step_monotonic),
		cmocka_unit_test(step_kernel),
	};

	if (argc > 2) {
		file_given = argv[1];
		tolerance_ns = strtoll(argv[2], NULL, 10);
		return cmocka_run_group_tests(one, NULL, NULL);
	}
	soak = getenv("SOAK") != NULL;
	alarm(soak ? 1200 : 200);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
