/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * size.c - bench-size: how small files are, against the text that they stand for.
 *
 * Each sample is replayed through the writer with timestamps of nanoseconds, the file is decoded to
 * the text that `qslog cat` prints, and the text is also packed with zstd -19, xz -9 and gzip -9.
 * Everything that is shown as a ratio is bytes of the text / bytes of the file. A span has a line
 * for entering and one for leaving. Synthetic samples are always measured; CORPUS=folder (or an
 * argument) adds real ones.
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

#define LIMIT_SECONDS 600
#define RECORDS 100000u
#define GAP_NS 1000u
#define RUNS 5
#define TEXT_CHUNK (1u << 20)

struct sizes {
	uint64_t text, file, rows;
	double zstd19, xz9, gzip9; /* ratios; NaN where the tool is missing */
	double encode, decode;	   /* records a second */
};

static void damage_print(void *arg, const char *path, uint64_t offset, const char *what)
{
	(void)arg;
	fprintf(stderr, "bench-size: %s: at %llu: %s\n", path, (unsigned long long)offset, what);
}

/* Reads the file to its end, as text into `text` unless that is NULL. */
static int decode(const char *path, uint64_t records, FILE *text, uint64_t *text_bytes)
{
	struct buffer line = { NULL, 0, 0, false };
	struct reader_totals totals;
	const struct record *record;
	struct reader *reader;
	int err;

	*text_bytes = 0;
	err = reader_open(&reader, path, damage_print, NULL);
	if (err)
		return err;
	while ((err = reader_next(reader, &record)) > 0) {
		if (!text)
			continue;
		text_line(&line, record);
		if (line.len < TEXT_CHUNK)
			continue;
		*text_bytes += line.len;
		if (fwrite(line.data, 1, line.len, text) != line.len)
			err = -EIO;
		line.len = 0;
		if (err < 0)
			break;
	}
	*text_bytes += line.len;
	if (!err && text && line.len && fwrite(line.data, 1, line.len, text) != line.len)
		err = -EIO;
	reader_totals_get(reader, &totals);
	if (!err && line.failed)
		err = -ENOMEM;
	if (!err && (totals.records != records || totals.lost || totals.blocks_damaged))
		err = -EBADMSG;
	buffer_fini(&line);
	reader_close(reader);
	return err;
}

/* Bytes that `tool option -c path` writes; 0: it failed or is not there. */
static uint64_t packed_bytes(const char *tool, const char *option, const char *path)
{
	uint64_t sum = 0;
	char data[65536];
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return 0;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (dup2(fds[1], STDOUT_FILENO) >= 0)
			execlp(tool, tool, option, "-q", "-c", path, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while (pid > 0 && ((n = read(fds[0], data, sizeof(data))) > 0 || (n < 0 && errno == EINTR)))
		sum += n > 0 ? (uint64_t)n : 0;
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		return 0;
	return sum;
}

static double packed_ratio(const char *tool, const char *option, const char *path, uint64_t bytes)
{
	const uint64_t packed = packed_bytes(tool, option, path);

	return packed ? (double)bytes / (double)packed : NAN;
}

static int speeds_measure(const struct bench *b, const struct sample *s, const char *path,
			  struct sizes *out)
{
	double encode[RUNS], decoded[RUNS];
	struct sample_written written;
	uint64_t text_bytes, begin;
	int i, err;

	for (i = 0; i < RUNS; i++) {
		err = sample_write(s, path, RECORDS, GAP_NS, b->ns_per_tick, &written);
		if (err)
			return err;
		encode[i] = RECORDS / written.seconds;
		begin = bench_monotonic_ns();
		err = decode(path, RECORDS, NULL, &text_bytes);
		if (err)
			return err;
		decoded[i] = RECORDS / ((double)(bench_monotonic_ns() - begin) / 1e9);
	}
	out->file = written.totals.file_bytes;
	out->rows = written.rows_bytes;
	out->encode = bench_percentile(encode, RUNS, 0.5);
	out->decode = bench_percentile(decoded, RUNS, 0.5);
	return 0;
}

static int sizes_measure(const struct bench *b, const struct sample *s, struct sizes *out)
{
	char path[PATH_MAX], text_path[PATH_MAX];
	FILE *text;
	int err;

	bench_path(b, path, "size.qslog");
	bench_path(b, text_path, "size.txt");
	err = speeds_measure(b, s, path, out);
	if (err)
		return err;
	text = fopen(text_path, "we");
	if (!text)
		return -errno;
	err = decode(path, RECORDS, text, &out->text);
	if (fclose(text) && !err)
		err = -errno;
	if (!err) {
		out->zstd19 = packed_ratio("zstd", "-19", text_path, out->text);
		out->xz9 = packed_ratio("xz", "-9", text_path, out->text);
		out->gzip9 = packed_ratio("gzip", "-9", text_path, out->text);
	}
	bench_remove(text_path);
	bench_remove(path);
	return err;
}

static void sample_measure(struct bench *b, const struct sample_list *list, uint32_t n)
{
	struct sample sample;
	struct sizes z;
	double ratio;
	int err;

	err = sample_open(&sample, list, n, RECORDS);
	if (!err)
		err = sizes_measure(b, &sample, &z);
	if (err) {
		bench_fail(b, "%s: %s", sample.name, strerror(-err));
		sample_fini(&sample);
		return;
	}
	ratio = (double)z.text / (double)z.file;
	printf("%-18s %9llu %8llu %7.2f | %7.1f %7.1f %7.1f %7.1f %7.1f | %9.2f %9.2f\n", sample.name,
	       (unsigned long long)z.text, (unsigned long long)z.file, (double)z.file / RECORDS,
	       ratio, z.zstd19, z.xz9, z.gzip9, (double)z.text / (double)z.rows, z.encode / 1e6,
	       z.decode / 1e6);
	printf("result: bench=size sample=%s tick=ns profile=fast text_bytes=%llu file_bytes=%llu "
	       "ratio=%.2f zstd19=%.2f xz9=%.2f gzip9=%.2f rows=%.2f encode_records_per_s=%.0f "
	       "decode_records_per_s=%.0f\n", sample.name, (unsigned long long)z.text,
	       (unsigned long long)z.file, ratio, z.zstd19, z.xz9, z.gzip9,
	       (double)z.text / (double)z.rows, z.encode, z.decode);
	fflush(stdout);
	sample_fini(&sample);
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : getenv("CORPUS");
	struct sample_list list;
	struct bench b;
	uint32_t n;
	int err;

	err = sample_list_open(&list, dir);
	if (err) {
		fprintf(stderr, "bench-size: no samples (*.tsv) in %s: %s\n", dir, strerror(-err));
		return 1;
	}
	if (bench_begin(&b, "size", LIMIT_SECONDS)) {
		sample_list_fini(&list);
		return 1;
	}
	printf("# %u records each, on average %u ns apart, ticks of 1 ns, default profile; ratios are "
	       "text / file; speeds are the median of %d\n", RECORDS, GAP_NS, RUNS);
	printf("sample                  text     file bytes/r |   ratio zstd-19    xz-9  gzip-9    rows | "
	       "enc. M/s  dec. M/s\n");
	for (n = 0; n < list.cnt; n++)
		sample_measure(&b, &list, n);
	sample_list_fini(&list);
	return bench_end(&b);
}
