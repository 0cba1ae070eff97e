/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_writer_soak.c - a writer is killed at random moments, ROUNDS times (16), among them in the midst
 * of sealing, of rotating and of beginning anew: what a flush had returned for is there, once, in
 * order, for a reader at once and after recovery; and the next writer goes on without touching it.
 */
#include "e2e.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "counter.h"
#include "file_set.h"
#include "reader.h"
#include "recover.h"
#include "writer.h"

#define ROUNDS_DEFAULT 16
#define ROUNDS_PER_SET 8

struct told {
	uint64_t appended; /* about to be, or are */
	uint64_t flushed;  /* of these, a flush has returned for so many */
	uint64_t opened;
};

static unsigned int seed;

static uint64_t random_below(uint64_t n)
{
	return ((uint64_t)(unsigned int)rand_r(&seed) << 16 ^ (unsigned int)rand_r(&seed)) % n;
}

/* The child: values from `next` on, until it is killed. */
static void write_for_ever(const char *path, struct told *told, uint64_t next, unsigned int way)
{
	const struct writer_process process = {.pid = 1, .name = "soak", .exe = "", .command = ""};
	const struct writer_format format = {.kind = QSLOG_SITE_LOG, .level = QSLOG_LEVEL_INFO,
					     .arg_cnt = 1, .types = {QSLOG_ARG_UINT64},
					     .file = "f.c", .function = "f", .format = "{}"};
	struct writer_options options = {.path = path, .tail = true,
					 .block_bytes = way & 1 ? 4096 : 65536,
					 .sync = way % 8 == 4 ? WRITER_SYNC_BLOCK : WRITER_SYNC_NONE,
					 .seal_thread = way % 5 < 3};
	unsigned int in_batch = 0, batch = way & 2 ? 10 : 300;
	struct writer *w;
	int thread, id;

	options.rotation.records = way & 4 ? 500 : 20000;
	if (recover_predecessor(path, true) || writer_open(&w, &options))
		_exit(10);
	(void)writer_process_add(w, &process);
	thread = writer_thread_add(w, 0, 1, 1, "");
	id = writer_format_add(w, 0, &format);
	__atomic_store_n(&told->opened, 1, __ATOMIC_RELEASE);
	for (;;) {
		uint64_t words[3] = {(uint64_t)3 << QSLOG_RECORD_SIZE_SHIFT, counter_now(), next++};

		__atomic_store_n(&told->appended, next, __ATOMIC_RELEASE);
		if (writer_record(w, (uint32_t)thread, (uint32_t)id, words, sizeof(words)))
			_exit(11);
		if (++in_batch < batch)
			continue;
		in_batch = 0;
		if (writer_flush(w))
			_exit(12);
		__atomic_store_n(&told->flushed, next, __ATOMIC_RELEASE);
	}
}

/* What was being written may be torn: a frame, or a block that has rows which were in no frame. */
static void damage_say(void *arg, const char *path, uint64_t offset, const char *what)
{
	unsigned int *torn = arg;

	if (strcmp(what, "the file ends within a block") != 0 &&
	    strcmp(what, "the tail ends within a frame") != 0)
		fail_msg("%s at %llu: %s", path, (unsigned long long)offset, what);
	++*torn;
}

/* How many values the set has: 0, 1, 2, ... and nothing else. */
static uint64_t set_read(const char *path, bool closed)
{
	struct file_set set;
	unsigned int i, torn = 0;
	uint64_t next = 0;

	if (file_set_list(&set, path))
		return 0;
	for (i = 0; i < set.cnt; i++) {
		const struct record *record;
		struct reader_totals totals;
		struct reader *reader;

		assert_int_equal(reader_open(&reader, set.members[i].path, damage_say, &torn), 0);
		while (reader_next(reader, &record) > 0) {
			assert_int_equal(record->kind, RECORD_LOG);
			if (record->values[0].u != next)
				fail_msg("%s: %llu where %llu is next", set.members[i].path,
					 (unsigned long long)record->values[0].u,
					 (unsigned long long)next);
			next++;
		}
		reader_totals_get(reader, &totals);
		assert_true(!torn || (!closed && i + 1 == set.cnt));
		/* but for the last, all are complete */
		assert_true(totals.has_index || (!closed && i + 1 == set.cnt));
		reader_close(reader);
	}
	file_set_fini(&set);
	return next;
}

static void killed(void **state)
{
	const char *given = getenv("ROUNDS");
	const unsigned int rounds = given ? (unsigned int)atoi(given) : ROUNDS_DEFAULT;
	const unsigned int first_seed = seed;
	uint64_t records = 0, next = 0, unflushed = 0, files = 0;
	unsigned int round;
	struct told *told;
	char path[4096];

	(void)state;
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(told != MAP_FAILED);
	for (round = 0; round < rounds; round++) {
		const unsigned int way = (unsigned int)random_below(40);
		struct recover_result result;
		uint64_t until, there;
		struct file_set set;
		char name[32];
		int status;
		pid_t pid;

		if (round % ROUNDS_PER_SET == 0) {
			snprintf(name, sizeof(name), "soak%u.qslog", round / ROUNDS_PER_SET);
			snprintf(path, sizeof(path), "%s", e2e_path(name));
			next = 0;
		}
		told->opened = 0;
		told->appended = told->flushed = next;
		until = next + random_below(random_below(4) ? 8000 : 3);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			write_for_ever(path, told, next, way);
		/* every tenth while it begins */
		if (!random_below(10))
			until = 0;
		while (__atomic_load_n(&told->appended, __ATOMIC_ACQUIRE) < until)
			sched_yield();
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		there = set_read(path, false);
		if (there < told->flushed || there > told->appended)
			fail_msg("round %u, seed %u: %llu are there, %llu were flushed, %llu appended", round,
				 first_seed, (unsigned long long)there,
				 (unsigned long long)told->flushed,
				 (unsigned long long)told->appended);
		unflushed += told->appended - there;
		records += there - next;
		next = there;
		if (round % 2) { /* else the next writer has to */
			status = recover_file(path, NULL, &result);
			/* it may have died before it had created a file */
			assert_true(status == 0 || !told->opened);
			assert_int_equal(set_read(path, true), next);
		}
		if (round % ROUNDS_PER_SET == ROUNDS_PER_SET - 1 && file_set_list(&set, path) == 0) {
			unsigned int i;

			for (i = 0; i < set.cnt; i++)
				(void)unlink(set.members[i].path);
			files += set.cnt;
			file_set_fini(&set);
		}
	}
	print_message("%u deaths: %llu records in %llu files, each once; %llu had not been flushed\n",
		      rounds, (unsigned long long)records, (unsigned long long)files,
		      (unsigned long long)unflushed);
	assert_true(records > 0);
	munmap(told, sizeof(*told));
}

int main(void)
{
	const char *given = getenv("TEST_SEED"), *rounds = getenv("ROUNDS");
	const struct CMUnitTest tests[] = { cmocka_unit_test(killed) };

	alarm(100 + (rounds ? (unsigned int)atoi(rounds) * 3 : 0));
	seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
