/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_replay.c - sample_replay(): a sample through the writer, with fresh timestamps. */
#include <errno.h>
#include <math.h>
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

/* A whole replay is prepared before it is timed: what is measured is the writer. */
struct replayed {
	uint32_t *calls;
	uint64_t *counters;
};

static uint64_t random_next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *seed >> 11;
}

/* Counters of calls at full speed: header and slots are copied, as the recording path does. */
static void counters_read(const struct sample *s, struct replayed *r, uint64_t records)
{
	static uint64_t arena[8192];
	uint64_t i, at = 0;

	for (i = 0; i < records; i++) {
		const struct sample_call *call = &s->calls[r->calls[i]];

		r->counters[i] = counter_now();
		if (at + call->bytes / 8 > sizeof(arena) / 8)
			at = 0;
		if (call->bytes <= sizeof(arena)) {
			memcpy(arena + at, &s->words[call->word_off], call->bytes);
			at += call->bytes / 8;
		}
		__asm__ volatile("" : : "r"(arena) : "memory");
	}
}

static int replay_prepare(const struct sample *s, const struct sample_replay *how,
			  double ns_per_tick, struct replayed *r)
{
	const double gap_ticks = how->gap_ns / ns_per_tick;
	uint64_t counter = counter_now(), seed = 1, i;

	r->calls = malloc(how->records * sizeof(*r->calls) + 1);
	r->counters = malloc(how->records * sizeof(*r->counters) + 1);
	if (!r->calls || !r->counters)
		return -ENOMEM;
	for (i = 0; i < how->records; i++) {
		r->calls[i] = (uint32_t)(how->shuffled ? random_next(&seed) % s->call_cnt :
							 i % s->call_cnt);
		counter += (uint64_t)(-log((double)(random_next(&seed) + 1) / 9007199254740993.0) *
				      gap_ticks);
		r->counters[i] = counter;
	}
	if (!how->gap_ns)
		counters_read(s, r, how->records);
	return 0;
}

static int records_write(struct writer *w, const struct sample *s, uint32_t thread,
			 const uint32_t *formats, const struct replayed *r, uint64_t records)
{
	uint64_t entered = r->counters[0], i;

	for (i = 0; i < records; i++) {
		const struct sample_call *call = &s->calls[r->calls[i]];
		uint64_t *words = &s->words[call->word_off];
		int err;

		words[1] = r->counters[i];
		if (words[0] & QSLOG_RECORD_EXIT)
			words[2] = entered;
		entered = words[1];
		err = writer_record(w, thread, formats[call->format], words, call->bytes);
		if (err)
			return err;
	}
	return 0;
}

static unsigned int always_full(void *arg)
{
	(void)arg;
	return 100;
}

int sample_replay(const struct sample *s, const char *path, const struct sample_replay *how,
		  double ns_per_tick, struct sample_written *out)
{
	const struct writer_options options = { .path = path, .compress = how->compress,
						.tick_ns = how->tick_ns,
						.backlog = how->hasty ? always_full : NULL,
						.seal_thread = how->seal_thread };
	uint32_t *formats = calloc(s->format_cnt + 1u, sizeof(*formats));
	struct replayed replayed = { NULL, NULL };
	struct writer *w = NULL;
	uint64_t begin;
	int err, close_err;

	memset(out, 0, sizeof(*out));
	err = formats ? replay_prepare(s, how, ns_per_tick, &replayed) : -ENOMEM;
	if (!err)
		err = writer_open(&w, &options);
	if (err)
		goto out;
	if (how->rows)
		writer_tap(w, rows_count, &out->rows_bytes);
	begin = bench_monotonic_ns();
	err = catalog_write(w, s, formats);
	if (err >= 0)
		err = records_write(w, s, (uint32_t)err, formats, &replayed, how->records);
	close_err = writer_close(w, &out->totals);
	out->seconds = (double)(bench_monotonic_ns() - begin) / 1e9;
	err = err ? err : close_err;
	if (!err && (out->totals.records != how->records || out->totals.lost))
		err = -EBADMSG;
out:
	free(formats);
	free(replayed.calls);
	free(replayed.counters);
	return err;
}

int sample_write(const struct sample *s, const char *path, uint64_t records, uint32_t gap_ns,
		 double ns_per_tick, struct sample_written *out)
{
	const struct sample_replay how = { .records = records, .gap_ns = gap_ns };

	return sample_replay(s, path, &how, ns_per_tick, out);
}
