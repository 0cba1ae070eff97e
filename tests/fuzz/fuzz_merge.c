/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_merge.c - two files, or a file and its tail and another, as one stream of records. */
#include <string.h>

#include "fuzz.h"
#include "merge.h"
#include "text.h"

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	uint64_t *damages = arg;

	(void)path;
	(void)offset;
	*damages += strlen(what) > 0;
}

static void *context_open(void *arg)
{
	return arg;
}

static void line(void *context, struct buffer *out, const struct record *record)
{
	(void)context;
	text_line(out, record);
}

static void context_close(void *arg, void *context)
{
	FUZZ_CHECK(arg == context);
}

static uint64_t records_take(struct merge *merge)
{
	const struct record *record;
	uint64_t cnt = 0;
	unsigned file;

	while (merge_next(merge, &record, &file) > 0) {
		FUZZ_CHECK(file < 2 && record->thread && record->thread->process);
		cnt++;
	}
	return cnt;
}

static uint64_t lines_take(struct merge *merge)
{
	struct reader_render render = { .arg = &render, .open = context_open, .record = line,
					 .close = context_close };
	struct reader_run run;
	uint64_t cnt = 0;
	unsigned file;

	merge_render(merge, &render);
	while (merge_next_run(merge, &run, &file) > 0) {
		FUZZ_CHECK(file < 2 && run.cnt);
		FUZZ_CHECK(run.text[run.lines[run.cnt - 1].end - 1] == '\n');
		cnt += run.cnt;
	}
	return cnt;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct fuzz_input first = fuzz_part(&input), tail = fuzz_part(&input);
	struct merge_options options = { .damage = damage };
	char paths[2][256];
	char *const files[2] = { paths[0], paths[1] };
	uint64_t damages = 0, cnt[3];

	options.damage_arg = &damages;
	strcpy(paths[0], fuzz_file("merge-first", first));
	strcpy(paths[1], fuzz_file("merge-second", input));
	fuzz_file("merge-first.tail", tail);
	/* records; lines by one thread; and by two, which takes long to set up */
	for (unsigned round = 0; round < 2 + (size & 1); round++) {
		struct merge *merge;

		options.jobs = round == 2 ? 2 : 1;
		FUZZ_CHECK(merge_open(&merge, files, 2, &options) == 0);
		cnt[round] = round ? lines_take(merge) : records_take(merge);
		merge_finish(merge);
		merge_close(merge);
		FUZZ_CHECK(cnt[round] == cnt[0]);
	}
	return 0;
}
