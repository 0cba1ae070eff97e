/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.c - one event loop: chunks from the ring buffer, a timer for pulls, flushes and the
 * status line, signals, and the ends of the targets.
 */
#include "session_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <linux/capability.h>
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

#include "chunk_batch.h"
#include "counter.h"
#include "ingest.h"
#include "kernel.h"
#include "launch.h"
#include "live.h"
#include "privilege.h"
#include "sandbox.h"
#include "scheduler.h"
#include "targets.h"
#include "trace_output.h"
#include "trace_snapshot.h"

#define CONSUME_BYTES (4 << 20)	/* of chunks between two looks at the other events */
#define STATUS_MS 500

uint64_t session_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

const char *session_output(const struct session *s)
{
	return s->output;
}

const char *session_degraded(const struct session *s)
{
	return kernel_ends_degraded(kernel_ends_get(s->kernel));
}

void session_status_clear(struct session *s)
{
	if (s->status_shown)
		fputs("\r\033[K", stderr);
	s->status_shown = false;
}

/* A line for the user while the session runs. */
static void session_say(void *arg, const char *format, va_list args)
{
	struct session *s = arg;

	session_status_clear(s);
	fputs("qslog-trace: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

/* --- Time. A file has one clock: that of the first records. */

static int clock_find(struct session *s, struct why *why)
{
	enum qslog_clock clock;
	int err = targets_clock(s->targets, &clock, why);

	if (err == -EAGAIN) /* the first chunk will say it */
		return 0;
	if (!err)
		s->counter_kind = counter_kind_of(clock);
	return err;
}

/* False: the records of a chunk with this counter cannot be taken. */
static bool clock_settle(struct session *s, const struct target *t, uint32_t counter_kind)
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
		targets_counter_set(s->targets, counter_kind);
		return true;
	}
	if (!s->clock_said) {
		session_status_clear(s);
		fprintf(stderr, "qslog-trace: process %d: records that have their times from %s do not "
			"fit into %s: %s; they are left out, and counted as lost (start the program "
			"with QSLOG_CLOCK=%s)\n", (int)target_pid(t),
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
	struct target *t = s->closing ? NULL : targets_of(s->targets, chunk);
	struct ingest_batch batch = chunk_batch(chunk);

	if (!t ||
	    !clock_settle(s, t, counter_kind_of(chunk->flags & CHUNK_MONOTONIC ?
					     QSLOG_CLOCK_MONOTONIC : QSLOG_CLOCK_COUNTER)))
		return;
	batch.registry = target_runtime(t, chunk->registry, chunk->instance);
	/* Errors of the output are kept by the writer; others are a hostile process's own. */
	(void)ingest_batch(target_ingest_process(t), &batch);
}

static void session_event(void *arg, const struct chunk *chunk, const struct process_event *event,
			  const struct process_program *program)
{
	struct session *s = arg;

	if (s->closing)
		targets_let_go(s->targets, chunk, event);
	else
		targets_event(s->targets, chunk, event, program);
}

/* --- Scheduler events */

static int process_index(void *arg, uint32_t number)
{
	const struct session *s = arg;
	const struct target *t = targets_numbered(s->targets, number);

	return t ? (int)ingest_process_index(target_ingest_process(t)) : -1;
}

static int scheduler_start(struct session *s, struct why *why)
{
	const struct scheduler_options options = {
		.ring_bytes = s->options->ring_bytes / 8,
		.procs_fd = kernel_procs_fd(s->kernel),
		.process = process_index,
		.arg = s,
	};
	struct epoll_event event = {.events = EPOLLIN};
	int err;

	if (!s->options->sched)
		return 0;
	err = scheduler_open(&s->scheduler, &options, why);
	if (err)
		return err;
	event.data.fd = scheduler_epoll_fd(s->scheduler);
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, event.data.fd, &event))
		return why_set(why, -errno, "cannot set up the event loop: %s", strerror(errno));
	return 0;
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
			   s->signals, targets_fd(s->targets)};
	unsigned int i;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0 || s->timer < 0 || timerfd_settime(s->timer, 0, &every, NULL))
		return why_set(why, -errno, "cannot set up the event loop: %s", strerror(errno));
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};

		/* There a snapshot leaves things that are no reason to write one. */
		if (s->options->snapshot && !i)
			event.events |= EPOLLET;
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
	if (s->options->snapshot)
		sigaddset(&set, SIGUSR1);
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

static void output_name(struct session *s)
{
	const struct target *t = targets_first(s->targets);
	const char *exe = s->options->exe_cnt ? s->options->exes[0] : "", *slash = strrchr(exe, '/');

	if (s->options->output)
		snprintf(s->output, sizeof(s->output), "%s", s->options->output);
	else if (t)
		snprintf(s->output, sizeof(s->output), "%s.%d.%sqslog", target_facts(t)->name,
			 (int)target_pid(t), s->options->snapshot ? "%n." : "");
	else
		snprintf(s->output, sizeof(s->output), "%s.qslog", slash ? slash + 1 : exe);
}

int session_ingest_begin(struct session *s)
{
	const struct ingest_filter filter = {
		.level_min = s->options->level,
		.tags = s->options->tags,
		.tids = s->options->tids,
		.duration_min_ns = s->options->duration_min_ns,
		.sample = s->options->sample,
	};
	int err = ingest_open(&s->ingest, s->writer, &filter);

	targets_ingest(s->targets, s->writer, s->ingest);
	return err;
}

static unsigned int session_backlog(void *arg)
{
	const struct session *s = arg;

	return kernel_backlog(s->kernel);
}

static int output_open(struct session *s, struct why *why)
{
	int err;

	targets_counter_set(s->targets, s->counter_kind);
	output_name(s);
	s->trace_output = (struct trace_output){
		.path = s->output,
		.say = session_say,
		.arg = s,
		.quiet = s->options->quiet,
		.backlog = session_backlog,
		.owner = s->options->drop_user ? &s->user : NULL,
	};
	if (s->options->snapshot) {
		err = trace_snapshot_open(&s->snapshot, s->output,
					  target_pid(targets_first(s->targets)),
					  s->counter_kind ? s->counter_kind : COUNTER_KIND);
		return err ? why_set(why, err, "the clock cannot be read: %s", strerror(-err)) : 0;
	}
	err = trace_output_open(&s->writer, &s->trace_output, s->options, s->counter_kind, why);
	if (err)
		return err;
	err = session_ingest_begin(s);
	if (!err && s->options->live)
		err = live_open(&s->live, s->writer, s->options->tick_ns);
	return err;
}

/* The program is held at exec: its own sites listen before its first instruction; those of its
 * libraries before its entry point. */
static int attach_launched(struct session *s, struct why *why)
{
	struct target *t = targets_first(s->targets);
	int err = target_scan(t, why);

	if (err >= 0)
		err = targets_attach(s->targets, s->kernel, why);
	if (!err)
		err = launch_to_entry(&s->launch, why);
	if (!err)
		err = targets_scan(s->targets, why);
	if (!err)
		err = target_attach(t, s->kernel, why);
	if (!err)
		err = target_listen(t, s->kernel, s->options->level, why);
	return err ? err : launch_release(&s->launch, why);
}

static int targets_start(struct session *s, struct why *why)
{
	const struct options *o = s->options;
	const struct targets_options options = {
		.level = o->level, .follow = o->follow, .exes = o->exe_cnt != 0,
		.snapshot = o->snapshot,
		.say = session_say, .arg = s,
	};
	unsigned int i;
	int err = targets_open(&s->targets, &options, why);

	for (i = 0; !err && i < o->exe_cnt; i++)
		err = targets_exe(s->targets, o->exes[i], why);
	for (i = 0; !err && i < o->pid_cnt; i++)
		err = targets_add(s->targets, o->pids[i], why);
	if (!err)
		err = targets_scan(s->targets, why);
	if (err || !o->command)
		return err;
	err = launch_start(&s->launch, o->command, why);
	if (err)
		return err;
	s->launched = true;
	return targets_add(s->targets, s->launch.pid, why);
}

static bool terminal_there(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Whose processes these will be is not known yet. */
static bool others_come(const struct session *s)
{
	return s->options->follow || s->options->exe_cnt;
}

int session_open(struct session **out, const struct options *options, struct why *why)
{
	struct session *s = calloc(1, sizeof(*s));
	struct kernel_options kernel = {
		.ring_bytes = options->ring_bytes,
		.snapshot = options->snapshot,
		.immediate = options->immediate,
		.libbpf_messages = options->verbose >= 2,
		.ends = getenv("QSLOG_TRACE_HARVEST"), /* for tests */
		.exes = options->exe_cnt != 0,
		.follow = options->follow,
		.chunk = session_chunk,
		.event = session_event,
	};
	int err = 0;

	if (!s)
		return -ENOMEM;
	s->options = options;
	s->epoll = s->timer = s->signals = s->priority.group = -1;
	s->terminal = terminal_there();
	kernel.arg = s;
	memcpy(kernel.chosen, options->chosen, sizeof(kernel.chosen));
	if (options->drop_user)
		err = privilege_user_find(&s->user, options->drop_user, why);
	if (!err)
		err = kernel_check(why);
	if (!err)
		err = targets_start(s, why);
	/* After the start of a command, which must not inherit them. */
	if (!err)
		err = signals_take(s, why);
	/* All threads come from this one. Without CAP_SYS_NICE it stays as it is. */
	if (!priority_set(&s->priority, options->nice) && options->verbose)
		fprintf(stderr, "qslog-trace: the priority (--nice) counts among the processes of this "
			"session only, where it has company: see --check\n");
	if (!err)
		err = kernel_open(&s->kernel, &kernel, why);
	if (!err)
		kernel_hold(s->kernel, others_come(s));
	if (!err)
		err = sets_of_events(s, why);
	if (!err && !s->launched)
		err = clock_find(s, why);
	if (!err)
		err = output_open(s, why);
	if (!err)
		err = scheduler_start(s, why);
	if (!err)
		err = s->launched ? attach_launched(s, why) :
				    targets_attach(s->targets, s->kernel, why);
	if (err) {
		if (s->launched)
			launch_abort(&s->launch);
		session_close(s);
		return err;
	}
	s->launched = false;
	s->started_ms = session_monotonic_ms();
	*out = s;
	return 0;
}

/* --- Confine */

static bool pull_works(void *arg)
{
	struct session *s = arg;

	return kernel_pull(s->kernel, false) == 0;
}

static bool reading_works(void *arg)
{
	struct session *s = arg;

	return !others_come(s) && targets_readable(s->targets);
}

/* Those that are stopped until they are attached to are let go again. */
static bool letting_go_works(void *arg)
{
	return !others_come(arg);
}

/* A clean close removes the tail, and --rotate-* makes new files: as the user. */
static int folder_check(const struct session *s, struct why *why)
{
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", s->output);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	else
		strcpy(folder, ".");
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	return why_set(why, -errno, "--drop-privs %s: the folder of the output, %s, is not writable by "
		       "that user: %s; give another with -o", s->user.name, folder, strerror(errno));
}

int session_confine(struct session *s, struct why *why)
{
	const struct privilege_need needs[] = {
		{CAP_BPF, pull_works, s},
		{CAP_SYS_PTRACE, reading_works, s},
		{CAP_KILL, letting_go_works, s}, /* the filter leaves SIGCONT of it */
	};
	int err = 0;

	if (s->options->drop_user)
		err = privilege_drop(&s->user, needs, sizeof(needs) / sizeof(needs[0]), why);
	if (!err && s->options->drop_user)
		err = folder_check(s, why);
	if (!err)
		err = sandbox_enter(s->options->drop_user != NULL, others_come(s), why);
	return err == -ENOTSUP ? 0 : err; /* said by --check */
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

static void tick(struct session *s)
{
	uint64_t expirations, now = session_monotonic_ms();

	(void)!read(s->timer, &expirations, sizeof(expirations));
	(void)kernel_pull(s->kernel, false);
	(void)kernel_consume(s->kernel, CONSUME_BYTES);
	if (s->scheduler)
		(void)scheduler_consume(s->scheduler, s->writer); /* errors are kept by the writer */
	targets_tick(s->targets, now);
	/* Rather than wait for a block that is being packed, it goes on taking; but not twice in a row. */
	s->flush_due = !s->live && !s->flush_due && writer_sealing(s->writer);
	if (!s->flush_due)
		(void)writer_flush(s->writer); /* its events say it */
	status_show(s, now);
}

/* The kernel has sent the signal, or a shell that got it from the kernel. */
static bool terminal_gone(const struct session *s, int32_t code)
{
	return code == SI_KERNEL || (s->terminal && !terminal_there());
}

/* True: the session is to end. SIGHUP asks for another file, but where the terminal has gone. */
static bool signal_take(struct session *s)
{
	struct signalfd_siginfo taken;

	while (read(s->signals, &taken, sizeof(taken)) == (ssize_t)sizeof(taken)) {
		if (taken.ssi_signo != SIGHUP || terminal_gone(s, taken.ssi_code))
			return true;
		(void)writer_rotate(s->writer); /* its events say how it went */
	}
	return false;
}

enum session_end session_ended_how(const struct session *s)
{
	return targets_ever(s->targets) > 1 ? SESSION_TARGETS_ENDED :
	       targets_executed(s->targets) ? SESSION_TARGET_EXECUTED : SESSION_TARGET_ENDED;
}

void session_consume_all(struct session *s)
{
	while (kernel_consume(s->kernel, CONSUME_BYTES) > 0)
		;
}

/* Ends are seen without the ring buffer too, which may hold that there were children. */
static bool nobody_left(struct session *s)
{
	if (targets_cnt(s->targets) || targets_expect_more(s->targets))
		return false;
	session_consume_all(s);
	return !targets_cnt(s->targets) && !targets_expect_more(s->targets);
}

int session_run(struct session *s, enum session_end *end, struct why *why)
{
	const uint64_t deadline = s->options->duration_ms ?
				  s->started_ms + s->options->duration_ms : UINT64_MAX;
	struct epoll_event events[5];
	int i, n, timeout = -1;

	if (s->options->snapshot)
		return session_snapshot_run(s, end, why);
	for (;;) {
		uint64_t now = session_monotonic_ms();

		if (now >= deadline) {
			*end = SESSION_DURATION;
			return 0;
		}
		if (deadline != UINT64_MAX && timeout < 0)
			timeout = deadline - now < 1000 ? (int)(deadline - now) : 1000;
		kernel_sleeps(s->kernel, timeout != 0);
		n = epoll_wait(s->epoll, events, 5, timeout);
		kernel_sleeps(s->kernel, false);
		if (n < 0 && errno != EINTR)
			return why_set(why, -errno, "epoll_wait: %s", strerror(errno));
		timeout = kernel_consume(s->kernel, CONSUME_BYTES) >= CONSUME_BYTES ? 0 : -1;
		if (s->options->immediate && timeout < 0)
			(void)writer_flush(s->writer); /* its events say it */
		if (s->scheduler)
			(void)scheduler_consume(s->scheduler, s->writer);
		targets_follow(s->targets, timeout < 0);
		for (i = 0; i < n; i++) {
			if (events[i].data.fd == s->timer) {
				tick(s);
			} else if (events[i].data.fd == s->signals && signal_take(s)) {
				*end = SESSION_INTERRUPTED;
				return 0;
			} else if (events[i].data.fd == targets_fd(s->targets)) {
				targets_ended_look(s->targets);
			}
		}
		if (nobody_left(s)) {
			*end = session_ended_how(s);
			return 0;
		}
	}
}

/* --- Finish */

/* What is still in the arenas of processes that go on. */
static void drain(struct session *s)
{
	int round;
	int64_t got;

	targets_mute(s->targets);
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

	session_status_clear(s);
	if (s->options->snapshot) {
		session_snapshot_finish(s, totals);
		return 0;
	}
	kernel_hold(s->kernel, false);
	session_consume_all(s);
	if (targets_cnt(s->targets) || targets_expect_more(s->targets))
		drain(s);
	targets_settle(s->targets);
	if (s->scheduler)
		(void)scheduler_finish(s->scheduler, s->writer);
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

void session_filtered(const struct session *s, struct ingest_filtered *out)
{
	memset(out, 0, sizeof(*out));
	if (s->ingest)
		ingest_filtered_get(s->ingest, out);
}

const struct ingest_losses *session_losses(const struct session *s)
{
	return s->ingest ? ingest_losses_get(s->ingest) : NULL;
}

void session_close(struct session *s)
{
	struct signalfd_siginfo taken;

	if (!s)
		return;
	if (s->kernel) { /* nobody stays held */
		kernel_hold(s->kernel, false);
		s->closing = true;
		session_consume_all(s);
	}
	live_close(s->live);
	scheduler_close(s->scheduler);
	targets_close(s->targets);
	ingest_close(s->ingest);
	(void)writer_close(s->writer, NULL);
	kernel_close(s->kernel);
	priority_give_back(&s->priority);
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
