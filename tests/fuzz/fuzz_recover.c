/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_recover.c - a file that was not closed, its tail, and the memory of a process that has died:
 * read as they are, recovered, read again. The memory is mostly zeros: it is given as runs of bytes
 * (u32 offset, u32 length, bytes), its size is where the last ends, or the u32 before the first run.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "recover.h"

#define MEMORY_BYTES_MAX (4u << 20)

static void memory_make(const char *path, struct fuzz_input runs)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t first = fuzz_u64(&runs); /* size, and where the first run begins */
	uint32_t at = (uint32_t)(first >> 32);

	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(ftruncate(fd, (off_t)((uint32_t)first % (MEMORY_BYTES_MAX + 1))) == 0);
	while (runs.size) {
		struct fuzz_input run = fuzz_part(&runs);

		at %= MEMORY_BYTES_MAX;
		FUZZ_CHECK(pwrite(fd, run.data, run.size, at) == (ssize_t)run.size);
		at = runs.size ? (uint32_t)fuzz_u8(&runs) | (uint32_t)fuzz_u8(&runs) << 8 |
					 (uint32_t)fuzz_u8(&runs) << 16 : 0;
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct fuzz_input file = fuzz_part(&input), tail = fuzz_part(&input);
	struct recover_result result;
	struct fuzz_result before, after;
	const char *path, *memory = NULL;
	bool readable;

	path = fuzz_file("recover", file);
	fuzz_file("recover.tail", tail);
	if (input.size >= 8) {
		memory = fuzz_path("memory");
		memory_make(memory, input);
	}
	readable = fuzz_read(path, NULL, &before);
	if (recover_file(path, memory, &result) == 0) {
		FUZZ_CHECK(access(path, F_OK) == 0);
		/* what could be read before still can; of damage in it, anything may have come */
		if (readable && !before.damages) {
			FUZZ_CHECK(fuzz_read(path, NULL, &after));
			FUZZ_CHECK(after.totals.records + result.torn_records >=
				   before.totals.records);
			FUZZ_CHECK(after.totals.has_index);
		} else {
			fuzz_read(path, NULL, &after);
		}
	}
	return 0;
}
