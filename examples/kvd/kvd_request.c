/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_request.c - one request becomes an answer. Here is what the example wants to show: a span
 * around the whole request, spans inside it for its stages, and logs for what is worth knowing.
 *
 *     -> request rec=4711 op=GET key=user:7 conn=3
 *     -> parse
 *     <- parse 0.412us
 *     -> lookup
 *     <- lookup 0.640us
 *     D miss key=user:7
 *     <- request 2.105us
 */
#define QSLOG_TAG "kvd"
#define _GNU_SOURCE
#include "kvd_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <qslog.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Only the worker itself writes its counters. */
static void stat_add_one(_Atomic uint64_t *stat)
{
	atomic_store_explicit(stat, atomic_load_explicit(stat, memory_order_relaxed) + 1,
	                      memory_order_relaxed);
}

static int answer_value(void *arg, struct proto_slice value)
{
	struct bytes *out = arg;
	char head[32];
	int len = snprintf(head, sizeof(head), "VALUE %zu\r\n", value.len);
	int err = bytes_reserve(out, (size_t)len + value.len + 2);

	if (err)
		return err;
	err = bytes_append(out, head, (size_t)len);
	if (!err)
		err = bytes_append(out, value.data, value.len);
	return err ? err : bytes_append(out, "\r\n", 2);
}

static int answer_error(struct worker *worker, const char *why, struct bytes *out)
{
	char line[96];

	stat_add_one(&worker->stats.errors);
	snprintf(line, sizeof(line), "ERROR %s\r\n", why); /* reasons are short literals */
	return bytes_append_str(out, line);
}

static int answer_stat(struct bytes *out, const char *name, uint64_t value)
{
	char line[64];

	snprintf(line, sizeof(line), "STAT %s %" PRIu64 "\r\n", name, value);
	return bytes_append_str(out, line);
}

static int answer_stats(const struct server *server, struct bytes *out)
{
	uint64_t requests = 0, hits = 0, misses = 0, errors = 0;
	struct store_stats store;
	uint32_t i;
	int err;

	for (i = 0; i < server->worker_cnt; i++) {
		const struct worker_stats *stats = &server->workers[i].stats;

		requests += atomic_load_explicit(&stats->requests, memory_order_relaxed);
		hits += atomic_load_explicit(&stats->hits, memory_order_relaxed);
		misses += atomic_load_explicit(&stats->misses, memory_order_relaxed);
		errors += atomic_load_explicit(&stats->errors, memory_order_relaxed);
	}
	store_stats_get(server->store, &store);
	err = answer_stat(out, "workers", server->worker_cnt);
	err = err ? err : answer_stat(out, "connections", atomic_load(&server->connections));
	err = err ? err : answer_stat(out, "requests", requests);
	err = err ? err : answer_stat(out, "hits", hits);
	err = err ? err : answer_stat(out, "misses", misses);
	err = err ? err : answer_stat(out, "errors", errors);
	err = err ? err : answer_stat(out, "entries", store.entries);
	err = err ? err : answer_stat(out, "bytes", store.bytes);
	err = err ? err : answer_stat(out, "evictions", store.evictions);
	return err ? err : bytes_append_str(out, "END\r\n");
}

static int request_get(struct worker *worker, struct proto_slice key, struct bytes *out)
{
	int ret = store_get(worker->server->store, key, answer_value, out);

	if (ret < 0)
		return ret;
	if (ret > 0) {
		stat_add_one(&worker->stats.hits);
		return 0;
	}
	stat_add_one(&worker->stats.misses);
	COUNTED(QSLOGD("miss key={key}", qslog_strn(key.data, key.len)));
	return bytes_append_str(out, "NOT_FOUND\r\n");
}

static int request_set(struct worker *worker, const struct proto_request *request,
                       struct bytes *out)
{
	int err = store_set(worker->server->store, request->key, request->value);

	if (!err)
		return bytes_append_str(out, "STORED\r\n");
	COUNTED(QSLOGE("not stored key={key} value_bytes={value_bytes} error={error}",
	               qslog_strn(request->key.data, request->key.len), request->value.len, err));
	return answer_error(worker, "out of memory", out);
}

static int request_parse(const struct proto_frame *frame, struct proto_request *request,
                         const char **why)
{
	COUNTED_SPAN(QSLOG_SPAN("parse"));
	return proto_parse(frame, request, why);
}

static int request_execute(struct worker *worker, uint64_t conn_id, const struct proto_frame *frame,
                           struct bytes *out)
{
	struct proto_request request;
	const char *why = "";
	int ret, err;

	ret = request_parse(frame, &request, &why);
	if (ret) {
		COUNTED(QSLOGW("bad request conn={conn} op={op} why={why}", conn_id,
		               qslog_strn(frame->op.data, frame->op.len), why));
		err = answer_error(worker, why, out);
		return err ? err : ret == -EBADMSG;
	}
	switch (request.op) {
	case PROTO_GET: return request_get(worker, request.key, out);
	case PROTO_SET: return request_set(worker, &request, out);
	case PROTO_DEL:
		ret = store_del(worker->server->store, request.key);
		return bytes_append_str(out, ret ? "DELETED\r\n" : "NOT_FOUND\r\n");
	case PROTO_STATS: return answer_stats(worker->server, out);
	case PROTO_QUIT: return 1;
	}
	return -EINVAL;
}

int request_handle(struct worker *worker, uint64_t conn_id, const struct proto_frame *frame,
                   struct bytes *out)
{
	uint64_t begin_ns = now_ns(), took_ns;
	int ret;

	/* `rec` is how many records this thread had issued before this one: see kvd_issued.h. */
	COUNTED_SPAN(QSLOG_SPAN("request", "rec={rec} op={op} key={key} conn={conn}",
	                        issued_count(), qslog_strn(frame->op.data, frame->op.len),
	                        qslog_strn(frame->key.data, frame->key.len), conn_id));
	stat_add_one(&worker->stats.requests);
	ret = request_execute(worker, conn_id, frame, out);

	took_ns = now_ns() - begin_ns;
	if (took_ns >= worker->server->slow_ns)
		COUNTED(QSLOGW("slow request op={op} key={key} took={took_us:.1f}us",
		               qslog_strn(frame->op.data, frame->op.len),
		               qslog_strn(frame->key.data, frame->key.len),
		               (double)took_ns / 1000.0));
	return ret;
}
