/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format_spec.h - what stands after the colon of a placeholder: fmt's
 *   [[fill]align][sign]["#"]["0"][width]["." precision]["L"][type]
 * and one value formatted by it.
 */
#ifndef QSLOG_FORMAT_SPEC_H
#define QSLOG_FORMAT_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

/* Largest width and precision: a file from anywhere must not make a line of any length. */
#define FORMAT_SPEC_MAX 4096

struct format_spec {
	int width;	/* 0: none */
	int precision;	/* -1: none */
	char fill[4];	/* one code point in UTF-8 */
	uint8_t fill_len;
	char align;	/* '<', '>', '^'; 0: the type's own */
	char sign;	/* '+', ' '; '-' or 0: only where negative */
	char type;	/* 0: the type's own */
	bool alternate; /* '#' */
	bool zero;	/* '0' */
};

/* Value of a nested placeholder, "" or "0" or "name", as a width or precision: 0 to
 * FORMAT_SPEC_MAX, or -EINVAL. */
typedef int format_spec_nested_fn(void *arg, const char *id, size_t len);

/* 0, or -EINVAL: not a specification. `nested` is called in the order of the text. */
int format_spec_parse(struct format_spec *spec, const char *text, size_t len,
		      format_spec_nested_fn *nested, void *arg);

/* 0, or -EINVAL: the specification does not fit the value's type; then nothing was appended. */
int format_value(struct buffer *out, const struct record_value *value,
		 const struct format_spec *spec);

/* As by "{}". */
void format_value_plain(struct buffer *out, const struct record_value *value);

#endif
