/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * write_file.c - writes a .qslog file for qslog.sh: write_file FILE PID COUNT [open]. COUNT
 * records "n={}" of tag "count", with every tenth a span and a loss of 3; with "open" the file is
 * left as by a writer that was killed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "writer.h"

static uint64_t counter(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
#endif
}

static int put(struct writer *w, int thread, int format, uint64_t flags, uint64_t value)
{
	uint64_t record[3] = { 0x1000u | 3ull << QSLOG_RECORD_SIZE_SHIFT | flags, counter(), value };

	return writer_record(w, (uint32_t)thread, (uint32_t)format, record, sizeof(record));
}

int main(int argc, char **argv)
{
	static const struct writer_format log = {
		.kind = QSLOG_SITE_LOG, .level = QSLOG_LEVEL_INFO, .arg_cnt = 1,
		.types = { QSLOG_ARG_UINT64 }, .line = 12, .tag = "count", .file = "/src/count.c",
		.function = "run", .format = "n={n}",
	};
	static const struct writer_format span = {
		.kind = QSLOG_SITE_SPAN, .level = QSLOG_LEVEL_DEBUG, .arg_cnt = 1,
		.types = { QSLOG_ARG_UINT64 }, .line = 34, .tag = "work", .file = "/src/work.c",
		.function = "step", .format = "id={}", .name = "step",
	};
	struct writer_options options = { .tail = true };
	struct writer_process process = { .name = "app", .exe = "", .command = "" };
	struct writer *w;
	int p, t, f, s, err = 0;

	if (argc < 4)
		return 2;
	options.path = argv[1];
	process.pid = (uint32_t)atoi(argv[2]);
	if (writer_open(&w, &options))
		return 1;
	p = writer_process_add(w, &process);
	t = writer_thread_add(w, (uint32_t)p, process.pid, 1, "main");
	f = writer_format_add(w, (uint32_t)p, &log);
	s = writer_format_add(w, (uint32_t)p, &span);
	for (int i = 0; !err && i < atoi(argv[3]); i++) {
		err = put(w, t, f, 0, (uint64_t)i);
		if (i % 10 || err)
			continue;
		err = put(w, t, s, 0, (uint64_t)i);
		if (!err)
			err = put(w, t, s, QSLOG_RECORD_EXIT, counter());
		if (!err)
			err = writer_loss(w, (uint32_t)t, LOSS_ARENA_FULL, 3);
	}
	if (argc > 4) {
		if (!err)
			err = writer_flush(w);
		_exit(err ? 1 : 0);
	}
	if (err)
		fprintf(stderr, "write_file: %s\n", strerror(-err));
	return writer_close(w, NULL) || err ? 1 : 0;
}
