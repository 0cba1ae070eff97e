/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buffer.c - a byte buffer that doubles as it grows. Running out of memory is remembered in
 * `failed` and makes every later append do nothing, so that callers look once, at the end.
 */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"

bool buffer_grow(struct buffer *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	char *data;

	if (b->failed)
		return false;
	if (n > SIZE_MAX / 2 - b->len) {
		b->failed = true;
		return false;
	}
	while (cap - b->len < n)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
	buffer_bytes(b, data, len);
}

void buffer_fini(struct buffer *b)
{
	if (!b)
		return;
	free(b->data);
	*b = (struct buffer){ 0 };
}

void buffer_u64(struct buffer *b, uint64_t v)
{
	char *p = buffer_reserve(b, DIGITS_U64_MAX);

	if (p)
		buffer_commit(b, digits_u64(p, v));
}

void buffer_i64(struct buffer *b, int64_t v)
{
	char *p = buffer_reserve(b, DIGITS_U64_MAX + 1);
	uint64_t u = (uint64_t)v;

	if (!p)
		return;
	if (v < 0) {
		*p++ = '-';
		u = 0 - u;
	}
	buffer_commit(b, digits_u64(p, u));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	if (n < 0) {
		b->failed = true;
	} else if (buffer_reserve(b, (size_t)n + 1)) {
		/* the terminating NUL lies beyond len: it is not part of the content */
		if (vsnprintf(b->data + b->len, (size_t)n + 1, format, again) == n)
			b->len += (size_t)n;
		else
			b->failed = true;
	}
	va_end(again);
	va_end(args);
}

bool buffer_gap(struct buffer *b, size_t at, size_t n)
{
	if (!buffer_reserve(b, n))
		return false;
	memmove(b->data + at + n, b->data + at, b->len - at);
	b->len += n;
	return true;
}
