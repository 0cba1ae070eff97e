/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_decimal.c - floating-point numbers that were decimal fractions once (12.34, a price, a
 * time in seconds) are integers again: x / 10^e gives the very bits. The exponent is found on a
 * sample; what does not come out exactly is an exception.
 */
#include "columns_out.h"

#define SAMPLE 64u
#define EXPONENT_MOST 9u /* beyond, a binary64 is as good as its integer is long */
#define INTEGER_MOST 9007199254740992.0 /* 2^53 */
#define LEAST 16u /* numbers in a column */

static double number_of(uint64_t bits, bool is_float)
{
	const uint32_t bits32 = (uint32_t)bits;
	double d;
	float f;

	if (is_float) {
		memcpy(&f, &bits32, 4);
		return (double)f;
	}
	memcpy(&d, &bits, 8);
	return d;
}

/* False: there is no such integer. */
static bool integer_of(uint64_t bits, unsigned exponent, bool is_float, int64_t *x)
{
	const double d = number_of(bits, is_float) * columns_power10(exponent);

	if (!(d > -INTEGER_MOST && d < INTEGER_MOST)) /* not a number, too */
		return false;
	*x = (int64_t)(d < 0 ? d - 0.5 : d + 0.5);
	return columns_decimal_bits(*x, exponent, is_float) == bits;
}

/* The least exponent with which most of the sample are integers; EXPONENT_MOST + 1: none. */
static unsigned exponent_find(const uint64_t *v, uint32_t n, bool is_float)
{
	const uint32_t step = n / SAMPLE ? n / SAMPLE : 1;
	unsigned exponent;
	int64_t x;

	for (exponent = 0; exponent <= EXPONENT_MOST; exponent++) {
		uint32_t i, fits = 0, tried = 0;

		for (i = 0; i < n && tried < SAMPLE; i += step, tried++)
			fits += integer_of(v[i], exponent, is_float, &x);
		if (fits * 10 >= tried * 9)
			break;
	}
	return exponent;
}

bool decimal_fits(const uint64_t *v, uint32_t n, bool is_float)
{
	return n >= LEAST && exponent_find(v, n, is_float) <= EXPONENT_MOST;
}

bool decimal_put(struct streams *s, const uint64_t *v, uint32_t n, bool is_float)
{
	const unsigned exponent = n < LEAST ? EXPONENT_MOST + 1 : exponent_find(v, n, is_float);
	struct words *x = &s->decimals[0], *gaps = &s->decimals[1], *values = &s->decimals[2];
	uint32_t i, gap = 0;
	int64_t before = 0;

	if (exponent > EXPONENT_MOST)
		return false;
	x->cnt = gaps->cnt = values->cnt = 0;
	for (i = 0; i < n; i++, gap++) {
		if (!integer_of(v[i], exponent, is_float, &before)) {
			words_add(gaps, gap);
			words_add(values, v[i]);
			gap = UINT32_MAX;
			before = x->cnt ? (int64_t)x->v[x->cnt - 1] : 0;
		}
		words_add(x, (uint64_t)before);
	}
	if (x->failed || gaps->failed || values->failed)
		return true; /* streams_failed() */
	bytes_byte(&s->plan, COLUMNS_DECIMAL);
	bytes_byte(&s->plan, exponent);
	ints_put(s, x->v, x->cnt, NUMBERS_SIGNED);
	bytes_varint(&s->plan, gaps->cnt);
	ints_put(s, gaps->v, gaps->cnt, NUMBERS_UNSIGNED);
	ints_put(s, values->v, values->cnt, NUMBERS_UNSIGNED);
	return true;
}
