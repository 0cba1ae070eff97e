/* SPDX-License-Identifier: BSD-2-Clause */
/* test_text.c - lines of text and JSON, and times to text and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buffer.h"
#include "decimal.h"
#include "record_text.h"
#include "timestamp.h"
#include "writer.h"

#define SECOND 1000000000ll
#define EXAMPLE_NS (1744207798ll * SECOND + 156999999) /* 2025-04-09 14:09:58.156999999 UTC */

static const struct record_process process = { .pid = 32638, .name = "example" };
static const struct record_thread thread = { .process = &process, .tid = 32639, .name = "main" };
static const struct record_format log_format = {
	.kind = QSLOG_SITE_LOG,
	.level = QSLOG_LEVEL_DEBUG,
	.arg_cnt = 1,
	.types = { QSLOG_ARG_UINT64 },
	.line = 38,
	.tag = "example",
	.file = "/src/qslogExample.cpp",
	.function = "main",
	.format = "uint64 test : {}",
};
static const struct record_format span_format = {
	.kind = QSLOG_SITE_SPAN,
	.level = QSLOG_LEVEL_INFO,
	.arg_cnt = 1,
	.types = { QSLOG_ARG_INT64 },
	.line = 7,
	.tag = "net",
	.file = "net.c",
	.function = "serve",
	.format = "id={id}",
	.name = "handle",
};

static struct record log_record(void)
{
	struct record r = { .kind = RECORD_LOG, .time_ns = EXAMPLE_NS, .thread = &thread };

	r.format = &log_format;
	r.value_cnt = 1;
	r.values[0] = (struct record_value){ .type = QSLOG_ARG_UINT64, .u = UINT64_MAX };
	return r;
}

static struct record span_record(enum record_kind kind)
{
	struct record r = { .kind = kind, .time_ns = EXAMPLE_NS, .thread = &thread };

	r.format = &span_format;
	if (kind == RECORD_SPAN_ENTER) {
		r.value_cnt = 1;
		r.values[0] = (struct record_value){ .type = QSLOG_ARG_INT64, .i = -3 };
	} else {
		r.duration_ns = 12345;
	}
	return r;
}

static struct record loss_record(uint64_t lost, uint8_t cause)
{
	return (struct record){ .kind = RECORD_LOSS,
				.time_ns = EXAMPLE_NS,
				.thread = &thread,
				.lost = lost,
				.lost_cause = cause };
}

static void check(void (*line)(struct buffer *, const struct record *), const struct record *r,
		  const char *expected)
{
	struct buffer out = { 0 };

	line(&out, r);
	buffer_char(&out, '\0');
	assert_false(out.failed);
	assert_string_equal(out.data, expected);
	buffer_fini(&out);
}

#define PREFIX "2025-04-09 16:09:58.156 32638 32639 "

static void test_text(void **state)
{
	struct record r = log_record();

	(void)state;
	check(text_line, &r,
	      PREFIX "D example [qslogExample.cpp:38 main] uint64 test : 18446744073709551615\n");
	r = span_record(RECORD_SPAN_ENTER);
	check(text_line, &r, PREFIX "I net [net.c:7 serve] -> handle id=-3\n");
	r = span_record(RECORD_SPAN_EXIT);
	check(text_line, &r, PREFIX "I net [net.c:7 serve] <- handle 12.345us\n");
	r.duration_ns = 3600 * SECOND;
	check(text_line, &r, PREFIX "I net [net.c:7 serve] <- handle 3600000000.000us\n");
	r = loss_record(12, LOSS_RING_FULL);
	check(text_line, &r, PREFIX "W qslog [-:0 -] 12 records lost: ring full\n");
	r = loss_record(1, 99);
	check(text_line, &r, PREFIX "W qslog [-:0 -] 1 record lost: unknown cause\n");
}

static void test_text_of_gaps(void **state)
{
	struct record_format format = { .level = 77, .format = NULL };
	struct record r = { .kind = RECORD_LOG, .time_ns = EXAMPLE_NS, .format = &format };

	(void)state;
	check(text_line, &r, "2025-04-09 16:09:58.156 0 0 ? - [-:0 -] \n");
	r.thread = &thread; /* no tag: the name of the process */
	check(text_line, &r, PREFIX "? example [-:0 -] \n");
}

static void test_text_is_safe(void **state)
{
	struct record_format format = log_format;
	struct record r = log_record();

	(void)state;
	format.tag = "a\nb";
	format.file = "dir/\x1b[2J.c";
	format.function = "f\xff";
	format.format = "x\r{}";
	r.format = &format;
	r.values[0].u = 1;
	check(text_line, &r, PREFIX "D a\\nb [\\x1b[2J.c:38 f\\xff] x\\r1\n");
}

static void test_causes(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < LOSS_CAUSE_COUNT; i++) {
		assert_string_not_equal(loss_cause_name(i), "unknown cause");
		for (uint8_t k = 0; k < i; k++)
			assert_string_not_equal(loss_cause_name(i), loss_cause_name(k));
	}
	assert_string_equal(loss_cause_name(LOSS_CAUSE_COUNT), "unknown cause");
	for (uint8_t i = 0; i < QSLOG_LEVEL_COUNT; i++)
		assert_int_equal(level_letter(i), "VDIWEF"[i]);
	assert_int_equal(level_letter(QSLOG_LEVEL_COUNT), '?');
}

#define JSON_PREFIX                                                                          \
	"{\"time\":\"2025-04-09T14:09:58.156999999Z\",\"time_ns\":1744207798156999999,"      \
	"\"pid\":32638,\"tid\":32639,\"thread\":\"main\","

static void test_json(void **state)
{
	struct record r = log_record();

	(void)state;
	check(json_line, &r,
	      JSON_PREFIX "\"level\":\"D\",\"tag\":\"example\",\"file\":\"/src/qslogExample.cpp\","
			  "\"line\":38,\"function\":\"main\",\"kind\":\"log\","
			  "\"message\":\"uint64 test : 18446744073709551615\","
			  "\"format\":\"uint64 test : {}\",\"args\":{\"0\":18446744073709551615}}\n");
	r = span_record(RECORD_SPAN_ENTER);
	check(json_line, &r,
	      JSON_PREFIX "\"level\":\"I\",\"tag\":\"net\",\"file\":\"net.c\",\"line\":7,"
			  "\"function\":\"serve\",\"kind\":\"span_enter\",\"name\":\"handle\","
			  "\"message\":\"-> handle id=-3\",\"format\":\"id={id}\","
			  "\"args\":{\"id\":-3}}\n");
	r = span_record(RECORD_SPAN_EXIT);
	r.value_cnt = 1; /* has no meaning in an exit */
	check(json_line, &r,
	      JSON_PREFIX "\"level\":\"I\",\"tag\":\"net\",\"file\":\"net.c\",\"line\":7,"
			  "\"function\":\"serve\",\"kind\":\"span_exit\",\"name\":\"handle\","
			  "\"duration_ns\":12345,\"message\":\"<- handle 12.345us\","
			  "\"format\":\"id={id}\",\"args\":{}}\n");
	r = loss_record(12, LOSS_ARENA_FULL);
	check(json_line, &r,
	      JSON_PREFIX "\"level\":\"W\",\"tag\":\"qslog\",\"file\":null,\"line\":null,"
			  "\"function\":null,\"kind\":\"loss\",\"lost\":12,\"cause\":\"arena full\","
			  "\"message\":\"12 records lost: arena full\",\"format\":null,"
			  "\"args\":{}}\n");
}

/* The args of a record with these values. */
static void check_args(const char *format, const struct record_value *values, unsigned cnt,
		       const char *expected)
{
	struct record_format f = log_format;
	struct record r = log_record();
	struct buffer out = { 0 };
	const char *args;

	f.format = format;
	r.format = &f;
	r.value_cnt = (uint8_t)cnt;
	memcpy(r.values, values, cnt * sizeof(*values));
	json_line(&out, &r);
	buffer_char(&out, '\0');
	assert_false(out.failed);
	args = strstr(out.data, "\"args\":");
	assert_non_null(args);
	assert_string_equal(args + 7, expected);
	buffer_fini(&out);
}

#define ARGS(format, expected, ...)                                                         \
	check_args(format, (struct record_value[]){ __VA_ARGS__ },                          \
		   sizeof((struct record_value[]){ __VA_ARGS__ }) / sizeof(struct record_value), \
		   expected "}\n")
#define STR(v) { .type = QSLOG_ARG_STR, .len = sizeof(v) - 1, .real_len = sizeof(v) - 1, .bytes = v }
#define F64(v) { .type = QSLOG_ARG_DOUBLE, .d = (v) }

static void test_json_args(void **state)
{
	(void)state;
	ARGS("{a} {} {a}", "{\"a\":1,\"1\":2,\"2\":3}", { .type = QSLOG_ARG_UINT8, .u = 1 },
	     { .type = QSLOG_ARG_UINT64, .u = 2 }, { .type = QSLOG_ARG_INT64, .i = 3 });
	ARGS("{}{}", "{\"0\":true,\"1\":\"x\"}", { .type = QSLOG_ARG_BOOL, .u = 1 },
	     { .type = QSLOG_ARG_CHAR, .u = 'x' });
	ARGS("{}{}{}", "{\"0\":\"nan\",\"1\":\"inf\",\"2\":\"-inf\"}", F64(NAN), F64(INFINITY),
	     F64(-INFINITY));
	ARGS("{}{}{}", "{\"0\":0.1,\"1\":-1e+20,\"2\":0.1}", F64(0.1), F64(-1e20),
	     { .type = QSLOG_ARG_FLOAT, .f = 0.1f });
	ARGS("{}", "{\"0\":\"q\\\"b\\\\n\\n\\u001b\\u007f\\u009b\xc3\xa9\xef\xbf\xbd\"}",
	     STR("q\"b\\n\n\x1b\x7f\xc2\x9b\xc3\xa9\xff"));
	ARGS("{}{}", "{\"0\":null,\"1\":null}", { .type = QSLOG_ARG_STR },
	     { .type = QSLOG_ARG_BYTES });
	ARGS("{}", "{\"0\":\"dead\"}",
	     { .type = QSLOG_ARG_BYTES, .len = 2, .real_len = 2, .bytes = "\xde\xad" });
	ARGS("{}", "{\"0\":\"0x7f00\"}", { .type = QSLOG_ARG_POINTER, .u = 0x7f00 });
	ARGS("{}", "{\"0\":\"ab\xe2\x80\xa6[+3 bytes]\"}",
	     { .type = QSLOG_ARG_STR, .len = 3, .real_len = 5, .bytes = "ab\xc3" });
	ARGS("{}", "{\"0\":null}", { .type = 200 });
	ARGS("{a\"b\n} {}", "{\"0\":1}", { .type = QSLOG_ARG_UINT64, .u = 1 });
}

static void test_json_message_is_escaped(void **state)
{
	struct record_format f = log_format;
	struct record r = log_record();
	struct buffer out = { 0 };

	(void)state;
	f.format = "say \"{}\"";
	f.tag = "t\"";
	r.format = &f;
	r.values[0] = (struct record_value)STR("a\nb");
	json_line(&out, &r);
	buffer_char(&out, '\0');
	assert_false(out.failed);
	assert_non_null(strstr(out.data, "\"message\":\"say \\\"a\\\\nb\\\"\""));
	assert_non_null(strstr(out.data, "\"tag\":\"t\\\"\""));
	buffer_fini(&out);
}

static void check_local(int64_t ns, const char *expected)
{
	char text[TIMESTAMP_LOCAL_LEN + 1] = "";

	timestamp_local(text, ns);
	assert_string_equal(text, expected);
}

/* In and out of the minute that is kept, over the change to summer time, before the epoch. */
static void test_local_time(void **state)
{
	(void)state;
	check_local(EXAMPLE_NS, "2025-04-09 16:09:58.156");
	check_local(EXAMPLE_NS + SECOND, "2025-04-09 16:09:59.156");
	check_local(EXAMPLE_NS + 2 * SECOND, "2025-04-09 16:10:00.156");
	check_local(EXAMPLE_NS - 58 * SECOND, "2025-04-09 16:09:00.156");
	check_local(EXAMPLE_NS + 843001, "2025-04-09 16:09:58.157");
	check_local(1743296399ll * SECOND, "2025-03-30 01:59:59.000");
	check_local(1743296400ll * SECOND, "2025-03-30 03:00:00.000");
	check_local(0, "1970-01-01 01:00:00.000");
	check_local(-1, "1970-01-01 00:59:59.999");
	check_local(INT64_MAX, "2262-04-12 01:47:16.854");
	check_local(INT64_MIN, "1677-09-21 01:12:43.145");
	check_local(INT64_MIN + 20 * SECOND, "1677-09-21 01:13:03.145");
}

static void check_utc(int64_t ns, const char *expected)
{
	struct buffer out = { 0 };

	timestamp_utc(&out, ns);
	buffer_char(&out, '\0');
	assert_false(out.failed);
	assert_string_equal(out.data, expected);
	buffer_fini(&out);
}

static void test_utc(void **state)
{
	(void)state;
	check_utc(EXAMPLE_NS, "2025-04-09T14:09:58.156999999Z");
	check_utc(0, "1970-01-01T00:00:00.000000000Z");
	check_utc(-1, "1969-12-31T23:59:59.999999999Z");
	check_utc(951782400ll * SECOND, "2000-02-29T00:00:00.000000000Z");
	check_utc(INT64_MAX, "2262-04-11T23:47:16.854775807Z");
	check_utc(INT64_MIN, "1677-09-21T00:12:43.145224192Z");
}

static void check_time(const char *text, int64_t expected_first, int64_t length)
{
	int64_t first, last;

	if (timestamp_parse(text, EXAMPLE_NS, &first, &last))
		fail_msg("%s is not accepted", text);
	assert_int_equal(first, expected_first);
	assert_int_equal(last, expected_first + length - 1);
}

static void test_parse(void **state)
{
	static const char *const wrong[] = {
		"", "x", "2025", "2025-04", "2025-04-31", "2025-13-01", "2025-04-09 ", "2025-04-09 25:00",
		"2025-04-09 16:60", "2025-04-09 16:09:60", "2025-04-09 16:09:58.", "16:09x", "1:2",
		"2025-04-09 16:09:58.1234567890", "2025-04-09T16:09:58+2", "2025-04-09T16:09:58Zx",
		"-", "-5", "-5x", "-s", "-99999999999999999999s", "-9999999999d", "@", "@x", "@1.",
		"@99999999999999999999", "9999-01-01", "2025-04-09 16:09:58 +02:00", "16:09Z", "16:",
	};
	const int64_t s = EXAMPLE_NS / SECOND * SECOND;
	int64_t first, last;

	(void)state;
	check_time("2025-04-09 16:09:58", s, SECOND);
	check_time("2025-04-09T16:09:58", s, SECOND);
	check_time("2025-04-09 16:09:58.156", s + 156000000, 1000000);
	check_time("2025-04-09 16:09:58.156999999", EXAMPLE_NS, 1);
	check_time("2025-04-09 16:09", s - 58 * SECOND, 60 * SECOND);
	check_time("2025-04-09", s - (16 * 3600 + 9 * 60 + 58) * SECOND, 86400 * SECOND);
	check_time("2025-04-09T14:09:58Z", s, SECOND);
	check_time("2025-04-09T16:09:58+02:00", s, SECOND);
	check_time("2025-04-09T10:39:58.5-0330", s + 500000000, 100000000);
	check_time("16:09", s - 58 * SECOND, 60 * SECOND);
	check_time("16:09:58", s, SECOND);
	check_time("-10s", EXAMPLE_NS - 10 * SECOND, 1);
	check_time("-5m", EXAMPLE_NS - 300 * SECOND, 1);
	check_time("-5min", EXAMPLE_NS - 300 * SECOND, 1);
	check_time("-2h", EXAMPLE_NS - 7200 * SECOND, 1);
	check_time("-1d", EXAMPLE_NS - 86400 * SECOND, 1);
	check_time("-1ms", EXAMPLE_NS - 1000000, 1);
	check_time("@1744207798", s, SECOND);
	check_time("@1744207798.156", s + 156000000, 1000000);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (!timestamp_parse(wrong[i], EXAMPLE_NS, &first, &last))
			fail_msg("\"%s\" is accepted", wrong[i]);
	}
}

/* Shortest: reads back as the same number. Fixed: as printf. A fixed series of random bits. */
static void test_decimal(void **state)
{
	uint64_t seed = 88172645463325252u, bits;
	char text[DECIMAL_FIXED_MAX + 1], expected[400], *end;
	uint32_t low;
	double d;
	float f;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		bits = seed & INT64_MAX;
		memcpy(&d, &bits, sizeof(d));
		if (isfinite(d)) {
			*decimal_shortest(text, d, false, false) = '\0';
			assert_true(strtod(text, NULL) == d);
		}
		low = (uint32_t)(bits >> 32);
		memcpy(&f, &low, sizeof(f));
		if (isfinite(f)) {
			*decimal_shortest(text, (double)f, true, false) = '\0';
			assert_true(strtof(text, NULL) == f);
		}
		d = ldexp((double)(bits >> 10), -(int)(bits % 120));
		end = decimal_fixed(text, d, (unsigned)(bits % 19));
		if (end) {
			*end = '\0';
			snprintf(expected, sizeof(expected), "%.*f", (int)(bits % 19), d);
			assert_string_equal(text, expected);
		}
	}
}

static int setup(void **state)
{
	(void)state;
	if (setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1))
		return -1;
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	   cmocka_unit_test(test_text_of_gaps),
		cmocka_unit_test(test_text_is_safe), cmocka_unit_test(test_causes),
		cmocka_unit_test(test_json),	   cmocka_unit_test(test_json_args),
		cmocka_unit_test(test_json_message_is_escaped),
		cmocka_unit_test(test_local_time), cmocka_unit_test(test_utc),
		cmocka_unit_test(test_parse),	   cmocka_unit_test(test_decimal),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
