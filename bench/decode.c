/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decode.c - bench-decode: how fast a file is read, as records, text lines and NDJSON, by one thread
 * and by as many as there are processors, beside `zstd -dc` of the same text packed with zstd -3: what
 * a compressed text log would take. zstd is run in turns with the rest, since machines change.
 *
 * A sample is records of an int, a double and a string each; CORPUS=folder (or an argument) adds real
 * ones. What comes out with several threads must be the same bytes as with one: it is hashed.
 */
#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "bench_sample.h"
#include "bench_util.h"
#include "filter.h"
#include "line_render.h"
#include "parallel.h"
#include "reader.h"
#include "text.h"

#define LIMIT_SECONDS 300
#define RECORDS 1000000u
#define GAP_NS 1000u
#define RUNS 5
#define SAMPLE 3u /* of the list: int, double and string; those before are integers only */
#define WINDOW 4u /* blocks that are worked on at a time, per thread */

enum target { TO_RECORDS, TO_TEXT, TO_JSON, TO_CNT };
static const char *const target_names[] = { "records", "text", "json" };

struct decoded {
	double seconds;
	uint64_t records;
	uint64_t bytes; /* of text */
	uint64_t hash;	/* of all of it */
};

static int records_read(struct reader *reader, struct decoded *d)
{
	const struct record *record;
	int err;

	while ((err = reader_next(reader, &record)) > 0)
		d->records++;
	return err;
}

static int lines_read(struct reader *reader, FILE *out, XXH3_state_t *hash, struct decoded *d)
{
	struct reader_run run;
	int err;

	while ((err = reader_next_run(reader, &run)) > 0) {
		const uint32_t bytes = run.lines[run.cnt - 1].end - run.start;

		XXH3_64bits_update(hash, run.text + run.start, bytes);
		d->bytes += bytes;
		d->records += run.cnt; /* a line each */
		if (out && fwrite(run.text + run.start, 1, bytes, out) != bytes)
			return -EIO;
	}
	return err;
}

/* `out` may be NULL. */
static int decode(const char *path, uint64_t records, enum target to, unsigned threads, FILE *out,
		  struct decoded *d)
{
	static const struct filter filter;
	const uint64_t begin = bench_monotonic_ns();
	struct line_render lines = { .filter = &filter, .json = to == TO_JSON };
	struct reader_render render;
	struct reader_totals totals;
	struct parallel *pool;
	struct reader *reader = NULL;
	XXH3_state_t *hash = XXH3_createState();
	int err;

	memset(d, 0, sizeof(*d));
	if (!hash || parallel_open(&pool, threads)) {
		XXH3_freeState(hash);
		return -ENOMEM;
	}
	XXH3_64bits_reset(hash);
	err = reader_open(&reader, path, NULL, NULL);
	if (!err) {
		reader_parallel(reader, pool, WINDOW * parallel_jobs(pool));
		if (to == TO_RECORDS) {
			err = records_read(reader, d);
		} else {
			line_render_init(&render, &lines);
			reader_render(reader, &render);
			err = lines_read(reader, out, hash, d);
		}
		reader_totals_get(reader, &totals);
		if (!err && (d->records != records || totals.lost))
			err = -EBADMSG;
	}
	reader_close(reader);
	parallel_close(pool);
	d->hash = XXH3_64bits_digest(hash);
	XXH3_freeState(hash);
	d->seconds = (double)(bench_monotonic_ns() - begin) / 1e9;
	return err;
}

/* Runs zstd, output to /dev/null; the seconds that it took, NaN where it failed. */
static double zstd_run(const char *const *arguments)
{
	const uint64_t begin = bench_monotonic_ns();
	int status, null;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (null >= 0 && dup2(null, STDOUT_FILENO) >= 0)
			execvp("zstd", (char *const *)arguments);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		return NAN;
	return (double)(bench_monotonic_ns() - begin) / 1e9;
}

/* The text that the file stands for, packed: false where there is no zstd. 0 or -errno. */
static int text_pack(const struct bench *b, const char *path, uint64_t records, const char *packed_path,
		     struct decoded *d, bool *packed)
{
	char text_path[PATH_MAX];
	const char *pack[] = { "zstd", "-3", "-q", "-f", text_path, "-o", packed_path, NULL };
	FILE *text;
	int err;

	bench_path(b, text_path, "decode.txt");
	text = fopen(text_path, "we");
	if (!text)
		return -errno;
	err = decode(path, records, TO_TEXT, 1, text, d);
	if (fclose(text) && !err)
		err = -errno;
	*packed = !err && !isnan(zstd_run(pack));
	bench_remove(text_path);
	return err;
}

struct measured {
	double seconds[RUNS], zstd_seconds[RUNS];
	struct decoded d;
};

static int target_measure(const char *path, uint64_t records, enum target to, unsigned threads,
			  const char *packed_path, struct measured *m)
{
	const char *unpack[] = { "zstd", "-d", "-q", "-c", packed_path, NULL };
	int i, err;

	for (i = 0; i < RUNS; i++) {
		m->zstd_seconds[i] = packed_path ? zstd_run(unpack) : NAN;
		err = decode(path, records, to, threads, NULL, &m->d);
		if (err)
			return err;
		m->seconds[i] = m->d.seconds;
	}
	return 0;
}

static void line_print(const struct sample *s, uint64_t records, enum target to, unsigned threads,
		       uint64_t text_bytes, struct measured *m)
{
	const double median = bench_percentile(m->seconds, RUNS, 0.5);
	const double zstdcat = (double)text_bytes / (1 << 20) / bench_percentile(m->zstd_seconds, RUNS, 0.5);

	printf("%-18s %-8s %7u %8.2f [%6.2f-%6.2f] %8.1f %12.1f %14.1f\n", s->name, target_names[to],
	       threads, (double)records / median / 1e6, (double)records / m->seconds[RUNS - 1] / 1e6,
	       (double)records / m->seconds[0] / 1e6, median * 1e9 / (double)records,
	       (double)m->d.bytes / (1 << 20) / median, zstdcat);
	printf("result: bench=decode to=%s threads=%u records_per_s=%.0f zstdcat_mib_per_s=%.1f sample=%s\n",
	       target_names[to], threads, (double)records / median, zstdcat, s->name);
	fflush(stdout);
}

static int sample_measure(struct bench *b, const struct sample *s, uint64_t records, unsigned processors)
{
	char path[PATH_MAX], packed_path[PATH_MAX];
	uint64_t hashes[TO_CNT] = { 0 };
	struct sample_written written;
	struct decoded text;
	struct measured m;
	bool packed = false;
	int err, i;

	bench_path(b, path, "decode.qslog");
	bench_path(b, packed_path, "decode.txt.zst");
	err = sample_write(s, path, records, GAP_NS, b->ns_per_tick, &written);
	if (!err)
		err = text_pack(b, path, records, packed_path, &text, &packed);
	for (i = 0; i < 2 * TO_CNT && !err; i++) {
		const enum target to = (enum target)(i % TO_CNT);
		const unsigned threads = i < TO_CNT ? 1 : processors;

		if (i >= TO_CNT && processors == 1)
			break;
		err = target_measure(path, records, to, threads, packed ? packed_path : NULL, &m);
		if (err)
			break;
		line_print(s, records, to, threads, text.bytes, &m);
		if (threads > 1 && m.d.hash != hashes[to])
			bench_fail(b, "%s: the %s of %u threads is not that of one", s->name,
				   target_names[to], threads);
		hashes[to] = m.d.hash;
	}
	bench_remove(path);
	bench_remove(packed_path);
	return err;
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : getenv("CORPUS");
	const uint64_t records = bench_number("RECORDS", RECORDS);
	struct parallel *pool;
	struct sample_list list;
	struct sample sample;
	unsigned processors;
	struct bench b;
	uint32_t n;
	int err;

	err = sample_list_open(&list, dir);
	if (err) {
		fprintf(stderr, "bench-decode: no samples (*.tsv) in %s: %s\n", dir, strerror(-err));
		return 1;
	}
	if (parallel_open(&pool, 0) || bench_begin(&b, "decode", LIMIT_SECONDS)) {
		sample_list_fini(&list);
		return 1;
	}
	processors = parallel_jobs(pool);
	parallel_close(pool);
	printf("# %llu records each, medians of %d runs, in turns with zstd -dc of the same text (zstd -3)\n",
	       (unsigned long long)records, RUNS);
	printf("sample             to       threads  M rec/s [   min-   max]   ns/rec   text MiB/s  zstd -dc MiB/s\n");
	for (n = SAMPLE; n < list.cnt; n++) {
		err = sample_open(&sample, &list, n, (uint32_t)records);
		if (!err)
			err = sample_measure(&b, &sample, records, processors);
		if (err)
			bench_fail(&b, "%s: %s", sample.name, strerror(-err));
		sample_fini(&sample);
	}
	sample_list_fini(&list);
	return bench_end(&b);
}
