/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decimal.c - binary floating point becomes decimal text.
 *
 * Shortest: the Schubfach algorithm (Raffaello Giulietti, "The Schubfach way to render doubles",
 * 2020). A finite number is c * 2^q. All numbers that round to it lie between (c - 1/2) * 2^q and
 * (c + 1/2) * 2^q, and exactly one power of ten, 10^k, is just small enough that the interval
 * holds one or two of its multiples. Scaling c by 2^q / 10^k needs 10^-k to 128 bits, rounded up;
 * these 617 numbers are computed once with plain long multiplication and division by ten.
 * The same routine serves float, with the float's own c and q.
 *
 * Fixed: c * 10^precision fits 128 bits, the shift by q is exact, and what is shifted out says
 * how to round.
 */
#include "decimal.h"

#include <pthread.h>
#include <string.h>

#include "digits.h"

typedef unsigned __int128 u128;

#define POWER_MIN (-292)
#define POWER_MAX 324
#define LIMBS 20 /* 1280 bits; 10^324 needs 1077 */

static u128 powers[POWER_MAX - POWER_MIN + 1]; /* 10^k, normalised: bit 127 is set */
static pthread_once_t powers_once = PTHREAD_ONCE_INIT;

/* The top 128 bits of a number, rounded up. */
static u128 top_bits(const uint64_t *limbs)
{
	int top = LIMBS - 1;
	unsigned shift;
	u128 v;
	bool rest = false;

	while (top > 0 && !limbs[top])
		top--;
	shift = (unsigned)__builtin_clzll(limbs[top]);
	v = (u128)limbs[top] << 64;
	if (top >= 1)
		v |= limbs[top - 1];
	v <<= shift;
	if (top >= 2 && shift) {
		v |= limbs[top - 2] >> (64 - shift);
		rest = limbs[top - 2] << shift;
	} else if (top >= 2) {
		rest = limbs[top - 2];
	}
	for (int i = 0; i < top - 2; i++)
		rest |= limbs[i] != 0;
	return v + rest;
}

static void powers_compute(void)
{
	uint64_t limbs[LIMBS] = { 1 };
	u128 carry;

	for (int k = 0; k <= POWER_MAX; k++) {
		powers[k - POWER_MIN] = top_bits(limbs);
		carry = 0;
		for (int i = 0; i < LIMBS; i++) {
			carry += (u128)limbs[i] * 10;
			limbs[i] = (uint64_t)carry;
			carry >>= 64;
		}
	}
	/* 2^1279 / 10^k: the remainders that are dropped never reach the top bits, because
	 * floor(floor(x / 10) / 10) is floor(x / 100); it is never exact, so always round up */
	memset(limbs, 0, sizeof(limbs));
	limbs[LIMBS - 1] = 1ull << 63;
	for (int k = -1; k >= POWER_MIN; k--) {
		carry = 0;
		for (int i = LIMBS - 1; i >= 0; i--) {
			carry = carry << 64 | limbs[i];
			limbs[i] = (uint64_t)(carry / 10);
			carry %= 10;
		}
		limbs[0] |= 1; /* below every bit that matters: makes top_bits() round up */
		powers[k - POWER_MIN] = top_bits(limbs);
		limbs[0] &= ~1ull;
	}
}

/* floor(log10(2^e)), floor(log10(3/4 * 2^e)), floor(log2(10^e)) for |e| < 1650 */
static int log10_pow2(int e)
{
	return (e * 1262611) >> 22;
}

static int log10_three_quarters_pow2(int e)
{
	return (e * 1262611 - 524031) >> 22;
}

static int log2_pow10(int e)
{
	return (e * 1741647) >> 19;
}

/* floor(g * cp / 2^128), with the lowest bit set where that was not exact */
static uint64_t scale_to_odd(u128 g, uint64_t cp)
{
	u128 low = (u128)(uint64_t)g * cp;
	u128 high = (u128)(uint64_t)(g >> 64) * cp + (uint64_t)(low >> 64);

	return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The shortest digits d and exponent k with d * 10^k in the rounding interval of c * 2^q. */
static uint64_t shortest(uint64_t c, int q, bool lower_closer, int *exponent)
{
	bool exclusive = c & 1; /* an odd c does not own the ends of its interval */
	int k = lower_closer ? log10_three_quarters_pow2(q) : log10_pow2(q);
	int h = q + log2_pow10(-k) + 1;
	u128 g = powers[-k - POWER_MIN];
	uint64_t lower = scale_to_odd(g, (4 * c - 2 + lower_closer) << h) + exclusive;
	uint64_t value = scale_to_odd(g, (4 * c) << h);
	uint64_t upper = scale_to_odd(g, (4 * c + 2) << h) - exclusive;
	uint64_t s = value / 4;

	*exponent = k;
	if (s >= 10) {
		uint64_t tens = s / 10;
		bool below = lower <= 40 * tens;
		bool above = 40 * tens + 40 <= upper;

		if (below != above) {
			*exponent = k + 1;
			return tens + above;
		}
	}
	bool below = lower <= 4 * s;
	bool above = 4 * s + 4 <= upper;

	if (below != above)
		return s + above;
	uint64_t middle = 4 * s + 2;

	return s + (value > middle || (value == middle && (s & 1)));
}

/* value = c * 2^q; returns c, 0 for zero */
static uint64_t split_double(double value, int *q, bool *lower_closer)
{
	uint64_t bits, c;
	int e;

	memcpy(&bits, &value, sizeof(bits));
	c = bits & ((1ull << 52) - 1);
	e = (int)(bits >> 52 & 0x7ff);
	*lower_closer = c == 0 && e > 1;
	if (e)
		c |= 1ull << 52;
	else
		e = 1;
	*q = e - 1075;
	return c;
}

static uint64_t split_float(float value, int *q, bool *lower_closer)
{
	uint32_t bits, c;
	int e;

	memcpy(&bits, &value, sizeof(bits));
	c = bits & ((1u << 23) - 1);
	e = (int)(bits >> 23 & 0xff);
	*lower_closer = c == 0 && e > 1;
	if (e)
		c |= 1u << 23;
	else
		e = 1;
	*q = e - 150;
	return c;
}

/* fmt's general notation: an exponent below 10^-4 and from 10^16 on */
static char *notation(char *p, uint64_t digits, int exponent, bool point)
{
	char text[DIGITS_U64_MAX];
	int n, first;

	while (digits && digits % 10 == 0) {
		digits /= 10;
		exponent++;
	}
	n = (int)(digits_u64(text, digits) - text);
	first = exponent + n - 1; /* the power of ten of the first digit */
	if (first < -4 || first >= 16) {
		*p++ = text[0];
		if (n > 1 || point)
			*p++ = '.';
		memcpy(p, text + 1, (size_t)n - 1);
		p += n - 1;
		*p++ = 'e';
		*p++ = first < 0 ? '-' : '+';
		first = first < 0 ? -first : first;
		return first < 100 ? digits_fixed(p, (uint64_t)first, 2) :
				     digits_u64(p, (uint64_t)first);
	}
	if (exponent >= 0) {
		memcpy(p, text, (size_t)n);
		memset(p + n, '0', (size_t)exponent);
		p += n + exponent;
		if (point) {
			*p++ = '.';
			*p++ = '0';
		}
		return p;
	}
	if (first >= 0) {
		memcpy(p, text, (size_t)first + 1);
		p += first + 1;
		*p++ = '.';
		memcpy(p, text + first + 1, (size_t)(n - first - 1));
		return p + n - first - 1;
	}
	*p++ = '0';
	*p++ = '.';
	memset(p, '0', (size_t)(-first - 1));
	p += -first - 1;
	memcpy(p, text, (size_t)n);
	return p + n;
}

char *decimal_shortest(char *p, double value, bool single, bool point)
{
	bool lower_closer;
	int q, exponent = 0;
	uint64_t c, digits;

	if (pthread_once(&powers_once, powers_compute))
		powers_compute(); /* cannot fail on a constant once; idempotent if it does */
	c = single ? split_float((float)value, &q, &lower_closer) :
		     split_double(value, &q, &lower_closer);
	if (q <= 0 && q > -53 && !(c & ((1ull << -q) - 1)))
		digits = c >> -q; /* an integer below 2^53, and zero */
	else if (c == 0)
		digits = 0;
	else
		digits = shortest(c, q, lower_closer, &exponent);
	return notation(p, digits, exponent, point);
}

char *decimal_fixed(char *p, double value, unsigned precision)
{
	static const uint64_t pow10[DECIMAL_FIXED_PRECISION_MAX + 1] = {
		1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull,
		100000000ull, 1000000000ull, 10000000000ull, 100000000000ull, 1000000000000ull,
		10000000000000ull, 100000000000000ull, 1000000000000000ull, 10000000000000000ull,
		100000000000000000ull, 1000000000000000000ull,
	};
	bool lower_closer;
	int q;
	uint64_t c = split_double(value, &q, &lower_closer);
	uint64_t whole, fraction;
	u128 n, rest, half;

	if (precision > DECIMAL_FIXED_PRECISION_MAX || q > 10)
		return NULL;
	if (q >= 0) {
		whole = c << q;
		fraction = 0;
	} else {
		if (-q >= 128) {
			n = 0; /* c * 10^18 < 2^113: rounds to zero */
		} else {
			n = (u128)c * pow10[precision];
			half = (u128)1 << (-q - 1);
			rest = n & ((half << 1) - 1);
			n = n >> (-q - 1) >> 1;
			n += rest > half || (rest == half && (n & 1));
		}
		if (n >> 64) {
			whole = (uint64_t)(n / pow10[precision]);
			fraction = (uint64_t)(n % pow10[precision]);
		} else {
			whole = (uint64_t)n / pow10[precision];
			fraction = (uint64_t)n % pow10[precision];
		}
	}
	p = digits_u64(p, whole);
	if (precision) {
		*p++ = '.';
		p = digits_fixed(p, fraction, precision);
	}
	return p;
}
