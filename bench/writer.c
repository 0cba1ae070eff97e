/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.c - bench-writer: how fast one thread makes files, and what memory that takes.
 *
 * Each sample is replayed through the writer several times, in a process of its own; the rate is
 * the median, the closing of the file included. The peak is how much the resident memory grew over
 * what the sample itself takes. `behind`: as a writer that cannot keep up; `threaded`: as default,
 * with a second thread that packs. CORPUS=folder (or an argument) adds real samples; SAMPLE=name and
 * PROFILE=name leave only one; RECORDS says how many (1,500,000).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_sample.h"
#include "bench_util.h"

#define LIMIT_SECONDS 300
#define RECORDS 1500000u
#define GAP_NS 1000u
#define RUNS 5

static double resident_mib(void)
{
	unsigned long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file && fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static const struct profile {
	const char *name;
	enum writer_compress compress;
	uint32_t part; /* of the records */
	bool hasty, seal_thread;
} profiles[] = {
	{ "fast", WRITER_COMPRESS_FAST, 1, false, false },
	{ "default", WRITER_COMPRESS_DEFAULT, 1, false, false },
	{ "max", WRITER_COMPRESS_MAX, 5, false, false },
	{ "behind", WRITER_COMPRESS_DEFAULT, 1, true, false },
	{ "threaded", WRITER_COMPRESS_DEFAULT, 1, false, true },
};
#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

static int sample_measure(const struct bench *b, const struct sample *s, const struct profile *profile,
			  uint64_t records)
{
	const struct sample_replay how = { .records = records / profile->part, .gap_ns = GAP_NS,
					   .compress = profile->compress,
					   .hasty = profile->hasty,
					   .seal_thread = profile->seal_thread };
	const double before_mib = resident_mib();
	struct sample_written written;
	struct rusage usage;
	double rates[RUNS], rate, bytes;
	char path[PATH_MAX];
	int i, err;

	bench_path(b, path, "writer.qslog");
	for (i = 0; i < RUNS; i++) {
		err = sample_replay(s, path, &how, b->ns_per_tick, &written);
		if (err)
			return err;
		rates[i] = (double)how.records / written.seconds;
	}
	if (getrusage(RUSAGE_SELF, &usage))
		return -errno;
	bench_remove(path);
	rate = bench_percentile(rates, RUNS, 0.5);
	bytes = (double)written.totals.file_bytes / (double)how.records;
	printf("%-18s %-8s %8.2f [%6.2f-%6.2f] %9.1f %8.2f %8.1f\n", s->name, profile->name, rate / 1e6,
	       rates[0] / 1e6, rates[RUNS - 1] / 1e6, 1e9 / rate, bytes,
	       (double)usage.ru_maxrss / 1024 - before_mib);
	printf("result: bench=writer sample=%s profile=%s records_per_s=%.0f bytes_per_record=%.2f "
	       "peak_mib=%.1f\n", s->name, profile->name, rate, bytes,
	       (double)usage.ru_maxrss / 1024 - before_mib);
	return fflush(stdout) ? -errno : 0;
}

static bool wanted(const char *variable, const char *name)
{
	const char *one = getenv(variable);

	return !one || !*one || strcmp(one, name) == 0;
}

/* In a child, so that one sample's memory is not counted for the next. */
static int child_measure(const struct bench *b, const struct sample_list *list, uint32_t n,
			 const struct profile *profile)
{
	const uint64_t records = bench_number("RECORDS", RECORDS);
	struct sample sample;
	int err = sample_open(&sample, list, n, (uint32_t)records);

	if (!err && wanted("SAMPLE", sample.name))
		err = sample_measure(b, &sample, profile, records);
	if (err)
		fprintf(stderr, "bench-writer: %s: %s\n", sample.name, strerror(-err));
	sample_fini(&sample);
	return err ? 1 : 0;
}

static int measure(struct bench *b, const struct sample_list *list, uint32_t n,
		   const struct profile *profile)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(child_measure(b, list, n, profile));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
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
		fprintf(stderr, "bench-writer: no samples (*.tsv) in %s: %s\n", dir, strerror(-err));
		return 1;
	}
	if (bench_begin(&b, "writer", LIMIT_SECONDS)) {
		sample_list_fini(&list);
		return 1;
	}
	printf("# %llu records (max: a fifth), on average %u ns apart, %d runs, one thread\n",
	       (unsigned long long)bench_number("RECORDS", RECORDS), GAP_NS,
	       RUNS);
	printf("# others, as published, on other machines and without compression: NanoLog packs 24 M records/s,\n"
	       "# binlog copies 47 M\n");
	printf("sample             profile   M rec/s [   min-   max]   ns/rec    b/rec peak MiB\n");
	for (n = 0; n < list.cnt * PROFILES; n++) {
		if (!wanted("PROFILE", profiles[n % PROFILES].name))
			continue;
		err = measure(&b, &list, n / PROFILES, &profiles[n % PROFILES]);
		if (err)
			bench_fail(&b, "sample %u, profile %s failed", (unsigned int)(n / PROFILES),
				   profiles[n % PROFILES].name);
	}
	sample_list_fini(&list);
	return bench_end(&b);
}
