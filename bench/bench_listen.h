/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_listen.h - nobody, the in-process collector or qslog-trace listens to this process. */
#ifndef QSLOG_BENCH_LISTEN_H
#define QSLOG_BENCH_LISTEN_H

#include "bench_tracer.h"

enum listen_mode { LISTEN_OFF, LISTEN_INPROC, LISTEN_KERNEL, LISTEN_MODES };

struct listener {
	enum listen_mode mode;
	struct tracer tracer;
};

const char *listen_mode_name(enum listen_mode mode);
/* Returns when it listens; it runs on other processors than the first, where a team's first thread
 * runs, if there are others. 0 or -errno; tracer.text says more. */
int listen_begin(struct listener *l, enum listen_mode mode, const char *path);
/* Returns when what was written is somebody else's. 0 or -errno. */
int listen_handed_over(struct listener *l);
/* The file is complete. 0 or -errno. */
int listen_end(struct listener *l);

#endif
