/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_snapshot.c - a session with --snapshot: nothing is taken until there is a reason for a dump. In
 * the ring buffer is until then what a process left that has ended, or held when a chosen site recorded,
 * and news of libraries.
 */
#include "session_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "targets.h"

/* What is wanted of the session. */
struct wanted {
	bool dump, end;
	uint64_t settle_ms; /* not 0: arenas were taken, and more may be until then */
};

/* What memory holds, as far as the ring buffer has room for it at a time. */
static void dump_pull(struct session *s)
{
	uint64_t before[TROUBLE_COUNT], after[TROUBLE_COUNT];
	int round;

	for (round = 0; round < FINISH_ROUNDS; round++) {
		kernel_troubles(s->kernel, before);
		if (kernel_pull(s->kernel, false))
			return;
		session_consume_all(s);
		kernel_troubles(s->kernel, after);
		if (before[TROUBLE_RING_FULL] == after[TROUBLE_RING_FULL])
			return;
	}
}

static int dump_write(struct session *s, struct writer_totals *totals, struct why *why)
{
	int err = trace_output_open(&s->writer, &s->trace_output, s->options, s->counter_kind, why);

	if (err)
		return err;
	err = session_ingest_begin(s);
	if (!err) {
		session_consume_all(s); /* of those that have ended */
		targets_window_end(s->targets);
		dump_pull(s);
		targets_settle(s->targets);
	}
	targets_forget(s->targets);
	totals->error = writer_close(s->writer, totals);
	s->writer = NULL;
	ingest_close(s->ingest);
	s->ingest = NULL;
	return err ? err : totals->error;
}

/* Why there is a dump, where a chosen site is the reason. */
static void chosen_say(const struct session *s, const struct chosen_hit *hit, uint64_t missed)
{
	const struct chosen_site *site = &s->options->chosen[hit->site];

	if (hit->state == CHOSEN_TAKEN)
		fprintf(stderr, ", for %s:%u in process %u", site->file, site->line, hit->tgid);
	else if (missed)
		fprintf(stderr, ", for chosen sites that recorded during the one before, %llu times",
			(unsigned long long)missed);
}

static void dump(struct session *s)
{
	struct chosen_hit hit;
	struct writer_totals totals;
	struct why why = {""};
	uint64_t missed;
	int err;

	s->harvests = kernel_harvests(s->kernel);
	kernel_chosen(s->kernel, &hit);
	missed = hit.missed - s->chosen_missed;
	s->chosen_missed = hit.missed;
	err = trace_snapshot_begin(&s->snapshot, &s->trace_output);
	if (!err) {
		err = dump_write(s, &totals, &why);
		err = trace_snapshot_end(&s->snapshot, err, &totals);
	}
	session_status_clear(s);
	if (err) {
		fprintf(stderr, "qslog-trace: no dump %s: %s\n", s->snapshot.path,
			why.text[0] ? why.text : strerror(-err));
	} else if (!s->options->quiet) {
		fprintf(stderr, "qslog-trace: dump of %llu records in %s",
			(unsigned long long)totals.records, s->snapshot.path);
		chosen_say(s, &hit, missed);
		fputc('\n', stderr);
	}
}

static void signals_look(struct session *s, struct wanted *wanted)
{
	struct signalfd_siginfo taken;

	while (read(s->signals, &taken, sizeof(taken)) == (ssize_t)sizeof(taken)) {
		if (taken.ssi_signo == SIGUSR1)
			wanted->dump = true;
		else
			wanted->end = true;
	}
}

/* A program that ends unloads its libraries first: that makes one dump. */
static bool harvest_settled(const struct session *s, struct wanted *wanted, uint64_t now)
{
	if (kernel_harvests(s->kernel) == s->harvests)
		return false;
	if (!wanted->settle_ms)
		wanted->settle_ms = now + s->options->flush_ms;
	return targets_ended(s->targets) || now >= wanted->settle_ms;
}

/* False: a chosen site has recorded, and what there was then is still being taken; that wakes. */
static bool dump_if_wanted(struct session *s, struct wanted *wanted, uint64_t now)
{
	struct chosen_hit hit;

	kernel_chosen(s->kernel, &hit);
	if (!wanted->dump && hit.missed == s->chosen_missed && hit.state != CHOSEN_TAKEN &&
	    !harvest_settled(s, wanted, now))
		return hit.state != CHOSEN_TAKING;
	if (!kernel_chosen_hold(s->kernel))
		return false;
	dump(s);
	wanted->dump = false;
	wanted->settle_ms = 0;
	kernel_chosen_arm(s->kernel);
	return true;
}

static int timeout_of(uint64_t now, uint64_t deadline, const struct wanted *wanted)
{
	if (wanted->settle_ms && wanted->settle_ms < deadline)
		deadline = wanted->settle_ms;
	return now >= deadline ? 0 : deadline - now < 1000 ? (int)(deadline - now) : 1000;
}

static int events_await(struct session *s, int timeout, struct wanted *wanted, struct why *why)
{
	struct epoll_event events[4];
	uint64_t expirations;
	int i, n;

	kernel_sleeps(s->kernel, true);
	n = epoll_wait(s->epoll, events, 4, timeout);
	if (n < 0 && errno != EINTR)
		return why_set(why, -errno, "epoll_wait: %s", strerror(errno));
	for (i = 0; i < n; i++) {
		if (events[i].data.fd == s->timer)
			(void)!read(s->timer, &expirations, sizeof(expirations));
		else if (events[i].data.fd == s->signals)
			signals_look(s, wanted);
		else if (events[i].data.fd == targets_fd(s->targets))
			targets_ended_look(s->targets);
	}
	return 0;
}

int session_snapshot_run(struct session *s, enum session_end *end, struct why *why)
{
	const uint64_t deadline = s->options->duration_ms ?
				  s->started_ms + s->options->duration_ms : UINT64_MAX;
	struct wanted wanted = {false, false, 0};
	uint64_t now, noted = 0;
	bool quiet;
	int err;

	for (;;) {
		now = session_monotonic_ms();
		err = events_await(s, timeout_of(now, deadline, &wanted), &wanted, why);
		if (err)
			return err;
		quiet = dump_if_wanted(s, &wanted, session_monotonic_ms());
		targets_follow(s->targets, true);
		if (quiet && (wanted.end || now >= deadline || !targets_cnt(s->targets))) {
			*end = wanted.end ? SESSION_INTERRUPTED :
			       now >= deadline ? SESSION_DURATION : session_ended_how(s);
			return 0;
		}
		if (now - noted >= 1000) {
			noted = now;
			trace_snapshot_note(&s->snapshot);
			targets_tick(s->targets, now);
		}
	}
}

void session_snapshot_finish(struct session *s, struct writer_totals *totals)
{
	struct chosen_hit hit;
	unsigned int i;

	kernel_chosen(s->kernel, &hit);
	for (i = 0; i < s->options->chosen_cnt && !s->options->quiet; i++)
		if (!(hit.seen & 1u << i))
			fprintf(stderr, "qslog-trace: nothing was recorded at %s:%u\n",
				s->options->chosen[i].file, s->options->chosen[i].line);
	*totals = s->snapshot.totals;
}
