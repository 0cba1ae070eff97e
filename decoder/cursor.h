/* SPDX-License-Identifier: BSD-2-Clause */
/* cursor.h - a cursor over untrusted bytes; once `p` is NULL it stays so. */
#ifndef QSLOG_CURSOR_H
#define QSLOG_CURSOR_H

#include <stddef.h>
#include <string.h>

#include "varint.h"

struct cursor {
	const uint8_t *p, *end;
};

struct text {
	const uint8_t *p;
	size_t len;
};

/* 0 where it is greater than `max`, or not all there. */
static inline uint64_t cursor_varint(struct cursor *c, uint64_t max)
{
	uint64_t v = 0;

	if (c->p)
		c->p = varint_get(c->p, c->end, &v);
	if (v > max)
		c->p = NULL;
	return c->p ? v : 0;
}

/* A length and bytes without NUL. */
static inline struct text cursor_text(struct cursor *c)
{
	struct text t = { NULL, 0 };
	uint64_t len = cursor_varint(c, UINT32_MAX);

	if (!c->p || len > (size_t)(c->end - c->p) || memchr(c->p, 0, len)) {
		c->p = NULL;
		return t;
	}
	t.p = c->p;
	t.len = len;
	c->p += len;
	return t;
}

#endif
