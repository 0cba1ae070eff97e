/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message_shape.c - see message_shape.h. A shape is opaque where the outcome hangs on more than the
 * placeholder and its value: nested specifications, values that are missing, left over or do not
 * fit, formats that are themselves longer than most messages.
 */
#include "message_shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "message.h"
#include "message_parse.h"

#define TEXT_MAX (64u << 10)

static struct message_item *item_add(struct message_shape *s)
{
	struct message_item *items = reallocarray(s->items, s->cnt + 1u, sizeof(*items));

	if (!items)
		return NULL;
	s->items = items;
	items[s->cnt] = (struct message_item){ 0 };
	return &items[s->cnt++];
}

/* Appends what is at the end of s->text since `off`. */
static int text_end(struct message_shape *s, size_t off)
{
	struct message_item *item = s->cnt ? &s->items[s->cnt - 1] : NULL;

	if (s->text.failed)
		return -ENOMEM;
	if (s->text.len == off)
		return 0;
	if (!item || item->is_value) {
		item = item_add(s);
		if (!item)
			return -ENOMEM;
		item->off = (uint32_t)off;
	}
	item->len = (uint32_t)(s->text.len - item->off);
	return 0;
}

static int no_nested(void *arg, const char *id, size_t len)
{
	(void)arg;
	(void)id;
	(void)len;
	return -EINVAL;
}

/* Does the specification fit values of the type, whatever they are? */
static bool spec_fits(const struct format_spec *spec, uint8_t type)
{
	struct record_value zero = { .type = type, .bytes = "" };
	struct buffer out = { 0 };
	int err;

	if (type != QSLOG_ARG_STR && type != QSLOG_ARG_BYTES)
		zero.u = 0;
	if (spec->type == 'c' && type != QSLOG_ARG_CHAR)
		return false; /* by the value */
	err = format_value(&out, &zero, spec);
	buffer_fini(&out);
	return !err;
}

static int value_add(struct message_shape *s, const struct record_format *f,
		     const struct message_placeholder *ph, struct message_values *v)
{
	const int i = message_value(v, ph->id, ph->id_len);
	struct message_item *item;

	if (i < 0) {
		s->opaque = true;
		return 0;
	}
	item = item_add(s);
	if (!item)
		return -ENOMEM;
	item->is_value = true;
	item->value = (uint8_t)i;
	item->type = f->types[i];
	item->plain = !ph->spec_len;
	if (!item->plain &&
	    (format_spec_parse(&item->spec, ph->spec, ph->spec_len, no_nested, NULL) ||
	     !spec_fits(&item->spec, item->type)))
		s->opaque = true;
	return 0;
}

/* The format's own text, as message_format() goes through it. */
static int format_take(struct message_shape *s, const struct record_format *f)
{
	struct message_values v = { NULL, f->arg_cnt, 0, 0 };
	const char *p = f->format ? f->format : "", *end = p + strlen(p);
	struct message_placeholder ph;
	int err = 0;

	while (!err && !s->opaque && p < end) {
		const size_t off = s->text.len, n = strcspn(p, "{}");

		escape_text(&s->text, p, n);
		p += n;
		if (p < end && p[0] == p[1]) {
			buffer_char(&s->text, *p);
			p += 2;
		} else if (p < end && *p == '}') {
			buffer_char(&s->text, *p++);
		}
		err = text_end(s, off);
		if (err || p == end || *p != '{')
			continue;
		if (p[1] == '{')
			continue; /* taken in the next round */
		if (!message_placeholder(&ph, p + 1, end)) {
			s->opaque = true;
			break;
		}
		err = value_add(s, f, &ph, &v);
		p = ph.end;
	}
	if (v.used != (1u << v.cnt) - 1)
		s->opaque = true;
	return err;
}

static int name_take(struct message_shape *s, const struct record_format *f, bool leaves)
{
	buffer_str(&s->text, leaves ? "<- " : "-> ");
	escape_text(&s->text, f->name ? f->name : "-", strlen(f->name ? f->name : "-"));
	if (leaves || (f->format && *f->format) || f->arg_cnt)
		buffer_char(&s->text, ' ');
	return text_end(s, 0);
}

static int duration_take(struct message_shape *s)
{
	struct message_item *item = item_add(s);
	const size_t off = s->text.len;

	if (!item)
		return -ENOMEM;
	item->is_value = item->plain = true;
	item->type = QSLOG_ARG_DOUBLE;
	buffer_str(&s->text, "us");
	return text_end(s, off);
}

int message_shape_init(struct message_shape *s, const struct record_format *f, bool leaves)
{
	int err = 0;

	memset(s, 0, sizeof(*s));
	if (f->kind == QSLOG_SITE_CONTEXT || f->arg_cnt > QSLOG_ARGS_MAX ||
	    (f->format && strlen(f->format) > TEXT_MAX)) {
		s->opaque = true;
		return 0;
	}
	if (f->kind == QSLOG_SITE_SPAN)
		err = name_take(s, f, leaves);
	if (!err)
		err = leaves ? duration_take(s) : format_take(s, f);
	return err;
}

void message_shape_fini(struct message_shape *s)
{
	buffer_fini(&s->text);
	free(s->items);
	memset(s, 0, sizeof(*s));
}

void message_item_value(struct buffer *out, const struct message_item *item,
			const struct record_value *values)
{
	const struct record_value *v = &values[item->value];

	if (item->plain || format_value(out, v, &item->spec))
		format_value_plain(out, v);
}

void message_shape_put(struct buffer *out, const struct message_shape *s,
		       const struct record_value *values)
{
	const struct message_item *item, *end = s->items + s->cnt;

	for (item = s->items; item < end; item++) {
		if (item->is_value)
			message_item_value(out, item, values);
		else
			buffer_bytes(out, s->text.data + item->off, item->len);
	}
}

bool message_values_long(const struct record_value *values, unsigned cnt)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < cnt; i++) {
		if (values[i].type == QSLOG_ARG_STR || values[i].type == QSLOG_ARG_BYTES)
			bytes += values[i].len;
	}
	return bytes > MESSAGE_BYTES_MAX / 8; /* escaped, a byte has four */
}
