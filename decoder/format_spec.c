/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format_spec.c - parses a format specification from left to right. Everything is optional, and
 * whatever is left over at the end makes it invalid. Whether it fits a type is the business of
 * format_value().
 */
#include "format_spec.h"

#include <errno.h>
#include <string.h>

#include "escape.h"

static bool is_align(char c)
{
	return c == '<' || c == '>' || c == '^';
}

/* A number or a nested "{...}" at *s, 0 to FORMAT_SPEC_MAX; -ENOENT: neither is there. */
static int parse_count(const char **s, const char *end, format_spec_nested_fn *nested, void *arg)
{
	const char *p = *s;
	int v = 0;

	if (p < end && *p == '{') {
		const char *close = memchr(p, '}', (size_t)(end - p));

		if (!close)
			return -EINVAL;
		*s = close + 1;
		return nested(arg, p + 1, (size_t)(close - p - 1));
	}
	if (p >= end || *p < '0' || *p > '9')
		return -ENOENT;
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (*p - '0');
		if (v > FORMAT_SPEC_MAX)
			return -EINVAL;
	}
	*s = p;
	return v;
}

static const char *parse_align(struct format_spec *spec, const char *s, const char *end)
{
	uint32_t cp;
	unsigned n;

	spec->fill[0] = ' ';
	spec->fill_len = 1;
	if (s == end)
		return s;
	n = utf8_decode(s, (size_t)(end - s), &cp);
	/* a control character as fill would reach the terminal: it is no fill */
	if (n && cp >= 0x20 && !(cp >= 0x7f && cp < 0xa0) && s + n < end && is_align(s[n])) {
		memcpy(spec->fill, s, n);
		spec->fill_len = (uint8_t)n;
		spec->align = s[n];
		return s + n + 1;
	}
	if (is_align(*s))
		spec->align = *s++;
	return s;
}

int format_spec_parse(struct format_spec *spec, const char *text, size_t len,
		      format_spec_nested_fn *nested, void *arg)
{
	const char *s = text, *end = text + len;
	int n;

	*spec = (struct format_spec){ .precision = -1 };
	s = parse_align(spec, s, end);
	if (s < end && (*s == '+' || *s == '-' || *s == ' '))
		spec->sign = *s++;
	if (s < end && *s == '#') {
		spec->alternate = true;
		s++;
	}
	if (s < end && *s == '0') {
		spec->zero = true;
		s++;
	}
	n = parse_count(&s, end, nested, arg);
	if (n >= 0)
		spec->width = n;
	else if (n != -ENOENT)
		return n;
	if (s < end && *s == '.') {
		s++;
		n = parse_count(&s, end, nested, arg);
		if (n < 0)
			return -EINVAL;
		spec->precision = n;
	}
	if (s < end && *s == 'L')
		s++; /* the decoder has no locale */
	if (s < end)
		spec->type = *s++;
	if (s != end || (spec->type && !strchr("dxXobBcspeEfFgGaA?", spec->type)))
		return -EINVAL;
	return 0;
}
