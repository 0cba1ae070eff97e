/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets.c - see targets.h. A process that has ended stays until all that it left in the ring
 * buffer has been taken (the kernel side's last chunk of it is there before its end is known); then
 * what is missing is counted, and it goes.
 */
#include "targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RESCAN_MS 1000 /* how often libraries loaded meanwhile are looked for */
#define ENDS_AT_ONCE 64

struct member {
	struct target *target;
	bool ended, drained; /* drained: what it left in the ring buffer has been taken */
};

struct targets {
	struct targets_options options;
	struct kernel *kernel;
	struct member *members; /* in the order in which they came */
	unsigned int cnt, cap, ended;
	uint64_t ever;
	unsigned int last;	/* found last */
	int epoll;
	bool executed;		/* so did the one that ended last */
	uint32_t attached_gone, programs_executed; /* of the kernel side, when they were looked at */
	uint64_t scanned_ms;
};

__attribute__((format(printf, 2, 3))) static void say(const struct targets *ts, const char *format,
						      ...)
{
	va_list args;

	if (!ts->options.say)
		return;
	va_start(args, format);
	ts->options.say(ts->options.arg, format, args);
	va_end(args);
}

int targets_open(struct targets **out, const struct targets_options *options, struct why *why)
{
	struct targets *ts = calloc(1, sizeof(*ts));

	if (!ts)
		return -ENOMEM;
	ts->options = *options;
	ts->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ts->epoll < 0) {
		free(ts);
		return why_set(why, -errno, "cannot wait for processes: %s", strerror(errno));
	}
	*out = ts;
	return 0;
}

void targets_close(struct targets *ts)
{
	unsigned int i;

	if (!ts)
		return;
	for (i = 0; i < ts->cnt; i++)
		target_close(ts->members[i].target);
	free(ts->members);
	close(ts->epoll);
	free(ts);
}

/* --- Who they are */

static struct member *member_find(const struct targets *ts, uint32_t tgid)
{
	unsigned int i;

	if (ts->last < ts->cnt && (uint32_t)target_pid(ts->members[ts->last].target) == tgid)
		return &ts->members[ts->last];
	for (i = 0; i < ts->cnt; i++)
		if ((uint32_t)target_pid(ts->members[i].target) == tgid)
			return &ts->members[i];
	return NULL;
}

struct target *targets_find(const struct targets *ts, uint32_t tgid)
{
	struct member *m = member_find(ts, tgid);

	return m ? m->target : NULL;
}

struct target *targets_first(const struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended)
			return ts->members[i].target;
	return NULL;
}

unsigned int targets_cnt(const struct targets *ts)
{
	return ts->cnt - ts->ended;
}

uint64_t targets_ever(const struct targets *ts)
{
	return ts->ever;
}

bool targets_readable(const struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended && !target_readable(ts->members[i].target))
			return false;
	return true;
}

bool targets_executed(const struct targets *ts)
{
	return ts->executed;
}

static int member_add(struct targets *ts, struct target *t)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)target_pid(t)};
	unsigned int cap = ts->cap ? ts->cap * 2 : 16;
	struct member *grown;

	if (ts->cnt == ts->cap) {
		grown = reallocarray(ts->members, cap, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		ts->members = grown;
		ts->cap = cap;
	}
	if (epoll_ctl(ts->epoll, EPOLL_CTL_ADD, target_pidfd(t), &event))
		return -errno;
	ts->members[ts->cnt++] = (struct member){.target = t};
	ts->ever++;
	return 0;
}

int targets_add(struct targets *ts, pid_t pid, struct why *why)
{
	struct target *t;
	int err;

	if (member_find(ts, (uint32_t)pid))
		return 0;
	err = target_open(&t, pid, why);
	if (err)
		return err;
	err = member_add(ts, t);
	if (err) {
		target_close(t);
		return why_set(why, err, "process %d: %s", (int)pid, strerror(-err));
	}
	return 0;
}

static int no_sites(const struct target *t, struct why *why)
{
	return why_set(why, -ENODATA,
		       "process %d (%s) has no qslog sites: neither the program nor a library of it "
		       "was built with qslog.h and qslog_runtime.c (readelf -n shows the probes of a "
		       "file)", (int)target_pid(t), target_facts(t)->name);
}

int targets_scan(struct targets *ts, struct why *why)
{
	unsigned int i;
	int files;

	for (i = 0; i < ts->cnt; i++) {
		files = target_scan(ts->members[i].target, why);
		if (files < 0)
			return files;
		if (!files)
			return no_sites(ts->members[i].target, why);
	}
	return 0;
}

/* --- Time, ingest */

int targets_clock(const struct targets *ts, enum qslog_clock *clock, struct why *why)
{
	enum qslog_clock one;
	unsigned int i;
	pid_t first = 0;
	int err;

	for (i = 0; i < ts->cnt; i++) {
		err = target_clock(ts->members[i].target, &one, why);
		if (err == -EAGAIN)
			continue;
		if (err)
			return err;
		if (first && one != *clock)
			return why_set(why, -ENOTSUP, "process %d takes its times from %s and "
				       "process %d does not, but a file has one clock: trace them "
				       "apart, or start them with QSLOG_CLOCK=tsc or "
				       "QSLOG_CLOCK=monotonic", (int)first,
				       *clock == QSLOG_CLOCK_MONOTONIC ? "CLOCK_MONOTONIC" :
									"the CPU's counter",
				       (int)target_pid(ts->members[i].target));
		first = target_pid(ts->members[i].target);
		*clock = one;
	}
	return first ? 0 : -EAGAIN;
}

void targets_counter_set(struct targets *ts, uint32_t kind)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		target_counter_set(ts->members[i].target, kind);
}

int targets_ingest(struct targets *ts, struct writer *writer, struct ingest *ingest)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < ts->cnt && !err; i++)
		err = target_ingest(ts->members[i].target, writer, ingest);
	return err;
}

/* --- Attach */

int targets_attach(struct targets *ts, struct kernel *k, struct why *why)
{
	unsigned int i;
	int err = 0;

	ts->kernel = k;
	for (i = 0; i < ts->cnt && !err; i++)
		err = target_attach(ts->members[i].target, k, why);
	if (err)
		return err;
	err = kernel_pull(k, true);
	if (err)
		return why_set(why, err, "cannot read the arenas of the process: %s",
			       strerror(-err));
	for (i = 0; i < ts->cnt && !err; i++)
		err = target_listen(ts->members[i].target, k, ts->options.level, why);
	for (i = 0; i < ts->cnt; i++)
		target_window_begin(ts->members[i].target);
	return err;
}

/* Libraries that were loaded since: their sites listen from now on. */
static void rescan(struct targets *ts, struct target *t)
{
	struct why why = {""};
	struct target_counts before, after;
	int err;

	target_counts_get(t, &before);
	if (target_scan(t, &why) < 0)
		return; /* it ends: the pidfd says so too */
	target_counts_get(t, &after);
	if (after.files == before.files)
		return;
	err = target_attach(t, ts->kernel, &why);
	if (!err)
		err = target_listen(t, ts->kernel, ts->options.level, &why);
	if (err)
		say(ts, "process %d: a library was loaded, but: %s", (int)target_pid(t), why.text);
}

/* --- Ends */

int targets_fd(const struct targets *ts)
{
	return ts->epoll;
}

static void member_ended(struct targets *ts, struct member *m, bool executed)
{
	if (m->ended)
		return;
	(void)epoll_ctl(ts->epoll, EPOLL_CTL_DEL, target_pidfd(m->target), NULL);
	m->ended = true;
	ts->executed = executed;
	ts->ended++;
}

void targets_ended_look(struct targets *ts)
{
	struct epoll_event events[ENDS_AT_ONCE];
	int i, n = epoll_wait(ts->epoll, events, ENDS_AT_ONCE, 0);

	for (i = 0; i < n; i++) {
		struct member *m = member_find(ts, events[i].data.u32);

		if (m)
			member_ended(ts, m, false);
	}
}

void targets_follow(struct targets *ts, bool drained)
{
	uint32_t gone = kernel_attached_gone(ts->kernel), executed = kernel_executed(ts->kernel);
	const bool ends = executed != ts->programs_executed, moves = gone != ts->attached_gone;
	struct why why = {""};
	unsigned int i;

	ts->attached_gone = gone;
	ts->programs_executed = executed;
	for (i = 0; drained && ts->ended && i < ts->cnt; i++)
		ts->members[i].drained = ts->members[i].ended;
	for (i = 0; (ends || moves) && i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		if (m->ended)
			continue;
		if (ends && kernel_process_harvested(ts->kernel, target_pid(m->target)))
			member_ended(ts, m, target_lives(m->target));
		else if (moves && target_follow(m->target, ts->kernel, ts->options.level, &why) &&
			 why.text[0])
			say(ts, "process %d: the main thread has ended: %s",
			    (int)target_pid(m->target), why.text);
	}
}

/* Nothing has come of an arena that was there before: what it held then is not the tracer's. */
static void arena_begin(struct target *t, const struct arena_id *id, const struct arena_state *state)
{
	const struct ingest_batch batch = {
		.registry = id->registry,
		.arena = id->arena,
		.tid = state->tid,
		.key = state->key,
		.from = state->base,
		.resync = true,
		.baseline = true,
		.from_records = state->base_records,
		.base_records = state->base_records,
		.dropped = state->dropped,
	};

	(void)ingest_batch(target_ingest_process(t), &batch);
}

static void arena_account(void *arg, const struct arena_id *id, const struct arena_state *state)
{
	struct target *t = arg;

	if (state->flags & CHUNK_BASELINE && state->sent == state->base)
		arena_begin(t, id, state);
	(void)ingest_arena_end(target_ingest_process(t), id->registry, id->arena, state->tid,
			       state->key, state->head, state->records, state->dropped,
			       state->failed == 1 + TROUBLE_READ_FAILED ? LOSS_UNREADABLE :
									  LOSS_RING_FULL);
}

/* Records that are in no arena's state; `ended`: nobody will look at the arenas again. */
static void losses_count(struct targets *ts, struct target *t, bool ended)
{
	struct ingest_process *process = target_ingest_process(t);
	struct kernel_process_losses losses;

	if (kernel_process_losses(ts->kernel, target_pid(t), &losses))
		return;
	(void)ingest_process_loss(process, LOSS_NO_ARENA, losses.no_arena);
	if (!ended)
		return;
	(void)ingest_process_loss(process, LOSS_UNREADABLE, losses.untracked + losses.unreadable);
	if (losses.unreadable)
		say(ts, "process %d: memory of %u arenas could not be read at the end: at least one "
		    "record of each is missing, nobody knows how many", (int)target_pid(t),
		    losses.unreadable);
}

static void member_settle(struct targets *ts, struct member *m)
{
	losses_count(ts, m->target, true);
	(void)kernel_arenas(ts->kernel, target_pid(m->target), arena_account, m->target);
	(void)ingest_settle(target_ingest_process(m->target));
}

static void reap(struct targets *ts)
{
	unsigned int i, kept = 0;

	for (i = 0; i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		if (!m->drained) {
			ts->members[kept++] = *m;
			continue;
		}
		ts->ended--;
		member_settle(ts, m);
		kernel_process_remove(ts->kernel, target_pid(m->target));
		target_close(m->target);
	}
	ts->cnt = kept;
}

void targets_tick(struct targets *ts, uint64_t now_ms)
{
	const bool scans = now_ms - ts->scanned_ms >= RESCAN_MS;
	unsigned int i;

	if (scans)
		ts->scanned_ms = now_ms;
	for (i = 0; i < ts->cnt; i++) {
		if (ts->members[i].ended)
			continue;
		target_sites_fetch(ts->members[i].target);
		losses_count(ts, ts->members[i].target, false);
		(void)ingest_until(target_ingest_process(ts->members[i].target),
				   target_counter(ts->members[i].target));
		if (scans)
			rescan(ts, ts->members[i].target);
	}
	if (ts->ended && ts->ended < ts->cnt) /* the last ones go with the session */
		reap(ts);
}

/* --- Finish */

void targets_mute(struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended)
			target_window_end(ts->members[i].target);
	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended)
			target_mute(ts->members[i].target);
}

void targets_settle(struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++) {
		if (!ts->members[i].ended)
			target_sites_fetch(ts->members[i].target);
		member_settle(ts, &ts->members[i]);
	}
}
