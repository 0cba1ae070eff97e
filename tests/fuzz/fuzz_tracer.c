/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_tracer.c - the whole way from the ring buffer to the file. Entries of the ring buffer are hostile;
 * sites are read out of hostile memory. Between them an honest process logs numbers, all of which
 * must be in the file, in order.
 *
 * The input: a part that is the memory of the hostile process from MEMORY on, then entries, each a
 * part of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chunk_batch.h"
#include "clock_pair.h"
#include "counter.h"
#include "fuzz.h"
#include "ingest.h"
#include "reader.h"
#include "site_read.h"
#include "writer.h"

#define MEMORY 0x10000u
#define HONEST_SITE 0x777000u
#define HONEST_PID 2u
#define KEPT_MAX 4096 /* formats, until the end */

struct liar {
	struct fuzz_input memory;
	struct writer_format *formats[KEPT_MAX];
	unsigned int format_cnt;
};

static ssize_t memory_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	const struct liar *liar = ctx;

	FUZZ_CHECK((addr & 4095) + len <= 4096);
	if (addr < MEMORY || addr - MEMORY >= liar->memory.size)
		return -EFAULT;
	if (len > liar->memory.size - (addr - MEMORY))
		len = liar->memory.size - (addr - MEMORY);
	memcpy(buf, liar->memory.data + (addr - MEMORY), len);
	return (ssize_t)len;
}

static int liar_site(void *arg, uint64_t address, struct writer_format *out)
{
	struct liar *liar = arg;
	const struct site_source source = { .read = memory_read, .ctx = liar };
	struct writer_format *format;
	size_t bytes = 0;
	int err;

	if (liar->format_cnt == KEPT_MAX)
		return -ENOSPC;
	err = site_read(&source, address, &format, &bytes);
	if (err)
		return err;
	FUZZ_CHECK(bytes >= sizeof(*format) && format->arg_cnt <= QSLOG_ARGS_MAX);
	*out = *format;
	liar->formats[liar->format_cnt++] = format;
	return 0;
}

static int honest_site(void *arg, uint64_t address, struct writer_format *out)
{
	(void)arg;
	if (address != HONEST_SITE)
		return -ENOENT;
	*out = (struct writer_format){ .kind = QSLOG_SITE_LOG, .level = QSLOG_LEVEL_INFO, .arg_cnt = 1,
				       .types = { QSLOG_ARG_UINT64 }, .line = 7, .file = "honest.c",
				       .function = "main", .format = "{}" };
	return 0;
}

static void thread_name(void *arg, uint32_t tid, char name[32])
{
	(void)arg;
	snprintf(name, 32, "\x1b[%u", tid);
}

static void honest_log(struct ingest_process *p, uint64_t number)
{
	const uint64_t record[3] = { HONEST_SITE | UINT64_C(3) << QSLOG_RECORD_SIZE_SHIFT,
				     1000 + number, number };
	const struct ingest_batch batch = { .tid = HONEST_PID, .key = 1, .from = number * sizeof(record),
					    .data = record, .bytes = sizeof(record) };

	FUZZ_CHECK(ingest_batch(p, &batch) == 0);
}

/* As the tracer takes it from the ring buffer, which aligns it. */
static void entry_take(struct ingest_process *liar, struct fuzz_input entry)
{
	struct ingest_batch batch;
	void *data = malloc(entry.size ? entry.size : 1);

	FUZZ_CHECK(data);
	memcpy(data, entry.data, entry.size);
	if (chunk_whole(data, entry.size)) {
		batch = chunk_batch(data);
		batch.registry = batch.arena >> 31;
		(void)ingest_batch(liar, &batch);
	}
	free(data);
}

static void honest_check(const char *path, uint64_t issued)
{
	const struct record *record;
	struct reader *reader;
	uint64_t next = 0;
	int more;

	FUZZ_CHECK(reader_open(&reader, path, NULL, NULL) == 0);
	while ((more = reader_next(reader, &record)) > 0) {
		if (record->thread->process->pid != HONEST_PID)
			continue;
		FUZZ_CHECK(record->kind == RECORD_LOG && record->values[0].u == next);
		next++;
	}
	FUZZ_CHECK(more == 0 && next == issued);
	reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct clock_scale scale = { .counter0 = 0, .mult = UINT64_C(1) << 32, .hz = 1000000000,
					   .kind = COUNTER_KIND };
	const struct writer_process one = { .pid = 1, .name = "liar", .exe = "/\x1b", .command = "" };
	const struct writer_process two = { .pid = HONEST_PID, .name = "honest", .exe = "", .command = "" };
	struct fuzz_input input = { data, size };
	struct liar liar = { .memory = fuzz_part(&input) };
	const struct ingest_source lies = { .arg = &liar, .pid = 1, .site = liar_site,
					    .thread_name = thread_name };
	const struct ingest_source truth = { .arg = NULL, .pid = HONEST_PID, .site = honest_site,
					     .thread_name = thread_name };
	struct writer_options options = { .block_bytes = 4096, .scale = &scale, .tail = size & 1 };
	struct ingest_process *p, *q;
	struct writer_totals totals;
	struct fuzz_result result;
	struct writer *w;
	struct ingest *in;
	const char *path = fuzz_path("tracer");
	uint64_t issued = 0;

	options.path = path;
	FUZZ_CHECK(writer_open(&w, &options) == 0);
	FUZZ_CHECK(ingest_open(&in, w, NULL) == 0);
	FUZZ_CHECK(ingest_process_add(in, (uint32_t)writer_process_add(w, &one), "liar", 0, &lies, &p) == 0);
	FUZZ_CHECK(ingest_process_add(in, (uint32_t)writer_process_add(w, &two), "honest", 0, &truth,
				      &q) == 0);
	while (input.size) {
		entry_take(p, fuzz_part(&input));
		honest_log(q, issued++);
	}
	(void)ingest_arena_end(p, 0, 0, 1, 1, UINT64_MAX & ~7ull, UINT64_MAX, UINT64_MAX, LOSS_RING_FULL);
	ingest_settle(p);
	ingest_settle(q);
	ingest_process_remove(p);
	ingest_process_remove(q);
	ingest_close(in);
	FUZZ_CHECK(writer_close(w, &totals) == 0);
	while (liar.format_cnt)
		free(liar.formats[--liar.format_cnt]);
	FUZZ_CHECK(fuzz_read(path, NULL, &result));
	FUZZ_CHECK(result.damages == 0 && result.totals.records == totals.records &&
		   result.totals.lost == totals.lost && totals.lost <= UINT64_C(1) << 48);
	honest_check(fuzz_path("tracer"), issued);
	return 0;
}
