/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rows.c - entries byte by byte: the worked example of docs/format.md, what a reader has to
 * skip and what it has to refuse, order, and the clock. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock_map.h"
#include "file_format.h"
#include "file_helper.h"
#include "rows_decode.h"
#include "varint.h"

/* ---- decoding of bytes ---- */

static void dump(void *arg, const struct record *record)
{
	record_dump(arg, record);
}

/* Decodes and compares; a NULL `lines` is not compared. */
static void decode(const void *rows, size_t bytes, int expected, const char *lines)
{
	struct rows_decoder *d;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	uint8_t *copy = malloc(bytes + 1); /* so that a sanitizer sees what lies behind it */

	assert_non_null(copy);
	copy = realloc(copy, bytes ? bytes : 1);
	assert_non_null(copy);
	memcpy(copy, rows, bytes);
	assert_int_equal(rows_decoder_open(&d), 0);
	assert_int_equal(rows_decoder_feed(d, copy, (uint32_t)bytes, dump, out), expected);
	rows_decoder_close(d);
	fclose(out);
	if (lines)
		assert_string_equal(text, lines);
	free(text);
	free(copy);
}

/* As in docs/format.md. */
static const uint8_t example[] = {
	0x98, 0xcf, 0x89, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0xbf, 0x15, 0x01, 0x60, 0x21,
	0x8b, 0x00, 0x00, 0x00, 0x00, 0x00, 0x38, 0xc0, 0x76, 0x37, 0xae, 0x50, 0xea, 0x18,
	0x15, 0x00, 0x00, 0x00, 0xbf, 0x23, 0x02, 0x00, 0xfe, 0xfe, 0x01, 0x00, 0x07, 0x65,
	0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x0c, 0x2f, 0x62, 0x69, 0x6e, 0x2f, 0x65, 0x78,
	0x61, 0x6d, 0x70, 0x6c, 0x65, 0x07, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0xbc,
	0x03, 0x00, 0x00, 0xfe, 0xfe, 0x01, 0x01, 0x04, 0x6d, 0x61, 0x69, 0x6e, 0x84, 0x7e,
	0x7f, 0x00, 0x00, 0xa1, 0x00, 0x41, 0x00, 0x3c, 0x1d, 0x15, 0x5c, 0xe8, 0xb5, 0xbd,
	0xa4, 0xad, 0x00, 0x01, 0x03, 0x26, 0x07, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65,
	0x10, 0x71, 0x73, 0x6c, 0x6f, 0x67, 0x45, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e,
	0x63, 0x70, 0x70, 0x04, 0x6d, 0x61, 0x69, 0x6e, 0x10, 0x75, 0x69, 0x6e, 0x74, 0x36,
	0x34, 0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x3a, 0x20, 0x7b, 0x7d, 0x00, 0x00, 0x00,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00, 0xbc, 0xe9, 0x05,
	0x05, 0xb4, 0x04, 0x00, 0x00, 0x0c, 0xbf, 0x15, 0x01, 0xec, 0x94, 0x90, 0x00, 0x00,
	0x00, 0x00, 0x00, 0xc4, 0x33, 0x7c, 0x37, 0xae, 0x50, 0xea, 0x18, 0x15, 0x00, 0x00,
	0x00,
};
#define EXAMPLE_LINES "L 32638 32638 1 1 example qslogExample.cpp:38 main uint64 test : {} " \
		      "3:18446744073709551615\n"                                            \
		      "L 32638 32638 1 1 example qslogExample.cpp:38 main uint64 test : {} 3:5\n" \
		      "M 32638 32638 1 lost 12 0\n"

static void test_example(void **state)
{
	(void)state;
	assert_int_equal(sizeof(example), 197);
	decode(example, sizeof(example), 0, EXAMPLE_LINES);
}

/* Cut anywhere, it never says more than it has, and never fails but by saying so. */
static void test_example_cut(void **state)
{
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(example); len++) {
		struct rows_decoder *d;
		char *text = NULL;
		size_t text_len;
		FILE *out = open_memstream(&text, &text_len);
		uint8_t *copy = malloc(len ? len : 1);
		int err;

		assert_non_null(copy);
		memcpy(copy, example, len);
		assert_int_equal(rows_decoder_open(&d), 0);
		err = rows_decoder_feed(d, copy, (uint32_t)len, dump, out);
		assert_true(err == 0 || err == -EBADMSG);
		rows_decoder_close(d);
		fclose(out);
		assert_int_equal(strncmp(text, EXAMPLE_LINES, text_len), 0);
		free(text);
		free(copy);
	}
}

#define HEAD_BYTES 152 /* of the example: everything before the first record */

/* The head of the example, `more`, and its second record. */
static void decode_more(const uint8_t *more, size_t bytes, int expected, const char *lines)
{
	uint8_t *rows = malloc(HEAD_BYTES + bytes + 5);

	assert_non_null(rows);
	memcpy(rows, example, HEAD_BYTES);
	if (bytes)
		memcpy(rows + HEAD_BYTES, more, bytes);
	memcpy(rows + HEAD_BYTES + bytes, example + HEAD_BYTES + 12, 5);
	decode(rows, HEAD_BYTES + bytes + 5, expected, lines);
	free(rows);
}

#define SECOND "L 32638 32638 1 1 example qslogExample.cpp:38 main uint64 test : {} 3:5\n"
#define MORE(expected, lines, ...)                                                             \
	decode_more((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), \
		    expected, lines)

static void test_skipped(void **state)
{
	uint8_t large[3 + 20000];

	(void)state;
	decode_more(NULL, 0, 0, SECOND);
	MORE(0, SECOND, 0xb3, 99, 1, 2);		      /* unknown subtype */
	MORE(0, SECOND, 0xb5, 0xff, 0xff, 0x7f, 1, 2);	      /* one with three bytes */
	MORE(0, SECOND, 0xbf, 0x03, 99, 1, 2);		      /* length escape for a short one */
	MORE(0, SECOND, 0xe0, 2, 0xaa, 0xbb);		      /* span "complete" */
	MORE(0, SECOND, 0xef, 0x90, 0x4e, 1, 0xaa);	      /* likewise, its id as a varint */
	MORE(0, SECOND, 0xff, 2, 0xaa, 0xbb);		      /* unknown context */
	MORE(0, SECOND, 0x86, 1, 0, 0, 0, 77, 77);	      /* pid with more than it had */
	MORE(0, SECOND, 0xa3, 0, 77, 77);		      /* thread likewise */
	MORE(0, "M 32638 32638 1 lost 3 200\n" SECOND, 0xb6, 4, 0, 0xc8, 0x01, 3, 77);
	memset(large, 0x55, sizeof(large));
	large[0] = 0xbf;
	varint_put(large + 1, sizeof(large) - 4); /* three bytes: 20000 - 1 */
	large[4] = 99;
	assert_int_equal(varint_put(large + 1, sizeof(large) - 4) - large, 4);
	decode_more(large, sizeof(large), 0, SECOND);
}

static void test_refused(void **state)
{
	(void)state;
	MORE(-EBADMSG, "", 0x01, 0, 0);		    /* a format that was not introduced */
	MORE(-EBADMSG, "", 0x3f, 0xe8, 0x07, 0, 0);
	MORE(-EBADMSG, "", 0xa1, 9);		    /* a thread likewise */
	MORE(-EBADMSG, "", 0xc0, 0);		    /* a span with the format of a log */
	MORE(-EBADMSG, "", 0xf2, 1, 2);		    /* a span id, and then no span */
	MORE(-EBADMSG, "", 0xf2, 0);		    /* none at all */
	MORE(-EBADMSG, "", 0xf0, 1, 0);		    /* half a line; with a log's format */
	MORE(-EBADMSG, "", 0xf1, 3, 0, 0, 1);
	MORE(-EBADMSG, "", 0xf3, 4, 0, 0, 0, 0);
	MORE(-EBADMSG, "", 0xf4, 2, 9, 0);	    /* an open span of an unknown format */
	MORE(-EBADMSG, "", 0xa0);		    /* no thread in it */
	MORE(-EBADMSG, "", 0x97, 0, 0, 0, 0, 0, 0, 0); /* seven bytes of time */
	MORE(-EBADMSG, "", 0x98, 0, 0, 0, 0, 0, 0, 0, 0x7f); /* beyond 2^62 */
	MORE(-EBADMSG, "", 0xb1, 1);		    /* a clock pair without data */
	MORE(-EBADMSG, "", 0xb0);		    /* no subtype */
	MORE(-EBADMSG, "", 0xb2, 3, 1);		    /* a thread that ends early */
	MORE(-EBADMSG, "", 0xb7, 3, 1, 9, 1, 1, 1, 'x'); /* ... of a process that is not known */
	MORE(-EBADMSG, "", 0xb8, 2, 1, 1, 0, 2, 'a', 0, 0); /* a NUL in a name */
	MORE(-EBADMSG, "", 0x41, 1, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* wrong hash */
	MORE(-EBADMSG, "", 0x41, 1, 0xff, 0xff, 0xff, 0x7f);		 /* 256 MiB of format */
	MORE(-EBADMSG, "", 0xbf, 0xff, 0xff, 0xff, 0xff, 0x0f, 99);	 /* 4 GiB of info */
	MORE(-EBADMSG, "", 0xef, 1, 0xff, 0xff, 0xff, 0xff, 0x0f);
	/* a number of more than 64 bits */
	MORE(-EBADMSG, "", 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02);
	/* what came before is kept */
	MORE(-EBADMSG, SECOND, 0x00, 0, 5, 0x01, 0, 0);
}

static void test_record_without_thread(void **state)
{
	(void)state;
	/* the format alone */
	decode(example + 89, 63, 0, "");
	decode(example + 89, 63 + 12, -EBADMSG, "");
}

/* ---- numbers ---- */

static void test_varint(void **state)
{
	const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX,
				    (uint64_t)INT64_MAX + 1, UINT64_MAX };
	const size_t lengths[] = { 1, 1, 1, 2, 2, 3, 5, 9, 10, 10 };
	const int64_t numbers[] = { 0, -1, 1, INT64_MAX, INT64_MIN };
	uint8_t b[VARINT_BYTES_MAX], too_long[11];
	uint64_t v;
	size_t i, k;

	(void)state;
	for (i = 0; i < 10; i++) {
		assert_int_equal(varint_put(b, values[i]) - b, lengths[i]);
		assert_ptr_equal(varint_get(b, b + lengths[i], &v), b + lengths[i]);
		assert_true(v == values[i]);
		for (k = 0; k < lengths[i]; k++)
			assert_null(varint_get(b, b + k, &v));
	}
	for (i = 0; i < 5; i++)
		assert_true(unzigzag(zigzag(numbers[i])) == numbers[i]);
	assert_int_equal(zigzag(-1), 1);
	assert_true(zigzag(INT64_MIN) == UINT64_MAX);
	memset(too_long, 0x80, sizeof(too_long));
	too_long[10] = 0;
	assert_null(varint_get(too_long, too_long + 11, &v));
	too_long[9] = 0;
	assert_ptr_equal(varint_get(too_long, too_long + 11, &v), too_long + 10);
}

/* ---- order ---- */

static void test_sort(void **state)
{
	enum { N = 1000 };
	uint64_t x = 88172645463325252u;
	unsigned range, i, n;

	(void)state;
	for (n = 0; n <= N; n = n * 2 + 1) {
		for (range = 1; range <= 10000; range *= 10) {
			struct row_list list = { .rows = calloc(n + 1, sizeof(struct row)), .cnt = n,
						 .cap = n + 1 };

			assert_non_null(list.rows);
			for (i = 0; i < n; i++) {
				x ^= x << 13;
				x ^= x >> 7;
				x ^= x << 17;
				list.rows[i].key = (int64_t)(x % range) + (i % 100 > 50 ? i : 0);
				list.rows[i].off = i;
			}
			assert_int_equal(rows_sort(&list), 0);
			assert_int_equal(list.cnt, n);
			for (i = 1; i < n; i++) {
				assert_true(list.rows[i - 1].key <= list.rows[i].key);
				if (list.rows[i - 1].key == list.rows[i].key)
					assert_true(list.rows[i - 1].off < list.rows[i].off);
			}
			row_list_fini(&list);
		}
	}
}

/* ---- clock ---- */

#define S INT64_C(1000000000)

static void test_clock_interpolates(void **state)
{
	struct clock_map m = { 0 };
	int64_t min, max;

	(void)state;
	assert_int_equal(clock_map_ns(&m, 5), 5);
	assert_int_equal(clock_map_add(&m, 0, 1000 * S, 50), 0);
	assert_int_equal(clock_map_ns(&m, -7), 1000 * S - 7);
	assert_int_equal(clock_map_ns(&m, 7), 1000 * S + 7);
	assert_int_equal(clock_map_add(&m, S, 1001 * S + 100000, 50), 0); /* 100 ppm fast */
	assert_int_equal(clock_map_add(&m, S, 5 * S, 50), 0);	       /* not later: ignored */
	assert_int_equal(m.cnt, 2);
	assert_int_equal(clock_map_ns(&m, S / 2), 1000 * S + S / 2 + 50000);
	assert_int_equal(clock_map_ns(&m, S), 1001 * S + 100000);
	/* outside: at the same rate */
	assert_int_equal(clock_map_ns(&m, 2 * S), 1002 * S + 200000);
	assert_int_equal(clock_map_ns(&m, -S), 999 * S - 100000);
	assert_int_equal(clock_map_duration(&m, S / 2, 1000000), 1000100);
	clock_map_range(&m, 0, 2 * S, &min, &max);
	assert_int_equal(min, 1000 * S);
	assert_int_equal(max, 1002 * S + 200000);
	clock_map_fini(&m);
}

static void test_clock_steps(void **state)
{
	struct clock_map m = { 0 };
	int64_t min, max;

	(void)state;
	assert_int_equal(clock_map_add(&m, 0, 1000 * S, 50), 0);
	assert_int_equal(clock_map_add(&m, S, 1001 * S, 50), 0);
	assert_int_equal(clock_map_add(&m, 2 * S, 902 * S, 50), 0); /* set back by 100 s */
	assert_int_equal(clock_map_add(&m, 3 * S, 903 * S, 50), 0);
	assert_int_equal(clock_map_ns(&m, S + S / 2), 1001 * S + S / 2);
	assert_int_equal(clock_map_ns(&m, 2 * S - 1), 1002 * S - 1);
	assert_int_equal(clock_map_ns(&m, 2 * S), 902 * S);
	assert_int_equal(clock_map_ns(&m, 4 * S), 904 * S);
	assert_int_equal(clock_map_duration(&m, S + S / 2, 1000), 1000);
	clock_map_range(&m, S, 3 * S, &min, &max);
	assert_int_equal(min, 902 * S);
	assert_int_equal(max, 1002 * S - 1);
	/* 100 ppm fast, then set again: up to the step it goes on as fast */
	assert_int_equal(clock_map_add(&m, 4 * S, 904 * S + 100000, 50), 0);
	assert_int_equal(clock_map_add(&m, 5 * S, 2000 * S, 50), 0);
	assert_int_equal(clock_map_ns(&m, 4 * S + S / 2), 904 * S + S / 2 + 150000);
	assert_int_equal(clock_map_ns(&m, 5 * S), 2000 * S);
	clock_map_fini(&m);
}

static void test_clock_extremes(void **state)
{
	struct clock_map m = { 0 };

	(void)state;
	assert_int_equal(clock_map_add(&m, -(INT64_C(1) << 62), -(INT64_C(1) << 62), UINT32_MAX), 0);
	assert_int_equal(clock_map_add(&m, 0, INT64_C(1) << 62, UINT32_MAX), 0);
	assert_int_equal(clock_map_add(&m, INT64_C(1) << 62, -(INT64_C(1) << 62), 0), 0);
	assert_int_equal(clock_map_add(&m, INT64_MAX, 0, 0), 0);
	assert_int_equal(m.cnt, 3);
	assert_true(clock_map_ns(&m, INT64_MAX) > -(INT64_C(1) << 62));
	assert_int_equal(clock_map_ns(&m, (INT64_C(1) << 62) - 1), INT64_MAX);
	assert_int_equal(clock_map_ns(&m, INT64_MIN), INT64_MIN);
	assert_true(clock_map_duration(&m, 0, UINT64_MAX) == UINT64_MAX);
	clock_map_fini(&m);
}

static void test_clock_coarse_tick(void **state)
{
	struct clock_map m = { .tick_ns = 1000000 };

	(void)state;
	assert_int_equal(clock_map_add(&m, 0, 1000 * S, 50), 0);
	assert_int_equal(clock_map_add(&m, 1000, 1001 * S, 50), 0);
	assert_int_equal(clock_map_ns(&m, 500), 1000 * S + S / 2);
	assert_int_equal(clock_map_ns(&m, 1500), 1001 * S + S / 2);
	assert_int_equal(clock_map_duration(&m, 500, 3), 3000000);
	clock_map_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_example_cut),
		cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_record_without_thread),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_clock_interpolates),
		cmocka_unit_test(test_clock_steps),
		cmocka_unit_test(test_clock_extremes),
		cmocka_unit_test(test_clock_coarse_tick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
