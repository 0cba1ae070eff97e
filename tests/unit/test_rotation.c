/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rotation.c - one output becomes a set of files: when, under which names, what is kept, what is
 * removed; and what happens when somebody else touches the files meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "counter.h"
#include "file_helper.h"
#include "file_set.h"

static const uint8_t u64_type[1] = { QSLOG_ARG_UINT64 };

struct seen {
	unsigned int rotated, failed, deleted, truncated, failing, working;
	uint64_t records; /* of the last */
	int err;
};

static void event_note(void *arg, enum writer_event event, int err, uint64_t records, const char *name)
{
	struct seen *seen = arg;

	(void)name;
	seen->rotated += event == WRITER_ROTATED;
	seen->failed += event == WRITER_ROTATE_FAILED;
	seen->deleted += event == WRITER_DELETED;
	seen->truncated += event == WRITER_TRUNCATED;
	seen->failing += event == WRITER_FAILING;
	seen->working += event == WRITER_WORKING;
	seen->records = records;
	seen->err = err;
}

/* Random values, so that it takes room. */
static uint64_t value_of(uint64_t i)
{
	i += 0x9e3779b97f4a7c15u;
	i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9u;
	i = (i ^ i >> 27) * 0x94d049bb133111ebu;
	return i ^ i >> 31;
}

static void fill(struct made_file *f, int format, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		made_u64(f, f->thread, format, counter_now(), value_of(from));
}

static const char *in_folder(const char *name)
{
	static char paths[4][256];
	static unsigned int next;

	snprintf(paths[++next % 4], sizeof(paths[0]), "%s/%s", helper_dir(), name);
	return paths[next % 4];
}

/* Reads all files of the set, in order, and compares with the values [from, to). Returns how many files
 * there are; of these the first `restarts` were begun anew without a rotation. */
static unsigned int restarts_check(const char *path, uint64_t from, uint64_t to, unsigned int restarts)
{
	struct file_set set;
	unsigned int i, n;

	assert_int_equal(file_set_list(&set, path), 0);
	for (i = 0; i < set.cnt; i++) {
		const struct record *record;
		struct reader_totals totals;
		struct reader *reader;

		assert_int_equal(reader_open(&reader, set.members[i].path, NULL, NULL), 0);
		while (reader_next(reader, &record) > 0) {
			assert_int_equal(record->kind, RECORD_LOG);
			assert_int_equal(record->values[0].u, value_of(from));
			from++;
		}
		reader_totals_get(reader, &totals);
		assert_int_equal(totals.blocks_damaged, 0);
		assert_int_equal(totals.lost, 0);
		assert_true(totals.has_index);
		assert_int_equal(set.members[i].identity.closed, 1);
		assert_int_equal(set.members[i].identity.continued, i >= restarts && i + 1 < set.cnt);
		reader_close(reader);
	}
	assert_int_equal(from, to);
	n = set.cnt;
	file_set_fini(&set);
	return n;
}

static unsigned int set_check(const char *path, uint64_t from, uint64_t to)
{
	return restarts_check(path, from, to, 0);
}

static void folder_clear(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'/*", helper_dir());
	assert_int_equal(system(command), 0);
}

/* ---- names ---- */

static void test_names(void **state)
{
	char name[256];
	uint64_t n;

	(void)state;
	assert_int_equal(file_set_name(name, sizeof(name), "app.qslog", 7), 0);
	assert_string_equal(name, "app.000007.qslog");
	assert_int_equal(file_set_name(name, sizeof(name), "out", 1234567), 0);
	assert_string_equal(name, "out.1234567");
	assert_int_equal(file_set_name(name, sizeof(name), ".qslog", 1), 0);
	assert_string_equal(name, ".qslog.000001");
	assert_int_equal(file_set_name(name, 10, "app.qslog", 1), -ENAMETOOLONG);
	assert_true(file_set_name_number("app.qslog", "app.000007.qslog", &n));
	assert_int_equal(n, 7);
	assert_true(file_set_name_number("app.qslog", "app.1234567.qslog", &n));
	assert_int_equal(n, 1234567);
	assert_false(file_set_name_number("app.qslog", "app.qslog", &n));
	assert_false(file_set_name_number("app.qslog", "app.00007.qslog", &n));
	assert_false(file_set_name_number("app.qslog", "app.0000007.qslog", &n));
	assert_false(file_set_name_number("app.qslog", "app.000000.qslog", &n));
	assert_false(file_set_name_number("app.qslog", "app.000007.qslog.tail", &n));
	assert_false(file_set_name_number("app.qslog", "app.000007", &n));
	assert_false(file_set_name_number("app.qslog", "ap.000007.qslog", &n));
	assert_false(file_set_name_number("app.qslog", "app.99999999999999999999.qslog", &n));
	assert_true(file_set_name_number("out", "out.000001", &n));
	assert_false(file_set_name_number("out", "out.000001.qslog", &n));
}

/* ---- when ---- */

static void test_size(void **state)
{
	const uint64_t limits[] = { 64 << 10, 1 << 20, 5 << 20 };
	struct writer_options options;
	struct writer_totals totals;
	struct file_set set;
	struct made_file f;
	struct stat st;
	unsigned int i, k;
	uint64_t bytes;
	int format;

	(void)state;
	for (i = 0; i < 3; i++) {
		folder_clear();
		options = (struct writer_options){ .tail = i != 1, .rotation.bytes = limits[i] };
		made_file_open_options(&f, "app.qslog", &options);
		format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
		fill(&f, format, 0, 1000000);
		totals = made_file_close(&f);
		assert_int_equal(totals.records, 1000000);
		assert_int_equal(set_check(f.path, 0, 1000000), totals.files);
		assert_true(totals.files > 1);
		assert_int_equal(file_set_list(&set, f.path), 0);
		for (k = 0, bytes = 0; k < set.cnt; k++) {
			assert_int_equal(stat(set.members[k].path, &st), 0);
			assert_true((uint64_t)st.st_size <= limits[i]);
			assert_true(k + 1 == set.cnt || (uint64_t)st.st_size > limits[i] / 2);
			bytes += (uint64_t)st.st_size;
		}
		assert_int_equal(bytes, totals.file_bytes);
		file_set_fini(&set);
		assert_int_equal(access(f.tail, F_OK), -1);
	}
	options = (struct writer_options){ .path = f.path, .rotation.bytes = 65535 };
	assert_int_equal(writer_open(&f.w, &options), -EINVAL);
}

static void test_records(void **state)
{
	struct writer_options options = { .rotation.records = 1000, .tail = true };
	struct made_file f;
	int format, i;

	(void)state;
	folder_clear();
	made_file_open_options(&f, "app.qslog", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	for (i = 0; i < 5; i++) {
		fill(&f, format, (uint64_t)i * 700, (uint64_t)i * 700 + 700);
		assert_int_equal(writer_flush(f.w), 0);
	}
	made_file_close(&f);
	assert_int_equal(set_check(f.path, 0, 3500), 4);
}

static void test_time(void **state)
{
	struct writer_options options = { .rotation.seconds = 1, .tail = true };
	struct writer_totals totals;
	struct made_file f;
	int format;
	uint64_t i = 0;

	(void)state;
	folder_clear();
	made_file_open_options(&f, "app.qslog", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	do { /* a file without records goes on */
		assert_int_equal(writer_flush(f.w), 0);
		writer_totals_get(f.w, &totals);
		assert_int_equal(totals.files, 1);
	} while (++i < 1000);
	for (i = 0; totals.files < 2; i++) {
		fill(&f, format, i, i + 1);
		assert_int_equal(writer_flush(f.w), 0);
		writer_totals_get(f.w, &totals);
	}
	made_file_close(&f);
	assert_int_equal(set_check(f.path, 0, i), 2);
}

/* By hand, without having been asked for when it was opened; the process is elsewhere by now. */
static void test_by_hand(void **state)
{
	struct seen seen = { 0 };
	struct writer_options options = { .tail = true, .event = event_note, .event_arg = &seen };
	struct made_file f;
	int format, here = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	folder_clear();
	made_file_open_options(&f, "app.qslog", &options);
	assert_int_equal(chdir("/"), 0);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	assert_int_equal(writer_rotate(f.w), 0); /* of nothing */
	assert_int_equal(seen.rotated, 0);
	fill(&f, format, 0, 100);
	assert_int_equal(writer_rotate(f.w), 0);
	fill(&f, format, 100, 110);
	assert_int_equal(writer_flush(f.w), 0);
	assert_int_equal(writer_rotate(f.w), 0);
	assert_int_equal(seen.rotated, 2);
	fill(&f, format, 110, 120);
	made_file_close(&f);
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_int_equal(access(in_folder("app.000002.qslog"), F_OK), 0);
	assert_int_equal(set_check(f.path, 0, 120), 3);
}

/* ---- what is there before and after ---- */

static void test_restart_and_retention(void **state)
{
	struct writer_options options = { .rotation = { .records = 100, .max_files = 3 }, .tail = true };
	struct made_file f, other;
	uint64_t number;
	int format, run;
	char name[64];

	(void)state;
	folder_clear();
	/* Of others: a file of another set, one that is none, and a folder, under names such as ours. */
	made_file_open(&other, "app.000002.qslog", 0, false);
	made_file_close(&other);
	bytes_store(in_folder("app.000001.qslog"), "text", 4);
	assert_int_equal(mkdir(in_folder("app.000003.qslog"), 0700), 0);
	for (run = 0; run < 3; run++) {
		made_file_open_options(&f, "app.qslog", &options);
		format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
		fill(&f, format, (uint64_t)run * 250, (uint64_t)run * 250 + 250);
		made_file_close(&f);
	}
	/* each run: two that are full, and one with 50 that the next one numbers */
	assert_int_equal(access(in_folder("app.000001.qslog"), F_OK), 0);
	assert_int_equal(access(in_folder("app.000002.qslog"), F_OK), 0);
	assert_int_equal(access(in_folder("app.000003.qslog"), F_OK), 0);
	for (number = 4; number <= 9; number++) {
		snprintf(name, sizeof(name), "app.%06d.qslog", (int)number);
		assert_int_equal(access(in_folder(name), F_OK), -1);
	}
	assert_int_equal(access(in_folder("app.000010.qslog"), F_OK), 0);
	assert_int_equal(access(in_folder("app.000011.qslog"), F_OK), 0);
	assert_int_equal(access(in_folder("app.000012.qslog"), F_OK), -1);
}

/* Files that were there without rotation are kept, and are none of the set. */
static void test_first_rotating_start(void **state)
{
	struct writer_options options = { .rotation = { .records = 100, .max_files = 1 } };
	struct made_file f;
	struct stat before, after;
	int format;

	(void)state;
	folder_clear();
	bytes_store(in_folder("app.qslog"), "a text, it seems", 16);
	assert_int_equal(stat(in_folder("app.qslog"), &before), 0);
	made_file_open_options(&f, "app.qslog", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	fill(&f, format, 0, 250);
	made_file_close(&f);
	assert_int_equal(stat(in_folder("app.000001.qslog"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(access(in_folder("app.000002.qslog"), F_OK), -1);
	assert_int_equal(set_check(f.path, 200, 250), 1);
}

static void test_interrupted(void **state)
{
	struct writer_options options = { .rotation.records = 100, .tail = true };
	struct made_file f;
	size_t len;
	uint8_t *data;
	int format;

	(void)state;
	folder_clear();
	made_file_open_options(&f, "app.qslog", &options);
	data = bytes_load(f.path, &len); /* a header alone */
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	fill(&f, format, 0, 50);
	made_file_close(&f);
	/* between the second name and the new file */
	bytes_store(in_folder("app.qslog.new"), data, len);
	assert_int_equal(link(f.path, in_folder("app.000001.qslog")), 0);
	assert_int_equal(set_check(f.path, 0, 50), 1);
	made_file_open_options(&f, "app.qslog", &options);
	assert_int_equal(access(in_folder("app.qslog.new"), F_OK), -1);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	fill(&f, format, 50, 60);
	made_file_close(&f);
	/* without a file under the name */
	assert_int_equal(unlink(f.path), 0);
	assert_int_equal(access(in_folder("app.000001.qslog"), F_OK), 0);
	made_file_open_options(&f, "app.qslog", &options);
	fill(&f, made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type), 50, 160);
	/* what is in the way of the next file is somebody's */
	bytes_store(in_folder("app.qslog.new"), "text", 4);
	assert_int_equal(writer_rotate(f.w), -EEXIST);
	assert_int_equal(unlink(in_folder("app.qslog.new")), 0);
	fill(&f, made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type), 160, 170);
	assert_int_equal(writer_rotate(f.w), 0);
	fill(&f, made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type), 170, 171);
	made_file_close(&f);
	assert_int_equal(restarts_check(f.path, 0, 171, 1), 4);
	free(data);
}

/* ---- others at work ---- */

static void look_now(struct made_file *f)
{
	struct timespec pause = { .tv_nsec = 110000000 }; /* it looks ten times a second */

	nanosleep(&pause, NULL);
	(void)writer_flush(f->w);
}

static void lost_and_found(const char *path, uint64_t records, uint64_t lost)
{
	struct read_result got;

	file_read(&got, path, NULL);
	assert_int_equal(got.open_error, 0);
	assert_int_equal(got.totals.records, records);
	assert_int_equal(got.totals.lost, lost);
	read_result_fini(&got);
}

static void test_deleted(void **state)
{
	struct seen seen = { 0 };
	struct writer_options options = { .tail = true, .event = event_note, .event_arg = &seen,
					  .block_bytes = 16384 };
	struct writer_totals totals;
	struct made_file f;
	int format;

	(void)state;
	folder_clear();
	made_file_open_options(&f, "app.qslog", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	fill(&f, format, 0, 10000);
	assert_int_equal(writer_flush(f.w), 0);
	assert_int_equal(unlink(f.path), 0);
	assert_int_equal(unlink(f.tail), 0);
	look_now(&f);
	assert_int_equal(seen.deleted, 1);
	assert_int_equal(seen.err, 0);
	assert_true(seen.records > 8000 && seen.records < 10000);
	/* what was not sealed is in the new one */
	lost_and_found(f.path, 10000 - seen.records, 0);
	fill(&f, format, 10000, 20000);
	assert_int_equal(writer_close(f.w, &totals), -EIO);
	assert_int_equal(totals.records, 20000 - seen.records);
	assert_int_equal(totals.records_unwritten, seen.records);
	lost_and_found(f.path, totals.records, seen.records);
}

/* With its folder, into which nothing can be put then: all is counted. */
static void test_folder_deleted(void **state)
{
	struct seen seen = { 0 };
	struct writer_options options = { .tail = true, .event = event_note, .event_arg = &seen };
	struct writer_totals totals;
	struct made_file f;
	char command[128];
	int format;

	(void)state;
	folder_clear();
	assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
	made_file_open_options(&f, "sub/app.qslog", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	fill(&f, format, 0, 1000);
	snprintf(command, sizeof(command), "rm -rf '%s'", in_folder("sub"));
	assert_int_equal(system(command), 0);
	look_now(&f);
	assert_int_equal(seen.deleted + seen.failing, 2);
	fill(&f, format, 1000, 2000);
	assert_int_not_equal(writer_close(f.w, &totals), 0);
	assert_int_equal(totals.records, 0);
	assert_int_equal(totals.records_unwritten, 2000);
	assert_int_equal(totals.lost, 2000);
}

static void test_truncated(void **state)
{
	static const int parts[] = { 0, 1, 3 }; /* quarters that are left */
	struct writer_totals totals;
	struct made_file f;
	struct stat st;
	unsigned int i;
	int format;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct seen seen = { 0 };
		struct writer_options options = { .tail = true, .event = event_note,
						  .event_arg = &seen, .block_bytes = 16384 };

		folder_clear();
		made_file_open_options(&f, "app.qslog", &options);
		format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
		fill(&f, format, 0, 10000);
		assert_int_equal(writer_flush(f.w), 0);
		assert_int_equal(stat(f.path, &st), 0);
		assert_int_equal(truncate(f.path, st.st_size * parts[i] / 4), 0);
		fill(&f, format, 10000, 20000);
		assert_int_equal(seen.truncated, 1);
		assert_true(seen.records > 10000 * (4 - (uint64_t)parts[i]) / 4 - 2000);
		assert_int_equal(writer_close(f.w, &totals), -EIO);
		assert_int_equal(totals.records, 20000 - seen.records);
		assert_int_equal(totals.records_unwritten, seen.records);
		lost_and_found(f.path, totals.records, seen.records);
	}
}

static void test_tail_touched(void **state)
{
	struct writer_options options = { .tail = true };
	struct made_file f;
	int format, way;

	(void)state;
	for (way = 0; way < 3; way++) {
		folder_clear();
		made_file_open_options(&f, "app.qslog", &options);
		format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
		fill(&f, format, 0, 1000);
		assert_int_equal(writer_flush(f.w), 0);
		if (way == 0)
			assert_int_equal(unlink(f.tail), 0);
		else if (way == 1)
			assert_int_equal(truncate(f.tail, 100), 0);
		else
			assert_int_equal(rename(f.tail, in_folder("elsewhere")), 0);
		look_now(&f);
		lost_and_found(f.path, 1000, 0);
		fill(&f, format, 1000, 1100);
		assert_int_equal(writer_flush(f.w), 0);
		lost_and_found(f.path, 1100, 0);
		made_file_close(&f);
		assert_int_equal(set_check(f.path, 0, 1100), 1);
	}
}

/* As logrotate does: it is renamed, then the writer is asked for another one. */
static void test_moved(void **state)
{
	struct writer_options options = { .tail = true };
	struct made_file f;
	int format;

	(void)state;
	folder_clear();
	made_file_open_options(&f, "app.qslog", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	fill(&f, format, 0, 100);
	assert_int_equal(rename(f.path, in_folder("app.qslog.1")), 0);
	fill(&f, format, 100, 200);
	look_now(&f);
	assert_int_equal(access(f.path, F_OK), -1);
	assert_int_equal(writer_rotate(f.w), 0);
	fill(&f, format, 200, 300);
	/* and somebody puts another file there: that is not touched */
	assert_int_equal(rename(f.path, in_folder("app.qslog.2")), 0);
	bytes_store(f.path, "text", 4);
	assert_int_equal(writer_rotate(f.w), -EEXIST);
	fill(&f, format, 300, 310);
	made_file_close(&f);
	lost_and_found(in_folder("app.qslog.1"), 200, 0);
	lost_and_found(in_folder("app.qslog.2"), 110, 0);
}

/* ---- the command line's view ---- */

static void test_paths(void **state)
{
	struct writer_options options = { .rotation.records = 100 };
	char *args[4], **paths;
	struct made_file f;
	unsigned int cnt;

	(void)state;
	folder_clear();
	made_file_open_options(&f, "app.qslog", &options);
	fill(&f, made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type), 0, 250);
	made_file_close(&f);
	args[0] = strdup(in_folder("app.000002.qslog"));
	args[1] = f.path;
	args[2] = strdup(in_folder("missing"));
	args[3] = strdup(in_folder("app.000001.qslog"));
	paths = file_set_paths(args, 4, &cnt);
	assert_non_null(paths);
	assert_int_equal(cnt, 4);
	assert_string_equal(paths[0], args[0]);
	assert_string_equal(paths[1], args[3]);
	assert_string_equal(paths[2], args[1]);
	assert_string_equal(paths[3], args[2]);
	assert_null(paths[4]);
	file_set_paths_free(paths);
	free(args[0]);
	free(args[2]);
	free(args[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_restart_and_retention),
		cmocka_unit_test(test_first_rotating_start),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_folder_deleted),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_tail_touched),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_paths),
	};
	int failed = cmocka_run_group_tests(tests, helper_setup, helper_teardown);

	made_seal_thread = true; /* and all of it again */
	failed |= cmocka_run_group_tests_name("seal thread", tests, helper_setup, helper_teardown);
	made_behind = true;
	return failed | cmocka_run_group_tests_name("behind", tests, helper_setup, helper_teardown);
}
