/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_listen.c - nobody, the in-process collector or qslog-trace listens to this process. */
#include <qslog.h>

#include "bench_listen.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

const char *listen_mode_name(enum listen_mode mode)
{
	static const char *const names[LISTEN_MODES] = { "off", "inproc", "kernel" };

	return names[mode];
}

static int begin(struct listener *l, const char *path)
{
	struct qslog_options options = QSLOG_OPTIONS_INIT;

	options.path = path;
	switch (l->mode) {
	case LISTEN_INPROC:
		return qslog_start(&options);
	case LISTEN_KERNEL:
		return tracer_start(&l->tracer, path);
	default:
		return 0;
	}
}

/* A new thread or process may run where the one may that starts it. */
int listen_begin(struct listener *l, enum listen_mode mode, const char *path)
{
	cpu_set_t allowed, others;
	int cpu, err;

	memset(l, 0, sizeof(*l));
	l->mode = mode;
	err = -pthread_getaffinity_np(pthread_self(), sizeof(allowed), &allowed);
	if (err)
		return err;
	others = allowed;
	for (cpu = 0; !CPU_ISSET(cpu, &others);)
		cpu++;
	if (CPU_COUNT(&others) > 1)
		CPU_CLR(cpu, &others);
	err = -pthread_setaffinity_np(pthread_self(), sizeof(others), &others);
	if (err)
		return err;
	err = begin(l, path);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(allowed), &allowed);
	return err;
}

int listen_handed_over(struct listener *l)
{
	if (l->mode == LISTEN_INPROC)
		return qslog_flush();
	if (l->mode == LISTEN_KERNEL)
		tracer_idle_wait(&l->tracer);
	return 0;
}

int listen_end(struct listener *l)
{
	if (l->mode == LISTEN_INPROC)
		return qslog_stop();
	return l->mode == LISTEN_KERNEL ? tracer_stop(&l->tracer) : 0;
}
