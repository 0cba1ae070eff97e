/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_merge.c - two files, or a file and its tail and another, as one stream of records. */
#include <string.h>

#include "fuzz.h"
#include "merge.h"

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	uint64_t *damages = arg;

	(void)path;
	(void)offset;
	*damages += strlen(what) > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct fuzz_input first = fuzz_part(&input), tail = fuzz_part(&input);
	char paths[2][256];
	char *const files[2] = { paths[0], paths[1] };
	const struct record *record;
	struct merge *merge;
	uint64_t damages = 0, cnt = 0, records = 0, lost = 0;
	unsigned file;

	strcpy(paths[0], fuzz_file("merge-first", first));
	strcpy(paths[1], fuzz_file("merge-second", input));
	fuzz_file("merge-first.tail", tail);
	if (merge_open(&merge, files, 2, NULL, damage, &damages))
		return 0;
	while (merge_next(merge, &record, &file) > 0) {
		FUZZ_CHECK(file < 2 && record->thread && record->thread->process);
		cnt++;
	}
	merge_finish(merge);
	for (file = 0; file < 2; file++) {
		const struct merge_file *f = merge_file(merge, file);

		if (f->error)
			continue;
		records += f->totals.records;
		lost += f->totals.lost;
	}
	FUZZ_CHECK(records <= cnt || lost || damages);
	merge_close(merge);
	return 0;
}
