/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.c - one event loop: chunks from the ring buffer, a timer for pulls, flushes and the
 * status line, signals, and the end of the target.
 */
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "counter.h"
#include "ingest.h"
#include "kernel.h"
#include "launch.h"
#include "live.h"
#include "target.h"

#define CONSUME_BYTES (4 << 20)	/* of chunks between two looks at the other events */
#define RESCAN_MS 1000		/* how often libraries loaded meanwhile are looked for */
#define STATUS_MS 500
#define FINISH_ROUNDS 64

struct session {
	const struct options *options;
	struct kernel *kernel;
	struct target *target;
	struct launch launch;
	bool launched;
	bool target_ended;
	struct writer *writer;
	struct ingest *ingest;
	struct live *live;
	struct writer_totals totals;
	int epoll, timer, signals;
	sigset_t signals_before;
	uint32_t attached_gone; /* kernel_attached_gone() when it was last looked at */
	uint64_t started_ms, scanned_ms, status_ms;
	uint32_t counter_kind; /* enum file_counter_kind of the file's times; 0: not known yet */
	bool status_shown, error_said, clock_said;
	char output[PATH_MAX];
};

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

const char *session_output(const struct session *s)
{
	return s->output;
}

static void status_clear(struct session *s)
{
	if (s->status_shown)
		fputs("\r\033[K", stderr);
	s->status_shown = false;
}

/* --- Time. A file has one clock: that of the first records. */

static int clock_find(struct session *s, struct why *why)
{
	enum qslog_clock clock;
	int err = target_clock(s->target, &clock, why);

	if (err == -EAGAIN) /* the first chunk will say it */
		return 0;
	if (!err)
		s->counter_kind = counter_kind_of(clock);
	return err;
}

/* False: the records of a chunk with this counter cannot be taken. */
static bool clock_settle(struct session *s, uint32_t counter_kind)
{
	int err = -ENOTSUP;

	if (s->counter_kind == counter_kind)
		return true;
	if (!s->counter_kind && counter_kind == COUNTER_KIND)
		err = 0; /* as the writer was opened */
	else if (!s->counter_kind)
		err = writer_counter_set(s->writer, counter_kind);
	if (!err) {
		s->counter_kind = counter_kind;
		target_counter_set(s->target, counter_kind);
		return true;
	}
	if (!s->clock_said) {
		status_clear(s);
		fprintf(stderr, "qslog-trace: process %d: records that have their times from %s do not "
			"fit into %s: %s; they are left out, and counted as lost (start the program "
			"with QSLOG_CLOCK=%s)\n", (int)target_pid(s->target),
			counter_kind == FILE_COUNTER_MONOTONIC ? "CLOCK_MONOTONIC" : "the CPU's counter",
			s->output, err == -ENOTSUP ? "its times are from another clock" : strerror(-err),
			counter_kind == FILE_COUNTER_MONOTONIC ? "tsc" : "monotonic");
	}
	s->clock_said = true;
	return false;
}

/* --- Chunks */

static void session_chunk(void *arg, const struct chunk *chunk)
{
	struct session *s = arg;
	struct ingest_batch batch = {
		.registry = chunk->registry,
		.arena = chunk->arena,
		.tid = chunk->tid,
		.key = chunk->key,
		.from = chunk->from,
		.data = chunk->data,
		.bytes = chunk->data_bytes,
		.resync = chunk->flags & CHUNK_RESYNC,
		.baseline = chunk->flags & CHUNK_BASELINE,
		.from_records = chunk->from_records,
		.dropped = chunk->dropped,
	};

	if (chunk->tgid != (uint32_t)target_pid(s->target) ||
	    !clock_settle(s, counter_kind_of(chunk->flags & CHUNK_MONOTONIC ?
					     QSLOG_CLOCK_MONOTONIC : QSLOG_CLOCK_COUNTER)))
		return;
	/* Errors of the output are kept by the writer; others are a hostile process's own. */
	(void)ingest_batch(target_ingest_process(s->target), &batch);
}

/* --- Open */

static int sets_of_events(struct session *s, struct why *why)
{
	const struct itimerspec every = {
		.it_interval = {.tv_sec = s->options->flush_ms / 1000,
				.tv_nsec = s->options->flush_ms % 1000 * 1000000L},
		.it_value = {.tv_nsec = 1000000},
	};
	const int fds[] = {kernel_epoll_fd(s->kernel), s->timer = timerfd_create(CLOCK_MONOTONIC,
									      TFD_CLOEXEC),
			   s->signals, target_pidfd(s->target)};
	unsigned int i;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0 || s->timer < 0 || timerfd_settime(s->timer, 0, &every, NULL))
		return why_set(why, -errno, "cannot set up the event loop: %s", strerror(errno));
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};

		if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fds[i], &event))
			return why_set(why, -errno, "cannot set up the event loop: %s",
				       strerror(errno));
	}
	return 0;
}

static int signals_take(struct session *s, struct why *why)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	/* A closed pipe behind --live, and a limit on file sizes, are errors of write(2) here. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, &s->signals_before);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? why_set(why, -errno, "signalfd: %s", strerror(errno)) : 0;
}

static int output_open(struct session *s, struct why *why)
{
	const struct ingest_filter filter = {s->options->level, s->options->tags};
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");
	struct writer_options options = {
		.path = s->output, .tail = true, .counter_kind = s->counter_kind,
	};
	int err;

	target_counter_set(s->target, s->counter_kind);
	if (s->options->output)
		snprintf(s->output, sizeof(s->output), "%s", s->options->output);
	else
		snprintf(s->output, sizeof(s->output), "%s.%d.qslog", target_facts(s->target)->name,
			 (int)target_pid(s->target));
	if (geteuid() == 0 && uid && gid) {
		options.own_by_user = true;
		options.owner_uid = (uid_t)strtoul(uid, NULL, 10);
		options.owner_gid = (gid_t)strtoul(gid, NULL, 10);
	}
	err = writer_open(&s->writer, &options);
	if (err)
		return why_set(why, err, "cannot create the output %s: %s", s->output,
			       strerror(-err));
	err = ingest_open(&s->ingest, s->writer, &filter);
	if (!err)
		err = target_ingest(s->target, s->writer, s->ingest);
	if (!err && s->options->live)
		err = live_open(&s->live, s->writer);
	return err;
}

static int no_sites(const struct session *s, struct why *why)
{
	return why_set(why, -ENODATA,
		       "process %d (%s) has no qslog sites: neither the program nor a library of it "
		       "was built with qslog.h and qslog_runtime.c (readelf -n shows the probes of a "
		       "file)", (int)target_pid(s->target), target_facts(s->target)->name);
}

/* The probes of the files that are mapped now. */
static int attach_to_files(struct session *s, struct why *why)
{
	int err = target_attach(s->target, s->kernel, why);

	return err ? err : target_listen(s->target, s->kernel, s->options->level, why);
}

/* The program is held at exec: its own sites listen before its first instruction; those of its
 * libraries before its entry point. */
static int attach_launched(struct session *s, struct why *why)
{
	int err, files;

	files = target_scan(s->target, why);
	if (files < 0)
		return files;
	err = attach_to_files(s, why);
	if (!err)
		err = launch_to_entry(&s->launch, why);
	if (err)
		return err;
	files = target_scan(s->target, why);
	if (files <= 0)
		return files ? files : no_sites(s, why);
	err = attach_to_files(s, why);
	return err ? err : launch_release(&s->launch, why);
}

static int attach_running(struct session *s, struct why *why)
{
	int err = target_attach(s->target, s->kernel, why);

	if (!err)
		err = kernel_pull(s->kernel, true);
	if (err)
		return why_set(why, err, "cannot read the arenas of process %d: %s",
			       (int)target_pid(s->target), strerror(-err));
	err = target_listen(s->target, s->kernel, s->options->level, why);
	target_window_begin(s->target);
	return err;
}

static int target_start(struct session *s, struct why *why)
{
	int err, files;

	if (!s->options->command) {
		err = target_open(&s->target, s->options->pid, why);
		if (err)
			return err;
		files = target_scan(s->target, why);
		return files > 0 ? 0 : files ? files : no_sites(s, why);
	}
	err = launch_start(&s->launch, s->options->command, why);
	if (err)
		return err;
	s->launched = true;
	return target_open(&s->target, s->launch.pid, why);
}

int session_open(struct session **out, const struct options *options, struct why *why)
{
	struct session *s = calloc(1, sizeof(*s));
	struct kernel_options kernel = {
		.ring_bytes = options->ring_bytes,
		.libbpf_messages = options->verbose >= 2,
		.harvest_by_signal = getenv("QSLOG_TRACE_HARVEST_BY_SIGNAL") != NULL,
		.chunk = session_chunk,
	};
	int err;

	if (!s)
		return -ENOMEM;
	s->options = options;
	s->epoll = s->timer = s->signals = -1;
	kernel.arg = s;
	err = kernel_check(why);
	if (!err)
		err = target_start(s, why);
	/* After the start of a command, which must not inherit them. */
	if (!err)
		err = signals_take(s, why);
	if (!err)
		err = kernel_open(&s->kernel, &kernel, why);
	if (!err)
		err = sets_of_events(s, why);
	if (!err && !s->launched)
		err = clock_find(s, why);
	if (!err)
		err = output_open(s, why);
	if (!err)
		err = s->launched ? attach_launched(s, why) : attach_running(s, why);
	if (err) {
		if (s->launched)
			launch_abort(&s->launch);
		session_close(s);
		return err;
	}
	s->launched = false;
	s->started_ms = s->scanned_ms = monotonic_ms();
	*out = s;
	return 0;
}

/* --- Run */

static void status_show(struct session *s, uint64_t now)
{
	struct writer_totals totals;

	if (s->options->quiet || s->options->live || !isatty(STDERR_FILENO) ||
	    now - s->status_ms < STATUS_MS)
		return;
	s->status_ms = now;
	writer_totals_get(s->writer, &totals);
	fprintf(stderr, "\r\033[K%.1f s  %llu records  %.2f MB  ratio %.1f  lost %llu",
		(double)(now - s->started_ms) / 1000, (unsigned long long)totals.records,
		(double)totals.file_bytes / 1e6,
		totals.file_bytes ? (double)totals.text_bytes / (double)totals.file_bytes : 0.0,
		(unsigned long long)totals.lost);
	s->status_shown = true;
}

static void output_error_say(struct session *s, int err)
{
	if (!err || s->error_said)
		return;
	status_clear(s);
	fprintf(stderr, "qslog-trace: %s: %s; what cannot be written is counted as lost, the "
		"program is not affected\n", s->output, strerror(-err));
	s->error_said = true;
}

/* Libraries that were loaded since: their sites listen from now on. */
static void rescan(struct session *s, uint64_t now)
{
	struct why why = {""};
	struct target_counts before, after;

	if (now - s->scanned_ms < RESCAN_MS)
		return;
	s->scanned_ms = now;
	target_counts_get(s->target, &before);
	if (target_scan(s->target, &why) < 0)
		return; /* it ends: the pidfd says so too */
	target_counts_get(s->target, &after);
	if (after.files != before.files && attach_to_files(s, &why)) {
		status_clear(s);
		fprintf(stderr, "qslog-trace: a library was loaded, but: %s\n", why.text);
	}
}

static void tick(struct session *s)
{
	uint64_t expirations, now = monotonic_ms();

	(void)!read(s->timer, &expirations, sizeof(expirations));
	(void)kernel_pull(s->kernel, false);
	(void)kernel_consume(s->kernel, CONSUME_BYTES);
	target_lost_count(s->target);
	output_error_say(s, writer_flush(s->writer));
	rescan(s, now);
	status_show(s, now);
}

/* The thread through which the probes are attached has ended before the others. */
static void follow(struct session *s)
{
	struct why why = {""};
	uint32_t gone = kernel_attached_gone(s->kernel);

	if (gone == s->attached_gone)
		return;
	s->attached_gone = gone;
	if (target_follow(s->target, s->kernel, s->options->level, &why) && why.text[0]) {
		status_clear(s);
		fprintf(stderr, "qslog-trace: the main thread has ended: %s\n", why.text);
	}
}

int session_run(struct session *s, enum session_end *end, struct why *why)
{
	const uint64_t deadline = s->options->duration_ms ?
				  s->started_ms + s->options->duration_ms : UINT64_MAX;
	struct epoll_event events[4];
	int i, n, timeout = -1;

	for (;;) {
		uint64_t now = monotonic_ms();

		if (now >= deadline) {
			*end = SESSION_DURATION;
			return 0;
		}
		if (deadline != UINT64_MAX && timeout < 0)
			timeout = deadline - now < 1000 ? (int)(deadline - now) : 1000;
		n = epoll_wait(s->epoll, events, 4, timeout);
		if (n < 0 && errno != EINTR)
			return why_set(why, -errno, "epoll_wait: %s", strerror(errno));
		timeout = kernel_consume(s->kernel, CONSUME_BYTES) >= CONSUME_BYTES ? 0 : -1;
		if (kernel_executed(s->kernel)) {
			s->target_ended = true;
			*end = SESSION_TARGET_EXECUTED;
			return 0;
		}
		follow(s);
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == s->timer) {
				tick(s);
			} else if (events[i].data.fd == s->signals) {
				*end = SESSION_INTERRUPTED;
				return 0;
			} else if (events[i].data.fd == target_pidfd(s->target)) {
				s->target_ended = true;
				*end = SESSION_TARGET_ENDED;
				return 0;
			}
		}
	}
}

/* --- Finish */

static void consume_all(struct session *s)
{
	while (kernel_consume(s->kernel, CONSUME_BYTES) > 0)
		;
}

/* Nothing has come of an arena that was there before: what it held then is not the tracer's. */
static void arena_begin(struct session *s, const struct arena_id *id,
			const struct arena_state *state)
{
	const struct ingest_batch batch = {
		.registry = id->registry,
		.arena = id->arena,
		.tid = state->tid,
		.key = state->key,
		.from = state->sent,
		.resync = true,
		.baseline = true,
		.from_records = state->sent_records,
		.dropped = state->dropped,
	};

	(void)ingest_batch(target_ingest_process(s->target), &batch);
}

static void arena_account(void *arg, const struct arena_id *id, const struct arena_state *state)
{
	struct session *s = arg;
	uint64_t troubles[TROUBLE_COUNT];

	if (state->flags & CHUNK_BASELINE)
		arena_begin(s, id, state);
	kernel_troubles(s->kernel, troubles);
	(void)ingest_arena_end(target_ingest_process(s->target), id->registry, id->arena, state->tid,
			       state->key, state->head, state->records, state->dropped,
			       troubles[TROUBLE_RING_FULL] ? LOSS_RING_FULL : LOSS_UNREADABLE);
}

/* What is still in the arenas of a process that goes on. */
static void drain(struct session *s)
{
	int round;
	int64_t got;

	target_window_end(s->target);
	target_mute(s->target);
	for (round = 0; round < FINISH_ROUNDS; round++) {
		if (kernel_pull(s->kernel, false))
			return;
		got = 0;
		for (;;) {
			int64_t n = kernel_consume(s->kernel, CONSUME_BYTES);

			if (n <= 0)
				break;
			got += n;
		}
		if (!got)
			return;
	}
}

int session_finish(struct session *s, struct writer_totals *totals, struct why *why)
{
	int err, live_err = 0;

	status_clear(s);
	consume_all(s);
	if (!s->target_ended) {
		drain(s);
		target_lost_count(s->target);
	}
	kernel_arenas(s->kernel, target_pid(s->target), arena_account, s);
	(void)ingest_settle(target_ingest_process(s->target));
	(void)writer_flush(s->writer);
	if (s->live) {
		live_err = live_error(s->live);
		live_close(s->live);
		s->live = NULL;
	}
	err = writer_close(s->writer, totals);
	s->writer = NULL;
	if (err)
		return why_set(why, err, "the output %s is incomplete: %s", s->output, strerror(-err));
	if (live_err && live_err != -EPIPE)
		return why_set(why, live_err, "standard output: %s", strerror(-live_err));
	return 0;
}

void session_troubles_print(const struct session *s)
{
	uint64_t troubles[TROUBLE_COUNT];
	int i;

	kernel_troubles(s->kernel, troubles);
	for (i = 0; i < TROUBLE_COUNT; i++)
		if (troubles[i])
			fprintf(stderr, "qslog-trace: %llu times: %s\n",
				(unsigned long long)troubles[i], trouble_name(i));
}

void session_close(struct session *s)
{
	struct signalfd_siginfo taken;

	if (!s)
		return;
	live_close(s->live);
	target_close(s->target);
	ingest_close(s->ingest);
	(void)writer_close(s->writer, NULL);
	kernel_close(s->kernel);
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->timer >= 0)
		close(s->timer);
	if (s->signals >= 0) {
		/* Those that ended the session have done their work. */
		while (read(s->signals, &taken, sizeof(taken)) > 0)
			;
		close(s->signals);
		sigprocmask(SIG_SETMASK, &s->signals_before, NULL);
	}
	free(s);
}
