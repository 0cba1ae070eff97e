/* SPDX-License-Identifier: BSD-2-Clause */
/* digits.h - integers become digits, without printf. See digits.c. */
#ifndef QSLOG_DIGITS_H
#define QSLOG_DIGITS_H

#include <stdbool.h>
#include <stdint.h>

#define DIGITS_U64_MAX 20 /* 18446744073709551615 */

extern const char digits_pairs[201]; /* "00" "01" ... "99" */

/* Both write at p and return one past the last digit. */
char *digits_u64(char *p, uint64_t v);
char *digits_base2(char *p, uint64_t v, unsigned bits, bool upper); /* bits per digit: 1, 3, 4 */

/* Exactly `width` digits, with leading zeros; v < 10^width. */
static inline char *digits_fixed(char *p, uint64_t v, unsigned width)
{
	for (unsigned i = width; i > 0; i--, v /= 10)
		p[i - 1] = (char)('0' + v % 10);
	return p + width;
}

#endif
