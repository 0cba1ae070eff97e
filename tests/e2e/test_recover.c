// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_recover.c - an application in in-process mode dies at any moment; after `qslog recover` every
 * record whose call had returned is in the file exactly once and in order, or counted as dropped.
 *
 * ROUNDS=N deaths at random moments (24); TEST_SEED repeats a run. What is interrupted is cut by a
 * limit on the size of files, which ends a process in the middle of the write that crosses it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "file_set.h"
#include "reader.h"
#include "recover.h"

#define THREADS 4
#define ROUNDS_DEFAULT 24

static unsigned int seed;

static uint64_t random_below(uint64_t n)
{
	return ((uint64_t)(unsigned int)rand_r(&seed) << 16 ^ (unsigned int)rand_r(&seed)) % n;
}

/* --- Files */

/* As e2e_path(), but to be kept. */
static const char *own_path(const char *name, char path[4096])
{
	snprintf(path, 4096, "%s", e2e_path(name));
	return path;
}

/* What the process `pid` has left in /dev/shm; "" if nothing. */
static void left_find(pid_t pid, char path[320])
{
	DIR *dir = opendir("/dev/shm");
	struct dirent *entry;
	char prefix[64];

	path[0] = '\0';
	assert_non_null(dir);
	snprintf(prefix, sizeof(prefix), "qslog-%u-%d-", geteuid(), (int)pid);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			snprintf(path, 320, "/dev/shm/%s", entry->d_name);
	}
	closedir(dir);
}

static void *file_load(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size + 1);
	assert_non_null(data);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	*bytes = (size_t)st.st_size;
	return data;
}

static void file_store(const char *path, const void *data, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	close(fd);
}

static void file_copy(const char *from, const char *to)
{
	size_t bytes;
	void *data = file_load(from, &bytes);

	file_store(to, data, bytes);
	free(data);
}

/* --- Deaths */

struct death {
	const char *end;  /* of the workload; "wait": killed by the test */
	int status;
	uint64_t records; /* per thread */
	uint64_t at;	  /* in total */
	bool pauses;
	const char *arena;
	const char *rotate; /* QSLOG_ROTATE_COUNT; NULL: it is one file */
};

/* Runs the workload until its death. Returns its pid; it had the file `name`. */
static pid_t die(const struct death *d, const char *name, struct shared *s, const char *path)
{
	char threads[16], records[32], total[32], output[4224], arena[64], rotate[64];
	const char *workload[] = {e2e_build("tests/fixtures/workload.inproc"), "-s", path, "-t",
				  threads, "-n", records, "-k", total, "-e", d->end,
				  d->pauses ? "-p" : NULL, NULL};
	const char *environment[] = {output, arena, d->rotate ? rotate : NULL, NULL};
	struct proc app;

	snprintf(rotate, sizeof(rotate), "QSLOG_ROTATE_COUNT=%s", d->rotate ? d->rotate : "");
	snprintf(threads, sizeof(threads), "%d", THREADS);
	snprintf(records, sizeof(records), "%llu", (unsigned long long)d->records);
	snprintf(total, sizeof(total), "%llu", (unsigned long long)d->at);
	snprintf(output, sizeof(output), "QSLOG_FILE=%s", name);
	snprintf(arena, sizeof(arena), "QSLOG_ARENA_SIZE=%s", d->arena);
	proc_start(&app, workload, environment);
	if (strcmp(d->end, "wait") == 0) {
		while (shared_total(s) < d->at)
			sched_yield();
		proc_kill(&app, SIGKILL);
	}
	assert_int_equal(proc_wait(&app), d->status);
	return app.pid;
}

static void recovered(const char *name, struct recover_result *result)
{
	char tail[4224];

	assert_int_equal(recover_file(name, NULL, result), 0);
	assert_false(result->was_closed);
	assert_true(result->memory_used);
	assert_int_equal(result->unsafe, 0);
	assert_int_equal(result->damaged, 0);
	snprintf(tail, sizeof(tail), "%s.tail", name);
	assert_int_equal(access(tail, F_OK), -1);
	/* once more, without effect */
	assert_int_equal(recover_file(name, NULL, result), 0);
	assert_true(result->was_closed);
	assert_false(result->memory_used);
}

/* Until nothing is left: in an interrupted rotation one file has two names. */
static void set_remove(const char *name)
{
	struct file_set set;
	unsigned int i;

	while (file_set_list(&set, name) == 0) {
		for (i = 0; i < set.cnt; i++)
			assert_int_equal(unlink(set.members[i].path), 0);
		file_set_fini(&set);
	}
}

static void round_run(const struct death *d, struct counted *counted)
{
	char name_of[4096], path_of[4096];
	const char *name = own_path("death.qslog", name_of), *path = own_path("shared", path_of);
	struct shared *s = shared_open(path);
	struct recover_result result;
	char left[320];
	pid_t pid;

	set_remove(name);
	pid = die(d, name, s, path);
	left_find(pid, left);
	assert_string_not_equal(left, "");
	recovered(name, &result);
	assert_int_equal(access(left, F_OK), -1);
	counts_check(name, s, THREADS, EXPECT_CRASH, counted);
	if (!d->rotate)
		assert_int_equal(result.records, counted->delivered);
	assert_true(counted->delivered + counted->lost >= d->at);
	shared_close(s);
}

static void random_deaths(void **state)
{
	const char *given = getenv("ROUNDS");
	const int rounds = given ? atoi(given) : ROUNDS_DEFAULT;
	const unsigned int first_seed = seed;
	uint64_t delivered = 0, lost = 0, lossless = 0;
	int round;

	(void)state;
	for (round = 0; round < rounds; round++) {
		const bool pauses = round % 2 == 0;
		struct death d = {.end = "wait", .status = 128 + SIGKILL, .pauses = pauses,
				  .records = 1u << 30, .arena = round % 3 ? "1M" : "256K"};
		struct counted counted;

		d.at = random_below(pauses ? 200000 : 3000000) + 1;
		print_message("round %d, seed %u: %s, killed at record %llu\n", round, first_seed,
			      pauses ? "moderate" : "full speed", (unsigned long long)d.at);
		round_run(&d, &counted);
		delivered += counted.delivered;
		lost += counted.lost;
		lossless += !counted.lost;
	}
	print_message("%d deaths: %llu records, %llu dropped; in %llu nothing was dropped\n", rounds,
		      (unsigned long long)delivered, (unsigned long long)lost,
		      (unsigned long long)lossless);
	assert_true(delivered > 0);
}

/* Files of a few milliseconds: many of the deaths are in the midst of a rotation. */
static void rotating_deaths(void **state)
{
	static const char *const counts[] = {"300", "2000", "20000"};
	const char *given = getenv("ROUNDS");
	const int rounds = given ? atoi(given) : ROUNDS_DEFAULT / 2;
	const unsigned int first_seed = seed;
	uint64_t delivered = 0, lost = 0;
	int round;

	(void)state;
	for (round = 0; round < rounds; round++) {
		struct death d = {.end = "wait", .status = 128 + SIGKILL, .pauses = round % 2 == 0,
				  .records = 1u << 30, .arena = round % 3 ? "1M" : "256K",
				  .rotate = counts[round % 3]};
		struct counted counted;

		d.at = random_below(round % 3 ? 200000 : 50000) + 1;
		print_message("round %d, seed %u: files of %s, killed at record %llu\n", round,
			      first_seed, d.rotate, (unsigned long long)d.at);
		round_run(&d, &counted);
		delivered += counted.delivered;
		lost += counted.lost;
	}
	print_message("%d deaths: %llu records, %llu dropped\n", rounds,
		      (unsigned long long)delivered, (unsigned long long)lost);
	assert_true(delivered > 0);
}

static void other_ends(void **state)
{
	static const struct {
		const char *name;
		int status;
	} ends[] = {{"kill", 128 + SIGKILL}, {"segv", 128 + SIGSEGV}, {"abort", 128 + SIGABRT},
		    {"_exit", 0}, {"other-thread", 0}, {"flush-kill", 128 + SIGKILL}};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct death d = {.end = ends[i].name, .status = ends[i].status, .pauses = true,
				  .records = 20000, .arena = "4M"};
		struct counted counted;

		d.at = 1 + random_below(THREADS * d.records);
		print_message("%s at record %llu\n", d.end, (unsigned long long)d.at);
		round_run(&d, &counted);
		assert_int_equal(counted.lost, 0);
	}
}

/* --- Interrupted recovery */

/* Recovers in a child that may write files up to `limit` bytes; false: it was ended by that. */
static bool recover_limited(const char *name, uint64_t limit)
{
	char fsize[64];
	const char *argv[] = {"/usr/bin/prlimit", fsize, "--core=0", e2e_build("qslog"), "recover",
			      name, NULL};
	struct proc p;
	int status;

	snprintf(fsize, sizeof(fsize), "--fsize=%llu", (unsigned long long)limit);
	proc_start(&p, argv, NULL);
	status = proc_wait(&p);
	assert_true(status == 0 || status == 128 + SIGXFSZ);
	return status == 0;
}

static void interrupted(void **state)
{
	const struct death d = {.end = "wait", .status = 128 + SIGKILL, .pauses = true,
				.records = 1u << 30, .arena = "1M", .at = 150000};
	char name_of[4096], path_of[4096];
	const char *path = own_path("shared", path_of), *name = own_path("cut.qslog", name_of);
	char left[320], tail[4224], copy[4224], copy_tail[4224], copy_left[4224];
	struct shared *s = shared_open(path);
	struct recover_result result;
	struct counted counted;
	struct stat st;
	uint64_t from, to;
	int cuts = 0, i;
	pid_t pid;

	(void)state;
	pid = die(&d, name, s, path);
	left_find(pid, left);
	assert_string_not_equal(left, "");
	snprintf(tail, sizeof(tail), "%s.tail", name);
	snprintf(copy, sizeof(copy), "%s.copy", name);
	snprintf(copy_tail, sizeof(copy_tail), "%s.copy.tail", name);
	snprintf(copy_left, sizeof(copy_left), "%s.memory", name);
	file_copy(name, copy);
	file_copy(tail, copy_tail);
	file_copy(left, copy_left);
	assert_int_equal(stat(name, &st), 0);
	from = (uint64_t)st.st_size;
	recovered(name, &result);
	assert_int_equal(stat(name, &st), 0);
	to = (uint64_t)st.st_size;
	assert_true(to > from);
	for (i = 0; i < 40; i++) {
		file_copy(copy, name);
		file_copy(copy_tail, tail);
		file_copy(copy_left, left);
		/* a few times in a row, at growing and at falling limits */
		for (int again = 0; again < 1 + i % 3; again++)
			cuts += !recover_limited(name, from + random_below(to - from + 1));
		if (access(left, F_OK) == 0) {
			assert_int_equal(recover_file(name, NULL, &result), 0);
		}
		assert_int_equal(access(left, F_OK), -1);
		assert_int_equal(access(tail, F_OK), -1);
		counts_check(name, s, THREADS, EXPECT_CRASH, &counted);
	}
	print_message("%d recoveries were cut\n", cuts);
	assert_true(cuts >= 20);
	shared_close(s);
}

/* --- Hostile memory */

static void hostile(void **state)
{
	const struct death d = {.end = "wait", .status = 128 + SIGKILL, .pauses = true,
				.records = 1u << 30, .arena = "256K", .at = 20000};
	char name_of[4096], path_of[4096], memory_of[4096];
	const char *path = own_path("shared", path_of), *name = own_path("hostile.qslog", name_of);
	const char *memory = own_path("qslog-0-1-0123456789abcdef", memory_of);
	struct shared *s = shared_open(path);
	struct recover_result result;
	char left[320], tail[4224];
	size_t bytes, file_bytes, tail_bytes;
	uint8_t *good, *bad, *file, *tail_data;
	int i, refused = 0;

	(void)state;
	left_find(die(&d, name, s, path), left);
	assert_string_not_equal(left, "");
	snprintf(tail, sizeof(tail), "%s.tail", name);
	good = file_load(left, &bytes);
	file = file_load(name, &file_bytes);
	tail_data = file_load(tail, &tail_bytes);
	assert_int_equal(unlink(left), 0);
	bad = malloc(bytes);
	assert_non_null(bad);
	for (i = 0; i < 300; i++) {
		size_t cut = bytes, flips = 1 + random_below(8);
		int err;

		memcpy(bad, good, bytes);
		for (; flips; flips--) {
			/* the header page, an arena's header, its records, or the modules */
			const size_t places[4] = {0, 262144, 262144 + 4096, 40960};
			const size_t at = places[random_below(4)] + random_below(1200);

			bad[at] = (uint8_t)random_below(256);
		}
		if (i % 10 == 9)
			cut = random_below(bytes);
		file_store(name, file, file_bytes);
		file_store(tail, tail_data, tail_bytes);
		file_store(memory, bad, cut);
		err = recover_file(name, memory, &result);
		refused += err != 0;
		if (!err) { /* whatever it was, the file is whole */
			const struct record *record;
			struct reader_totals totals;
			struct reader *reader;

			assert_int_equal(reader_open(&reader, name, NULL, NULL), 0);
			while (reader_next(reader, &record) > 0)
				;
			reader_totals_get(reader, &totals);
			assert_int_equal(totals.blocks_damaged, 0);
			assert_true(totals.has_index);
			reader_close(reader);
		} else {
			assert_int_equal(access(memory, F_OK), 0);
		}
	}
	print_message("%d of 300 refused\n", refused);
	assert_true(refused > 0 && refused < 300);
	free(good);
	free(bad);
	free(file);
	free(tail_data);
	shared_close(s);
}

/* --- The next start, and processes that live */

static void next_start(void **state)
{
	struct death d = {.end = "kill", .status = 128 + SIGKILL, .pauses = true, .records = 1000,
			  .arena = "1M"};
	char name_of[4096], path_of[4096];
	const char *path = own_path("shared", path_of), *name = own_path("next.qslog", name_of);
	struct shared *s;
	struct counted counted;
	char aside[4224], left[320];
	int i;

	(void)state;
	for (i = 1; i <= 3; i++) {
		s = shared_open(path);
		left_find(die(&d, name, s, path), left);
		assert_string_not_equal(left, "");
		if (i > 1) { /* that before was put aside */
			snprintf(aside, sizeof(aside), "%s.%d", name, i - 1);
			assert_int_equal(access(aside, F_OK), 0);
			/* the same number of records, and threads of another process */
			struct reader *reader;
			const struct record *record;
			struct reader_totals totals;

			assert_int_equal(reader_open(&reader, aside, NULL, NULL), 0);
			while (reader_next(reader, &record) > 0)
				;
			reader_totals_get(reader, &totals);
			reader_close(reader);
			assert_int_equal(totals.records, THREADS * d.records);
			assert_int_equal(totals.lost, 0);
			assert_true(totals.has_index);
		}
		shared_close(s);
	}
	/* a file that was closed is none to be kept */
	d.end = "return";
	d.status = 0;
	s = shared_open(path);
	left_find(die(&d, name, s, path), left);
	assert_string_equal(left, "");
	shared_close(s);
	s = shared_open(path);
	(void)die(&d, name, s, path);
	counts_check(name, s, THREADS, EXPECT_ALL, &counted);
	snprintf(aside, sizeof(aside), "%s.4", name);
	assert_int_equal(access(aside, F_OK), -1);
	shared_close(s);
}

static void process_lives(void **state)
{
	char name_of[4096], path_of[4096];
	const char *path = own_path("shared", path_of), *name = own_path("lives.qslog", name_of);
	struct shared *s = shared_open(path);
	const char *workload[] = {e2e_build("tests/fixtures/workload.inproc"), "-s", path, "-t", "4",
				  "-n", "100", "-e", "wait", NULL};
	char output[4224], left[320];
	const char *environment[] = {output, NULL};
	const char *recover[] = {e2e_build("qslog"), "recover", name, NULL};
	const char *second[] = {e2e_build("tests/fixtures/workload.inproc"), "-s",
				e2e_path("shared2"), "-n", "10", NULL};
	const char *debug[] = {output, "QSLOG_DEBUG=1", NULL};
	struct recover_result result;
	struct counted counted;
	struct proc app, p;

	(void)state;
	snprintf(output, sizeof(output), "QSLOG_FILE=%s", name);
	proc_start(&app, workload, environment);
	while (shared_total(s) < 400)
		sched_yield();
	left_find(app.pid, left);
	assert_string_not_equal(left, "");
	proc_start(&p, recover, NULL);
	assert_int_equal(proc_wait(&p), 1);
	assert_non_null(strstr(p.text_err, "still writes it"));
	assert_int_equal(recover_file(name, left, &result), -EBUSY);
	assert_int_equal(result.pid, app.pid);
	/* Another one with the same output leaves it alone, and does not record. */
	proc_start(&p, second, debug);
	assert_int_equal(proc_wait(&p), 0);
	assert_non_null(strstr(p.text_err, "busy"));
	proc_kill(&app, SIGKILL);
	assert_int_equal(proc_wait(&app), 128 + SIGKILL);
	recovered(name, &result);
	counts_check(name, s, THREADS, EXPECT_ALL, &counted);
	assert_int_equal(counted.lost, 0);
	shared_close(s);
}

static void nothing_to_do(void **state)
{
	struct recover_result result;
	const char *name = e2e_path("nothing");

	(void)state;
	assert_int_equal(recover_file(e2e_path("missing"), NULL, &result), -ENOENT);
	assert_int_equal(recover_file("/tmp", NULL, &result), -EISDIR);
	file_store(name, "this is no file of ours, nor long", 33);
	assert_int_equal(recover_file(name, NULL, &result), -EBADMSG);
	file_store(name, "", 0);
	assert_int_equal(recover_file(name, NULL, &result), -EBADMSG);
	assert_int_equal(recover_predecessor(name, false), 0);
	assert_int_equal(access(name, F_OK), 0);
	assert_int_equal(recover_predecessor(e2e_path("missing"), false), 0);
}

int main(void)
{
	const char *given = getenv("TEST_SEED"), *rounds = getenv("ROUNDS");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_to_do),
		cmocka_unit_test(other_ends),
		cmocka_unit_test(random_deaths),
		cmocka_unit_test(rotating_deaths),
		cmocka_unit_test(interrupted),
		cmocka_unit_test(hostile),
		cmocka_unit_test(next_start),
		cmocka_unit_test(process_lives),
	};

	alarm(170 + (rounds ? (unsigned int)atoi(rounds) * 20 : 0));
	seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
