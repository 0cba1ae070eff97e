/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.h - between the worker, which is the same for all that are compared, and the one that it is
 * linked with. The calls themselves are those of bench_calls.c, see shim/qslog.h.
 */
#ifndef QSLOG_BENCH_PEER_H
#define QSLOG_BENCH_PEER_H

#include <stdint.h>
#include <sys/types.h>

#include "bench_calls.h"

#ifdef __cplusplus
extern "C" {
#endif

enum peer_consumer {
	PEER_CONSUMER_SELF,   /* other threads of this process, or none */
	PEER_CONSUMER_CHILD,  /* one child of this process, which has ended after stop() */
	PEER_CONSUMER_OTHERS, /* the processes of PEER_CONSUMERS="PID PID" */
	PEER_CONSUMER_PARENT, /* the process that started this one */
};

/* What was found in the output, where the peer itself can tell; else the script counts. */
struct peer_found {
	int64_t records, lost, bytes; /* -1: not known */
};

struct peer {
	enum peer_consumer consumer;
	/* Returns when calls are recorded, `*child` being the consumer. 0 or -errno. */
	int (*start)(const char *output, pid_t *child);
	/* Waits until what was recorded has been taken over; NULL: until the consumer is idle. */
	void (*drain)(void);
	int (*stop)(void);
	/* `issued` records of the kind, after stop(); may be NULL. */
	int (*find)(const char *output, enum call_kind kind, uint64_t issued, uint64_t step,
		    struct peer_found *found);
};

extern const struct peer peer;

#ifdef __cplusplus
}
#endif

#endif
