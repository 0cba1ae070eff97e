/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_worker.h - the worker threads. Each has its own listening socket on the same port
 * (SO_REUSEPORT: the kernel spreads the connections), its own epoll and its own connections; what
 * they share is the store and a few counters.
 */
#ifndef KVD_WORKER_H
#define KVD_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "kvd_issued.h"
#include "kvd_store.h"

#define WORKERS_MAX 64u

struct conn;

/* Written by one worker, read by STATS on another. */
struct worker_stats {
	_Atomic uint64_t requests, hits, misses, errors;
};

struct worker {
	struct server *server;
	uint32_t index;
	pthread_t thread;
	int listen_fd, epoll_fd;
	int stop_fd;             /* eventfd: time to end */
	int64_t paused_until_ms; /* not accepting until then: out of file descriptors; or 0 */
	struct conn *conns;      /* list */
	struct worker_stats stats;
};

struct server {
	struct store *store;
	struct issued *issued;
	uint32_t connections_max;
	uint32_t value_bytes_max;
	uint64_t slow_ns;
	_Atomic uint32_t connections;
	_Atomic uint64_t connection_id; /* of the newest; the first is 1 */
	uint32_t worker_cnt;
	struct worker workers[WORKERS_MAX];
};

/* Binds worker `index` to 127.0.0.1:*port; *port 0 takes a free one and says which. 0 or -errno. */
int worker_open(struct server *server, uint32_t index, uint16_t *port);
int worker_start(struct worker *worker);

/* The worker answers what it has received, closes its connections and ends. */
void worker_stop(struct worker *worker);
int worker_join(struct worker *worker);
void worker_close(struct worker *worker);

#endif
