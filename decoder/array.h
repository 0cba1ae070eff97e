/* SPDX-License-Identifier: BSD-2-Clause */
/* array.h - growing arrays. */
#ifndef QSLOG_ARRAY_H
#define QSLOG_ARRAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define ARRAY_FIRST 8u

/* Room for one more element of `size` bytes: `array` is the address of the pointer to the first. False:
 * no memory, and nothing has changed. */
static inline bool array_room(void *array, uint32_t cnt, uint32_t *cap, size_t size)
{
	const uint32_t want = *cap ? *cap * 2 : ARRAY_FIRST;
	void **at = array, *bigger;

	if (cnt < *cap)
		return true;
	bigger = want > *cap ? reallocarray(*at, want, size) : NULL;
	if (!bigger)
		return false;
	*at = bigger;
	*cap = want;
	return true;
}

#endif
