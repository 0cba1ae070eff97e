/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message.c - replaces the placeholders of a format by values.
 *
 * A placeholder is "{" [id] [":" specification] "}". An id of digits picks a value by index.
 * No id, or a name, takes the next value: names are there for readers and for keys, the values
 * come in the order of the call. A specification may hold placeholders itself ("{:>{width}}");
 * they take their values after the outer one, as in fmt.
 */
#include "message.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "escape.h"
#include "format_spec.h"

struct values {
	const struct record_value *value;
	unsigned cnt;
	unsigned next; /* that a placeholder without index takes */
	uint32_t used; /* bit per value */
};

struct placeholder {
	const char *id, *spec; /* spec is NULL without a colon */
	size_t id_len, spec_len;
	const char *end; /* after the closing brace */
};

/* `s` is after the opening brace. False: it is never closed. */
static bool placeholder_parse(struct placeholder *ph, const char *s, const char *end)
{
	unsigned depth = 1;
	const char *p;

	*ph = (struct placeholder){ .id = s };
	for (p = s; p < end; p++) {
		if (*p == '{') {
			depth++;
		} else if (*p == '}' && --depth == 0) {
			break;
		} else if (*p == ':' && !ph->spec) {
			ph->spec = p + 1;
		}
	}
	if (p == end)
		return false;
	ph->id_len = (size_t)((ph->spec ? ph->spec - 1 : p) - s);
	ph->spec_len = ph->spec ? (size_t)(p - ph->spec) : 0;
	ph->end = p + 1;
	return true;
}

static bool is_name(const char *id, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = id[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
			      (unsigned char)c >= 0x80;

		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '.' || c == '-')))
			return false;
	}
	return len > 0;
}

/* Which value an id means; -ENOENT: there is none, -EINVAL: not an id. */
static int values_find(struct values *v, const char *id, size_t len)
{
	unsigned index = 0;

	if (len && id[0] >= '0' && id[0] <= '9') {
		for (size_t i = 0; i < len; i++) {
			if (id[i] < '0' || id[i] > '9')
				return -EINVAL;
			index = index * 10 + (unsigned)(id[i] - '0');
			if (index > QSLOG_ARGS_MAX)
				return -ENOENT;
		}
	} else if (len == 0 || is_name(id, len)) {
		index = v->next;
		if (index < v->cnt)
			v->next++;
	} else {
		return -EINVAL;
	}
	if (index >= v->cnt)
		return -ENOENT;
	v->used |= 1u << index;
	return (int)index;
}

static int nested_value(void *arg, const char *id, size_t len)
{
	struct values *v = arg;
	int i = values_find(v, id, len);

	if (i < 0)
		return -EINVAL;
	switch (v->value[i].type) {
	case QSLOG_ARG_UINT8:
	case QSLOG_ARG_UINT64:
		break;
	case QSLOG_ARG_INT64:
		if (v->value[i].i < 0)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	return v->value[i].u > FORMAT_SPEC_MAX ? -EINVAL : (int)v->value[i].u;
}

/* The value is shown anyway, plainly. */
static void bad_spec(struct buffer *out, const char *text, size_t len,
		     const struct record_value *value)
{
	buffer_str(out, "{bad spec: ");
	escape_text(out, text, len);
	if (value) {
		buffer_str(out, ", value: ");
		format_value_plain(out, value);
	}
	buffer_char(out, '}');
}

static void replace(struct buffer *out, const struct placeholder *ph, struct values *v)
{
	struct format_spec spec;
	int i = values_find(v, ph->id, ph->id_len);

	if (i == -ENOENT) {
		buffer_str(out, "{missing}");
	} else if (i < 0) {
		bad_spec(out, ph->id, (size_t)(ph->end - 1 - ph->id), NULL);
	} else if (!ph->spec_len) {
		format_value_plain(out, &v->value[i]);
	} else if (format_spec_parse(&spec, ph->spec, ph->spec_len, nested_value, v) ||
		   format_value(out, &v->value[i], &spec)) {
		bad_spec(out, ph->spec, ph->spec_len, &v->value[i]);
	}
}

static void surplus(struct buffer *out, const struct values *v)
{
	const char *separator = " [surplus: ";

	for (unsigned i = 0; i < v->cnt; i++) {
		if (v->used >> i & 1)
			continue;
		buffer_str(out, separator);
		format_value_plain(out, &v->value[i]);
		separator = ", ";
	}
	buffer_char(out, ']');
}

/* Text up to the next brace. */
static const char *literal(struct buffer *out, const char *s, const char *end)
{
	size_t n = escape_plain_len(s, (size_t)(end - s), '{', '}');

	buffer_bytes(out, s, n);
	s += n;
	for (n = 0; s + n < end && s[n] != '{' && s[n] != '}'; n++)
		;
	if (n)
		escape_text(out, s, n);
	return s + n;
}

void message_format(struct buffer *out, const char *format, const struct record_value *values,
		    unsigned value_cnt)
{
	struct values v = { values, value_cnt, 0, 0 };
	const char *s = format ? format : "", *end = s + strlen(s);
	size_t start = out->len;
	struct placeholder ph;

	if (v.cnt > QSLOG_ARGS_MAX)
		v.cnt = QSLOG_ARGS_MAX;
	while ((s = literal(out, s, end)) < end) {
		if (out->len - start > MESSAGE_BYTES_MAX) {
			buffer_str(out, "{cut: message too long}");
			return;
		}
		if (s + 1 < end && s[1] == *s) {
			buffer_char(out, *s);
			s += 2;
		} else if (*s == '}') {
			buffer_char(out, '}');
			s++;
		} else if (placeholder_parse(&ph, s + 1, end)) {
			replace(out, &ph, &v);
			s = ph.end;
		} else {
			bad_spec(out, s + 1, (size_t)(end - s - 1), NULL);
			s = end;
		}
	}
	if (v.used != (1u << v.cnt) - 1)
		surplus(out, &v);
}

/* Walks the nested placeholders of a specification as format_spec_parse() does. */
static void keys_skip_nested(struct values *v, const char *s, size_t len)
{
	const char *end = s + len, *open, *close;

	while ((open = memchr(s, '{', (size_t)(end - s)))) {
		close = memchr(open, '}', (size_t)(end - open));
		if (!close)
			return;
		values_find(v, open + 1, (size_t)(close - open - 1));
		s = close + 1;
	}
}

static void key_set(struct message_key *keys, unsigned cnt, unsigned index, const char *name,
		    size_t len)
{
	if (keys[index].name)
		return;
	for (unsigned i = 0; i < cnt; i++) {
		if (keys[i].name && keys[i].len == len && !memcmp(keys[i].name, name, len))
			return;
	}
	keys[index] = (struct message_key){ name, len };
}

void message_keys(const char *format, unsigned value_cnt, struct message_key keys[QSLOG_ARGS_MAX])
{
	struct values v = { NULL, value_cnt, 0, 0 };
	const char *s = format ? format : "", *end = s + strlen(s);
	struct placeholder ph;
	int i;

	if (v.cnt > QSLOG_ARGS_MAX)
		v.cnt = QSLOG_ARGS_MAX;
	memset(keys, 0, sizeof(*keys) * QSLOG_ARGS_MAX);
	while ((s = strchr(s, '{'))) {
		if (s[1] == '{') {
			s += 2;
			continue;
		}
		if (!placeholder_parse(&ph, s + 1, end))
			return;
		i = values_find(&v, ph.id, ph.id_len);
		if (i >= 0 && is_name(ph.id, ph.id_len))
			key_set(keys, v.cnt, (unsigned)i, ph.id, ph.id_len);
		keys_skip_nested(&v, ph.spec ? ph.spec : "", ph.spec_len);
		s = ph.end;
	}
}
