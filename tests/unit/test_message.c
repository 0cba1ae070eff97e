/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_message.c - replacement of placeholders. The expectations of test_as_fmt() were printed by
 * libfmt 9.1; so were millions of random specifications compared when the code was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "buffer.h"
#include "escape.h"
#include "message.h"

#define VALUE(t, member, v) ((struct record_value){ .type = QSLOG_ARG_##t, .member = (v) })
#define U64(v) VALUE(UINT64, u, v)
#define I64(v) VALUE(INT64, i, v)
#define F64(v) VALUE(DOUBLE, d, v)
#define F32(v) VALUE(FLOAT, f, v)
#define PTR(v) VALUE(POINTER, u, v)
#define CHR(v) VALUE(CHAR, u, v)
#define BOOL(v) VALUE(BOOL, u, v)
#define TEXT(t, v, n, real) \
	((struct record_value){ .type = QSLOG_ARG_##t, .len = (n), .real_len = (real), .bytes = (v) })
#define STR(v) TEXT(STR, v, sizeof(v) - 1, sizeof(v) - 1)
#define STR_CUT(v, real) TEXT(STR, v, sizeof(v) - 1, real)
#define STR_NULL TEXT(STR, NULL, 0, 0)
#define BYTES(v) TEXT(BYTES, v, sizeof(v) - 1, sizeof(v) - 1)
#define ELLIPSIS "\xe2\x80\xa6"

struct row {
	const char *format, *expected;
	struct record_value value;
};

static const struct row as_fmt[] = {
	{ "{}", "0", U64(0) },
	{ "{}", "9", U64(9) },
	{ "{}", "99", U64(99) },
	{ "{}", "100", U64(100) },
	{ "{}", "12345", U64(12345) },
	{ "{}", "18446744073709551615", U64(18446744073709551615u) },
	{ "{:d}", "42", U64(42) },
	{ "{:x}", "ff", U64(255) },
	{ "{:X}", "FF", U64(255) },
	{ "{:#x}", "0xff", U64(255) },
	{ "{:#X}", "0XFF", U64(255) },
	{ "{:#x}", "0x0", U64(0) },
	{ "{:o}", "10", U64(8) },
	{ "{:#o}", "010", U64(8) },
	{ "{:#o}", "0", U64(0) },
	{ "{:b}", "1010", U64(10) },
	{ "{:#b}", "0b1010", U64(10) },
	{ "{:#B}", "0B1010", U64(10) },
	{ "{:b}", "1111111111111111111111111111111111111111111111111111111111111111",
	  U64(18446744073709551615u) },
	{ "{:c}", "A", U64(65) },
	{ "{:5}", "   42", U64(42) },
	{ "{:<5}|", "42   |", U64(42) },
	{ "{:^5}|", " 42  |", U64(42) },
	{ "{:^6}|", "  42  |", U64(42) },
	{ "{:05}", "00042", U64(42) },
	{ "{:#06x}", "0x002a", U64(42) },
	{ "{:*>6}", "****42", U64(42) },
	{ "{:é^6}", "éé42éé", U64(42) },
	{ "{:L}", "1234567", U64(1234567) },
	{ "{}", "-1", I64(-1) },
	{ "{}", "-9223372036854775808", I64(-9223372036854775807-1) },
	{ "{:x}", "-ff", I64(-255) },
	{ "{:#x}", "-0xff", I64(-255) },
	{ "{:o}", "-10", I64(-8) },
	{ "{:b}", "-101", I64(-5) },
	{ "{:+}", "+5", I64(5) },
	{ "{: }", " 5", I64(5) },
	{ "{:-}", "5", I64(5) },
	{ "{:+}", "-5", I64(-5) },
	{ "{:06}", "-00042", I64(-42) },
	{ "{:+06}", "+00042", I64(42) },
	{ "{:#08x}", "-0x0002a", I64(-42) },
	{ "{:#010b}", "0b00000101", I64(5) },
	{ "{: >6}", "   -42", I64(-42) },
	{ "{}", "0", F64(0.0) },
	{ "{}", "-0", F64(-0.0) },
	{ "{}", "1", F64(1.0) },
	{ "{}", "0.1", F64(0.1) },
	{ "{}", "0.30000000000000004", F64(0.1+0.2) },
	{ "{}", "1.5", F64(1.5) },
	{ "{}", "-2.25", F64(-2.25) },
	{ "{}", "1000000000000000", F64(1e15) },
	{ "{}", "1e+16", F64(1e16) },
	{ "{}", "1e+20", F64(1e20) },
	{ "{}", "1.2345678901234568e+17", F64(123456789012345680.0) },
	{ "{}", "0.0001", F64(0.0001) },
	{ "{}", "1e-05", F64(0.00001) },
	{ "{}", "1.7976931348623157e+308", F64(1.7976931348623157e308) },
	{ "{}", "5e-324", F64(5e-324) },
	{ "{}", "2.2250738585072014e-308", F64(2.2250738585072014e-308) },
	{ "{}", "9007199254740992", F64(9007199254740993.0) },
	{ "{}", "5.684341886080801e-14", F64(5.684341886080801e-14) },
	{ "{}", "1.25e-07", F64(1.25e-7) },
	{ "{}", "nan", F64(NAN) },
	{ "{}", "inf", F64(INFINITY) },
	{ "{}", "-inf", F64(-INFINITY) },
	{ "{:#}", "1.0", F64(1.0) },
	{ "{:.3}", "3.14", F64(3.14159) },
	{ "{:.3}", "1.23e+03", F64(1234.5) },
	{ "{:.0}", "2", F64(1.5) },
	{ "{:f}", "1.500000", F64(1.5) },
	{ "{:F}", "INF", F64(INFINITY) },
	{ "{:.0f}", "0", F64(0.5) },
	{ "{:.0f}", "2", F64(1.5) },
	{ "{:.0f}", "2", F64(2.5) },
	{ "{:.2f}", "1.00", F64(1.005) },
	{ "{:.3f}", "-0.000", F64(-0.0004) },
	{ "{:#.0f}", "2.", F64(2.0) },
	{ "{:.20f}", "0.10000000000000000555", F64(0.1) },
	{ "{:.1f}", "10000000000000000000000.0", F64(1e22) },
	{ "{:e}", "1.234568e+04", F64(12345.678) },
	{ "{:.2e}", "1.23e+04", F64(12345.678) },
	{ "{:E}", "1.234568E+04", F64(12345.678) },
	{ "{:g}", "1.23457e+06", F64(1234567.0) },
	{ "{:g}", "1.234e-05", F64(0.00001234) },
	{ "{:G}", "1E-10", F64(1e-10) },
	{ "{:#g}", "1.00000", F64(1.0) },
	{ "{:a}", "0x1p+0", F64(1.0) },
	{ "{:A}", "0X1.999999999999AP-4", F64(0.1) },
	{ "{:8.2f}", "    3.14", F64(3.14159) },
	{ "{:<8.2f}|", "3.14    |", F64(3.14159) },
	{ "{:08.2f}", "-0003.14", F64(-3.14159) },
	{ "{:+.1f}", "+2.5", F64(2.55) },
	{ "{: .1f}", " 2.5", F64(2.55) },
	{ "{:06}", "   inf", F64(INFINITY) },
	{ "{:+}", "+inf", F64(INFINITY) },
	{ "{:e}", "0.000000e+00", F64(0.0) },
	{ "{}", "0.1", F32(0.1f) },
	{ "{}", "1", F32(1.0f) },
	{ "{}", "16777216", F32(16777216.0f) },
	{ "{}", "3.4028235e+38", F32(3.4028235e38f) },
	{ "{}", "1e-45", F32(1e-45f) },
	{ "{}", "1e+20", F32(1e20f) },
	{ "{:.3f}", "0.100", F32(0.1f) },
	{ "{:.10f}", "0.1000000015", F32(0.1f) },
	{ "{}", "0.3", F32(0.3f) },
	{ "{}", "", STR("") },
	{ "{}", "hello", STR("hello") },
	{ "{:s}", "hello", STR("hello") },
	{ "{:8}|", "hello   |", STR("hello") },
	{ "{:>8}", "   hello", STR("hello") },
	{ "{:^8}|", " hello  |", STR("hello") },
	{ "{:*^9}", "**hello**", STR("hello") },
	{ "{:.2}", "he", STR("hello") },
	{ "{:.2}", "hé", STR("héllo") },
	{ "{:8.3}|", "hél     |", STR("héllo") },
	{ "{:é<4}", "abéé", STR("ab") },
	{ "{:→>4}", "→→ab", STR("ab") },
	{ "{:?}", "\"a\\\"b\\\\c\"", STR("a\"b\\c") },
	{ "{:.0}|", "|", STR("hello") },
	{ "{}", "0x7f0012abcdef", PTR(0x7f0012abcdef) },
	{ "{:p}", "0x0", PTR(0) },
	{ "{:>10}", "      0xff", PTR(0xff) },
	{ "{:<10}|", "0xff      |", PTR(0xff) },
	{ "{}", "x", CHR('x') },
	{ "{:c}", "x", CHR('x') },
	{ "{:d}", "120", CHR('x') },
	{ "{:x}", "78", CHR('x') },
	{ "{:#x}", "0x78", CHR('x') },
	{ "{:3}|", "x  |", CHR('x') },
	{ "{:>3}", "  x", CHR('x') },
	{ "{:?}", "'x'", CHR('x') },
	{ "{}", "true", BOOL(true) },
	{ "{}", "false", BOOL(false) },
	{ "{:s}", "true", BOOL(true) },
	{ "{:d}", "1", BOOL(true) },
	{ "{:d}", "0", BOOL(false) },
	{ "{:6}|", "true  |", BOOL(true) },
	{ "{:>6}", " false", BOOL(false) },
	{ "{:#x}", "0x1", BOOL(true) },
};

static void check(const char *format, const char *expected, const struct record_value *values,
		  unsigned cnt)
{
	struct buffer out = { 0 };

	buffer_str(&out, "<"); /* something before it, which must stay */
	message_format(&out, format, values, cnt);
	buffer_char(&out, '\0');
	assert_false(out.failed);
	assert_int_equal(out.data[0], '<');
	assert_string_equal(out.data + 1, expected);
	buffer_fini(&out);
}

#define CHECK(format, expected, ...)                                                        \
	check(format, expected, (struct record_value[]){ __VA_ARGS__ },                     \
	      sizeof((struct record_value[]){ __VA_ARGS__ }) / sizeof(struct record_value))
#define CHECK_NONE(format, expected) check(format, expected, NULL, 0)

static void check_rows(const struct row *rows, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		check(rows[i].format, rows[i].expected, &rows[i].value, 1);
}

static void test_as_fmt(void **state)
{
	(void)state;
	check_rows(as_fmt, sizeof(as_fmt) / sizeof(as_fmt[0]));
}

static void test_braces(void **state)
{
	(void)state;
	CHECK_NONE("", "");
	CHECK_NONE("plain", "plain");
	CHECK_NONE("{{}} {{{{", "{} {{");
	CHECK_NONE("a } b", "a } b");
	CHECK_NONE("a {", "a {bad spec: }");
	CHECK_NONE("a {x:", "a {bad spec: x:}");
	CHECK("{{{}}}", "{7}", U64(7));
	CHECK("a {", "a {bad spec: } [surplus: 7]", U64(7));
}

static void test_ids(void **state)
{
	(void)state;
	CHECK("{1} {0} {1}", "b a b", STR("a"), STR("b"));
	CHECK("user={user} took={us:>6}us", "user=al took=    12us", STR("al"), U64(12));
	CHECK("{a.b-c} {x_1}", "1 2", U64(1), U64(2));
	CHECK("{} {}", "1 {missing}", U64(1));
	CHECK("{name:>5}", "{missing}");
	CHECK("{7}", "{missing} [surplus: 1]", U64(1));
	CHECK("{99999999999999999999}", "{missing} [surplus: 1]", U64(1));
	CHECK("{0x}", "{bad spec: 0x} [surplus: 1]", U64(1));
	CHECK("{!r} {}", "{bad spec: !r} 1", U64(1));
	CHECK("{}", "1 [surplus: two, 3]", U64(1), STR("two"), I64(3));
	CHECK("{1}", "2 [surplus: 1]", U64(1), U64(2));
}

static void test_nested(void **state)
{
	(void)state;
	CHECK("{:{}}|", "   42|", U64(42), U64(5));
	CHECK("{:<{}}|", "42   |", U64(42), I64(5));
	CHECK("{:.{}}", "3.14", F64(3.14159), I64(3));
	CHECK("{:{}.{}f} {}", "    3.14 9", F64(3.14159), U64(8), U64(2), U64(9));
	CHECK("{0:{2}.{1}f}", "    3.14", F64(3.14159), U64(2), U64(8));
	CHECK("{v:>{width}}", "   42", U64(42), U64(5));
	CHECK("{:{}}", "{bad spec: {}, value: 42}", U64(42), I64(-1));
	CHECK("{:{}}", "{bad spec: {}, value: 42}", U64(42), STR("x"));
	CHECK("{:{}}", "{bad spec: {}, value: 42}", U64(42), F64(3));
	CHECK("{:{}}", "{bad spec: {}, value: 42}", U64(42));
	CHECK("{:{}}", "{bad spec: {}, value: 42}", U64(42), U64(UINT64_MAX));
}

static void test_bad_specs(void **state)
{
	(void)state;
	CHECK("{:q}", "{bad spec: q, value: 1}", U64(1));
	CHECK("{:5x5}", "{bad spec: 5x5, value: 1}", U64(1));
	CHECK("{:.}", "{bad spec: ., value: 1.5}", F64(1.5));
	CHECK("{:s}", "{bad spec: s, value: 1}", U64(1));
	CHECK("{:.2d}", "{bad spec: .2d, value: 1}", I64(1));
	CHECK("{:f}", "{bad spec: f, value: 1}", I64(1));
	CHECK("{:d}", "{bad spec: d, value: hello}", STR("hello"));
	CHECK("{:+}", "{bad spec: +, value: hello}", STR("hello"));
	CHECK("{:d}", "{bad spec: d, value: 1.5}", F64(1.5));
	CHECK("{:x}", "{bad spec: x, value: 0xff}", PTR(255));
	CHECK("{:c}", "{bad spec: c, value: true}", BOOL(1));
	CHECK("{:c}", "{bad spec: c, value: 256}", U64(256));
	CHECK("{:c}", "{bad spec: c, value: -129}", I64(-129));
	CHECK("{:+c}", "{bad spec: +c, value: x}", CHR('x'));
	CHECK("{:\x1b}", "{bad spec: \\x1b, value: 1}", U64(1));
	CHECK("{:\x1b>5}", "{bad spec: \\x1b>5, value: 1}", U64(1)); /* no control as fill */
	CHECK("{}", "{bad type: 200}", { .type = 200 });
}

/* Beyond what fmt accepts: useful and harmless. */
static void test_lenient(void **state)
{
	(void)state;
	CHECK("{:+} {:+}", "+5 +6", U64(5), VALUE(UINT8, u, 6));
	CHECK("{:<05}|", "42   |", I64(42)); /* '0' yields to an alignment */
	CHECK("{:>6}", "   nan", F64(NAN));
	CHECK("{:6}|", "   inf|", F64(INFINITY));
	CHECK("{:012a}", "0x0000001p+0", F64(1)); /* zeros after the 0x */
	CHECK("{:d}", "-1", CHR(0xff));
}

static void test_limits(void **state)
{
	struct buffer format = { 0 }, out = { 0 };
	static char long_string[4000];

	(void)state;
	CHECK("{:4097}", "{bad spec: 4097, value: 1}", U64(1));
	CHECK("{:99999999999}", "{bad spec: 99999999999, value: 1}", U64(1));
	CHECK("{:.4097f}", "{bad spec: .4097f, value: 1}", F64(1));
	CHECK("{:{}}", "{bad spec: {}, value: 1}", U64(1), U64(4097));
	message_format(&out, "{:4096}", &U64(1), 1);
	assert_int_equal(out.len, 4096);
	message_format(&out, "{:.4096f}", &F64(1.5), 1);
	assert_int_equal(out.len, 2 * 4096 + 2);
	out.len = 0;

	/* one value, shown again and again: the line ends, and says so */
	memset(long_string, 'x', sizeof(long_string));
	for (int i = 0; i < 3000; i++)
		buffer_str(&format, "{0}");
	buffer_char(&format, '\0');
	message_format(&out, format.data, &STR(long_string), 1);
	assert_true(out.len > MESSAGE_BYTES_MAX && out.len < MESSAGE_BYTES_MAX + 8192);
	assert_memory_equal(out.data + out.len - 23, "{cut: message too long}", 23);
	buffer_fini(&format);
	buffer_fini(&out);
}

static void test_strings(void **state)
{
	(void)state;
	CHECK("{}", "(null)", STR_NULL);
	CHECK("{:>8}", "  (null)", STR_NULL);
	CHECK("{:.2}", "(null)", STR_NULL);
	CHECK("{}", "hel" ELLIPSIS "[+7 bytes]", STR_CUT("hel", 10));
	CHECK("{}", ELLIPSIS "[+7 bytes]", STR_CUT("", 7));
	CHECK("{:.3}", "hel", STR_CUT("hello", 10)); /* cut by the format: that is not a loss */
	CHECK("{:.5}", "hello", STR_CUT("hello", 10));
	CHECK("{:.6}", "hello" ELLIPSIS "[+5 bytes]", STR_CUT("hello", 10));
	CHECK("{:>16}", "   he" ELLIPSIS "[+8 bytes]", STR_CUT("he", 10));
	CHECK("{:?}", "\"he\"" ELLIPSIS "[+8 bytes]", STR_CUT("he", 10));
	/* cut within a character: the rest of it is missing too */
	CHECK("{}", "h" ELLIPSIS "[+9 bytes]", STR_CUT("h\xc3", 10));
	CHECK("{}", "h" ELLIPSIS "[+9 bytes]", STR_CUT("h\xf0\x9f\x98", 10));
	CHECK("{}", "h\xc3\xa9" ELLIPSIS "[+7 bytes]", STR_CUT("h\xc3\xa9", 10));
	CHECK("{}", "h\\xa9" ELLIPSIS "[+8 bytes]", STR_CUT("h\xa9", 10));
}

static void test_escapes(void **state)
{
	(void)state;
	CHECK("{}", "a\\nb\\tc\\rd", STR("a\nb\tc\rd"));
	CHECK("{}", "\\x1b[31m\\x00\\x7f", STR("\x1b[31m\0\x7f"));
	CHECK("{}", "\\xc2\\x9b", STR("\xc2\x9b"));		      /* C1: CSI */
	CHECK("{}", "\xc2\xa0\xe2\x82\xac", STR("\xc2\xa0\xe2\x82\xac")); /* not C1 */
	CHECK("{}", "\\xff\\xc0\\x80", STR("\xff\xc0\x80"));		      /* overlong */
	CHECK("{}", "\\xed\\xa0\\x80", STR("\xed\xa0\x80"));		      /* surrogate */
	CHECK("{}", "\\xf4\\x90\\x80\\x80", STR("\xf4\x90\x80\x80"));
	CHECK("{}", "\\xe2\\x82", STR("\xe2\x82"));
	CHECK("{}", "0123456789abcdef\\n", STR("0123456789abcdef\n"));
	CHECK("{:6}|", "\\x1b  |", STR("\x1b")); /* the width is what is seen */
	CHECK("{}", "\\x00", CHR(0));
	CHECK("{}", "\\xff", CHR(0xff));
	CHECK("{:c}", "\\n", U64(10));
	CHECK("{:?}", "\"a\\n\\u{1b}\\x{ff}\\u{200b}\"", STR("a\n\x1b\xff\xe2\x80\x8b"));
	CHECK("{:?}", "'\\''", CHR('\''));
	/* the format comes from a file as well */
	CHECK_NONE("a\x1b[0m\nb\xff", "a\\x1b[0m\\nb\\xff");
	CHECK_NONE("gr\xc3\xbc\xc3\x9f {{", "gr\xc3\xbc\xc3\x9f {");
}

static void test_bytes(void **state)
{
	(void)state;
	CHECK("{}", "dead00", BYTES("\xde\xad\0"));
	CHECK("{:X}", "DEAD", BYTES("\xde\xad"));
	CHECK("{:8}|", "dead    |", BYTES("\xde\xad"));
	CHECK("{:.1}", "de", BYTES("\xde\xad"));
	CHECK("{:s}", "a\\x00b", BYTES("a\0b"));
	CHECK("{}", "", BYTES(""));
	CHECK("{}", "(null)", TEXT(BYTES, NULL, 0, 0));
	CHECK("{}", "de" ELLIPSIS "[+4 bytes]", TEXT(BYTES, "\xde", 1, 5));
	CHECK("{:.1}", "de", TEXT(BYTES, "\xde\xad", 2, 5));
	CHECK("{:d}", "{bad spec: d, value: de}", BYTES("\xde"));
}

static void check_keys(const char *format, unsigned cnt, const char *expected)
{
	struct message_key keys[QSLOG_ARGS_MAX];
	struct buffer out = { 0 };

	message_keys(format, cnt, keys);
	for (unsigned i = 0; i < cnt; i++) {
		if (keys[i].name)
			buffer_bytes(&out, keys[i].name, keys[i].len);
		else
			buffer_u64(&out, i);
		buffer_char(&out, ' ');
	}
	buffer_char(&out, '\0');
	assert_false(out.failed);
	assert_string_equal(out.data, expected);
	buffer_fini(&out);
}

static void test_keys(void **state)
{
	(void)state;
	check_keys("user={user} took={us:>6}us {}", 3, "user us 2 ");
	check_keys("{{no}} {yes}", 1, "yes ");
	check_keys("{v:>{}} {w}", 3, "v 1 w ");
	check_keys("{a} {a}", 2, "a 1 "); /* no key twice */
	check_keys("{1} {0}", 2, "0 1 ");
	check_keys("no placeholders", 2, "0 1 ");
	check_keys("{a} {b} {c}", 1, "a ");
	check_keys("{unclosed", 1, "0 ");
}

static void test_out_of_memory(void **state)
{
	struct buffer out = { .failed = true };

	(void)state;
	message_format(&out, "{:>8} {} {:?}", (struct record_value[]){ U64(1), F64(2), STR("x") }, 3);
	assert_true(out.failed);
	assert_null(out.data);
	assert_int_equal(out.len, 0);
	out.failed = false;
	assert_false(buffer_grow(&out, SIZE_MAX - 1));
	assert_true(out.failed);
	buffer_fini(&out);
	assert_false(out.failed);
	buffer_fini(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_fmt),	     cmocka_unit_test(test_braces),
		cmocka_unit_test(test_ids),	     cmocka_unit_test(test_nested),
		cmocka_unit_test(test_bad_specs),    cmocka_unit_test(test_lenient),
		cmocka_unit_test(test_limits),	     cmocka_unit_test(test_strings),
		cmocka_unit_test(test_escapes),	     cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_keys),	     cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
