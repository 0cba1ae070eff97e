/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_sample.h - calls to write files with: synthetic ones, and real ones from a folder of
 * samples. A sample is replayed as often as needed, with fresh timestamps, straight through the
 * writer.
 */
#ifndef QSLOG_BENCH_SAMPLE_H
#define QSLOG_BENCH_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "writer.h"

struct sample_call {
	uint32_t format;
	uint32_t bytes;	   /* of the record */
	uint64_t word_off; /* of the record in words; word 1, the counter, is filled in */
};

struct sample {
	char name[64];
	struct writer_format *formats;
	struct sample_call *calls;
	uint64_t *words;
	uint32_t format_cnt, call_cnt;
	uint64_t word_cnt;
};

/* How many samples there are: the synthetic ones and, unless NULL, those of the folder (*.tsv,
 * one call a line: level, tag, format, i:<int64> or s:<string>..., tabs between). */
struct sample_list {
	char **paths; /* of real ones */
	uint32_t real_cnt, cnt;
};
int sample_list_open(struct sample_list *list, const char *dir);
void sample_list_fini(struct sample_list *list);

/* The nth of the list; `calls` distinct ones where it is synthetic. 0 or a negative errno. */
int sample_open(struct sample *s, const struct sample_list *list, uint32_t n, uint32_t calls);
void sample_fini(struct sample *s);

struct sample_written {
	struct writer_totals totals;
	uint64_t rows_bytes; /* uncompressed, where they were asked for */
	double seconds;	     /* from the first record to the closed file */
};

/* How the calls of a sample are replayed. */
struct sample_replay {
	uint64_t records;
	/* On average; the time between two calls is exponentially distributed, as that of events which
	 * have nothing to do with each other. 0: as it comes out at full speed: a record is copied as an
	 * application does it, and the counter is read before. */
	uint32_t gap_ns;
	bool shuffled; /* calls are drawn at random; else they come in their order, again and again */
	enum writer_compress compress;
	bool hasty; /* as a writer that is behind */
	bool seal_thread;
	bool rows;  /* count rows_bytes, for which they have to be made */
	uint32_t tick_ns; /* 0: 1 */
};

/* A file of these calls. -EBADMSG where the writer refused or lost any. */
int sample_replay(const struct sample *s, const char *path, const struct sample_replay *how,
		  double ns_per_tick, struct sample_written *out);
/* In their order, the rest as by default. */
int sample_write(const struct sample *s, const char *path, uint64_t records, uint32_t gap_ns,
		 double ns_per_tick, struct sample_written *out);

#endif
