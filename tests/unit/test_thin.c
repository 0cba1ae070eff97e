// SPDX-License-Identifier: BSD-2-Clause
/* test_thin.c - span_hold.c and sampling.h: what stays, in which order, and what is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sampling.h"
#include "span_hold.h"

#define MIN 100

struct out {
	char text[256];
};

static int emit(void *arg, uint32_t format, const uint64_t *record, uint32_t bytes)
{
	struct out *out = arg;
	size_t n = strlen(out->text);

	assert_true(bytes >= 16 && record[0] >> QSLOG_RECORD_SIZE_SHIFT);
	assert_true(n + 1 < sizeof(out->text));
	out->text[n] = (char)format;
	out->text[n + 1] = '\0';
	return 0;
}

static uint64_t left_out;

/* Letters are formats: ( ) a span, its end; anything else a log. */
static void enter(struct span_hold *h, char name, uint64_t at, struct out *out)
{
	const uint64_t record[2] = {2ull << QSLOG_RECORD_SIZE_SHIFT, at};

	assert_int_equal(span_hold_record(h, true, (uint32_t)name, record, 16, emit, out, &left_out), 0);
}

static void leave(struct span_hold *h, char name, uint64_t at, uint64_t start, struct out *out)
{
	const uint64_t record[3] = {QSLOG_RECORD_EXIT | 3ull << QSLOG_RECORD_SIZE_SHIFT, at, start};

	assert_int_equal(span_hold_record(h, true, (uint32_t)name, record, 24, emit, out, &left_out), 0);
}

static void log_it(struct span_hold *h, char name, uint64_t at, struct out *out)
{
	const uint64_t record[2] = {2ull << QSLOG_RECORD_SIZE_SHIFT, at};

	assert_int_equal(span_hold_record(h, false, (uint32_t)name, record, 16, emit, out, &left_out),
			 0);
}

static struct span_hold *begin(struct out *out)
{
	struct span_hold *h = span_hold_new(MIN);

	assert_non_null(h);
	memset(out, 0, sizeof(*out));
	left_out = 0;
	return h;
}

static void hold_order(void **state)
{
	struct out out;
	struct span_hold *h = begin(&out);

	(void)state;
	log_it(h, 'a', 1, &out);
	assert_string_equal(out.text, "a");
	enter(h, '(', 10, &out);
	log_it(h, 'b', 20, &out);
	enter(h, '[', 30, &out);
	leave(h, ']', 40, 30, &out); /* short, in one that is not decided */
	assert_string_equal(out.text, "a");
	log_it(h, 'c', 110, &out); /* the outer one is long enough now */
	assert_string_equal(out.text, "a(bc");
	leave(h, ')', 120, 10, &out);
	assert_string_equal(out.text, "a(bc)");
	assert_int_equal(left_out, 2);
	enter(h, '(', 200, &out);
	log_it(h, 'd', 210, &out);
	leave(h, ')', 299, 200, &out);
	assert_string_equal(out.text, "a(bc)d");
	assert_int_equal(left_out, 4);
	span_hold_free(h);
}

static void hold_unknown(void **state)
{
	struct out out;
	struct span_hold *h = begin(&out);

	(void)state;
	leave(h, ')', 50, 10, &out); /* entered before anybody listened */
	leave(h, '>', 500, 10, &out);
	assert_string_equal(out.text, ">");
	assert_int_equal(left_out, 1);
	enter(h, '(', 600, &out);
	enter(h, '[', 610, &out);
	leave(h, ')', 620, 600, &out); /* the inner one was not left */
	assert_string_equal(out.text, ">[");
	enter(h, '(', 700, &out);
	assert_int_equal(span_hold_until(h, 799, emit, &out), 0);
	assert_string_equal(out.text, ">[");
	assert_int_equal(span_hold_until(h, 800, emit, &out), 0);
	assert_string_equal(out.text, ">[(");
	enter(h, '{', 900, &out);
	assert_int_equal(span_hold_until(h, UINT64_MAX, emit, &out), 0);
	assert_string_equal(out.text, ">[({");
	span_hold_free(h);
}

/* More than may be held, and deeper than is followed. */
static void hold_much(void **state)
{
	struct span_hold *h = span_hold_new(UINT64_MAX / 2);
	uint64_t *record = calloc(1, 65536), left = 0, n;
	struct out out;

	(void)state;
	assert_non_null(h);
	assert_non_null(record);
	memset(&out, 0, sizeof(out));
	for (n = 0; n < 300; n++)
		enter(h, '(', n + 1, &out);
	record[0] = 1ull << 16 | 8192ull << QSLOG_RECORD_SIZE_SHIFT;
	record[1] = 1000;
	for (n = 0; n < 1000 && !out.text[0]; n++)
		assert_int_equal(span_hold_record(h, false, 'x', record, 65536, emit, &out, &left), 0);
	assert_true(n > 100 && n < 600);
	assert_string_equal(out.text, "(");
	free(record);
	span_hold_free(h);
}

static bool span(struct sampling *s, bool exits, uint32_t *seen)
{
	const uint64_t record[3] = {exits ? QSLOG_RECORD_EXIT : 0, 1, 1};

	return sampling_takes(s, 3, QSLOG_SITE_SPAN, record, 24, seen);
}

static bool text(struct sampling *s, uint32_t *seen)
{
	const uint64_t record[2] = {0, 1};

	return sampling_takes(s, 3, QSLOG_SITE_LOG, record, 16, seen);
}

static void sampling_units(void **state)
{
	uint32_t outer = 0, inner = 0, alone = 0, logs = 0;
	unsigned int taken = 0, i;
	struct sampling s;

	(void)state;
	memset(&s, 0, sizeof(s));
	for (i = 0; i < 9; i++) {
		const bool takes = span(&s, false, &outer);

		taken += takes;
		assert_int_equal(span(&s, false, &inner), takes);
		assert_int_equal(text(&s, &logs), takes);
		assert_int_equal(span(&s, true, &inner), takes);
		assert_int_equal(span(&s, true, &outer), takes);
	}
	assert_int_equal(taken, 3);
	for (i = taken = 0; i < 9; i++)
		taken += text(&s, &alone);
	assert_int_equal(taken, 3);
}

static bool line(struct sampling *s, bool closes, uint64_t trace, uint64_t depth)
{
	const uint64_t opens[6] = {0, 1, 7, trace, 0, depth << QSLOG_LINE_DEPTH_SHIFT};
	const uint64_t ends[4] = {QSLOG_RECORD_EXIT, 1, 1, depth};

	return sampling_takes(s, 3, QSLOG_SITE_CONTEXT, closes ? ends : opens, closes ? 32 : 48, NULL);
}

/* By the trace, whoever sees it; and each line of a stack by its own. */
static void sampling_lines(void **state)
{
	unsigned int taken = 0, i;
	struct sampling s, other;
	uint32_t seen = 0;

	(void)state;
	memset(&s, 0, sizeof(s));
	memset(&other, 0, sizeof(other));
	for (i = 0; i < 3000; i++) {
		const bool takes = line(&s, false, i, 1);
		const bool deeper = line(&s, false, i + 1, 2);

		taken += takes;
		assert_int_equal(line(&other, false, i + 1, 1), deeper);
		assert_int_equal(text(&s, &seen), deeper);
		assert_int_equal(line(&s, true, 0, 2), deeper);
		assert_int_equal(text(&s, &seen), takes);
		assert_int_equal(line(&s, true, 0, 1), takes);
	}
	assert_true(taken > 850 && taken < 1150);
	assert_int_equal(seen, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hold_order),	  cmocka_unit_test(hold_unknown),
		cmocka_unit_test(hold_much),	  cmocka_unit_test(sampling_units),
		cmocka_unit_test(sampling_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
