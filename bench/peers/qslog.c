/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qslog.c - qslog itself, in-process, or with qslog-trace attached (PEER_KERNEL). Its file is read
 * with the reader that everybody uses.
 */
#include <qslog.h>

#include <stdio.h>

#include "bench_check.h"
#include "bench_tracer.h"
#include "peer.h"

#ifdef PEER_KERNEL

static struct tracer tracer;

static int start(const char *output, pid_t *child)
{
	const int err = tracer_start(&tracer, output);

	if (err)
		fprintf(stderr, "qslog-trace: %s\n", tracer.text);
	*child = tracer.pid;
	return err;
}

static void drain(void)
{
	tracer_idle_wait(&tracer);
}

static int stop(void)
{
	return tracer_stop(&tracer);
}

#define CONSUMER PEER_CONSUMER_CHILD

#else

static int start(const char *output, pid_t *child)
{
	struct qslog_options options = QSLOG_OPTIONS_INIT;

	(void)child;
	options.path = output;
	return qslog_start(&options);
}

static void drain(void)
{
	(void)qslog_flush(); /* what then finds no room is counted */
}

static int stop(void)
{
	return qslog_stop();
}

#define CONSUMER PEER_CONSUMER_SELF

#endif

static int find(const char *output, enum call_kind kind, uint64_t issued, uint64_t step,
		struct peer_found *found)
{
	struct check check;
	const int err = check_file(&check, output, kind, issued, step);

	if (err)
		fprintf(stderr, "qslog: the file is wrong: %s\n", check.why);
	found->records = (int64_t)check.records;
	found->lost = (int64_t)check.lost;
	found->bytes = (int64_t)check.file_bytes;
	return err;
}

const struct peer peer = { CONSUMER, start, drain, stop, find };
