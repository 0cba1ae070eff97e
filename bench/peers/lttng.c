/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lttng.c - LTTng-UST. The script has made a session and started it; its daemons take this program
 * in while it begins. PEER_END_COMMAND is what stops the session, and writes what is in buffers.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "lttng_calls.h"

#include <errno.h>
#include <stdlib.h>

#include "bench_util.h"
#include "peer.h"

#define START_WAIT_NS UINT64_C(10000000000)

static int start(const char *output, pid_t *child)
{
	const uint64_t until = bench_monotonic_ns() + START_WAIT_NS;

	(void)output;
	(void)child;
	while (!calls_heard()) {
		if (bench_monotonic_ns() > until)
			return -ETIMEDOUT;
		bench_sleep_ns(1000000);
	}
	return 0;
}

static int stop(void)
{
	const char *command = getenv("PEER_END_COMMAND");

	return command && system(command) == 0 ? 0 : -EIO;
}

const struct peer peer = { PEER_CONSUMER_OTHERS, start, NULL, stop, NULL };
