/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * varint.h - LEB128 and zigzag, the integers of the file format. Putting does not check for room:
 * the caller has VARINT_BYTES_MAX bytes. Getting checks everything.
 */
#ifndef QSLOG_VARINT_H
#define QSLOG_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT_BYTES_MAX 10

static inline uint8_t *varint_put(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

static inline uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t unzigzag(uint64_t v)
{
	return (int64_t)((v >> 1) ^ (v & 1 ? UINT64_MAX : 0));
}

static inline uint8_t *zigzag_put(uint8_t *p, int64_t v)
{
	return varint_put(p, zigzag(v));
}

/* The byte after the number, or NULL: it runs past `end`, or does not fit into 64 bits. */
static inline const uint8_t *varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
	uint64_t x = 0;
	unsigned shift;

	if (p < end && *p < 0x80) {
		*v = *p;
		return p + 1;
	}
	for (shift = 0; p < end && shift < 70; shift += 7) {
		uint8_t b = *p++;

		if (shift == 63 && b > 1)
			return NULL;
		x |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			*v = x;
			return p;
		}
	}
	return NULL;
}

#endif
