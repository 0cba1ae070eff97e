/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_writer.c - what a hostile process hands over, through ingest and the writer into a file. Whatever
 * it is, the file is whole, and has as many records and losses as the writer says.
 *
 * The input is a row of operations: a byte says which, others what with.
 */
#include <stdlib.h>
#include <string.h>

#include "clock_pair.h"
#include "counter.h"
#include "fuzz.h"
#include "ingest.h"
#include "writer.h"

#define SITES 16u
#define TEXT_MAX 200u
#define THREADS_MAX 64

struct world {
	struct writer *w;
	struct ingest *in;
	struct ingest_process *p;
	struct writer_format sites[SITES];
	char texts[SITES][TEXT_MAX + 1];
	uint64_t pos[8]; /* of some arenas */
	int process, thread, format, threads;
};

/* Any text without NUL; the reader must take whatever the writer takes. */
static void site_make(struct writer_format *f, char *text, struct fuzz_input *input)
{
	unsigned i, len = fuzz_u8(input) % TEXT_MAX;

	f->kind = fuzz_u8(input) % (QSLOG_SITE_KIND_COUNT + 1);
	f->level = fuzz_u8(input) % (QSLOG_LEVEL_COUNT + 1);
	f->arg_cnt = fuzz_u8(input) % (QSLOG_ARGS_MAX + 2);
	for (i = 0; i < f->arg_cnt && i < QSLOG_ARGS_MAX; i++)
		f->types[i] = fuzz_u8(input) % (QSLOG_ARG_TYPE_COUNT + 1);
	f->line = (uint32_t)fuzz_u64(input);
	for (i = 0; i < len; i++) {
		text[i] = (char)fuzz_u8(input);
		if (!text[i])
			text[i] = '{';
	}
	text[i] = '\0';
	f->tag = len & 1 ? text : NULL;
	f->file = f->function = f->format = text;
	f->name = f->kind == QSLOG_SITE_SPAN ? text : NULL;
}

static int site(void *arg, uint64_t address, struct writer_format *out)
{
	struct world *world = arg;

	if (address >= SITES)
		return -2;
	*out = world->sites[address];
	return 0;
}

static void define(void *arg, uint64_t address, const void *memory, uint32_t bytes)
{
	const uint8_t *p = memory;
	volatile uint8_t last;

	(void)arg;
	(void)address;
	last = bytes ? p[bytes - 1] : 0;
	(void)last;
}

static void thread_name(void *arg, uint32_t tid, char name[32])
{
	(void)arg;
	snprintf(name, 32, "t%u", tid);
}

static uint64_t *words_make(struct fuzz_input *input, uint32_t *bytes)
{
	uint32_t cnt = fuzz_u8(input) + (uint32_t)fuzz_u8(input) * 8u;
	uint64_t *words;

	if (cnt > input->size / 8)
		cnt = (uint32_t)(input->size / 8);
	words = malloc(cnt ? cnt * 8 : 1);
	FUZZ_CHECK(words);
	if (cnt)
		memcpy(words, input->data, cnt * 8);
	input->data += cnt * 8;
	input->size -= cnt * 8;
	*bytes = cnt * 8;
	return words;
}

static void batch(struct world *world, struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input), flags = fuzz_u8(input);
	uint64_t *pos = &world->pos[what & 7];
	struct ingest_batch b = { .registry = what >> 7, .arena = what & 7, .tid = what >> 3 & 3,
				  .key = 1u + (what >> 5 & 1), .resync = flags & 1,
				  .baseline = flags & 2 };

	b.data = words_make(input, &b.bytes);
	b.from = *pos;
	if (flags & 4)
		b.from += (uint64_t)(int64_t)(int8_t)fuzz_u8(input) * 8;
	if (flags & 8)
		b.from = fuzz_u64(input);
	if (flags & 16)
		b.from_records = fuzz_u8(input);
	if (flags & 32)
		b.dropped = fuzz_u8(input);
	if (!ingest_batch(world->p, &b))
		*pos = b.from + b.bytes;
	free((void *)(uintptr_t)b.data);
}

static void operation(struct world *world, struct fuzz_input *input)
{
	struct writer_process process = { .name = "p", .exe = "/e", .command = "c \x1b" };
	struct writer_format made = { 0 };
	char text[TEXT_MAX + 1];
	uint64_t *words;
	uint32_t bytes;
	int ret;

	switch (fuzz_u8(input) % 12) {
	case 0:
	case 1:
	case 2:
		batch(world, input);
		break;
	case 3:
		words = words_make(input, &bytes);
		if (bytes)
			writer_record(world->w, (uint32_t)world->thread, (uint32_t)world->format,
				      words, bytes);
		free(words);
		break;
	case 4:
		writer_loss(world->w, (uint32_t)world->thread,
			    (enum loss_cause)(fuzz_u8(input) % LOSS_CAUSE_COUNT), fuzz_u8(input));
		break;
	case 5:
		writer_flush(world->w);
		break;
	case 6:
		if (world->threads++ < THREADS_MAX) {
			ret = writer_thread_add(world->w, (uint32_t)world->process,
						fuzz_u8(input) % 4, 1u + fuzz_u8(input) % 2,
						fuzz_u8(input) & 1 ? "one" : "two");
			world->thread = ret < 0 ? world->thread : ret;
		}
		break;
	case 7:
		site_make(&made, text, input);
		ret = writer_format_add(world->w, (uint32_t)world->process, &made);
		world->format = ret < 0 ? world->format : ret;
		break;
	case 8:
		process.pid = fuzz_u8(input);
		ret = writer_process_add(world->w, &process);
		world->process = ret < 0 ? world->process : ret;
		break;
	case 9:
		ingest_arena_end(world->p, 0, fuzz_u8(input) & 7, fuzz_u8(input) & 3, 1,
				 fuzz_u64(input) & ~7ull, fuzz_u8(input), fuzz_u8(input),
				 (enum loss_cause)(fuzz_u8(input) % LOSS_CAUSE_COUNT));
		break;
	case 10:
		ingest_process_loss(world->p,
				    (enum loss_cause)(fuzz_u8(input) % LOSS_CAUSE_COUNT),
				    fuzz_u8(input));
		break;
	default:
		ingest_sites_forget(world->p);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* what is not measured anew takes no time */
	const struct clock_scale scale = { .counter0 = counter_now(), .mult = UINT64_C(1) << 32,
					   .hz = 1000000000, .kind = COUNTER_KIND };
	struct fuzz_input input = { data, size };
	struct world world = { 0 };
	struct ingest_source source = { .arg = &world, .site = site, .define = define,
					.thread_name = thread_name };
	struct writer_options options = { .block_bytes = 4096, .scale = &scale };
	struct writer_process process = { .pid = 1, .name = "example", .exe = "", .command = "" };
	struct writer_totals totals;
	struct fuzz_result result;
	const char *path = fuzz_path("writer");

	options.path = path;
	options.tail = fuzz_u8(&input) & 1;
	for (unsigned i = 0; i < SITES / 2; i++)
		site_make(&world.sites[i], world.texts[i], &input);
	FUZZ_CHECK(writer_open(&world.w, &options) == 0);
	world.process = writer_process_add(world.w, &process);
	world.thread = writer_thread_add(world.w, (uint32_t)world.process, 1, 1, "main");
	FUZZ_CHECK(world.process >= 0 && world.thread >= 0);
	FUZZ_CHECK(ingest_open(&world.in, world.w, NULL) == 0);
	FUZZ_CHECK(ingest_process_add(world.in, (uint32_t)world.process, "tag", 0, &source,
				      &world.p) == 0);
	while (input.size)
		operation(&world, &input);
	ingest_settle(world.p);
	ingest_process_remove(world.p);
	ingest_close(world.in);
	FUZZ_CHECK(writer_close(world.w, &totals) == 0);
	FUZZ_CHECK(fuzz_read(path, NULL, &result));
	FUZZ_CHECK(result.damages == 0 && result.totals.has_index && !result.totals.has_tail);
	FUZZ_CHECK(result.totals.records == totals.records);
	FUZZ_CHECK(result.totals.lost == totals.lost);
	return 0;
}
