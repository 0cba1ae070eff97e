/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_grep.c - what --grep skips has no match: files of random records, read with patterns that
 * are pieces of their messages, against a search through every whole message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock_pair.h"
#include "counter.h"
#include "file_helper.h"
#include "line_render.h"
#include "parallel.h"
#include "record_text.h"

enum { FILES = 8, RECORDS = 5000, PATTERNS = 60 };

static uint64_t seed = 0x9e3779b97f4a7c15u;

static unsigned roll(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 11) % n;
}

/* ---- random records ---- */

static const char *const texts[] = {
	"{}",		"a{}b",		  "{}{}",	"key={} val={}",   "{x:>6}|{y}",
	"no values",	"{{{}}}",	  "12{}34",	"a b {} c {} d {}", "{:x}{:>3}",
	"{0}{0}",	"{} and {missing} {}", "\x01{}\n", "{:{}}",	   "=true{}",
	"{:08}.{}",	"n{:+}u{:.2}l",	  "caf\xc3\xa9 {}", "{:*^5}",	   "{}{}{}{}",
	"{cut: {}",	"(null{})",	  "0x{}",	"1{}1{}1",	   "s {} {} s",
};

#define TEXT_CNT (sizeof(texts) / sizeof(texts[0]))

struct made {
	struct made_file f;
	int ids[40];
	unsigned kinds[40];
	uint8_t types[40][QSLOG_ARGS_MAX];
	unsigned arg_cnt[40];
	unsigned cnt;
};

static const char *string_make(char *s, unsigned *len)
{
	static const char *const fixed[] = { "", "a", "key", "val=1", "12", "34 a", "true", "\n",
					     "caf\xc3\xa9", "b|", "\xff", "error: timed out" };
	unsigned i;

	if (roll(2)) {
		strcpy(s, fixed[roll(12)]);
		*len = (unsigned)strlen(s);
		return s;
	}
	*len = roll(9);
	for (i = 0; i < *len; i++)
		s[i] = "ab12 =k\t"[roll(8)];
	return s;
}

static void value_make(struct made_record *r, unsigned type)
{
	static const uint64_t numbers[] = { 0, 1, 7, 12, 34, 121, 1234, 65535, 1ull << 40, ~0ull };
	unsigned len;
	char s[64];

	switch (type) {
	case QSLOG_ARG_BOOL:
		made_slot(r, roll(2));
		break;
	case QSLOG_ARG_CHAR:
		made_slot(r, (uint64_t)"a1 =\n|"[roll(6)]);
		break;
	case QSLOG_ARG_FLOAT:
		made_float(r, (float)roll(100) / 8);
		break;
	case QSLOG_ARG_DOUBLE:
		made_double(r, roll(9) ? (double)roll(10000) / 16 : -1.0 / 0.0);
		break;
	case QSLOG_ARG_STR:
	case QSLOG_ARG_BYTES:
		if (!roll(12)) {
			made_null(r);
			break;
		}
		string_make(s, &len);
		made_text(r, s, len, len + (roll(10) ? 0 : 5));
		break;
	case QSLOG_ARG_UINT8:
		made_slot(r, roll(256));
		break;
	default:
		made_slot(r, roll(2) ? numbers[roll(10)] : roll(2000));
	}
}

/* `plain`: as most formats are, so that there is something to skip. */
static void formats_make(struct made *m, bool plain)
{
	static const char *const names[] = { "work", "step 12", "a" };
	unsigned i, k;

	m->cnt = 12 + roll(12);
	for (i = 0; i < m->cnt; i++) {
		struct writer_format f = { .kind = plain || roll(5) ? QSLOG_SITE_LOG : QSLOG_SITE_SPAN,
					   .level = (uint8_t)roll(6), .line = i, .file = "a/b.c",
					   .function = "f", .tag = roll(4) ? "net" : NULL,
					   .format = texts[roll(plain ? 6 : TEXT_CNT)] };

		f.name = f.kind == QSLOG_SITE_SPAN ? names[roll(3)] : NULL;
		f.arg_cnt = (uint8_t)(plain ? roll(3) : roll(5));
		for (k = 0; k < f.arg_cnt; k++)
			f.types[k] = (uint8_t)(plain || roll(2) ? QSLOG_ARG_STR :
								    roll(QSLOG_ARG_TYPE_COUNT));
		memcpy(m->types[i], f.types, sizeof(f.types));
		m->kinds[i] = f.kind;
		m->arg_cnt[i] = f.arg_cnt;
		m->ids[i] = writer_format_add(m->f.w, 0, &f);
		assert_true(m->ids[i] >= 0);
	}
}

static void file_make(struct made *m, uint32_t block_bytes, bool plain)
{
	struct made_record r;
	uint64_t counter = counter_now();
	unsigned i, k, few, leaves;
	int threads[3];

	made_file_open(&m->f, "grep", block_bytes, false);
	formats_make(m, plain);
	for (i = 0; i < 3; i++)
		threads[i] = writer_thread_add(m->f.w, 0, 20 + i, 20 + i, "t");
	for (i = 0; i < RECORDS; i++) {
		/* formats come and go, so that blocks differ in what they have */
		few = (i / 400 * 5 + roll(4)) % m->cnt;
		leaves = m->kinds[few] == QSLOG_SITE_SPAN && roll(2);
		made_begin(&r, counter += roll(3000));
		if (leaves)
			made_slot(&r, 1000 + roll(100000));
		for (k = 0; !leaves && k < m->arg_cnt[few]; k++)
			value_make(&r, m->types[few][k]);
		assert_int_equal(writer_record(m->f.w, (uint32_t)threads[roll(3)],
					       (uint32_t)m->ids[few], r.words, made_end(&r, leaves)), 0);
		if (!roll(2500))
			writer_loss(m->f.w, (uint32_t)threads[0], LOSS_RING_FULL, 12);
	}
	made_file_close(&m->f);
}

/* ---- what is to be found ---- */

/* Lines of all records that match, by the way that makes every message. */
static struct buffer oracle(const struct filter *f, const char *path)
{
	struct filter_state s;
	const struct record *record;
	struct buffer out = { 0 };
	struct reader *reader;

	assert_int_equal(filter_state_init(&s, f), 0);
	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	while (reader_next(reader, &record) > 0) {
		struct buffer message = { 0 };
		bool match;

		record_message(&message, record);
		buffer_char(&message, '\0');
		match = !regexec(&s.grep, message.data, 0, NULL, 0);
		if (match != f->grep_invert && record_level(record) >= f->level_min)
			text_line(&out, record);
		buffer_fini(&message);
	}
	reader_close(reader);
	filter_state_fini(&s);
	return out;
}

static struct buffer found(const struct filter *f, const char *path, unsigned jobs,
			   struct reader_totals *totals)
{
	struct line_render lines = { .filter = f };
	struct reader_render render;
	struct buffer out = { 0 };
	struct parallel *pool;
	struct reader *reader;
	struct reader_run run;

	line_render_init(&render, &lines);
	assert_int_equal(parallel_open(&pool, jobs), 0);
	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	reader_parallel(reader, pool, jobs * 2);
	reader_render(reader, &render);
	while (reader_next_run(reader, &run) > 0)
		buffer_bytes(&out, run.text + run.start, run.lines[run.cnt - 1].end - run.start);
	reader_totals_get(reader, totals);
	reader_close(reader);
	parallel_close(pool);
	return out;
}

/* A piece of some message, as it is or made into an expression. */
static void pattern_make(char *pattern, const struct buffer *all)
{
	static const char *const tails[] = { "", "", "", "[0-9]+", ".", ".*", "(a|b)?", "x*", "$" };
	size_t at = roll((unsigned)all->len), len = 1 + roll(roll(3) ? 7 : 30), n = 0;

	if (!roll(10)) {
		strcpy(pattern, roll(2) ? "nowhere to be found" : "qqq[0-9]");
		return;
	}
	for (; len && at < all->len && all->data[at] != '\n'; at++, len--) {
		if (strchr(".[]{}()*+?|^$\\", all->data[at]))
			pattern[n++] = '\\';
		pattern[n++] = all->data[at];
	}
	if (!n)
		pattern[n++] = 'a';
	strcpy(pattern + n, tails[roll(9)]);
}

static struct buffer messages(const char *path)
{
	const struct record *record;
	struct buffer out = { 0 };
	struct reader *reader;

	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	while (reader_next(reader, &record) > 0) {
		record_message(&out, record);
		buffer_char(&out, '\n');
	}
	reader_close(reader);
	return out;
}

static void test_same_as_whole_messages(void **state)
{
	static const uint32_t block_bytes[] = { 4096, 8192, 32768 };
	struct reader_totals totals;
	uint64_t skipped = 0, matches = 0, empty = 0;
	struct made m;
	char pattern[256];
	unsigned i, k;

	(void)state;
	for (i = 0; i < FILES; i++) {
		struct buffer all;

		file_make(&m, block_bytes[i % 3], i % 2);
		all = messages(m.f.path);
		for (k = 0; k < PATTERNS; k++) {
			struct filter f = { .grep_invert = !roll(6), .grep_fold = !roll(6),
					    .level_min = (uint8_t)(roll(4) ? 0 : roll(6)) };
			struct buffer want, got;

			pattern_make(pattern, &all);
			assert_int_equal(filter_option(&f, FILTER_GREP, pattern), 0);
			assert_int_equal(filter_ready(&f), 0);
			want = oracle(&f, m.f.path);
			got = found(&f, m.f.path, 1 + k % 2, &totals);
			if (want.len != got.len || (want.len && memcmp(want.data, got.data, want.len)))
				fail_msg("file %u: '%s'%s%s: %zu bytes, not %zu", i, pattern,
					 f.grep_invert ? " inverted" : "", f.grep_fold ? " folded" : "",
					 got.len, want.len);
			skipped += totals.blocks - totals.blocks_decoded;
			matches += want.len > 0;
			empty += !want.len;
			buffer_fini(&want);
			buffer_fini(&got);
			filter_fini(&f);
		}
		buffer_fini(&all);
	}
	/* or nothing has been tested */
	print_message("%llu blocks skipped, %llu with matches, %llu without\n",
		      (unsigned long long)skipped, (unsigned long long)matches,
		      (unsigned long long)empty);
	assert_true(skipped > 50);
	assert_true(matches > FILES * PATTERNS / 2);
	assert_true(empty > 5);
}

/* Blocks whose threads or formats are not asked for are not decoded. */
static void test_threads_and_sites(void **state)
{
	static const uint8_t types[] = { QSLOG_ARG_UINT64 };
	static const struct { int option; const char *argument; } given[] = {
		{ FILTER_TID, "21" }, { FILTER_SITE, "example.c:38" }, { 't', "other" },
		{ 'l', "E" }, { FILTER_TID, "22" },
	};
	struct writer_format other = { .level = QSLOG_LEVEL_ERROR, .tag = "other", .line = 7,
				       .arg_cnt = 1, .types = { QSLOG_ARG_UINT64 },
				       .file = "o.c", .function = "f", .format = "{}" };
	uint64_t counter = counter_now();
	struct reader_totals totals;
	struct made_file f;
	int threads[2], formats[2];
	unsigned i;

	(void)state;
	made_file_open(&f, "threads", 8192, false);
	threads[0] = writer_thread_add(f.w, 0, 21, 21, "t");
	threads[1] = writer_thread_add(f.w, 0, 22, 22, "t");
	formats[0] = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, types);
	formats[1] = writer_format_add(f.w, 0, &other);
	for (i = 0; i < 20000; i++)
		made_u64(&f, threads[i >= 10000], formats[i >= 10000], counter += 1000, i);
	made_file_close(&f);
	for (i = 0; i < 5; i++) {
		struct filter filter = { 0 };
		struct buffer lines;
		size_t n = 0, k;

		assert_int_equal(filter_option(&filter, given[i].option, given[i].argument), 0);
		assert_int_equal(filter_ready(&filter), 0);
		lines = found(&filter, f.path, 2, &totals);
		for (k = 0; k < lines.len; k++)
			n += lines.data[k] == '\n';
		assert_int_equal(n, 10000);
		assert_true(totals.blocks_decoded <= totals.blocks / 2 + 1);
		assert_true(totals.blocks_decoded >= 3);
		buffer_fini(&lines);
		filter_fini(&filter);
	}
}

/* A window of time reads the blocks that reach into it, and finds all that it would otherwise. */
static void test_window(void **state)
{
	static const uint8_t types[] = { QSLOG_ARG_UINT64 };
	const struct reader_hint all = { 0 };
	struct read_result whole, part;
	const struct record *record;
	struct reader_hint hint = { 0 };
	struct reader *reader;
	struct made_file f;
	/* Of its own: pairs of now would say how the clock drifts, each block a little differently, and the
	 * records are of the next minutes. */
	const struct clock_scale scale = { .mult = UINT64_C(1) << 32, .hz = 1000000000,
					   .kind = COUNTER_KIND };
	const struct clock_pair pairs[] = { { 0, 1, 0 }, { INT64_C(1) << 40, (INT64_C(1) << 40) + 1, 0 } };
	struct writer_options options = { .block_bytes = 8192, .scale = &scale, .pairs = pairs,
					  .pair_cnt = 2, .pairs_only = true };
	uint64_t counter = 0, n = 0, in_window = 0;
	int64_t first = 0;
	unsigned i;
	int format;

	(void)state;
	made_file_open_options(&f, "window", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, types);
	for (i = 0; i < 100000; i++) /* 100 seconds and more */
		made_u64(&f, f.thread, format, counter += 1u << 20, i);
	made_file_close(&f);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	while (reader_next(reader, &record) > 0) {
		if (n++ == 50000)
			first = record->time_ns;
	}
	reader_close(reader);
	hint.since_ns = first;
	hint.until_ns = first + 1000000000;
	file_read(&whole, f.path, &all);
	file_read(&part, f.path, &hint);
	assert_true(part.totals.blocks < whole.totals.blocks / 4);
	assert_true(part.totals.read_bytes < whole.totals.read_bytes / 3);
	assert_int_equal(part.totals.blocks_all, whole.totals.blocks);
	assert_true(whole.totals.read_bytes >= whole.totals.file_bytes);
	read_result_fini(&whole);
	read_result_fini(&part);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	reader_hint(reader, &hint);
	while (reader_next(reader, &record) > 0)
		in_window += record->time_ns >= hint.since_ns && record->time_ns <= hint.until_ns;
	reader_close(reader);
	assert_int_equal(reader_open(&reader, f.path, NULL, NULL), 0);
	for (n = 0; reader_next(reader, &record) > 0;)
		n += record->time_ns >= hint.since_ns && record->time_ns <= hint.until_ns;
	reader_close(reader);
	assert_int_equal(n, in_window);
	assert_true(n > 100);
}

/* ---- needles ---- */

static void needle_is(const char *pattern, const char *text, bool whole)
{
	struct needle n;

	needle_find(&n, pattern, false);
	if (strcmp(n.text, text) || n.whole != whole)
		fail_msg("'%s': needle '%s'%s", pattern, n.text, n.whole ? ", whole" : "");
}

static void test_needles(void **state)
{
	char longer[128];

	(void)state;
	needle_is("abc", "abc", true);
	needle_is("a\\.c\\[", "a.c[", true);
	needle_is("", "", false);
	needle_is("ab*c", "a", false);
	needle_is("xab*cde", "cde", false);
	needle_is("ab+cde", "cde", false);
	needle_is("abc?", "ab", false);
	needle_is("ab{0,3}cde", "cde", false);
	needle_is("^took=[0-9]+us$", "took=", false);
	needle_is("a|bcd", "", false);
	needle_is("(a|b)cd", "cd", false);
	needle_is("ab(c(d[)]e)f)gh", "ab", false);
	needle_is("ab[[:alpha:]]*]cd", "]cd", false);
	needle_is("a[]b]cde", "cde", false);
	needle_is("\\<abc\\>", "abc", false);
	needle_is("ab\\1cde", "cde", false);
	needle_is("caf\xc3\xa9", "caf\xc3\xa9", true);
	needle_is("caf\xc3\xa9*", "", false);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	needle_is(longer, longer + sizeof(longer) - 1 - NEEDLE_MAX, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needles),
		cmocka_unit_test(test_threads_and_sites),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_same_as_whole_messages),
	};

	return cmocka_run_group_tests(tests, helper_setup, helper_teardown);
}
