/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h - what the fuzz targets share. A target is tests/fuzz/fuzz_NAME.c with
 * LLVMFuzzerTestOneInput(); `make fuzz` builds and runs it, with the files of tests/fuzz/seeds/NAME
 * (if there are any) and what make_seeds.c writes for it as seeds. What crashed once is kept in
 * tests/fuzz/regress/NAME and run first.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An input that is several: each part but the last has its length before it, as a u32. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};
struct fuzz_input fuzz_part(struct fuzz_input *input); /* takes it off; cut to what there is */
/* The other way, for seeds. */
void fuzz_part_put(FILE *out, const void *data, size_t size, int last);

uint8_t fuzz_u8(struct fuzz_input *input); /* takes one byte off; 0 at the end */
uint64_t fuzz_u64(struct fuzz_input *input);

/* PATH of a file in a folder of this process, in memory. The string is static, two can be used at
 * a time. */
const char *fuzz_path(const char *name);
/* Writes it. */
const char *fuzz_file(const char *name, struct fuzz_input content);
void fuzz_remove(const char *name);

/* Everything that a reader says of the file, turned into text and JSON as well. False: it could not
 * be opened. */
struct fuzz_result {
	struct reader_totals totals;
	uint64_t damages;
};
bool fuzz_read(const char *path, const struct reader_hint *hint, struct fuzz_result *result);

/* What must be true, in builds of any kind. */
#define FUZZ_CHECK(condition)                                                             \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);  \
			__builtin_trap();                                                 \
		}                                                                         \
	} while (0)

#endif
