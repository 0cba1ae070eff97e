/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_goals.c - what a call is to cost, beside what it was found to cost. On a machine that does
 * other work at the same time the figures are higher; so this says what was found, and is no test.
 */
#include "bench_goals.h"

#include <stdio.h>

/* More threads may cost this many times what one costs, each beside its own floor: the spread of a
 * measurement. A line that two threads write costs several times a call. */
#define THREADS_LIMIT 1.05

unsigned int goals_threads(unsigned int n)
{
	return 1u << n;
}

static void goal_print(const char *what, double limit, const char *unit, double figure)
{
	printf("%-62s <= %.2f%-4s %6.3f  %s\n", what, limit, unit, figure,
	       figure <= limit ? "met" : "NOT MET");
}

static void inproc_print(const struct all_figures *all)
{
	static const double limits[] = { [CALL_A] = 1.05, [CALL_B] = 1.10, [CALL_C] = 1.30 };
	const struct figures *f;
	enum call_kind kind;
	char what[96];

	for (kind = CALL_A; kind <= CALL_C; kind++) {
		f = &all->of[LISTEN_INPROC][kind][0];
		snprintf(what, sizeof(what), "in-process, kind %s, to its floor",
			 call_kind_name(kind));
		if (f->measured)
			goal_print(what, limits[kind], "", f->floor_ratio);
	}
	f = &all->of[LISTEN_INPROC][CALL_SPAN][0];
	if (f->measured)
		goal_print("in-process, scoped span, to one bare read of the counter", 2.2, "",
			   f->counter_ratio);
}

static void off_print(const struct all_figures *all)
{
	double worst = -1;
	enum call_kind kind;

	for (kind = CALL_A; kind < CALL_KIND_CNT; kind++) {
		const struct figures *f = &all->of[LISTEN_OFF][kind][0];

		if (f->measured && f->ns > worst)
			worst = f->ns;
	}
	if (worst >= 0)
		goal_print("off, any kind", 1, " ns", worst);
}

static void kernel_print(const struct all_figures *all)
{
	const struct figures *kernel = &all->of[LISTEN_KERNEL][CALL_B][0];
	const struct figures *inproc = &all->of[LISTEN_INPROC][CALL_B][0];

	if (!kernel->measured || !inproc->measured)
		return;
	goal_print("kernel mode, kind b, to in-process", 1.6, "", kernel->ns / inproc->ns);
	printf("  (each to its own floor: %.2f)\n", kernel->floor_ratio / inproc->floor_ratio);
}

static void threads_print(const struct all_figures *all, enum listen_mode mode,
			  enum call_kind kind, unsigned int n)
{
	const struct figures *one = &all->of[mode][kind][0], *more = &all->of[mode][kind][n];
	char what[96];

	if (!one->measured || !more->measured)
		return;
	snprintf(what, sizeof(what), "%s, kind %s, %u threads to one, each to its floor",
		 mode == LISTEN_INPROC ? "in-process" : "kernel mode", call_kind_name(kind),
		 goals_threads(n));
	goal_print(what, THREADS_LIMIT, "", more->first_ratio / one->first_ratio);
}

void goals_print(const struct all_figures *all)
{
	enum call_kind kind;
	unsigned int n;
	int mode;

	printf("# goals\n");
	inproc_print(all);
	off_print(all);
	kernel_print(all);
	for (mode = LISTEN_INPROC; mode <= LISTEN_KERNEL; mode++)
		for (kind = CALL_A; kind < CALL_KIND_CNT; kind++)
			for (n = 1; n < GOALS_THREADS; n++)
				threads_print(all, (enum listen_mode)mode, kind, n);
}
