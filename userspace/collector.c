/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector.c - in-process mode: a thread takes records out of the arenas of all threads and
 * writes the file, with the same ingest and writer as the tracer's.
 *
 * How it works. The thread visits every arena, hands what has come since the last visit to the
 * ingest, and flushes the writer when that is a good part of a ring or the flush interval is over;
 * then `collected` moves on, which gives the owner the room back (collector_safe.h). When there
 * was little it sleeps on a futex, at most one flush interval, and so short that at the rate of the
 * last one no ring is filled to the part at which its owner wakes it: waking is a system call, and
 * where that has to get another processor out of its sleep it takes 40 us of the owner's time, which
 * threads that log evenly are to be spared, and those that log in bursts: for a while after there was
 * much it looks in every 100 us. qslog_flush() and qslog_stop() raise a number and wait until the
 * thread has answered it after one more whole visit.
 */
#include <qslog.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "collector_options.h"
#include "collector_safe.h"
#include "collector_snapshot.h"
#include "counter.h"
#include "ingest.h"
#include "proc_facts.h"
#include "recover.h"
#include "writer.h"
#include "writer_state.h"

#define VISIT_BYTES_BUSY 65536 /* a visit that took less than this may sleep */
#define FLUSH_RING_SHARE 8     /* so much of a ring since the last flush is reason for one */
#define SLEEP_RING_SHARE 8     /* no longer than it takes the busiest thread to fill that much */
#define SLEEP_MIN_NS 200000
#define LINGER_NS 5000000 /* after a visit that took SLEEP_RING_SHARE of a ring or more */
#define LINGER_SLEEP_NS 100000

static struct collector {
	pthread_mutex_t lock; /* of start and stop */
	pid_t pid;	      /* the process that runs it; a forked child does not */
	pthread_t thread;
	struct writer *writer;
	struct ingest *ingest;
	struct ingest_process *process;
	struct collector_safe safe;
	uint64_t flush_bytes;
	uint64_t linger_until_ns;
	unsigned int flush_ms;
	int nice;
	bool nice_set;
	/* answered = requested once everything from before the request is in the file */
	uint32_t requested, answered;
	int stop;
	int rotate; /* is asked for */
	int unloaded; /* a library was, after everything of it has been requested */
	bool refused; /* there was no memory to take all that the last visit found */
	int error; /* of the last flush */
} collector = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int debug_enabled(void)
{
	const char *value = secure_getenv("QSLOG_DEBUG");

	return value && strcmp(value, "1") == 0;
}

static long futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- What the ingest asks about this process. */

static int own_site(void *arg, uint64_t address, struct writer_format *out)
{
	const struct qslog_site *site = (const struct qslog_site *)(uintptr_t)address;

	(void)arg;
	if (site->magic != QSLOG_SITE_MAGIC || site->arg_cnt > QSLOG_ARGS_MAX)
		return -EBADMSG;
	out->kind = site->kind;
	out->level = site->level;
	out->arg_cnt = site->arg_cnt;
	memcpy(out->types, site->types, sizeof(out->types));
	out->line = site->line;
	out->tag = site->tag;
	out->file = site->file;
	out->function = site->function;
	out->format = site->format;
	out->name = site->name;
	return 0;
}

static void own_thread_name(void *arg, uint32_t tid, char name[32])
{
	struct collector *c = arg;
	struct proc_thread thread;

	if (proc_thread_read(getpid(), (pid_t)tid, &thread) == 0)
		memcpy(name, thread.name, sizeof(thread.name));
	collector_safe_name(&c->safe, name);
}

/* --- Visiting arenas. */

/* The arena begins where it is now. */
static int arena_begin(struct collector *c, struct qslog_arena *arena)
{
	struct ingest_batch batch;
	int err;

	memset(&batch, 0, sizeof(batch));
	batch.arena = arena->index;
	batch.tid = arena->tid;
	batch.key = __atomic_load_n(&arena->key, __ATOMIC_ACQUIRE);
	batch.from = __atomic_load_n(&arena->head, __ATOMIC_ACQUIRE);
	batch.dropped = arena->dropped;
	batch.resync = batch.baseline = true;
	err = ingest_batch(c->process, &batch);
	if (!err)
		collector_safe_arena_begin(arena, &batch);
	return err;
}

/* Takes what one arena has; returns the bytes. */
static uint64_t arena_visit(struct collector *c, struct qslog_arena *arena)
{
	uint64_t key = __atomic_load_n(&arena->key, __ATOMIC_ACQUIRE);
	uint64_t from = safe_arena_of(arena)->taken;
	uint64_t head = __atomic_load_n(&arena->head, __ATOMIC_ACQUIRE);
	struct ingest_batch batch;

	/* A new life begins only when the arena has been drained, so what lies there is of the
	 * key that was there before and after looking at head. */
	if (!key || key != __atomic_load_n(&arena->key, __ATOMIC_ACQUIRE))
		return 0;
	/* Under a tracer the owner may have gone on for a while before it saw the collector. */
	if (head - from > arena->mask + 1) {
		c->refused |= arena_begin(c, arena) != 0;
		return 0;
	}
	memset(&batch, 0, sizeof(batch));
	batch.arena = arena->index;
	batch.tid = arena->tid;
	batch.key = key;
	batch.from = from;
	batch.data = (const char *)arena + QSLOG_ARENA_HEADER_BYTES + (from & arena->mask);
	batch.bytes = (uint32_t)(head - from);
	batch.dropped = __atomic_load_n(&arena->dropped, __ATOMIC_RELAXED);
	collector_safe_take(&c->safe, arena, &batch, head);
	/* Errors of the output are the writer's, which counts and keeps them. */
	if ((batch.bytes || batch.dropped) && ingest_batch(c->process, &batch)) {
		collector_safe_refused(&c->safe, arena, &batch);
		c->refused = true;
		return 0;
	}
	collector_safe_taken(&c->safe, arena, &batch, head);
	if (c->safe.memory && c->safe.unflushed_bytes >= c->flush_bytes)
		(void)writer_flush(c->writer);
	return head - from;
}

/* `most`: of one arena. */
static uint64_t arenas_visit(struct collector *c, uint64_t *most)
{
	uint32_t i, cnt = __atomic_load_n(&qslog_priv_registry.arena_cnt, __ATOMIC_ACQUIRE);
	struct qslog_arena **table = (struct qslog_arena **)(uintptr_t)qslog_priv_registry.table;
	uint64_t bytes = 0, one;

	*most = 0;
	c->refused = false;
	for (i = 0; i < cnt; i++) {
		one = arena_visit(c, table[i]);
		bytes += one;
		if (one > *most)
			*most = one;
	}
	c->refused |= ingest_process_loss(c->process, LOSS_NO_ARENA,
					  __atomic_load_n(&qslog_priv_registry.lost,
							  __ATOMIC_RELAXED)) != 0;
	return bytes;
}

/* How full the fullest arena is, in percent. */
static unsigned int arenas_backlog(void *arg)
{
	uint32_t i, cnt = __atomic_load_n(&qslog_priv_registry.arena_cnt, __ATOMIC_ACQUIRE);
	struct qslog_arena **table = (struct qslog_arena **)(uintptr_t)qslog_priv_registry.table;
	uint64_t most = 0, bytes;

	(void)arg;
	for (i = 0; i < cnt; i++) {
		bytes = __atomic_load_n(&table[i]->collected, __ATOMIC_ACQUIRE); /* never ahead of head */
		bytes = __atomic_load_n(&table[i]->head, __ATOMIC_RELAXED) - bytes;
		bytes = bytes * 100 / (table[i]->mask + 1);
		most = bytes > most ? bytes : most;
	}
	return (unsigned int)most;
}

/* The arenas that exist already begin where they are now. */
static int arenas_begin(struct collector *c)
{
	uint32_t i, cnt = __atomic_load_n(&qslog_priv_registry.arena_cnt, __ATOMIC_ACQUIRE);
	struct qslog_arena **table = (struct qslog_arena **)(uintptr_t)qslog_priv_registry.table;
	int err = 0;

	for (i = 0; i < cnt && !err; i++)
		err = arena_begin(c, table[i]);
	return err;
}

/* `most` bytes of one arena have come in `elapsed_ns`, up to `now`. */
static uint64_t sleep_ns(struct collector *c, uint64_t most, uint64_t elapsed_ns, uint64_t now)
{
	const uint64_t longest = (uint64_t)c->flush_ms * 1000000u;
	const uint64_t part = qslog_priv_process.arena_bytes / SLEEP_RING_SHARE;
	double ns;

	if (most >= part)
		c->linger_until_ns = now + LINGER_NS;
	if (now < c->linger_until_ns)
		return LINGER_SLEEP_NS;
	if (!most)
		return longest;
	ns = (double)elapsed_ns * (double)part / (double)most;
	return ns < SLEEP_MIN_NS ? SLEEP_MIN_NS : ns < (double)longest ? (uint64_t)ns : longest;
}

static void collector_sleep(uint64_t ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000u),
				   .tv_nsec = (long)(ns % 1000000000u)};
	uint32_t *state = &qslog_priv_process.collector, awake = QSLOG_COLLECTOR_AWAKE;

	if (!__atomic_compare_exchange_n(state, &awake, QSLOG_COLLECTOR_SLEEPING, 0,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	if (!__atomic_load_n(&collector.stop, __ATOMIC_SEQ_CST) &&
	    __atomic_load_n(&collector.requested, __ATOMIC_SEQ_CST) ==
		    __atomic_load_n(&collector.answered, __ATOMIC_RELAXED))
		futex(state, FUTEX_WAIT, QSLOG_COLLECTOR_SLEEPING, &timeout);
	__atomic_store_n(state, QSLOG_COLLECTOR_AWAKE, __ATOMIC_RELEASE);
}

static void collector_answer(struct collector *c, uint32_t request)
{
	c->error = writer_flush(c->writer);
	if (__atomic_exchange_n(&c->rotate, 0, __ATOMIC_ACQ_REL) && !c->error)
		c->error = writer_rotate(c->writer);
	if (__atomic_exchange_n(&c->unloaded, 0, __ATOMIC_ACQ_REL))
		ingest_sites_forget(c->process);
	__atomic_store_n(&c->answered, request, __ATOMIC_RELEASE);
	futex(&c->answered, FUTEX_WAKE, INT_MAX, NULL);
}

static void *collector_main(void *arg)
{
	struct collector *c = arg;
	uint64_t now = monotonic_ns(), flushed_ns = now, noted_ns = now, visited_ns = now;
	const uint64_t flush_ns = (uint64_t)c->flush_ms * 1000000u;
	uint32_t arenas_before = 0; /* at the last flush */
	bool unflushed = false;

	pthread_setname_np(pthread_self(), "qslog");
	if (c->nice_set) /* of this thread alone, as far as it is allowed */
		(void)setpriority(PRIO_PROCESS, 0, c->nice);
	(void)prctl(PR_SET_TIMERSLACK, 1000ul); /* of 50 us: the sleep is that short */
	for (;;) {
		uint32_t request = __atomic_load_n(&c->requested, __ATOMIC_ACQUIRE);
		bool stop = __atomic_load_n(&c->stop, __ATOMIC_ACQUIRE);
		uint64_t most, bytes = arenas_visit(c, &most), elapsed_ns;
		uint32_t arenas = __atomic_load_n(&qslog_priv_registry.arena_cnt, __ATOMIC_RELAXED);

		now = monotonic_ns();
		elapsed_ns = now - visited_ns;
		visited_ns = now;
		unflushed |= bytes != 0 || c->safe.listed;
		if (now - noted_ns >= flush_ns) {
			collector_safe_clock(&c->safe);
			noted_ns = now;
		}
		if (stop) {
			/* Levels go off one after the other: the file ends before the first does. */
			ingest_process_window(c->process, 0,
					      counter_read(counter_kind_of(qslog_priv_clock())));
			qslog_priv_collector_levels(0);
			while (arenas_visit(c, &most)) /* calls that were under way */
				;
			c->refused |= ingest_settle(c->process) != 0;
			collector_answer(c, request);
			return NULL;
		}
		if (request != c->answered) {
			collector_answer(c, request);
			unflushed = false;
			flushed_ns = now;
		} else if (now - flushed_ns >= flush_ns ||
			   (unflushed && arenas != arenas_before)) {
			/* threads come and go: let them have the arenas of those that have gone */
			arenas_before = arenas;
			(void)writer_flush(c->writer);
			qslog_priv_collector_levels_again();
			unflushed = false;
			flushed_ns = now;
		}
		if (bytes < VISIT_BYTES_BUSY)
			collector_sleep(sleep_ns(c, most, elapsed_ns, now));
	}
}

static bool collector_runs(const struct collector *c)
{
	return c->pid == getpid() &&
	       __atomic_load_n(&qslog_priv_process.collector, __ATOMIC_ACQUIRE) !=
		       QSLOG_COLLECTOR_OFF;
}

/* Waits until the thread has answered a request made now. */
static int collector_ask(struct collector *c)
{
	uint32_t request = __atomic_add_fetch(&c->requested, 1, __ATOMIC_SEQ_CST), answered;

	for (;;) {
		qslog_priv_collector_wake();
		answered = __atomic_load_n(&c->answered, __ATOMIC_ACQUIRE);
		if ((int32_t)(answered - request) >= 0)
			return c->error;
		if (!collector_runs(c)) /* it has been stopped meanwhile, and has written all */
			return c->error;
		futex(&c->answered, FUTEX_WAIT, answered, &(struct timespec){.tv_nsec = 100000000});
	}
}

void qslog_priv_collector_unload(void)
{
	__atomic_store_n(&collector.unloaded, 1, __ATOMIC_RELEASE);
	(void)qslog_priv_collector_flush();
	collector_snapshot_unload();
}

int qslog_priv_collector_flush(void)
{
	if (!collector_runs(&collector) || pthread_equal(pthread_self(), collector.thread))
		return 0;
	return collector_ask(&collector);
}

/* --- Start and stop. */

static int output_open(struct collector *c, const char *path,
		       const struct collector_output *output)
{
	const struct writer_options options = {
		.path = path, .tail = true, .sync = output->sync, .rotation = output->rotation,
		.compress = output->compress,
		.counter_kind = counter_kind_of(qslog_priv_clock()),
		.backlog = arenas_backlog,
	};
	const struct ingest_source source = {
		.arg = c, .site = own_site, .thread_name = own_thread_name,
	};
	const char *wanted = secure_getenv("QSLOG_CRASH_SAFE");
	struct writer_process process = {0};
	struct proc_facts facts;
	int err, index, unsafe;

	err = proc_facts_read(&facts, getpid());
	if (err)
		return err;
	process.pid = (uint32_t)getpid();
	process.start_time_ns = facts.start_time_ns;
	process.name = facts.name;
	process.exe = facts.exe;
	process.command = facts.command;
	err = writer_open(&c->writer, &options);
	if (err)
		goto out;
	err = ingest_open(&c->ingest, c->writer, NULL);
	if (err)
		goto out;
	err = index = writer_process_add(c->writer, &process);
	if (index < 0)
		goto out;
	err = ingest_process_add(c->ingest, (uint32_t)index, facts.name, 0, &source, &c->process);
	if (err || (wanted && strcmp(wanted, "0") == 0))
		goto out;
	unsafe = collector_safe_begin(&c->safe, c->writer, c->process, path, &process,
				      qslog_priv_process.arena_bytes);
	if (unsafe && debug_enabled())
		fprintf(stderr, "qslog: records will not survive a crash: %s\n", strerror(-unsafe));
out:
	proc_facts_free(&facts);
	return err;
}

static int output_close(struct collector *c)
{
	int err;

	/* Where there was no memory to write it all, the file is left as by a death: what is missing is
	 * in the memory file, and `qslog recover` puts it there. */
	if (c->refused && !c->safe.memory)
		(void)writer_flush(c->writer);
	collector_safe_journal_end(&c->safe);
	ingest_process_remove(c->process);
	ingest_close(c->ingest);
	if (c->refused) {
		writer_abandon(c->writer);
		err = -ENOMEM;
	} else {
		err = writer_close(c->writer, NULL);
	}
	if (collector_safe_missed(&c->safe) && debug_enabled())
		fprintf(stderr, "qslog: records of %llu threads would not have survived a crash\n",
			(unsigned long long)collector_safe_missed(&c->safe));
	collector_safe_end(&c->safe, !c->refused);
	c->refused = false;
	c->process = NULL;
	c->ingest = NULL;
	c->writer = NULL;
	return err;
}

static int collector_start(struct collector *c, const struct qslog_options *options)
{
	sigset_t all, saved;
	int err;

	sigfillset(&all);
	qslog_priv_process.on_full = options->on_full;
	c->flush_bytes = options->arena_bytes / FLUSH_RING_SHARE;
	c->flush_ms = options->flush_ms;
	c->stop = 0;
	c->requested = c->answered = 0;
	c->pid = getpid();
	c->refused = false;
	err = arenas_begin(c);
	if (err)
		return err;
	__atomic_store_n(&qslog_priv_process.collector, QSLOG_COLLECTOR_AWAKE, __ATOMIC_RELEASE);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = -pthread_create(&c->thread, NULL, collector_main, c);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (err) {
		__atomic_store_n(&qslog_priv_process.collector, QSLOG_COLLECTOR_OFF,
				 __ATOMIC_RELEASE);
		return err;
	}
	qslog_priv_collector_levels(1);
	return 0;
}

/* In threads of the application: going over a limit on file sizes, and a pipe whose reader has gone,
 * are errors of write(2) and no signals. (In the collector's own thread all are blocked.) */
static void write_signals_block(sigset_t *saved, sigset_t *pending)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, saved);
	sigpending(pending);
}

static void write_signals_restore(const sigset_t *saved, const sigset_t *pending_before)
{
	static const int signals[] = {SIGXFSZ, SIGPIPE};
	sigset_t pending, one;
	size_t i;

	sigpending(&pending);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		sigemptyset(&one);
		sigaddset(&one, signals[i]);
		if (sigismember(&pending, signals[i]) && !sigismember(pending_before, signals[i]))
			(void)sigtimedwait(&one, NULL, &(struct timespec){0});
	}
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

int qslog_start(const struct qslog_options *options)
{
	struct collector *c = &collector;
	struct collector_output output;
	struct qslog_options complete;
	int saved_errno = errno, err, cancel;
	sigset_t saved, pending;
	char path[PATH_MAX];

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	write_signals_block(&saved, &pending);
	pthread_mutex_lock(&c->lock);
	err = collector_options_complete(&complete, &output, options, path);
	if (err)
		goto out;
	if (collector_runs(c) || collector_snapshot_runs()) {
		err = -EALREADY;
		goto out;
	}
	/* In a forked child these are the parent's, and stay as they are. */
	c->writer = NULL;
	c->ingest = NULL;
	c->process = NULL;
	if (c->pid != getpid())
		collector_safe_end(&c->safe, false);
	qslog_priv_process.arena_bytes = complete.arena_bytes;
	if (complete.snapshot) {
		err = collector_levels_set(options, complete.level);
		if (!err)
			err = collector_snapshot_start(&complete);
		goto out;
	}
	err = recover_predecessor(path, output.rotates);
	c->nice = output.nice;
	c->nice_set = output.nice_set;
	if (!err)
		err = output_open(c, path, &output);
	if (!err)
		err = collector_levels_set(options, complete.level);
	if (!err)
		err = collector_start(c, &complete);
	if (err)
		(void)output_close(c);
out:
	pthread_mutex_unlock(&c->lock);
	write_signals_restore(&saved, &pending);
	pthread_setcancelstate(cancel, NULL);
	errno = saved_errno;
	return err;
}

int qslog_stop(void)
{
	struct collector *c = &collector;
	int saved_errno = errno, err = -ESRCH, cancel;
	sigset_t saved, pending;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	write_signals_block(&saved, &pending);
	pthread_mutex_lock(&c->lock);
	if (collector_runs(c)) {
		__atomic_store_n(&c->stop, 1, __ATOMIC_SEQ_CST);
		qslog_priv_collector_wake();
		pthread_join(c->thread, NULL);
		__atomic_store_n(&qslog_priv_process.collector, QSLOG_COLLECTOR_OFF,
				 __ATOMIC_RELEASE);
		err = output_close(c);
	} else if (collector_snapshot_runs()) {
		err = collector_snapshot_stop();
	}
	pthread_mutex_unlock(&c->lock);
	write_signals_restore(&saved, &pending);
	pthread_setcancelstate(cancel, NULL);
	errno = saved_errno;
	return err;
}

/* Another thread may have been starting or stopping when this one forked. */
static void fork_child(void)
{
	pthread_mutex_init(&collector.lock, NULL);
	collector_snapshot_fork_child();
}

/* Early: other constructors, and those of static objects, may log already. */
__attribute__((constructor(101))) static void collector_from_environment(void)
{
	const char *path = secure_getenv("QSLOG_FILE");
	int err;

	pthread_atfork(NULL, NULL, fork_child);
	if (!path || !*path)
		return;
	err = qslog_start(NULL);
	if (err && debug_enabled())
		fprintf(stderr, "qslog: QSLOG_FILE=%s: cannot start: %s\n", path, strerror(-err));
}

int qslog_rotate(void)
{
	struct collector *c = &collector;
	int saved_errno = errno, err;

	if (!collector_runs(c) || pthread_equal(pthread_self(), c->thread))
		return -ESRCH;
	__atomic_store_n(&c->rotate, 1, __ATOMIC_RELEASE);
	err = collector_ask(c);
	errno = saved_errno;
	return err;
}

/* Late: other destructors may still log. */
__attribute__((destructor(101))) static void collector_at_exit(void)
{
	int err = qslog_stop();

	if (err && err != -ESRCH && debug_enabled())
		fprintf(stderr, "qslog: the output is incomplete: %s\n", strerror(-err));
}
