/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file_helper.h - for tests that write and read files: records as an application would leave
 * them, and everything that a reader delivers as lines of text that can be compared.
 */
#ifndef FILE_HELPER_H
#define FILE_HELPER_H

#include <stddef.h>
#include <stdio.h>

#include "reader.h"
#include "writer.h"

/* ---- records ---- */

struct made_record {
	uint64_t words[QSLOG_RECORD_BYTES_MAX / 8 + 64];
	uint32_t cnt;
};

void made_begin(struct made_record *r, uint64_t counter);
void made_slot(struct made_record *r, uint64_t slot);
void made_double(struct made_record *r, double v);
void made_float(struct made_record *r, float v);
void made_text(struct made_record *r, const void *data, uint32_t stored, uint32_t real);
void made_null(struct made_record *r);
uint32_t made_end(struct made_record *r, bool leaves); /* bytes */

/* ---- a writer with one process and one thread ---- */

struct made_file {
	struct writer *w;
	char path[128];
	char tail[136];
	int process, thread;
};

extern bool made_behind; /* the writers of all that are opened cannot keep up */
extern bool made_seal_thread; /* blocks of all that are opened are packed by a thread of its own */
/* `name` in the test's own directory; fails the test on errors. */
void made_file_open(struct made_file *f, const char *name, uint32_t block_bytes, bool tail);
void made_file_open_options(struct made_file *f, const char *name, struct writer_options *options);
int made_format(struct made_file *f, const char *format, uint8_t level, unsigned arg_cnt,
		const uint8_t *types);
int made_span(struct made_file *f, const char *name, unsigned arg_cnt, const uint8_t *types);
/* One record with one UINT64. */
void made_u64(struct made_file *f, int thread, int format, uint64_t counter, uint64_t value);
struct writer_totals made_file_close(struct made_file *f);

/* ---- what a reader says ---- */

struct read_result {
	int open_error, error;
	char *lines; /* one per record: kind pid tid key level line format values; free() it */
	size_t lines_len;
	size_t cnt;
	unsigned backwards; /* records whose time is before that of the one before */
	unsigned damages;
	char damage[160]; /* the first */
	struct reader_totals totals;
};

void record_dump(FILE *out, const struct record *record);
void file_read(struct read_result *result, const char *path, const struct reader_hint *hint);
void read_result_fini(struct read_result *result);

/* Whole files; malloc. */
uint8_t *bytes_load(const char *path, size_t *len);
void bytes_store(const char *path, const void *data, size_t len);

/* cmocka group fixtures: a directory of its own, removed afterwards. */
int helper_setup(void **state);
int helper_teardown(void **state);
const char *helper_dir(void);

#endif
