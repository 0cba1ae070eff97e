/* SPDX-License-Identifier: BSD-2-Clause */
/* classic_entry.h - one entry of the original format, out of bytes that nobody has checked. */
#ifndef QSLOG_CLASSIC_ENTRY_H
#define QSLOG_CLASSIC_ENTRY_H

#include <string.h>

#include "classic.h"
#include "record.h"

/* Bytes are pointed into. */
struct classic_entry {
	uint8_t type, low; /* low: the bits below the type */
	const uint8_t *body;
	uint32_t body_bytes; /* INFO: data; FORMAT: the string */
	uint16_t id, diff;
	uint32_t tid;
	size_t bytes; /* in all; 0: there are not as many */
};

/* `bytes` > 0; `values` has room for CLASSIC_ARGC_MAX. NULL, or what is wrong. */
const char *classic_entry_take(struct classic_entry *e, const uint8_t *p, size_t bytes,
			       struct record_value *values);

static inline uint32_t classic_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static inline int64_t classic_ts(const struct classic_entry *e)
{
	int64_t ts;

	memcpy(&ts, e->body, 8);
	return ts;
}

#endif
