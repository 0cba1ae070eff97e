/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz.c - see fuzz.h. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

struct fuzz_input fuzz_part(struct fuzz_input *input)
{
	struct fuzz_input part = { input->data, 0 };
	uint32_t size = 0;

	if (input->size < sizeof(size)) {
		input->size = 0;
		return part;
	}
	memcpy(&size, input->data, sizeof(size));
	input->data += sizeof(size);
	input->size -= sizeof(size);
	part.data = input->data;
	part.size = size < input->size ? size : input->size;
	input->data += part.size;
	input->size -= part.size;
	return part;
}

void fuzz_part_put(FILE *out, const void *data, size_t size, int last)
{
	uint32_t bytes = (uint32_t)size;

	if (!last)
		fwrite(&bytes, sizeof(bytes), 1, out);
	fwrite(data, 1, size, out);
}

uint8_t fuzz_u8(struct fuzz_input *input)
{
	if (!input->size)
		return 0;
	input->size--;
	return *input->data++;
}

uint64_t fuzz_u64(struct fuzz_input *input)
{
	uint64_t v = 0;
	size_t n = input->size < sizeof(v) ? input->size : sizeof(v);

	memcpy(&v, input->data, n);
	input->data += n;
	input->size -= n;
	return v;
}

static const char *folder(void)
{
	static char made[64];
	const char *given = getenv("FUZZ_DIR");

	if (given)
		return given;
	if (!*made) {
		snprintf(made, sizeof(made), "/dev/shm/qslog-fuzz.%d", (int)getpid());
		FUZZ_CHECK(mkdir(made, 0700) == 0);
	}
	return made;
}

const char *fuzz_path(const char *name)
{
	static char paths[2][256];
	static unsigned next;
	char *path = paths[next++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder(), name);
	return path;
}

const char *fuzz_file(const char *name, struct fuzz_input content)
{
	const char *path = fuzz_path(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t done = 0;

	FUZZ_CHECK(fd >= 0);
	while (done < content.size) {
		ssize_t n = write(fd, content.data + done, content.size - done);

		FUZZ_CHECK(n > 0);
		done += (size_t)n;
	}
	close(fd);
	return path;
}

void fuzz_remove(const char *name)
{
	unlink(fuzz_path(name));
}

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	struct fuzz_result *result = arg;

	(void)path;
	(void)offset;
	result->damages += strlen(what) > 0;
}

bool fuzz_read(const char *path, const struct reader_hint *hint, struct fuzz_result *result)
{
	struct fuzz_result unused;
	const struct record *record;
	struct buffer out = { 0 };
	struct reader *reader;
	uint64_t cnt[2] = { 0 }, lost = 0;
	int ret;

	result = result ? result : &unused;
	memset(result, 0, sizeof(*result));
	ret = reader_open(&reader, path, damage, result);
	if (ret)
		return false;
	if (hint)
		reader_hint(reader, hint);
	while ((ret = reader_next(reader, &record)) == 1) {
		cnt[record->kind == RECORD_LOSS]++;
		lost += record->kind == RECORD_LOSS ? record->lost : 0;
		if (cnt[0] + cnt[1] > 10000)
			continue; /* the text of all of a large block would take too long */
		out.len = 0;
		text_line(&out, record);
		json_line(&out, record);
		FUZZ_CHECK(out.len && out.data[out.len - 1] == '\n');
	}
	FUZZ_CHECK(ret <= 0);
	reader_totals_get(reader, &result->totals);
	FUZZ_CHECK(result->totals.lost == lost);
	FUZZ_CHECK(result->totals.records == cnt[0]);
	buffer_fini(&out);
	reader_close(reader);
	return true;
}
