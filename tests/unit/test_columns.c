/* SPDX-License-Identifier: BSD-2-Clause */
/* test_columns.c - rows become columns and come back byte by byte, whatever they hold; what is
 * damaged, or lies about its lengths, is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "columns_block.h"
#include "columns_encode.h"
#include "columns_in.h"
#include "reader.h"
#include "rows_encode.h"
#include "varint.h"
#include "writer.h"

#define FORMATS 80u /* more than have a number in the first byte */
#define THREADS 5u

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

/* ---- making rows ---- */

struct made {
	struct catalog_out catalog;
	struct rows rows;
	struct clock_scale scale;
	struct clock_pair pair;
	uint8_t kinds[FORMATS], arg_cnt[FORMATS], types[FORMATS][QSLOG_ARGS_MAX];
	uint64_t words[4096], counters[FORMATS][QSLOG_ARGS_MAX];
	uint64_t time, span_id;
	uint32_t depth[THREADS];
};

static void made_init(struct made *m)
{
	const struct writer_process process = { .pid = 7, .name = "p", .exe = "/p", .command = "p" };
	uint32_t i, k;

	memset(m, 0, sizeof(*m));
	m->scale.mult = UINT64_C(1) << 32;
	m->scale.kind = FILE_COUNTER_MONOTONIC;
	assert_int_equal(catalog_out_process(&m->catalog, &process), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(catalog_out_thread(&m->catalog, 0, 100 + i, i + 1, "t"), (int)i);
	for (i = 0; i < FORMATS; i++) {
		char text[32];
		struct writer_format f = { .tag = "tag", .file = "f.c", .function = "f",
					   .format = text, .line = i };

		snprintf(text, sizeof(text), "format %u", i);
		m->kinds[i] = i % 10 == 8 ? QSLOG_SITE_SPAN : i % 10 == 9 ? QSLOG_SITE_CONTEXT :
									  QSLOG_SITE_LOG;
		m->arg_cnt[i] = m->kinds[i] == QSLOG_SITE_CONTEXT ? 0 :
				i == 77 ? QSLOG_ARGS_MAX : (uint8_t)below(5);
		for (k = 0; k < m->arg_cnt[i]; k++) {
			m->types[i][k] = (uint8_t)below(QSLOG_ARG_TYPE_COUNT);
			f.types[k] = m->types[i][k];
		}
		f.kind = m->kinds[i];
		f.level = (uint8_t)(i % 6);
		f.arg_cnt = m->arg_cnt[i];
		f.name = f.kind == QSLOG_SITE_LOG ? NULL : "name";
		assert_int_equal(catalog_out_format(&m->catalog, 0, &f), (int)i);
	}
	assert_int_equal(rows_begin(&m->rows, 5, &m->pair), 0);
}

static void made_fini(struct made *m)
{
	catalog_out_fini(&m->catalog);
	rows_fini(&m->rows);
}

/* A number of the kind that this argument of this format has: each column is of another. */
static uint64_t number(struct made *m, uint32_t format, uint32_t arg)
{
	static const uint64_t wide[] = { 0x123456789abcdef0, 0xfedcba9876543210, 77, 1ull << 40 };
	uint64_t *counter = &m->counters[format][arg], r = random_next();

	switch ((format * 3 + arg) % 11) {
	case 0:
		return 42;
	case 1:
		return *counter += 4096;
	case 2:
		return r >> r % 64;
	case 3:
		return below(20) ? 0 : r >> 40;
	case 4:
		return wide[below(4)];
	case 5:
		return 0 - below(1000);
	case 6:
		return below(200) * 1000003;
	case 7:
		return *counter = *counter * 3 + 1;
	case 8:
		return UINT64_C(0x8000000000000000) + below(3) - 1;
	case 9:
		return (*counter += below(100)) << 20;
	default:
		return below(300);
	}
}

static uint32_t text_make(struct made *m, char *text, uint32_t format, uint32_t arg)
{
	uint64_t n = number(m, format, arg), len, i;

	switch ((format + arg) % 8) {
	case 0:
		return (uint32_t)snprintf(text, 64, "10.%u.%u.7:%u", (unsigned)(n % 256),
					  (unsigned)(n / 256 % 256), (unsigned)(n % 65536));
	case 1:
		return (uint32_t)snprintf(text, 64, "part-%05u", (unsigned)(n % 100000));
	case 2:
		return (uint32_t)snprintf(text, 64, "%08lx-%016lX", (unsigned long)(n & 0xffffffff),
					  (unsigned long)n * 3);
	case 3:
		return (uint32_t)snprintf(text, 64, "%lu%lu", (unsigned long)n, (unsigned long)n);
	case 4: /* marks of templates, and anything else */
		len = below(40);
		for (i = 0; i < len; i++)
			text[i] = (char)(below(3) ? 0x0f + below(7) : below(256));
		return (uint32_t)len;
	case 5:
		return (uint32_t)snprintf(text, 64, "user%u", (unsigned)below(9));
	case 6:
		return 0;
	default:
		len = below(8) ? 30 : 3000; /* longer than is looked at for templates */
		memset(text, 'a' + (char)below(26), len);
		memcpy(text + len / 2, "00012", 5);
		return (uint32_t)len;
	}
}

static uint64_t *argument_put(struct made *m, uint64_t *at, uint32_t format, uint32_t arg)
{
	const uint8_t type = m->types[format][arg];
	char text[4096];
	uint64_t len, real;
	double d;

	if (type == QSLOG_ARG_DOUBLE && format % 2) {
		d = (double)(int64_t)below(100000) / 100;
		memcpy(at, &d, sizeof(d));
		return at + 1;
	}
	if (type != QSLOG_ARG_STR && type != QSLOG_ARG_BYTES) {
		*at++ = number(m, format, arg);
		return at;
	}
	len = text_make(m, text, format, arg);
	real = below(16) ? len : below(2) ? len + 1 + below(100) : QSLOG_STR_NULL;
	if (real == QSLOG_STR_NULL)
		len = 0;
	*at++ = len | real << 32;
	memset(at + len / 8, 0, 8);
	memcpy(at, text, len);
	return at + (len + 7) / 8;
}

/* Sets the header's size, and appends it. */
static void record_append(struct made *m, uint32_t thread, uint32_t format, const uint64_t *end,
			  uint64_t flags)
{
	const uint32_t bytes = (uint32_t)(end - m->words) * 8;

	m->words[0] = flags;
	m->words[1] = m->time;
	assert_int_equal(rows_record(&m->rows, &m->catalog, &m->scale, m->catalog.threads[thread],
				     thread, m->catalog.formats[format], m->words, bytes), 0);
}

static void context_append(struct made *m, uint32_t thread, uint32_t format)
{
	uint64_t *at = m->words + 2;

	if (m->depth[thread] && below(2)) {
		*at++ = below(2) ? m->time - below(1000) : 0;
		*at++ = m->depth[thread]--;
		record_append(m, thread, format, at, QSLOG_RECORD_EXIT);
		return;
	}
	*at++ = random_next();
	*at++ = random_next();
	*at++ = random_next();
	*at++ = (uint64_t)++m->depth[thread] << QSLOG_LINE_DEPTH_SHIFT | 1;
	record_append(m, thread, format, at, 0);
}

static void unknown_append(struct made *m)
{
	uint8_t entry[64], *p;

	p = info_extended_put(entry, 100, 20);
	memset(p, 0xee, 20);
	p += 20;
	assert_int_equal(columns_block_verbatim(m->rows.columns, entry, (uint32_t)(p - entry)), 0);
	m->rows.len += (uint32_t)(p - entry);
}

static void record_make(struct made *m, uint32_t thread, uint32_t format)
{
	uint64_t *at = m->words + 2, flags = 0;
	uint32_t i;

	if (m->kinds[format] == QSLOG_SITE_CONTEXT) {
		context_append(m, thread, format);
		return;
	}
	if (m->kinds[format] == QSLOG_SITE_SPAN && below(3) == 0) {
		flags |= QSLOG_RECORD_SPAN_ID;
		*at++ = ++m->span_id + (below(9) ? 0 : random_next());
	}
	if (m->kinds[format] == QSLOG_SITE_SPAN && below(2)) {
		*at++ = m->time - below(5000);
		record_append(m, thread, format, at, flags | QSLOG_RECORD_EXIT);
		return;
	}
	for (i = 0; i < m->arg_cnt[format]; i++)
		at = argument_put(m, at, format, i);
	record_append(m, thread, format, at, flags);
}

/* Some records of a thread, then another. */
static void made_fill(struct made *m, uint32_t records, uint32_t formats, uint64_t gap)
{
	uint32_t thread = 0, i;

	for (i = 0; i < records; i++) {
		if (!below(gap > 100 ? 7 : 200))
			thread = (uint32_t)below(THREADS);
		m->time += below(gap + 1) - (below(50) ? 0 : below(3));
		record_make(m, thread, (uint32_t)below(formats));
		if (!below(300))
			assert_int_equal(rows_loss(&m->rows, &m->catalog, m->catalog.threads[thread],
						   thread, (unsigned)below(7), 1 + below(100),
						   (int64_t)m->time), 0);
		if (!below(200))
			unknown_append(m);
		if (!below(500))
			assert_int_equal(rows_clock(&m->rows, &m->pair), 0);
	}
}

/* ---- there and back ---- */

static int decode(const uint8_t *payload, uint32_t bytes, uint32_t rows_bytes, uint8_t *rows)
{
	static ZSTD_DCtx *zstd;
	struct columns_in c;
	int err;

	if (!zstd)
		zstd = ZSTD_createDCtx();
	assert_non_null(zstd);
	err = columns_in_open(&c, zstd, payload, bytes, rows_bytes);
	if (!err)
		err = columns_in_rows(&c, rows);
	if (err)
		assert_true(err == -EBADMSG && c.what);
	columns_in_close(&c);
	return err;
}

/* What the columns decode to, by the reader's code, and what the writer makes of them itself. */
static void there_and_back(struct columns_encoder *e, struct made *m)
{
	const uint8_t *payload, *rows;
	const uint32_t bytes = m->rows.len;
	uint32_t payload_bytes;
	uint8_t *back = malloc(bytes + COLUMNS_ROWS_SLACK), *copy;

	assert_non_null(back);
	assert_int_equal(columns_encode(e, m->rows.columns, bytes, &payload, &payload_bytes), 0);
	rows = rows_data(&m->rows);
	assert_non_null(rows);
	assert_int_equal(m->rows.data_len, bytes); /* as was counted */
	copy = malloc(payload_bytes); /* so that a sanitizer sees what lies behind it */
	assert_non_null(copy);
	memcpy(copy, payload, payload_bytes);
	assert_int_equal(decode(copy, payload_bytes, bytes, back), 0);
	assert_memory_equal(back, rows, bytes);
	free(copy);
	free(back);
}

static void test_random(void **state)
{
	static const struct {
		uint32_t records, formats;
		uint64_t gap;
	} shapes[] = { { 1, 1, 1 }, { 3, 80, 10 }, { 40, 4, 0 }, { 3000, 80, 1000000 },
		       { 3000, 80, 1 }, { 6000, 12, 50 }, { 20000, 80, 2000 } };
	struct columns_encoder *e = columns_encoder_open(1);
	struct made m;
	unsigned i;

	(void)state;
	assert_non_null(e);
	for (i = 0; i < 4 * sizeof(shapes) / sizeof(shapes[0]); i++) {
		const unsigned k = i % (sizeof(shapes) / sizeof(shapes[0]));

		seed = i * 977 + 1;
		made_init(&m);
		made_fill(&m, shapes[k].records, shapes[k].formats, shapes[k].gap);
		there_and_back(e, &m);
		made_fini(&m);
	}
	columns_encoder_close(e);
}

/* The same again and again, as loops in programs do. */
static void test_repeated(void **state)
{
	struct columns_encoder *e = columns_encoder_open(1);
	struct made m;
	unsigned i, k;

	(void)state;
	assert_non_null(e);
	seed = 5;
	made_init(&m);
	for (i = 0; i < 100; i++) {
		seed = 77;
		memset(m.counters, 0, sizeof(m.counters));
		for (k = 0; k < 200; k++) {
			m.time += 1000;
			record_make(&m, 0, (uint32_t)below(8));
		}
	}
	there_and_back(e, &m);
	made_fini(&m);
	columns_encoder_close(e);
}

/* Rows are made, and columns too, whenever somebody wants them: what comes later is none the worse. */
static void test_in_between(void **state)
{
	struct columns_encoder *e = columns_encoder_open(1);
	struct made m, whole;
	const uint8_t *payload;
	uint32_t bytes, i, before;

	(void)state;
	assert_non_null(e);
	seed = 31;
	made_init(&whole);
	for (i = 0; i < 30; i++)
		made_fill(&whole, 100, 80, 1000);
	seed = 31;
	made_init(&m);
	for (i = 0; i < 30; i++) {
		made_fill(&m, 100, 80, 1000);
		if (i % 3 == 0) {
			before = m.rows.len;
			assert_non_null(rows_data(&m.rows));
			assert_int_equal(m.rows.data_len, before);
		}
		if (i % 7 == 0)
			there_and_back(e, &m);
		if (i % 5 == 0)
			assert_int_equal(columns_encode(e, m.rows.columns, m.rows.len, &payload, &bytes), 0);
	}
	assert_int_equal(m.rows.len, whole.rows.len);
	assert_non_null(rows_data(&m.rows));
	assert_non_null(rows_data(&whole.rows));
	assert_memory_equal(m.rows.data, whole.rows.data, m.rows.len);
	there_and_back(e, &m);
	made_fini(&m);
	made_fini(&whole);
	columns_encoder_close(e);
}

/* Block after block in the same memory, each with what it has. */
static void test_block_by_block(void **state)
{
	static const uint32_t records[] = { 5000, 3, 20000, 40, 4000 };
	struct columns_encoder *e = columns_encoder_open(1);
	struct made m;
	uint32_t i;

	(void)state;
	assert_non_null(e);
	seed = 71;
	made_init(&m);
	for (i = 0; i < 15; i++) {
		assert_int_equal(rows_begin(&m.rows, (int64_t)m.time, &m.pair), 0);
		made_fill(&m, records[i % 5], i % 2 ? 80 : 7, 50);
		there_and_back(e, &m);
	}
	made_fini(&m);
	columns_encoder_close(e);
}

/* A string of which more is missing than columns can say: the block stays rows. */
static void test_not_supported(void **state)
{
	const struct writer_format f = { .tag = "tag", .file = "f.c", .function = "f", .format = "{}",
					 .arg_cnt = 1, .types = { QSLOG_ARG_STR } };
	struct columns_encoder *e = columns_encoder_open(1);
	const uint8_t *payload, *rows;
	uint32_t bytes;
	struct made m;

	(void)state;
	assert_non_null(e);
	seed = 9;
	made_init(&m);
	assert_int_equal(catalog_out_format(&m.catalog, 0, &f), FORMATS);
	made_fill(&m, 50, 1, 10);
	m.words[2] = (uint64_t)(QSLOG_STR_NULL - 1) << 32;
	record_append(&m, 0, FORMATS, m.words + 3, 0);
	assert_int_equal(columns_encode(e, m.rows.columns, m.rows.len, &payload, &bytes), -ENOTSUP);
	rows = rows_data(&m.rows);
	assert_non_null(rows);
	assert_int_equal(m.rows.data_len, m.rows.len);
	assert_memory_equal(rows + m.rows.len - 6, "\x02\xfe\xff\xff\xff\x0f", 6);
	assert_int_equal(rows_begin(&m.rows, 5, &m.pair), 0);
	made_fill(&m, 50, 1, 10);
	there_and_back(e, &m); /* and the next is none the worse for it */
	made_fini(&m);
	columns_encoder_close(e);
}

/* Bytes that change: rows that are none, or an error; never anything else. Sections that are not
 * compressed, so that changes get through to what is in them. */
static void test_damage(void **state)
{
	struct columns_encoder *e = columns_encoder_open(-1000000);
	uint8_t *copy, *back;
	const uint8_t *payload;
	uint32_t bytes, i, cut;
	struct made m;

	(void)state;
	assert_non_null(e);
	seed = 123;
	made_init(&m);
	made_fill(&m, 400, 80, 100);
	assert_int_equal(columns_encode(e, m.rows.columns, m.rows.len, &payload, &bytes), 0);
	copy = malloc(bytes);
	back = malloc(m.rows.len + COLUMNS_ROWS_SLACK);
	assert_non_null(copy);
	assert_non_null(back);
	for (i = 0; i < 20000; i++) {
		unsigned changes = 1 + i % 4;

		memcpy(copy, payload, bytes);
		while (changes--)
			copy[below(i % 2 ? bytes : 400)] = (uint8_t)below(256);
		(void)decode(copy, bytes, m.rows.len, back);
	}
	for (i = 0; i < 500; i++) {
		cut = (uint32_t)below(bytes);
		memcpy(copy, payload, cut);
		assert_int_equal(decode(copy, cut, m.rows.len, back), -EBADMSG);
	}
	assert_int_equal(decode(payload, bytes, m.rows.len - 1, back), -EBADMSG);
	assert_int_equal(decode(payload, bytes, m.rows.len - 30, back), -EBADMSG);
	free(back);
	free(copy);
	made_fini(&m);
	columns_encoder_close(e);
}

/* Sections of later versions are passed over, unless they must not be. */
static void test_unknown_section(void **state)
{
	struct columns_encoder *e = columns_encoder_open(1);
	struct columns_section_entry entry = { .id = 99, .raw_bytes = 5, .stored_bytes = 5 };
	struct columns_header h;
	uint8_t *copy, *back, *p;
	const uint8_t *payload;
	uint32_t bytes;
	struct made m;

	(void)state;
	assert_non_null(e);
	seed = 4;
	made_init(&m);
	made_fill(&m, 400, 80, 100);
	assert_int_equal(columns_encode(e, m.rows.columns, m.rows.len, &payload, &bytes), 0);
	copy = malloc(bytes + sizeof(entry) + 5);
	back = malloc(m.rows.len + COLUMNS_ROWS_SLACK);
	assert_non_null(copy);
	assert_non_null(back);
	memcpy(&h, payload, sizeof(h));
	p = copy + sizeof(h) + h.section_cnt * sizeof(entry);
	memcpy(copy, payload, (size_t)(p - copy));
	memcpy(p, &entry, sizeof(entry));
	memcpy(p + sizeof(entry), payload + (p - copy), bytes - (size_t)(p - copy));
	memcpy(copy + bytes + sizeof(entry), "later", 5);
	h.section_cnt++;
	memcpy(copy, &h, sizeof(h));
	assert_int_equal(decode(copy, bytes + sizeof(entry) + 5, m.rows.len, back), 0);
	assert_memory_equal(back, rows_data(&m.rows), m.rows.len);
	entry.flags = COLUMNS_MUST_UNDERSTAND;
	memcpy(p, &entry, sizeof(entry));
	assert_int_equal(decode(copy, bytes + sizeof(entry) + 5, m.rows.len, back), -EBADMSG);
	free(back);
	free(copy);
	made_fini(&m);
	columns_encoder_close(e);
}

/* The formats and the strings of a block, without the rest of it. */
static void test_parts(void **state)
{
	struct columns_encoder *e = columns_encoder_open(1);
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	struct writer_format f = { .tag = "tag", .file = "f.c", .function = "f", .format = "{}",
				   .arg_cnt = 1, .types = { QSLOG_ARG_STR } };
	const uint8_t *payload;
	struct columns_in c;
	uint32_t bytes, i;
	char text[32];
	struct made m;

	(void)state;
	assert_non_null(e);
	assert_non_null(zstd);
	seed = 3;
	made_init(&m);
	assert_int_equal(catalog_out_format(&m.catalog, 0, &f), FORMATS);
	for (i = 0; i < 1000; i++) {
		uint64_t len = (uint64_t)snprintf(text, sizeof(text), "item-%u/%04u", i % 50, i % 50);

		m.words[2] = len | len << 32;
		memcpy(m.words + 3, text, 16);
		record_append(&m, 0, FORMATS, m.words + 3 + (len + 7) / 8, 0);
	}
	assert_int_equal(columns_encode(e, m.rows.columns, m.rows.len, &payload, &bytes), 0);
	assert_int_equal(columns_in_open(&c, zstd, payload, bytes, m.rows.len), 0);
	assert_int_equal(columns_in_shapes(&c), 0);
	assert_int_equal(c.shape_cnt, 1);
	assert_int_equal(c.shapes[0].format, FORMATS);
	assert_int_equal(columns_in_strings(&c), 0);
	assert_int_equal(c.string_cnt, 50);
	for (i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "item-%u/%04u", i, i);
		assert_int_equal(c.strings[i].len, strlen(text));
		assert_memory_equal(c.strings[i].bytes, text, strlen(text));
		assert_int_equal(c.strings[i].code, 0);
	}
	columns_in_close(&c);
	made_fini(&m);
	ZSTD_freeDCtx(zstd);
	columns_encoder_close(e);
}

/* Coarser ticks: times are the beginning of theirs, in blocks of rows and of columns, and durations
 * fit to them. */
static void test_ticks(void **state)
{
	static const uint32_t ticks[] = { 1, 1000, 1000000 };
	static const struct clock_pair pair = { 0, INT64_C(1700000000000000000), 0 };
	const struct writer_process process = { .pid = 7, .name = "p", .exe = "", .command = "" };
	const struct writer_format format = { .tag = "t", .file = "f.c", .function = "f",
					      .format = "{}", .kind = QSLOG_SITE_SPAN,
					      .name = "s", .arg_cnt = 1, .types = { QSLOG_ARG_UINT64 } };
	const struct clock_scale scale = { .mult = UINT64_C(1) << 32, .hz = 1000000000,
					   .kind = FILE_COUNTER_MONOTONIC };
	char path[] = "/tmp/qslog-ticks-XXXXXX";
	uint32_t i, k, records;

	(void)state;
	assert_int_equal(close(mkstemp(path)), 0);
	for (k = 0; k < 6; k++) {
		const struct writer_options options = { .path = path, .tick_ns = ticks[k / 2],
							.scale = &scale, .pairs = &pair, .pair_cnt = 1 };
		const struct record *record;
		struct reader *reader;
		struct writer *w;
		int64_t wall, least;

		records = k % 2 ? 20 : 2000; /* few stay rows */
		assert_int_equal(writer_open(&w, &options), 0);
		assert_int_equal(writer_process_add(w, &process), 0);
		assert_int_equal(writer_thread_add(w, 0, 8, 1, "t"), 0);
		assert_int_equal(writer_format_add(w, 0, &format), 0);
		for (i = 0; i < records; i++) {
			const uint64_t enter[] = { 0, i * 777777, i };
			const uint64_t leave[] = { QSLOG_RECORD_EXIT, i * 777777 + 5000, i * 777777 };

			assert_int_equal(writer_record(w, 0, 0, enter, sizeof(enter)), 0);
			assert_int_equal(writer_record(w, 0, 0, leave, sizeof(leave)), 0);
		}
		assert_int_equal(writer_close(w, NULL), 0);
		assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
		for (i = 0; i < 2 * records; i++) {
			const int64_t at = (int64_t)(i / 2) * 777777 + (i % 2 ? 5000 : 0);

			assert_int_equal(reader_next(reader, &record), 1);
			wall = pair.realtime_ns + at;
			least = wall - at % ticks[k / 2];
			/* between the first pair and one of now, whose distance is not that of
			 * these clocks: the times are those of the first */
			assert_int_equal(record->time_ns, least);
			if (i % 2)
				assert_int_equal(record->duration_ns,
						 (uint64_t)(at / ticks[k / 2] - (at - 5000) / ticks[k / 2]) *
							 ticks[k / 2]);
		}
		assert_int_equal(reader_next(reader, &record), 0);
		reader_close(reader);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_in_between),
		cmocka_unit_test(test_block_by_block),
		cmocka_unit_test(test_not_supported),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_unknown_section),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_ticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
