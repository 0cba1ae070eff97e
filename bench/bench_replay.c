/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_replay.c - sample_write(): a sample through the writer, with fresh timestamps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_sample.h"
#include "bench_util.h"
#include "counter.h"

static void rows_count(void *arg, const void *data, uint32_t bytes)
{
	uint64_t *sum = arg;

	(void)data;
	*sum += bytes;
}

/* Formats and the one thread; `formats` gets their indices. */
static int catalog_write(struct writer *w, const struct sample *s, uint32_t *formats)
{
	const struct writer_process process = { .pid = (uint32_t)getpid(), .name = s->name,
						.exe = "", .command = "" };
	int index = writer_process_add(w, &process), thread;
	uint32_t i;

	if (index < 0)
		return index;
	thread = writer_thread_add(w, (uint32_t)index, (uint32_t)getpid(), 1, s->name);
	for (i = 0; i < s->format_cnt && thread >= 0; i++) {
		int format = writer_format_add(w, (uint32_t)index, &s->formats[i]);

		if (format < 0)
			return format;
		formats[i] = (uint32_t)format;
	}
	return thread;
}

static int records_write(struct writer *w, const struct sample *s, uint32_t thread,
			 const uint32_t *formats, uint64_t records, uint64_t gap_ticks)
{
	uint64_t counter = counter_now(), entered = counter, seed = 1, done;
	uint32_t i = 0;

	for (done = 0; done < records; done++) {
		const struct sample_call *call = &s->calls[i];
		uint64_t *words = &s->words[call->word_off];
		int err;

		seed = seed * UINT64_C(6364136223846793005) + 1;
		counter += (seed >> 33) * gap_ticks >> 30; /* 0 .. 2 * gap_ticks, even */
		words[1] = counter;
		if (words[0] & QSLOG_RECORD_EXIT)
			words[2] = entered;
		entered = counter;
		err = writer_record(w, thread, formats[call->format], words, call->bytes);
		if (err)
			return err;
		i = i + 1 < s->call_cnt ? i + 1 : 0;
	}
	return 0;
}

int sample_write(const struct sample *s, const char *path, uint64_t records, uint32_t gap_ns,
		 double ns_per_tick, struct sample_written *out)
{
	const struct writer_options options = { .path = path };
	uint32_t *formats = calloc(s->format_cnt + 1u, sizeof(*formats));
	struct writer *w = NULL;
	uint64_t begin;
	int err, close_err;

	memset(out, 0, sizeof(*out));
	if (!formats)
		return -ENOMEM;
	err = writer_open(&w, &options);
	if (err)
		goto out;
	writer_tap(w, rows_count, &out->rows_bytes);
	begin = bench_monotonic_ns();
	err = catalog_write(w, s, formats);
	if (err >= 0)
		err = records_write(w, s, (uint32_t)err, formats, records,
				    (uint64_t)(gap_ns / ns_per_tick));
	close_err = writer_close(w, &out->totals);
	out->seconds = (double)(bench_monotonic_ns() - begin) / 1e9;
	err = err ? err : close_err;
	if (!err && (out->totals.records != records || out->totals.lost))
		err = -EBADMSG;
out:
	free(formats);
	return err;
}
