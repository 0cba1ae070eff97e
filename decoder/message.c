/* SPDX-License-Identifier: BSD-2-Clause */
/* message.c - replaces the placeholders of a format (message_parse.h) by values. */
#include "message.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "escape.h"
#include "format_spec.h"
#include "message_parse.h"

static int nested_value(void *arg, const char *id, size_t len)
{
	struct message_values *v = arg;
	int i = message_value(v, id, len);

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

static void replace(struct buffer *out, const struct message_placeholder *ph, struct message_values *v)
{
	struct format_spec spec;
	int i = message_value(v, ph->id, ph->id_len);

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

static void surplus(struct buffer *out, const struct message_values *v)
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
	struct message_values v = { values, value_cnt, 0, 0 };
	const char *s = format ? format : "", *end = s + strlen(s);
	size_t start = out->len;
	struct message_placeholder ph;

	if (v.cnt > QSLOG_ARGS_MAX)
		v.cnt = QSLOG_ARGS_MAX;
	while ((s = literal(out, s, end)) < end) {
		if (out->len - start > MESSAGE_BYTES_MAX) {
			buffer_str(out, MESSAGE_CUT_MARK);
			return;
		}
		if (s + 1 < end && s[1] == *s) {
			buffer_char(out, *s);
			s += 2;
		} else if (*s == '}') {
			buffer_char(out, '}');
			s++;
		} else if (message_placeholder(&ph, s + 1, end)) {
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
static void keys_skip_nested(struct message_values *v, const char *s, size_t len)
{
	const char *end = s + len, *open, *close;

	while ((open = memchr(s, '{', (size_t)(end - s)))) {
		close = memchr(open, '}', (size_t)(end - open));
		if (!close)
			return;
		message_value(v, open + 1, (size_t)(close - open - 1));
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
	struct message_values v = { NULL, value_cnt, 0, 0 };
	const char *s = format ? format : "", *end = s + strlen(s);
	struct message_placeholder ph;
	int i;

	if (v.cnt > QSLOG_ARGS_MAX)
		v.cnt = QSLOG_ARGS_MAX;
	memset(keys, 0, sizeof(*keys) * QSLOG_ARGS_MAX);
	while ((s = strchr(s, '{'))) {
		if (s[1] == '{') {
			s += 2;
			continue;
		}
		if (!message_placeholder(&ph, s + 1, end))
			return;
		i = message_value(&v, ph.id, ph.id_len);
		if (i >= 0 && message_is_name(ph.id, ph.id_len))
			key_set(keys, v.cnt, (unsigned)i, ph.id, ph.id_len);
		keys_skip_nested(&v, ph.spec ? ph.spec : "", ph.spec_len);
		s = ph.end;
	}
}
