/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.c - bench-record: nanoseconds per call, off, in-process and in kernel mode, on one, two and
 * four threads at the same time.
 *
 * A round is three bursts of the same length: bare reads of the counter and the floor of the calls
 * (bench_calls.h), in turns one of them first, and then the calls, so that what the machine does
 * meanwhile hits all of them. In a burst of calls 13/16 of an arena is written: several stops, in
 * kernel mode several traps, are among them, and whatever wakes the collector. With more threads all
 * do the same burst at the same moment (bench_team.h), floors too: a processor that two share, or
 * that runs slower when all are busy, makes both slower, a line that two write only the calls.
 *
 * Every thread stays on one processor. The collector, or the tracer, may run on all but the first
 * thread's: what it reads there has to come from this one's cache, and to go back before it is
 * written again. On the same processor that costs nothing, and where the system puts it makes
 * in-process calls of kind c twice as dear or not; so it is the dearer one. (With `taskset -c 0` it
 * is the other one.) So where threads are compared with one thread, it is those on the same processor.
 *
 * The time of a burst is the processor time of its thread, traps included, not what passed
 * meanwhile: there may be fewer processors than threads, the collector and other programs, and to
 * wait for one is no cost of a call. What passed is in the column "wall", a mean, in which everything
 * is that happened to the threads. Shown are the median of the bursts of all threads, and what 5 and
 * 95 of 100 stay below; ratios are the median of the pairs' own ratios. Percentiles are of single
 * calls between two fenced reads of the counter, less the median of the same around nothing.
 *
 * The next round begins when the last has been taken over, so nothing is lost for want of room. Before
 * the first, arenas and, in kernel mode, the ring buffer have been gone through once: memory that is
 * touched for the first time takes longer (it depends on the machine, most in a virtual one), and is
 * said in a line of its own. What happens without pauses is measured by bench-kernel and the last
 * table here. Every file is read back: what is in it and what it says was lost must be what was
 * issued, by as many threads.
 */
#define QSLOG_TAG "bench"
#include <qslog.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_calls.h"
#include "bench_check.h"
#include "bench_goals.h"
#include "bench_listen.h"
#include "bench_sustained.h"
#include "bench_team.h"
#include "bench_util.h"

#define LIMIT_SECONDS 240
#define ROUNDS 301 /* of all threads together */
#define ROUNDS_MIN 31
#define SAMPLES_MAX (ROUNDS + ROUNDS_MIN * TEAM_MAX)
#define OFF_CALLS 100000u
#define EACH_CALLS 200000u
#define FIRST_CALLS 1000u
#define BURST_OF_ARENA(bytes) ((bytes) / 16 * 13)

struct series {
	double ns[SAMPLES_MAX], floor_ns[SAMPLES_MAX], counter_ns[SAMPLES_MAX];
	double ratio[SAMPLES_MAX], counter_ratio[SAMPLES_MAX];
	double first_ratio[SAMPLES_MAX]; /* of threads on the first processor, as `ratio` */
	double wall_ns;			 /* sum */
	unsigned int cnt, first_cnt;
	double first_ns; /* a call, while memory is touched for the first time */
};

struct run {
	struct bench *bench;
	enum listen_mode mode;
	enum call_kind kind;
	unsigned int threads;
	struct listener listener;
	struct team team;
	struct series series;
	uint64_t arena_bytes;
	uint32_t *ticks; /* of EACH_CALLS calls */
	uint64_t issued; /* records */
};

static uint32_t burst_calls(const struct run *r)
{
	return r->mode == LISTEN_OFF ?
		       OFF_CALLS :
		       (uint32_t)(BURST_OF_ARENA(r->arena_bytes) / call_bytes(r->kind));
}

/* Calls of all threads, and whatever takes them over. */
static int calls_do(struct run *r, enum team_work work, uint32_t calls)
{
	int err = team_run(&r->team, work, calls);

	if (r->mode != LISTEN_OFF)
		r->issued += (uint64_t)calls * r->threads * call_records(r->kind);
	return err ? err : listen_handed_over(&r->listener);
}

static void burst_times(const struct run *r, uint32_t calls, double *ns)
{
	unsigned int i;

	for (i = 0; i < r->threads; i++)
		ns[i] = (double)r->team.members[i].cpu_ns / calls;
}

static int round_measure(struct run *r, unsigned int round)
{
	const enum team_work floor = r->mode == LISTEN_OFF ? TEAM_FLOOR_OFF : TEAM_FLOOR_ON;
	const uint32_t calls = burst_calls(r);
	struct series *s = &r->series;
	const unsigned int base = s->cnt;
	unsigned int i;
	int err;

	/* A processor that has slept is slower at first. */
	(void)team_run(&r->team, TEAM_COUNTER, calls / 2);
	for (i = 0; i < 2; i++) {
		const bool counter = (round + i) % 2;

		(void)team_run(&r->team, counter ? TEAM_COUNTER : floor, calls);
		burst_times(r, calls, (counter ? s->counter_ns : s->floor_ns) + base);
	}
	err = calls_do(r, TEAM_CALLS, calls);
	burst_times(r, calls, s->ns + base);
	for (i = 0; i < r->threads; i++) {
		s->ratio[base + i] = s->ns[base + i] / s->floor_ns[base + i];
		s->counter_ratio[base + i] = s->ns[base + i] / s->counter_ns[base + i];
		s->wall_ns += (double)r->team.members[i].ticks_spent * r->bench->ns_per_tick /
			      calls;
		if (r->team.members[i].on_first)
			s->first_ratio[s->first_cnt++] = s->ratio[base + i];
	}
	s->cnt += r->threads;
	return err;
}

static int each_measure(struct run *r)
{
	const uint32_t wanted = EACH_CALLS / r->threads;
	uint32_t done, n, i;
	int err;

	for (done = 0; done < wanted; done += n) {
		n = burst_calls(r);
		if (n > wanted - done)
			n = wanted - done;
		for (i = 0; i < r->threads; i++)
			r->team.members[i].ticks = r->ticks + i * wanted + done;
		err = calls_do(r, TEAM_EACH, n);
		if (err)
			return err;
	}
	return 0;
}

/* Twice through the arenas, once through the ring buffer. */
static int warm_up(struct run *r)
{
	const uint64_t bytes = r->mode == LISTEN_KERNEL ? TRACER_RING_BYTES / 4 * 5 :
							  2 * r->arena_bytes * r->threads;
	const uint32_t burst = burst_calls(r);
	uint64_t calls, cpu_ns = 0;
	unsigned int i;
	int err;

	for (calls = 0; calls * call_bytes(r->kind) < bytes; calls += burst * r->threads) {
		err = calls_do(r, TEAM_CALLS, burst);
		if (err)
			return err;
		for (i = 0; i < r->threads; i++)
			cpu_ns += r->team.members[i].cpu_ns;
	}
	r->series.first_ns = (double)cpu_ns / (double)calls;
	return 0;
}

/* The threads have their arenas now; the floor gets rings of the same size. */
static int arena_look(struct run *r)
{
	r->arena_bytes = qslog_priv_arena->mask + 1;
	if (r->arena_bytes < QSLOG_ARENA_BYTES_MIN)
		return -ENOMEM; /* it could not get one */
	return team_run(&r->team, TEAM_RING, r->arena_bytes);
}

/* Larger arenas are filled less often; each of more threads has a share of the rounds. */
static unsigned int rounds_of(const struct run *r)
{
	uint64_t rounds = ROUNDS;

	if (r->arena_bytes > 2 * QSLOG_ARENA_BYTES_MIN)
		rounds = ROUNDS * (2 * QSLOG_ARENA_BYTES_MIN) / r->arena_bytes;
	rounds /= r->threads;
	return rounds < ROUNDS_MIN ? ROUNDS_MIN : (unsigned int)rounds;
}

static int all_measure(struct run *r)
{
	unsigned int round, rounds;
	int err = 0;

	if (r->mode != LISTEN_OFF) {
		/* The first call of a thread maps its arena. */
		err = calls_do(r, TEAM_CALLS, FIRST_CALLS);
		if (!err)
			err = arena_look(r);
		if (!err)
			err = warm_up(r);
	}
	rounds = rounds_of(r);
	for (round = 0; round < rounds && !err; round++)
		err = round_measure(r, round);
	return err ? err : each_measure(r);
}

/* Everything between the start of who listens and its end. */
static int listened_measure(struct run *r, const char *path)
{
	int err, end_err;

	err = listen_begin(&r->listener, r->mode, path);
	if (err)
		return err;
	err = team_begin(&r->team, r->threads, r->kind);
	if (!err) {
		err = all_measure(r);
		team_end(&r->team);
	}
	end_err = listen_end(&r->listener);
	return err ? err : end_err;
}

/* --- What was measured */

static double each_ns(const struct run *r, double p, uint32_t pair_ticks)
{
	const uint32_t cnt = EACH_CALLS / r->threads * r->threads;
	const uint32_t ticks = bench_percentile_u32(r->ticks, cnt, p);

	return ticks > pair_ticks ? (ticks - pair_ticks) * r->bench->ns_per_tick : 0;
}

static void print(struct run *r, uint32_t pair_ticks, const struct check *check,
		  struct figures *out)
{
	const char *const mode = listen_mode_name(r->mode), *const kind = call_kind_name(r->kind);
	struct series *s = &r->series;
	const double ns = bench_percentile(s->ns, s->cnt, 0.5);
	const double floor_ns = bench_percentile(s->floor_ns, s->cnt, 0.5);
	const double counter_ns = bench_percentile(s->counter_ns, s->cnt, 0.5);
	const double p99 = each_ns(r, 0.99, pair_ticks), p999 = each_ns(r, 0.999, pair_ticks);

	*out = (struct figures){ true, ns, bench_percentile(s->ratio, s->cnt, 0.5),
				 bench_percentile(s->first_ratio, s->first_cnt, 0.5),
				 bench_percentile(s->counter_ratio, s->cnt, 0.5) };
	printf("%-7s %-5s %7u %7.2f [%6.2f-%7.2f] %7.2f | %6.2f [%6.2f-%6.2f] %5.2f | %7.2f %5.2f | "
	       "%6.1f %6.1f %8.1f | %8llu %5llu\n", mode, kind, r->threads, ns,
	       bench_percentile(s->ns, s->cnt, 0.05), bench_percentile(s->ns, s->cnt, 0.95),
	       s->wall_ns / s->cnt, floor_ns, bench_percentile(s->floor_ns, s->cnt, 0.05),
	       bench_percentile(s->floor_ns, s->cnt, 0.95), out->floor_ratio, counter_ns,
	       out->counter_ratio, each_ns(r, 0.5, pair_ticks), p99, p999,
	       (unsigned long long)check->records, (unsigned long long)check->lost);
	if (r->mode == LISTEN_KERNEL)
		printf("#       %-5s %7u mean of the first way through the ring buffer: %.2f ns/call\n",
		       kind, r->threads, s->first_ns);
	printf("result: bench=record mode=%s kind=%s threads=%u ns=%.2f floor_ns=%.2f ratio=%.2f "
	       "p99_ns=%.1f p999_ns=%.1f records=%llu lost=%llu\n", mode, kind, r->threads, ns,
	       floor_ns, out->floor_ratio, p99, p999, (unsigned long long)check->records,
	       (unsigned long long)check->lost);
	printf("result: bench=counter mode=%s kind=%s threads=%u ns=%.2f counter_ns=%.2f ratio=%.2f\n",
	       mode, kind, r->threads, ns, counter_ns, out->counter_ratio);
	fflush(stdout);
}

static int check(const struct run *r, const char *path, struct check *out)
{
	int err = check_file(out, path, r->kind, r->issued, CALL_STEP_COUNT);

	if (!err && !out->lost && out->threads != r->threads) {
		snprintf(out->why, sizeof(out->why), "records of %u threads", out->threads);
		err = -EBADMSG;
	}
	return err;
}

static int kind_measure(struct run *r, uint32_t pair_ticks, struct figures *out)
{
	struct check checked = { .records = 0 };
	char path[PATH_MAX];
	int err;

	bench_path(r->bench, path, "record.qslog");
	err = listened_measure(r, path);
	if (err) {
		bench_fail(r->bench, "mode %s, kind %s, %u threads: %s %s", listen_mode_name(r->mode),
			   call_kind_name(r->kind), r->threads, strerror(-err),
			   r->listener.tracer.text);
		return err;
	}
	if (r->mode != LISTEN_OFF && check(r, path, &checked))
		bench_fail(r->bench, "mode %s, kind %s, %u threads: the file is wrong: %s",
			   listen_mode_name(r->mode), call_kind_name(r->kind), r->threads,
			   checked.why);
	bench_remove(path);
	print(r, pair_ticks, &checked, out);
	return 0;
}

/* --- All of it */

static void head_print(struct bench *b, uint32_t *ticks, uint32_t pair_ticks)
{
	uint32_t step;

	for (step = 1; step < EACH_CALLS - 1 && ticks[step] == ticks[step - 1];)
		step++; /* they are sorted now */
	printf("# the counter goes on in steps of about %.1f ns: percentiles are no finer\n",
	       (ticks[step] - ticks[step - 1]) * b->ns_per_tick);
	printf("# up to %d bursts of 13/16 of an arena (off: of %u calls), each with one of its floor "
	       "and one of bare reads of the counter; single calls: %u, less %.1f ns for measuring\n",
	       ROUNDS, OFF_CALLS, EACH_CALLS, pair_ticks * b->ns_per_tick);
	printf("mode    kind  threads ns/call [    5%%-    95%%]    wall |  floor [    5%%-   95%%] ratio "
	       "| counter ratio |    p50    p99    p99.9 |  records  lost\n");
}

static void mode_measure(struct bench *b, enum listen_mode mode, uint32_t *ticks,
			 uint32_t pair_ticks, struct all_figures *all)
{
	static struct run r; /* much for a stack */
	enum call_kind kind;
	unsigned int n;

	for (n = 0; n < GOALS_THREADS; n++)
		for (kind = CALL_A; kind < CALL_KIND_CNT; kind++) {
			memset(&r, 0, sizeof(r));
			r.bench = b;
			r.mode = mode;
			r.kind = kind;
			r.threads = goals_threads(n);
			r.ticks = ticks;
			if (kind_measure(&r, pair_ticks, &all->of[mode][kind][n]))
				return;
		}
}

/* Of one mode, or all where `only` is NULL. */
static void tables(struct bench *b, uint32_t *ticks, const char *only)
{
	const enum listen_mode last = geteuid() == 0 ? LISTEN_KERNEL : LISTEN_INPROC;
	struct call_values nothing = { 0, CALL_STEP_COUNT };
	struct all_figures all = { 0 };
	uint32_t pair_ticks;
	unsigned int n;
	int mode;

	calls_each(CALL_KIND_CNT, EACH_CALLS, &nothing, ticks);
	pair_ticks = bench_percentile_u32(ticks, EACH_CALLS, 0.5);
	head_print(b, ticks, pair_ticks);
	for (mode = LISTEN_OFF; mode <= (int)last; mode++)
		if (!only || strcmp(only, listen_mode_name((enum listen_mode)mode)) == 0)
			mode_measure(b, (enum listen_mode)mode, ticks, pair_ticks, &all);
	if (last != LISTEN_KERNEL)
		printf("# kernel mode is not measured: needs root\n");
	if (!only) {
		sustained_head();
		for (mode = LISTEN_INPROC; mode <= (int)last; mode++)
			for (n = 0; n < GOALS_THREADS; n++)
				sustained_measure(b, (enum listen_mode)mode, goals_threads(n));
	}
	goals_print(&all);
}

/* record [off|inproc|kernel] */
int main(int argc, char **argv)
{
	uint32_t *ticks = malloc(EACH_CALLS * sizeof(*ticks));
	struct bench b;

	if (!ticks) {
		fprintf(stderr, "bench-record: no memory\n");
		return 1;
	}
	if (bench_begin(&b, "record", LIMIT_SECONDS)) {
		free(ticks);
		return 1;
	}
	tables(&b, ticks, argc > 1 ? argv[1] : NULL);
	free(ticks);
	return bench_end(&b);
}
