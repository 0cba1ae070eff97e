// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_levels.c - which sites in-process mode records: levels of all tags and of one, changed while
 * threads log, from the environment, and their errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e2e.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qslog.h"
#include "reader.h"

enum tag { TAG_NET, TAG_DB, TAG_DBASE, TAG_NONE, TAG_CNT };
static const char *const tags[TAG_CNT] = {"net", "db", "dbase", "test_levels"};

struct seen {
	uint64_t logs[TAG_CNT][QSLOG_LEVEL_COUNT];
	uint64_t spans;
};

static void start(const char *path, int level)
{
	struct qslog_options o = QSLOG_OPTIONS_INIT;

	o.path = path;
	o.level = level;
	assert_int_equal(qslog_start(&o), 0);
}

/* A line of each tag and level; arguments of what is not recorded are not evaluated. */
static int evaluated;
#define ALL_LEVELS(tag)                                                                            \
	do {                                                                                       \
		QSLOGV_TAG(tag, "{}", ++evaluated);                                                \
		QSLOGD_TAG(tag, "{}", ++evaluated);                                                \
		QSLOGI_TAG(tag, "{}", ++evaluated);                                                \
		QSLOGW_TAG(tag, "{}", ++evaluated);                                                \
		QSLOGE_TAG(tag, "{}", ++evaluated);                                                \
		QSLOGF_TAG(tag, "{}", ++evaluated);                                                \
	} while (0)

static void all_log(void)
{
	ALL_LEVELS("net");
	ALL_LEVELS("db");
	ALL_LEVELS("dbase");
	QSLOGV("{}", ++evaluated);
	QSLOGD("{}", ++evaluated);
	QSLOGI("{}", ++evaluated);
	QSLOGW("{}", ++evaluated);
	QSLOGE("{}", ++evaluated);
	QSLOGF("{}", ++evaluated);
}

static void seen_read(struct seen *seen, const char *path)
{
	const struct record *record;
	struct reader *reader;
	int more, tag;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	while ((more = reader_next(reader, &record)) > 0) {
		for (tag = 0; tag < TAG_CNT; tag++)
			if (strcmp(record->format->tag, tags[tag]) == 0)
				break;
		assert_true(tag < TAG_CNT);
		if (record->kind == RECORD_LOG)
			seen->logs[tag][record->format->level]++;
		else
			seen->spans++;
	}
	assert_int_equal(more, 0);
	reader_close(reader);
}

/* What came of one all_log(), or `times`, from which level on. */
static void seen_from(const struct seen *seen, uint64_t times, int net, int db, int dbase, int none)
{
	const int from[TAG_CNT] = {net, db, dbase, none};
	int tag, level;

	for (tag = 0; tag < TAG_CNT; tag++)
		for (level = 0; level < QSLOG_LEVEL_COUNT; level++)
			if (seen->logs[tag][level] != (level >= from[tag] ? times : 0))
				fail_msg("tag %s, level %d: %llu lines", tags[tag], level,
					 (unsigned long long)seen->logs[tag][level]);
}

static int rules_clear(void **state)
{
	(void)state;
	assert_int_equal(qslog_set_level("net", -1), 0);
	assert_int_equal(qslog_set_level("db", -1), 0);
	assert_int_equal(qslog_set_level("db*", -1), 0);
	assert_int_equal(qslog_set_level("test_levels", -1), 0);
	return 0;
}

static void errors(void **state)
{
	char tag[QSLOG_LEVEL_TAG_MAX + 3];
	int i;

	(void)state;
	assert_int_equal(qslog_set_level(NULL, -1), -EINVAL);
	assert_int_equal(qslog_set_level(NULL, QSLOG_LEVEL_COUNT + 1), -EINVAL);
	assert_int_equal(qslog_set_level("net", -2), -EINVAL);
	assert_int_equal(qslog_set_level("", QSLOG_LEVEL_INFO), -EINVAL);
	memset(tag, 'x', sizeof(tag));
	tag[QSLOG_LEVEL_TAG_MAX + 1] = '\0';
	assert_int_equal(qslog_set_level(tag, QSLOG_LEVEL_INFO), -EINVAL);
	tag[QSLOG_LEVEL_TAG_MAX] = '\0';
	assert_int_equal(qslog_set_level(tag, QSLOG_LEVEL_INFO), 0);
	assert_int_equal(qslog_set_level(tag, -1), 0);
	for (i = 0; i < QSLOG_LEVEL_TAGS_MAX; i++) {
		snprintf(tag, sizeof(tag), "tag%d", i);
		assert_int_equal(qslog_set_level(tag, QSLOG_LEVEL_INFO), 0);
	}
	assert_int_equal(qslog_set_level("another", QSLOG_LEVEL_INFO), -ENOSPC);
	assert_int_equal(qslog_set_level("tag7", QSLOG_LEVEL_WARN), 0);
	for (i = 0; i < QSLOG_LEVEL_TAGS_MAX; i++) {
		snprintf(tag, sizeof(tag), "tag%d", i);
		assert_int_equal(qslog_set_level(tag, -1), 0);
	}
	assert_int_equal(qslog_set_level("tag1", -1), 0); /* there is none any more */
}

static void tags_have_their_own(void **state)
{
	const char *path = e2e_path("tags.qslog");
	struct seen seen;

	(void)state;
	assert_int_equal(qslog_set_level("net", QSLOG_LEVEL_DEBUG), 0); /* before the start */
	start(path, QSLOG_LEVEL_WARN);
	assert_int_equal(qslog_set_level("db*", QSLOG_LEVEL_ERROR), 0);
	assert_int_equal(qslog_set_level("db", QSLOG_LEVEL_COUNT), 0); /* rather than db* */
	evaluated = 0;
	all_log();
	all_log(); /* the second time it is remembered */
	assert_int_equal(evaluated, 2 * (5 + 0 + 2 + 3));
	assert_int_equal(qslog_stop(), 0);
	seen_read(&seen, path);
	seen_from(&seen, 2, QSLOG_LEVEL_DEBUG, QSLOG_LEVEL_COUNT, QSLOG_LEVEL_ERROR,
		  QSLOG_LEVEL_WARN);
	all_log(); /* off */
	assert_int_equal(evaluated, 2 * (5 + 0 + 2 + 3));
}

static void changes_hold_at_once(void **state)
{
	const char *path = e2e_path("changes.qslog");
	struct seen seen;
	int round;

	(void)state;
	start(path, QSLOG_LEVEL_FATAL);
	/* More often than the low bits of a version tell apart. */
	for (round = 0; round < 300; round++) {
		assert_int_equal(qslog_set_level("net", QSLOG_LEVEL_VERBOSE), 0);
		evaluated = 0;
		all_log();
		assert_int_equal(evaluated, 6 + 1 + 1 + 1);
		assert_int_equal(qslog_set_level("net", QSLOG_LEVEL_COUNT), 0);
		evaluated = 0;
		all_log();
		assert_int_equal(evaluated, 0 + 1 + 1 + 1);
	}
	assert_int_equal(qslog_set_level("net", -1), 0);
	assert_int_equal(qslog_set_level(NULL, QSLOG_LEVEL_COUNT), 0);
	all_log();
	assert_int_equal(qslog_set_level(NULL, QSLOG_LEVEL_FATAL), 0);
	assert_int_equal(qslog_stop(), 0);
	seen_read(&seen, path);
	assert_int_equal(seen.logs[TAG_NET][QSLOG_LEVEL_VERBOSE], 300);
	assert_int_equal(seen.logs[TAG_NET][QSLOG_LEVEL_FATAL], 300);
	assert_int_equal(seen.logs[TAG_DB][QSLOG_LEVEL_FATAL], 600);
	assert_int_equal(seen.logs[TAG_DB][QSLOG_LEVEL_ERROR], 0);
}

/* Spans and run-time sites are asked about too; a file's own tag is the program's name here. */
static void spans_and_values(void **state)
{
	const char *path = e2e_path("spans.qslog");
	struct qslog_site_def def = QSLOG_SITE_DEF_INIT;
	const struct qslog_site *site;
	struct seen seen;

	(void)state;
	def.tag = "db";
	def.format = "a value";
	site = qslog_site_register(&def);
	assert_non_null(site);
	start(path, QSLOG_LEVEL_VERBOSE);
	assert_int_equal(qslog_set_level("test_levels", QSLOG_LEVEL_WARN), 0);
	{
		QSLOG_SPAN("left out");
		assert_int_equal(qslog_log_values(site, NULL, 0), 0);
	}
	assert_int_equal(qslog_set_level("test_levels", QSLOG_LEVEL_INFO), 0);
	assert_int_equal(qslog_set_level("db", QSLOG_LEVEL_WARN), 0);
	{
		QSLOG_SPAN("kept");
		assert_int_equal(qslog_log_values(site, NULL, 0), 0);
		/* What was entered is left. */
		assert_int_equal(qslog_set_level("test_levels", QSLOG_LEVEL_WARN), 0);
	}
	assert_int_equal(qslog_stop(), 0);
	seen_read(&seen, path);
	assert_int_equal(seen.spans, 2);
	assert_int_equal(seen.logs[TAG_DB][QSLOG_LEVEL_INFO], 1);
}

static void environment(void **state)
{
	static const char *const bad[] = {"warn,", ",warn", "warn,net", "warn,net=", "=warn",
					  "warn,net=loud", "warn,*x*=info,=info"};
	const char *path = e2e_path("environment.qslog");
	struct seen seen;
	size_t i;

	(void)state;
	setenv("QSLOG_FILE", path, 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("QSLOG_LEVEL", bad[i], 1);
		if (qslog_start(NULL) != -EINVAL)
			fail_msg("QSLOG_LEVEL=%s was taken", bad[i]);
		assert_int_equal(qslog_set_level("*x", -1), 0);
		assert_int_equal(qslog_set_level("*x*", -1), 0);
	}
	setenv("QSLOG_LEVEL", "net=verbose,F,db*=off,db=Warn", 1);
	assert_int_equal(qslog_start(NULL), 0);
	unsetenv("QSLOG_LEVEL");
	unsetenv("QSLOG_FILE");
	all_log();
	assert_int_equal(qslog_stop(), 0);
	seen_read(&seen, path);
	seen_from(&seen, 1, QSLOG_LEVEL_VERBOSE, QSLOG_LEVEL_WARN, QSLOG_LEVEL_COUNT,
		  QSLOG_LEVEL_FATAL);
}

/* --- While threads log */

static int threads_end;

static void *logs_main(void *arg)
{
	uint64_t *fatal = arg;

	while (!__atomic_load_n(&threads_end, __ATOMIC_ACQUIRE)) {
		QSLOGD_TAG("net", "sometimes");
		QSLOGF_TAG("db", "always {}", *fatal);
		++*fatal;
	}
	return NULL;
}

static void changes_while_threads_log(void **state)
{
	struct qslog_options o = QSLOG_OPTIONS_INIT;
	const char *path = e2e_path("threads.qslog");
	uint64_t fatal[2] = {0, 0};
	pthread_t threads[2];
	struct seen seen;
	int i;

	(void)state;
	__atomic_store_n(&threads_end, 0, __ATOMIC_RELEASE);
	o.path = path;
	o.level = QSLOG_LEVEL_FATAL;
	o.on_full = QSLOG_ON_FULL_BLOCK;
	assert_int_equal(qslog_start(&o), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, logs_main, &fatal[i]), 0);
	for (i = 0; i < 2000; i++)
		assert_int_equal(qslog_set_level(i & 1 ? "net" : "dbase",
						 i & 2 ? QSLOG_LEVEL_DEBUG : QSLOG_LEVEL_COUNT), 0);
	__atomic_store_n(&threads_end, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(qslog_set_level("dbase", -1), 0);
	assert_int_equal(qslog_stop(), 0);
	seen_read(&seen, path);
	assert_int_equal(seen.logs[TAG_DB][QSLOG_LEVEL_FATAL], fatal[0] + fatal[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors),
		cmocka_unit_test_teardown(tags_have_their_own, rules_clear),
		cmocka_unit_test_teardown(changes_hold_at_once, rules_clear),
		cmocka_unit_test_teardown(spans_and_values, rules_clear),
		cmocka_unit_test_teardown(environment, rules_clear),
		cmocka_unit_test_teardown(changes_while_threads_log, rules_clear),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, e2e_setup, e2e_teardown);
}
