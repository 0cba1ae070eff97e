/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buffer.h - the inside of struct buffer (text.h) for the code that fills it. buffer_reserve()
 * hands out room to write into directly and buffer_commit() says how much was used, so that a
 * line costs one capacity check per field and no copy.
 */
#ifndef QSLOG_BUFFER_H
#define QSLOG_BUFFER_H

#include <string.h>

#include "text.h"

/* Makes room for n more bytes. On ENOMEM sets `failed` and returns false. */
bool buffer_grow(struct buffer *b, size_t n);

/* Where the next n bytes go, or NULL: out of memory, `failed` is set. (One byte stays free, so that
 * there is a place for none in an empty buffer, too.) */
static inline char *buffer_reserve(struct buffer *b, size_t n)
{
	if (b->failed || (b->cap - b->len <= n && !buffer_grow(b, n)))
		return NULL;
	return b->data + b->len;
}

/* `end` is one past the last byte written into what buffer_reserve() returned. */
static inline void buffer_commit(struct buffer *b, const char *end)
{
	b->len = (size_t)(end - b->data);
}

static inline void buffer_char(struct buffer *b, char c)
{
	char *p = buffer_reserve(b, 1);

	if (p) {
		*p = c;
		b->len++;
	}
}

static inline void buffer_bytes(struct buffer *b, const void *data, size_t len)
{
	char *p = buffer_reserve(b, len);

	if (p && len) {
		memcpy(p, data, len);
		b->len += len;
	}
}

static inline void buffer_str(struct buffer *b, const char *s)
{
	buffer_bytes(b, s, strlen(s));
}

/* Decimal digits of v. */
void buffer_u64(struct buffer *b, uint64_t v);
void buffer_i64(struct buffer *b, int64_t v);

/* Appends like printf(3); for what is not on the path of every line. */
__attribute__((format(printf, 2, 3))) void buffer_printf(struct buffer *b, const char *format, ...);

/* Moves the bytes from `at` on back by n, leaving a gap of n bytes for the caller to fill.
 * False: out of memory, nothing moved. */
bool buffer_gap(struct buffer *b, size_t at, size_t n);

#endif
