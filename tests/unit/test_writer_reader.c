/* SPDX-License-Identifier: BSD-2-Clause */
/* test_writer_reader.c - what goes into a file comes out again: values, order, losses, the tail,
 * and what happens when the disk is full. */
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock_pair.h"
#include "counter.h"
#include "file_format.h"
#include "file_helper.h"

static const uint8_t u64_type[1] = { QSLOG_ARG_UINT64 };
static struct made_record rec; /* too large for a stack */

static void record_add(struct made_file *f, int format, bool leaves)
{
	uint32_t bytes = made_end(&rec, leaves);

	assert_int_equal(writer_record(f->w, (uint32_t)f->thread, (uint32_t)format, rec.words,
				       bytes), 0);
}

static void read_clean(struct read_result *result, const char *path)
{
	file_read(result, path, NULL);
	assert_int_equal(result->open_error, 0);
	assert_int_equal(result->error, 0);
	assert_string_equal(result->damage, "");
}

static void test_values(void **state)
{
	static const uint8_t types[] = { QSLOG_ARG_BOOL, QSLOG_ARG_CHAR, QSLOG_ARG_UINT8,
					 QSLOG_ARG_UINT64, QSLOG_ARG_INT64, QSLOG_ARG_POINTER,
					 QSLOG_ARG_FLOAT, QSLOG_ARG_DOUBLE };
	const uint64_t u[] = { 0, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX };
	const int64_t s[] = { 0, -1, 63, -64, 64, INT32_MIN, INT64_MAX, INT64_MIN };
	const uint64_t d[] = { 0, 0x8000000000000000u, 0x7ff0000000000000u, 0xfff0000000000000u,
			       0x7ff8000000000123u, 0xfff4dead0000beefu, 1, 0x7fefffffffffffffu };
	const uint32_t fl[] = { 0, 0x80000000u, 0x7f800000u, 0xff800000u,
				0x7fc00123u, 0xffc0beefu, 1, 0x7f7fffffu };
	char *expected = NULL;
	size_t len;
	FILE *want = open_memstream(&expected, &len);
	struct read_result got;
	struct made_file f;
	unsigned i;
	int format;

	(void)state;
	made_file_open(&f, "values", 0, false);
	format = made_format(&f, "{}", QSLOG_LEVEL_WARN, 8, types);
	for (i = 0; i < 8; i++) {
		made_begin(&rec, counter_now());
		made_slot(&rec, i & 1);
		made_slot(&rec, 255 - i);
		made_slot(&rec, i * 36);
		made_slot(&rec, u[i]);
		made_slot(&rec, (uint64_t)s[i]);
		made_slot(&rec, u[7 - i]);
		made_slot(&rec, fl[i]);
		made_slot(&rec, d[i]);
		record_add(&f, format, false);
		fprintf(want, "L 4711 4711 1 3 example src/example.c:38 main {}"
			" 0:%u 1:%u 2:%u 3:%llu i%lld 8:%llu f%08x d%016llx\n",
			i & 1, 255 - i, i * 36, (unsigned long long)u[i], (long long)s[i],
			(unsigned long long)u[7 - i], fl[i], (unsigned long long)d[i]);
	}
	fclose(want);
	assert_int_equal(made_file_close(&f).records, 8);
	read_clean(&got, f.path);
	assert_string_equal(got.lines, expected);
	assert_true(got.totals.has_index);
	read_result_fini(&got);
	free(expected);
}

static void test_strings(void **state)
{
	static const uint8_t types[] = { QSLOG_ARG_STR, QSLOG_ARG_BYTES };
	static char big[65536];
	struct read_result got;
	struct made_file f;
	int format;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	made_file_open(&f, "strings", 0, false);
	format = made_format(&f, "", QSLOG_LEVEL_INFO, 2, types);
	made_begin(&rec, counter_now()); /* empty is not NULL */
	made_text(&rec, "", 0, 0);
	made_null(&rec);
	record_add(&f, format, false);
	made_begin(&rec, counter_now()); /* cut to nothing is neither */
	made_text(&rec, "", 0, 99);
	made_text(&rec, "a\0b", 3, 3);
	record_add(&f, format, false);
	made_begin(&rec, counter_now());
	made_text(&rec, big, sizeof(big), sizeof(big));
	made_text(&rec, "12345678", 8, QSLOG_STR_NULL - 1);
	record_add(&f, format, false);
	made_file_close(&f);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, 3);
	assert_non_null(strstr(got.lines, " s0/0:0: null\n"));
	assert_non_null(strstr(got.lines, " s0/99:0: s3/3:"));
	assert_non_null(strstr(got.lines, ":610062\n"));
	assert_non_null(strstr(got.lines, " s65536/65536:"));
	assert_non_null(strstr(got.lines, " s8/4294967294:"));
	read_result_fini(&got);
}

static void test_many_formats(void **state)
{
	enum { FORMATS = 70000 };
	struct read_result got;
	struct made_file f;
	char text[32], *line, *end;
	uint64_t now = counter_now();
	int i;

	(void)state;
	made_file_open(&f, "formats", 0, false);
	for (i = 0; i < FORMATS; i++) {
		snprintf(text, sizeof(text), "format %d {}", i);
		assert_int_equal(made_format(&f, text, QSLOG_LEVEL_INFO, 1, u64_type), i);
		made_u64(&f, f.thread, i, now + (uint64_t)i * 100, (uint64_t)i * 3);
	}
	/* the same content is the same format */
	assert_int_equal(made_format(&f, "format 66000 {}", QSLOG_LEVEL_INFO, 1, u64_type), 66000);
	assert_int_equal(made_format(&f, "format 66000 {}", QSLOG_LEVEL_WARN, 1, u64_type), FORMATS);
	made_file_close(&f);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, FORMATS);
	assert_true(got.totals.blocks > 1);
	line = got.lines;
	for (i = 0; i < FORMATS; i++, line = end + 1) {
		char want[64];

		end = strchr(line, '\n');
		*end = '\0';
		snprintf(want, sizeof(want), "main format %d {} 3:%d", i, i * 3);
		assert_non_null(strstr(line, want));
	}
	read_result_fini(&got);
}

static void test_processes_and_threads(void **state)
{
	struct writer_process other = { .pid = 99, .name = "second", .exe = "", .command = "" };
	struct writer_format wf = { .kind = QSLOG_SITE_LOG, .level = QSLOG_LEVEL_ERROR, .line = 1,
				    .file = "f", .function = "g", .format = "h" };
	uint64_t words[2] = { (uint64_t)2 << QSLOG_RECORD_SIZE_SHIFT, 0 };
	struct read_result got;
	struct made_file f;
	int p, t, format;

	(void)state;
	made_file_open(&f, "processes", 0, false);
	p = writer_process_add(f.w, &other);
	assert_int_equal(p, 1);
	assert_int_equal(writer_process_add(f.w, &other), 1);
	t = writer_thread_add(f.w, 1, 100, 5, "worker");
	assert_int_equal(t, 1);
	assert_int_equal(writer_thread_add(f.w, 1, 100, 6, "worker"), 2);
	assert_int_equal(writer_thread_add(f.w, 1, 100, 5, NULL), 1);
	assert_int_equal(writer_thread_add(f.w, 7, 100, 5, NULL), -EINVAL);
	format = writer_format_add(f.w, 1, &wf);
	words[1] = counter_now();
	assert_int_equal(writer_record(f.w, 1, (uint32_t)format, words, 16), 0);
	assert_int_equal(writer_record(f.w, 0, (uint32_t)format, words, 16), 0);
	assert_int_equal(writer_record(f.w, 2, (uint32_t)format, words, 16), 0);
	assert_int_equal(writer_record(f.w, 3, (uint32_t)format, words, 16), -EINVAL);
	assert_int_equal(writer_record(f.w, 0, 77, words, 16), -EINVAL);
	made_file_close(&f);
	read_clean(&got, f.path);
	assert_string_equal(got.lines, "L 99 100 5 4 second f:1 g h\n"
				       "L 4711 4711 1 4 second f:1 g h\n"
				       "L 99 100 6 4 second f:1 g h\n");
	read_result_fini(&got);
}

static void test_spans(void **state)
{
	struct timespec start, end;
	const struct record *record;
	struct reader *reader;
	struct made_file f;
	uint64_t enter, leave, elapsed;
	int span, log;

	(void)state;
	made_file_open(&f, "spans", 0, false);
	log = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	span = made_span(&f, "load", 1, u64_type);
	clock_gettime(CLOCK_MONOTONIC, &start);
	enter = counter_now();
	do {
		clock_gettime(CLOCK_MONOTONIC, &end);
		elapsed = (uint64_t)((end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec -
				     start.tv_nsec);
	} while (elapsed < 2000000);
	leave = counter_now();
	made_u64(&f, f.thread, span, enter, 5);
	made_begin(&rec, leave);
	made_slot(&rec, enter);
	record_add(&f, span, true);
	/* a log cannot be left, and leaving has one slot */
	made_begin(&rec, leave);
	made_slot(&rec, enter);
	assert_int_equal(writer_record(f.w, 0, (uint32_t)log, rec.words, made_end(&rec, true)),
			 -EBADMSG);
	made_slot(&rec, enter);
	assert_int_equal(writer_record(f.w, 0, (uint32_t)span, rec.words, made_end(&rec, true)),
			 -EBADMSG);
	made_file_close(&f);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(record->kind, RECORD_SPAN_ENTER);
	assert_string_equal(record->format->name, "load");
	assert_int_equal(record->values[0].u, 5);
	assert_int_equal(reader_next(reader, &record), 1);
	assert_int_equal(record->kind, RECORD_SPAN_EXIT);
	assert_int_equal(record->value_cnt, 0);
	assert_true(record->duration_ns >= 1990000);
	assert_true(record->duration_ns < elapsed + 1000000000);
	assert_int_equal(reader_next(reader, &record), 0);
	reader_close(reader);
}

/* What a hostile process could put there. Every word that is refused leaves no trace. */
static void test_bad_slots(void **state)
{
	static const uint8_t text[] = { QSLOG_ARG_STR };
	struct read_result got;
	struct made_file f;
	int format;
	struct {
		uint64_t slot;
		uint32_t words; /* behind the slot */
	} bad[] = {
		{ UINT64_MAX, 0 },			     /* NULL with a length */
		{ (uint64_t)QSLOG_STR_NULL << 32 | 1, 1 },
		{ (uint64_t)8 << 32 | 9, 2 },		     /* longer than it is */
		{ (uint64_t)9 << 32 | 9, 1 },		     /* longer than the record */
		{ (uint64_t)0xfffffffe << 32 | 0xfffffffe, 1 },
		{ (uint64_t)0xfffffffe << 32 | 0xfffffff9, 0 },
		{ (uint64_t)8 << 32 | 8, 2 },		     /* shorter than the record */
		{ 0, 1 },
	};
	size_t i;

	(void)state;
	made_file_open(&f, "bad", 0, false);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, text);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t k;

		made_begin(&rec, counter_now());
		made_slot(&rec, bad[i].slot);
		for (k = 0; k < bad[i].words; k++)
			made_slot(&rec, 0x4141414141414141u);
		assert_int_equal(writer_record(f.w, 0, (uint32_t)format, rec.words,
					       made_end(&rec, false)), -EBADMSG);
	}
	made_begin(&rec, counter_now());
	assert_int_equal(writer_record(f.w, 0, (uint32_t)format, rec.words, 16), -EBADMSG);
	assert_int_equal(writer_record(f.w, 0, (uint32_t)format, rec.words, 8), -EBADMSG);
	assert_int_equal(writer_record(f.w, 0, (uint32_t)format, rec.words, 20), -EBADMSG);
	made_begin(&rec, counter_now());
	made_text(&rec, "good", 4, 4);
	record_add(&f, format, false);
	assert_int_equal(made_file_close(&f).records, 1);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, 1);
	read_result_fini(&got);
}

/* Timestamps are the application's as well. */
static void test_bad_times(void **state)
{
	const uint64_t times[] = { 0, UINT64_MAX, UINT64_MAX / 2, UINT64_MAX / 2 + 1, 1 };
	struct read_result got;
	struct made_file f;
	size_t i;
	int format, span;

	(void)state;
	made_file_open(&f, "times", 0, false);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	span = made_span(&f, "s", 0, u64_type);
	for (i = 0; i < 5; i++) {
		made_u64(&f, f.thread, format, times[i], i);
		made_begin(&rec, times[i]);
		made_slot(&rec, times[4 - i]);
		record_add(&f, span, true);
	}
	made_file_close(&f);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, 10);
	for (i = 0; i < 5; i++) {
		char want[16];

		/* one thread: in the order of writing, whatever the times say */
		snprintf(want, sizeof(want), "{} 3:%zu\n", i);
		assert_non_null(strstr(got.lines, want));
		if (i) {
			char before[16];

			snprintf(before, sizeof(before), "{} 3:%zu\n", i - 1);
			assert_true(strstr(got.lines, before) < strstr(got.lines, want));
		}
	}
	read_result_fini(&got);
}

static void test_arguments_of_calls(void **state)
{
	struct writer_options options = { .path = "/nonexistent/directory/file" };
	struct writer_format wf = { .kind = QSLOG_SITE_LOG, .level = QSLOG_LEVEL_INFO, .line = 1,
				    .file = "f", .function = "g", .format = "h" };
	char *huge = malloc((2u << 20) + 1);
	struct made_file f;
	struct writer *w = NULL;
	struct reader *r;
	char path[160], link[160];

	(void)state;
	assert_int_equal(writer_open(&w, &options), -ENOENT);
	assert_null(w);
	options.path = helper_dir();
	assert_int_equal(writer_open(&w, &options), -EISDIR);
	snprintf(path, sizeof(path), "%s/x", helper_dir());
	options.path = path;
	options.block_bytes = 100;
	assert_int_equal(writer_open(&w, &options), -EINVAL);
	options.block_bytes = 0;
	snprintf(link, sizeof(link), "%s/link", helper_dir());
	assert_int_equal(symlink("/etc/passwd", link), 0);
	options.path = link;
	assert_int_equal(writer_open(&w, &options), -ELOOP);
	made_file_open(&f, "calls", 0, false);
	wf.arg_cnt = QSLOG_ARGS_MAX + 1;
	assert_int_equal(writer_format_add(f.w, 0, &wf), -EINVAL);
	wf.arg_cnt = 1;
	wf.types[0] = QSLOG_ARG_TYPE_COUNT;
	assert_int_equal(writer_format_add(f.w, 0, &wf), -EINVAL);
	wf.arg_cnt = 0;
	wf.level = QSLOG_LEVEL_COUNT;
	assert_int_equal(writer_format_add(f.w, 0, &wf), -EINVAL);
	wf.level = 0;
	memset(huge, 'x', 2u << 20);
	huge[2u << 20] = '\0';
	wf.format = huge;
	assert_int_equal(writer_format_add(f.w, 0, &wf), -E2BIG);
	free(huge);
	made_file_close(&f);
	assert_int_equal(reader_open(&r, "/nonexistent", NULL, NULL), -ENOENT);
	assert_int_equal(reader_open(&r, helper_dir(), NULL, NULL), -EISDIR);
	assert_int_equal(reader_open(&r, "/etc/passwd", NULL, NULL), -EBADMSG);
	assert_int_equal(reader_open(&r, "/dev/null", NULL, NULL), -ESPIPE);
	reader_close(NULL);
	rows_decoder_close(NULL);
	assert_int_equal(writer_close(NULL, NULL), 0);
}

/* Batches of threads arrive one after the other and late; the file spans many blocks. */
static void test_time_order(void **state)
{
	enum { THREADS = 5, BATCH = 300, ROUNDS = 40 };
	uint64_t base, sent[THREADS] = { 0 };
	const struct record *record;
	struct reader *reader;
	struct made_file f;
	int threads[THREADS], format, t, i, round, err;
	int64_t last = INT64_MIN;
	uint64_t seen[THREADS] = { 0 }, cnt = 0;

	(void)state;
	made_file_open(&f, "order", 4096, false);
	/* Between the first clock pair and now: outside, times depend on which pairs are known. */
	base = counter_now() + BATCH * 1000;
	while (counter_now() < base + (ROUNDS + 1) * BATCH * 1000)
		;
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	for (t = 0; t < THREADS; t++)
		threads[t] = writer_thread_add(f.w, 0, 1000 + (uint32_t)t, 10 + (uint64_t)t, "t");
	for (round = 0; round < ROUNDS; round++) {
		for (t = THREADS - 1; t >= 0; t--) {
			/* thread 4 is a whole round behind */
			uint64_t from = base + (uint64_t)(round - (t == 4)) * BATCH * 1000;

			for (i = 0; i < BATCH; i++, sent[t]++)
				made_u64(&f, threads[t], format,
					 from + (uint64_t)i * 1000 + (uint64_t)t * 10, sent[t]);
		}
	}
	made_file_close(&f);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	while ((err = reader_next(reader, &record)) == 1) {
		t = (int)record->thread->tid - 1000;
		assert_true(record->time_ns >= last);
		last = record->time_ns;
		assert_int_equal(record->values[0].u, seen[t]);
		seen[t]++;
		cnt++;
	}
	assert_int_equal(err, 0);
	assert_int_equal(cnt, THREADS * BATCH * ROUNDS);
	reader_close(reader);
}

static void test_losses(void **state)
{
	struct writer_totals totals;
	struct read_result got;
	struct made_file f;
	int format, other;

	(void)state;
	made_file_open(&f, "losses", 0, false);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	other = writer_thread_add(f.w, 0, 5000, 77, "other");
	made_u64(&f, f.thread, format, counter_now(), 1);
	assert_int_equal(writer_loss(f.w, (uint32_t)f.thread, LOSS_ARENA_FULL, 12), 0);
	made_u64(&f, f.thread, format, counter_now(), 2);
	assert_int_equal(writer_loss(f.w, (uint32_t)f.thread, LOSS_RING_FULL, 0), 0);
	assert_int_equal(writer_loss(f.w, (uint32_t)other, LOSS_NO_ARENA, 1ull << 40), 0);
	assert_int_equal(writer_loss(f.w, 9, LOSS_NO_ARENA, 1), -EINVAL);
	assert_int_equal(writer_loss(f.w, 0, LOSS_CAUSE_COUNT, 1), -EINVAL);
	totals = made_file_close(&f);
	assert_int_equal(totals.records, 2);
	assert_int_equal(totals.lost, 12 + (1ull << 40));
	assert_int_equal(totals.lost_by[LOSS_ARENA_FULL], 12);
	read_clean(&got, f.path);
	assert_string_equal(got.lines,
			    "L 4711 4711 1 2 example src/example.c:38 main {} 3:1\n"
			    "M 4711 4711 1 lost 12 0\n"
			    "L 4711 4711 1 2 example src/example.c:38 main {} 3:2\n"
			    "M 4711 5000 77 lost 1099511627776 4\n");
	assert_int_equal(got.totals.records, 2);
	assert_int_equal(got.totals.lost, totals.lost);
	read_result_fini(&got);
}

/* One record with the counter `kind`; its time is right. */
static void wall_time_check(struct made_file *f, int format, uint32_t kind)
{
	struct timespec before, after;
	struct reader_totals totals;
	const struct record *record;
	struct reader *reader;
	int64_t low, high;

	clock_gettime(CLOCK_REALTIME, &before);
	made_u64(f, f->thread, format, counter_read(kind), 1);
	clock_gettime(CLOCK_REALTIME, &after);
	assert_int_equal(writer_counter_set(f->w, FILE_COUNTER_MONOTONIC), -EBUSY);
	made_file_close(f);
	low = (int64_t)before.tv_sec * 1000000000 + before.tv_nsec;
	high = (int64_t)after.tv_sec * 1000000000 + after.tv_nsec;
	assert_int_equal(reader_open(&reader, f->path, NULL, NULL), 0);
	while (reader_next(reader, &record) == 1 && record->kind == RECORD_LOSS)
		;
	assert_int_equal(record->kind, RECORD_LOG);
	/* between the two reads of the clock, give or take what the pairs are inexact */
	assert_true(record->time_ns >= low - 20000);
	assert_true(record->time_ns <= high + 20000);
	assert_int_equal(reader_next(reader, &record), 0);
	reader_totals_get(reader, &totals);
	assert_int_equal(totals.blocks_damaged, 0);
	assert_int_equal(totals.counter_kind, kind);
	assert_true(kind != FILE_COUNTER_MONOTONIC || totals.counter_hz == 1000000000);
	reader_close(reader);
}

static void test_wall_time(void **state)
{
	struct made_file f;
	int format;

	(void)state;
	made_file_open(&f, "wall", 0, false);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	wall_time_check(&f, format, COUNTER_KIND);
}

/* All records, losses too, have a time of the last minute. */
static void times_near_now(const char *path, unsigned cnt)
{
	const struct record *record;
	struct reader *reader;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	while (reader_next(reader, &record) == 1) {
		assert_in_range(now.tv_sec - record->time_ns / 1000000000, 0, 60);
		cnt--;
	}
	assert_int_equal(cnt, 0);
	reader_close(reader);
}

/* Records that are older than the file, and a clock that was set while they were made. */
static void test_wall_time_before(void **state)
{
	enum { S = 1000000000, BEFORE_S = 3600 };
	const int at_s[] = { -110, -75, -25, -1 };
	const struct record *record;
	struct clock_scale scale;
	struct clock_pair now, pairs[3];
	struct writer_options options = { .scale = &scale, .pairs = pairs, .pair_cnt = 3 };
	struct reader *reader;
	struct made_file f;
	unsigned int i;
	int format;

	(void)state;
	assert_int_equal(clock_scale_init(&scale, COUNTER_KIND), 0);
	assert_int_equal(clock_pair_take(&scale, &now), 0);
	for (i = 0; i < 3; i++)
		pairs[i] = now;
	pairs[0].ticks -= (int64_t)100 * S;
	pairs[0].realtime_ns -= (int64_t)(100 + BEFORE_S) * S;
	pairs[1].ticks -= (int64_t)50 * S; /* it was put forward by an hour in between */
	pairs[1].realtime_ns -= (int64_t)50 * S;
	made_file_open_options(&f, "before", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	for (i = 0; i < 4; i++) {
		const double counts = (double)at_s[i] * (double)scale.hz;

		made_u64(&f, f.thread, format,
			 scale.counter0 + (uint64_t)(int64_t)((double)now.ticks / S *
							      (double)scale.hz + counts), i);
	}
	made_file_close(&f);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	for (i = 0; i < 4; i++) {
		const int64_t want = now.realtime_ns +
				     (int64_t)(at_s[i] - (at_s[i] < -50 ? BEFORE_S : 0)) * S;

		assert_int_equal(reader_next(reader, &record), 1);
		assert_int_equal(record->values[0].u, i);
		if (record->time_ns < want - 50000 || record->time_ns > want + 50000)
			fail_msg("%d s: off by %lld ns", at_s[i], (long long)(record->time_ns - want));
	}
	assert_int_equal(reader_next(reader, &record), 0);
	reader_close(reader);
}

/* The file was begun for another counter: before anything came, and when there were only losses. */
static void test_other_counter(void **state)
{
	struct made_file f;
	int format, lost;

	(void)state;
	for (lost = 0; lost < 2; lost++) {
		made_file_open(&f, "other", 0, true);
		format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
		assert_int_equal(writer_flush(f.w), 0);
		if (lost)
			assert_int_equal(writer_loss(f.w, (uint32_t)f.thread, LOSS_NO_ARENA, 7), 0);
		assert_int_equal(writer_counter_set(f.w, FILE_COUNTER_MONOTONIC), 0);
		if (!lost) {
			wall_time_check(&f, format, FILE_COUNTER_MONOTONIC);
			continue;
		}
		made_u64(&f, f.thread, format, counter_monotonic(), 1);
		made_file_close(&f);
		times_near_now(f.path, 2);
	}
}

static void test_hint(void **state)
{
	struct reader_hint hint = { .level_mask = 1u << QSLOG_LEVEL_ERROR };
	struct read_result all, some;
	const struct record *record;
	struct reader *reader;
	struct made_file f;
	int64_t first = 0, last = 0;
	int info, error, i;
	uint64_t now = counter_now();

	(void)state;
	made_file_open(&f, "hint", 4096, false);
	info = made_format(&f, "info {}", QSLOG_LEVEL_INFO, 1, u64_type);
	error = made_format(&f, "error {}", QSLOG_LEVEL_ERROR, 1, u64_type);
	for (i = 0; i < 20000; i++)
		made_u64(&f, f.thread, i == 10000 ? error : info, now + (uint64_t)i * 100000,
			 (uint64_t)i);
	made_file_close(&f);
	read_clean(&all, f.path);
	file_read(&some, f.path, &hint);
	assert_int_equal(some.totals.blocks, 1);
	assert_non_null(strstr(some.lines, "error {} 3:10000\n"));
	read_result_fini(&some);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	while (reader_next(reader, &record) == 1) {
		first = first ? first : record->time_ns;
		last = record->time_ns;
	}
	reader_close(reader);
	hint.level_mask = 0;
	hint.since_ns = first + (last - first) / 2;
	file_read(&some, f.path, &hint);
	assert_true(some.cnt < 12000 && some.cnt >= 10000);
	assert_non_null(strstr(some.lines, "info {} 3:19999\n"));
	read_result_fini(&some);
	hint.since_ns = 0;
	hint.until_ns = first + (last - first) / 2;
	file_read(&some, f.path, &hint);
	assert_true(some.cnt < 12000 && some.cnt >= 10000);
	assert_non_null(strstr(some.lines, "info {} 3:0\n"));
	read_result_fini(&some);
	read_result_fini(&all);
}

struct live {
	struct rows_decoder *decoder;
	FILE *out;
	unsigned frames;
};

static void live_record(void *arg, const struct record *record)
{
	record_dump(((struct live *)arg)->out, record);
}

static void live_rows(void *arg, const void *data, uint32_t bytes)
{
	struct live *live = arg;

	live->frames++;
	assert_int_equal(rows_decoder_feed(live->decoder, data, bytes, live_record, live), 0);
}

static void test_tap(void **state)
{
	struct live live = { NULL, NULL, 0 };
	struct read_result got;
	struct made_file f;
	uint64_t now = counter_now();
	char *lines = NULL;
	size_t len;
	int format, i;

	(void)state;
	live.out = open_memstream(&lines, &len);
	assert_int_equal(rows_decoder_open(&live.decoder), 0);
	made_file_open(&f, "tap", 4096, true);
	writer_tap(f.w, live_rows, &live);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	for (i = 0; i < 5000; i++) {
		made_u64(&f, f.thread, format, now + (uint64_t)i * 1000, (uint64_t)i);
		if (i % 100 == 0)
			assert_int_equal(writer_flush(f.w), 0);
	}
	made_file_close(&f);
	fclose(live.out);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, 5000);
	assert_string_equal(got.lines, lines);
	assert_true(live.frames > 50);
	rows_decoder_close(live.decoder);
	read_result_fini(&got);
	free(lines);
}

/* ---- flushing, tails, ends without a close ---- */

static void child_exit_ok(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Writes `sealed` blocks and more, flushes, and is gone without closing. */
static void abandoned(struct made_file *f, const char *name, bool tail, int records)
{
	pid_t pid;

	snprintf(f->path, sizeof(f->path), "%s/%s", helper_dir(), name);
	snprintf(f->tail, sizeof(f->tail), "%s.tail", f->path);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		uint64_t now = counter_now();
		int format, i;

		made_file_open(f, name, 4096, tail);
		format = made_format(f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
		for (i = 0; i < records; i++) {
			made_u64(f, f->thread, format, now + (uint64_t)i * 1000, (uint64_t)i);
			if (i % 77 == 76 && writer_flush(f->w) != 0)
				_exit(1);
		}
		if (writer_flush(f->w) != 0)
			_exit(1);
		_exit(0);
	}
	child_exit_ok(pid);
}

static void test_abandoned(void **state)
{
	const int cnts[] = { 1, 76, 77, 500, 1023, 5000 };
	struct read_result got;
	struct made_file f;
	struct stat st;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cnts) / sizeof(cnts[0]); i++) {
		char last[64];

		abandoned(&f, "abandoned", true, cnts[i]);
		read_clean(&got, f.path);
		assert_int_equal(got.cnt, cnts[i]);
		assert_int_equal(got.backwards, 0);
		assert_false(got.totals.has_index);
		snprintf(last, sizeof(last), " 3:%d\n", cnts[i] - 1);
		assert_string_equal(got.lines + got.lines_len - strlen(last), last);
		read_result_fini(&got);
		/* without a tail, a flush seals */
		abandoned(&f, "abandoned", false, cnts[i]);
		assert_int_equal(stat(f.tail, &st), -1);
		read_clean(&got, f.path);
		assert_int_equal(got.cnt, cnts[i]);
		read_result_fini(&got);
	}
}

static void test_stale_tail(void **state)
{
	struct read_result got;
	struct made_file f;
	uint64_t now = counter_now();
	uint8_t *tail, *other;
	size_t tail_len, other_len;
	struct stat st;
	int format, i;

	(void)state;
	abandoned(&f, "alien", true, 10);
	other = bytes_load(f.tail, &other_len);
	made_file_open(&f, "stale", 4096, true);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	for (i = 0; i < 100; i++)
		made_u64(&f, f.thread, format, now + (uint64_t)i * 1000, (uint64_t)i);
	assert_int_equal(writer_flush(f.w), 0);
	tail = bytes_load(f.tail, &tail_len);
	assert_true(tail_len > 100);
	made_file_close(&f);
	assert_int_equal(stat(f.tail, &st), -1); /* removed */
	/* as if the writer had died after sealing, before it emptied the tail */
	bytes_store(f.tail, tail, tail_len);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, 100);
	assert_false(got.totals.has_tail);
	read_result_fini(&got);
	/* of another file */
	bytes_store(f.tail, other, other_len);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, 100);
	read_result_fini(&got);
	free(tail);
	free(other);
}

/* The writer died while it sealed the block: half a block, and its rows in the tail. */
static void test_half_block(void **state)
{
	struct read_result got;
	struct made_file f;
	uint64_t now = counter_now();
	uint8_t *tail, *data;
	size_t tail_len, before, len, cut;
	int format, i;

	(void)state;
	made_file_open(&f, "half", 1u << 20, true);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	data = bytes_load(f.path, &before);
	free(data);
	for (i = 0; i < 100; i++)
		made_u64(&f, f.thread, format, now + (uint64_t)i * 1000, (uint64_t)i);
	assert_int_equal(writer_flush(f.w), 0);
	tail = bytes_load(f.tail, &tail_len);
	made_file_close(&f);
	data = bytes_load(f.path, &len);
	for (cut = before; cut < before + 200; cut++) {
		bytes_store(f.path, data, cut);
		bytes_store(f.tail, tail, tail_len);
		read_clean(&got, f.path);
		assert_int_equal(got.cnt, 100);
		assert_true(got.totals.has_tail);
		read_result_fini(&got);
	}
	free(tail);
	free(data);
}

/* ---- writes that fail ---- */

static void fill(struct made_file *f, int format, int records)
{
	uint64_t x = 88172645463325252u, now = counter_now();
	int i;

	for (i = 0; i < records; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		made_u64(f, f->thread, format, now + (uint64_t)i * 1000, x);
	}
}

/* Everything that was taken over is in the file or counted, in the totals and in the file. */
static void accounted(const struct writer_totals *totals, const char *path, uint64_t taken)
{
	struct read_result got;

	assert_int_equal(totals->records + totals->records_unwritten, taken);
	assert_int_equal(totals->lost, totals->records_unwritten);
	read_clean(&got, path);
	assert_int_equal(got.totals.records, totals->records);
	assert_int_equal(got.totals.lost, totals->records_unwritten);
	read_result_fini(&got);
}

static void limit_set(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What 8 MiB of rows hold waits for room; what is more than that is given up, and counted. */
static void file_size_limit(bool tail, bool longer)
{
	const int before = longer ? 1500000 : 50000;
	struct writer_totals totals;
	struct made_file f;
	struct rlimit old;
	int format;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	made_file_open(&f, "limit", 65536, tail);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	limit_set(100000);
	fill(&f, format, before);
	assert_int_equal(writer_flush(f.w), -EFBIG);
	limit_set(old.rlim_cur);
	writer_totals_get(f.w, &totals);
	assert_int_equal(totals.error, longer ? -EFBIG : 0);
	assert_int_equal(totals.failing, -EFBIG);
	assert_true(longer ? totals.records_unwritten > 100000 : totals.records_unwritten == 0);
	fill(&f, format, 20000);
	assert_int_equal(writer_close(f.w, &totals), longer ? -EFBIG : 0);
	assert_true(totals.records > 20000);
	accounted(&totals, f.path, (uint64_t)before + 20000);
}

static void test_file_size_limit(void **state)
{
	(void)state;
	file_size_limit(false, false);
	file_size_limit(true, false);
	file_size_limit(false, true);
	file_size_limit(true, true);
}

/* A file system of its own, 256 KiB, which is full before the writer is done. */
static void test_disk_full(void **state)
{
	char directory[128];
	pid_t pid;
	int status;

	(void)state;
	snprintf(directory, sizeof(directory), "%s/full", helper_dir());
	assert_int_equal(mkdir(directory, 0700), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct writer_totals totals;
		struct made_file f;
		char ballast[160];
		int format;

		if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("tmpfs", directory, "tmpfs", 0, "size=256k") != 0)
			_exit(77);
		snprintf(ballast, sizeof(ballast), "%s/ballast", directory);
		made_file_open(&f, "full/file", 16384, true);
		format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
		fill(&f, format, 2000);
		bytes_store(ballast, directory, 100);
		fill(&f, format, 1500000);
		(void)writer_flush(f.w);
		writer_totals_get(f.w, &totals);
		if (totals.error != -ENOSPC || !totals.records_unwritten)
			_exit(2);
		if (unlink(ballast) != 0)
			_exit(3);
		if (writer_close(f.w, &totals) != -ENOSPC)
			_exit(4);
		if (totals.records + totals.records_unwritten != 1502000)
			_exit(5);
		accounted(&totals, f.path, 1502000);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: cannot mount a tmpfs here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_device_full(void **state)
{
	struct writer_options options = { .path = "/dev/full" };
	struct writer *w = NULL;

	(void)state;
	assert_int_equal(writer_open(&w, &options), -ENOSPC);
	assert_null(w);
	assert_int_equal(access("/dev/full", F_OK), 0); /* only regular files are removed */
}

static void test_many_threads(void **state)
{
	enum { THREADS = 20000 };
	struct read_result got;
	struct made_file f;
	uint64_t now = counter_now();
	int format, i;

	(void)state;
	made_file_open(&f, "threads", 0, false);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	for (i = 0; i < THREADS; i++) {
		int t = writer_thread_add(f.w, 0, 100 + (uint32_t)i % 50, 1000 + (uint64_t)i, "t");

		assert_int_equal(t, i + 1);
		made_u64(&f, t, format, now + (uint64_t)i * 1000, (uint64_t)i);
	}
	made_file_close(&f);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, THREADS);
	assert_non_null(strstr(got.lines, "L 4711 149 20999 2"));
	read_result_fini(&got);
}

static void test_empty(void **state)
{
	struct read_result got;
	struct made_file f;

	(void)state;
	made_file_open(&f, "empty", 0, true);
	assert_int_equal(writer_flush(f.w), 0);
	assert_int_equal(writer_clock(f.w), 0);
	made_file_close(&f);
	read_clean(&got, f.path);
	assert_int_equal(got.cnt, 0);
	assert_true(got.totals.has_index);
	read_result_fini(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_many_formats),
		cmocka_unit_test(test_processes_and_threads),
		cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_bad_slots),
		cmocka_unit_test(test_bad_times),
		cmocka_unit_test(test_arguments_of_calls),
		cmocka_unit_test(test_time_order),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_wall_time),
		cmocka_unit_test(test_wall_time_before),
		cmocka_unit_test(test_other_counter),
		cmocka_unit_test(test_hint),
		cmocka_unit_test(test_tap),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_stale_tail),
		cmocka_unit_test(test_half_block),
		cmocka_unit_test(test_file_size_limit),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_device_full),
	};
	int failed = cmocka_run_group_tests(tests, helper_setup, helper_teardown);

	made_seal_thread = true; /* and all of it again */
	failed |= cmocka_run_group_tests_name("seal thread", tests, helper_setup, helper_teardown);
	made_behind = true;
	return failed | cmocka_run_group_tests_name("behind", tests, helper_setup, helper_teardown);
}
