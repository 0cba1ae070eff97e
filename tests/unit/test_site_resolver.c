/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_site_resolver.c - sites of real programs, resolved while they live and after they were
 * killed: both ways have to give the same, for every way of linking a program.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc_maps.h"
#include "site_read.h"
#include "site_resolver.h"
#include "sites_child.h"

struct state {
	char dir[256];
	struct sites_child child;
	struct site_resolver *resolvers[2];
	struct elf_cache *cache;
};

static int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	sites_dir_make(s->dir, sizeof(s->dir));
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	sites_child_kill(&s->child);
	site_resolver_close(s->resolvers[0]);
	site_resolver_close(s->resolvers[1]);
	elf_cache_close(s->cache);
	sites_dir_remove(s->dir);
	free(s);
	return 0;
}

static void string_equal(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void format_equal(const struct writer_format *a, const struct writer_format *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->level, b->level);
	assert_int_equal(a->arg_cnt, b->arg_cnt);
	assert_memory_equal(a->types, b->types, sizeof(a->types));
	assert_int_equal(a->line, b->line);
	string_equal(a->tag, b->tag);
	string_equal(a->file, b->file);
	string_equal(a->function, b->function);
	string_equal(a->format, b->format);
	string_equal(a->name, b->name);
}

static const struct writer_format *get(struct site_resolver *resolver, uint64_t addr)
{
	const struct writer_format *format;

	assert_int_equal(site_resolver_get(resolver, addr, &format), 0);
	assert_non_null(format);
	return format;
}

static int get_error(struct site_resolver *resolver, uint64_t addr)
{
	const struct writer_format *format = (const void *)1;
	int err = site_resolver_get(resolver, addr, &format);

	assert_null(format);
	return err;
}

static const char *const good[] = { "plain", "no_tag",	       "symbol_tag",
				    "span",  "span_no_format", "longest" };

static const struct {
	const char *name;
	int live, dead;
} bad[] = {
	{ "too_long", -ENAMETOOLONG, -ENAMETOOLONG },
	{ "tag_too_long", -ENAMETOOLONG, -ENAMETOOLONG },
	{ "bad_level", -EBADMSG, -EBADMSG },
	{ "bad_cnt", -EBADMSG, -EBADMSG },
	{ "bad_type", -EBADMSG, -EBADMSG },
	{ "bad_pointer", -EFAULT, -EFAULT },
	{ "log_no_format", -EBADMSG, -EBADMSG },
	{ "span_no_name", -EBADMSG, -EBADMSG },
	{ "bad_magic", -EBADMSG, -EBADMSG },
	{ "bad_kind", -EBADMSG, -EBADMSG },
	{ "log_with_name", -EBADMSG, -EBADMSG },
	/* in memory that no file has */
	{ "edge_open", -EFAULT, -ENOENT },
	{ "edge_cut", -EFAULT, -ENOENT },
};

/* What the sites have to say, not only that both ways agree. */
static void contents_check(struct site_resolver *resolver, const struct sites_child *child)
{
	const struct writer_format *format;

	format = get(resolver, sites_child_address(child, "plain"));
	assert_int_equal(format->kind, QSLOG_SITE_LOG);
	assert_int_equal(format->level, QSLOG_LEVEL_INFO);
	assert_int_equal(format->arg_cnt, 2);
	assert_int_equal(format->types[0], QSLOG_ARG_INT64);
	assert_int_equal(format->types[1], QSLOG_ARG_STR);
	assert_true(format->line > 20);
	assert_string_equal(format->tag, "net");
	assert_string_equal(format->file, "dir/plain.c");
	assert_string_equal(format->function, "plain_function");
	assert_string_equal(format->format, "accepted {fd} from {peer}");
	assert_null(format->name);

	format = get(resolver, sites_child_address(child, "no_tag"));
	assert_null(format->tag);
	assert_string_equal(format->format, "");

	format = get(resolver, sites_child_address(child, "symbol_tag"));
	assert_string_equal(format->tag, "by symbol");
	assert_int_equal(format->arg_cnt, QSLOG_ARGS_MAX);
	assert_int_equal(format->types[15], 4);

	format = get(resolver, sites_child_address(child, "span"));
	assert_int_equal(format->kind, QSLOG_SITE_SPAN);
	assert_string_equal(format->name, "handle");
	assert_string_equal(format->format, "id={}");

	format = get(resolver, sites_child_address(child, "span_no_format"));
	assert_string_equal(format->name, "bare");
	assert_string_equal(format->format, "");

	format = get(resolver, sites_child_address(child, "longest"));
	assert_int_equal(strlen(format->format), SITE_FORMAT_BYTES_MAX);
	assert_int_equal(strlen(format->tag), SITE_STRING_BYTES_MAX);
}

/* The first resolver takes everything from memory, the second one from the files. */
static void program_check(struct state *s)
{
	struct site_resolver_stats stats;
	struct site_resolver *live, *dead;

	assert_int_equal(site_resolver_open(&s->resolvers[0], s->child.pid, NULL), 0);
	assert_int_equal(site_resolver_open(&s->resolvers[1], s->child.pid, NULL), 0);
	live = s->resolvers[0];
	dead = s->resolvers[1];
	contents_check(live, &s->child);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(get_error(live, sites_child_address(&s->child, bad[i].name)),
				 bad[i].live);
	assert_string_equal(get(live, sites_child_address(&s->child, "edge"))->format, "edge");
	site_resolver_stats_get(live, &stats);
	assert_int_equal(stats.from_process, sizeof(good) / sizeof(good[0]) + 1);
	assert_int_equal(stats.from_elf, 0);
	assert_int_equal(stats.files_missing, 0);
	assert_int_equal(stats.failures, sizeof(bad) / sizeof(bad[0]));

	sites_child_kill(&s->child);
	contents_check(dead, &s->child);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t addr = sites_child_address(&s->child, good[i]);

		format_equal(get(live, addr), get(dead, addr));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(get_error(dead, sites_child_address(&s->child, bad[i].name)),
				 bad[i].dead);
	site_resolver_stats_get(dead, &stats);
	assert_int_equal(stats.from_process, 0);
	assert_int_equal(stats.from_elf, sizeof(good) / sizeof(good[0]));
	assert_int_equal(site_resolver_refresh(dead), -ESRCH);
	contents_check(dead, &s->child);
	assert_string_equal(get(live, sites_child_address(&s->child, "edge"))->format, "edge");
}

static void linked_check(void **state, const char *flags)
{
	struct state *s = *state;

	if (!sites_compile("prog.c", s->dir, "prog", flags)) {
		print_message("this toolchain cannot link with %s\n", flags);
		skip();
	}
	sites_child_start(&s->child, s->dir, "prog");
	program_check(s);
}

static void test_pie(void **state)
{
	linked_check(state, "-fPIE -pie");
}

static void test_non_pie(void **state)
{
	linked_check(state, "-fno-PIE -no-pie");
}

static void test_relr(void **state)
{
	linked_check(state, "-fPIE -pie -Wl,-z,pack-relative-relocs");
}

static void test_stripped(void **state)
{
	linked_check(state, "-fPIE -pie -s");
}

static void test_static(void **state)
{
	linked_check(state, "-fno-PIE -no-pie -static");
}

static void test_static_pie(void **state)
{
	linked_check(state, "-fPIE -static-pie");
}

static void test_separate_code_off(void **state)
{
	linked_check(state, "-fPIE -pie -Wl,-z,noseparate-code");
}

/* The program was deleted and its name given to another one before anybody looked. */
static void test_deleted(void **state)
{
	struct state *s = *state;
	char path[512];

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	sites_child_start(&s->child, s->dir, "prog");
	snprintf(path, sizeof(path), "%s/prog", s->dir);
	assert_int_equal(unlink(path), 0);
	assert_true(sites_compile("lib.c", s->dir, "prog", "-fPIC -shared"));
	program_check(s);
}

static void library_check(struct site_resolver *resolver, const struct sites_child *child,
			  const char *which)
{
	const struct writer_format *format;
	char text[64];

	format = get(resolver, sites_child_address(child, "lib_log"));
	snprintf(text, sizeof(text), "library {} %s", which);
	assert_string_equal(format->format, text);
	snprintf(text, sizeof(text), "tag of %s", which);
	assert_string_equal(format->tag, text);
	assert_int_equal(format->level, QSLOG_LEVEL_WARN);
	format = get(resolver, sites_child_address(child, "lib_span"));
	assert_string_equal(format->name, "library span");
}

static void test_library(void **state)
{
	struct state *s = *state;
	struct site_resolver_stats stats;
	uint32_t images;
	uint64_t first;
	int rc;

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	assert_true(sites_compile("lib.c", s->dir, "a.so", "-fPIC -shared"));
	assert_true(sites_compile("lib.c", s->dir, "b.so", "-fPIC -shared -DWHICH='\"again\"'"));
	sites_child_start(&s->child, s->dir, "prog");
	assert_int_equal(elf_cache_open(&s->cache), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(site_resolver_open(&s->resolvers[i], s->child.pid, s->cache), 0);

	/* one resolver looks while it is loaded, the other one when it is unloaded */
	sites_child_tell(&s->child, "+", s->dir, "a.so");
	first = sites_child_address(&s->child, "lib_log");
	assert_int_equal(site_resolver_refresh(s->resolvers[0]), 0);
	assert_int_equal(site_resolver_refresh(s->resolvers[1]), 0);
	library_check(s->resolvers[0], &s->child, "first");
	sites_child_tell(&s->child, "-", "", "");
	assert_int_equal(site_resolver_refresh(s->resolvers[0]), 0);
	assert_int_equal(site_resolver_refresh(s->resolvers[1]), 0);
	library_check(s->resolvers[0], &s->child, "first");
	library_check(s->resolvers[1], &s->child, "first");
	format_equal(get(s->resolvers[0], first), get(s->resolvers[1], first));
	site_resolver_stats_get(s->resolvers[1], &stats);
	assert_int_equal(stats.from_elf, 2);
	assert_int_equal(stats.from_process, 0);

	/* another one in its place: what was known of the place is void */
	images = stats.images;
	sites_child_tell(&s->child, "+", s->dir, "b.so");
	rc = site_resolver_refresh(s->resolvers[0]);
	site_resolver_stats_get(s->resolvers[0], &stats);
	if (sites_child_address(&s->child, "lib_log") == first) {
		assert_int_equal(rc, 1);
		assert_int_equal(stats.images, images);
	} else {
		assert_true(rc == 0 || rc == 1);
	}
	library_check(s->resolvers[0], &s->child, "again");
	assert_true(site_resolver_refresh(s->resolvers[1]) >= 0);
	sites_child_kill(&s->child);
	library_check(s->resolvers[1], &s->child, "again");
	contents_check(s->resolvers[1], &s->child);
}

/* A failure is forgotten by a refresh, because a library may be there now. */
static void test_failure_is_forgotten(void **state)
{
	struct state *s = *state;
	uint64_t addr;

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	assert_true(sites_compile("lib.c", s->dir, "a.so", "-fPIC -shared"));
	sites_child_start(&s->child, s->dir, "prog");
	sites_child_tell(&s->child, "+", s->dir, "a.so");
	addr = sites_child_address(&s->child, "lib_log");
	sites_child_tell(&s->child, "-", "", "");
	assert_int_equal(site_resolver_open(&s->resolvers[0], s->child.pid, NULL), 0);
	assert_int_equal(get_error(s->resolvers[0], addr), -EFAULT);
	sites_child_tell(&s->child, "+", s->dir, "a.so");
	if (sites_child_address(&s->child, "lib_log") == addr)
		assert_int_equal(get_error(s->resolvers[0], addr), -EFAULT);
	assert_int_equal(site_resolver_refresh(s->resolvers[0]), 0);
	library_check(s->resolvers[0], &s->child, "first");
}

/* The resolver stays with the program that it was opened for. */
static void test_exec(void **state)
{
	struct state *s = *state;
	struct site_resolver_stats stats;
	struct sites_child before;

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	assert_true(sites_compile("prog.c", s->dir, "next", "-fno-PIE -no-pie"));
	sites_child_start(&s->child, s->dir, "prog");
	assert_int_equal(site_resolver_open(&s->resolvers[0], s->child.pid, NULL), 0);
	before = s->child;
	sites_child_tell(&s->child, "!", s->dir, "next");
	assert_int_not_equal(sites_child_address(&s->child, "plain"),
			     sites_child_address(&before, "plain"));
	contents_check(s->resolvers[0], &before);
	assert_int_equal(site_resolver_refresh(s->resolvers[0]), -ESRCH);
	assert_int_equal(get_error(s->resolvers[0], sites_child_address(&s->child, "plain")),
			 -ENOENT);
	site_resolver_stats_get(s->resolvers[0], &stats);
	assert_int_equal(stats.from_process, 0);
	assert_int_equal(site_resolver_open(&s->resolvers[1], s->child.pid, NULL), 0);
	contents_check(s->resolvers[1], &s->child);
}

/* Any address is answered, by an error unless it is a site, and costs bounded memory. */
static void test_hostile_addresses(void **state)
{
	struct state *s = *state;
	const struct writer_format *format;
	struct site_resolver_stats stats;
	struct proc_maps maps;
	uint64_t random = 88172645463325252ull;

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	sites_child_start(&s->child, s->dir, "prog");
	assert_int_equal(site_resolver_open(&s->resolvers[0], s->child.pid, NULL), 0);
	assert_int_equal(proc_maps_read(&maps, s->child.pid), 0);
	for (int dead = 0; dead < 2; dead++) {
		const uint64_t extremes[] = { 0, 1, 79, 80, 4095, 1ull << 47, 1ull << 48, 1ull << 63,
					      INT64_MAX, INT64_MAX - 40, UINT64_MAX,
					      UINT64_MAX - 79, UINT64_MAX - 80, UINT64_MAX - 4095 };

		/* no process has the upper half, whether it lives or not */
		for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++)
			assert_int_equal(get_error(s->resolvers[0], extremes[i]),
					 dead && extremes[i] < INT64_MAX - 80 ? -ENOENT : -EFAULT);
		for (size_t i = 0; i < maps.cnt; i++) {
			for (uint64_t by = 0; by < 200; by += 40) {
				assert_true(get_error(s->resolvers[0], maps.maps[i].start - by) < 0);
				assert_true(get_error(s->resolvers[0], maps.maps[i].end - by) < 0);
			}
		}
		for (int off = 1; off < 80; off++)
			assert_int_equal(get_error(s->resolvers[0],
						   sites_child_address(&s->child, "plain") + off),
					 -EBADMSG);
		for (int i = 0; i < 20000; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			assert_true(site_resolver_get(s->resolvers[0], random, &format) < 0);
		}
		site_resolver_stats_get(s->resolvers[0], &stats);
		assert_true(stats.failures > 0);
		assert_true(stats.failures <= SITE_RESOLVER_FAILURES_MAX);
		assert_int_equal(stats.sites, 0);
		if (!dead)
			assert_int_equal(site_resolver_refresh(s->resolvers[0]), 0);
		sites_child_kill(&s->child);
		if (!dead) {
			site_resolver_stats_get(s->resolvers[0], &stats);
			assert_int_equal(stats.failures, 0);
		}
	}
	proc_maps_free(&maps);
	contents_check(s->resolvers[0], &s->child);
}

/* An executable file that became shorter: an error, not a crash (it is read, not mapped). */
static void test_truncated_file(void **state)
{
	struct state *s = *state;
	uint64_t addr;
	char path[512];

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	assert_true(sites_compile("lib.c", s->dir, "a.so", "-fPIC -shared"));
	sites_child_start(&s->child, s->dir, "prog");
	sites_child_tell(&s->child, "+", s->dir, "a.so");
	addr = sites_child_address(&s->child, "lib_log");
	assert_int_equal(site_resolver_open(&s->resolvers[0], s->child.pid, NULL), 0);
	sites_child_kill(&s->child);
	snprintf(path, sizeof(path), "%s/a.so", s->dir);
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(get_error(s->resolvers[0], addr), -EBADMSG);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(get_error(s->resolvers[0], addr + 8), -EBADMSG);
	contents_check(s->resolvers[0], &s->child);
}

/* Memory of two pages at FAKE_START; `step` bytes are given at a time. */
#define FAKE_START 0x10000u
#define FAKE_BYTES 8192u

struct fake {
	unsigned char bytes[FAKE_BYTES];
	size_t step;
};

static ssize_t fake_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct fake *fake = ctx;

	assert_true(len > 0);
	assert_int_equal(addr / 4096, (addr + len - 1) / 4096);
	if (addr < FAKE_START || addr >= FAKE_START + FAKE_BYTES)
		return -EFAULT;
	if (len > FAKE_START + FAKE_BYTES - addr)
		len = (size_t)(FAKE_START + FAKE_BYTES - addr);
	if (len > fake->step)
		len = fake->step;
	memcpy(buf, fake->bytes + (addr - FAKE_START), len);
	return (ssize_t)len;
}

/* Sources that give little at a time, and sites and strings at every place around a border. */
static void test_any_place(void **state)
{
	static struct fake fake;
	const struct site_source source = { .read = fake_read, .ctx = &fake };
	struct writer_format *format;
	struct qslog_site site = { .magic = QSLOG_SITE_MAGIC, .arg_cnt = 1, .line = 7 };
	size_t bytes;

	(void)state;
	site.types[0] = QSLOG_ARG_DOUBLE;
	for (size_t step = 1; step <= 128; step += 127) {
		fake.step = step;
		for (unsigned int at = 4096 - 81; at <= 4096; at++) {
			memset(fake.bytes, 'x', sizeof(fake.bytes));
			site.format = (const char *)(uintptr_t)(FAKE_START + FAKE_BYTES - 4);
			site.file = (const char *)(uintptr_t)(FAKE_START + at - 10);
			site.function = (const char *)(uintptr_t)(FAKE_START + FAKE_BYTES - 1);
			memcpy(fake.bytes + at, &site, sizeof(site));
			memcpy(fake.bytes + at - 10, "file name", 10);
			memcpy(fake.bytes + FAKE_BYTES - 4, "abc", 4);
			assert_int_equal(site_read(&source, FAKE_START + at, &format, &bytes), 0);
			assert_string_equal(format->format, "abc");
			assert_string_equal(format->file, "file name");
			assert_string_equal(format->function, "");
			assert_null(format->tag);
			assert_int_equal(format->line, 7);
			assert_int_equal(format->types[0], QSLOG_ARG_DOUBLE);
			assert_true(bytes >= sizeof(*format) + 4 + 10 + 1);
			free(format);
			fake.bytes[FAKE_BYTES - 1] = 'x';
			assert_int_equal(site_read(&source, FAKE_START + at, &format, &bytes), -EFAULT);
			assert_null(format);
		}
	}
}

static void test_no_process(void **state)
{
	struct state *s = *state;
	uint16_t value;
	pid_t pid;

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	sites_child_start(&s->child, s->dir, "prog");
	pid = s->child.pid;
	sites_child_kill(&s->child);
	assert_int_equal(site_resolver_open(&s->resolvers[0], pid, NULL), -ESRCH);
	assert_null(s->resolvers[0]);
	assert_int_equal(process_semaphore_read(pid, 4096, &value), -ESRCH);
	site_resolver_close(NULL);
	elf_cache_close(NULL);
	elf_image_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pie),
		TEST(test_non_pie),
		TEST(test_relr),
		TEST(test_stripped),
		TEST(test_static),
		TEST(test_static_pie),
		TEST(test_separate_code_off),
		TEST(test_deleted),
		TEST(test_library),
		TEST(test_failure_is_forgotten),
		TEST(test_exec),
		TEST(test_hostile_addresses),
		TEST(test_truncated_file),
		cmocka_unit_test(test_any_place),
		TEST(test_no_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
