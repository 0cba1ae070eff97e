/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decode.c - bench-decode: how fast one thread reads a file, as records, text lines and NDJSON,
 * beside `zstd -dc` of the same text packed with zstd -3: what a compressed text log would take.
 * The records are of an int, a double and a string each.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_sample.h"
#include "bench_util.h"
#include "reader.h"
#include "text.h"

#define LIMIT_SECONDS 180
#define RECORDS 1000000u
#define DISTINCT 100000u
#define GAP_NS 1000u
#define RUNS 5
#define SAMPLE 3u /* of the list: int, double and string */
#define CHUNK_BYTES (1u << 20)

enum target { TO_RECORDS, TO_TEXT, TO_JSON, TO_CNT };
static const char *const target_names[] = { "records", "text", "json" };

struct decoded {
	double seconds;
	uint64_t bytes; /* of text */
};

static int decode(const char *path, enum target to, FILE *out, struct decoded *d)
{
	struct buffer text = { NULL, 0, 0, false };
	const uint64_t begin = bench_monotonic_ns();
	struct reader_totals totals;
	const struct record *record;
	struct reader *reader;
	int err;

	memset(d, 0, sizeof(*d));
	err = reader_open(&reader, path, NULL, NULL);
	if (err)
		return err;
	do {
		err = reader_next(reader, &record);
		if (err > 0 && to == TO_TEXT)
			text_line(&text, record);
		if (err > 0 && to == TO_JSON)
			json_line(&text, record);
		if (text.len >= CHUNK_BYTES || err <= 0) {
			if (out && fwrite(text.data, 1, text.len, out) != text.len)
				err = -EIO;
			d->bytes += text.len;
			text.len = 0;
		}
	} while (err > 0);
	reader_totals_get(reader, &totals);
	if (!err && (text.failed || totals.records != RECORDS || totals.lost))
		err = -EBADMSG;
	buffer_fini(&text);
	reader_close(reader);
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

/* MiB of text a second out of zstd -dc. */
static int zstdcat_measure(const struct bench *b, const char *path, double *mib_per_s)
{
	char text_path[PATH_MAX], packed_path[PATH_MAX];
	const char *pack[] = { "zstd", "-3", "-q", "-f", text_path, "-o", packed_path, NULL };
	const char *unpack[] = { "zstd", "-d", "-q", "-c", packed_path, NULL };
	double seconds[RUNS];
	struct decoded d;
	FILE *text;
	int i, err;

	bench_path(b, text_path, "decode.txt");
	bench_path(b, packed_path, "decode.txt.zst");
	text = fopen(text_path, "we");
	if (!text)
		return -errno;
	err = decode(path, TO_TEXT, text, &d);
	if (fclose(text) && !err)
		err = -errno;
	*mib_per_s = NAN;
	if (err || isnan(zstd_run(pack)))
		return err;
	for (i = 0; i < RUNS; i++)
		seconds[i] = zstd_run(unpack);
	*mib_per_s = (double)d.bytes / (1 << 20) / bench_percentile(seconds, RUNS, 0.5);
	return 0;
}

static int target_measure(const char *path, enum target to, double zstdcat)
{
	double seconds[RUNS], median;
	struct decoded d;
	int i, err;

	for (i = 0; i < RUNS; i++) {
		err = decode(path, to, NULL, &d);
		if (err)
			return err;
		seconds[i] = d.seconds;
	}
	median = bench_percentile(seconds, RUNS, 0.5);
	printf("%-8s %8.2f [%6.2f-%6.2f] %8.1f %12.1f %14.1f\n", target_names[to],
	       RECORDS / median / 1e6, RECORDS / seconds[RUNS - 1] / 1e6, RECORDS / seconds[0] / 1e6,
	       median * 1e9 / RECORDS, (double)d.bytes / (1 << 20) / median, zstdcat);
	printf("result: bench=decode to=%s threads=1 records_per_s=%.0f zstdcat_mib_per_s=%.1f\n",
	       target_names[to], RECORDS / median, zstdcat);
	fflush(stdout);
	return 0;
}

static int measure(struct bench *b)
{
	struct sample_list list;
	struct sample_written written;
	struct sample sample;
	char path[PATH_MAX];
	double zstdcat = NAN;
	int to, err;

	bench_path(b, path, "decode.qslog");
	err = sample_list_open(&list, NULL);
	if (err)
		return err;
	err = sample_open(&sample, &list, SAMPLE, DISTINCT);
	if (!err)
		err = sample_write(&sample, path, RECORDS, GAP_NS, b->ns_per_tick, &written);
	if (!err)
		printf("# %u records of sample %s, %llu bytes, one thread, %d runs\n", RECORDS,
		       sample.name, (unsigned long long)written.totals.file_bytes, RUNS);
	sample_fini(&sample);
	sample_list_fini(&list);
	if (!err)
		err = zstdcat_measure(b, path, &zstdcat);
	if (!err)
		printf("to        M rec/s [   min-   max]   ns/rec   text MiB/s  zstd -dc MiB/s\n");
	for (to = TO_RECORDS; to < TO_CNT && !err; to++)
		err = target_measure(path, (enum target)to, zstdcat);
	return err;
}

int main(void)
{
	struct bench b;
	int err;

	if (bench_begin(&b, "decode", LIMIT_SECONDS))
		return 1;
	err = measure(&b);
	if (err)
		bench_fail(&b, "%s", strerror(-err));
	return bench_end(&b);
}
