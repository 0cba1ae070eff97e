/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_follow.c - qslog cat --follow beside a writer that flushes, seals, rotates and dies: every record
 * once, those of a thread in their order, and soon.
 */
#include "e2e.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "counter.h"
#include "recover.h"
#include "writer.h"

#define THREADS 3

struct source {
	struct writer *w;
	int threads[THREADS], format;
	uint64_t next[THREADS];
};

static void source_open(struct source *s, const char *path, const struct writer_rotation *rotation,
			uint32_t block_bytes)
{
	const struct writer_process process = {.pid = 1, .name = "source", .exe = "", .command = ""};
	const struct writer_format format = {.kind = QSLOG_SITE_LOG, .level = QSLOG_LEVEL_INFO,
					     .arg_cnt = 2, .types = {QSLOG_ARG_UINT64, QSLOG_ARG_UINT64},
					     .file = "f.c", .function = "f", .format = "v {} {}"};
	struct writer_options options = {.path = path, .tail = true, .block_bytes = block_bytes};
	int i;

	if (rotation)
		options.rotation = *rotation;
	memset(s, 0, sizeof(*s));
	if (writer_open(&s->w, &options))
		_exit(10);
	(void)writer_process_add(s->w, &process);
	for (i = 0; i < THREADS; i++)
		s->threads[i] = writer_thread_add(s->w, 0, (uint32_t)i + 1, (uint64_t)i + 1, "");
	s->format = writer_format_add(s->w, 0, &format);
}

static void source_add(struct source *s, int thread, uint64_t cnt)
{
	for (; cnt; cnt--) {
		uint64_t words[4] = {(uint64_t)4 << QSLOG_RECORD_SIZE_SHIFT, counter_now(),
				     (uint64_t)thread, s->next[thread]++};

		if (writer_record(s->w, (uint32_t)s->threads[thread], (uint32_t)s->format, words,
				  sizeof(words)))
			_exit(11);
	}
}

/* Starts qslog cat --follow with its output in a file. */
static void follower_start(struct proc *p, const char *path, const char *out)
{
	static char command[16384];
	const char *argv[] = {"/bin/sh", "-c", command, NULL};

	snprintf(command, sizeof(command), "exec '%s' cat --follow '%s' > '%s'", e2e_build("qslog"), path,
		 out);
	proc_start(p, argv, NULL);
}

/* Reads what has been printed: each thread's values count up from 0. */
static void out_check(const char *out, uint64_t seen[THREADS])
{
	FILE *in = fopen(out, "r");
	unsigned long long thread, value;
	char line[256];

	memset(seen, 0, THREADS * sizeof(*seen));
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		const char *text = strstr(line, "] v ");

		if (!text || !strchr(line, '\n') || sscanf(text, "] v %llu %llu", &thread, &value) != 2)
			fail_msg("not a line of ours: %s", line);
		assert_true(thread < THREADS);
		if (value != seen[thread])
			fail_msg("%s: thread %llu: %llu where %llu is next", out, thread, value,
				 (unsigned long long)seen[thread]);
		seen[thread]++;
	}
	fclose(in);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t out_wait(const char *out, const char *text)
{
	const uint64_t begun = now_ms();
	char data[65536];

	for (;;) {
		int fd = open(out, O_RDONLY);
		ssize_t n = fd >= 0 ? read(fd, data, sizeof(data) - 1) : -1;

		if (fd >= 0)
			close(fd);
		data[n > 0 ? n : 0] = '\0';
		if (strstr(data, text))
			return now_ms() - begun;
		assert_true(now_ms() - begun < E2E_WAIT_MS);
		sched_yield();
	}
}

static void follow_rotations(void **state)
{
	static const struct writer_rotation rotations[] = {
		{0}, {.records = 1000}, {.bytes = 100000}, {.records = 50},
	};
	char path[4096], out[4224];
	uint64_t seen[THREADS];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(rotations) / sizeof(rotations[0]); i++) {
		struct proc follower;
		char name[32];
		int status, round;
		pid_t pid;

		snprintf(name, sizeof(name), "set%u.qslog", i);
		snprintf(path, sizeof(path), "%s", e2e_path(name));
		snprintf(out, sizeof(out), "%s.out", path);
		follower_start(&follower, path, out);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			struct source s;

			source_open(&s, path, &rotations[i], 16384);
			for (round = 0; round < 400; round++) {
				source_add(&s, round % THREADS, 1 + (uint64_t)(round * 37 % 200));
				if (round % 3 && writer_flush(s.w))
					_exit(12);
			}
			_exit(writer_close(s.w, NULL) ? 13 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		status = proc_wait(&follower);
		assert_string_equal(follower.text_err, "");
		assert_int_equal(status, 0);
		out_check(out, seen);
		assert_int_equal(seen[0] + seen[1] + seen[2], 400 * 101 - 200);
	}
}

/* As soon as it has been flushed, not at the next look. */
static void follow_soon(void **state)
{
	char path[4096], out[4224];
	struct proc follower;
	struct source s;
	uint64_t longest = 0, took;
	char text[32];
	int i;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("soon.qslog"));
	snprintf(out, sizeof(out), "%s.out", path);
	follower_start(&follower, path, out);
	source_open(&s, path, NULL, 0);
	for (i = 0; i < 20; i++) {
		source_add(&s, 0, 1);
		assert_int_equal(writer_flush(s.w), 0);
		snprintf(text, sizeof(text), "] v 0 %d\n", i);
		took = out_wait(out, text);
		longest = i && took > longest ? took : longest;
	}
	assert_int_equal(writer_close(s.w, NULL), 0);
	assert_int_equal(proc_wait(&follower), 0);
	print_message("at most %llu ms after the flush\n", (unsigned long long)longest);
	assert_true(longest < 900); /* a look each second would do as badly as that */
}

/* The writer is killed; then the file is recovered, or another writer begins anew. */
static void follow_death(void **state)
{
	char path[4096], out[4224];
	struct recover_result result;
	struct proc follower;
	uint64_t seen[THREADS];
	int again;

	(void)state;
	for (again = 0; again < 2; again++) {
		struct writer_rotation rotation = {.records = 3000};
		int pipes[2], status;
		char ready;
		pid_t pid;

		snprintf(path, sizeof(path), "%s", e2e_path(again ? "again.qslog" : "death.qslog"));
		snprintf(out, sizeof(out), "%s.out", path);
		follower_start(&follower, path, out);
		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			struct source s;

			source_open(&s, path, &rotation, 16384);
			source_add(&s, 0, 10000);
			if (writer_flush(s.w) || write(pipes[1], "x", 1) != 1)
				_exit(12);
			pause();
		}
		assert_int_equal(read(pipes[0], &ready, 1), 1);
		out_wait(out, "] v 0 100\n");
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (again) {
			struct source s;

			assert_int_equal(recover_predecessor(path, true), 0);
			source_open(&s, path, &rotation, 0);
			s.next[0] = 10000;
			source_add(&s, 0, 500);
			assert_int_equal(writer_close(s.w, NULL), 0);
		} else {
			assert_int_equal(recover_file(path, NULL, &result), 0);
		}
		status = proc_wait(&follower);
		assert_string_equal(follower.text_err, "");
		assert_int_equal(status, 0);
		out_check(out, seen);
		/* what the next writer begins at once belongs to the set; but the follower may have ended */
		assert_true(seen[0] == 10000 || (again && seen[0] == 10500));
		close(pipes[0]);
		close(pipes[1]);
	}
}

/* Files that retention has removed in the meantime are said to be missing. */
static void follow_removed(void **state)
{
	struct writer_rotation rotation = {.records = 100, .max_files = 2};
	char path[4096], out[4224];
	struct proc follower;
	struct source s;

	(void)state;
	snprintf(path, sizeof(path), "%s", e2e_path("removed.qslog"));
	snprintf(out, sizeof(out), "%s.out", path);
	source_open(&s, path, &rotation, 0);
	source_add(&s, 0, 10);
	assert_int_equal(writer_flush(s.w), 0);
	follower_start(&follower, path, out);
	out_wait(out, "] v 0 9\n");
	assert_int_equal(kill(follower.pid, SIGSTOP), 0);
	source_add(&s, 0, 1000);
	assert_int_equal(kill(follower.pid, SIGCONT), 0);
	assert_int_equal(writer_close(s.w, NULL), 0);
	assert_int_equal(proc_wait(&follower), 3);
	assert_non_null(strstr(follower.text_err, "removed before they were read"));
}

static void follow_nothing(void **state)
{
	const char *no_folder[] = {e2e_build("qslog"), "cat", "-F", "/nowhere/app.qslog", NULL};
	const char *two[] = {e2e_build("qslog"), "cat", "-F", "a", "b", NULL};
	const char *stat_it[] = {e2e_build("qslog"), "stat", "--follow", "a", NULL};
	char path[4096], out[4224];
	struct proc p;
	int fd;

	(void)state;
	proc_start(&p, no_folder, NULL);
	assert_int_equal(proc_wait(&p), 1);
	assert_non_null(strstr(p.text_err, "/nowhere/app.qslog: No such file or directory"));
	proc_start(&p, two, NULL);
	assert_int_equal(proc_wait(&p), 2);
	proc_start(&p, stat_it, NULL);
	assert_int_equal(proc_wait(&p), 2);
	snprintf(path, sizeof(path), "%s", e2e_path("text.qslog"));
	snprintf(out, sizeof(out), "%s.out", path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
	follower_start(&p, path, out);
	assert_int_equal(proc_wait(&p), 3);
	assert_non_null(strstr(p.text_err, "not a qslog file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follow_rotations), cmocka_unit_test(follow_soon),
		cmocka_unit_test(follow_death),	    cmocka_unit_test(follow_removed),
		cmocka_unit_test(follow_nothing),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
