/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * size.c - bench-size: how small files are, against the text that they stand for.
 *
 * Each sample is replayed through the writer at each tick and with each profile; the file with ticks
 * of 1 ns is decoded to the text that `qslog cat` prints (which shows milliseconds), and that is packed
 * with zstd -19, xz -9 and gzip -9. Everything that is shown as a ratio is bytes of the text / bytes of
 * the file. A span has a line for entering and one for leaving. Synthetic samples are always measured;
 * CORPUS=folder (or an argument) adds real ones.
 *
 * What times cost hangs on how far apart calls are: GAP_NS nanoseconds on average (50,000), as events
 * that have nothing to do with each other; 0: at full speed. RECORDS says how many (100,000).
 * SHUFFLE=1 draws the calls of a sample at random: replayed in its order, a sample of 2,000 calls comes
 * again every 2,000 calls, which is more of the same than programs do.
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

#define LIMIT_SECONDS 1800
#define RECORDS 100000u
#define GAP_NS 50000u
#define RUNS 3
#define TEXT_CHUNK (1u << 20)

static const struct tick {
	const char *name;
	uint32_t ns;
} ticks[] = { { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 } };
#define TICKS (sizeof(ticks) / sizeof(ticks[0]))

static const struct profile {
	const char *name;
	enum writer_compress compress;
} profiles[] = { { "fast", WRITER_COMPRESS_FAST },
		 { "default", WRITER_COMPRESS_DEFAULT },
		 { "max", WRITER_COMPRESS_MAX } };
#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

/* Of the text: ratios of what else there is; NaN where the tool is missing. */
struct yardsticks {
	uint64_t text;
	double zstd19, xz9, gzip9;
};

struct sizes {
	uint64_t file, rows;
	double encode, decode; /* records a second */
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
			  struct sample_replay *how, struct sizes *out)
{
	double encode[RUNS], decoded[RUNS];
	struct sample_written written;
	uint64_t text_bytes, begin;
	int i, err;

	how->rows = true;
	err = sample_replay(s, path, how, b->ns_per_tick, &written);
	how->rows = false;
	if (err)
		return err;
	out->rows = written.rows_bytes;
	for (i = 0; i < RUNS; i++) {
		err = sample_replay(s, path, how, b->ns_per_tick, &written);
		if (err)
			return err;
		encode[i] = (double)how->records / written.seconds;
		begin = bench_monotonic_ns();
		err = decode(path, how->records, NULL, &text_bytes);
		if (err)
			return err;
		decoded[i] = (double)how->records / ((double)(bench_monotonic_ns() - begin) / 1e9);
	}
	out->file = written.totals.file_bytes;
	out->encode = bench_percentile(encode, RUNS, 0.5);
	out->decode = bench_percentile(decoded, RUNS, 0.5);
	return 0;
}

static int yardsticks_measure(const struct bench *b, const struct sample *s, const char *path,
			      const struct sample_replay *how, struct yardsticks *out)
{
	struct sample_written written;
	char text_path[PATH_MAX];
	FILE *text;
	int err;

	bench_path(b, text_path, "size.txt");
	err = sample_replay(s, path, how, b->ns_per_tick, &written);
	if (err)
		return err;
	text = fopen(text_path, "we");
	if (!text)
		return -errno;
	err = decode(path, how->records, text, &out->text);
	if (fclose(text) && !err)
		err = -errno;
	if (!err) {
		out->zstd19 = packed_ratio("zstd", "-19", text_path, out->text);
		out->xz9 = packed_ratio("xz", "-9", text_path, out->text);
		out->gzip9 = packed_ratio("gzip", "-9", text_path, out->text);
	}
	bench_remove(text_path);
	return err;
}

static void line_print(const struct sample *s, const struct tick *tick, const struct profile *profile,
		       const struct sample_replay *how, const struct yardsticks *y,
		       const struct sizes *z)
{
	const double ratio = (double)y->text / (double)z->file, rows = (double)y->text / (double)z->rows;

	printf("%-18s %-2s %-7s %9llu %8llu %7.2f | %7.1f %7.1f %7.1f %7.1f %7.1f | %6.2f | %9.2f %9.2f\n",
	       s->name, tick->name, profile->name, (unsigned long long)y->text,
	       (unsigned long long)z->file, (double)z->file / (double)how->records, ratio, y->zstd19,
	       y->xz9, y->gzip9, rows, ratio / y->zstd19, z->encode / 1e6, z->decode / 1e6);
	printf("result: bench=size sample=%s tick=%s profile=%s text_bytes=%llu file_bytes=%llu "
	       "ratio=%.2f zstd19=%.2f xz9=%.2f gzip9=%.2f rows=%.2f encode_records_per_s=%.0f "
	       "decode_records_per_s=%.0f\n", s->name, tick->name, profile->name,
	       (unsigned long long)y->text, (unsigned long long)z->file, ratio, y->zstd19, y->xz9,
	       y->gzip9, rows, z->encode, z->decode);
	fflush(stdout);
}

static int sizes_measure(const struct bench *b, const struct sample *s, struct sample_replay *how)
{
	struct yardsticks y = { 0, NAN, NAN, NAN };
	char path[PATH_MAX];
	struct sizes z;
	unsigned i;
	int err;

	bench_path(b, path, "size.qslog");
	err = yardsticks_measure(b, s, path, how, &y);
	for (i = 0; i < TICKS * PROFILES && !err; i++) {
		const struct tick *tick = &ticks[i / PROFILES];
		const struct profile *profile = &profiles[i % PROFILES];

		how->tick_ns = tick->ns;
		how->compress = profile->compress;
		err = speeds_measure(b, s, path, how, &z);
		if (!err)
			line_print(s, tick, profile, how, &y, &z);
	}
	how->tick_ns = 1;
	how->compress = WRITER_COMPRESS_DEFAULT;
	bench_remove(path);
	return err;
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : getenv("CORPUS");
	struct sample_replay how = { .records = bench_number("RECORDS", RECORDS),
				     .gap_ns = (uint32_t)bench_number("GAP_NS", GAP_NS),
				     .shuffled = bench_number("SHUFFLE", 0) != 0 };
	struct sample_list list;
	struct sample sample;
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
	printf("# %llu records each, %s, %u ns apart on average%s; ratios are text / file; speeds are "
	       "the median of %d\n", (unsigned long long)how.records,
	       how.shuffled ? "drawn at random" : "in their order", how.gap_ns,
	       how.gap_ns ? "" : " (at full speed)", RUNS);
	printf("sample             tick profile      text     file bytes/r |   ratio zstd-19    xz-9  "
	       "gzip-9    rows | / zstd | enc. M/s  dec. M/s\n");
	for (n = 0; n < list.cnt; n++) {
		err = sample_open(&sample, &list, n, (uint32_t)how.records);
		if (!err)
			err = sizes_measure(&b, &sample, &how);
		if (err)
			bench_fail(&b, "%s: %s", sample.name, strerror(-err));
		sample_fini(&sample);
	}
	sample_list_fini(&list);
	return bench_end(&b);
}
