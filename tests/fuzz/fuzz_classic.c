/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_classic.c - a file of the original format, whatever it begins with; what was read of it is
 * written again, and what was written is whole and has as many records.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "fuzz.h"

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	uint64_t *damages = arg;

	(void)path;
	(void)offset;
	*damages += strlen(what) > 0;
}

/* Reads all of it; with `e`, writes it as well. */
static uint64_t records_take(const char *path, struct export *e, uint64_t *damages)
{
	const struct record *record;
	struct buffer out = { 0 };
	struct reader *reader;
	uint64_t cnt = 0;
	int ret;

	FUZZ_CHECK(reader_open_classic(&reader, path, damage, damages) == 0);
	while ((ret = reader_next(reader, &record)) == 1) {
		if (cnt++ < 10000) {
			out.len = 0;
			text_line(&out, record);
			json_line(&out, record);
		}
		if (e)
			FUZZ_CHECK(export_classic.record(e, record, 0) == 0);
	}
	FUZZ_CHECK(ret == 0);
	reader_close(reader);
	buffer_fini(&out);
	return cnt;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	const char *path = fuzz_file("classic", input);
	struct export e = { .path = fuzz_path("classic-out") };
	struct buffer notes = { 0 };
	uint64_t damages = 0, again = 0, cnt;

	e.out.fd = open(e.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(e.out.fd >= 0 && export_classic.begin(&e) == 0);
	cnt = records_take(path, &e, &damages);
	FUZZ_CHECK(export_classic.end(&e) == 0 && output_flush(&e.out) == 0);
	export_classic.notes(&e, &notes);
	export_classic.close(&e);
	close(e.out.fd);
	buffer_fini(&e.out.buffer);
	buffer_fini(&notes);
	FUZZ_CHECK(records_take(e.path, NULL, &again) == cnt && again == 0);
	fuzz_read(path, NULL, NULL); /* recognised or not */
	return 0;
}
