// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_snapshot.c - snapshot mode: the newest records of each thread, all of them from the oldest
 * that is whole, and none that is torn; on demand, under load, at fatal signals, and after a kill.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QSLOG_TAG "snap"
#include "qslog.h"
#include "reader.h"
#include "recover.h"

#define ARENA (256u << 10)
#define RECORD_BYTES 32u /* two integers */
/* What a mark may leave out of a full arena: a 14th, and the way from one stop to the next. */
#define WHOLE_BYTES(arena) ((arena) - (arena) / 14 - QSLOG_BATCH_BYTES - 4096)

static int start(const char *path, size_t arena_bytes)
{
	struct qslog_options o = QSLOG_OPTIONS_INIT;

	o.path = path;
	o.snapshot = 1;
	o.snapshot_signals = 0;
	o.arena_bytes = arena_bytes;
	return qslog_start(&o);
}

/* --- What is in a file */

#define THREADS_MAX 64

struct newest {
	uint64_t first[THREADS_MAX], next[THREADS_MAX], cnt[THREADS_MAX];
	uint32_t tid[THREADS_MAX];
	char name[THREADS_MAX][32];
	struct reader_totals totals;
};

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	(void)arg;
	print_error("%s: damaged at byte %llu: %s\n", path, (unsigned long long)offset, what);
}

/* Each record is (thread, seq), and a text in some that follows from seq. */
static void record_take(const struct record *r, struct newest *out)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	const uint64_t thread = r->values[0].u, seq = r->values[1].u;
	const size_t len = (size_t)(seq / 16 % sizeof(letters));

	assert_int_equal(r->kind, RECORD_LOG);
	assert_true(thread < THREADS_MAX);
	if (!out->cnt[thread]) {
		out->first[thread] = seq;
		out->tid[thread] = r->thread->tid;
		snprintf(out->name[thread], sizeof(out->name[thread]), "%s", r->thread->name);
	} else if (seq != out->next[thread] || r->thread->tid != out->tid[thread]) {
		fail_msg("thread %llu: %llu behind %llu", (unsigned long long)thread,
			 (unsigned long long)seq, (unsigned long long)out->next[thread] - 1);
	}
	out->next[thread] = seq + 1;
	out->cnt[thread]++;
	if (r->format->arg_cnt == 2)
		return;
	assert_int_equal(seq % 16, 15);
	assert_int_equal(r->values[2].len, len);
	assert_memory_equal(r->values[2].bytes, letters, len);
}

static void newest_read(const char *path, struct newest *out)
{
	const struct record *record;
	struct reader *reader;
	int more;

	memset(out, 0, sizeof(*out));
	assert_int_equal(reader_open(&reader, path, damage, NULL), 0);
	while ((more = reader_next(reader, &record)) > 0)
		record_take(record, out);
	assert_int_equal(more, 0);
	reader_totals_get(reader, &out->totals);
	reader_close(reader);
	assert_int_equal(out->totals.blocks_damaged, 0);
	assert_int_equal(out->totals.lost, 0);
	assert_true(out->totals.has_index);
	assert_false(out->totals.has_tail);
}

/* Messages of all logs in a file, each on a line; free() it. */
static char *lines_of(const char *path)
{
	const char *const argv[] = {e2e_build("qslog"), "cat", path, NULL};
	static struct proc p;

	proc_start(&p, argv, NULL);
	assert_int_equal(proc_wait(&p), 0);
	return strdup(p.text_out);
}

/* --- On demand */

static void options(void **state)
{
	struct qslog_options o = QSLOG_OPTIONS_INIT;
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("options.qslog"));
	assert_int_equal(qslog_snapshot_dump(path), -ESRCH);
	o.path = path;
	o.snapshot = 2;
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.snapshot = 1;
	o.snapshot_signals = -2;
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.snapshot_signals = 0;
	o.path = "/missing/folder/x.qslog";
	assert_int_equal(qslog_start(&o), -ENOENT);
	o.path = e2e_path("%n/x.qslog");
	assert_int_equal(qslog_start(&o), -EINVAL);
	o.path = path;
	setenv("QSLOG_SNAPSHOT", "yes", 1);
	o.snapshot = -1;
	assert_int_equal(qslog_start(&o), -EINVAL);
	/* an application that was compiled before the mode was there */
	setenv("QSLOG_SNAPSHOT", "1", 1);
	o.size = 48;
	o.snapshot = 17;
	assert_int_equal(qslog_start(&o), 0);
	assert_int_equal(qslog_start(&o), -EALREADY);
	assert_int_equal(qslog_snapshot_dump(NULL), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(qslog_stop(), 0);
	assert_int_equal(qslog_stop(), -ESRCH);
	assert_int_equal(qslog_snapshot_dump(NULL), -ESRCH);
	unsetenv("QSLOG_SNAPSHOT");
	o.size = 40;
	assert_int_equal(qslog_start(&o), -EINVAL);
}

/* Logs `arg` records at full speed. */
static void *fill(void *arg)
{
	const uint64_t all = *(const uint64_t *)arg;
	uint64_t seq;

	for (seq = 0; seq < all; seq++)
		QSLOGI("{thread} {seq}", 0, seq);
	return NULL;
}

static void thread_run(void *(*function)(void *), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, function, arg), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void newest_are_kept(void **state)
{
	const size_t sizes[] = {ARENA, 512u << 10, 1u << 20, 4u << 20};
	uint64_t all = 1000000;
	struct qslog_stats before, after;
	char path[4096];
	struct newest got;
	size_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("newest.qslog"));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		qslog_stats_get(&before);
		assert_int_equal(start(path, sizes[i]), 0);
		thread_run(fill, &all);
		assert_int_equal(access(path, F_OK), -1); /* nothing before a dump */
		assert_int_equal(qslog_flush(), 0);
		assert_int_equal(qslog_snapshot_dump(NULL), 0);
		newest_read(path, &got);
		print_message("%zu KiB: %llu of %zu records\n", sizes[i] >> 10,
			      (unsigned long long)got.cnt[0], sizes[i] / RECORD_BYTES);
		assert_int_equal(got.next[0], all);
		assert_true(got.cnt[0] >= WHOLE_BYTES(sizes[i]) / RECORD_BYTES &&
			    got.cnt[0] <= sizes[i] / RECORD_BYTES);
		assert_int_equal(qslog_stop(), 0);
		thread_run(fill, &all); /* nobody listens any more */
		qslog_stats_get(&after);
		assert_int_equal(after.recorded - before.recorded, all);
		assert_int_equal(after.lost, before.lost);
		assert_int_equal(unlink(path), 0);
	}
}

/* What was recorded for somebody else before is not in it. */
static void begins_at_the_start(void **state)
{
	struct qslog_options o = QSLOG_OPTIONS_INIT;
	char path[4096];
	struct newest got;
	uint64_t n;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("begins.qslog"));
	o.path = e2e_path("other.qslog");
	o.snapshot = 0;
	assert_int_equal(qslog_start(&o), 0);
	QSLOGI("{thread} {seq}", 0, 17);
	assert_int_equal(qslog_stop(), 0);
	for (n = 1; n <= 3; n++) {
		assert_int_equal(start(path, ARENA), 0);
		QSLOGI("{thread} {seq}", 0, 1000 * n);
		QSLOGI("{thread} {seq}", 0, 1000 * n + 1);
		assert_int_equal(qslog_snapshot_dump(NULL), 0);
		newest_read(path, &got);
		assert_int_equal(got.first[0], 1000 * n);
		assert_int_equal(got.cnt[0], 2);
		/* which does not take it away */
		assert_int_equal(qslog_snapshot_dump(NULL), 0);
		newest_read(path, &got);
		assert_int_equal(got.cnt[0], 2);
		assert_int_equal(qslog_stop(), 0);
	}
	/* and the other way round */
	assert_int_equal(qslog_start(&o), 0);
	QSLOGI("{thread} {seq}", 0, 18);
	assert_int_equal(qslog_stop(), 0);
	newest_read(o.path, &got);
	assert_int_equal(got.first[0], 18);
	assert_int_equal(got.cnt[0], 1);
}

static void files_count(const char *like, int *cnt)
{
	char folder[4096];
	DIR *dir;
	struct dirent *entry;

	snprintf(folder, sizeof(folder), "%s", e2e_path(""));
	dir = opendir(folder);
	assert_non_null(dir);
	*cnt = 0;
	while ((entry = readdir(dir)))
		*cnt += strstr(entry->d_name, like) != NULL;
	closedir(dir);
}

static void paths(void **state)
{
	char path[4096], name[4224], cwd[4096];
	struct newest got;
	struct stat st, now;
	int cnt;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("path.%p.%n.qslog"));
	assert_int_equal(start(path, ARENA), 0);
	QSLOGI("{thread} {seq}", 0, 0);
	assert_int_equal(qslog_snapshot_dump(NULL), 0);
	QSLOGI("{thread} {seq}", 0, 1);
	assert_int_equal(qslog_snapshot_dump(NULL), 0);
	snprintf(name, sizeof(name), "path.%d.1.qslog", (int)getpid());
	newest_read(e2e_path(name), &got);
	assert_int_equal(got.cnt[0], 1);
	snprintf(name, sizeof(name), "path.%d.2.qslog", (int)getpid());
	newest_read(e2e_path(name), &got);
	assert_int_equal(got.cnt[0], 2);

	errno = 4711;
	assert_int_equal(qslog_snapshot_dump(""), -EINVAL);
	assert_int_equal(qslog_snapshot_dump("/missing/folder/x"), -ENOENT);
	assert_int_equal(qslog_snapshot_dump("/tmp"), -EISDIR);
	assert_int_equal(qslog_snapshot_dump("/dev/null"), -ESPIPE);
	assert_int_equal(qslog_snapshot_dump("/proc/self/x"), -ENOENT);
	assert_int_equal(errno, 4711);
	assert_int_equal(symlink("/missing", e2e_path("link")), 0);
	assert_int_equal(qslog_snapshot_dump(e2e_path("link")), -ELOOP);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(qslog_snapshot_dump(name), -ENAMETOOLONG);

	/* The path of the start stays where it was, others are relative; a failure takes nothing away. */
	snprintf(name, sizeof(name), "%s", e2e_path("given.qslog"));
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(e2e_path("")), 0);
	assert_int_equal(qslog_snapshot_dump("given.qslog"), 0);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(qslog_snapshot_dump("given.qslog"), 0);
	assert_int_equal(stat(name, &now), 0);
	assert_int_not_equal(st.st_ino, now.st_ino); /* another, in its place */
	assert_int_equal(chdir(cwd), 0);
	newest_read(name, &got);
	assert_int_equal(got.cnt[0], 2);
	assert_int_equal(qslog_stop(), 0);
	files_count(".tmp", &cnt);
	assert_int_equal(cnt, 0);
}

/* A file that somebody else is writing, and one whose writer has died. */
static void others_files(void **state)
{
	char path[4096], shared[4096], output[4224];
	const char *workload[] = {e2e_build("tests/fixtures/workload.inproc"), "-s", shared, "-n", "10",
				  "-e", "wait", NULL};
	const char *environment[] = {output, NULL};
	struct shared *s;
	struct stat st;
	struct proc app;
	int cnt;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("busy.qslog"));
	snprintf(shared, sizeof(shared), "%s", e2e_path("shared"));
	snprintf(output, sizeof(output), "QSLOG_FILE=%s", path);
	s = shared_open(shared);
	proc_start(&app, workload, environment);
	while (shared_total(s) < 10)
		sched_yield();
	assert_int_equal(start(path, ARENA), -EBUSY);
	assert_int_equal(start(e2e_path("free.qslog"), ARENA), 0);
	assert_int_equal(qslog_snapshot_dump(path), -EBUSY);
	proc_kill(&app, SIGKILL);
	assert_int_equal(proc_wait(&app), 128 + SIGKILL);
	shared_close(s);
	assert_int_equal(qslog_stop(), 0);

	/* What was not closed is put aside. */
	assert_int_equal(start(path, ARENA), 0);
	assert_int_equal(stat(e2e_path("busy.qslog.1"), &st), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(qslog_stop(), 0);
	files_count(".tmp", &cnt);
	assert_int_equal(cnt, 0);
}

/* --- Threads */

static struct worker {
	pthread_t thread;
	uint64_t index, issued;
} workers[THREADS_MAX];
static int workers_end;

static void *work(void *arg)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	struct worker *w = arg;
	char name[16];
	uint64_t seq;

	snprintf(name, sizeof(name), "worker %d", (int)w->index);
	pthread_setname_np(pthread_self(), name);
	for (seq = 0; !__atomic_load_n(&workers_end, __ATOMIC_RELAXED); seq++) {
		if (seq % 16 == 15)
			QSLOGW("{thread} {seq} {text}", w->index, seq,
			       qslog_strn(letters, (size_t)(seq / 16 % sizeof(letters))));
		else
			QSLOGI("{thread} {seq}", w->index, seq);
		__atomic_store_n(&w->issued, seq + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void workers_begin(int cnt)
{
	int i;

	workers_end = 0;
	for (i = 0; i < cnt; i++) {
		workers[i].index = (uint64_t)i;
		workers[i].issued = 0;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (i = 0; i < cnt; i++)
		while (__atomic_load_n(&workers[i].issued, __ATOMIC_ACQUIRE) < 50000)
			sched_yield();
}

static void workers_join(int cnt)
{
	int i;

	__atomic_store_n(&workers_end, 1, __ATOMIC_RELAXED);
	for (i = 0; i < cnt; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
}

static void under_load(void **state)
{
	enum { CNT = 3, DUMPS = 40 };
	const uint64_t fits = (1u << 20) / RECORD_BYTES;
	uint64_t before[CNT], least = UINT64_MAX, sum = 0;
	char path[4096];
	struct newest got;
	int dump, i;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("load.qslog"));
	assert_int_equal(start(path, 1u << 20), 0);
	workers_begin(CNT);
	for (dump = 0; dump < DUMPS; dump++) {
		for (i = 0; i < CNT; i++)
			before[i] = __atomic_load_n(&workers[i].issued, __ATOMIC_ACQUIRE);
		assert_int_equal(qslog_snapshot_dump(NULL), 0);
		newest_read(path, &got);
		for (i = 0; i < CNT; i++) {
			char name[16];

			snprintf(name, sizeof(name), "worker %d", i);
			assert_string_equal(got.name[i], name);
			assert_true(got.next[i] >= before[i]);
			assert_true(got.next[i] <=
				    __atomic_load_n(&workers[i].issued, __ATOMIC_ACQUIRE) + 1);
			/* one in 16 is larger */
			assert_true(got.cnt[i] >= fits / 3);
			least = got.cnt[i] < least ? got.cnt[i] : least;
			sum += got.cnt[i];
		}
	}
	workers_join(CNT);
	print_message("%llu records at least, %llu on the average\n", (unsigned long long)least,
		      (unsigned long long)sum / (CNT * DUMPS));
	assert_int_equal(qslog_stop(), 0);
}

static void *dump_often(void *arg)
{
	int i;

	for (i = 0; i < 10; i++)
		if (qslog_snapshot_dump(arg))
			return arg;
	return NULL;
}

/* Who asks waits for his turn, and a stop for whoever has asked. */
static void many_ask(void **state)
{
	char paths_of[4][4096];
	pthread_t threads[4];
	struct newest got;
	void *failed;
	int i;

	(void)state;
	assert_int_equal(start(e2e_path("ask.qslog"), ARENA), 0);
	workers_begin(2);
	for (i = 0; i < 4; i++) {
		snprintf(paths_of[i], sizeof(paths_of[i]), "%s.%d", e2e_path("ask.qslog"), i / 2);
		assert_int_equal(pthread_create(&threads[i], NULL, dump_often, paths_of[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
		newest_read(paths_of[i], &got);
		assert_true(got.cnt[0] && got.cnt[1]);
	}
	assert_int_equal(pthread_create(&threads[0], NULL, dump_often, paths_of[0]), 0);
	assert_int_equal(qslog_stop(), 0);
	assert_int_equal(pthread_join(threads[0], &failed), 0); /* -ESRCH is an answer */
	newest_read(paths_of[0], &got);
	workers_join(2);
}

static void *ten_records(void *arg)
{
	const uint64_t index = (uintptr_t)arg;
	uint64_t seq;

	for (seq = 0; seq < 10; seq++)
		QSLOGI("{thread} {seq}", index, seq);
	return NULL;
}

/* Of 60 that came and went one after the other, the last 16 and one in front of each are there. */
static void ended_threads(void **state)
{
	struct qslog_stats before, after;
	char path[4096];
	struct newest got;
	uintptr_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("ended.qslog"));
	assert_int_equal(start(path, ARENA), 0);
	qslog_stats_get(&before);
	for (i = 0; i < 60; i++)
		thread_run(ten_records, (void *)i);
	assert_int_equal(qslog_snapshot_dump(NULL), 0);
	newest_read(path, &got);
	for (i = 60 - 16; i < 60; i++)
		assert_int_equal(got.cnt[i], 10);
	for (i = 0; i < 60 - 16; i++)
		assert_true(got.cnt[i] == 0 || got.cnt[i] == 10);
	print_message("%llu of 600 records\n", (unsigned long long)got.totals.records);
	assert_true(got.totals.records >= 320);
	qslog_stats_get(&after);
	assert_true(after.arenas - before.arenas <= 17); /* their number is bounded all the same */
	assert_int_equal(after.lost, before.lost);
	assert_int_equal(qslog_stop(), 0);
}

/* --- What else is recorded */

static void spans(void **state)
{
	const struct record *record;
	struct reader *reader;
	char path[4096];
	int enters = 0, exits = 0, i;
	struct qslog_context context;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("spans.qslog"));
	assert_int_equal(start(path, ARENA), 0);
	{
		QSLOG_SPAN("outer", "n={n}", 1);
		QSLOG_LOCAL_PARENT(NULL);

		for (i = 0; i < 20000; i++) {
			QSLOG_SPAN("inner", "i={i}", i);
		}
		assert_int_equal(qslog_context_get(&context), 0);
		assert_int_equal(qslog_snapshot_dump(NULL), 0);
	}
	assert_int_equal(reader_open(&reader, path, damage, NULL), 0);
	while (reader_next(reader, &record) > 0) {
		if (record->kind == RECORD_SPAN_ENTER) {
			assert_string_equal(record->format->name, "inner");
			assert_int_equal(record->values[0].i, 20000 - 1 - (20000 - 1 - record->values[0].i));
			enters++;
		} else {
			assert_int_equal(record->kind, RECORD_SPAN_EXIT);
			exits++;
		}
	}
	reader_close(reader);
	assert_true(enters > 1000 && (enters == exits || enters + 1 == exits));
	assert_int_equal(qslog_stop(), 0);
}

static void registered_sites(void **state)
{
	const uint8_t types[] = {QSLOG_ARG_STR};
	struct qslog_site_def def = QSLOG_SITE_DEF_INIT;
	struct qslog_value value = {.type = QSLOG_ARG_STR, .str = qslog_bytes("text", 4)};
	char path[4096], *lines;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("registered.qslog"));
	assert_int_equal(start(path, ARENA), 0);
	def.format = "made at run time: {}";
	def.file = "script.lua";
	def.types = types;
	def.arg_cnt = 1;
	assert_int_equal(qslog_log_values(qslog_site_register(&def), &value, 1), 0);
	assert_int_equal(qslog_snapshot_dump(NULL), 0);
	lines = lines_of(path);
	assert_non_null(strstr(lines, "script.lua"));
	assert_non_null(strstr(lines, "] made at run time: text\n"));
	free(lines);
	assert_int_equal(qslog_stop(), 0);
}

static void child_of_a_fork(void **state)
{
	char path[4096], own[4096];
	struct newest got;
	int status;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("fork.qslog"));
	snprintf(own, sizeof(own), "%s", e2e_path("child.qslog"));
	assert_int_equal(start(path, ARENA), 0);
	QSLOGI("{thread} {seq}", 0, 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(20);
		QSLOGI("{thread} {seq}", 0, 1);
		if (qslog_snapshot_dump(own) != -ESRCH || qslog_stop() != -ESRCH)
			_exit(1);
#ifdef __SANITIZE_THREAD__
		_exit(0); /* it may not have threads */
#endif
		if (start(own, ARENA))
			_exit(2);
		QSLOGI("{thread} {seq}", 0, 2);
		if (qslog_snapshot_dump(NULL) || qslog_stop())
			_exit(3);
		_exit(0);
	}
	QSLOGI("{thread} {seq}", 0, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(qslog_snapshot_dump(NULL), 0);
	assert_int_equal(qslog_stop(), 0);
	newest_read(path, &got);
	assert_int_equal(got.cnt[0], 2);
#ifndef __SANITIZE_THREAD__
	newest_read(own, &got);
	assert_int_equal(got.first[0], 2);
	assert_int_equal(got.cnt[0], 1);
#endif
}

/* --- A chosen site */

static void chosen_log(uint64_t seq)
{
	QSLOGI("{thread} {seq}", 0, seq);
}
enum { CHOSEN_LINE = __LINE__ - 2 };

static void chosen_span(int n)
{
	QSLOG_SPAN("chosen", "n={n}", n);
	QSLOGI("{thread} {seq}", 0, (uint64_t)n);
}
enum { CHOSEN_SPAN_LINE = __LINE__ - 3 };

static void chosen_on_signal(int number)
{
	(void)number;
	chosen_log(6);
}

static int chosen_start(const char *path, const char *file, unsigned int line, int level)
{
	struct qslog_options o = QSLOG_OPTIONS_INIT;
	char site[4224];

	snprintf(site, sizeof(site), "%s:%u", file, line);
	o.path = path;
	o.level = level;
	o.snapshot = 1;
	o.snapshot_signals = 0;
	o.arena_bytes = ARENA;
	o.snapshot_site = site;
	return qslog_start(&o);
}

/* It comes by itself. (The test has a deadline.) */
static void await_file(const char *path)
{
	while (access(path, F_OK) != 0)
		sched_yield();
}

static void chosen_site(void **state)
{
	static const char *const bad[] = {"x.c", "x.c:", ":12", "x.c:0", "x.c:-1", "x.c:12a", "x.c:1e3",
					  "x.c:4294967296"};
	static const char *const others[] = {"snapshot.c", "other/test_snapshot.c", "est_snapshot.c",
					     "test_snapshot.cc"};
	struct qslog_options o = QSLOG_OPTIONS_INIT;
	char path[4096];
	struct newest got;
	size_t i;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("chosen.qslog"));
	o.path = path;
	o.snapshot = 1;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		o.snapshot_site = bad[i];
		if (qslog_start(&o) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
	}
	/* Other files, another line, a level that is not recorded: none is written, also not at the end. */
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(chosen_start(path, others[i], CHOSEN_LINE, -1), 0);
		chosen_log(0);
		assert_int_equal(qslog_stop(), 0);
	}
	assert_int_equal(chosen_start(path, "test_snapshot.c", CHOSEN_LINE + 1, -1), 0);
	chosen_log(0);
	assert_int_equal(qslog_stop(), 0);
	assert_int_equal(chosen_start(path, "test_snapshot.c", CHOSEN_LINE, QSLOG_LEVEL_WARN), 0);
	chosen_log(0);
	assert_int_equal(qslog_stop(), 0);
	assert_int_equal(access(path, F_OK), -1);

	for (i = 0; i < 3; i++) {
		const char *const files[] = {"test_snapshot.c", "e2e/test_snapshot.c", __FILE__};

		assert_int_equal(chosen_start(path, files[i], CHOSEN_LINE, -1), 0);
		QSLOGI("{thread} {seq}", 0, 4);
		assert_int_equal(access(path, F_OK), -1);
		errno = 4711;
		chosen_log(5);
		assert_int_equal(errno, 4711);
		await_file(path);
		newest_read(path, &got);
		assert_int_equal(got.first[0], 4);
		assert_int_equal(got.cnt[0], 2); /* that at the site is there */
		assert_int_equal(unlink(path), 0);
		signal(SIGUSR1, chosen_on_signal);
		assert_int_equal(raise(SIGUSR1), 0);
		signal(SIGUSR1, SIG_DFL);
		await_file(path);
		newest_read(path, &got);
		assert_int_equal(got.cnt[0], 3);
		assert_int_equal(qslog_stop(), 0);
		chosen_log(7); /* not any more */
		assert_int_equal(unlink(path), 0);
	}
}

/* A span fires when it is entered. Many at once make one dump or more, and one behind the last. */
static void chosen_often(void **state)
{
	char path[4096], name[4224];
	struct newest got;
	int cnt, i;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("often.%n.qslog"));
	assert_int_equal(chosen_start(path, "test_snapshot.c", CHOSEN_SPAN_LINE, -1), 0);
	chosen_span(1);
	snprintf(name, sizeof(name), "%s", e2e_path("often.1.qslog"));
	await_file(name);
	assert_int_equal(qslog_stop(), 0);
	files_count("often.", &cnt);
	assert_int_equal(cnt, 1);
	assert_int_equal(unlink(name), 0);

	assert_int_equal(chosen_start(path, "test_snapshot.c", CHOSEN_LINE, -1), 0);
	for (i = 0; i < 1000; i++)
		chosen_log((uint64_t)i);
	assert_int_equal(qslog_stop(), 0);
	files_count("often.", &cnt);
	print_message("%d dumps for 1000 times\n", cnt);
	assert_true(cnt >= 1 && cnt <= 1000);
	snprintf(name, sizeof(name), "often.%d.qslog", cnt);
	newest_read(e2e_path(name), &got);
	assert_int_equal(got.next[0], 1000);
	for (; cnt; cnt--) {
		snprintf(name, sizeof(name), "often.%d.qslog", cnt);
		assert_int_equal(unlink(e2e_path(name)), 0);
	}
}

/* --- Fatal signals */

/* What the process `pid` has left in /dev/shm? */
static bool left_is(pid_t pid)
{
	DIR *dir = opendir("/dev/shm");
	struct dirent *entry;
	char prefix[64];
	bool found = false;

	assert_non_null(dir);
	snprintf(prefix, sizeof(prefix), "qslog-%u-%d-", geteuid(), (int)pid);
	while ((entry = readdir(dir)))
		found |= strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(dir);
	return found;
}

static void dies_as(const char *path, const char *end, int status, struct proc *app)
{
	const char *argv[] = {e2e_build("tests/fixtures/snapshot.inproc"), path, end, NULL};
	/* sanitizers would take the signals for themselves */
	const char *environment[] = {
		"ASAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0",
		"UBSAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0",
		"TSAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0", NULL};

	proc_start(app, argv, environment);
	if (proc_wait(app) != status)
		fail_msg("%s: status %#x, printed: %s%s", end, app->status, app->text_out,
			 app->text_err);
}

/* Number of the "seq N" lines, which have to be consecutive up to 99,999. */
static unsigned int seqs_of(const char *path, unsigned int *others)
{
	const struct record *record;
	struct reader *reader;
	unsigned int cnt = 0;
	int64_t next = -1;

	*others = 0;
	assert_int_equal(reader_open(&reader, path, damage, NULL), 0);
	while (reader_next(reader, &record) > 0) {
		assert_int_equal(record->kind, RECORD_LOG);
		if (strcmp(record->format->format, "seq {}") != 0) {
			(*others)++;
			continue;
		}
		assert_true(next < 0 || record->values[0].i == next);
		next = record->values[0].i + 1;
		cnt++;
	}
	reader_close(reader);
	assert_int_equal(next, 100000);
	return cnt;
}

static void fatal_signals(void **state)
{
	static const struct {
		const char *end;
		int status;
		const char *says;
		unsigned int others; /* records behind the last "seq" */
		bool left;	     /* memory: handlers of the application may have recorded more */
	} ends[] = {
		{"segv", 128 + SIGSEGV, "", 0, false},
		{"abort", 128 + SIGABRT, "", 0, false},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		{"heap", 128 + SIGABRT, "", 0, false},
		{"overflow", 128 + SIGSEGV, "", 0, false},
#endif
		{"trap", 0, "", 0, false},
		{"fpe", 128 + SIGFPE, "", 0, false},
		{"bus", 128 + SIGBUS, "", 0, false},
		{"sys", 128 + SIGSYS, "", 0, false},
		{"together", 128 + SIGSEGV, "", 4, false},
		{"handler", 7, "dumped as it was\n", 0, true},
		{"again", 128 + SIGSEGV, "", 0, true},
		{"sent", 7, "as it was\n", 0, true},
		{"survive", 0, "once\n", 1, false},
	};
	char path[4096];
	struct proc app;
	unsigned int others;
	size_t i;
	int cnt;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(path, sizeof(path), "%s", e2e_path("fatal.qslog"));
		dies_as(path, ends[i].end,
			strcmp(ends[i].end, "trap") ? ends[i].status :
#ifdef __x86_64__
						      128 + SIGILL,
#else
						      128 + SIGTRAP,
#endif
			&app);
		assert_string_equal(app.text_out, ends[i].says);
		print_message("%s: %u records\n", ends[i].end, seqs_of(path, &others));
		assert_int_equal(seqs_of(path, &others), 100000);
		assert_int_equal(others, ends[i].others);
		assert_int_equal(left_is(app.pid), ends[i].left);
		assert_int_equal(unlink(path), 0);
		files_count(".tmp", &cnt);
		assert_int_equal(cnt, 0);
	}
}

/* Ends that write no dump: the mode ends, or the process is none that is in it. */
static void no_dump(void **state)
{
	static const struct {
		const char *end;
		int status;
		const char *says;
	} ends[] = {{"return", 0, ""}, {"child", 0, "none\n"}, {"stopped", 128 + SIGSEGV, ""}};
	char path[4096];
	struct proc app;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(path, sizeof(path), "%s", e2e_path("none.qslog"));
		dies_as(path, ends[i].end, ends[i].status, &app);
		assert_string_equal(app.text_out, ends[i].says);
		assert_int_equal(access(path, F_OK), -1);
		assert_false(left_is(app.pid));
	}
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* The collector needs the very lock that the crashed thread holds: it gives up after 10 seconds. */
static void stuck(void **state)
{
	char path[4096];
	const char *argv[] = {e2e_build("tests/fixtures/snapshot.inproc"), path, "heap", NULL};
	const char *environment[] = {"MALLOC_ARENA_MAX=1", NULL};
	struct recover_result result;
	unsigned int others;
	struct proc app;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("stuck.qslog"));
	proc_start(&app, argv, environment);
	assert_int_equal(proc_wait(&app), 128 + SIGABRT);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(recover_file(path, NULL, &result), -ENOENT);
	assert_int_equal(recover_snapshots(path, NULL, false, NULL, NULL, &pid), 1);
	assert_int_equal(seqs_of(path, &others), 100000);
	assert_false(left_is(app.pid));
}
#endif

/* --- Recovery */

static unsigned int seed;

static uint64_t random_below(uint64_t n)
{
	return ((uint64_t)(unsigned int)rand_r(&seed) << 16 ^ (unsigned int)rand_r(&seed)) % n;
}

struct load {
	struct proc app;
	struct shared *shared;
	char path[4096], output[4224];
};

/* The workload in snapshot mode, writing at full speed or with pauses, until it is killed. */
static void load_begin(struct load *l, const char *name, int threads, bool pauses)
{
	char shared[4096], cnt[16];
	const char *argv[] = {e2e_build("tests/fixtures/workload.inproc"), "-s", shared, "-t", cnt,
			      "-n", "1000000000", "-e", "wait", pauses ? "-p" : NULL, NULL};
	const char *environment[] = {l->output, "QSLOG_SNAPSHOT=1", "QSLOG_ARENA_SIZE=256K", NULL};

	snprintf(shared, sizeof(shared), "%s", e2e_path("shared"));
	snprintf(cnt, sizeof(cnt), "%d", threads);
	snprintf(l->path, sizeof(l->path), "%s", e2e_path(name));
	snprintf(l->output, sizeof(l->output), "QSLOG_FILE=%s", l->path);
	l->shared = shared_open(shared);
	proc_start(&l->app, argv, environment);
}

static void load_kill(struct load *l, uint64_t at)
{
	while (shared_total(l->shared) < at)
		sched_yield();
	proc_kill(&l->app, SIGKILL);
	assert_int_equal(proc_wait(&l->app), 128 + SIGKILL);
	assert_true(left_is(l->app.pid));
}

/* All that threads of a dead process had recorded last is in the file. */
static void newest_check(const char *path, const struct load *l, int threads)
{
	struct newest got;
	int i;

	newest_read(path, &got);
	for (i = 0; i < threads; i++) {
		const uint64_t issued = l->shared->threads[i].issued;

		if (!issued && !got.cnt[i])
			continue;
		assert_true(got.next[i] == issued || got.next[i] == issued + 1);
		assert_int_equal(got.tid[i], l->shared->threads[i].tid);
		/* the average record is larger than the least by a little */
		assert_true(got.cnt[i] == got.next[i] ||
			    got.cnt[i] >= WHOLE_BYTES(ARENA) / (RECORD_BYTES + 8));
	}
}

static void made_path(void *arg, const struct recover_made *made)
{
	assert_int_equal(made->error, 0);
	assert_int_equal(made->result.lost, 0);
	assert_int_equal(made->result.damaged, 0);
	assert_int_equal(made->result.unsafe, 0);
	snprintf(arg, 4096, "%s", made->path);
}

static void killed(void **state)
{
	enum { ROUNDS = 12, THREADS = 3 };
	struct load l;
	char made[4096];
	pid_t pid;
	int round;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		const bool pauses = round % 3 == 0;

		load_begin(&l, "killed.qslog", THREADS, pauses);
		load_kill(&l, 1 + random_below(pauses ? 20000 : 2000000));
		assert_int_equal(recover_snapshots(l.path, NULL, false, made_path, made, &pid), 1);
		assert_string_equal(made, l.path);
		newest_check(made, &l, THREADS);
		assert_false(left_is(l.app.pid));
		assert_int_equal(recover_snapshots(l.path, NULL, false, NULL, NULL, &pid), 0);
		assert_int_equal(unlink(made), 0);
		shared_close(l.shared);
	}
}

/* A dump is never overwritten; processes that live are left alone; the next start recovers. */
static void places(void **state)
{
	char first[4096], made[4096], behind[4224];
	const char *end[] = {e2e_build("tests/fixtures/snapshot.inproc"), first, "kill", NULL};
	const char *again[] = {e2e_build("tests/fixtures/snapshot.inproc"), first, "return", NULL};
	struct newest got;
	struct load l;
	struct proc app;
	unsigned int others;
	uint64_t all = 1000;
	pid_t pid;
	int i;

	(void)state;
	load_begin(&l, "place.%n.qslog", 1, true);
	while (shared_total(l.shared) < 100)
		sched_yield();
	assert_int_equal(recover_snapshots(l.path, NULL, false, made_path, made, &pid), -EBUSY);
	assert_int_equal(pid, l.app.pid);
	load_kill(&l, 200);
	assert_int_equal(recover_snapshots(e2e_path("place.qslog"), NULL, false, made_path, made, &pid),
			 0);
	assert_int_equal(recover_snapshots(l.path, NULL, false, made_path, made, &pid), 1);
	assert_string_equal(made, e2e_path("place.0.qslog"));
	newest_check(made, &l, 1);
	shared_close(l.shared);
	load_begin(&l, "place.%n.qslog", 1, true);
	load_kill(&l, 200);
	assert_int_equal(recover_snapshots(l.path, NULL, false, made_path, made, &pid), 1);
	assert_string_equal(made, e2e_path("place.0.qslog.1"));
	newest_check(made, &l, 1);
	shared_close(l.shared);

	snprintf(first, sizeof(first), "%s", e2e_path("first.qslog"));
	for (i = 1; i <= 2; i++) {
		proc_start(&app, end, NULL);
		assert_int_equal(proc_wait(&app), 128 + SIGKILL);
		assert_true(left_is(app.pid));
		pid = app.pid;
		proc_start(&app, again, NULL);
		assert_int_equal(proc_wait(&app), 0);
		assert_false(left_is(pid));
		assert_int_equal(access(first, F_OK), -1);
		snprintf(behind, sizeof(behind), "%s.%d", first, i);
		assert_int_equal(seqs_of(behind, &others), 100000);
	}
	/* in the other mode as well */
	proc_start(&app, end, NULL);
	assert_int_equal(proc_wait(&app), 128 + SIGKILL);
	{
		struct qslog_options o = QSLOG_OPTIONS_INIT;

		o.path = first;
		o.snapshot = 0;
		assert_int_equal(qslog_start(&o), 0);
		thread_run(fill, &all);
		assert_int_equal(qslog_stop(), 0);
	}
	newest_read(first, &got);
	assert_int_equal(got.cnt[0], 1000);
	snprintf(behind, sizeof(behind), "%s.3", first);
	assert_int_equal(seqs_of(behind, &others), 100000);
}

static void left_path(pid_t pid, char path[320])
{
	DIR *dir = opendir("/dev/shm");
	struct dirent *entry;
	char prefix[64];

	assert_non_null(dir);
	snprintf(prefix, sizeof(prefix), "qslog-%u-%d-", geteuid(), (int)pid);
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			snprintf(path, 320, "/dev/shm/%s", entry->d_name);
	closedir(dir);
}

static uint8_t *bytes_load(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "r");
	struct stat st;
	uint8_t *data;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &st), 0);
	*bytes = (size_t)st.st_size;
	data = malloc(*bytes);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *bytes, file), *bytes);
	fclose(file);
	return data;
}

static void hostile(void **state)
{
	/* the header page, its clocks, an arena's header, what the collector noted, its records */
	static const size_t places_of[] = {0, 208, 262144, 262144 + 1024, 262144 + 4096};
	char path[4096], memory[4096], left[320] = "";
	size_t bytes, cut;
	uint8_t *good, *bad;
	struct load l;
	int i, flips, ret, refused = 0;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("hostile.qslog"));
	snprintf(memory, sizeof(memory), "%s", e2e_path("qslog-0-1-0123456789abcdef"));
	load_begin(&l, "hostile.qslog", 1, false);
	load_kill(&l, 30000);
	left_path(l.app.pid, left);
	good = bytes_load(left, &bytes);
	assert_int_equal(unlink(left), 0);
	bad = malloc(bytes);
	assert_non_null(bad);
	for (i = 0; i < 300; i++) {
		FILE *file = fopen(memory, "w");

		memcpy(bad, good, bytes);
		for (flips = 1 + (int)random_below(8); flips; flips--)
			bad[places_of[random_below(5)] + random_below(600)] =
				(uint8_t)random_below(256);
		cut = i % 10 == 9 ? random_below(bytes) : bytes;
		assert_non_null(file);
		assert_int_equal(fwrite(bad, 1, cut, file), cut);
		assert_int_equal(fclose(file), 0);
		ret = recover_snapshots(path, memory, false, NULL, NULL, &pid);
		refused += ret != 1 || access(path, F_OK) != 0;
		if (access(path, F_OK) == 0) { /* whatever it was, the file is whole */
			const struct record *record;
			struct reader_totals totals;
			struct reader *reader;

			assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
			while (reader_next(reader, &record) > 0)
				;
			reader_totals_get(reader, &totals);
			assert_int_equal(totals.blocks_damaged, 0);
			assert_true(totals.has_index);
			reader_close(reader);
			assert_int_equal(unlink(path), 0);
		}
	}
	print_message("%d of 300 refused\n", refused);
	assert_true(refused > 0 && refused < 300);
	free(good);
	free(bad);
	(void)unlink(memory);
	shared_close(l.shared);
}

int main(void)
{
	const char *given = getenv("TEST_SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(newest_are_kept),
		cmocka_unit_test(begins_at_the_start),
		cmocka_unit_test(paths),
		cmocka_unit_test(others_files),
		cmocka_unit_test(under_load),
		cmocka_unit_test(many_ask),
		cmocka_unit_test(ended_threads),
		cmocka_unit_test(spans),
		cmocka_unit_test(registered_sites),
		cmocka_unit_test(child_of_a_fork),
		cmocka_unit_test(chosen_site),
		cmocka_unit_test(chosen_often),
		cmocka_unit_test(fatal_signals),
		cmocka_unit_test(no_dump),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		cmocka_unit_test(stuck),
#endif
		cmocka_unit_test(killed),
		cmocka_unit_test(places),
		cmocka_unit_test(hostile),
	};

	alarm(300);
	seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);
	print_message("TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
