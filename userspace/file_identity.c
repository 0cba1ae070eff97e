/* SPDX-License-Identifier: BSD-2-Clause */
/* file_identity.c - see file_set.h: the header of a file and its end, without the rest. */
#define XXH_INLINE_ALL
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "file_set.h"
#include "varint.h"

#define PAYLOAD_BYTES_MAX 65536u

static bool bytes_read(int fd, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *p = data;

	while (bytes) {
		ssize_t n = pread(fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return true;
}

static bool header_read(int fd, uint64_t offset, struct file_block_header *h)
{
	uint8_t data[FILE_HEADER_BYTES_MAX];

	if (!bytes_read(fd, h, sizeof(*h), offset) ||
	    memcmp(h->magic, FILE_BLOCK_MAGIC, FILE_MAGIC_BYTES) != 0 ||
	    h->header_bytes < sizeof(*h) || h->header_bytes > sizeof(data) ||
	    !bytes_read(fd, data, h->header_bytes, offset))
		return false;
	return file_hash_fits(h->checksum, (uint32_t)XXH3_64bits(data + 12, h->header_bytes - 12u));
}

/* The payload as entries, from malloc; NULL: damaged, or there is no memory. */
static uint8_t *payload_read(int fd, const struct file_block_header *h)
{
	uint8_t *stored, *raw = NULL;

	if (h->raw_bytes > PAYLOAD_BYTES_MAX || h->stored_bytes > PAYLOAD_BYTES_MAX)
		return NULL;
	stored = malloc(h->stored_bytes + 1u);
	if (!stored || !bytes_read(fd, stored, h->stored_bytes, h->header_bytes) ||
	    !file_hash_fits(h->payload_hash, XXH3_64bits(stored, h->stored_bytes)))
		goto out;
	if (h->compression == FILE_COMPRESSION_NONE && h->stored_bytes == h->raw_bytes)
		return stored;
	raw = malloc(h->raw_bytes + 1u);
	if (raw && ZSTD_decompress(raw, h->raw_bytes, stored, h->stored_bytes) != h->raw_bytes) {
		free(raw);
		raw = NULL;
	}
out:
	free(stored);
	return raw;
}

static void entry_take(struct file_identity *out, uint64_t subtype, const uint8_t *p,
		       const uint8_t *end)
{
	if (subtype == FILE_SUB_FILE_ID && end - p >= (ptrdiff_t)sizeof(out->file_id)) {
		memcpy(out->file_id, p, sizeof(out->file_id));
	} else if (subtype == FILE_SUB_SET && end - p > FILE_SET_ID_BYTES &&
		   varint_get(p + FILE_SET_ID_BYTES, end, &out->number)) {
		memcpy(out->set_id, p, FILE_SET_ID_BYTES);
		out->in_set = true;
	}
}

/* All entries are extended info entries. */
static void entries_take(struct file_identity *out, const uint8_t *p, const uint8_t *end)
{
	const uint8_t head = FILE_ENTRY_INFO << FILE_ENTRY_TYPE_SHIFT |
			     FILE_INFO_EXTENDED << FILE_INFO_TYPE_SHIFT;
	uint64_t length, subtype;

	while (p && p < end && (*p & 0xf0) == head) {
		const uint8_t *data;

		length = *p++ & 0xf;
		if (length == FILE_INFO_LENGTH_ESCAPE)
			p = varint_get(p, end, &length);
		if (!p || length > (uint64_t)(end - p))
			return;
		data = varint_get(p, p + length, &subtype);
		p += length;
		if (data)
			entry_take(out, subtype, data, p);
	}
}

static void end_take(int fd, uint64_t size, uint64_t file_key, struct file_identity *out)
{
	struct file_block_header h;
	struct file_trailer t;

	if (size < sizeof(t) || !bytes_read(fd, &t, sizeof(t), size - sizeof(t)) ||
	    memcmp(t.magic, FILE_END_MAGIC, FILE_MAGIC_BYTES) != 0 || t.file_key != file_key ||
	    !file_hash_fits(t.checksum,
			    (uint32_t)XXH3_64bits(&t, offsetof(struct file_trailer, checksum))))
		return;
	out->closed = true;
	out->continued = header_read(fd, t.index_offset, &h) && h.file_key == file_key &&
			 h.kind == FILE_BLOCK_INDEX && h.may_ignore & FILE_HINT_CONTINUED;
}

int file_identity_read(int fd, struct file_identity *out)
{
	struct file_block_header h;
	struct stat st;
	uint8_t *payload;

	memset(out, 0, sizeof(*out));
	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !header_read(fd, 0, &h) || h.kind != FILE_BLOCK_HEADER)
		return -EBADMSG;
	payload = payload_read(fd, &h);
	if (!payload)
		return -EBADMSG;
	entries_take(out, payload, payload + h.raw_bytes);
	free(payload);
	out->has_blocks = (uint64_t)st.st_size > (uint64_t)h.header_bytes + h.stored_bytes;
	end_take(fd, (uint64_t)st.st_size, h.file_key, out);
	return 0;
}
