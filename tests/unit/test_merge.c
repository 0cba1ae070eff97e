/* SPDX-License-Identifier: BSD-2-Clause */
/* test_merge.c - qslog merge: the merged file says what its files say, in the order of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "buffer.h"
#include "clock_pair.h"
#include "counter.h"
#include "file_helper.h"
#include "merge.h"
#include "merge_out.h"
#include "text.h"

#define HOUR_NS 3600000000000

static const uint8_t u64_type[] = { QSLOG_ARG_UINT64 };

/* A file of `records` records, 1 us apart, whose clock was `offset_ns` ahead of ours. */
static void host_file(struct made_file *f, const char *name, const char *host, int64_t offset_ns,
		      uint32_t pid, unsigned records, uint64_t first)
{
	const struct clock_scale scale = { .mult = 1ull << 32, .hz = 1000000000, .kind = 3 };
	const struct clock_pair pairs[2] = { { 0, 1000 * HOUR_NS + offset_ns, 0 },
					     { HOUR_NS, 1001 * HOUR_NS + offset_ns, 0 } };
	struct writer_options options = { .block_bytes = 4096, .scale = &scale, .pairs = pairs,
					  .pair_cnt = 2, .pairs_only = true, .host = host };
	const struct writer_process process = { .pid = pid, .start_time_ns = pid, .name = "app",
						.exe = "/bin/app", .command = "app" };
	int owner, thread, format, own;
	unsigned i;

	made_file_open_options(f, name, &options);
	owner = writer_process_add(f->w, &process);
	thread = writer_thread_add(f->w, (uint32_t)owner, 77, 1, "worker");
	format = made_format(f, "n={}", QSLOG_LEVEL_INFO, 1, u64_type);
	own = made_format(f, name, QSLOG_LEVEL_WARN, 0, NULL);
	assert_true(thread >= 0 && own != format);
	for (i = 0; i < records; i++) {
		made_u64(f, thread, format, first + i * 1000, i);
		if (i % 100 == 50) {
			struct made_record r;

			made_begin(&r, first + i * 1000);
			assert_int_equal(writer_record(f->w, (uint32_t)thread, (uint32_t)own, r.words,
						       made_end(&r, false)), 0);
		}
		if (i % 500 == 250)
			writer_loss(f->w, (uint32_t)thread, LOSS_RING_FULL, i);
	}
	made_file_close(f);
}

struct all {
	struct buffer lines; /* with the host */
	uint64_t formats;    /* different ids */
	uint64_t cnt;
};

static struct all files_read(char *const *paths, unsigned cnt)
{
	const struct merge_options options = { .jobs = 2 };
	struct all all = { { 0 }, 0, 0 };
	const struct record *record;
	struct merge *merge;
	int64_t last = INT64_MIN;
	unsigned file;

	assert_int_equal(merge_open(&merge, paths, cnt, &options), 0);
	while (merge_next(merge, &record, &file) > 0) {
		assert_true(record->time_ns >= last);
		last = record->time_ns;
		buffer_printf(&all.lines, "%s %lld %llu ", record->thread->process->host,
			      (long long)record->time_ns,
			      (unsigned long long)record->duration_ns);
		text_line(&all.lines, record);
		if (record->format && record->format->id >= all.formats)
			all.formats = record->format->id + 1;
		all.cnt++;
	}
	buffer_char(&all.lines, '\0');
	assert_int_equal(merge_finish(merge), 0);
	merge_close(merge);
	return all;
}

static void files_merge(char *const *paths, unsigned cnt, const char *to)
{
	const struct merge_options options = { .jobs = 2 };
	struct merge_out *out = NULL;
	const struct record *record;
	struct merge *merge;
	unsigned file;

	unlink(to);
	assert_int_equal(merge_open(&merge, paths, cnt, &options), 0);
	while (merge_next(merge, &record, &file) > 0) {
		if (!out)
			assert_int_equal(merge_out_open(&out, to, cnt, merge_hosts(merge),
							merge_host(merge, 0), false, record->time_ns), 0);
		assert_int_equal(merge_out_record(out, file, record), 0);
	}
	assert_int_equal(merge_out_close(out, NULL, NULL), 0);
	merge_close(merge);
}

/* Hosts whose counters have nothing in common, and a process of the same pid and tid on each. */
static void test_hosts(void **state)
{
	struct made_file a, b, c;
	struct all want, got;
	char to[256], *paths[3], *merged = to;

	(void)state;
	host_file(&a, "a", "alpha", 0, 500, 3000, 1000000);
	host_file(&b, "b", "beta", -7 * HOUR_NS, 500, 2000, 7 * HOUR_NS + 1500300);
	host_file(&c, "c", "beta", -7 * HOUR_NS, 501, 1000, 7 * HOUR_NS + 1700500);
	paths[0] = a.path;
	paths[1] = b.path;
	paths[2] = c.path;
	snprintf(to, sizeof(to), "%s/merged", helper_dir());
	files_merge(paths, 3, to);
	want = files_read(paths, 3);
	got = files_read(&merged, 1);
	assert_int_equal(want.cnt, got.cnt);
	assert_int_equal(got.cnt, 6000 + 60 + 12);
	assert_string_equal(want.lines.data, got.lines.data);
	assert_non_null(strstr(got.lines.data, "\nbeta "));
	assert_non_null(strstr(got.lines.data, "\nalpha "));
	assert_int_equal(got.formats, 4); /* n={} is one */
	buffer_fini(&want.lines);
	buffer_fini(&got.lines);
}

/* Many files, as a set of rotated ones: in one go, in their order, within the limit of open files. */
static void test_many(void **state)
{
	enum { FILES = 1000 };
	static char names[FILES][300];
	static char *paths[FILES];
	struct made_file f;
	struct all all;
	unsigned i;

	(void)state;
	for (i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many.%u", i);
		host_file(&f, name, "alpha", 0, 500, 5, 1000000 + i * 20000);
		strcpy(names[i], f.path);
		paths[FILES - 1 - i] = names[i];
	}
	all = files_read(paths, FILES);
	assert_int_equal(all.cnt, FILES * 5);
	buffer_fini(&all.lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, helper_setup, helper_teardown);
}
