/* SPDX-License-Identifier: BSD-2-Clause */
/* test_filter.c - which records -l -t --tid --since --until --grep --site let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "filter.h"

static const struct record_process process = { .pid = 10, .name = "app" };
static const struct record_thread thread = { .process = &process, .tid = 11, .name = "a" };
static const struct record_format format = {
	.level = QSLOG_LEVEL_INFO,
	.line = 38,
	.tag = "net.tcp",
	.file = "/src/lib/net.c",
	.function = "f",
	.format = "accepted {}",
};

static struct record log_record(void)
{
	struct record r = { .kind = RECORD_LOG, .time_ns = 1744207798500000000, .thread = &thread };

	r.format = &format;
	r.value_cnt = 1;
	r.values[0] = (struct record_value){ .type = QSLOG_ARG_UINT64, .u = 42 };
	return r;
}

static struct record loss_record(void)
{
	struct record r = log_record();

	r.kind = RECORD_LOSS;
	r.format = NULL;
	r.lost = 7;
	return r;
}

/* Pairs of option and argument, ended by 0. */
struct given {
	int option;
	const char *argument;
};

static bool matches(const struct given *given, struct record r)
{
	struct filter f = { 0 };
	struct filter_state state;
	bool result;

	for (; given->option; given++)
		assert_int_equal(filter_option(&f, given->option, given->argument), 0);
	assert_int_equal(filter_state_init(&state, &f), 0);
	assert_int_equal(filter_ready(&f), 0);
	result = filter_match(&f, &state, &r);
	filter_state_fini(&state);
	filter_fini(&f);
	return result;
}

#define MATCHES(record, ...) matches((struct given[]){ __VA_ARGS__, { 0, NULL } }, record)

static void test_level(void **state)
{
	struct record r = log_record();
	struct reader_hint hint;
	struct filter f = { 0 };

	(void)state;
	assert_true(MATCHES(r, { 'l', "V" }));
	assert_true(MATCHES(r, { 'l', "I" }));
	assert_true(MATCHES(r, { 'l', "info" }));
	assert_false(MATCHES(r, { 'l', "w" }));
	assert_false(MATCHES(r, { 'l', "Warning" }));
	assert_false(MATCHES(r, { 'l', "fatal" }));
	filter_hint(&f, &hint);
	assert_int_equal(hint.level_mask, 0);
	assert_int_equal(filter_option(&f, 'l', "W"), 0);
	filter_hint(&f, &hint);
	assert_int_equal(hint.level_mask, 1 << 3 | 1 << 4 | 1 << 5);
}

static void test_tag(void **state)
{
	struct record r = log_record();

	(void)state;
	assert_true(MATCHES(r, { 't', "net.tcp" }));
	assert_true(MATCHES(r, { 't', "net*" }));
	assert_true(MATCHES(r, { 't', "disk" }, { 't', "*tcp" }));
	assert_false(MATCHES(r, { 't', "net" }));
}

static void test_tid(void **state)
{
	struct record r = log_record();

	(void)state;
	assert_true(MATCHES(r, { FILTER_TID, "11" }));
	assert_true(MATCHES(r, { FILTER_TID, "1" }, { FILTER_TID, "11" }));
	assert_false(MATCHES(r, { FILTER_TID, "10" }));
}

static void test_time(void **state)
{
	struct record r = log_record();

	(void)state;
	assert_true(MATCHES(r, { FILTER_SINCE, "2025-04-09 14:09:58" }));
	assert_true(MATCHES(r, { FILTER_SINCE, "2025-04-09 14:09:58.5" }));
	assert_false(MATCHES(r, { FILTER_SINCE, "2025-04-09 14:09:58.501" }));
	assert_true(MATCHES(r, { FILTER_UNTIL, "2025-04-09 14:09:58" })); /* all of the second */
	assert_true(MATCHES(r, { FILTER_UNTIL, "2025-04-09 14:09:58.5" }));
	assert_false(MATCHES(r, { FILTER_UNTIL, "2025-04-09 14:09:58.499" }));
	assert_false(MATCHES(r, { FILTER_UNTIL, "2025-04-09 14:09:57" }));
	assert_false(MATCHES(r, { FILTER_SINCE, "2025-04-09" }, { FILTER_UNTIL, "2025-04-08" }));
}

static void test_grep(void **state)
{
	struct record r = log_record();

	(void)state;
	assert_true(MATCHES(r, { FILTER_GREP, "^accepted [0-9]+$" }));
	assert_true(MATCHES(r, { FILTER_GREP, "refused|accepted" }));
	assert_false(MATCHES(r, { FILTER_GREP, "43" }));
	assert_false(MATCHES(r, { FILTER_GREP, "net.tcp" })); /* the message, not the line */
}

static void test_site(void **state)
{
	struct record r = log_record();

	(void)state;
	assert_true(MATCHES(r, { FILTER_SITE, "net.c:38" }));
	assert_true(MATCHES(r, { FILTER_SITE, "lib/net.c:38" }));
	assert_true(MATCHES(r, { FILTER_SITE, "/src/lib/net.c:38" }));
	assert_true(MATCHES(r, { FILTER_SITE, "net.c" }));
	assert_true(MATCHES(r, { FILTER_SITE, "x.c:1" }, { FILTER_SITE, "net.c:38" }));
	assert_false(MATCHES(r, { FILTER_SITE, "net.c:39" }));
	assert_false(MATCHES(r, { FILTER_SITE, "et.c:38" }));
	assert_false(MATCHES(r, { FILTER_SITE, "/x/src/lib/net.c:38" }));
}

/* A loss is a warning of tag qslog; what the other options hide of it is counted. */
static void test_loss(void **state)
{
	struct record r = loss_record();
	struct filter_state s;
	struct filter f = { 0 };

	(void)state;
	assert_true(MATCHES(r, { 'l', "W" }));
	assert_true(MATCHES(r, { 't', "qslog" }));
	assert_true(MATCHES(r, { FILTER_GREP, "7 records lost" }));
	assert_int_equal(filter_option(&f, 't', "net*"), 0);
	assert_int_equal(filter_option(&f, FILTER_TID, "11"), 0);
	assert_int_equal(filter_state_init(&s, &f), 0);
	assert_false(filter_match(&f, &s, &r));
	assert_false(filter_match(&f, &s, &r));
	assert_int_equal(s.lost_hidden, 14);
	assert_int_equal(filter_option(&f, FILTER_SINCE, "2025-04-10"), 0);
	assert_false(filter_match(&f, &s, &r)); /* not in the time that was asked for */
	assert_int_equal(s.lost_hidden, 14);
	filter_state_fini(&s);
	filter_fini(&f);
}

static void test_wrong(void **state)
{
	static const struct given wrong[] = {
		{ 'l', "" },		 { 'l', "X" },		  { 'l', "II" },
		{ FILTER_TID, "" },	 { FILTER_TID, "-1" },	  { FILTER_TID, "4294967296" },
		{ FILTER_TID, "1x" },	 { FILTER_SINCE, "soon" }, { FILTER_UNTIL, "" },
		{ FILTER_GREP, "(" },	 { FILTER_SITE, "" },	  { FILTER_SITE, ":38" },
		{ FILTER_SITE, "a.c:" }, { FILTER_SITE, "a.c:x" }, { FILTER_SITE, "a.c:0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct filter f = { 0 };

		if (filter_option(&f, wrong[i].option, wrong[i].argument) != -EINVAL &&
		    filter_ready(&f) != -EINVAL)
			fail_msg("%s is accepted", wrong[i].argument);
		filter_fini(&f);
	}
	assert_int_equal(filter_option(&(struct filter){ 0 }, 'x', NULL), -ENOENT);
}

static void test_grep_twice(void **state)
{
	struct filter f = { 0 };

	(void)state;
	assert_int_equal(filter_option(&f, FILTER_GREP, "a"), 0);
	assert_int_equal(filter_option(&f, FILTER_GREP, "b"), -EINVAL);
	filter_fini(&f);
}

static int setup(void **state)
{
	(void)state;
	if (setenv("TZ", "UTC0", 1))
		return -1;
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level), cmocka_unit_test(test_tag),
		cmocka_unit_test(test_tid),   cmocka_unit_test(test_time),
		cmocka_unit_test(test_grep),  cmocka_unit_test(test_site),
		cmocka_unit_test(test_loss),  cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_grep_twice),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
