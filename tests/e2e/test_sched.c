// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_sched.c - qslog-trace --sched: where the time of spans went, against what the program itself
 * measures; every interval off the CPU is delivered or counted as lost. (needs-bpf)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "e2e.h"
#include "file_format.h"
#include "reader.h"

#define ROUNDS 5
/* At least: a hypervisor may take the CPU away, which no scheduler sees, and others a thread's turn. */
#define ROUNDS_FIT 3
#define SLACK_NS 20000.0 /* of the span's own work around what is measured */

struct expected {
	const char *name;
	const char *reason; /* most of the waiting; a system call's name, or NULL: see why */
	unsigned int why;   /* enum file_off_why */
	unsigned int who;   /* enum file_off_who */
	const char *who_name;
	/* As read. */
	double duration, cpu, off, blocked, preempted, reason_ns;
	uint64_t off_cnt;
	bool only_cpu; /* nothing is waited for */
	bool seen, reason_seen;
	unsigned int rounds, fit;
};

static struct expected expected[] = {
	{ .name = "sleep", .reason = "clock_nanosleep", .why = FILE_OFF_SLEEP,
	  .who = FILE_OFF_WHO_HARDIRQ },
	{ .name = "mutex", .reason = "futex", .why = FILE_OFF_SLEEP, .who = FILE_OFF_WHO_THREAD,
	  .who_name = "helper" },
	{ .name = "pipe", .reason = "read", .why = FILE_OFF_SLEEP, .who = FILE_OFF_WHO_THREAD,
	  .who_name = "helper" },
	{ .name = "burn", .only_cpu = true },
	{ .name = "nested", .reason = "clock_nanosleep", .why = FILE_OFF_SLEEP,
	  .who = FILE_OFF_WHO_HARDIRQ },
	{ .name = "preempted", .why = FILE_OFF_PREEMPTED, .who = FILE_OFF_WHO_THREAD },
	{ .name = "stopped", .why = FILE_OFF_STOPPED, .who = FILE_OFF_WHO_THREAD },
};

static struct expected *expected_find(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (strlen(expected[i].name) == len && memcmp(expected[i].name, name, len) == 0)
			return &expected[i];
	return NULL;
}

static bool name_is(const struct record_name *name, const char *text)
{
	return name->len == strlen(text) && memcmp(name->bytes, text, name->len) == 0;
}

static bool cause_fits(const struct record_cause *cause, const struct expected *e)
{
	if (cause->why != e->why && !(e->why == FILE_OFF_SLEEP && cause->why == FILE_OFF_DISK_SLEEP))
		return false;
	return !e->reason || name_is(&cause->syscall_name, e->reason);
}

static void span_take(const struct record *r)
{
	struct expected *e = expected_find(r->format->name, strlen(r->format->name));
	const struct record_times *t = r->times;
	uint32_t i;

	assert_non_null(t);
	assert_false(t->incomplete);
	assert_true(t->blocked_ns + t->ready_ns + t->preempted_ns == t->off_ns);
	assert_true(t->cpu_ns + t->off_ns == r->duration_ns);
	if (!e)
		return;
	e->seen = true;
	e->duration = (double)r->duration_ns;
	e->cpu = (double)t->cpu_ns;
	e->off = (double)t->off_ns;
	e->blocked = (double)t->blocked_ns;
	e->preempted = (double)t->preempted_ns;
	e->off_cnt = t->off_cnt;
	e->reason_ns = 0;
	e->reason_seen = false;
	for (i = 0; i < t->wait_cnt; i++) {
		const struct record_cause *cause = &t->waits[i].cause;

		if (!cause_fits(cause, e))
			continue;
		e->reason_ns += (double)t->waits[i].ns;
		if (cause->who == e->who && (!e->who_name || name_is(&cause->who_name, e->who_name)))
			e->reason_seen = true;
	}
}

static bool near(const struct expected *e, const char *what, double got, double truth, double slack)
{
	const double off_by = got > truth ? got - truth : truth - got;
	const bool fits = off_by <= truth * 0.05 + slack;

	if (!fits)
		print_message("%s: %s is %.0f ns, and should be %.0f\n", e->name, what, got, truth);
	return fits;
}

/* "truth {name} wall={wall} cpu={cpu}" */
static void truth_take(const struct record *r)
{
	struct expected *e = expected_find(r->values[0].bytes, r->values[0].len);
	const double cpu = (double)r->values[2].i, switches = (double)(e ? e->off_cnt : 0);
	double waited;
	bool fits;

	assert_non_null(e);
	assert_true(e->seen);
	print_message("%-10s %9.1f us: cpu %8.1f (%8.1f), off %9.1f, of it expected %9.1f, %3.0fx\n",
		      e->name, e->duration / 1e3, e->cpu / 1e3, cpu / 1e3, e->off / 1e3,
		      e->reason_ns / 1e3, switches);
	/* What is not on the CPU is off it, so an error of the one is the same of the other. */
	if (e->only_cpu)
		fits = near(e, "time on the CPU", e->cpu, cpu, SLACK_NS);
	else
		fits = near(e, "time off the CPU", e->off, e->duration - cpu, SLACK_NS);
	if (!e->only_cpu) {
		waited = e->why == FILE_OFF_PREEMPTED ? e->preempted + e->blocked : e->blocked;
		/* (none where this thread came late, and the other had done its part) */
		fits = e->reason_seen && near(e, "time for the reason", e->reason_ns, waited, 0) && fits;
	}
	e->seen = false;
	e->fit += fits;
	e->rounds++;
}

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	(void)arg;
	fail_msg("%s: damaged at %llu: %s", path, (unsigned long long)offset, what);
}

static struct reader *file_open(const char *path)
{
	const struct reader_hint hint = { .times = true };
	struct reader *reader;

	assert_int_equal(reader_open(&reader, path, damage, NULL), 0);
	reader_hint(reader, &hint);
	return reader;
}

static void truth(void **state)
{
	const char *file = e2e_path("truth.qslog");
	char rounds[16];
	const char *const argv[] = { e2e_build("qslog-trace"), "--sched", "-o", file, "--",
				     e2e_build("tests/fixtures/sched"), rounds, NULL };
	struct reader_totals totals;
	const struct record *r;
	struct reader *reader;
	struct proc tracer;
	size_t i;

	(void)state;
	snprintf(rounds, sizeof(rounds), "%d", ROUNDS);
	proc_start(&tracer, argv, NULL);
	assert_int_equal(proc_wait(&tracer), 0);
	reader = file_open(file);
	while (reader_next(reader, &r) > 0) {
		if (r->kind == RECORD_SPAN_EXIT)
			span_take(r);
		else if (r->kind == RECORD_LOG)
			truth_take(r);
	}
	reader_totals_get(reader, &totals);
	reader_close(reader);
	assert_true(totals.has_sched);
	assert_true(totals.offs > 0);
	assert_int_equal(totals.offs_lost, 0);
	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(expected[i].rounds, ROUNDS);
		if (expected[i].fit < ROUNDS_FIT)
			fail_msg("%s: within 5 %% only %u times of %d", expected[i].name,
				 expected[i].fit, ROUNDS);
	}
}

/* Intervals of a process that takes turns `rounds` times, while the tracer may be stopped. */
struct turns {
	uint64_t offs, open, lost, switches;
	bool incomplete;
};

static void turns_run(const char *file, const char *rounds, bool stalled, struct turns *out)
{
	const char *const app_argv[] = { e2e_build("tests/fixtures/sched"), rounds, "pingpong", NULL };
	char pid[16];
	const char *const argv[] = { e2e_build("qslog-trace"), "--sched", "-o", file, "-p", pid,
				     stalled ? "--ring-size" : NULL, "1M", NULL };
	struct proc app, tracer;
	struct reader *reader;
	const struct record *r;
	const char *said;

	memset(out, 0, sizeof(*out));
	proc_start(&app, app_argv, NULL);
	proc_expect_out(&app, "ready");
	snprintf(pid, sizeof(pid), "%d", (int)app.pid);
	proc_start(&tracer, argv, NULL);
	proc_expect_err(&tracer, "attached");
	if (stalled)
		proc_kill(&tracer, SIGSTOP);
	proc_write(&app, "go\n");
	proc_expect_out(&app, "switches ");
	proc_expect_out(&app, "\n");
	if (stalled)
		proc_kill(&tracer, SIGCONT);
	said = strstr(app.text_out, "switches ");
	assert_non_null(said);
	out->switches = strtoull(said + 9, NULL, 10);
	proc_kill(&tracer, SIGINT);
	assert_int_equal(proc_wait(&tracer), 0);
	proc_write(&app, "end\n");
	assert_int_equal(proc_wait(&app), 0);
	reader = file_open(file);
	while (reader_next(reader, &r) > 0) {
		if (r->kind == RECORD_OFF && r->off->open)
			out->open++;
		else if (r->kind == RECORD_OFF)
			out->offs++;
		else if (r->kind == RECORD_OFF_LOST)
			out->lost += r->lost;
		else if (r->kind == RECORD_SPAN_EXIT)
			out->incomplete = r->times && r->times->incomplete;
	}
	reader_close(reader);
	print_message("%llu switches: %llu intervals, %llu open, %llu lost\n",
		      (unsigned long long)out->switches, (unsigned long long)out->offs,
		      (unsigned long long)out->open, (unsigned long long)out->lost);
	if (stalled && out->lost)
		assert_non_null(strstr(tracer.text_err, "scheduler events"));
}

/* The process had some switches before it was attached to, and its second thread ended. */
#define SWITCHES_APART 64

static void every_switch(void **state)
{
	struct turns t;

	(void)state;
	turns_run(e2e_path("turns.qslog"), "5000", false, &t);
	assert_int_equal(t.lost, 0);
	assert_true(t.offs <= t.switches + SWITCHES_APART);
	assert_true(t.offs + SWITCHES_APART >= t.switches);
	assert_int_equal(t.open, 1); /* it waits for the last line */
	assert_false(t.incomplete);
}

static void lost_are_counted(void **state)
{
	struct turns t;

	(void)state;
	turns_run(e2e_path("lost.qslog"), "20000", true, &t);
	assert_true(t.lost > 0);
	assert_true(t.offs + t.lost <= t.switches + SWITCHES_APART);
	assert_true(t.offs + t.lost + SWITCHES_APART >= t.switches);
	assert_true(t.incomplete);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truth),
		cmocka_unit_test(every_switch),
		cmocka_unit_test(lost_are_counted),
	};

	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
