/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grep.c - for bench-grep: makes a file of the records of a server that does not exist, as
 * `grep FILE TEXT_BYTES` bytes of text: requests, queries, logins, cache misses, failures, on eight
 * threads, with names and paths as often as they are in such logs (a few very, most hardly ever).
 * One user logs in RARE times. The same arguments make the same records.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_util.h"
#include "counter.h"
#include "writer.h"

#define THREADS 8u
#define BATCH 256u
#define GAP_NS 900u
#define USERS 20000u
#define PATHS 3000u
#define PEERS 6000u
#define RARE 20u
#define RARE_USER "zaphod.beeblebrox"
#define LINE_BYTES 116u /* about */

enum call { REQUEST, QUERY, LOGIN, MISS, READ, FAILURE, COLLECTED, CALL_CNT };

static const struct writer_format formats[CALL_CNT] = {
	[REQUEST] = { .level = QSLOG_LEVEL_INFO, .tag = "http", .line = 112, .arg_cnt = 5,
		      .types = { QSLOG_ARG_STR, QSLOG_ARG_STR, QSLOG_ARG_UINT64, QSLOG_ARG_UINT64,
				 QSLOG_ARG_UINT64 },
		      .file = "src/http/serve.c", .function = "request_end",
		      .format = "GET {path} from {peer} status={status} bytes={bytes} took={took}us" },
	[QUERY] = { .level = QSLOG_LEVEL_DEBUG, .tag = "db", .line = 487, .arg_cnt = 3,
		    .types = { QSLOG_ARG_UINT64, QSLOG_ARG_UINT64, QSLOG_ARG_UINT64 },
		    .file = "src/db/pool.c", .function = "query_run",
		    .format = "statement {id} returned {rows} rows in {took}us" },
	[LOGIN] = { .level = QSLOG_LEVEL_INFO, .tag = "auth", .line = 61, .arg_cnt = 3,
		    .types = { QSLOG_ARG_STR, QSLOG_ARG_STR, QSLOG_ARG_UINT64 },
		    .file = "src/auth/login.c", .function = "login_accept",
		    .format = "user {user} logged in from {peer} session={session:016x}" },
	[MISS] = { .level = QSLOG_LEVEL_VERBOSE, .tag = "cache", .line = 203, .arg_cnt = 3,
		   .types = { QSLOG_ARG_UINT64, QSLOG_ARG_UINT64, QSLOG_ARG_UINT64 },
		   .file = "src/cache/shard.c", .function = "lookup",
		   .format = "miss key={key} shard={shard} refill={took}us" },
	[READ] = { .level = QSLOG_LEVEL_VERBOSE, .tag = "net", .line = 78, .arg_cnt = 3,
		   .types = { QSLOG_ARG_INT64, QSLOG_ARG_UINT64, QSLOG_ARG_UINT64 },
		   .file = "src/net/loop.c", .function = "on_readable",
		   .format = "fd {fd} read {bytes} bytes, {pending} pending" },
	[FAILURE] = { .level = QSLOG_LEVEL_ERROR, .tag = "http", .line = 301, .arg_cnt = 3,
		      .types = { QSLOG_ARG_STR, QSLOG_ARG_STR, QSLOG_ARG_UINT64 },
		      .file = "src/http/upstream.c", .function = "upstream_failed",
		      .format = "upstream {host} failed: {error} after {tries} tries" },
	[COLLECTED] = { .level = QSLOG_LEVEL_INFO, .tag = "gc", .line = 33, .arg_cnt = 2,
			.types = { QSLOG_ARG_UINT64, QSLOG_ARG_DOUBLE },
			.file = "src/mem/gc.c", .function = "collect",
			.format = "collected {objects} objects in {took:.3f}ms" },
};

struct maker {
	struct writer *w;
	uint64_t words[64];
	uint32_t cnt;
	uint64_t random;
	int threads[THREADS], ids[CALL_CNT];
};

static uint64_t next(struct maker *m)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random;
}

/* 0 to max - 1, small ones much more often. */
static uint64_t skewed(struct maker *m, double max)
{
	return (uint64_t)(pow(max, (double)(next(m) >> 11) / (double)(1ull << 53))) - 1;
}

static void text(struct maker *m, const char *s)
{
	const uint32_t len = (uint32_t)strlen(s), words = (len + 7) / 8;

	m->words[m->cnt++] = (uint64_t)len << 32 | len;
	m->words[m->cnt + words - 1] = 0;
	memcpy(&m->words[m->cnt], s, len);
	m->cnt += words;
}

static void number(struct maker *m, uint64_t v)
{
	m->words[m->cnt++] = v;
}

static void peer(struct maker *m)
{
	const uint64_t n = skewed(m, PEERS);
	char s[32];

	snprintf(s, sizeof(s), "10.%u.%u.%u", (unsigned)(n % 7), (unsigned)(n / 7 % 256),
		 (unsigned)(n * 37 % 251));
	text(m, s);
}

static void user(struct maker *m)
{
	static const char *const first[] = { "anna", "bela", "chen", "dina", "emil", "fatma", "goran" };
	const uint64_t n = skewed(m, USERS);
	char s[48];

	snprintf(s, sizeof(s), "%s.%c%llx", first[n % 7], (char)('a' + n % 23),
		 (unsigned long long)(n * 2654435761u & 0xffffff));
	text(m, s);
}

static void request(struct maker *m)
{
	static const char *const kinds[] = { "item", "list", "cart", "static/img", "api/v2/order" };
	const uint64_t n = skewed(m, PATHS);
	char s[64];

	snprintf(s, sizeof(s), "/%s/%llu", kinds[n % 5], (unsigned long long)n);
	text(m, s);
	peer(m);
	number(m, n % 50 == 49 ? 404 : next(m) % 200 == 0 ? 500 : 200);
	number(m, 200 + skewed(m, 1e6));
	number(m, 80 + skewed(m, 2e6));
}

static void arguments(struct maker *m, enum call call, bool rare)
{
	static const char *const errors[] = { "connection refused", "timed out", "reset by peer" };
	double took;

	switch (call) {
	case REQUEST:
		request(m);
		break;
	case QUERY:
		number(m, next(m) % 90);
		number(m, skewed(m, 1000));
		number(m, 20 + skewed(m, 1e5));
		break;
	case LOGIN:
		if (rare)
			text(m, RARE_USER);
		else
			user(m);
		peer(m);
		number(m, next(m));
		break;
	case MISS:
		number(m, next(m) % 100000000);
		number(m, next(m) % 64);
		number(m, 5 + skewed(m, 5000));
		break;
	case READ:
		number(m, 5 + skewed(m, 4000));
		number(m, 1 + skewed(m, 65536));
		number(m, skewed(m, 32));
		break;
	case FAILURE:
		text(m, next(m) % 2 ? "inventory-1.internal" : "payment-3.internal");
		text(m, errors[next(m) % 3]);
		number(m, 1 + next(m) % 5);
		break;
	case COLLECTED:
		number(m, 1000 + next(m) % 50000);
		took = (double)(next(m) % 20000) / 1000;
		memcpy(&m->words[m->cnt++], &took, 8);
		break;
	case CALL_CNT:
		break;
	}
}

static enum call pick(struct maker *m)
{
	const unsigned n = next(m) % 1000;

	return n < 340 ? REQUEST : n < 560 ? QUERY : n < 740 ? READ : n < 940 ? MISS :
	       n < 990 ? LOGIN : n < 998 ? FAILURE : COLLECTED;
}

static int record_make(struct maker *m, uint32_t thread, uint64_t counter, bool rare)
{
	const enum call call = rare ? LOGIN : pick(m);

	m->cnt = 2;
	arguments(m, call, rare);
	m->words[0] = (uint64_t)m->cnt << QSLOG_RECORD_SIZE_SHIFT;
	m->words[1] = counter;
	return writer_record(m->w, (uint32_t)m->threads[thread], (uint32_t)m->ids[call], m->words,
			     m->cnt * 8);
}

static int prepare(struct maker *m)
{
	const struct writer_process process = { .pid = 7100, .name = "served",
						.exe = "/usr/sbin/served", .command = "served" };
	unsigned i;
	int n = writer_process_add(m->w, &process);

	for (i = 0; i < THREADS && n >= 0; i++)
		n = m->threads[i] = writer_thread_add(m->w, 0, 7100 + i, 1 + i, "worker");
	for (i = 0; i < CALL_CNT && n >= 0; i++)
		n = m->ids[i] = writer_format_add(m->w, 0, &formats[i]);
	return n < 0 ? n : 0;
}

static int make(const char *path, uint64_t records)
{
	const struct writer_options options = { .path = path };
	struct maker m = { .random = 88172645463325252u };
	const uint64_t every = records / RARE, ns = GAP_NS * THREADS;
	struct writer_totals totals;
	uint64_t n, start = counter_now();
	int err, close_err;

	err = writer_open(&m.w, &options);
	if (err)
		return err;
	err = prepare(&m);
	for (n = 0; n < records && !err; n++) {
		const uint64_t batch = n / BATCH, at = batch / THREADS * BATCH + n % BATCH;

		err = record_make(&m, (uint32_t)(batch % THREADS), start + at * ns,
				  n % every == every / 2);
	}
	close_err = writer_close(m.w, &totals);
	if (!err && !close_err && totals.records != records)
		err = -EBADMSG;
	return err ? err : close_err;
}

int main(int argc, char **argv)
{
	uint64_t bytes = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	int err;

	if (bytes < RARE * LINE_BYTES) {
		fprintf(stderr, "usage: grep FILE TEXT_BYTES (bench-grep calls it)\n");
		return 2;
	}
	err = make(argv[1], bytes / LINE_BYTES);
	if (err)
		fprintf(stderr, "bench-grep: %s: %s\n", argv[1], strerror(-err));
	return err ? 1 : 0;
}
