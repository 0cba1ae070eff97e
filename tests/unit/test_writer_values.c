/* SPDX-License-Identifier: BSD-2-Clause */
/* test_writer_values.c - what goes into a writer comes out of a reader: records of all types of
 * arguments and of spans, by many sites and threads, with flushes, blocks and seals in between. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock_pair.h"
#include "file_helper.h"
#include "reader.h"
#include "writer.h"

#define SITES 60u
#define THREADS 4u
#define WALL_NS INT64_C(1700000000000000000)

static uint64_t seed;

static uint64_t random_next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t below(uint64_t n)
{
	return (random_next() >> 11) % n;
}

struct site {
	struct writer_format format;
	char text[32];
	uint64_t counter[QSLOG_ARGS_MAX];
};

struct kept {
	uint32_t thread, site, words;
	uint64_t *record;
};

struct all {
	struct site sites[SITES];
	struct kept *kept;
	uint32_t cnt, cap;
	uint64_t time;
	uint64_t entered[THREADS];
};

static void sites_make(struct all *a)
{
	uint32_t i, k;

	for (i = 0; i < SITES; i++) {
		struct site *s = &a->sites[i];

		snprintf(s->text, sizeof(s->text), "site %u", i);
		s->format = (struct writer_format){
			.kind = i % 9 == 8 ? QSLOG_SITE_SPAN : QSLOG_SITE_LOG, .level = (uint8_t)(i % 6),
			.arg_cnt = i == 7 ? QSLOG_ARGS_MAX : (uint8_t)below(6), .line = i, .tag = "t",
			.file = "f.c", .function = "f", .format = s->text,
			.name = i % 9 == 8 ? "n" : NULL };
		for (k = 0; k < s->format.arg_cnt; k++)
			s->format.types[k] = (uint8_t)below(QSLOG_ARG_TYPE_COUNT);
	}
}

/* Each argument of each site has numbers of its own kind, so that every way to store them is used. */
static uint64_t number(struct site *s, uint32_t site, uint32_t arg)
{
	static const uint64_t wide[] = { 0x123456789abcdef0, 0xfedcba9876543210, 77, 1ull << 40, 5 };
	const uint64_t r = random_next();
	double d;

	switch ((site * 5 + arg) % 10) {
	case 0:
		return 42;
	case 1:
		return s->counter[arg] += 4096;
	case 2:
		return r >> r % 64;
	case 3:
		return below(20) ? 0 : r >> 40;
	case 4:
		return wide[below(5)];
	case 5:
		return 0 - below(1000);
	case 6:
		d = (double)(int64_t)below(100000) / 100;
		memcpy(&s->counter[arg], &d, sizeof(d));
		return s->counter[arg];
	case 7:
		return UINT64_MAX >> below(64);
	case 8:
		return ~(UINT64_MAX >> below(64));
	default:
		return r;
	}
}

static uint64_t *text_put(uint64_t *at, uint32_t site, uint32_t arg)
{
	static const uint32_t lengths[] = { 0, 1, 7, 8, 9, 15, 16, 17, 24, 31, 300 };
	uint64_t len = lengths[below(11)], real, i;
	char text[320];

	if (!below(12)) {
		*at = (uint64_t)QSLOG_STR_NULL << 32;
		return at + 1;
	}
	for (i = 0; i < len; i++)
		text[i] = (char)(site % 3 ? 'a' + (i * 7 + site) % 26 : below(256));
	if (len && arg % 2)
		text[len - 1] = (char)('0' + below(10)); /* different in the last byte only */
	real = below(9) ? len : len + 1 + below(1000);
	*at++ = len | real << 32;
	if (len % 8)
		at[len / 8] = random_next(); /* what is behind a string is anything */
	memcpy(at, text, len);
	return at + (len + 7) / 8;
}

static uint32_t record_make(struct all *a, uint64_t *words, uint32_t site, uint32_t thread)
{
	struct site *s = &a->sites[site];
	uint64_t *at = words + 2;
	uint32_t k;

	words[0] = 0;
	words[1] = a->time += 1 + below(below(20) ? 1000 : 100000000);
	if (s->format.kind == QSLOG_SITE_SPAN && below(2)) {
		words[0] = QSLOG_RECORD_EXIT;
		*at++ = a->entered[thread];
		return (uint32_t)(at - words);
	}
	a->entered[thread] = words[1];
	for (k = 0; k < s->format.arg_cnt; k++) {
		if (s->format.types[k] == QSLOG_ARG_STR || s->format.types[k] == QSLOG_ARG_BYTES)
			at = text_put(at, site, k);
		else
			*at++ = number(s, site, k);
	}
	return (uint32_t)(at - words);
}

static void keep(struct all *a, const uint64_t *words, uint32_t cnt, uint32_t site, uint32_t thread)
{
	struct kept *k;

	if (a->cnt == a->cap) {
		a->cap = a->cap ? a->cap * 2 : 1024;
		a->kept = realloc(a->kept, a->cap * sizeof(*a->kept));
		assert_non_null(a->kept);
	}
	k = &a->kept[a->cnt++];
	k->record = malloc(cnt * sizeof(*words));
	assert_non_null(k->record);
	memcpy(k->record, words, cnt * sizeof(*words));
	k->words = cnt;
	k->site = site;
	k->thread = thread;
}

static void value_compare(const struct record_value *v, uint8_t type, const uint64_t *slot)
{
	const uint32_t stored = (uint32_t)*slot, real = (uint32_t)(*slot >> 32);

	assert_int_equal(v->type, type);
	switch ((enum qslog_arg_type)type) {
	case QSLOG_ARG_BOOL:
		assert_int_equal(v->u, *slot != 0);
		break;
	case QSLOG_ARG_CHAR:
	case QSLOG_ARG_UINT8:
		assert_int_equal(v->u, *slot & 0xff);
		break;
	case QSLOG_ARG_FLOAT:
		assert_memory_equal(&v->f, slot, 4);
		break;
	case QSLOG_ARG_DOUBLE:
		assert_memory_equal(&v->d, slot, 8);
		break;
	case QSLOG_ARG_STR:
	case QSLOG_ARG_BYTES:
		if (real == QSLOG_STR_NULL) {
			assert_null(v->bytes);
			break;
		}
		assert_int_equal(v->len, stored);
		assert_int_equal(v->real_len, real);
		assert_memory_equal(v->bytes, slot + 1, stored);
		break;
	default:
		assert_int_equal(v->u, *slot);
		break;
	}
}

static void record_compare(const struct all *a, const struct record *r, const struct kept *k)
{
	const struct site *s = &a->sites[k->site];
	const bool leaves = (k->record[0] & QSLOG_RECORD_EXIT) != 0;
	const uint64_t *slot = k->record + 2;
	uint32_t i;

	assert_int_equal(r->kind, s->format.kind == QSLOG_SITE_LOG ? RECORD_LOG :
				  leaves ? RECORD_SPAN_EXIT : RECORD_SPAN_ENTER);
	assert_int_equal(r->thread->tid, 100 + k->thread);
	assert_int_equal(r->time_ns, WALL_NS + (int64_t)k->record[1]);
	assert_string_equal(r->format->format, s->text);
	if (leaves) {
		assert_int_equal(r->duration_ns, k->record[1] - k->record[2]);
		return;
	}
	assert_int_equal(r->value_cnt, s->format.arg_cnt);
	for (i = 0; i < r->value_cnt; i++) {
		value_compare(&r->values[i], s->format.types[i], slot);
		if ((r->values[i].type == QSLOG_ARG_STR || r->values[i].type == QSLOG_ARG_BYTES) &&
		    *slot >> 32 != QSLOG_STR_NULL)
			slot += ((uint32_t)*slot + 7) / 8;
		slot++;
	}
}

static void all_compare(const struct all *a, const char *path)
{
	const struct record *record;
	struct reader *reader;
	uint32_t i;

	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	for (i = 0; i < a->cnt; i++) {
		assert_int_equal(reader_next(reader, &record), 1);
		record_compare(a, record, &a->kept[i]);
	}
	assert_int_equal(reader_next(reader, &record), 0);
	reader_close(reader);
}

/* `flushes`: in 10,000 records. In between what is in the file and its tail is read, too. */
static void there_and_back(uint32_t records, uint32_t block_bytes, uint32_t flushes, uint32_t sites,
			   bool seal_thread)
{
	static const struct clock_scale scale = { .mult = UINT64_C(1) << 32, .hz = 1000000000,
						  .kind = FILE_COUNTER_MONOTONIC };
	static const struct clock_pair pair = { 0, WALL_NS, 0 };
	struct writer_options options = { .block_bytes = block_bytes, .tail = flushes != 0,
					  .scale = &scale, .pairs = &pair, .pair_cnt = 1,
					  .pairs_only = true, .seal_thread = seal_thread };
	const struct writer_process process = { .pid = 7, .name = "p", .exe = "", .command = "" };
	static uint64_t words[4096];
	struct all a = { 0 };
	uint32_t i, thread = 0, cnt, site;
	struct writer *w;
	char path[256];

	snprintf(path, sizeof(path), "%s/values.qslog", helper_dir());
	options.path = path;
	sites_make(&a);
	assert_int_equal(writer_open(&w, &options), 0);
	assert_int_equal(writer_process_add(w, &process), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(writer_thread_add(w, 0, 100 + i, i + 1, "t"), (int)i);
	for (i = 0; i < SITES; i++)
		assert_int_equal(writer_format_add(w, 0, &a.sites[i].format), (int)i);
	for (i = 0; i < records; i++) {
		if (!below(40))
			thread = (uint32_t)below(THREADS);
		site = (uint32_t)below(sites);
		cnt = record_make(&a, words, site, thread);
		assert_int_equal(writer_record(w, thread, site, words, cnt * 8), 0);
		keep(&a, words, cnt, site, thread);
		if (below(10000) < flushes)
			assert_int_equal(writer_flush(w), 0);
		if (flushes && !below(records / 2)) {
			assert_int_equal(writer_flush(w), 0);
			all_compare(&a, path);
		}
	}
	assert_int_equal(writer_close(w, NULL), 0);
	all_compare(&a, path);
	unlink(path);
	for (i = 0; i < a.cnt; i++)
		free(a.kept[i].record);
	free(a.kept);
}

static void test_values(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 12; i++) {
		seed = 1000 + i;
		there_and_back(i % 3 ? 6000 : 30000, i % 2 ? 0 : 64u << 10, i % 4 ? 20 * i : 0,
			       i % 5 ? SITES : 3, i % 3 == 1);
	}
}

/* Records that do not fit to their format are refused, and leave nothing behind. */
static void test_refused(void **state)
{
	const struct writer_format number = { .tag = "t", .file = "f", .function = "f", .format = "{}",
					      .arg_cnt = 1, .types = { QSLOG_ARG_UINT64 } };
	struct writer_format texts = number;
	uint64_t words[16] = { 0 };
	struct made_file f;
	int plain, strings;
	uint32_t i;

	(void)state;
	texts.arg_cnt = 2;
	texts.types[0] = texts.types[1] = QSLOG_ARG_STR;
	made_file_open(&f, "refused", 0, false);
	plain = writer_format_add(f.w, (uint32_t)f.process, &number);
	strings = writer_format_add(f.w, (uint32_t)f.process, &texts);
	assert_true(plain >= 0 && strings >= 0);
	for (i = 0; i < 100; i++) {
		words[0] = 0;
		words[1] = i;
		words[2] = i;
		assert_int_equal(writer_record(f.w, (uint32_t)f.thread, (uint32_t)plain, words, 24), 0);
		assert_int_equal(writer_record(f.w, (uint32_t)f.thread, (uint32_t)plain, words, 16), -EBADMSG);
		assert_int_equal(writer_record(f.w, (uint32_t)f.thread, (uint32_t)plain, words, 32), -EBADMSG);
		words[0] = QSLOG_RECORD_EXIT; /* of a log */
		assert_int_equal(writer_record(f.w, (uint32_t)f.thread, (uint32_t)plain, words, 24), -EBADMSG);
		words[0] = 0;
		words[2] = 8 | 8ull << 32; /* the first is good, and new */
		words[3] = 0x6161616161616161 + i;
		words[4] = 9 | 9ull << 32; /* the second ends behind the record */
		assert_int_equal(writer_record(f.w, (uint32_t)f.thread, (uint32_t)strings, words, 48), -EBADMSG);
		words[4] = 8 | 7ull << 32; /* more than there was */
		assert_int_equal(writer_record(f.w, (uint32_t)f.thread, (uint32_t)strings, words, 48), -EBADMSG);
		words[4] = 1 | (uint64_t)QSLOG_STR_NULL << 32;
		assert_int_equal(writer_record(f.w, (uint32_t)f.thread, (uint32_t)strings, words, 40), -EBADMSG);
	}
	assert_int_equal(made_file_close(&f).records, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, helper_setup, helper_teardown);
}
