/* SPDX-License-Identifier: BSD-2-Clause */
/* decimal.h - binary floating point becomes decimal text, exactly. See decimal.c. */
#ifndef QSLOG_DECIMAL_H
#define QSLOG_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#define DECIMAL_SHORTEST_MAX 32 /* bytes that decimal_shortest() may write */
#define DECIMAL_FIXED_MAX 48	/* bytes that decimal_fixed() may write */
#define DECIMAL_FIXED_PRECISION_MAX 18

/*
 * The shortest decimal that reads back as the same double, in the notation of fmt's "{}": 0.1,
 * 1, 1e+20. `value` is finite and not negative. `single` says that it came from a float, and
 * makes it the shortest that reads back as that float. `point` (fmt's '#') keeps a decimal point
 * in integers. Returns one past the last byte.
 */
char *decimal_shortest(char *p, double value, bool single, bool point);

/* As printf's "%.*f" of a finite value that is not negative, rounded half to even on the exact
 * value. NULL, with nothing written, where the value is too large for the quick way; precision
 * <= DECIMAL_FIXED_PRECISION_MAX. */
char *decimal_fixed(char *p, double value, unsigned precision);

#endif
