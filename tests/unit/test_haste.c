// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_haste.c - a writer that is behind writes larger blocks rather than lose records: when haste
 * begins and ends, and that it keeps up with what packing cannot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "counter.h"
#include "file_helper.h"
#include "haste.h"

static void test_begins_and_ends(void **state)
{
	struct haste h = {0};

	(void)state;
	assert_false(haste_before(&h, 0));
	assert_false(haste_before(&h, HASTE_FROM - 1));
	assert_true(haste_before(&h, HASTE_FROM));
	assert_true(haste_before(&h, HASTE_UNTIL)); /* it has not caught up */
	assert_false(haste_before(&h, HASTE_UNTIL - 1));
	haste_after(&h, HASTE_FROM - 1);
	assert_false(haste_before(&h, HASTE_UNTIL));
	haste_after(&h, HASTE_FROM); /* packing alone took that long */
	assert_true(haste_before(&h, 0));
}

/* Blocks that are not packed, where the ring is empty before each but full after one was packed. */
static unsigned int lasts(struct haste *h)
{
	unsigned int blocks = 0;

	assert_false(haste_before(h, 0));
	haste_after(h, 100);
	while (haste_before(h, 0))
		blocks++;
	h->packed--; /* of the next call's own */
	return blocks;
}

static void test_lasts_longer_where_it_comes_again(void **state)
{
	struct haste h = {0};
	unsigned int i, blocks, before = lasts(&h);

	(void)state;
	assert_int_equal(before, 1);
	for (i = 0; i < 10; i++, before = blocks) {
		blocks = lasts(&h);
		assert_int_equal(blocks, before * 2 < HASTE_LEAST_MAX ? before * 2 : HASTE_LEAST_MAX);
	}
	for (i = 0; i < HASTE_SOON; i++) /* a quiet time */
		assert_false(haste_before(&h, 0));
	assert_int_equal(lasts(&h), 1);
}

/* ---- a ring, in a time of its own ---- */

#define RECORDS 600000u
#define ROOM 60000u /* records in the ring */
#define TAKE_NS 50u /* of a record, into the rows */
#define PACK_NS 100u /* of a record, into columns */

struct ring {
	uint64_t now_ns, every_ns; /* a record comes */
	uint64_t taken, lost;
	uint64_t asked_at, sealed; /* taken by then: when it was asked, and by the block before */
	bool says; /* how full it is */
};

static uint64_t waiting(struct ring *r)
{
	uint64_t arrived = r->now_ns / r->every_ns, there;

	if (arrived > RECORDS)
		arrived = RECORDS;
	there = arrived - r->taken - r->lost;
	if (there > ROOM) {
		r->lost += there - ROOM;
		there = ROOM;
	}
	return there;
}

/* Asked before a block is sealed, and again once it was packed. */
static unsigned int ring_backlog(void *arg)
{
	struct ring *r = arg;

	if (r->asked_at == r->taken)
		r->now_ns += (r->taken - r->sealed) * PACK_NS;
	else
		r->sealed = r->asked_at;
	r->asked_at = r->taken;
	return r->says ? (unsigned int)(waiting(r) * 100 / ROOM) : 0;
}

static struct writer_totals replay(struct ring *r, const char *name)
{
	const uint8_t types[] = {QSLOG_ARG_UINT64};
	struct writer_options options = {.block_bytes = 64u << 10, .backlog = ring_backlog,
					 .backlog_arg = r};
	const uint64_t counter = counter_now();
	struct writer_totals totals;
	struct read_result result;
	struct made_file f;
	int format;

	made_file_open_options(&f, name, &options);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, types);
	while (r->taken + r->lost < RECORDS) {
		if (!waiting(r)) {
			r->now_ns += r->every_ns;
			continue;
		}
		r->taken++;
		made_u64(&f, f.thread, format, counter + r->taken, r->taken);
		r->now_ns += TAKE_NS;
	}
	totals = made_file_close(&f);
	assert_int_equal(totals.records, r->taken);
	file_read(&result, f.path, NULL);
	assert_int_equal(result.error | result.open_error, 0);
	assert_int_equal(result.damages, 0);
	assert_int_equal(result.totals.records, r->taken);
	assert_int_equal(result.totals.blocks, totals.blocks);
	assert_int_equal(result.totals.blocks_hasty, totals.blocks_hasty);
	read_result_fini(&result);
	return totals;
}

/* Packing takes 150 ns a record, and one comes every 100. */
static void test_keeps_up(void **state)
{
	struct ring deaf = {.every_ns = 100}, r = {.every_ns = 100, .says = true};
	struct writer_totals packed, hasty;

	(void)state;
	packed = replay(&deaf, "packed.qslog");
	hasty = replay(&r, "hasty.qslog");
	print_message("packed: %llu of %u lost; else %llu of %llu blocks not packed\n",
		      (unsigned long long)deaf.lost, RECORDS,
		      (unsigned long long)hasty.blocks_hasty, (unsigned long long)hasty.blocks);
	assert_int_equal(packed.blocks_hasty, 0);
	assert_true(deaf.lost > RECORDS / 10);
	assert_int_equal(r.lost, 0);
	assert_true(hasty.blocks_hasty > 0);
	assert_true(hasty.blocks_hasty < hasty.blocks * 3 / 4);
}

static void test_not_without_need(void **state)
{
	struct ring r = {.every_ns = 200, .says = true};

	(void)state;
	assert_int_equal(replay(&r, "slow.qslog").blocks_hasty, 0);
	assert_int_equal(r.lost, 0);
}

/* ---- rows that were never in columns ---- */

static void string_slot(struct made_record *r, uint64_t i)
{
	const char text[] = "some text that is not so short";

	if (i % 7 == 0)
		made_null(r);
	else
		made_text(r, text, (uint32_t)(i % sizeof(text)), (uint32_t)(i % sizeof(text) + (i % 5 == 0)));
}

/* Every type, spans, two threads, losses; five blocks or so. */
static struct writer_totals mixed(const char *name, uint64_t start, bool behind,
				  struct read_result *result)
{
	static const uint8_t all[] = {QSLOG_ARG_BOOL, QSLOG_ARG_CHAR, QSLOG_ARG_UINT8, QSLOG_ARG_UINT64,
				      QSLOG_ARG_FLOAT, QSLOG_ARG_DOUBLE, QSLOG_ARG_STR, QSLOG_ARG_INT64,
				      QSLOG_ARG_POINTER, QSLOG_ARG_BYTES};
	struct writer_options options = {.block_bytes = 64u << 10, .tail = true};
	struct writer_totals totals;
	struct made_record r;
	struct made_file f;
	int logs, spans, other;
	uint64_t i, v;
	unsigned k;

	made_behind = behind;
	made_file_open_options(&f, name, &options);
	made_behind = false;
	logs = made_format(&f, "{}", QSLOG_LEVEL_WARN, 10, all);
	spans = made_span(&f, "span", 1, all + 6);
	other = writer_thread_add(f.w, (uint32_t)f.process, 99, 2, "other");
	for (i = 0; i < 4000; i++) {
		const int thread = i % 16 < 12 ? f.thread : other;

		v = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> i % 64;
		made_begin(&r, start + i * 1000);
		for (k = 0; k < 10; k++) {
			if (all[k] == QSLOG_ARG_STR || all[k] == QSLOG_ARG_BYTES)
				string_slot(&r, i + k);
			else
				made_slot(&r, v >> k);
		}
		assert_int_equal(writer_record(f.w, (uint32_t)thread, (uint32_t)logs, r.words,
					       made_end(&r, false)), 0);
		made_begin(&r, start + i * 1000 + 300);
		if (i % 2)
			made_slot(&r, start + (i - 1) * 1000 + 300);
		else
			string_slot(&r, i);
		assert_int_equal(writer_record(f.w, (uint32_t)thread, (uint32_t)spans, r.words,
					       made_end(&r, i % 2)), 0);
		if (i % 100 == 0)
			assert_int_equal(writer_loss(f.w, (uint32_t)thread, LOSS_ARENA_FULL, i + 1), 0);
		if (i % 333 == 0)
			assert_int_equal(writer_flush(f.w), 0);
	}
	totals = made_file_close(&f);
	file_read(result, f.path, NULL);
	assert_int_equal(result->error | result->open_error, 0);
	assert_int_equal(result->damages, 0);
	return totals;
}

static void test_same_records(void **state)
{
	const uint64_t start = counter_now();
	struct writer_totals packed, plain;
	struct read_result a, b;

	(void)state;
	packed = mixed("mixed-packed", start, false, &a);
	plain = mixed("mixed-plain", start, true, &b);
	assert_int_equal(packed.blocks_hasty, 0);
	assert_true(plain.blocks_hasty > 3);
	assert_in_range(plain.text_bytes, packed.text_bytes * 9 / 10, packed.text_bytes * 11 / 10); /* estimates */
	assert_int_equal(plain.lost, packed.lost);
	assert_string_equal(a.lines, b.lines);
	read_result_fini(&a);
	read_result_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_and_ends),
		cmocka_unit_test(test_lasts_longer_where_it_comes_again),
		cmocka_unit_test(test_keeps_up),
		cmocka_unit_test(test_not_without_need),
		cmocka_unit_test(test_same_records),
	};

	return cmocka_run_group_tests(tests, helper_setup, helper_teardown);
}
