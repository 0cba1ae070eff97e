/* SPDX-License-Identifier: BSD-2-Clause */
/* escape.h - bytes of a traced program become text that is safe to show. See escape.c. */
#ifndef QSLOG_ESCAPE_H
#define QSLOG_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* How many bytes at s are printable ASCII (0x20 to 0x7e) and none of the two characters a, b. */
size_t escape_plain_len(const char *s, size_t len, char a, char b);

/* Length (1 to 4) of the well-formed UTF-8 sequence at s, its code point in *cp; 0: malformed. */
unsigned utf8_decode(const char *s, size_t len, uint32_t *cp);
/* Writes up to 4 bytes at p; returns how many. cp <= 0x10ffff. */
unsigned utf8_encode(char *p, uint32_t cp);
/* Length of the longest prefix of at most max_cps code points (a malformed byte counts as one). */
size_t utf8_prefix(const char *s, size_t len, size_t max_cps);
/* Code points in text that is well-formed. */
size_t utf8_count(const char *s, size_t len);
/* Bytes at the end of s that are the beginning of a sequence that was cut: 0 to 3. */
size_t utf8_cut_tail(const char *s, size_t len);

/* For lines of text: control characters and malformed bytes as \n, \t, \r, \xNN. */
void escape_text(struct buffer *out, const char *s, size_t len);
/* fmt's '?': as a C++ literal with the quote around it. */
void escape_debug(struct buffer *out, const char *s, size_t len, char quote);
/* The inside of a JSON string; malformed bytes become U+FFFD. */
void escape_json(struct buffer *out, const char *s, size_t len);

#endif
