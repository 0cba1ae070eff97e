/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_tail.c - PATH.tail: the rows that a writer had made readable, but not sealed into a block. It
 * is read before the file itself: should the writer seal the block in between, the sequence number
 * tells, and nothing is missing.
 */
#define XXH_INLINE_ALL
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "file_format.h"
#include "recover_tail.h"

/* pread of exactly `bytes`: 0, -EIO where the file ends before, or -errno. */
static int read_exactly(int fd, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *p = data;

	while (bytes) {
		ssize_t n = pread(fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static void summary_add(struct tail_in *t, const struct file_frame_header *h)
{
	if (FILE_HAS_TIMES(h)) {
		bool first = !FILE_HAS_TIMES(t);

		t->entry_min = first || h->time_min < t->entry_min ? h->time_min : t->entry_min;
		t->entry_max = first || h->time_max > t->entry_max ? h->time_max : t->entry_max;
	}
	t->record_cnt += h->record_cnt;
	t->lost += h->lost;
	t->level_mask |= h->level_mask;
	t->frame_cnt++;
}

static int frames_read(struct tail_in *t, int fd, uint64_t offset)
{
	struct file_frame_header h;
	uint32_t number, cap = 0;
	int err;

	t->time_min = INT64_MAX;
	for (number = 0; t->size - offset >= sizeof(h); number++) {
		err = read_exactly(fd, &h, sizeof(h), offset);
		if (err)
			break;
		if (h.magic != FILE_FRAME_MAGIC || h.number != number ||
		    h.sequence != t->sequence ||
		    !file_hash_fits(h.checksum,
				    (uint32_t)XXH3_64bits(&h, offsetof(struct file_frame_header,
								       checksum))) ||
		    h.bytes > FILE_RAW_BYTES_MAX - t->bytes ||
		    h.bytes > t->size - offset - sizeof(h) ||
		    h.record_cnt > FILE_RECORDS_MAX - t->record_cnt)
			break;
		if (h.bytes > cap - t->bytes) {
			uint8_t *rows;

			cap = t->bytes + h.bytes > cap * 2 ? t->bytes + h.bytes : cap * 2;
			rows = realloc(t->rows, cap);
			if (!rows)
				return -ENOMEM;
			t->rows = rows;
		}
		if (read_exactly(fd, t->rows + t->bytes, h.bytes, offset + sizeof(h)) != 0 ||
		    !file_hash_fits(h.rows_hash, XXH3_64bits(t->rows + t->bytes, h.bytes)))
			break;
		t->bytes += h.bytes;
		t->time_min = h.time_min < t->time_min ? h.time_min : t->time_min;
		summary_add(t, &h);
		offset += sizeof(h) + h.bytes;
	}
	t->bad_at = offset;
	return 0;
}

int tail_in_read(struct tail_in *t, const char *path)
{
	struct file_tail_header h;
	uint8_t head[FILE_HEADER_BYTES_MAX];
	struct stat st;
	int fd = -1, err;

	memset(t, 0, sizeof(*t));
	t->path = malloc(strlen(path) + sizeof(".tail"));
	if (!t->path)
		return -ENOMEM;
	strcpy(t->path, path);
	strcat(t->path, ".tail");
	fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
			t->unreadable = -errno;
		return 0;
	}
	err = fstat(fd, &st) != 0 ? -errno : 0;
	if (err || !S_ISREG(st.st_mode) || !st.st_size)
		goto cleanup;
	t->size = (uint64_t)st.st_size;
	if (t->size < sizeof(h) || read_exactly(fd, &h, sizeof(h), 0) != 0 ||
	    memcmp(h.magic, FILE_TAIL_MAGIC, FILE_MAGIC_BYTES) != 0 || h.version > FILE_VERSION ||
	    h.header_bytes < sizeof(h) || h.header_bytes > sizeof(head) ||
	    h.header_bytes > t->size || read_exactly(fd, head, h.header_bytes, 0) != 0 ||
	    !file_hash_fits(h.checksum, (uint32_t)XXH3_64bits(head + 12, h.header_bytes - 12u)))
		goto cleanup;
	t->valid = true;
	t->sequence = h.sequence;
	memcpy(&t->file_key, h.file_id, sizeof(t->file_key));
	err = frames_read(t, fd, h.header_bytes);
cleanup:
	close(fd);
	return err;
}

void tail_in_fini(struct tail_in *t)
{
	free(t->path);
	free(t->rows);
	t->path = NULL;
	t->rows = NULL;
}
