/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format_value.c - one value by a format specification, with fmt's rules. The content is written
 * to the end of the buffer first; then pad() counts its code points and moves it to where the
 * width wants it. "{}" does not come through here but through format_value_plain(), which writes
 * straight away.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "buffer.h"
#include "decimal.h"
#include "digits.h"
#include "escape.h"
#include "format_spec.h"

/* Brings what was appended since `start` to the width. */
static void pad(struct buffer *out, size_t start, const struct format_spec *spec, char align)
{
	size_t cps, total, left;

	if (!spec->width || out->failed)
		return;
	cps = utf8_count(out->data + start, out->len - start);
	if (cps >= (size_t)spec->width)
		return;
	total = (size_t)spec->width - cps;
	if (spec->align)
		align = spec->align;
	left = align == '<' ? 0 : align == '>' ? total : total / 2;
	if (!buffer_gap(out, start, left * spec->fill_len))
		return;
	for (size_t i = 0; i < left; i++)
		memcpy(out->data + start + i * spec->fill_len, spec->fill, spec->fill_len);
	for (size_t i = left; i < total; i++)
		buffer_bytes(out, spec->fill, spec->fill_len);
}

/* As pad() for a number whose sign and prefix ("0x") are its first prefix_len bytes: '0' without
 * an explicit alignment puts zeros after them. */
static void pad_number(struct buffer *out, size_t start, size_t prefix_len,
		       const struct format_spec *spec)
{
	size_t len = out->len - start, zeros;

	if (!spec->zero || spec->align) {
		pad(out, start, spec, '>');
		return;
	}
	if (len >= (size_t)spec->width || out->failed)
		return;
	zeros = (size_t)spec->width - len;
	if (buffer_gap(out, start + prefix_len, zeros))
		memset(out->data + start + prefix_len, '0', zeros);
}

static char sign_of(const struct format_spec *spec, bool negative)
{
	if (negative)
		return '-';
	return spec->sign == '+' || spec->sign == ' ' ? spec->sign : 0;
}

/* Presentation as a character; `c` is shown like a byte of a string. */
static int format_char(struct buffer *out, char c, const struct format_spec *spec)
{
	size_t start = out->len;

	if (spec->sign || spec->alternate || spec->zero || spec->precision >= 0)
		return -EINVAL;
	if (spec->type == '?')
		escape_debug(out, &c, 1, '\'');
	else
		escape_text(out, &c, 1);
	pad(out, start, spec, '<');
	return 0;
}

static int format_integer(struct buffer *out, uint64_t magnitude, bool negative,
			  const struct format_spec *spec)
{
	char text[72], *p = text, *digits;
	char sign = sign_of(spec, negative);
	size_t start = out->len;
	unsigned bits = 0;

	if (spec->type == 'c') {
		if (magnitude > (negative ? 128 : 255))
			return -EINVAL; /* not one byte */
		return format_char(out, (char)(negative ? 0 - magnitude : magnitude), spec);
	}
	switch (spec->type) {
	case 0:
	case 'd':
		break;
	case 'x':
	case 'X':
		bits = 4;
		break;
	case 'o':
		bits = 3;
		break;
	case 'b':
	case 'B':
		bits = 1;
		break;
	default:
		return -EINVAL;
	}
	if (spec->precision >= 0)
		return -EINVAL;
	if (sign)
		*p++ = sign;
	if (spec->alternate && bits == 3 && magnitude) {
		*p++ = '0';
	} else if (spec->alternate && bits && bits != 3) {
		*p++ = '0';
		*p++ = spec->type;
	}
	digits = p;
	p = bits ? digits_base2(p, magnitude, bits, spec->type == 'X') : digits_u64(p, magnitude);
	buffer_bytes(out, text, (size_t)(p - text));
	pad_number(out, start, (size_t)(digits - text), spec);
	return 0;
}

/* %e, %f, %g, %a of a value that is not negative */
static void printf_float(struct buffer *out, double value, const struct format_spec *spec)
{
	char conversion = spec->type ? spec->type : 'g';
	int precision = spec->precision;
	char format[8], *f = format, *p;

	if (precision < 0 && conversion != 'a' && conversion != 'A')
		precision = 6;
	if ((conversion == 'f' || conversion == 'F') && precision <= DECIMAL_FIXED_PRECISION_MAX &&
	    !(spec->alternate && precision == 0)) {
		p = buffer_reserve(out, DECIMAL_FIXED_MAX);
		if (!p)
			return;
		p = decimal_fixed(p, value, (unsigned)precision);
		if (p) {
			buffer_commit(out, p);
			return;
		}
	}
	*f++ = '%';
	if (spec->alternate)
		*f++ = '#';
	if (precision >= 0) {
		*f++ = '.';
		*f++ = '*';
	}
	*f++ = conversion;
	*f = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (precision >= 0)
		buffer_printf(out, format, precision, value);
	else
		buffer_printf(out, format, value);
#pragma GCC diagnostic pop
	if (spec->alternate && (conversion == 'g' || conversion == 'G') && !out->failed &&
	    out->data[out->len - 1] == '.')
		buffer_char(out, '0'); /* as fmt: "151.0", where printf has "151." */
}

static int format_double(struct buffer *out, double value, bool single,
			 const struct format_spec *spec)
{
	struct format_spec padding = *spec;
	bool upper = spec->type && strchr("EFGA", spec->type);
	char sign = sign_of(spec, signbit(value));
	size_t start = out->len, prefix_len = 0;
	char *p;

	if (spec->type && !strchr("eEfFgGaA", spec->type))
		return -EINVAL;
	if (sign) {
		buffer_char(out, sign);
		prefix_len = 1;
	}
	value = fabs(value);
	if (!isfinite(value)) {
		buffer_str(out, isnan(value) ? upper ? "NAN" : "nan" : upper ? "INF" : "inf");
		padding.zero = false; /* "00inf" would read like a number */
		if (padding.fill_len == 1 && padding.fill[0] == '0')
			padding.fill[0] = ' ';
	} else if (!spec->type && spec->precision < 0) {
		p = buffer_reserve(out, DECIMAL_SHORTEST_MAX);
		if (p)
			buffer_commit(out, decimal_shortest(p, value, single, spec->alternate));
	} else {
		printf_float(out, value, spec);
		if (spec->type == 'a' || spec->type == 'A')
			prefix_len += 2; /* 0x */
	}
	pad_number(out, start, prefix_len, &padding);
	return 0;
}

/* Bytes that the program had and the record has not are announced, never dropped silently. */
static void cut_mark(struct buffer *out, uint64_t missing)
{
	buffer_str(out, "\xe2\x80\xa6[+");
	buffer_u64(out, missing);
	buffer_str(out, " bytes]");
}

static int format_string(struct buffer *out, const struct record_value *v,
			 const struct format_spec *spec)
{
	size_t start = out->len, shown = v->len;
	bool whole = true;

	if ((spec->type && spec->type != 's' && spec->type != '?') || spec->sign ||
	    spec->alternate || spec->zero)
		return -EINVAL;
	if (!v->bytes) {
		buffer_str(out, "(null)");
		pad(out, start, spec, '<');
		return 0;
	}
	if (v->real_len > v->len)
		shown -= utf8_cut_tail(v->bytes, shown);
	if (spec->precision >= 0) {
		size_t max = (size_t)spec->precision;

		/* where the format itself cuts, nothing is missing */
		whole = max > 0 && utf8_prefix(v->bytes, shown, max - 1) == shown;
		shown = utf8_prefix(v->bytes, shown, max);
	}
	if (spec->type == '?')
		escape_debug(out, v->bytes, shown, '"');
	else
		escape_text(out, v->bytes, shown);
	if (v->real_len > shown && whole)
		cut_mark(out, v->real_len - shown);
	pad(out, start, spec, '<');
	return 0;
}

/* Bytes are shown in hex, or as text by 's' and '?'; a precision is a number of bytes. */
static int format_blob(struct buffer *out, const struct record_value *v,
		       const struct format_spec *spec)
{
	const char *set = spec->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	size_t start = out->len, shown = v->len;
	char *p;

	if (spec->type == 's' || spec->type == '?' || !v->bytes)
		return format_string(out, v, spec);
	if ((spec->type && spec->type != 'x' && spec->type != 'X') || spec->sign ||
	    spec->alternate || spec->zero)
		return -EINVAL;
	if (spec->precision >= 0 && (size_t)spec->precision < shown)
		shown = (size_t)spec->precision;
	p = buffer_reserve(out, shown * 2);
	for (size_t i = 0; p && i < shown; i++) {
		*p++ = set[(unsigned char)v->bytes[i] >> 4];
		*p++ = set[v->bytes[i] & 15];
	}
	if (p)
		buffer_commit(out, p);
	if (v->real_len > v->len && shown == v->len)
		cut_mark(out, v->real_len - v->len);
	pad(out, start, spec, '<');
	return 0;
}

static int format_pointer(struct buffer *out, uint64_t value, const struct format_spec *spec)
{
	char text[20] = "0x";
	size_t start = out->len;

	if ((spec->type && spec->type != 'p') || spec->sign || spec->alternate || spec->zero ||
	    spec->precision >= 0)
		return -EINVAL;
	buffer_bytes(out, text, (size_t)(digits_base2(text + 2, value, 4, false) - text));
	pad(out, start, spec, '>');
	return 0;
}

static int format_bool(struct buffer *out, bool value, const struct format_spec *spec)
{
	size_t start = out->len;

	if (spec->type && spec->type != 's')
		return spec->type == 'c' ? -EINVAL : format_integer(out, value, false, spec);
	if (spec->sign || spec->alternate || spec->zero || spec->precision >= 0)
		return -EINVAL;
	buffer_str(out, value ? "true" : "false");
	pad(out, start, spec, '<');
	return 0;
}

static int format_signed(struct buffer *out, int64_t value, const struct format_spec *spec)
{
	return format_integer(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0,
			      spec);
}

int format_value(struct buffer *out, const struct record_value *v, const struct format_spec *spec)
{
	switch ((enum qslog_arg_type)v->type) {
	case QSLOG_ARG_BOOL:
		return format_bool(out, v->u, spec);
	case QSLOG_ARG_CHAR:
		if (!spec->type || spec->type == 'c' || spec->type == '?')
			return format_char(out, (char)v->u, spec);
		return format_signed(out, (int8_t)v->u, spec);
	case QSLOG_ARG_UINT8:
	case QSLOG_ARG_UINT64:
		return format_integer(out, v->u, false, spec);
	case QSLOG_ARG_INT64:
		return format_signed(out, v->i, spec);
	case QSLOG_ARG_FLOAT:
		return format_double(out, (double)v->f, true, spec);
	case QSLOG_ARG_DOUBLE:
		return format_double(out, v->d, false, spec);
	case QSLOG_ARG_STR:
		return format_string(out, v, spec);
	case QSLOG_ARG_POINTER:
		return format_pointer(out, v->u, spec);
	case QSLOG_ARG_BYTES:
		return format_blob(out, v, spec);
	case QSLOG_ARG_TYPE_COUNT:
		break;
	}
	return -EINVAL;
}

void format_value_plain(struct buffer *out, const struct record_value *v)
{
	static const struct format_spec plain = { .precision = -1, .fill = " ", .fill_len = 1 };

	if (v->type == QSLOG_ARG_UINT64 || v->type == QSLOG_ARG_UINT8)
		buffer_u64(out, v->u);
	else if (v->type == QSLOG_ARG_INT64)
		buffer_i64(out, v->i);
	else if (v->type == QSLOG_ARG_STR && v->bytes && v->real_len <= v->len)
		escape_text(out, v->bytes, v->len);
	else if (format_value(out, v, &plain))
		buffer_printf(out, "{bad type: %u}", v->type);
}
