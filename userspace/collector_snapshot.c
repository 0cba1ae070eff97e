/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector_snapshot.c - see collector_snapshot.h. To the runtime no collector runs in this mode: it
 * overwrites the oldest, as in kernel mode. All work is done by one thread, which sleeps on the futex
 * `wake`: whoever wants something says so in a field of his own and raises it. About once a second
 * the thread notes time and names of threads.
 */
#include <qslog.h>

#include "collector_snapshot.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "collector_dump.h"
#include "collector_safe.h"
#include "recover.h"

#define NOTE_MS 1000
#define FATAL_WAIT_MS 10000
/* So many threads that have ended keep their records, whatever new ones do. */
#define ENDED_KEPT 16

enum fatal_state { FATAL_NONE, FATAL_ASKED, FATAL_DONE };
enum asking { ASK_DUMP, ASK_KEEP_SITES };

static struct snapshot {
	pid_t pid; /* of the process that is in this mode */
	int runs;
	pthread_t thread;
	pid_t tid;
	uint32_t wake; /* raised by whoever wants something */
	int stop;
	bool signals;
	struct dumper dumper;
	struct collector_safe safe;
	/* qslog_snapshot_dump(), and libraries that go: one at a time, who waits for the answer */
	pthread_mutex_t asking;
	enum asking ask;
	const char *ask_path;
	int ask_result;
	uint32_t asked, answered;
	/* the chosen site: times that it was executed, before the last dump for it and ever */
	uint32_t triggers_served, triggers;
	/* fatal signals */
	uint32_t fatal; /* enum fatal_state */
	bool fatal_final, fatal_stuck;
} snapshot = {.asking = PTHREAD_MUTEX_INITIALIZER};

static bool debug_enabled(void)
{
	const char *value = secure_getenv("QSLOG_DEBUG");

	return value && strcmp(value, "1") == 0;
}

static void futex_wait(uint32_t *word, uint32_t value, unsigned int ms)
{
	const struct timespec timeout = {.tv_sec = ms / 1000,
					 .tv_nsec = (long)(ms % 1000) * 1000000};

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &timeout, NULL, 0);
}

static void futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void thread_wake(struct snapshot *s)
{
	__atomic_add_fetch(&s->wake, 1, __ATOMIC_SEQ_CST);
	futex_wake(&s->wake);
}

bool collector_snapshot_runs(void)
{
	return __atomic_load_n(&snapshot.runs, __ATOMIC_ACQUIRE) && snapshot.pid == getpid();
}

/* --- The thread. */

static int dump(struct snapshot *s, const char *path, bool fatal)
{
	int err = dumper_write(&s->dumper, path, fatal);

	if (err && debug_enabled())
		fprintf(stderr, "qslog: the dump could not be written: %s\n", strerror(-err));
	return err;
}

static void fatal_serve(struct snapshot *s)
{
	if (__atomic_load_n(&s->fatal, __ATOMIC_ACQUIRE) != FATAL_ASKED)
		return;
	if (dump(s, NULL, true) == 0 && s->fatal_final && s->safe.memory)
		safe_memory_unlink(s->safe.memory); /* there is nothing left to recover */
	__atomic_store_n(&s->fatal, FATAL_DONE, __ATOMIC_RELEASE);
	futex_wake(&s->fatal);
}

static void trigger_serve(struct snapshot *s)
{
	const uint32_t triggers = __atomic_load_n(&s->triggers, __ATOMIC_ACQUIRE);

	if (triggers == s->triggers_served)
		return;
	s->triggers_served = triggers;
	(void)dump(s, NULL, false);
}

static void ask_serve(struct snapshot *s)
{
	const uint32_t asked = __atomic_load_n(&s->asked, __ATOMIC_ACQUIRE);

	if (asked == s->answered)
		return;
	s->ask_result = s->ask == ASK_DUMP ? dump(s, s->ask_path, false) :
					     dumper_keep_sites(&s->dumper);
	__atomic_store_n(&s->answered, asked, __ATOMIC_RELEASE);
	futex_wake(&s->answered);
}

static void *snapshot_main(void *arg)
{
	struct snapshot *s = arg;
	uint64_t noted_ms = monotonic_ms(), now_ms;

	pthread_setname_np(pthread_self(), "qslog");
	__atomic_store_n(&s->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (;;) {
		const uint32_t wake = __atomic_load_n(&s->wake, __ATOMIC_SEQ_CST);
		const int stop = __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE);

		fatal_serve(s);
		trigger_serve(s);
		ask_serve(s);
		if (stop) /* which came before what was served */
			return NULL;
		now_ms = monotonic_ms();
		if (now_ms - noted_ms >= NOTE_MS) {
			dumper_note(&s->dumper);
			qslog_priv_collector_levels_again(); /* a tracer may have undone it */
			noted_ms = now_ms;
		}
		futex_wait(&s->wake, wake, (unsigned int)(noted_ms + NOTE_MS - now_ms) + 1);
	}
}

/* --- Who wants something. */

static int ask(struct snapshot *s, enum asking what, const char *path)
{
	int err = -ESRCH;

	pthread_mutex_lock(&s->asking);
	if (collector_snapshot_runs()) {
		uint32_t asked, answered;

		s->ask = what;
		s->ask_path = path;
		asked = __atomic_add_fetch(&s->asked, 1, __ATOMIC_SEQ_CST);
		thread_wake(s);
		while ((answered = __atomic_load_n(&s->answered, __ATOMIC_ACQUIRE)) != asked)
			futex_wait(&s->answered, answered, NOTE_MS);
		err = s->ask_result;
	}
	pthread_mutex_unlock(&s->asking);
	return err;
}

int qslog_snapshot_dump(const char *path)
{
	const int saved_errno = errno;
	int err, cancel;

	if (!collector_snapshot_runs() || pthread_equal(pthread_self(), snapshot.thread))
		return -ESRCH;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	err = ask(&snapshot, ASK_DUMP, path);
	pthread_setcancelstate(cancel, NULL);
	errno = saved_errno;
	return err;
}

static int exiting;

static void exit_note(void)
{
	__atomic_store_n(&exiting, 1, __ATOMIC_RELAXED);
}

/* At exit(3) all libraries say that they go, and none does. */
void collector_snapshot_unload(void)
{
	int cancel;

	if (!collector_snapshot_runs() || __atomic_load_n(&exiting, __ATOMIC_RELAXED) ||
	    pthread_equal(pthread_self(), snapshot.thread))
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	(void)ask(&snapshot, ASK_KEEP_SITES, NULL);
	collector_chosen_forget();
	pthread_setcancelstate(cancel, NULL);
}

void collector_snapshot_trigger(void)
{
	struct snapshot *s = &snapshot;

	if (!collector_snapshot_runs())
		return;
	__atomic_add_fetch(&s->triggers, 1, __ATOMIC_SEQ_CST);
	thread_wake(s);
}

void collector_snapshot_fatal(bool first, bool final)
{
	struct snapshot *s = &snapshot;
	uint32_t state = __atomic_load_n(&s->fatal, __ATOMIC_ACQUIRE);
	const uint64_t until = monotonic_ms() + FATAL_WAIT_MS;
	uint64_t now;

	if (!collector_snapshot_runs() || s->fatal_stuck ||
	    __atomic_load_n(&s->tid, __ATOMIC_ACQUIRE) == (pid_t)syscall(SYS_gettid))
		return;
	if (first && state != FATAL_ASKED) {
		s->fatal_final = final;
		__atomic_store_n(&s->fatal, FATAL_ASKED, __ATOMIC_SEQ_CST);
		thread_wake(s);
	}
	while (__atomic_load_n(&s->fatal, __ATOMIC_ACQUIRE) == FATAL_ASKED) {
		now = monotonic_ms();
		if (now >= until || !collector_snapshot_runs()) {
			s->fatal_stuck = true; /* it may need a lock that a dead thread holds */
			return;
		}
		futex_wait(&s->fatal, FATAL_ASKED, (unsigned int)(until - now));
	}
}

/* --- Options. */

static int flag_read(int *flag, const char *name, int otherwise)
{
	const char *text;

	if (*flag == -1) {
		text = secure_getenv(name);
		*flag = !text ? otherwise : strcmp(text, "1") == 0 ? 1 : strcmp(text, "0") == 0 ? 0 : -1;
	}
	return *flag == 0 || *flag == 1 ? 0 : -EINVAL;
}

int collector_snapshot_options(struct qslog_options *o)
{
	int err = flag_read(&o->snapshot, "QSLOG_SNAPSHOT", 0);

	if (err || !o->snapshot)
		return err;
	err = flag_read(&o->snapshot_signals, "QSLOG_SNAPSHOT_SIGNALS", 1);
	if (!o->snapshot_site)
		o->snapshot_site = secure_getenv("QSLOG_SNAPSHOT_SITE");
	if (o->snapshot_site && !*o->snapshot_site)
		o->snapshot_site = NULL;
	return err;
}

/* --- Start and stop. */

static void memory_begin(struct snapshot *s)
{
	const char *wanted = secure_getenv("QSLOG_CRASH_SAFE");
	const struct writer_process process = dumper_process(&s->dumper);
	struct safe_memory *memory;
	int err;

	memset(&s->safe, 0, sizeof(s->safe));
	if (wanted && strcmp(wanted, "0") == 0)
		return;
	err = safe_memory_open(&memory, s->dumper.path, NULL, &s->dumper.scale, &process,
			       qslog_priv_process.arena_bytes);
	if (!err) {
		dumper_memory(&s->dumper, memory);
		dumper_note(&s->dumper);
		collector_safe_hook(&s->safe, memory);
	} else if (debug_enabled()) {
		fprintf(stderr, "qslog: records will not survive a crash: %s\n", strerror(-err));
	}
}

static int thread_begin(struct snapshot *s)
{
	sigset_t all, saved;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = -pthread_create(&s->thread, NULL, snapshot_main, s);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return err;
}

int collector_snapshot_start(const struct qslog_options *o)
{
	static int exit_noted;
	struct snapshot *s = &snapshot;
	int err;

	if (s->pid != getpid()) { /* in a forked child these are the parent's, and stay as they are */
		collector_safe_end(&s->safe, false);
		memset(&s->dumper, 0, sizeof(s->dumper));
	}
	s->runs = 0;
	s->pid = getpid();
	s->stop = 0;
	s->tid = 0;
	s->asked = s->answered = 0;
	s->triggers = s->triggers_served = 0;
	s->fatal = FATAL_NONE;
	s->fatal_stuck = false;
	s->signals = o->snapshot_signals;
	if (!exit_noted && atexit(exit_note) == 0)
		exit_noted = 1;
	err = collector_chosen_set(o->snapshot_site);
	if (!err)
		err = dumper_open(&s->dumper, o->path);
	if (!err)
		err = recover_predecessor(s->dumper.path, false);
	if (err)
		goto fail;
	memory_begin(s);
	__atomic_store_n(&qslog_priv_process.ended_kept, ENDED_KEPT, __ATOMIC_RELEASE);
	err = thread_begin(s);
	if (err)
		goto fail;
	__atomic_store_n(&s->runs, 1, __ATOMIC_RELEASE);
	if (o->snapshot_site)
		__atomic_store_n(&qslog_priv_process.site_chosen, collector_chosen, __ATOMIC_RELEASE);
	qslog_priv_collector_levels(1);
	if (s->signals)
		collector_signals_install();
	return 0;
fail:
	__atomic_store_n(&qslog_priv_process.ended_kept, 0, __ATOMIC_RELEASE);
	collector_safe_end(&s->safe, true);
	dumper_close(&s->dumper);
	return err;
}

int collector_snapshot_stop(void)
{
	struct snapshot *s = &snapshot;

	qslog_priv_collector_levels(0);
	__atomic_store_n(&qslog_priv_process.site_chosen, NULL, __ATOMIC_RELEASE);
	if (s->signals)
		collector_signals_remove();
	pthread_mutex_lock(&s->asking); /* a dump that is under way is written */
	__atomic_store_n(&s->stop, 1, __ATOMIC_RELEASE);
	thread_wake(s);
	pthread_join(s->thread, NULL);
	__atomic_store_n(&s->runs, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&s->asking);
	qslog_priv_collector_levels_again();
	__atomic_store_n(&qslog_priv_process.ended_kept, 0, __ATOMIC_RELEASE);
	if (collector_safe_missed(&s->safe) && debug_enabled())
		fprintf(stderr, "qslog: records of %llu threads would not have survived a crash\n",
			(unsigned long long)collector_safe_missed(&s->safe));
	collector_safe_end(&s->safe, true);
	dumper_close(&s->dumper);
	return 0;
}

/* Another thread may have been asking. */
void collector_snapshot_fork_child(void)
{
	pthread_mutex_init(&snapshot.asking, NULL);
}
