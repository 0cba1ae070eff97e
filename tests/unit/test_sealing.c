// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_sealing.c - blocks that another thread packs: the file is the same as without, and what a flush
 * has returned for is readable, also while a block is being packed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counter.h"
#include "file_helper.h"
#include "seal_thread.h"

#define RECORDS 200000u

static const uint8_t types[] = {QSLOG_ARG_UINT64};

static uint64_t value_of(uint64_t i)
{
	return (i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> (i % 40);
}

static void append(struct made_file *f, int format, uint64_t start, uint64_t from, uint64_t to)
{
	for (; from < to; from++)
		made_u64(f, f->thread, format, start + from * 100, value_of(from));
}

/* All that it reads; `lines` is to be freed. */
static char *written(const char *name, bool threaded, uint64_t start, struct read_result *got)
{
	struct writer_options options = {.block_bytes = 64u << 10, .seal_thread = threaded};
	struct writer_totals totals;
	struct made_file f;
	int format;

	made_file_open_options(&f, name, &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, types);
	append(&f, format, start, 0, RECORDS / 2);
	assert_int_equal(writer_loss(f.w, (uint32_t)f.thread, LOSS_ARENA_FULL, 3), 0);
	writer_totals_get(f.w, &totals);
	assert_int_equal(totals.records, RECORDS / 2); /* those that are being packed included */
	append(&f, format, start, RECORDS / 2, RECORDS);
	totals = made_file_close(&f);
	assert_int_equal(totals.records, RECORDS);
	file_read(got, f.path, NULL);
	assert_int_equal(got->open_error | got->error, 0);
	assert_int_equal(got->damages, 0);
	assert_int_equal(got->totals.blocks, totals.blocks);
	assert_true(got->totals.blocks > 10);
	return got->lines;
}

/* Without the wall time, of which each file has its own pairs. */
static void test_same_as_without(void **state)
{
	struct read_result with, without;
	const uint64_t start = counter_now();

	(void)state;
	if (!seal_thread_worth()) {
		print_message("skipped: there is one processor\n");
		skip();
	}
	(void)written("with", true, start, &with);
	(void)written("without", false, start, &without);
	assert_int_equal(with.totals.blocks, without.totals.blocks);
	assert_int_equal(with.totals.lost, 3);
	assert_int_equal(with.cnt, without.cnt);
	assert_int_equal(with.lines_len, without.lines_len);
	assert_memory_equal(with.lines, without.lines, with.lines_len);
	read_result_fini(&with);
	read_result_fini(&without);
}

/* A block is full every 4,000 records or so: often one is being packed when a flush comes. */
static void test_flushes(void **state)
{
	struct writer_options options = {.block_bytes = 64u << 10, .seal_thread = true, .tail = true};
	const uint64_t start = counter_now();
	unsigned int packing = 0;
	struct read_result got;
	struct made_file f;
	uint64_t n = 0;
	int format;

	(void)state;
	made_file_open_options(&f, "flushes", &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, types);
	while (n < RECORDS) {
		append(&f, format, start, n, n + 1777);
		n += 1777;
		packing += writer_sealing(f.w);
		assert_int_equal(writer_flush(f.w), 0);
		assert_false(writer_sealing(f.w));
		if (n % 5)
			continue;
		file_read(&got, f.path, NULL);
		assert_int_equal(got.damages, 0);
		assert_int_equal(got.totals.records, n);
		read_result_fini(&got);
	}
	print_message("%u flushes came while a block was being packed\n", packing);
	assert_int_equal(made_file_close(&f).records, n);
	assert_int_equal(access(f.tail, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_without),
		cmocka_unit_test(test_flushes),
	};

	return cmocka_run_group_tests(tests, helper_setup, helper_teardown);
}
