/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_index.c - a file of which only some blocks are wanted: 1 byte of levels, 8 bytes of since, 8 of
 * until, then the file.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct fuzz_result some, all;
	struct reader_hint hint = { .level_mask = fuzz_u8(&input) };
	const char *path;

	hint.since_ns = (int64_t)fuzz_u64(&input);
	hint.until_ns = (int64_t)fuzz_u64(&input);
	path = fuzz_file("index", input);
	if (fuzz_read(path, &hint, &some) && fuzz_read(path, NULL, &all))
		FUZZ_CHECK(some.totals.records <= all.totals.records);
	return 0;
}
