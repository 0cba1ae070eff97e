/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd.c - a small key-value server, as an example of a program that logs with qslog. This file
 * starts it, waits for SIGTERM or SIGINT, and ends it in order. The protocol is in kvd_proto.h;
 * requests, where most of the logging is, in kvd_request.c.
 */
#define QSLOG_TAG "kvd"
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <qslog.h>

#include "kvd_worker.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	uint16_t port;
	uint32_t workers, connections_max, value_bytes_max;
	uint64_t memory_bytes, slow_us;
	const char *issued, *issued_show;
};

static const char usage[] =
	"usage: kvd [options]\n"
	"A small key-value server on 127.0.0.1. Prints \"ready port=N pid=N\" when it listens and\n"
	"ends in order on SIGTERM or SIGINT.\n"
	"  --port N              port (default 0: any free one)\n"
	"  --workers N           threads, 1..64 (default 2)\n"
	"  --memory-bytes N      for keys and values (default 67108864); the oldest make room\n"
	"  --max-connections N   (default 1024)\n"
	"  --max-value-bytes N   (default 1048576)\n"
	"  --slow-us N           a request that takes longer is logged (default 1000)\n"
	"  --issued FILE         count the records that each thread issues in FILE, which survives\n"
	"                        kill -9; best on tmpfs (/dev/shm)\n"
	"  --issued-show FILE    print such a file (tid, records, thread) and end\n"
	"  --help\n";

static int number_parse(const char *name, const char *text, uint64_t min, uint64_t max,
                        uint64_t *out)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || value < min || value > max) {
		fprintf(stderr, "kvd: --%s %s: not a number from %" PRIu64 " to %" PRIu64 "\n",
		        name, text, min, max);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

/* 1: go on; else 0 or -EINVAL, and that is all. */
static int options_parse(struct options *o, int argc, char **argv)
{
	enum { PORT, WORKERS, MEMORY, CONNECTIONS, VALUE, SLOW, ISSUED, SHOW, HELP };
	static const struct option longs[] = { { "port", 1, NULL, PORT },
		                               { "workers", 1, NULL, WORKERS },
		                               { "memory-bytes", 1, NULL, MEMORY },
		                               { "max-connections", 1, NULL, CONNECTIONS },
		                               { "max-value-bytes", 1, NULL, VALUE },
		                               { "slow-us", 1, NULL, SLOW },
		                               { "issued", 1, NULL, ISSUED },
		                               { "issued-show", 1, NULL, SHOW },
		                               { "help", 0, NULL, HELP },
		                               { 0 } };
	uint64_t number[ISSUED] = { [WORKERS] = 2,
		                    [MEMORY] = 64u << 20,
		                    [CONNECTIONS] = 1024,
		                    [VALUE] = 1u << 20,
		                    [SLOW] = 1000 };
	static const uint64_t min[ISSUED] = { [WORKERS] = 1, [CONNECTIONS] = 1, [VALUE] = 1 };
	static const uint64_t max[ISSUED] = {
		[PORT] = UINT16_MAX,      [WORKERS] = WORKERS_MAX, [MEMORY] = UINT64_C(1) << 40,
		[CONNECTIONS] = 1u << 20, [VALUE] = 64u << 20,     [SLOW] = 3600000000u
	};
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "", longs, &index)) >= 0) {
		if (c == HELP) {
			fputs(usage, stdout);
			return 0;
		} else if (c == ISSUED) {
			o->issued = optarg;
		} else if (c == SHOW) {
			o->issued_show = optarg;
		} else if (c < ISSUED) {
			if (number_parse(longs[c].name, optarg, min[c], max[c], &number[c]))
				return -EINVAL;
		} else {
			fputs("kvd: try --help\n", stderr);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kvd: %s: not an option; try --help\n", argv[optind]);
		return -EINVAL;
	}
	o->port = (uint16_t)number[PORT];
	o->workers = (uint32_t)number[WORKERS];
	o->memory_bytes = number[MEMORY];
	o->connections_max = (uint32_t)number[CONNECTIONS];
	o->value_bytes_max = (uint32_t)number[VALUE];
	o->slow_us = number[SLOW];
	if (o->memory_bytes / STORE_SHARDS <
	    o->value_bytes_max + PROTO_KEY_MAX + STORE_ENTRY_BYTES) {
		fprintf(stderr,
		        "kvd: --memory-bytes %" PRIu64 ": too little for values of %u bytes; at "
		        "least %" PRIu64 " are needed\n",
		        o->memory_bytes, o->value_bytes_max,
		        (uint64_t)STORE_SHARDS *
		                (o->value_bytes_max + PROTO_KEY_MAX + STORE_ENTRY_BYTES));
		return -EINVAL;
	}
	return 1;
}

/* A connection each, and some. Where the hard limit is lower, accept() will say so. */
static void files_limit_raise(uint32_t connections_max)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t)connections_max + 4 * WORKERS_MAX;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		COUNTED(QSLOGW("setrlimit errno={errno}", errno));
}

static int server_open(struct server *server, const struct options *o, uint16_t *port)
{
	uint32_t i;
	int err;

	server->connections_max = o->connections_max;
	server->value_bytes_max = o->value_bytes_max;
	server->slow_ns = o->slow_us * 1000;
	for (i = 0; i < WORKERS_MAX; i++)
		server->workers[i].epoll_fd = server->workers[i].stop_fd =
			server->workers[i].listen_fd = -1;
	err = issued_open(&server->issued, o->issued, o->workers + 1);
	if (err) {
		fprintf(stderr, "kvd: %s: %s\n", o->issued ? o->issued : "counters",
		        strerror(-err));
		return err;
	}
	err = issued_thread_begin(server->issued, 0, "kvd");
	if (err)
		fprintf(stderr, "kvd: thread name: %s\n", strerror(-err));
	files_limit_raise(o->connections_max);
	err = store_open(&server->store, o->memory_bytes);
	if (err) {
		fprintf(stderr, "kvd: store: %s\n", strerror(-err));
		return err;
	}
	*port = o->port;
	for (i = 0; i < o->workers; i++) {
		err = worker_open(server, i, port);
		if (err) {
			fprintf(stderr, "kvd: 127.0.0.1:%u: %s\n", *port, strerror(-err));
			return err;
		}
	}
	server->worker_cnt = o->workers;
	return 0;
}

static int server_run(struct server *server, uint16_t port)
{
	uint32_t i, started = 0;
	sigset_t ends;
	int sig, err = 0, worker_err;

	/* Blocked in every thread, the workers inherit it; sigwait() below takes them. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	err = -pthread_sigmask(SIG_BLOCK, &ends, NULL);
	for (i = 0; !err && i < server->worker_cnt; i++) {
		err = worker_start(&server->workers[i]);
		if (!err)
			started++;
	}
	if (err) {
		fprintf(stderr, "kvd: worker: %s\n", strerror(-err));
	} else {
		COUNTED(QSLOGI("ready port={port} workers={workers}", port, server->worker_cnt));
		printf("ready port=%u pid=%d\n", port, (int)getpid());
		fflush(stdout);
		err = -sigwait(&ends, &sig);
		COUNTED(QSLOGI("stopping signal={signal}", err ? 0 : sig));
	}
	for (i = 0; i < started; i++)
		worker_stop(&server->workers[i]);
	for (i = 0; i < started; i++) {
		worker_err = worker_join(&server->workers[i]);
		if (worker_err) {
			fprintf(stderr, "kvd: worker %u: %s\n", i, strerror(-worker_err));
			err = worker_err;
		}
	}
	COUNTED(QSLOGI("stopped connections={connections}", atomic_load(&server->connection_id)));
	return err;
}

int main(int argc, char **argv)
{
	static struct server server;
	struct options options = { 0 };
	uint16_t port = 0;
	uint32_t i;
	int err;

	err = options_parse(&options, argc, argv);
	if (err <= 0)
		return err ? EXIT_USAGE : EXIT_OK;
	if (options.issued_show) {
		err = issued_show(options.issued_show);
		if (err)
			fprintf(stderr, "kvd: %s: %s\n", options.issued_show, strerror(-err));
		return err ? EXIT_FAILED : EXIT_OK;
	}
	err = server_open(&server, &options, &port);
	if (!err)
		err = server_run(&server, port);
	for (i = 0; i < WORKERS_MAX; i++)
		worker_close(&server.workers[i]);
	store_close(server.store);
	issued_close(server.issued);
	return err ? EXIT_FAILED : EXIT_OK;
}
