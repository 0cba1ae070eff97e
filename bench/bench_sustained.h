/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_sustained.h - calls of kind b without pauses, and what of them arrives. */
#ifndef QSLOG_BENCH_SUSTAINED_H
#define QSLOG_BENCH_SUSTAINED_H

#include "bench_listen.h"
#include "bench_util.h"

void sustained_head(void);
/* A row and a result line; failures are reported. Up to TEAM_MAX threads. */
void sustained_measure(struct bench *b, enum listen_mode mode, unsigned int cnt);

#endif
