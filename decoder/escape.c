/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * escape.c - bytes of a traced program become text that is safe to show.
 *
 * A terminal obeys C0 and C1 controls, DEL and, in places, malformed UTF-8, so none of them leave
 * here raw. Almost all text is printable ASCII: escape_plain_len() finds runs of it eight bytes at
 * a time, and only what stops a run is looked at one code point at a time.
 */
#include "escape.h"

#include <string.h>

#include "buffer.h"

#define ONES 0x0101010101010101ull
#define HIGH 0x8080808080808080ull

static inline uint64_t has_zero(uint64_t v)
{
	return (v - ONES) & ~v & HIGH;
}

size_t escape_plain_len(const char *s, size_t len, char a, char b)
{
	uint64_t all_a = ONES * (unsigned char)a, all_b = ONES * (unsigned char)b, v;
	size_t i = 0;

	for (; len - i >= 8; i += 8) {
		memcpy(&v, s + i, 8);
		if ((((v - ONES * 0x20) & ~v) | v) & HIGH || has_zero(v ^ (ONES * 0x7f)) ||
		    has_zero(v ^ all_a) || has_zero(v ^ all_b))
			break;
	}
	for (; i < len; i++) {
		if ((unsigned char)(s[i] - 0x20) >= 0x5f || s[i] == a || s[i] == b)
			break;
	}
	return i;
}

unsigned utf8_decode(const char *s, size_t len, uint32_t *cp)
{
	static const uint32_t smallest[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)*s;
	unsigned n;
	uint32_t v;

	if (first < 0x80) {
		*cp = first;
		return 1;
	}
	if (first >= 0xc2 && first < 0xe0)
		n = 2;
	else if (first >= 0xe0 && first < 0xf0)
		n = 3;
	else if (first >= 0xf0 && first < 0xf5)
		n = 4;
	else
		return 0;
	if (len < n)
		return 0;
	v = first & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (v < smallest[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	*cp = v;
	return n;
}

unsigned utf8_encode(char *p, uint32_t cp)
{
	if (cp < 0x80) {
		p[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		p[0] = (char)(0xc0 | cp >> 6);
		p[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		p[0] = (char)(0xe0 | cp >> 12);
		p[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		p[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | cp >> 18);
	p[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	p[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	p[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

size_t utf8_prefix(const char *s, size_t len, size_t max_cps)
{
	uint32_t cp;
	size_t i = 0;

	while (i < len && max_cps-- > 0) {
		unsigned n = utf8_decode(s + i, len - i, &cp);

		i += n ? n : 1;
	}
	return i;
}

size_t utf8_count(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

size_t utf8_cut_tail(const char *s, size_t len)
{
	for (size_t n = 1; n <= 3 && n <= len; n++) {
		unsigned char c = (unsigned char)s[len - n];

		if ((c & 0xc0) == 0x80)
			continue;
		if ((c >= 0xc2 && c < 0xe0 && n < 2) || (c >= 0xe0 && c < 0xf0 && n < 3) ||
		    (c >= 0xf0 && c < 0xf5 && n < 4))
			return n;
		break;
	}
	return 0;
}

static void hex_byte(struct buffer *out, const char *prefix, unsigned char c)
{
	static const char set[] = "0123456789abcdef";
	char text[2] = { set[c >> 4], set[c & 15] };

	buffer_str(out, prefix);
	buffer_bytes(out, text, 2);
}

/* \n, \t, \r; false: c is none of them */
static bool escape_letter(struct buffer *out, char c)
{
	const char *text = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;

	if (text)
		buffer_bytes(out, text, 2);
	return text != NULL;
}

static bool is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
}

void escape_text(struct buffer *out, const char *s, size_t len)
{
	uint32_t cp;

	while (len) {
		size_t n = escape_plain_len(s, len, '\n', '\n');

		buffer_bytes(out, s, n);
		s += n;
		len -= n;
		if (!len)
			break;
		n = utf8_decode(s, len, &cp);
		if (n && !is_control(cp)) {
			buffer_bytes(out, s, n);
		} else if (!n || n == 1) {
			n = 1;
			if (!escape_letter(out, *s))
				hex_byte(out, "\\x", (unsigned char)*s);
		} else {
			hex_byte(out, "\\x", (unsigned char)s[0]); /* C1: two bytes */
			hex_byte(out, "\\x", (unsigned char)s[1]);
		}
		s += n;
		len -= n;
	}
}

/* Invisible or direction-changing: shown by number in '?', which is there to see such things. */
static bool is_invisible(uint32_t cp)
{
	return is_control(cp) || cp == 0xa0 || cp == 0xad || (cp >= 0x2000 && cp <= 0x200f) ||
	       (cp >= 0x2028 && cp <= 0x202f) || (cp >= 0x205f && cp <= 0x206f) || cp == 0x3000 ||
	       cp == 0xfeff || (cp & 0xfffe) == 0xfffe || (cp >= 0xe000 && cp < 0xf900) ||
	       cp >= 0xe0000;
}

void escape_debug(struct buffer *out, const char *s, size_t len, char quote)
{
	uint32_t cp;

	buffer_char(out, quote);
	while (len) {
		size_t n = escape_plain_len(s, len, '\\', quote);

		buffer_bytes(out, s, n);
		s += n;
		len -= n;
		if (!len)
			break;
		n = utf8_decode(s, len, &cp);
		if (!n) {
			n = 1;
			buffer_printf(out, "\\x{%x}", (unsigned char)*s);
		} else if (*s == quote || *s == '\\') {
			buffer_char(out, '\\');
			buffer_char(out, *s);
		} else if (is_invisible(cp)) {
			if (n > 1 || !escape_letter(out, *s))
				buffer_printf(out, "\\u{%x}", cp);
		} else {
			buffer_bytes(out, s, n);
		}
		s += n;
		len -= n;
	}
	buffer_char(out, quote);
}

void escape_json(struct buffer *out, const char *s, size_t len)
{
	uint32_t cp;

	while (len) {
		size_t n = escape_plain_len(s, len, '"', '\\');

		buffer_bytes(out, s, n);
		s += n;
		len -= n;
		if (!len)
			break;
		n = utf8_decode(s, len, &cp);
		if (!n) {
			n = 1;
			buffer_bytes(out, "\xef\xbf\xbd", 3);
		} else if (*s == '"' || *s == '\\') {
			buffer_char(out, '\\');
			buffer_char(out, *s);
		} else if (is_control(cp)) {
			if (n > 1 || !escape_letter(out, *s))
				hex_byte(out, "\\u00", (unsigned char)cp);
		} else {
			buffer_bytes(out, s, n);
		}
		s += n;
		len -= n;
	}
}
