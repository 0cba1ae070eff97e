/* SPDX-License-Identifier: BSD-2-Clause */
/* test_strings.c - string arguments as they lie in a record: every short length, at every place in
 * memory, in front of a page that must not be touched, and with other bytes behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define QSLOG_TAG "strings"
#include "qslog.h"

#define LEN_MAX 80
#define PLACES 33

static char *page, *page_end;

static int pages_map(void **state)
{
	const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	page = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || mprotect(page + bytes, bytes, PROT_NONE))
		return -1;
	page_end = page + bytes;
	qslog_priv_control.words[QSLOG_WORD_INFO] |= 1; /* as if a tracer were attached */
	return 0;
}

/* The newest record of this thread, which has `bytes` bytes. */
static const uint64_t *record_last(uint64_t bytes)
{
	const struct qslog_arena *arena = qslog_priv_arena;
	const uint64_t at = arena->head - bytes;

	assert_int_equal(arena->head, arena->reserve);
	return (const uint64_t *)(const void *)((const char *)arena + QSLOG_ARENA_HEADER_BYTES +
						(at & arena->mask));
}

/* Slot and bytes at `words`, one integer behind them. */
static void text_check(const uint64_t *words, const char *text, uint64_t len, uint64_t behind)
{
	const uint64_t stored = (len + 7) / 8;
	char expected[LEN_MAX + 8] = "";

	memcpy(expected, text, len);
	assert_int_equal(words[0], len | len << 32);
	assert_memory_equal(words + 1, expected, stored * 8); /* the rest is zeros */
	assert_int_equal(words[1 + stored], behind);
}

static void one_check(const char *text, uint64_t len)
{
	const uint64_t bytes = QSLOG_RECORD_HEADER_BYTES + 16 + (len + 7) / 8 * 8;
	static uint64_t marker;
	const uint64_t *record;

	marker++;
	QSLOGI("{} {}", text, marker);
	record = record_last(bytes);
	assert_int_equal(record[0] >> QSLOG_RECORD_SIZE_SHIFT & QSLOG_RECORD_SIZE_MASK, bytes / 8);
	text_check(record + 2, text, len, marker);

	marker++;
	QSLOGI("{} {}", qslog_strn(text, len), marker);
	record = record_last(bytes);
	assert_int_equal(record[0] >> QSLOG_RECORD_SIZE_SHIFT & QSLOG_RECORD_SIZE_MASK, bytes / 8);
	text_check(record + 2, text, len, marker);
}

static void letters_fill(char *at, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		at[i] = (char)('a' + (i + len) % 26);
	at[len] = '\0';
}

/* What follows the end, ends it again, or does not. */
static void lengths_and_places(void **state)
{
	static const char behind[] = {'\0', 'x', '\x80', '\x01'};
	uint64_t len, place, i;

	(void)state;
	for (i = 0; i < sizeof(behind); i++)
		for (place = 0; place < PLACES; place++)
			for (len = 0; len <= LEN_MAX; len++) {
				memset(page, behind[i], 256);
				letters_fill(page + place, len);
				one_check(page + place, len);
			}
}

static void page_ends(void **state)
{
	uint64_t len;

	(void)state;
	for (len = 0; len <= LEN_MAX; len++) {
		letters_fill(page_end - len - 1, len);
		one_check(page_end - len - 1, len);
	}
}

/* Up to the last byte that there is, without a NUL. */
static void page_ends_without_nul(void **state)
{
	uint64_t len;

	(void)state;
	for (len = 1; len <= LEN_MAX; len++) {
		const uint64_t bytes = QSLOG_RECORD_HEADER_BYTES + 16 + (len + 7) / 8 * 8;

		letters_fill(page_end - len - 1, len);
		memmove(page_end - len, page_end - len - 1, len);
		QSLOGI("{} {}", qslog_strn(page_end - len, len), len);
		text_check(record_last(bytes) + 2, page_end - len, len, len);
	}
}

static void two_in_a_record(void **state)
{
	char a[LEN_MAX + 1], b[LEN_MAX + 1];
	uint64_t x, y;

	(void)state;
	for (x = 0; x < 40; x++)
		for (y = 0; y < 40; y++) {
			const uint64_t first = (x + 7) / 8 * 8, second = (y + 7) / 8 * 8;
			const uint64_t *record;

			letters_fill(a, x);
			letters_fill(b, y);
			QSLOGI("{} {} {}", a, b, x);
			record = record_last(QSLOG_RECORD_HEADER_BYTES + 24 + first + second);
			text_check(record + 2, a, x, y | y << 32);
			text_check(record + 3 + first / 8, b, y, x);
		}
}

static void null_and_empty(void **state)
{
	const char *volatile none = NULL;
	const char *volatile empty = "";
	const uint64_t *record;

	(void)state;
	QSLOGI("{} {}", none, 7);
	record = record_last(QSLOG_RECORD_HEADER_BYTES + 16);
	assert_int_equal(record[2], (uint64_t)QSLOG_STR_NULL << 32);
	assert_int_equal(record[3], 7);
	QSLOGI("{} {}", empty, 8);
	record = record_last(QSLOG_RECORD_HEADER_BYTES + 16);
	assert_int_equal(record[2], 0);
	assert_int_equal(record[3], 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_and_places),
		cmocka_unit_test(page_ends),
		cmocka_unit_test(page_ends_without_nul),
		cmocka_unit_test(two_in_a_record),
		cmocka_unit_test(null_and_empty),
	};

	return cmocka_run_group_tests(tests, pages_map, NULL);
}
