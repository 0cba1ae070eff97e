/* SPDX-License-Identifier: BSD-2-Clause */
/* digits.c - integers become digits: count them first, then write backwards, two at a time. */
#include "digits.h"

#include <string.h>

const char digits_pairs[201] = "00010203040506070809101112131415161718192021222324"
			       "25262728293031323334353637383940414243444546474849"
			       "50515253545556575859606162636465666768697071727374"
			       "75767778798081828384858687888990919293949596979899";

static unsigned decimal_digits(uint64_t v)
{
	unsigned n = 1;

	for (;;) {
		if (v < 10)
			return n;
		if (v < 100)
			return n + 1;
		if (v < 1000)
			return n + 2;
		if (v < 10000)
			return n + 3;
		v /= 10000;
		n += 4;
	}
}

char *digits_u64(char *p, uint64_t v)
{
	char *end = p + decimal_digits(v);
	char *at = end;

	while (v >= 100) {
		at -= 2;
		memcpy(at, digits_pairs + v % 100 * 2, 2);
		v /= 100;
	}
	if (v >= 10)
		memcpy(p, digits_pairs + v * 2, 2);
	else
		*p = (char)('0' + v);
	return end;
}

char *digits_base2(char *p, uint64_t v, unsigned bits, bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned n = 1;

	while (n * bits < 64 && v >> (n * bits))
		n++;
	for (unsigned i = n; i > 0; i--, v >>= bits)
		p[i - 1] = set[v & ((1u << bits) - 1)];
	return p + n;
}
