/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_reader.c - a file without a tail, from its beginning to its end, as text and as JSON. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };

	fuzz_read(fuzz_file("reader", input), NULL, NULL);
	return 0;
}
