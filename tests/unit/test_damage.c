/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_damage.c - files that are not what a writer left: every byte changed, cut at every length,
 * pieces taken out, put in and repeated. The reader must say so and deliver the rest: every block
 * that was not touched, in order.
 */
#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "counter.h"
#include "file_format.h"
#include "file_helper.h"

enum { BLOCKS_MAX = 32 };

struct sample {
	uint8_t *data;
	size_t len;
	char *lines;
	size_t cnt;
	size_t block_cnt; /* blocks of any kind */
	struct {
		size_t off, end;
		const char *lines; /* of its records */
		size_t lines_len;
		struct file_block_header h;
	} blocks[BLOCKS_MAX];
	size_t trailer;
};

static struct sample sample;
static int memory; /* a memfd that holds the damaged copy */
static char memory_path[64];

static struct made_record rec;

/* A few blocks with everything in them: logs, spans, strings, losses, two threads. The records of
 * each thread and block are in time order over the whole file. */
static int sample_make(void **state)
{
	static const uint8_t types[] = { QSLOG_ARG_UINT64, QSLOG_ARG_STR, QSLOG_ARG_DOUBLE };
	static const char text[] = "a text that is long, so that there are not too many records "
				   "in a block: these tests read them all again and again";
	struct read_result got;
	struct made_file f;
	uint64_t now;
	size_t off, i;
	const char *line;
	int format, span, other, k;

	if (helper_setup(state))
		return -1;
	made_file_open(&f, "sample", 4096, false);
	format = made_format(&f, "value {} of {} is {}", QSLOG_LEVEL_INFO, 3, types);
	span = made_span(&f, "work", 0, types);
	other = writer_thread_add(f.w, 0, 4712, 2, "other");
	now = counter_now();
	for (k = 0; k < 120; k++) {
		uint32_t thread = (uint32_t)(k / 10 % 2 ? other : f.thread);
		uint32_t id = (uint32_t)format;

		made_begin(&rec, now + (uint64_t)k * 1000);
		if (k % 10 == 9) {
			id = (uint32_t)span;
		} else {
			made_slot(&rec, (uint64_t)k * 77777);
			made_text(&rec, text, sizeof(text) - 1 - (uint32_t)k % 10, sizeof(text) - 1);
			made_double(&rec, k * 0.3);
		}
		assert_int_equal(writer_record(f.w, thread, id, rec.words, made_end(&rec, false)),
				 0);
		if (k == 66)
			assert_int_equal(writer_loss(f.w, thread, LOSS_RING_FULL, 3), 0);
	}
	made_file_close(&f);
	file_read(&got, f.path, NULL);
	assert_int_equal(got.damages, 0);
	assert_int_equal(got.cnt, 121);
	sample.lines = got.lines;
	sample.cnt = got.cnt;
	sample.data = bytes_load(f.path, &sample.len);
	line = sample.lines;
	for (off = 0; sample.len - off > sizeof(struct file_trailer); sample.block_cnt++) {
		size_t n, at = sample.block_cnt;
		struct file_block_header *h = &sample.blocks[at].h;

		assert_true(at < BLOCKS_MAX);
		memcpy(h, sample.data + off, sizeof(*h));
		sample.blocks[at].off = off;
		off += sizeof(*h) + h->stored_bytes;
		sample.blocks[at].end = off;
		sample.blocks[at].lines = line;
		for (n = 0; n < h->record_cnt + (h->lost != 0); n++)
			line = strchr(line, '\n') + 1;
		sample.blocks[at].lines_len = (size_t)(line - sample.blocks[at].lines);
	}
	sample.trailer = off;
	assert_int_equal(off + sizeof(struct file_trailer), sample.len);
	assert_true(sample.block_cnt >= 5);
	assert_int_equal(*line, '\0');
	for (i = 1; i + 1 < sample.block_cnt; i++)
		assert_true(FILE_BLOCK_HAS_RECORDS(sample.blocks[i].h.kind));
	memory = memfd_create("damaged", MFD_CLOEXEC);
	assert_true(memory >= 0);
	snprintf(memory_path, sizeof(memory_path), "/proc/self/fd/%d", memory);
	return 0;
}

static int sample_free(void **state)
{
	free(sample.data);
	free(sample.lines);
	close(memory);
	return helper_teardown(state);
}

static void memory_set(const void *data, size_t len)
{
	assert_int_equal(ftruncate(memory, 0), 0);
	assert_int_equal(pwrite(memory, data, len, 0), len);
}

/* The lines of all blocks but some (bit mask). */
static char *lines_without(uint64_t blocks)
{
	char *lines = malloc(strlen(sample.lines) + 1), *p = lines;
	size_t i;

	assert_non_null(lines);
	for (i = 0; i < sample.block_cnt; i++) {
		if (blocks >> i & 1)
			continue;
		memcpy(p, sample.blocks[i].lines, sample.blocks[i].lines_len);
		p += sample.blocks[i].lines_len;
	}
	*p = '\0';
	return lines;
}

static void expect(uint64_t without, bool damage)
{
	char *lines = lines_without(without);
	struct read_result got;

	file_read(&got, memory_path, NULL);
	assert_int_equal(got.open_error, 0);
	assert_int_equal(got.error, 0);
	assert_string_equal(got.lines, lines);
	assert_true(got.damages > 0 || !damage);
	assert_int_equal(got.totals.blocks_damaged, got.damages);
	read_result_fini(&got);
	free(lines);
}

static size_t block_of(size_t off)
{
	size_t i;

	for (i = 0; i < sample.block_cnt; i++) {
		if (off < sample.blocks[i].end)
			return i;
	}
	return 63; /* the trailer */
}

static void flip_all(uint8_t pattern)
{
	size_t off;

	memory_set(sample.data, sample.len);
	for (off = 0; off < sample.len; off++) {
		uint8_t byte = sample.data[off] ^ pattern;

		assert_int_equal(pwrite(memory, &byte, 1, (off_t)off), 1);
		expect((uint64_t)1 << block_of(off), true);
		assert_int_equal(pwrite(memory, &sample.data[off], 1, (off_t)off), 1);
	}
}

static void test_flip_low(void **state)
{
	(void)state;
	flip_all(0x01);
}

static void test_flip_high(void **state)
{
	(void)state;
	flip_all(0x80);
}

/* Without the index, so that the walk over the headers is what copes. */
static void test_flip_without_index(void **state)
{
	size_t index = sample.blocks[sample.block_cnt - 1].off, off;

	(void)state;
	memory_set(sample.data, index);
	for (off = 0; off < index; off++) {
		uint8_t byte = sample.data[off] ^ 0x10;

		assert_int_equal(pwrite(memory, &byte, 1, (off_t)off), 1);
		expect((uint64_t)1 << block_of(off), true);
		assert_int_equal(pwrite(memory, &sample.data[off], 1, (off_t)off), 1);
	}
}

static void test_truncated(void **state)
{
	size_t len;

	(void)state;
	memory_set(sample.data, sample.len);
	for (len = sample.len; len-- > 0;) {
		struct read_result got;
		uint64_t without = 0;
		bool border = len == sample.trailer;
		size_t i;

		assert_int_equal(ftruncate(memory, (off_t)len), 0);
		for (i = 0; i < sample.block_cnt; i++) {
			without |= (uint64_t)(sample.blocks[i].end > len) << i;
			border |= sample.blocks[i].off == len;
		}
		if (len >= sizeof(struct file_block_header)) {
			expect(without, !border);
			continue;
		}
		file_read(&got, memory_path, NULL);
		assert_int_equal(got.open_error, -EBADMSG);
		read_result_fini(&got);
	}
}

/* Bytes are missing, or too many, in the middle: only what they touch is lost. */
static void test_cut_and_insert(void **state)
{
	uint8_t *data = malloc(sample.len + 4096);
	size_t off, n;

	(void)state;
	assert_non_null(data);
	for (off = sample.blocks[1].off; off < sample.trailer; off += 37) {
		for (n = 1; n <= 200; n += 99) {
			uint64_t touched = 0;
			size_t i;

			if (off + n >= sample.trailer)
				break;
			for (i = 0; i < sample.block_cnt; i++)
				touched |= (uint64_t)(sample.blocks[i].off < off + n &&
						      sample.blocks[i].end > off) << i;
			memcpy(data, sample.data, off);
			memcpy(data + off, sample.data + off + n, sample.len - off - n);
			memory_set(data, sample.len - n);
			expect(touched, true);
			memset(data + off, 0xa5, n);
			memcpy(data + off + n, sample.data + off, sample.len - off);
			memory_set(data, sample.len + n);
			touched = 0;
			for (i = 0; i < sample.block_cnt; i++)
				touched |= (uint64_t)(sample.blocks[i].off < off &&
						      sample.blocks[i].end > off) << i;
			expect(touched, true);
		}
	}
	free(data);
}

static void test_repeated_and_missing_block(void **state)
{
	uint8_t *data = malloc(sample.len * 2);
	size_t off = sample.blocks[2].off, end = sample.blocks[2].end;
	size_t index = sample.blocks[sample.block_cnt - 1].off;

	(void)state;
	assert_non_null(data);
	memcpy(data, sample.data, end);
	memcpy(data + end, sample.data + off, index - off);
	memory_set(data, index + end - off);
	expect(0, true);
	memcpy(data + off, sample.data + end, index - end);
	memory_set(data, index - (end - off));
	expect((uint64_t)1 << 2, true);
	free(data);
}

/* A whole other file inside: its blocks are not ours. */
static void test_foreign_blocks(void **state)
{
	static const uint8_t u64_type[1] = { QSLOG_ARG_UINT64 };
	uint8_t *other, *data;
	struct made_file f;
	size_t other_len, at = sample.blocks[3].off;
	int format;

	(void)state;
	made_file_open(&f, "other", 4096, false);
	format = made_format(&f, "forged {}", QSLOG_LEVEL_INFO, 1, u64_type);
	made_u64(&f, f.thread, format, counter_now(), 1);
	made_file_close(&f);
	other = bytes_load(f.path, &other_len);
	data = malloc(sample.len + other_len);
	assert_non_null(data);
	memcpy(data, sample.data, at);
	memcpy(data + at, other, other_len);
	memcpy(data + at + other_len, sample.data + at, sample.len - at);
	memory_set(data, sample.len + other_len);
	expect(0, true);
	free(data);
	free(other);
}

static void header_seal(uint8_t *at)
{
	struct file_block_header h;

	memcpy(&h, at, sizeof(h));
	h.checksum = (uint32_t)XXH3_64bits((uint8_t *)&h + 12, sizeof(h) - 12);
	memcpy(at, &h, sizeof(h));
}

static void header_patch(size_t block, size_t field, size_t bytes, uint64_t value)
{
	uint8_t *data = malloc(sample.len);
	size_t index = sample.blocks[sample.block_cnt - 1].off;

	assert_non_null(data);
	memcpy(data, sample.data, sample.len);
	memcpy(data + sample.blocks[block].off + field, &value, bytes);
	header_seal(data + sample.blocks[block].off);
	memory_set(data, index);
	free(data);
}

#define PATCH(block, field, value)                                                          \
	header_patch(block, offsetof(struct file_block_header, field),                      \
		     sizeof(((struct file_block_header *)0)->field), value)

/* Headers with valid checksums that say what this reader does not know. */
static void test_later_versions(void **state)
{
	struct read_result got;

	(void)state;
	PATCH(2, must_understand, 1);
	expect((uint64_t)1 << 2, true);
	PATCH(2, version, FILE_VERSION + 1);
	expect((uint64_t)1 << 2, true);
	PATCH(2, may_ignore, 0xffff);
	expect(0, false);
	PATCH(2, kind, 200); /* it says that it has records */
	expect((uint64_t)1 << 2, true);
	PATCH(2, compression, 9);
	expect((uint64_t)1 << 2, true);
	PATCH(0, must_understand, 0x8000);
	file_read(&got, memory_path, NULL);
	assert_int_equal(got.open_error, -EPROTONOSUPPORT);
	read_result_fini(&got);
	PATCH(0, version, FILE_VERSION + 1);
	file_read(&got, memory_path, NULL);
	assert_int_equal(got.open_error, -EPROTONOSUPPORT);
	read_result_fini(&got);
	PATCH(0, kind, 77);
	expect(0, true);
}

/* A block of unknown kind without records is passed over in silence. */
static void test_unknown_kind(void **state)
{
	struct file_block_header h = sample.blocks[1].h;
	size_t i, len = 0, index = sample.blocks[sample.block_cnt - 1].off;
	uint8_t *data = malloc(sample.len + 200);

	(void)state;
	assert_non_null(data);
	for (i = 0; i + 1 < sample.block_cnt; i++) {
		size_t n = sample.blocks[i].end - sample.blocks[i].off;
		struct file_block_header copy = sample.blocks[i].h;

		if (i == 2) {
			h.kind = 99;
			h.sequence = 2;
			h.stored_bytes = 10;
			h.compression = 77;
			h.record_cnt = 0;
			h.lost = 0;
			memcpy(data + len, &h, sizeof(h));
			header_seal(data + len);
			memset(data + len + sizeof(h), 'x', 10);
			len += sizeof(h) + 10;
		}
		memcpy(data + len, sample.data + sample.blocks[i].off, n);
		copy.sequence += i >= 2;
		memcpy(data + len, &copy, sizeof(copy));
		header_seal(data + len);
		len += n;
	}
	memory_set(data, len);
	expect(0, false);
	assert_true(index > 0);
	free(data);
}

/* Lengths that would need memory, with valid checksums. */
static void test_lies(void **state)
{
	struct read_result got;

	(void)state;
	PATCH(2, raw_bytes, UINT32_MAX);
	expect((uint64_t)1 << 2, true);
	PATCH(2, raw_bytes, FILE_RAW_BYTES_MAX);
	expect((uint64_t)1 << 2, true);
	PATCH(2, raw_bytes, 5);
	expect((uint64_t)1 << 2, true);
	PATCH(2, stored_bytes, 3);
	expect((uint64_t)1 << 2, true);
	PATCH(2, record_cnt, FILE_RECORDS_MAX);
	expect(0, true);
	PATCH(2, header_bytes, 0);
	expect((uint64_t)1 << 2, true);
	PATCH(2, header_bytes, 0xffff);
	expect((uint64_t)1 << 2, true);
	PATCH(2, stored_bytes, FILE_RAW_BYTES_MAX); /* beyond the end: all that is left is behind it */
	file_read(&got, memory_path, NULL);
	assert_int_equal(got.open_error, 0);
	assert_true(got.damages > 0);
	read_result_fini(&got);
	/* times that lie cost the order, nothing else */
	PATCH(2, time_min, (uint64_t)INT64_MAX);
	file_read(&got, memory_path, NULL);
	assert_int_equal(got.cnt, sample.cnt);
	read_result_fini(&got);
	PATCH(2, clock_ticks, (uint64_t)INT64_MIN);
	file_read(&got, memory_path, NULL);
	assert_int_equal(got.cnt, sample.cnt);
	read_result_fini(&got);
}

/* The index itself may be malicious: whatever it says, its checksums being right. */
static void test_lying_index(void **state)
{
	struct file_block_header h = sample.blocks[sample.block_cnt - 1].h;
	size_t at = sample.blocks[sample.block_cnt - 1].off, entries = sample.block_cnt - 2, i, k;
	size_t raw = sizeof(struct file_index_header) + entries * sizeof(struct file_index_entry);
	size_t len = at + sizeof(h) + raw + sizeof(struct file_trailer);
	uint8_t *data = calloc(1, len), *payload = data + at + sizeof(h);
	uint64_t x = 88172645463325252u;
	struct file_index_header ih = { .entry_bytes = sizeof(struct file_index_entry),
					.entry_cnt = (uint32_t)entries };
	struct read_result got;

	(void)state;
	assert_non_null(data);
	memcpy(data, sample.data, at);
	memcpy(data + len - sizeof(struct file_trailer), sample.data + sample.trailer,
	       sizeof(struct file_trailer));
	memcpy(payload, &ih, sizeof(ih));
	for (i = 0; i < entries; i++) {
		const struct file_block_header *b = &sample.blocks[i + 1].h;
		struct file_index_entry e = { .offset = sample.blocks[i + 1].off,
					      .sequence = b->sequence, .time_min = b->time_min,
					      .time_max = b->time_max, .lost = b->lost,
					      .record_cnt = b->record_cnt,
					      .stored_bytes = b->stored_bytes,
					      .raw_bytes = b->raw_bytes, .kind = b->kind,
					      .clock_ticks = b->clock_ticks,
					      .clock_realtime_ns = b->clock_realtime_ns,
					      .level_mask = b->level_mask };

		memcpy(payload + sizeof(ih) + i * sizeof(e), &e, sizeof(e));
	}
	h.compression = FILE_COMPRESSION_NONE;
	h.stored_bytes = (uint32_t)raw;
	h.raw_bytes = (uint32_t)raw;
	for (k = 0; k < 1500; k++) {
		uint8_t saved[8];
		size_t where;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		where = x % (raw - 8);
		memcpy(saved, payload + where, 8);
		if (k % 3)
			payload[where] ^= (uint8_t)(x >> 40);
		else if (k)
			memcpy(payload + where, &x, 8);
		h.payload_hash = XXH3_64bits(payload, raw);
		memcpy(data + at, &h, sizeof(h));
		header_seal(data + at);
		memory_set(data, len);
		if (!k) {
			expect(0, false);
		} else {
			file_read(&got, memory_path, NULL);
			assert_int_equal(got.open_error, 0);
			assert_int_equal(got.error, 0);
			/* an index can hide blocks, but not add or change records */
			assert_true(got.cnt <= sample.cnt);
			read_result_fini(&got);
		}
		memcpy(payload + where, saved, 8);
	}
	free(data);
}

/* Rows that were changed before their checksum was made. */
static void test_malicious_rows(void **state)
{
	uint64_t x = 0x2545f4914f6cdd1du;
	struct read_result got;
	struct made_file f;
	uint8_t *data, *copy, *payload;
	struct file_block_header h;
	size_t len, at, k;
	int format, i;
	static const uint8_t types[] = { QSLOG_ARG_STR, QSLOG_ARG_INT64 };

	(void)state;
	/* random text, so that the payload is stored as it is */
	made_file_open(&f, "rows", 65536, false);
	format = made_format(&f, "{} {}", QSLOG_LEVEL_INFO, 2, types);
	for (i = 0; i < 60; i++) {
		uint64_t text[2];

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		text[0] = x;
		text[1] = x * 0x9e3779b97f4a7c15u;
		made_begin(&rec, counter_now());
		made_text(&rec, text, 16, 16);
		made_slot(&rec, x);
		assert_int_equal(writer_record(f.w, 0, (uint32_t)format, rec.words,
					       made_end(&rec, false)), 0);
	}
	made_file_close(&f);
	data = bytes_load(f.path, &len);
	memcpy(&h, data, sizeof(h));
	at = sizeof(h) + h.stored_bytes;
	memcpy(&h, data + at, sizeof(h));
	assert_int_equal(h.kind, FILE_BLOCK_ROWS);
	assert_int_equal(h.compression, FILE_COMPRESSION_NONE);
	copy = malloc(len);
	assert_non_null(copy);
	for (k = 0; k < 4000; k++) {
		unsigned changes = 1 + (unsigned)(k % 3);

		memcpy(copy, data, len);
		payload = copy + at + sizeof(h);
		while (changes--) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			payload[x % h.raw_bytes] = (uint8_t)(x >> 48);
		}
		h.payload_hash = XXH3_64bits(payload, h.raw_bytes);
		memcpy(copy + at, &h, sizeof(h));
		header_seal(copy + at);
		memory_set(copy, len);
		file_read(&got, memory_path, NULL);
		assert_int_equal(got.open_error, 0);
		assert_int_equal(got.error, 0);
		read_result_fini(&got);
	}
	free(copy);
	free(data);
}

/* The tail: whole frames are delivered, whatever became of the rest. */
static void test_tail_damage(void **state)
{
	static const uint8_t u64_type[1] = { QSLOG_ARG_UINT64 };
	size_t tail_len, len, off, frames[16], frame_cnt = 0;
	uint64_t now = counter_now();
	struct read_result got;
	struct made_file f;
	uint8_t *tail, *file;
	char copy[160], copy_tail[168];
	int format, i;

	(void)state;
	made_file_open(&f, "tailed", 1u << 20, true);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	for (i = 0; i < 50; i++) {
		made_u64(&f, f.thread, format, now + (uint64_t)i * 1000, (uint64_t)i);
		if (i % 10 == 9)
			assert_int_equal(writer_flush(f.w), 0);
	}
	tail = bytes_load(f.tail, &tail_len);
	file = bytes_load(f.path, &len);
	made_file_close(&f);
	snprintf(copy, sizeof(copy), "%s/copy", helper_dir());
	snprintf(copy_tail, sizeof(copy_tail), "%s.tail", copy);
	bytes_store(copy, file, len);
	for (off = sizeof(struct file_tail_header); off < tail_len;) {
		struct file_frame_header h;

		memcpy(&h, tail + off, sizeof(h));
		frames[frame_cnt++] = off;
		off += sizeof(h) + h.bytes;
	}
	assert_int_equal(frame_cnt, 5);
	frames[frame_cnt] = tail_len;
	for (off = 0; off < tail_len; off++) {
		size_t whole = 0;

		while (whole < 5 && off >= frames[whole + 1])
			whole++;
		if (off < sizeof(struct file_tail_header))
			whole = 0;
		tail[off] ^= 0x20;
		bytes_store(copy_tail, tail, tail_len);
		tail[off] ^= 0x20;
		file_read(&got, copy, NULL);
		assert_int_equal(got.open_error, 0);
		assert_int_equal(got.error, 0);
		assert_int_equal(got.cnt, whole * 10);
		assert_true(got.damages > 0);
		read_result_fini(&got);
		bytes_store(copy_tail, tail, off);
		file_read(&got, copy, NULL);
		assert_int_equal(got.cnt, whole * 10);
		assert_true(got.damages > 0 || off == 0 || off == frames[whole]);
		read_result_fini(&got);
	}
	free(tail);
	free(file);
}

/* What a machine that lost its power may leave: blocks of the file are gone, its tail is there. */
static void test_blocks_before_tail_missing(void **state)
{
	static const uint8_t u64_type[1] = { QSLOG_ARG_UINT64 };
	size_t tail_len, lens[4];
	uint64_t now = counter_now(), cnt = 0, sealed[4];
	struct writer_totals totals = { .blocks = 0 };
	struct read_result got;
	struct made_file f;
	uint8_t *tail, *file;
	char copy[160], copy_tail[168];
	int format, i, blocks;

	(void)state;
	made_file_open(&f, "emptied", 8192, true);
	format = made_format(&f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	for (blocks = 0; blocks < 4; blocks++) {
		free(bytes_load(f.path, &lens[blocks]));
		sealed[blocks] = cnt;
		while (blocks < 3 && totals.blocks == (uint64_t)blocks) {
			made_u64(&f, f.thread, format, now += 1000, cnt++);
			writer_totals_get(f.w, &totals);
		}
	}
	for (i = 0; i < 10; i++)
		made_u64(&f, f.thread, format, now += 1000, cnt++);
	assert_int_equal(writer_flush(f.w), 0);
	tail = bytes_load(f.tail, &tail_len);
	file = bytes_load(f.path, &lens[3]);
	made_file_close(&f);
	snprintf(copy, sizeof(copy), "%s/copy", helper_dir());
	snprintf(copy_tail, sizeof(copy_tail), "%s.tail", copy);
	bytes_store(copy_tail, tail, tail_len);
	for (blocks = 0; blocks < 4; blocks++) {
		bytes_store(copy, file, lens[blocks]);
		file_read(&got, copy, NULL);
		assert_int_equal(got.error, 0);
		assert_int_equal(got.cnt, sealed[blocks] + 10);
		assert_int_equal(got.damages, blocks < 3);
		if (blocks < 3)
			assert_non_null(strstr(got.damage, "missing between the file and its tail"));
		read_result_fini(&got);
	}
	assert_int_equal(unlink(copy_tail), 0);
	free(tail);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flip_low),
		cmocka_unit_test(test_flip_high),
		cmocka_unit_test(test_flip_without_index),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_cut_and_insert),
		cmocka_unit_test(test_repeated_and_missing_block),
		cmocka_unit_test(test_foreign_blocks),
		cmocka_unit_test(test_later_versions),
		cmocka_unit_test(test_unknown_kind),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_lying_index),
		cmocka_unit_test(test_malicious_rows),
		cmocka_unit_test(test_tail_damage),
		cmocka_unit_test(test_blocks_before_tail_missing),
	};

	return cmocka_run_group_tests(tests, sample_make, sample_free);
}
