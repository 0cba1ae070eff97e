/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dynamic_sites.c - sites defined at run time: what the API refuses, that a record is the
 * same as the macros', what a tracer finds of the sites, and what ingest makes of definitions.
 *
 * Levels are switched on as the collector would, without its thread: arenas fill up, and nothing
 * moves by itself.
 */
#define QSLOG_TAG "test"
#include <qslog.h>

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dynamic_sites.h"
#include "file_helper.h"
#include "ingest.h"

#define THREADS 8
#define SITES_PER_THREAD 400

static const uint8_t u64_type[] = { QSLOG_ARG_UINT64 };
static const uint8_t all_types[] = { QSLOG_ARG_BOOL, QSLOG_ARG_CHAR, QSLOG_ARG_UINT8,
				     QSLOG_ARG_UINT64, QSLOG_ARG_FLOAT, QSLOG_ARG_DOUBLE,
				     QSLOG_ARG_STR, QSLOG_ARG_INT64, QSLOG_ARG_POINTER,
				     QSLOG_ARG_BYTES, QSLOG_ARG_STR };

static struct qslog_site_def def_of(const char *format, unsigned int cnt, const uint8_t *types)
{
	struct qslog_site_def def = QSLOG_SITE_DEF_INIT;

	def.tag = "tag";
	def.file = "file.c";
	def.function = "function";
	def.line = 7;
	def.format = format;
	def.arg_cnt = cnt;
	def.types = types;
	return def;
}

static const struct qslog_site *site_of(const char *format, unsigned int cnt, const uint8_t *types)
{
	const struct qslog_site_def def = def_of(format, cnt, types);
	const struct qslog_site *site = qslog_site_register(&def);

	assert_non_null(site);
	return site;
}

static struct qslog_value u64_value(uint64_t u)
{
	return (struct qslog_value){ .type = QSLOG_ARG_UINT64, .u = u };
}

static struct qslog_value str_value(const void *data, size_t len)
{
	return (struct qslog_value){ .type = QSLOG_ARG_STR, .str = { data, len } };
}

/* As qslog_start() and qslog_stop() without a thread that takes records out. */
static void listen_from(int level)
{
	__atomic_store_n(&qslog_priv_process.collector,
			 level < QSLOG_LEVEL_COUNT ? QSLOG_COLLECTOR_AWAKE : QSLOG_COLLECTOR_OFF,
			 __ATOMIC_RELEASE);
	assert_int_equal(qslog_set_level(NULL, level), 0);
	qslog_priv_collector_levels(level < QSLOG_LEVEL_COUNT);
	qslog_priv_arena->collected = qslog_priv_arena->head;
}

static int levels_off(void **state)
{
	(void)state;
	listen_from(QSLOG_LEVEL_COUNT);
	qslog_priv_registry.batch_semaphore = 0;
	return 0;
}

static struct qslog_stats stats(void)
{
	struct qslog_stats s;

	qslog_stats_get(&s);
	return s;
}

static uint64_t head(void)
{
	return qslog_priv_arena->head;
}

/* What the thread has written from `pos` on. */
static const uint64_t *record_at(uint64_t pos)
{
	return (const uint64_t *)((const char *)qslog_priv_arena + QSLOG_ARENA_HEADER_BYTES +
				  (pos & qslog_priv_arena->mask));
}

static uint64_t record_size(const uint64_t *record)
{
	return (record[0] >> QSLOG_RECORD_SIZE_SHIFT & 0x7fff) * 8;
}

/* --- Registering */

static void test_strings_are_copied(void **state)
{
	char format[] = "value {}", tag[] = "a tag", file[] = "a.c", function[] = "f";
	uint8_t types[] = { QSLOG_ARG_UINT64 };
	struct qslog_site_def def = def_of(format, 1, types);
	const struct qslog_site *site;

	(void)state;
	def.tag = tag;
	def.file = file;
	def.function = function;
	def.level = QSLOG_LEVEL_ERROR;
	errno = 77;
	site = qslog_site_register(&def);
	assert_non_null(site);
	assert_int_equal(errno, 77);
	memset(format, 'x', sizeof(format) - 1);
	memset(tag, 'x', sizeof(tag) - 1);
	memset(file, 'x', sizeof(file) - 1);
	memset(function, 'x', sizeof(function) - 1);
	types[0] = QSLOG_ARG_STR;
	assert_int_equal(site->magic, QSLOG_SITE_MAGIC);
	assert_int_equal(site->kind, QSLOG_SITE_LOG);
	assert_int_equal(site->level, QSLOG_LEVEL_ERROR);
	assert_int_equal(site->line, 7);
	assert_int_equal(site->arg_cnt, 1);
	assert_int_equal(site->types[0], QSLOG_ARG_UINT64);
	assert_string_equal(site->format, "value {}");
	assert_string_equal(site->tag, "a tag");
	assert_string_equal(site->file, "a.c");
	assert_string_equal(site->function, "f");
	assert_null(site->name);
}

static void test_defaults(void **state)
{
	struct qslog_site_def def = QSLOG_SITE_DEF_INIT;
	const struct qslog_site *site;

	(void)state;
	def.format = "";
	site = qslog_site_register(&def);
	assert_non_null(site);
	assert_null(site->tag);
	assert_string_equal(site->file, "");
	assert_string_equal(site->function, "");
	def.kind = QSLOG_SITE_SPAN;
	def.format = NULL;
	def.name = "span";
	site = qslog_site_register(&def);
	assert_non_null(site);
	assert_string_equal(site->name, "span");
	assert_string_equal(site->format, "");
}

static void refused(const struct qslog_site_def *def)
{
	errno = 0;
	assert_null(qslog_site_register(def));
	assert_int_equal(errno, EINVAL);
}

static void test_invalid_definitions(void **state)
{
	const uint8_t bad_types[] = { QSLOG_ARG_TYPE_COUNT };
	const struct qslog_site_def good = def_of("{}", 1, u64_type);
	const uint64_t before = qslog_priv_registry.site_cnt;
	struct qslog_site_def def;

	(void)state;
	refused(NULL);
	def = good, def.size = sizeof(def) - 8, refused(&def);
	def = good, def.kind = QSLOG_SITE_KIND_COUNT, refused(&def);
	def = good, def.kind = -1, refused(&def);
	def = good, def.level = QSLOG_LEVEL_COUNT, refused(&def);
	def = good, def.level = -1, refused(&def);
	def = good, def.format = NULL, refused(&def);
	def = good, def.name = "a log has none", refused(&def);
	def = good, def.kind = QSLOG_SITE_SPAN, refused(&def); /* no name */
	def = good, def.kind = QSLOG_SITE_SPAN, def.name = "s", def.format = NULL, refused(&def);
	def = good, def.arg_cnt = QSLOG_ARGS_MAX + 1, refused(&def);
	def = good, def.types = NULL, refused(&def);
	def = good, def.types = bad_types, refused(&def);
	assert_int_equal(qslog_priv_registry.site_cnt, before);
	assert_non_null(qslog_site_register(&good));
	assert_int_equal(qslog_priv_registry.site_cnt, before + 1);
}

static void test_longest_strings(void **state)
{
	char format[QSLOG_SITE_FORMAT_MAX + 2], text[QSLOG_SITE_STRING_MAX + 2];
	const struct qslog_site *site;
	unsigned int i;

	(void)state;
	memset(format, 'f', sizeof(format));
	memset(text, 't', sizeof(text));
	format[sizeof(format) - 1] = text[sizeof(text) - 1] = '\0';
	for (i = 0; i < 5; i++) {
		struct qslog_site_def def = QSLOG_SITE_DEF_INIT;
		const char **strings[] = { &def.format, &def.tag, &def.file, &def.function, &def.name };

		def.kind = QSLOG_SITE_SPAN;
		def.name = "span";
		*strings[i] = i ? text : format;
		refused(&def);
		*strings[i] += 1; /* as long as it may be */
		site = qslog_site_register(&def);
		assert_non_null(site);
		assert_string_equal(i == 0 ? site->format : i == 1 ? site->tag : i == 2 ? site->file :
				    i == 3 ? site->function : site->name, *strings[i]);
	}
}

/* Each thread registers its own, with lengths that fill slabs unevenly. */
static void *register_many(void *arg)
{
	const struct qslog_site **sites = calloc(SITES_PER_THREAD, sizeof(*sites));
	char format[600];
	int i;

	for (i = 0; sites && i < SITES_PER_THREAD; i++) {
		const int len = snprintf(format, sizeof(format), "%d %d ", (int)(intptr_t)arg, i);
		struct qslog_site_def def = QSLOG_SITE_DEF_INIT;

		memset(format + len, '.', (size_t)i % 500);
		format[len + i % 500] = '\0';
		def.format = format;
		sites[i] = qslog_site_register(&def);
	}
	return sites;
}

static void test_threads_register(void **state)
{
	const uint64_t before = qslog_priv_registry.site_cnt;
	const struct qslog_site **sites[THREADS];
	pthread_t threads[THREADS];
	int t, i, number, index;
	void *result;

	(void)state;
	for (t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, register_many,
						(void *)(intptr_t)t), 0);
	for (t = 0; t < THREADS; t++) {
		assert_int_equal(pthread_join(threads[t], &result), 0);
		assert_non_null(result);
		sites[t] = result;
	}
	assert_int_equal(qslog_priv_registry.site_cnt, before + THREADS * SITES_PER_THREAD);
	for (t = 0; t < THREADS; t++) {
		for (i = 0; i < SITES_PER_THREAD; i++) {
			assert_non_null(sites[t][i]);
			assert_int_equal(sscanf(sites[t][i]->format, "%d %d", &number, &index), 2);
			assert_int_equal(number, t);
			assert_int_equal(index, i);
			assert_int_equal(strspn(strrchr(sites[t][i]->format, ' ') + 1, "."), i % 500);
		}
		free(sites[t]);
	}
}

static void test_no_memory(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) { /* until a new slab is needed, and cannot be had */
		const struct rlimit none = { 0, 0 };
		struct qslog_site_def def = def_of("{}", 1, u64_type);
		int i;

		if (setrlimit(RLIMIT_AS, &none))
			_exit(1);
		for (i = 0; i < 2000; i++)
			if (!qslog_site_register(&def))
				_exit(errno == ENOMEM ? 0 : 2);
		_exit(3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- Recording */

static void test_off(void **state)
{
	const struct qslog_site *site = site_of("{}", 1, u64_type);
	struct qslog_value value = u64_value(1);
	struct qslog_stats before, after;
	struct qslog_span span;

	(void)state;
	before = stats();
	assert_false(qslog_site_enabled(site));
	assert_false(qslog_site_enabled(NULL));
	assert_int_equal(qslog_log_values(site, &value, 1), 0);
	assert_int_equal(qslog_log_values(NULL, &value, 1), -EINVAL);
	span = qslog_span_enter(site, NULL, 0);
	assert_int_equal(span.start, 0);
	qslog_span_end(&span);
	listen_from(QSLOG_LEVEL_WARN); /* the site is of level info */
	assert_false(qslog_site_enabled(site));
	assert_int_equal(qslog_log_values(site, &value, 1), 0);
	after = stats();
	assert_int_equal(after.recorded, before.recorded);
	assert_int_equal(after.lost, before.lost);
	listen_from(QSLOG_LEVEL_INFO);
	assert_true(qslog_site_enabled(site));
	assert_int_equal(qslog_log_values(site, &value, 1), 0);
	assert_int_equal(stats().recorded, before.recorded + 1);
}

static void values_fill(struct qslog_value *values, const void *pointer)
{
	size_t i;

	memset(values, 0xff, sizeof(all_types) * sizeof(*values));
	for (i = 0; i < sizeof(all_types); i++)
		values[i].type = all_types[i];
	values[0].u = 2; /* true */
	values[1].u = 0xffffff00u | 'c';
	values[2].u = 200;
	values[3].u = UINT64_MAX;
	values[4].f = 1.5f;
	values[5].d = -2.25;
	values[6].str = qslog_bytes("some text", 9);
	values[7].i = INT64_MIN;
	values[8].u = (uint64_t)(uintptr_t)pointer;
	values[9].str = qslog_bytes("\0\1\2", 3);
	values[10].str = qslog_bytes(NULL, 5);
}

static void test_same_record_as_macro(void **state)
{
	const struct qslog_site *site = site_of("", sizeof(all_types), all_types);
	struct qslog_value values[sizeof(all_types)];
	const uint64_t *by_macro, *by_values;
	uint64_t pos[3];

	(void)state;
	listen_from(QSLOG_LEVEL_INFO);
	QSLOGI("the arena"); /* may come into being now */
	pos[0] = head();
	QSLOGI("{} {} {} {} {} {} {} {} {} {} {}", (_Bool)1, (char)'c', (unsigned char)200,
	       (unsigned long)UINT64_MAX, 1.5f, -2.25, "some text", (long)INT64_MIN, (void *)state,
	       qslog_bytes("\0\1\2", 3), (const char *)NULL);
	pos[1] = head();
	values_fill(values, state);
	errno = 77;
	assert_int_equal(qslog_log_values(site, values, sizeof(all_types)), 0);
	assert_int_equal(errno, 77);
	pos[2] = head();
	assert_true(pos[1] > pos[0]);
	assert_int_equal(pos[2] - pos[1], pos[1] - pos[0]);
	by_macro = record_at(pos[0]);
	by_values = record_at(pos[1]);
	assert_int_equal(by_macro[0] & ~QSLOG_RECORD_SITE_MASK, by_values[0] & ~QSLOG_RECORD_SITE_MASK);
	assert_int_equal(by_values[0] & QSLOG_RECORD_SITE_MASK, (uintptr_t)site);
	assert_int_equal(record_size(by_values), pos[2] - pos[1]);
	assert_true(by_values[1] > by_macro[1]);
	assert_memory_equal(by_macro + 2, by_values + 2, pos[2] - pos[1] - 16);
}

static void test_cut_as_macro(void **state)
{
	static const uint8_t types[] = { QSLOG_ARG_STR, QSLOG_ARG_UINT64, QSLOG_ARG_STR };
	const struct qslog_site *site = site_of("{} {} {}", 3, types);
	const size_t len = 100000;
	char *text = malloc(len);
	struct qslog_value values[3];
	uint64_t pos[3];

	(void)state;
	assert_non_null(text);
	memset(text, 'x', len);
	listen_from(QSLOG_LEVEL_INFO);
	pos[0] = head();
	QSLOGI("{} {} {}", qslog_strn(text, len), 1u, qslog_strn(text, 90001));
	pos[1] = head();
	listen_from(QSLOG_LEVEL_INFO); /* room again */
	values[0] = str_value(text, len);
	values[1] = u64_value(1);
	values[2] = str_value(text, 90001);
	assert_int_equal(qslog_log_values(site, values, 3), 0);
	pos[2] = head();
	assert_true(pos[1] - pos[0] > 120000 && pos[1] - pos[0] <= QSLOG_RECORD_BYTES_MAX);
	assert_int_equal(pos[2] - pos[1], pos[1] - pos[0]);
	assert_int_equal(record_at(pos[1])[2] >> 32, len);
	assert_true((record_at(pos[1])[2] & 0xffffffffu) < len);
	assert_memory_equal(record_at(pos[0]) + 2, record_at(pos[1]) + 2, pos[1] - pos[0] - 16);
	free(text);
}

static void test_values_that_do_not_fit(void **state)
{
	const struct qslog_site *site = site_of("{}", 1, u64_type);
	struct qslog_site_def span_def = def_of("{}", 1, u64_type);
	const struct qslog_site *span_site;
	struct qslog_value values[2] = { u64_value(1), u64_value(2) };
	struct qslog_value text = str_value("x", 1);
	struct qslog_stats before, after;
	struct qslog_span span;

	(void)state;
	span_def.kind = QSLOG_SITE_SPAN;
	span_def.name = "span";
	span_site = qslog_site_register(&span_def);
	assert_non_null(span_site);
	listen_from(QSLOG_LEVEL_VERBOSE);
	before = stats();
	assert_int_equal(qslog_log_values(site, values, 0), -EINVAL);
	assert_int_equal(qslog_log_values(site, values, 2), -EINVAL);
	assert_int_equal(qslog_log_values(site, values, UINT32_MAX), -EINVAL);
	assert_int_equal(qslog_log_values(site, &text, 1), -EINVAL);
	assert_int_equal(qslog_log_values(span_site, values, 1), -EINVAL);
	span = qslog_span_enter(site, values, 1);
	assert_null(span.site);
	qslog_span_end(&span);
	span = qslog_span_enter(span_site, values, 2);
	assert_null(span.site);
	qslog_span_end(&span);
	span = qslog_span_enter(NULL, NULL, 0);
	assert_null(span.site);
	qslog_span_end(&span);
	after = stats();
	assert_int_equal(after.recorded, before.recorded);
	assert_int_equal(after.lost, before.lost);
	assert_int_equal(after.bytes, before.bytes);
}

static void test_full(void **state)
{
	const struct qslog_site *site = site_of("{}", 1, u64_type);
	struct qslog_site_def span_def = def_of("{}", 1, u64_type);
	struct qslog_value value = u64_value(1);
	struct qslog_stats before;
	struct qslog_span span;
	uint64_t i, room, pos;

	(void)state;
	span_def.kind = QSLOG_SITE_SPAN;
	span_def.name = "span";
	listen_from(QSLOG_LEVEL_VERBOSE);
	assert_int_equal(qslog_log_values(site, &value, 1), 0);
	listen_from(QSLOG_LEVEL_VERBOSE);
	room = (qslog_priv_arena->mask + 1) / 24;
	before = stats();
	for (i = 0; i < room; i++)
		assert_int_equal(qslog_log_values(site, &value, 1), 0);
	for (i = 0; i < 10; i++)
		assert_int_equal(qslog_log_values(site, &value, 1), -ENOSPC);
	assert_int_equal(stats().recorded, before.recorded + room);
	assert_int_equal(stats().lost, before.lost + 10);
	/* The leaving of a span whose entering was dropped is recorded. */
	span = qslog_span_enter(qslog_site_register(&span_def), &value, 1);
	assert_int_equal(stats().lost, before.lost + 11);
	assert_true(span.start);
	listen_from(QSLOG_LEVEL_VERBOSE);
	pos = head();
	qslog_span_end(&span);
	assert_int_equal(stats().recorded, before.recorded + room + 1);
	assert_true(record_at(pos)[0] & QSLOG_RECORD_EXIT);
}

static void test_span(void **state)
{
	struct qslog_site_def def = def_of("id={id}", 1, u64_type);
	struct qslog_value value = u64_value(42);
	const struct qslog_site *site;
	struct qslog_span span;
	const uint64_t *enter, *leave;
	uint64_t pos[3];

	(void)state;
	def.kind = QSLOG_SITE_SPAN;
	def.name = "span";
	site = qslog_site_register(&def);
	assert_non_null(site);
	listen_from(QSLOG_LEVEL_VERBOSE);
	pos[0] = head();
	span = qslog_span_enter(site, &value, 1);
	assert_ptr_equal(span.site, site);
	pos[1] = head();
	qslog_span_end(&span);
	pos[2] = head();
	qslog_span_end(&span);
	assert_int_equal(head(), pos[2]);
	enter = record_at(pos[0]);
	leave = record_at(pos[1]);
	assert_int_equal(enter[0] & QSLOG_RECORD_SITE_MASK, (uintptr_t)site);
	assert_false(enter[0] & QSLOG_RECORD_EXIT);
	assert_int_equal(enter[2], 42);
	assert_int_equal(leave[0] & QSLOG_RECORD_SITE_MASK, (uintptr_t)site);
	assert_true(leave[0] & QSLOG_RECORD_EXIT);
	assert_int_equal(leave[2], enter[1]);
}

static struct {
	unsigned int hits;
	const char *format;
	uint32_t line, bytes;
	int level;
	uint64_t site;
} probe;

static void probe_hit(const char *format, const char *file, uint32_t line, int level,
		      const void *record, uint32_t bytes)
{
	(void)file;
	probe.hits++;
	probe.format = format;
	probe.line = line;
	probe.level = level;
	probe.site = *(const uint64_t *)record & QSLOG_RECORD_SITE_MASK;
	probe.bytes = bytes;
}

static void test_record_probe(void **state)
{
	const struct qslog_site *site = site_of("probe {}", 1, u64_type);
	void (*const own)(void) = qslog_priv_control.record_probe;
	struct qslog_value value = u64_value(1);

	(void)state;
	listen_from(QSLOG_LEVEL_VERBOSE);
	qslog_priv_control.record_probe = (void (*)(void))probe_hit;
	assert_int_equal(qslog_log_values(site, &value, 1), 0);
	assert_int_equal(probe.hits, 0);
	qslog_priv_control.words[QSLOG_WORD_RECORD] = 1;
	assert_int_equal(qslog_log_values(site, &value, 1), 0);
	qslog_priv_control.words[QSLOG_WORD_RECORD] = 0;
	qslog_priv_control.record_probe = own;
	assert_int_equal(probe.hits, 1);
	assert_string_equal(probe.format, "probe {}");
	assert_int_equal(probe.line, 7);
	assert_int_equal(probe.level, QSLOG_LEVEL_INFO);
	assert_int_equal(probe.site, (uintptr_t)site);
	assert_int_equal(probe.bytes, 24);
}

static void test_fork(void **state)
{
	const struct qslog_site *before = site_of("before", 0, NULL);
	const uint64_t cnt = qslog_priv_registry.site_cnt;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		const struct qslog_site_def def = def_of("child's", 0, NULL);
		const struct qslog_site *site = qslog_site_register(&def);

		_exit(site && strcmp(site->format, "child's") == 0 &&
			      strcmp(before->format, "before") == 0 &&
			      qslog_priv_registry.site_cnt == cnt + 1 ?
			      0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(qslog_priv_registry.site_cnt, cnt);
	assert_string_equal(site_of("parent's", 0, NULL)->format, "parent's");
	assert_string_equal(before->format, "before");
}

/* --- Definitions between the records */

static void test_definition(void **state)
{
	struct dynamic_sites *sites;
	const struct writer_format *format;
	const struct qslog_site *site;
	struct qslog_stats before;
	const uint64_t *record;
	uint64_t pos, pushed;

	(void)state;
	pos = head();
	site = site_of("nobody is there", 0, NULL);
	assert_int_equal(head(), pos);
	listen_from(QSLOG_LEVEL_INFO);
	QSLOGI("the arena");
	before = stats();
	pos = head();
	qslog_priv_registry.batch_semaphore = 1;
	site = site_of("definition {}", 1, u64_type);
	qslog_priv_registry.batch_semaphore = 0;
	pushed = qslog_priv_arena->pushed;
	assert_int_equal(pushed, head());
	assert_int_equal(stats().recorded, before.recorded);
	assert_int_equal(stats().lost, before.lost);
	record = record_at(pos);
	assert_int_equal(record[0] & QSLOG_RECORD_SITE_MASK, 0);
	assert_int_equal(record_size(record), head() - pos);
	assert_int_equal(record[2], (uintptr_t)site);
	assert_int_equal(dynamic_sites_open(&sites), 0);
	assert_int_equal(dynamic_sites_define(sites, record[2], record + 3,
					      record_size(record) - 24), 0);
	assert_int_equal(dynamic_sites_get(sites, (uintptr_t)site, &format), 0);
	assert_string_equal(format->format, "definition {}");
	assert_string_equal(format->tag, "tag");
	assert_string_equal(format->file, "file.c");
	assert_int_equal(format->arg_cnt, 1);
	dynamic_sites_close(sites);
}

static void test_no_definition_where_it_would_not_fit(void **state)
{
	struct qslog_value value = u64_value(1);
	const struct qslog_site *site = site_of("{}", 1, u64_type);
	struct qslog_stats before;
	uint64_t pos;

	(void)state;
	listen_from(QSLOG_LEVEL_INFO);
	while (qslog_log_values(site, &value, 1) == 0)
		;
	before = stats();
	pos = head();
	qslog_priv_registry.batch_semaphore = 1;
	site_of("the arena is full", 0, NULL);
	listen_from(QSLOG_LEVEL_INFO);
	qslog_priv_arena->reserve += 64; /* as in a handler that interrupted a record */
	site_of("amid a record", 0, NULL);
	qslog_priv_arena->reserve -= 64;
	assert_int_equal(head(), pos);
	assert_int_equal(stats().lost, before.lost);
}

/* --- A tracer's view */

static void format_is(const struct dynamic_sites *sites, const struct qslog_site *site)
{
	const struct writer_format *format;

	assert_int_equal(dynamic_sites_get(sites, (uintptr_t)site, &format), 0);
	assert_string_equal(format->format, site->format);
	assert_string_equal(format->file, site->file);
	assert_string_equal(format->function, site->function);
	assert_int_equal(format->line, site->line);
	assert_int_equal(format->level, site->level);
	assert_int_equal(format->kind, site->kind);
	assert_int_equal(format->arg_cnt, site->arg_cnt);
	assert_memory_equal(format->types, site->types, site->arg_cnt);
}

static void test_fetch(void **state)
{
	const uint64_t registry = (uintptr_t)&qslog_priv_registry;
	const struct qslog_site *site, **many;
	const struct writer_format *format;
	struct dynamic_sites *sites;
	int i;

	(void)state;
	site = site_of("early", 0, NULL);
	assert_int_equal(dynamic_sites_open(&sites), 0);
	assert_int_equal(dynamic_sites_fetch(sites, getpid(), registry), 0);
	format_is(sites, site);
	assert_int_equal(dynamic_sites_get(sites, (uintptr_t)site + 8, &format), -ENOENT);
	for (i = 0; i < 5; i++) {
		site = site_of("one more {}", 1, u64_type);
		assert_int_equal(dynamic_sites_get(sites, (uintptr_t)site, &format), -ENOENT);
		assert_int_equal(dynamic_sites_fetch(sites, getpid(), registry), 0);
		format_is(sites, site);
	}
	many = register_many((void *)(intptr_t)99); /* several slabs */
	assert_non_null(many);
	assert_int_equal(dynamic_sites_fetch(sites, getpid(), registry), 0);
	for (i = 0; i < SITES_PER_THREAD; i++)
		format_is(sites, many[i]);
	format_is(sites, site);
	free(many);
	dynamic_sites_close(sites);
	dynamic_sites_close(NULL);
}

/* What a hostile process may have in place of a registry and slabs. */
static struct {
	struct qslog_registry registry;
	uint64_t slabs[2][QSLOG_SITE_SLAB_BYTES / 8];
} fake;

static struct qslog_site_slab *fake_slab(unsigned int i)
{
	return (struct qslog_site_slab *)fake.slabs[i];
}

static void fake_make(void)
{
	unsigned int i;

	memset(&fake, 0, sizeof(fake));
	fake.registry.magic = QSLOG_REGISTRY_MAGIC;
	fake.registry.abi_version = QSLOG_ABI_VERSION;
	fake.registry.site_cnt = 1;
	fake.registry.site_slabs = (uintptr_t)fake_slab(0);
	for (i = 0; i < 2; i++) {
		fake_slab(i)->magic = QSLOG_SITE_SLAB_MAGIC;
		fake_slab(i)->bytes = QSLOG_SITE_SLAB_BYTES;
		fake_slab(i)->used = sizeof(struct qslog_site_slab);
	}
}

static int fake_fetch(void)
{
	struct dynamic_sites *sites;
	int err, again;

	assert_int_equal(dynamic_sites_open(&sites), 0);
	err = dynamic_sites_fetch(sites, getpid(), (uintptr_t)&fake.registry);
	again = dynamic_sites_fetch(sites, getpid(), (uintptr_t)&fake.registry);
	/* Nothing is read over and over again. */
	if (err == -EBADMSG || err == -ENOSPC)
		assert_int_equal(again, -ENOSPC);
	dynamic_sites_close(sites);
	return err;
}

static void test_hostile_slabs(void **state)
{
	uint64_t *entry = &fake.slabs[0][sizeof(struct qslog_site_slab) / 8];
	unsigned int i;

	(void)state;
	fake_make();
	assert_int_equal(fake_fetch(), 0);
	fake.registry.magic = 0; /* not initialised yet */
	fake.registry.site_slabs = 1;
	assert_int_equal(fake_fetch(), 0);
	fake_make(), fake.registry.magic++;
	assert_int_equal(fake_fetch(), -EBADMSG);
	fake_make(), fake.registry.abi_version++;
	assert_int_equal(fake_fetch(), -EBADMSG);
	fake_make(), fake_slab(0)->magic++;
	assert_int_equal(fake_fetch(), -EBADMSG);
	fake_make(), fake_slab(0)->bytes *= 2;
	assert_int_equal(fake_fetch(), -EBADMSG);
	for (i = 0; i < 8; i++) {
		static const uint64_t used[] = { 0, 23, 25, QSLOG_SITE_SLAB_BYTES + 8,
						 UINT64_MAX, UINT64_MAX - 7, 1ull << 63, 16 };
		fake_make(), fake_slab(0)->used = used[i];
		assert_int_equal(fake_fetch(), -EBADMSG);
	}
	fake_make(), fake_slab(0)->next = (uintptr_t)fake_slab(0); /* a ring */
	assert_int_equal(fake_fetch(), -ENOSPC);
	fake_make(), fake_slab(0)->next = (uintptr_t)fake_slab(1);
	fake_slab(1)->next = (uintptr_t)fake_slab(0);
	assert_int_equal(fake_fetch(), -ENOSPC);
	fake_make(), fake_slab(0)->next = 16; /* nothing there */
	assert_true(fake_fetch() < 0);
	for (i = 0; i < 7; i++) {
		static const uint64_t bytes[] = { 0, 8, 9, 4096 + 8, UINT64_MAX, UINT64_MAX - 7,
						  1ull << 63 };
		fake_make(), fake_slab(0)->used += 4096, entry[0] = bytes[i];
		assert_int_equal(fake_fetch(), -EBADMSG);
	}
	/* Entries that are no sites, or have their strings elsewhere, are passed over. */
	fake_make(), fake_slab(0)->used += 512, entry[0] = 16, entry[2] = 496;
	assert_int_equal(fake_fetch(), 0);
	fake_make(), fake_slab(0)->used += 512, entry[0] = 512;
	memcpy(entry + 1, site_of("not in the entry", 0, NULL), sizeof(struct qslog_site));
	assert_int_equal(fake_fetch(), 0);
}

/* --- Ingest */

static void taken_define(void *arg, uint64_t address, const void *memory, uint32_t bytes)
{
	(void)dynamic_sites_define(arg, address, memory, bytes);
}

static int taken_site(void *arg, uint64_t address, struct writer_format *out)
{
	const struct writer_format *format;
	int err = dynamic_sites_get(arg, address, &format);

	if (!err)
		*out = *format;
	return err;
}

static void no_name(void *arg, uint32_t tid, char name[32])
{
	(void)arg;
	(void)tid;
	name[0] = '\0';
}

struct taking {
	struct made_file file;
	struct dynamic_sites *sites;
	struct ingest *ingest;
	struct ingest_process *process;
	uint64_t pos;
};

static void taking_open(struct taking *t, const char *name, bool defines)
{
	struct ingest_source source = { .site = taken_site, .thread_name = no_name };

	t->pos = 0;
	made_file_open(&t->file, name, 0, false);
	assert_int_equal(dynamic_sites_open(&t->sites), 0);
	source.arg = t->sites;
	source.define = defines ? taken_define : NULL;
	assert_int_equal(ingest_open(&t->ingest, t->file.w, NULL), 0);
	assert_int_equal(ingest_process_add(t->ingest, (uint32_t)t->file.process, "test", 0, &source,
					    &t->process), 0);
}

static void taking_batch(struct taking *t, const uint64_t *words, uint64_t bytes)
{
	const struct ingest_batch batch = {
		.tid = 1, .key = 1, .from = t->pos, .data = words, .bytes = (uint32_t)bytes,
	};

	assert_int_equal(ingest_batch(t->process, &batch), 0);
	t->pos += bytes;
}

static struct writer_totals taking_close(struct taking *t, uint64_t records)
{
	struct writer_totals totals;

	assert_int_equal(ingest_arena_end(t->process, 0, 0, 1, 1, t->pos, records, 0,
					  LOSS_RING_FULL), 0);
	totals = made_file_close(&t->file);
	ingest_process_remove(t->process);
	ingest_close(t->ingest);
	dynamic_sites_close(t->sites);
	return totals;
}

/* Definition and one record of its site, as the arena has them; returns the definition's bytes. */
static uint64_t definition_and_record(uint64_t *out, uint64_t *bytes)
{
	struct qslog_value value = u64_value(1);
	const struct qslog_site *site;
	uint64_t pos, definition;

	listen_from(QSLOG_LEVEL_INFO);
	QSLOGI("the arena");
	qslog_priv_registry.batch_semaphore = 1;
	pos = head();
	site = site_of("defined {}", 1, u64_type);
	definition = head() - pos;
	assert_int_equal(qslog_log_values(site, &value, 1), 0);
	*bytes = head() - pos;
	memcpy(out, record_at(pos), *bytes);
	return definition;
}

static void test_ingest_definition(void **state)
{
	uint64_t words[512], bytes, definition = definition_and_record(words, &bytes), cut;
	struct writer_totals totals;
	struct taking t;

	(void)state;
	for (cut = 0; cut <= bytes; cut += 8) { /* in two batches, parted everywhere */
		taking_open(&t, "defined.qslog", true);
		taking_batch(&t, words, cut);
		taking_batch(&t, words + cut / 8, bytes - cut);
		totals = taking_close(&t, 1);
		assert_int_equal(totals.records, 1);
		assert_int_equal(totals.lost, 0);
	}
	/* Late: the record before it is lost, that behind it is not. */
	taking_open(&t, "late.qslog", true);
	taking_batch(&t, words + definition / 8, bytes - definition);
	taking_batch(&t, words, bytes);
	totals = taking_close(&t, 2);
	assert_int_equal(totals.records, 1);
	assert_int_equal(totals.lost, 1);
	assert_int_equal(totals.lost_by[LOSS_UNKNOWN_SITE], 1);
	/* A source that has no use for them: neither record nor loss. */
	taking_open(&t, "unwanted.qslog", false);
	taking_batch(&t, words, definition);
	totals = taking_close(&t, 0);
	assert_int_equal(totals.records, 0);
	assert_int_equal(totals.lost, 0);
}

static void test_ingest_hostile_definition(void **state)
{
	uint64_t words[512], bytes, definition = definition_and_record(words, &bytes), i, size;
	struct writer_totals totals;
	struct taking t;

	(void)state;
	for (size = 16; size < definition; size += 8) { /* shorter than it must be */
		uint64_t cut[512];

		memcpy(cut, words, size);
		cut[0] = size << (QSLOG_RECORD_SIZE_SHIFT - 3);
		memcpy(&cut[size / 8], &words[definition / 8], bytes - definition);
		taking_open(&t, "short.qslog", true);
		taking_batch(&t, cut, size + bytes - definition);
		totals = taking_close(&t, 1);
		assert_int_equal(totals.records + totals.lost, 1);
	}
	for (i = 1; i < definition / 8; i++) { /* any word of it wrong */
		uint64_t wrong[512];

		memcpy(wrong, words, bytes);
		wrong[i] ^= UINT64_MAX;
		taking_open(&t, "wrong.qslog", true);
		taking_batch(&t, wrong, bytes);
		totals = taking_close(&t, 1);
		assert_int_equal(totals.records + totals.lost, 1);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, levels_off)
	const struct CMUnitTest tests[] = {
		TEST(test_strings_are_copied),
		TEST(test_defaults),
		TEST(test_invalid_definitions),
		TEST(test_longest_strings),
		TEST(test_threads_register),
		TEST(test_no_memory),
		TEST(test_off),
		TEST(test_same_record_as_macro),
		TEST(test_cut_as_macro),
		TEST(test_values_that_do_not_fit),
		TEST(test_full),
		TEST(test_span),
		TEST(test_record_probe),
		TEST(test_fork),
		TEST(test_definition),
		TEST(test_no_definition_where_it_would_not_fit),
		TEST(test_fetch),
		TEST(test_hostile_slabs),
		TEST(test_ingest_definition),
		TEST(test_ingest_hostile_definition),
	};

	return cmocka_run_group_tests(tests, helper_setup, helper_teardown);
}
