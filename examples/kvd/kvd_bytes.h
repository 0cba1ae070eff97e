/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_bytes.h - a growing byte queue for the two directions of a connection: appended at the end,
 * consumed at the front. What is consumed is moved away lazily, so that a pipeline of many small
 * requests is not a pipeline of many small memmoves.
 */
#ifndef KVD_BYTES_H
#define KVD_BYTES_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
	char *data;
	size_t off; /* consumed */
	size_t end; /* appended; off <= end <= cap */
	size_t cap;
};

static inline size_t bytes_len(const struct bytes *b)
{
	return b->end - b->off;
}

static inline char *bytes_front(const struct bytes *b)
{
	return b->data + b->off;
}

/* Room for `more` bytes after b->data + b->end. 0 or -ENOMEM. */
static inline int bytes_reserve(struct bytes *b, size_t more)
{
	size_t len = bytes_len(b), cap = b->cap ? b->cap : 4096;
	char *data;

	if (b->cap - b->end >= more)
		return 0;
	if (more > SIZE_MAX / 4 - len)
		return -ENOMEM;
	if (b->off > 0) {
		memmove(b->data, b->data + b->off, len);
		b->off = 0;
		b->end = len;
		if (b->cap - b->end >= more)
			return 0;
	}
	while (cap - len < more)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

static inline int bytes_append(struct bytes *b, const void *data, size_t len)
{
	int err = bytes_reserve(b, len);

	if (err)
		return err;
	if (len > 0)
		memcpy(b->data + b->end, data, len);
	b->end += len;
	return 0;
}

static inline int bytes_append_str(struct bytes *b, const char *str)
{
	return bytes_append(b, str, strlen(str));
}

static inline void bytes_consume(struct bytes *b, size_t len)
{
	b->off += len;
	if (b->off == b->end)
		b->off = b->end = 0;
}

static inline void bytes_fini(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}

#endif
