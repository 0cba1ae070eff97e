/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets.c - see targets.h. A process is known by the number that the kernel side gave it: ids are
 * used again, and one that executes another program is another process from then on.
 *
 * Here: who they are, and attaching to them. The programs of --exe: targets_exes.c; what happens to
 * processes: targets_events.c; what is missing when they have ended: targets_losses.c.
 */
#include "targets_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include "counter.h"

#define REPLACED_MS 1000 /* its event is behind the other one, unless there was no room for it */
#define RESCAN_MS 1000 /* how often libraries loaded meanwhile are looked for */
#define RESCANS_AT_ONCE 32

void targets_say(const struct targets *ts, const char *format, ...)
{
	va_list args;

	if (!ts->options.say)
		return;
	va_start(args, format);
	ts->options.say(ts->options.arg, format, args);
	va_end(args);
}

/* Each process that is looked at takes a few descriptors. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int names_watch(struct targets *ts)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 0}; /* no process's id */

	return epoll_ctl(ts->epoll, EPOLL_CTL_ADD, ts->names, &event);
}

int targets_open(struct targets **out, const struct targets_options *options, struct why *why)
{
	struct targets *ts = calloc(1, sizeof(*ts));
	int err = -ENOMEM;

	if (!ts)
		return err;
	ts->options = *options;
	ts->until = UINT64_MAX;
	ts->target_options.everywhere = options->follow || options->exes;
	ts->target_options.flags = options->follow ? PROCESS_FOLLOW : 0;
	ts->epoll = epoll_create1(EPOLL_CLOEXEC);
	ts->names = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (ts->epoll < 0 || ts->names < 0 || names_watch(ts))
		err = why_set(why, -errno, "cannot wait for processes: %s", strerror(errno));
	else if (!probed_files_open(&ts->target_options.files) &&
		 !elf_cache_open(&ts->target_options.cache))
		err = 0;
	if (err) {
		targets_close(ts);
		return err;
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
	probed_files_close(ts->target_options.files);
	elf_cache_close(ts->target_options.cache);
	free(ts->members);
	free(ts->exes);
	if (ts->names >= 0)
		close(ts->names);
	if (ts->epoll >= 0)
		close(ts->epoll);
	free(ts);
}

/* --- Who they are */

/* Where a number is, or would be. */
static unsigned int place_of(const struct targets *ts, uint32_t number)
{
	unsigned int low = 0, high = ts->cnt;

	while (low < high) {
		const unsigned int middle = low + (high - low) / 2;

		if (target_number(ts->members[middle].target) < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct member *member_find(struct targets *ts, uint32_t number)
{
	if (ts->last >= ts->cnt || target_number(ts->members[ts->last].target) != number)
		ts->last = place_of(ts, number);
	return ts->last < ts->cnt && target_number(ts->members[ts->last].target) == number ?
		       &ts->members[ts->last] : NULL;
}

struct member *member_of_pid(const struct targets *ts, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended && target_pid(ts->members[i].target) == pid)
			return &ts->members[i];
	return NULL;
}

struct target *targets_first(const struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		if (!ts->members[i].ended)
			return ts->members[i].target;
	return NULL;
}

bool targets_ended(const struct targets *ts)
{
	return ts->ended > 0;
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

bool targets_expect_more(const struct targets *ts)
{
	return ts->options.exes ||
	       (ts->replaced && ts->now_ms - ts->replaced_ms < REPLACED_MS);
}

bool targets_executed(const struct targets *ts)
{
	return ts->executed;
}

static int member_watch(struct targets *ts, const struct target *t)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)target_pid(t)};

	return epoll_ctl(ts->epoll, EPOLL_CTL_ADD, target_pidfd(t), &event) ? -errno : 0;
}

/* In order of numbers; those that have none yet, in order of coming. */
struct member *member_insert(struct targets *ts, struct target *t)
{
	const uint32_t number = target_number(t);
	unsigned int cap = ts->cap ? ts->cap * 2 : 16, at = number ? place_of(ts, number) : ts->cnt;
	struct member *grown;

	if (ts->cnt == ts->cap) {
		grown = reallocarray(ts->members, cap, sizeof(*grown));
		if (!grown)
			return NULL;
		ts->members = grown;
		ts->cap = cap;
	}
	memmove(&ts->members[at + 1], &ts->members[at], (ts->cnt - at) * sizeof(*ts->members));
	ts->members[at] = (struct member){.target = t, .scan_ms = ts->now_ms + 1};
	ts->cnt++;
	ts->ever++;
	if (number > ts->newest)
		ts->newest = number;
	target_window(t, ts->since, ts->until);
	return &ts->members[at];
}

int member_add(struct targets *ts, const struct target_options *options, pid_t pid,
		      struct why *why)
{
	struct target *t;
	int err = target_open(&t, options, pid, why);

	if (err)
		return err;
	err = member_watch(ts, t);
	if (!err && !member_insert(ts, t))
		err = -ENOMEM;
	if (err) {
		target_close(t);
		return why_set(why, err, "process %d: %s", (int)pid, strerror(-err));
	}
	return 0;
}

int targets_add(struct targets *ts, pid_t pid, struct why *why)
{
	return member_of_pid(ts, pid) ? 0 : member_add(ts, &ts->target_options, pid, why);
}

static int no_sites(const struct target *t, struct why *why)
{
	struct target_counts counts;

	target_counts_get(t, &counts);
	if (counts.unseen)
		return why_set(why, -ENODATA,
			       "process %d (%s) has no qslog sites in the files that can be looked at; "
			       "%u of its files cannot: %s", (int)target_pid(t), target_facts(t)->name,
			       counts.unseen, strerror(-counts.unseen_error));
	return why_set(why, -ENODATA,
		       "process %d (%s) has no qslog sites: neither the program nor a library of it "
		       "was built with qslog.h and qslog_runtime.c (readelf -n shows the probes of a "
		       "file)", (int)target_pid(t), target_facts(t)->name);
}

static int member_scan(const struct targets *ts, const struct member *m, struct why *why)
{
	const int files = target_scan(m->target, why);

	return files < 0 ? files : !files && !ts->options.follow ? no_sites(m->target, why) : 0;
}

int targets_scan(struct targets *ts, struct why *why)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < ts->cnt && !err; i++)
		err = member_scan(ts, &ts->members[i], why);
	return err;
}

void member_ended(struct targets *ts, struct member *m, bool executed)
{
	if (m->ended)
		return;
	if (target_pidfd(m->target) >= 0)
		(void)epoll_ctl(ts->epoll, EPOLL_CTL_DEL, target_pidfd(m->target), NULL);
	m->ended = true;
	ts->executed = executed;
	ts->ended++;
}

/* It has executed another program between the look at it and its number, without a word of that. */
static bool member_overtaken(const struct targets *ts, const struct member *m)
{
	struct proc_entry entry;

	return !target_current(m->target) &&
	       kernel_process_get(ts->kernel, target_pid(m->target), &entry) &&
	       entry.process == target_number(m->target) && !entry.executes && !entry.harvested;
}

static int member_renew(struct targets *ts, struct member *m, struct why *why)
{
	struct target *t;
	int err = target_open(&t, &ts->target_options, target_pid(m->target), why);

	if (err)
		return err == -ESRCH ? 0 : err; /* its end is seen elsewhere */
	target_number_set(t, target_number(m->target));
	target_close(m->target);
	m->target = t;
	err = member_watch(ts, t);
	if (err)
		return why_set(why, err, "process %d: %s", (int)target_pid(t), strerror(-err));
	err = member_scan(ts, m, why);
	return err ? err : target_attach(t, ts->kernel, why);
}

int member_attach(struct targets *ts, struct member *m, struct why *why)
{
	int err = target_attach(m->target, ts->kernel, why);
	const bool taken_in = err == -EEXIST; /* it has just executed a program that is wanted */

	if (taken_in)
		err = target_attach(m->target, ts->kernel, why);
	if (err || !member_overtaken(ts, m))
		return err;
	if (taken_in || !m->by_exe)
		return member_renew(ts, m, why);
	kernel_process_remove(ts->kernel, target_pid(m->target), target_number(m->target));
	member_ended(ts, m, false);
	m->drained = true;
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
	ts->counter_kind = kind;
}

void targets_ingest(struct targets *ts, struct writer *writer, struct ingest *ingest)
{
	ts->writer = writer;
	ts->ingest = ingest;
}

void targets_window_set(struct targets *ts)
{
	unsigned int i;

	for (i = 0; i < ts->cnt; i++)
		target_window(ts->members[i].target, ts->since, ts->until);
}

/* --- Attach */

static int member_by_number(const void *a, const void *b)
{
	const uint32_t x = target_number(((const struct member *)a)->target);
	const uint32_t y = target_number(((const struct member *)b)->target);

	return x < y ? -1 : x > y;
}

static int processes_attach(struct targets *ts, struct why *why)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < ts->cnt && !err; i++)
		if (!ts->members[i].ended)
			err = member_attach(ts, &ts->members[i], why);
	if (ts->cnt)
		qsort(ts->members, ts->cnt, sizeof(*ts->members), member_by_number);
	return err;
}

static int processes_listen(struct targets *ts, struct why *why)
{
	struct probed_file *file;
	unsigned int i;
	int err = 0;

	for (i = 1; !err && (file = probed_files_number(ts->target_options.files, i)); i++)
		if (file->exe)
			err = probed_file_listen(file, ts->kernel, ts->options.level, why);
	for (i = 0; i < ts->cnt && !err; i++)
		if (!ts->members[i].ended)
			err = target_listen(ts->members[i].target, ts->kernel, ts->options.level, why);
	return err;
}

int targets_attach(struct targets *ts, struct kernel *k, struct why *why)
{
	int err;

	ts->kernel = k;
	descriptors_raise();
	err = ts->options.exes ? targets_exes_attach(ts, why) : 0;
	if (!err && ts->options.exes)
		err = targets_exes_find(ts, why);
	if (!err)
		err = processes_attach(ts, why);
	if (err)
		return err;
	err = kernel_pull(k, true);
	if (err)
		return why_set(why, err, "cannot read the arenas of the process: %s",
			       strerror(-err));
	if (ts->options.snapshot) /* what they have now is told from later by its time */
		targets_forget(ts);
	err = processes_listen(ts, why);
	ts->since = ts->counter_kind ? counter_read(ts->counter_kind) : 0;
	targets_window_set(ts);
	return err;
}

int member_rescan(struct targets *ts, struct member *m)
{
	struct target_counts before, after;
	struct target *t = m->target;
	struct why why = {""};
	int err;

	m->look = false;
	m->scan_ms = ts->now_ms + RESCAN_MS;
	target_counts_get(t, &before);
	err = target_scan(t, &why);
	if (err < 0 && err != -ESRCH && !m->failed_said) {
		m->failed_said = true;
		targets_say(ts, "%s", why.text);
	}
	if (err < 0)
		return err; /* it ends: that is seen elsewhere too */
	target_counts_get(t, &after);
	if (after.files == before.files)
		return 0;
	err = target_attach(t, ts->kernel, &why);
	if (!err)
		err = target_listen(t, ts->kernel, ts->options.level, &why);
	if (err && err != -ESRCH)
		targets_say(ts, "process %d: a library was loaded, but: %s", (int)target_pid(t), why.text);
	return err;
}

bool member_ingest(struct targets *ts, struct member *m)
{
	return target_ingest_process(m->target) ||
	       (ts->ingest && target_ingest(m->target, ts->writer, ts->ingest) == 0);
}

struct target *targets_numbered(struct targets *ts, uint32_t number)
{
	struct member *m = member_find(ts, number);

	return m && member_ingest(ts, m) ? m->target : NULL;
}

/* --- Now and then, and at the end */

void targets_tick(struct targets *ts, uint64_t now_ms)
{
	unsigned int i, scans = 0;

	ts->now_ms = now_ms;
	targets_events_lost_look(ts);
	for (i = 0; i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		if (m->ended)
			continue;
		if (target_pidfd(m->target) >= 0)
			target_sites_fetch(m->target);
		member_losses_count(ts, m, false);
		if (ts->counter_kind && target_ingest_process(m->target))
			(void)ingest_until(target_ingest_process(m->target),
					   counter_read(ts->counter_kind));
		if (now_ms >= m->scan_ms && scans++ < RESCANS_AT_ONCE)
			member_rescan(ts, m);
	}
	if (ts->ended && (targets_cnt(ts) || targets_expect_more(ts)))
		targets_reap(ts); /* the last ones go with the session */
}

void targets_mute(struct targets *ts)
{
	unsigned int i;

	if (ts->counter_kind)
		ts->until = counter_read(ts->counter_kind);
	targets_window_set(ts);
	probed_files_mute(ts->target_options.files);
	for (i = 0; i < ts->cnt; i++)
		target_mute(ts->members[i].target);
}

void targets_window_end(struct targets *ts)
{
	if (ts->counter_kind)
		ts->until = counter_read(ts->counter_kind);
	targets_window_set(ts);
}
