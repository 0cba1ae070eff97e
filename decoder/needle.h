/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * needle.h - the longest literal that every match of a pattern has in it. Looking for it is
 * cheap, in records and even in what blocks say they have, so it is looked for first.
 */
#ifndef QSLOG_NEEDLE_H
#define QSLOG_NEEDLE_H

#include <stdbool.h>
#include <stddef.h>

#define NEEDLE_MAX 63u /* bytes; a longer literal is cut, and is not the whole pattern then */

struct needle {
	char text[NEEDLE_MAX + 1]; /* lower case where `fold` */
	size_t len;		   /* 0: there is none */
	bool fold;		   /* ASCII letters of either case are the same */
	bool whole;		   /* who has the needle matches */
};

/* Of a POSIX extended regular expression. */
void needle_find(struct needle *n, const char *pattern, bool fold);

/* Where it is first, or NULL. */
const char *needle_search(const struct needle *n, const char *s, size_t len);

static inline char needle_fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

#endif
